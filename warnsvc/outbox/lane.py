"""A lane: what this process has claimed for one carrier, on its way there.

    put ──► queue ──► at its slot ──► still ours? still valid? ──► channel.send ──► done
                          └─ with those whose slots are near ──► channel.send_batch ──► done, each
                                                                    └─ refused together: halves

Each carrier has a lane of its own, so that a slow one holds up no other. Where a carrier takes many
messages in a request, those that are claimed and due within half a second share one. What it
refuses for a reason of its own goes back to be tried by the next one of its route. A lane never
claims and never writes; it hands on what came of each send.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from channels.base import Channel, SendOutcome, SendRequest
from warnsvc.outbox.load import Load, Sent
from warnsvc.outbox.reading import Reader
from warnsvc.service.context import Context
from warnsvc.service.outgoing import compose
from warnsvc.store.attempt import Claimed, Outcome

log = structlog.get_logger(__name__)

EARLY = timedelta(milliseconds=5)
"""A slot this near is now: a nap is not worth it."""
LINGER = timedelta(seconds=0.5)
"""How long one waits for those that may share its request: as far ahead as slots are given out.
Nobody hurries instead: the carrier's pace is for what is in requests, not for requests."""


class Lane:
    """Sends through one carrier, up to `concurrency` at once."""

    def __init__(
        self,
        ctx: Context,
        channel: Channel,
        *,
        concurrency: int,
        alive: Callable[[datetime], bool],
        done: Callable[[Sent], None],
        hungry: Callable[[], None] = lambda: None,
    ) -> None:
        """`alive`: whether the others have counted on this process since it claimed something
        at that instant; if not, they may have taken it over."""
        self.kind = channel.capabilities.kind.value
        self.name = channel.name
        self.channel = channel
        self.concurrency = concurrency
        self.reader = Reader(ctx, channel)
        self._ctx = ctx
        self._alive = alive
        self._done = done
        self._hungry = hungry
        self._low = ctx.settings.claim_batch // 2
        """When so few are left, more are asked for: before the last one has been sent."""
        self._queue = _Queue()

    @property
    def waiting(self) -> int:
        """Claimed and not yet being sent."""
        return self._queue.qsize()

    def put(self, load: Load) -> None:
        """Take a claimed send."""
        self._queue.put_nowait(load)

    async def send_forever(self) -> None:
        """One of the lane's senders."""
        clock = self._ctx.clock
        while True:
            load = await self._queue.get()
            many = self._queue.qsize() + 1
            loads = [load, *self._company(load)]
            if self._queue.qsize() <= self._low < many:
                self._hungry()
            now, slot_at = clock.now(), loads[-1].slot_at
            if slot_at - now > EARLY:
                await clock.sleep_until(slot_at)
                now = clock.now()
            await self._send_some(loads, now)

    async def send_all(self) -> None:
        """Send what is here, one request after another and without waiting for slots."""
        while not self._queue.empty():
            load = self._queue.get_nowait()
            loads = [load, *self._company(load)]
            await self._send_some(loads, self._ctx.clock.now())

    def _company(self, load: Load) -> list[Load]:
        """Take from the queue what may go in one request with a load: slots rise in it.

        What was tried before goes alone: it may be why that failed, and would take others with it.
        """
        company: list[Load] = []
        most = self.channel.capabilities.batch_max if _is_first_try(load) else 1
        while len(company) + 1 < most:
            following = self._queue.first()
            if following is None or following.slot_at > load.slot_at + LINGER:
                break
            if not _is_first_try(following):
                break
            company.append(self._queue.get_nowait())
        return company

    async def _send_some(self, loads: Sequence[Load], now: datetime) -> None:
        if len(loads) == 1:
            self._done(await self._send(loads[0], now))
        else:
            await self._send_together(loads, now)

    async def _send_together(self, loads: Sequence[Load], now: datetime) -> None:
        """Send what may share a request; by halves what was refused for one among them."""
        settled = [(load, self._settled(load, now)) for load in loads]
        for _, sent in settled:
            if sent is not None:
                self._done(sent)
        going = [load for load, sent in settled if sent is None]
        again = []
        for load, sent in zip(going, await self._ask(going), strict=True):
            if sent is None:
                again.append(load)
            else:
                self._done(sent)
        half = len(again) // 2
        for part in (again[:half], again[half:]):
            if part:
                await self._send_some(part, self._ctx.clock.now())

    async def _ask(self, loads: Sequence[Load]) -> list[Sent | None]:
        """Return what the carrier said of each; None: not so, but among fewer."""
        name = self.channel.name
        if not loads:
            return []
        try:
            said = await self.channel.send_batch([self._request(load) for load in loads])
            assert len(said) == len(loads), "an adapter answers for each"
        except Exception as fault:  # a mistake in an adapter must not stop the others
            log.exception("outbox.batch_raised", channel=name, attempts=len(loads))
            why = type(fault).__name__
            return [Sent(load.attempt, self.reader.raised(load, why), name) for load in loads]
        told: set[SendOutcome] = set()
        sent: list[Sent | None] = []
        for load, one in zip(loads, said, strict=True):
            if one is None:
                sent.append(None)
                continue
            sent.append(
                Sent(load.attempt, self.reader.read(load, one), name, one, echo=one in told)
            )
            told.add(one)
        return sent

    async def _send(self, load: Load, now: datetime) -> Sent:
        attempt, channel = load.attempt, self.channel
        if (settled := self._settled(load, now)) is not None:
            return settled
        try:
            said = await channel.send(self._request(load))
        except Exception as fault:  # a mistake in an adapter must not stop the others
            log.exception("outbox.send_raised", attempt=attempt.id, channel=channel.name)
            # Ours, and no word of the carrier: its circuit is not told.
            return Sent(attempt, self.reader.raised(load, type(fault).__name__), channel.name)
        return Sent(attempt, self.reader.read(load, said), channel.name, said)

    def _settled(self, load: Load, now: datetime) -> Sent | None:
        """Return what has become of a load that is not to be sent; None: send it."""
        attempt, name = load.attempt, self.channel.name
        if load.lease_until <= now or not self._alive(self._claimed_at(load)):
            log.warning("outbox.lease_lost", attempt=attempt.id, channel=name)
            return Sent(attempt, None, name)
        if attempt.valid_until <= now:
            return Sent(attempt, _outcome(attempt, "expired", now, "expired"), name)
        return None

    def _claimed_at(self, load: Load) -> datetime:
        return load.lease_until - timedelta(seconds=self._ctx.settings.lease_seconds)

    def _request(self, load: Load) -> SendRequest:
        attempt = load.attempt
        return compose(
            self._ctx,
            self.channel,
            load.spoken,
            token=load.token,
            to=attempt.address,
            callout_id=attempt.callout_id,
            purpose=attempt.purpose,
            valid_until=attempt.valid_until,
        )


def _is_first_try(load: Load) -> bool:
    return load.attempt.send_count <= 1


def _outcome(attempt: Claimed, state: str, now: datetime, error_class: str) -> Outcome:
    return Outcome(attempt.id, attempt.send_count, state, now, error_class=error_class)


class _Queue(asyncio.Queue[Load]):
    """A queue whose head can be looked at."""

    def _init(self, maxsize: int) -> None:
        self._queue: deque[Load] = deque()

    def first(self) -> Load | None:
        """Return what would be taken next."""
        return self._queue[0] if self._queue else None

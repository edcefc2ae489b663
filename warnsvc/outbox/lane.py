"""A lane: what this process has claimed for one carrier, on its way there.

    put ──► queue ──► at its slot ──► still ours? still valid? ──► channel.send ──► done

Each carrier has a lane of its own, so that a slow one holds up no other. What a carrier refuses
for a reason of its own goes back to be tried by the next one of its route. A lane never claims and
never writes; it hands on what came of each send.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from channels.base import Channel, SendRequest
from warnsvc.outbox.load import Load, Sent
from warnsvc.outbox.reading import Reader
from warnsvc.service.context import Context
from warnsvc.service.outgoing import compose
from warnsvc.store.attempt import Claimed, Outcome

log = structlog.get_logger(__name__)

EARLY = timedelta(milliseconds=5)
"""A slot this near is now: a nap is not worth it."""


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
        self._queue: asyncio.Queue[Load] = asyncio.Queue()

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
            if self._queue.qsize() == self._low:
                self._hungry()
            now = clock.now()
            if load.slot_at - now > EARLY:
                await clock.sleep_until(load.slot_at)
                now = clock.now()
            self._done(await self._send(load, now))

    async def send_all(self) -> None:
        """Send what is here, one after another and without waiting for slots."""
        while not self._queue.empty():
            self._done(await self._send(self._queue.get_nowait(), self._ctx.clock.now()))

    async def _send(self, load: Load, now: datetime) -> Sent:
        attempt, channel = load.attempt, self.channel
        if load.lease_until <= now or not self._alive(self._claimed_at(load)):
            log.warning("outbox.lease_lost", attempt=attempt.id, channel=channel.name)
            return Sent(attempt, None, channel.name)
        if attempt.valid_until <= now:
            return Sent(attempt, _outcome(attempt, "expired", now, "expired"), channel.name)
        try:
            said = await channel.send(self._request(load))
        except Exception as fault:  # a mistake in an adapter must not stop the others
            log.exception("outbox.send_raised", attempt=attempt.id, channel=channel.name)
            # Ours, and no word of the carrier: its circuit is not told.
            return Sent(attempt, self.reader.raised(load, type(fault).__name__), channel.name)
        return Sent(attempt, self.reader.read(load, said), channel.name, said)

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


def _outcome(attempt: Claimed, state: str, now: datetime, error_class: str) -> Outcome:
    return Outcome(attempt.id, attempt.send_count, state, now, error_class=error_class)

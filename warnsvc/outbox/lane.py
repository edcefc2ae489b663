"""A lane: what this process has claimed for one carrier, on its way there.

    put ──► queue ──► at its slot ──► still ours? still valid? ──► channel.send ──► done

Each carrier has a lane of its own, so that a slow one holds up no other. What a carrier refuses
for a reason of its own goes back to be tried by the next one of its route. A lane never claims and
never writes; it hands on what came of each send.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from channels.base import Channel, OutcomeKind, SendOutcome, SendRequest
from channels.errors import ErrorClass
from warnsvc.core.route import ELSEWHERE, TAKES_A_COPY, forgiven, next_after, with_refusal
from warnsvc.service.context import Context
from warnsvc.service.outgoing import Spoken, compose
from warnsvc.store.attempt import Claimed, Outcome
from warnsvc.store.inbound import clean

log = structlog.get_logger(__name__)

UNKNOWN_WAIT_SECONDS = 10.0
"""A callback often answers an unknown by itself; look up after that."""
EARLY = timedelta(milliseconds=5)
"""A slot this near is now: a nap is not worth it."""
ACCOUNT_TRIES_MAX = 3
"""One that always meets "your account is wrong" may itself be what is wrong."""
RAISES_MAX = 3
"""Tries of one on which the adapter itself raises; then it has failed."""
LONG_PAUSE_SECONDS = 30.0
"""A carrier that asks for a longer pause is passed over where there is another."""
ACCOUNT_PAUSE_SECONDS = 5.0
"""Others go first: the circuit's probe should not be the same one every time."""


@dataclass(frozen=True, slots=True)
class Load:
    """One claimed send, with its words and its slot."""

    attempt: Claimed
    spoken: Spoken
    token: str
    slot_at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a load. `outcome` is None when it was no longer ours to send."""

    attempt: Claimed
    outcome: Outcome | None
    carrier: str
    said: SendOutcome | None = None
    """None when the carrier was not asked, or the adapter raised: then it said nothing."""

    @property
    def answer(self) -> str:
        """What the callee answered in the same breath."""
        return self.said.answer if self.said is not None else ""

    @classmethod
    def refused(cls, attempt: Claimed, said: SendOutcome, now: datetime) -> "Sent":
        """Refused by ourselves, before any carrier was asked."""
        assert said.error_class is not None
        outcome = Outcome(
            attempt.id,
            attempt.send_count,
            "failed",
            now,
            error_class=said.error_class.value,
            error_text=said.reason,
        )
        return cls(attempt, outcome, "")


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
            return Sent(attempt, self._raised(load, type(fault).__name__), channel.name)
        return Sent(attempt, self._read(load, said), channel.name, said)

    def _claimed_at(self, load: Load) -> datetime:
        return load.lease_until - timedelta(seconds=self._ctx.settings.lease_seconds)

    def _raised(self, load: Load, what: str) -> Outcome:
        """It may have been sent: look it up. One that always raises is given up."""
        if load.attempt.send_count >= RAISES_MAX:
            said = SendOutcome(kind=OutcomeKind.REJECTED, error_class=ErrorClass.OTHER, reason=what)
        else:
            said = SendOutcome(
                kind=OutcomeKind.UNKNOWN, error_class=ErrorClass.AMBIGUOUS, reason=what
            )
        return self._read(load, said)

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

    def _read(self, load: Load, said: SendOutcome) -> Outcome:
        attempt, now = load.attempt, self._ctx.clock.now()
        carrier, reference = self.channel.name, clean(said.reference) or None
        if said.kind is OutcomeKind.ACCEPTED:  # nearly always
            return Outcome(
                attempt.id,
                attempt.send_count,
                "accepted",
                now,
                carrier,
                reference,
                parts=said.parts,
                receipt_due_at=self.receipt_due_at(attempt, load.spoken, now),
            )
        onward = _is_for_another(said) and self._onward(attempt, load.spoken) is not None
        state, due_at = ("planned", now) if onward else _not_accepted(attempt, said, now)
        return Outcome(
            attempt.id,
            attempt.send_count,
            state,
            now,
            carrier=carrier,
            reference=reference,
            error_class=said.error_class.value if said.error_class else None,
            error_text=clean(f"{said.code} {said.reason}".strip()) or None,
            due_at=due_at,
            refused_by=self._refused_by(attempt, said, onward=onward),
        )

    def _refused_by(self, attempt: Claimed, said: SendOutcome, *, onward: bool) -> str | None:
        """Who is passed over next time; None: as before.

        Where nobody is left, the route begins anew with those whose reason may have passed.
        """
        if onward:
            why = said.error_class.value if said.error_class else ""
            return with_refusal(attempt.refused_by, self.name, why=why)
        return forgiven(attempt.refused_by) if said.kind is OutcomeKind.THROTTLED else None

    def _onward(self, attempt: Claimed, spoken: Spoken) -> str | None:
        """The carrier that is tried when this one does not take it, if there is one."""
        if self._ctx.fleet.is_plain(self.kind):
            return None
        route = self._ctx.fleet.route(
            self.kind, attempt.address, spoken.language, attempt.purpose
        )
        return next_after(route, attempt.refused_by, self.name)

    def receipt_due_at(
        self, attempt: Claimed, spoken: Spoken, now: datetime
    ) -> datetime | None:
        """When the next carrier sends it too, unless a receipt comes before."""
        seconds = self._ctx.fleet.receipt_seconds(self.kind, attempt.address, spoken.language)
        missed = seconds and self.channel.capabilities.receipts and self.kind in TAKES_A_COPY
        if not missed or self._onward(attempt, spoken) is None:
            return None
        return now + timedelta(seconds=seconds)


def _is_for_another(said: SendOutcome) -> bool:
    """Whether it was not taken, and another carrier may take it."""
    if said.kind is OutcomeKind.THROTTLED:
        return said.error_class is ErrorClass.DOWN or said.retry_after > LONG_PAUSE_SECONDS
    if said.kind is not OutcomeKind.REJECTED or said.error_class is None:
        return False
    return said.error_class is not ErrorClass.EXPIRED and said.error_class in ELSEWHERE


def _outcome(attempt: Claimed, state: str, now: datetime, error_class: str) -> Outcome:
    return Outcome(attempt.id, attempt.send_count, state, now, error_class=error_class)


def _not_accepted(
    attempt: Claimed, said: SendOutcome, now: datetime
) -> tuple[str, datetime | None]:
    """Return where a send goes that the carrier did not take, and when it is due there."""
    if said.kind is OutcomeKind.THROTTLED:
        return "planned", now + timedelta(seconds=said.retry_after or 1.0)
    if said.kind is OutcomeKind.UNKNOWN:
        return "unknown", now + timedelta(seconds=UNKNOWN_WAIT_SECONDS)
    if said.error_class is ErrorClass.CONFIG and attempt.send_count < ACCOUNT_TRIES_MAX:
        return "planned", now + timedelta(seconds=ACCOUNT_PAUSE_SECONDS)
    return "failed", None

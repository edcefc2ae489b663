"""Reading: what a carrier said of a send, as what becomes of the attempt.

    accepted ──► accepted, and perhaps a receipt to wait for
    refused, and another carrier may take it ──► planned again, for the next one of the route
    not now, or our account is wrong ──► planned again, later
    no answer ──► unknown, to be looked up
    refused ──► failed

It neither sends nor writes.
"""

from datetime import datetime, timedelta

from channels.base import Channel, OutcomeKind, SendOutcome
from channels.errors import ErrorClass
from warnsvc.core.route import ELSEWHERE, TAKES_A_COPY, forgiven, next_after, with_refusal
from warnsvc.outbox.load import Load
from warnsvc.service.context import Context
from warnsvc.service.outgoing import Spoken
from warnsvc.store.attempt import Claimed, Outcome
from warnsvc.store.inbound import clean

UNKNOWN_WAIT_SECONDS = 10.0
"""A callback often answers an unknown by itself; look up after that."""
ACCOUNT_TRIES_MAX = 3
"""One that always meets "your account is wrong" may itself be what is wrong."""
RAISES_MAX = 3
"""Tries of one on which the adapter itself raises; then it has failed."""
LONG_PAUSE_SECONDS = 30.0
"""A carrier that asks for a longer pause is passed over where there is another."""
ACCOUNT_PAUSE_SECONDS = 5.0
"""Others go first: the circuit's probe should not be the same one every time."""


class Reader:
    """Reads what one carrier says."""

    def __init__(self, ctx: Context, channel: Channel) -> None:
        self._ctx = ctx
        self._channel = channel
        self._kind = channel.capabilities.kind.value

    def read(self, load: Load, said: SendOutcome) -> Outcome:
        """Return what becomes of a send."""
        attempt, now = load.attempt, self._ctx.clock.now()
        carrier, reference = self._channel.name, clean(said.reference) or None
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
            return with_refusal(attempt.refused_by, self._channel.name, why=why)
        return forgiven(attempt.refused_by) if said.kind is OutcomeKind.THROTTLED else None

    def _onward(self, attempt: Claimed, spoken: Spoken) -> str | None:
        """The carrier that is tried when this one does not take it, if there is one."""
        if self._ctx.fleet.is_plain(self._kind):
            return None
        route = self._ctx.fleet.route(
            self._kind, attempt.address, spoken.language, attempt.purpose
        )
        return next_after(route, attempt.refused_by, self._channel.name)

    def receipt_due_at(
        self, attempt: Claimed, spoken: Spoken, now: datetime
    ) -> datetime | None:
        """When the next carrier sends it too, unless a receipt comes before."""
        seconds = self._ctx.fleet.receipt_seconds(self._kind, attempt.address, spoken.language)
        missed = seconds and self._channel.capabilities.receipts and self._kind in TAKES_A_COPY
        if not missed or self._onward(attempt, spoken) is None:
            return None
        return now + timedelta(seconds=seconds)

    def raised(self, load: Load, what: str) -> Outcome:
        """It may have been sent: look it up. One that always raises is given up."""
        if load.attempt.send_count >= RAISES_MAX:
            said = SendOutcome(kind=OutcomeKind.REJECTED, error_class=ErrorClass.OTHER, reason=what)
        else:
            said = SendOutcome(
                kind=OutcomeKind.UNKNOWN, error_class=ErrorClass.AMBIGUOUS, reason=what
            )
        return self.read(load, said)


def _is_for_another(said: SendOutcome) -> bool:
    """Whether it was not taken, and another carrier may take it."""
    if said.kind is OutcomeKind.THROTTLED:
        return said.error_class is ErrorClass.DOWN or said.retry_after > LONG_PAUSE_SECONDS
    if said.kind is not OutcomeKind.REJECTED or said.error_class is None:
        return False
    return said.error_class is not ErrorClass.EXPIRED and said.error_class in ELSEWHERE


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

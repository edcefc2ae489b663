"""What sends tell of their carrier: circuits open and close, paces slow down.

Written after the outcomes, in a unit of its own and only when there is something to say; a crash
in between loses a note that the next send repeats. It never judges a single send.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from channels.base import Channel, OutcomeKind, SendOutcome
from channels.errors import ErrorClass
from warnsvc.core.circuit import Circuit, CircuitState, Told
from warnsvc.core.pace import throttled
from warnsvc.logging import mask_numbers
from warnsvc.outbox.door import paces_of
from warnsvc.service.circuit import change_circuit
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.store.inbound import clean
from warnsvc.store.pace import hold_buckets, save_buckets

log = structlog.get_logger(__name__)

OK_EVERY = timedelta(seconds=5)
"""How often a carrier that works is written down as working."""
WORDS_CHARS_MAX = 200
"""Enough of a carrier's words to know what is wrong."""


class CarrierWatch:
    """Keeps the circuits of one process's carriers."""

    def __init__(self, ctx: Context, *, owner: str) -> None:
        self._ctx = ctx
        self._owner = owner
        self._last: dict[str, Circuit] = {}

    async def note(self, channel: Channel, said: Sequence[SendOutcome]) -> None:
        """Take in what a batch of sends through one channel was told. Raises StoreFault."""
        if channel.capabilities.many_hosts:
            return  # one endpoint that is down says nothing of the others
        now = self._ctx.clock.now()
        told = [(_told(s), _words(s)) for s in said]
        pause = max((s.retry_after for s in said if _too_fast(s)), default=None)
        if pause is None and self._is_old_news(channel.name, told, now):
            return
        async with self._ctx.store.unit() as unit:
            before, after = await change_circuit(
                self._ctx, unit, channel.name, told, actor=self._owner
            )
            if pause is not None:
                held = await hold_buckets(unit, paces_of(channel), now=now)
                await save_buckets(unit, [throttled(b, now, pause) for b in held.values()])
        self._last[after.name] = after
        if before.state is not after.state:
            await self._ctx.store.wake(WAKE_WORK, WAKE_BOARD)

    def _is_old_news(self, name: str, told: Sequence[tuple[Told, str]], now: datetime) -> bool:
        """Whether a carrier that was known to work has once more worked."""
        last = self._last.get(name)
        return (
            last is not None
            and last.state is CircuitState.CLOSED
            and last.failures == 0
            and last.last_ok_at is not None
            and now - last.last_ok_at < OK_EVERY
            and all(fact is Told.ANSWERED for fact, _ in told)
        )


def _too_fast(said: SendOutcome) -> bool:
    return said.kind is OutcomeKind.THROTTLED and said.error_class is ErrorClass.THROTTLED


def _words(said: SendOutcome) -> str:
    """A carrier may name the callee's number; the ledger keeps these words for ever."""
    return mask_numbers(clean(f"{said.code} {said.reason}".strip(), WORDS_CHARS_MAX))


def _told(said: SendOutcome) -> Told:
    if said.error_class is ErrorClass.CONFIG:
        return Told.REFUSED_US
    if said.kind is OutcomeKind.UNKNOWN or said.error_class is ErrorClass.DOWN:
        return Told.FAILED
    return Told.TOO_FAST if _too_fast(said) else Told.ANSWERED

"""Has a canary come through lately? The rule of silence, for the alarm, the page and the metric.

    through at 1:00 · 2:00 failed · 3:00 failed ──► silent from 3:00 on: twice the hour since 1:00
    through at 1:00 · we were away till 5:00 ──► not silent till 6:00: one turn is given first

A carrier that tells of receipts has to have delivered one; of the others it is enough that they
took it. A call that rang out, was busy or met a machine came through: the carrier did its part.
It reads and changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from channels.errors import ErrorClass
from warnsvc.service.receipt_word import CUT_SHORT
from warnsvc.store.port import Unit
from warnsvc.store.test_send import TestSend, canaries_of

TURNS_MAX = 2
"""A lost canary happens; two in a row are worth a look."""

RANG = frozenset({ErrorClass.NO_ANSWER, ErrorClass.BUSY, ErrorClass.VOICEMAIL, CUT_SHORT})
"""Errors of a call that reached a phone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What is known of a carrier's canaries."""

    last: TestSend | None = None
    through_at: datetime | None = None
    """When the last one that came through was sent."""
    failing_since: datetime | None = None
    """When the first one after it was sent, if there is any."""

    def is_silent(self, minutes: int, now: datetime) -> bool:
        """Whether none has come through for too long. `minutes`: the schedule; 0: none."""
        turn = timedelta(minutes=minutes)
        since = self.through_at
        if self.failing_since is not None:
            begun = self.failing_since - turn
            since = begun if since is None else max(since, begun)
        return minutes > 0 and since is not None and now - since > TURNS_MAX * turn


async def load_heard(unit: Unit, name: str, *, receipts: bool) -> Heard:
    """Return what is known of a carrier; `receipts`: whether it tells of them."""
    last, through, after = await _read(unit, name, receipts=receipts)
    return Heard(
        last=last,
        through_at=through.sent_at if through else None,
        failing_since=after.sent_at if after else None,
    )


async def load_judged(unit: Unit, name: str) -> set[int]:
    """Return the canaries that the rule looks at, whether or not the carrier tells of receipts."""
    told = [*await _read(unit, name, receipts=True), *await _read(unit, name, receipts=False)]
    return {test.id for test in told if test is not None}


async def _read(
    unit: Unit, name: str, *, receipts: bool
) -> tuple[TestSend | None, TestSend | None, TestSend | None]:
    good = ("delivered",) if receipts else ("delivered", "accepted", "undelivered")
    return await canaries_of(unit, name, states=good, errors=_words(RANG))


def _words(classes: Iterable[str]) -> list[str]:
    return sorted(str(each) for each in classes)

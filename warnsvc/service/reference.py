"""Receipts that name only their carrier's own reference: whom they are about, if that is known yet.

    by_reference ──► an attempt ──► applied like any other receipt
                 ├─► a test     ──► its row (`service.test_word`)
                 └─► not known  ──► parked: taken up when the outcome of its send is written

It raises no alarm: a receipt is not an answer, and nothing waits for it but a "delivered".
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from channels.base import OutcomeKind, ReceiptEvent, ReceiptWord, SendOutcome
from channels.errors import ErrorClass
from warnsvc.service.test_word import mark_received
from warnsvc.store.attempt import Outcome
from warnsvc.store.inbound import clean
from warnsvc.store.port import Row, Unit
from warnsvc.store.reference import (
    Key,
    Subject,
    find_subjects,
    key_of,
    name_attempts,
    park,
)

BY_REFERENCE = "by_reference"
"""The mark of such a receipt in its fact."""


class Nameless(NamedTuple):
    """A receipt without a token, with what it says."""

    fact: Row
    said: Mapping[str, Any]

    @property
    def key(self) -> Key:
        return key_of(self.fact["carrier"], self.said["reference"])


class Found(NamedTuple):
    """What came of nameless receipts."""

    attempts: dict[int, int]
    """Inbound → attempt: to be applied."""
    of_tests: list[int]
    """Applied here."""


async def find_nameless(unit: Unit, receipts: Sequence[Nameless], now: datetime) -> Found:
    """Find what receipts are about, write it, and park the rest. Before anything else is held."""
    subjects = await find_subjects(unit, {receipt.key for receipt in receipts}, now=now)
    attempts: dict[int, int] = {}
    tests: list[tuple[int, Nameless]] = []
    waiting: list[tuple[int, str]] = []
    for receipt in receipts:
        subject = subjects.get(receipt.key, Subject())
        if subject.attempt_id is not None:
            attempts[receipt.fact["id"]] = subject.attempt_id
        elif subject.test_id is not None:
            tests.append((subject.test_id, receipt))
        else:
            waiting.append((receipt.fact["id"], receipt.key.reference))
    await name_attempts(unit, attempts)
    await park(unit, waiting)
    if tests:
        await mark_received(unit, [(test_id, _event(r)) for test_id, r in tests], now=now)
    return Found(attempts, [receipt.fact["id"] for _, receipt in tests])


def _event(receipt: Nameless) -> ReceiptEvent:
    said = receipt.said
    error_class = said.get("error_class")
    return ReceiptEvent(
        token="",
        word=ReceiptWord(said["word"]),
        dedupe_key=receipt.fact["dedupe_key"],
        reference=said["reference"],
        error_class=ErrorClass(error_class) if error_class else None,
        code=said.get("code", ""),
    )


def of_outcomes(outcomes: Iterable[Outcome], carriers: frozenset[str]) -> dict[Key, Subject]:
    """Return what references are about of what these carriers have taken."""
    subjects: dict[Key, Subject] = {}
    for outcome in outcomes:
        if outcome.carrier in carriers and outcome.state == "accepted" and outcome.reference:
            key = key_of(outcome.carrier, outcome.reference)
            subjects.setdefault(key, Subject(attempt_id=outcome.attempt_id))
    return subjects


def of_test(carrier: str, said: SendOutcome, test_id: int) -> dict[Key, Subject]:
    """Return the same of a test."""
    reference = clean(said.reference)
    if said.kind is not OutcomeKind.ACCEPTED or not reference:
        return {}
    return {key_of(carrier, reference): Subject(test_id=test_id)}


def of_look_up(carrier: str, seen: Iterable[ReceiptEvent], attempt_id: int) -> dict[Key, Subject]:
    """Return the same of an attempt that was found by looking it up."""
    references = (clean(event.reference) for event in seen)
    return {key_of(carrier, each): Subject(attempt_id=attempt_id) for each in references if each}

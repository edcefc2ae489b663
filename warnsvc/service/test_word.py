"""What becomes of a test: by its send's outcome, by receipts, and by who answers it.

    sending ──► unknown ──► accepted ──► failed ──► undelivered ──► delivered
    a word raises its state and never lowers it, as with attempts; an answer is kept beside it

It writes rows of tests and nothing else: no inbound fact, no callout, no alarm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from channels.base import (
    Channel,
    InboundEvent,
    OutcomeKind,
    ReceiptEvent,
    ReceiptWord,
    SendOutcome,
)
from channels.errors import ErrorClass
from warnsvc.logging import mask_numbers
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.service.receipt_word import CUT_SHORT, STATE_OF
from warnsvc.store.inbound import clean
from warnsvc.store.port import Unit
from warnsvc.store.test_send import TestSend, hold_tests, save_tests

TOKEN = "test"  # noqa: S105 - the kind of a token, none itself
ANSWER_CHARS_MAX = 200
WORDS_CHARS_MAX = 200
"""Enough of a carrier's words to know what is wrong."""
REFERENCE_CHARS_MAX = 200

_STATE_OF = {**STATE_OF, ReceiptWord.PLAYED: "delivered"}
"""A test asks whether a carrier brings what it is given, and keeps no facts: that it was played to
its end to somebody is enough, unless that was a mailbox."""
_RANK = {"sending": 0, "unknown": 1, "accepted": 2, "failed": 3, "undelivered": 4, "delivered": 5}
"""A word raises a test's state and never lowers it, as with attempts."""
_STATE_AFTER = {
    OutcomeKind.ACCEPTED: "accepted",
    OutcomeKind.REJECTED: "failed",
    OutcomeKind.THROTTLED: "failed",
    OutcomeKind.UNKNOWN: "unknown",
}


def after_send(test: TestSend, said: SendOutcome, now: datetime) -> TestSend:
    """A receipt may have been quicker than the outcome: what it said stays."""
    state = _STATE_AFTER[said.kind]
    test = replace(
        test, reference=test.reference or clean(said.reference, REFERENCE_CHARS_MAX) or None
    )
    if said.answer:
        test = _answered(test, said.answer, now)
    if _RANK[state] <= _RANK[test.state]:
        return test
    words = mask_numbers(clean(f"{said.code} {said.reason}".strip(), WORDS_CHARS_MAX))
    error_class = said.error_class.value if said.error_class else None
    return replace(test, state=state, error_class=error_class, error_text=words or None)


async def take_words(
    ctx: Context, channel: Channel, said: Sequence[tuple[int, ReceiptEvent | InboundEvent]]
) -> None:
    """Write down what a carrier or a callee said of tests. Durable when it returns.

    A carrier is believed about its own tests only. Raises StoreFault.
    """
    async with ctx.store.unit() as unit:
        now = ctx.clock.now()
        held = await hold_tests(unit, sorted({test_id for test_id, _ in said}))
        theirs = {i: test for i, test in held.items() if test.carrier == channel.name}
        await _save_words(unit, theirs, said, now)
    await ctx.store.wake(WAKE_BOARD)


async def mark_received(
    unit: Unit, said: Sequence[tuple[int, ReceiptEvent]], *, now: datetime
) -> None:
    """Write down receipts whose tests were found by their carriers' references (`reference`)."""
    held = await hold_tests(unit, sorted({test_id for test_id, _ in said}))
    await _save_words(unit, held, said, now)


async def _save_words(
    unit: Unit,
    held: dict[int, TestSend],
    said: Sequence[tuple[int, ReceiptEvent | InboundEvent]],
    now: datetime,
) -> None:
    for test_id, event in said:
        if test_id in held:
            held[test_id] = _after_word(held[test_id], event, now)
    await save_tests(unit, list(held.values()))


def _after_word(test: TestSend, event: ReceiptEvent | InboundEvent, now: datetime) -> TestSend:
    if isinstance(event, InboundEvent):
        return _answered(test, event.text, now)
    reference = clean(event.reference, REFERENCE_CHARS_MAX) or None
    test = replace(test, receipt_at=now, reference=test.reference or reference)
    state = _STATE_OF[event.word]
    if _RANK[state] <= _RANK[test.state] and not _was_a_mailbox(test, event):
        return test
    if event.word is ReceiptWord.PLAYED and test.error_class == ErrorClass.VOICEMAIL:
        return test
    error_class = event.error_class.value if event.error_class else None
    if event.word is ReceiptWord.CUT_SHORT:
        error_class = error_class or CUT_SHORT
    words = mask_numbers(clean(event.code, WORDS_CHARS_MAX))
    return replace(test, state=state, error_class=error_class, error_text=words or None)


def _was_a_mailbox(test: TestSend, event: ReceiptEvent) -> bool:
    """Whether what was played to its end was played to a machine; a key is pressed by a person."""
    return (
        test.state == "delivered"
        and event.error_class is ErrorClass.VOICEMAIL
        and test.answered_at is None
    )


def _answered(test: TestSend, text: str, now: datetime) -> TestSend:
    """The first answer is when he answered; the last is what he said."""
    answer = clean(text, ANSWER_CHARS_MAX)
    return replace(test, answered_at=test.answered_at or now, answer=answer)


async def mark_answered(unit: Unit, answers: Mapping[int, str], *, now: datetime) -> None:
    """Write down answers that named no test and were found to be about these (`inbound`)."""
    held = await hold_tests(unit, sorted(answers))
    await save_tests(unit, [_answered(held[i], text, now) for i, text in answers.items()])

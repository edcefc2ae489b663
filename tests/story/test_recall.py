"""Recall: a call that waits in a carrier's queue and that nobody needs any more is taken back.

The carrier of these stories queues calls: none begins to ring unless the story says so. A red rule
calls at once and after 100 and 200 seconds, in windows of five minutes; the clock stands just
behind the first call's validity unless a story says something else.
"""

import asyncio
import json
from dataclasses import replace

import pytest

from channels.base import ChannelKind, ReceiptWord
from channels.errors import ErrorClass
from tests.fakes.channel import Reject, Taken, Unknown
from tests.fakes.county import County, Issued, Person
from tests.story.conftest import Build

VOICE = ChannelKind.VOICE
WINDOW = 300


async def overdue(county: County) -> Issued:
    """A red warning whose first calls are past their validity."""
    warning = await county.red_warning()
    await county.advance(seconds=WINDOW)
    return warning


def calls_to(county: County, person: Person) -> list[Taken]:
    return [taken for taken in county.voice.taken if taken.to == person.phone.address]


def taken_back(county: County, person: Person) -> list[bool]:
    return [taken.cancelled for taken in calls_to(county, person)]


async def end_validity_of_first_calls(county: County) -> None:
    """As after a stall: an overdue call while his redials are still to come."""
    async with county.store.unit() as unit:
        await unit.execute(
            "UPDATE attempt SET valid_until = $1 WHERE channel = 'voice' AND number = 1",
            county.clock.now(),
        )


async def reasons(warning: Issued) -> list[tuple[str, int]]:
    """Why calls were taken back, and how many."""
    rows = await warning.county.rows(
        "SELECT body FROM ledger_line WHERE bulletin_id = $1 AND act = 'attempt.recalled'"
        " ORDER BY id",
        warning.id,
    )
    lines = [json.loads(row["body"]) for row in rows]
    return [(line["why"], len(line["data"]["attempts"])) for line in lines]


async def test_calls_that_wait_at_the_carrier_are_taken_back_when_it_is_over(build: Build) -> None:
    county = await build()
    warning = await county.red_warning()
    (call,) = county.voice.taken

    await warning.lift()
    asked = await county.outbox.recall()
    again = await county.outbox.recall()

    assert call.cancelled
    assert (asked, again) == (1, 0)
    assert await reasons(warning) == [("lifted", 1)]


async def test_a_call_that_is_listened_to_is_ended_when_the_warning_is_lifted(build: Build) -> None:
    county = await build()
    warning = await county.red_warning()
    (call,) = county.voice.taken
    county.voice.receipt(call, ReceiptWord.PICKED_UP)
    await county.settle()

    await warning.lift()
    await county.outbox.recall()

    assert call.cancelled
    assert await county.outbox.recall_overdue() == 0, "lifted is the other one's"


async def test_a_carrier_that_can_take_nothing_back_is_not_asked(build: Build) -> None:
    county = await build()
    county.spare(VOICE)
    county.voice.capabilities = replace(county.voice.capabilities, can_cancel=False)
    warning = await overdue(county)

    await warning.lift()

    assert (await county.outbox.recall_overdue(), await county.outbox.recall()) == (0, 0)
    assert await reasons(warning) == []


async def test_an_overdue_call_is_taken_back_once_a_newer_one_is_with_the_carrier(
    build: Build,
) -> None:
    county = await build()
    (village,) = county.villages
    warning = await overdue(county)

    asked = await county.outbox.recall_overdue()
    again = await county.outbox.recall_overdue()

    assert taken_back(county, village.first) == [True, False, False]
    assert (asked, again) == (1, 0)
    assert county.voice.asked_back == [(calls_to(county, village.first)[0].sid, False)]
    assert await reasons(warning) == [("overdue", 1)]


async def test_a_call_within_its_validity_is_left_in_the_queue(build: Build) -> None:
    county = await build()
    await county.red_warning()
    await county.advance(seconds=WINDOW - 1)

    assert await county.outbox.recall_overdue() == 0


async def test_one_call_of_a_person_is_left_however_late_it_is(build: Build) -> None:
    """He has not answered, and the warning is in force: better late than never."""
    county = await build(tiers=1, superiors=0)
    (village,) = county.villages
    warning = await county.red_warning()

    await county.advance(hours=2)
    asked = [await county.outbox.recall_overdue() for _ in range(2)]

    assert await warning.state(village) == "exhausted"
    assert asked == [2, 0]
    assert taken_back(county, village.first) == [True, True, False]
    last = calls_to(county, village.first)[-1]
    county.voice.answer(last.to, "1", to=last)
    await county.settle()
    assert (await warning.escalation(village))["late"]


@pytest.mark.parametrize("word", [ReceiptWord.RINGING, ReceiptWord.PICKED_UP])
async def test_an_overdue_call_that_has_begun_to_ring_goes_on(
    build: Build, word: ReceiptWord
) -> None:
    """The carrier knows it first; our receipt of it may still be under way."""
    county = await build()
    (village,) = county.villages
    await overdue(county)
    county.voice.receipt(calls_to(county, village.first)[0], word)
    county.voice.mail.clear()

    assert await county.outbox.recall_overdue() == 1
    assert await county.outbox.recall_overdue() == 0

    assert taken_back(county, village.first) == [False, False, False]


async def test_what_the_carrier_says_of_it_starts_nothing(build: Build) -> None:
    """No redial, no second carrier, no window: all is as if it had rung in vain."""
    county = await build()
    (village,) = county.villages
    spare = county.spare(VOICE)
    warning = await county.red_warning()
    await county.advance(seconds=100)
    before = await warning.callout(village.first), await warning.escalation(village)
    await end_validity_of_first_calls(county)

    await county.outbox.recall_overdue()
    first = calls_to(county, village.first)[0]
    county.voice.receipt(first, ReceiptWord.UNDELIVERED, ErrorClass.OTHER)
    await county.settle()

    assert first.cancelled
    calls = await warning.attempts(village.first, channel="voice")
    assert [call["state"] for call in calls] == ["undelivered", "accepted"]
    assert (await warning.callout(village.first), await warning.escalation(village)) == before
    assert spare.taken == []
    await county.advance(seconds=100)
    assert len(calls_to(county, village.first)) == 3
    await county.advance(seconds=99)
    assert (await warning.escalation(village))["tier"] == 1
    await county.advance(seconds=1)
    assert (await warning.escalation(village))["tier"] == 2


@pytest.mark.parametrize(
    ("error", "needless"),
    [
        (ErrorClass.NO_ANSWER, True),
        (ErrorClass.VOICEMAIL, True),
        (ErrorClass.BUSY, False),
        (ErrorClass.HANDSET_OFF, False),
        (ErrorClass.OTHER, False),
    ],
)
async def test_a_newer_call_that_has_ended_counts_if_his_phone_rang(
    build: Build, error: ErrorClass, needless: bool
) -> None:
    county = await build()
    (village,) = county.villages
    await overdue(county)
    for call in calls_to(county, village.first)[1:]:
        county.voice.receipt(call, ReceiptWord.UNDELIVERED, error)
    await county.settle()

    await county.outbox.recall_overdue()

    assert taken_back(county, village.first) == [needless, False, False]


async def test_a_newer_call_that_no_carrier_took_is_no_reason(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()
    refusals = Reject(ErrorClass.OTHER), *[Unknown()] * 9
    county.voice.script(*refusals, to=village.first.phone.address)
    county.voice.answers_lookups = False
    await county.advance(seconds=WINDOW)

    assert await county.outbox.recall_overdue() == 0
    calls = await warning.attempts(village.first, channel="voice")
    assert [call["state"] for call in calls] == ["accepted", "failed", "unknown"]


async def test_the_next_tiers_call_is_no_reason_and_an_answer_of_it_is(build: Build) -> None:
    """The first tier stays answerable; when the region has answered nobody needs his call."""
    county = await build()
    (village,) = county.villages
    county.voice.script(*[Reject(ErrorClass.OTHER)] * 2, to=village.first.phone.address)
    warning = await county.red_warning()
    await county.advance(seconds=2 * WINDOW)
    first = calls_to(county, village.first)
    assert len(first) == 1
    assert await county.outbox.recall_overdue() == 1, "the second person's first call"

    village.second.expects_sms().replies("1")
    await county.settle()

    assert (await warning.callout(village.first))["state"] == "stopped"
    assert await county.outbox.recall_overdue() >= 1
    assert first[0].cancelled


async def test_the_last_call_to_somebody_who_has_answered_is_taken_back(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    await county.red_warning()
    village.first.expects_sms().replies("1")
    await county.advance(seconds=WINDOW)

    await county.outbox.recall_overdue()

    assert taken_back(county, village.first) == [True]


async def test_the_last_call_about_a_warning_that_ran_out_is_taken_back(build: Build) -> None:
    county = await build(tiers=1, superiors=0)
    (village,) = county.villages
    warning = await county.red_warning(hours=1)
    await county.advance(hours=1)
    assert "bulletin.expired" in await warning.acts()

    await county.outbox.recall_overdue()

    assert taken_back(county, village.first) == [True, True, True]


async def test_two_workers_at_once_ask_for_a_call_once(build: Build) -> None:
    county = await build()
    await overdue(county)
    one = county.outbox
    county.start("worker:other")

    asked = await asyncio.gather(one.recall_overdue(), county.outbox.recall_overdue())

    assert sum(asked) == len(county.voice.asked_back) == 1


async def test_a_newer_call_that_was_itself_taken_back_is_no_reason(build: Build) -> None:
    """It is not yet known that it was cancelled; the first one is the last one left."""
    county = await build()
    (village,) = county.villages
    await overdue(county)
    async with county.store.unit() as unit:
        await unit.execute(
            "UPDATE attempt SET recalled_at = $1 WHERE channel = 'voice' AND number = 2",
            county.clock.now(),
        )
    county.voice.receipt(
        calls_to(county, village.first)[-1], ReceiptWord.UNDELIVERED, ErrorClass.OTHER
    )
    await county.settle()

    assert await county.outbox.recall_overdue() == 0


async def test_a_call_is_marked_before_the_carrier_is_asked(build: Build) -> None:
    """A process that dies on the way may have asked: it is not asked again."""
    county = await build()
    await overdue(county)

    async def dies(reference: str, *, live: bool) -> bool:
        (marked,) = await county.rows("SELECT recalled_at FROM attempt WHERE reference = $1", reference)
        assert marked["recalled_at"] is not None
        raise RuntimeError("a mistake in the adapter")

    county.voice.cancel = dies  # type: ignore[method-assign]

    assert await county.outbox.recall_overdue() == 1
    county.crash()
    assert await county.outbox.recall_overdue() == 0

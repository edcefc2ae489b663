"""Who wants no more texts: the desk hears his name, and he is called all the same."""

import pytest
from structlog.typing import EventDict

from channels.errors import ErrorClass
from tests.fakes.channel import Reject
from tests.fakes.county import County, mobile
from tests.story.conftest import Build
from warnsvc.service.alarm import acknowledge


async def told(county: County) -> list[str]:
    return [alarm["text"] for alarm in await county.alarms("opted_out")]


@pytest.mark.parametrize("word", ["STOP", " stop. ", "TD", "ｔｄ", "T", "退订", "Unsubscribe", "Opt out"])
async def test_a_reply_that_opts_out_is_no_answer_and_the_desk_hears_who_it_was(
    build: Build, word: str
) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    village.expects_sms("暴雨红色").replies(word)
    await county.advance(minutes=1)

    assert await told(county) == [f"{village.first.id} {village.first.name}"]
    assert await county.alarms("unmatched") == []
    assert await warning.state(village) == "calling"
    assert (await warning.callout(village.first))["state"] == "calling"
    assert await county.rows("SELECT id FROM answer") == []


@pytest.mark.parametrize("word", ["R", "END", "Cancel", "quit", "T1", "停", "退订吗？"])
async def test_words_that_may_be_about_the_danger_are_for_a_human_to_read(
    build: Build, word: str
) -> None:
    county = await build()
    (village,) = county.villages
    await county.red_warning()

    village.expects_sms("暴雨红色").replies(word)
    await county.settle()

    assert await told(county) == []
    assert len(await county.alarms("unmatched")) == 1


async def test_a_refused_text_is_told_once_and_takes_no_number_away(
    build: Build, logs: list[EventDict]
) -> None:
    county = await build()
    (village,) = county.villages
    person = village.first
    county.sms.script(*[Reject(ErrorClass.OPTED_OUT)] * 3, to=person.phone.address)

    warning = await county.red_warning()
    await county.advance(minutes=5)

    assert await told(county) == [f"{person.id} {person.name}"]
    person.expects_call("暴雨红色").presses("1")
    await county.settle()
    assert (await warning.callout(person))["state"] == "answered"
    numbers = await county.rows("SELECT failed_at FROM contact_number")
    assert {number["failed_at"] for number in numbers} == {None}  # that would stop his calls
    assert person.phone.address.removeprefix("+86") not in str(logs)
    (line,) = await county.rows("SELECT act FROM ledger_line WHERE act = 'contact.opted_out'")
    assert line["act"] == "contact.opted_out"


async def test_a_receipt_that_says_it_is_heard_like_a_refusal(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    await county.red_warning()

    village.expects_sms().fails(ErrorClass.OPTED_OUT)
    await county.settle()

    assert await told(county) == [f"{village.first.id} {village.first.name}"]


async def test_once_it_was_seen_it_is_told_again(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    await county.red_warning()
    text = village.expects_sms()
    text.replies("STOP")
    text.replies("TD")
    await county.settle()
    (alarm,) = await county.alarms("opted_out")

    await acknowledge(county.ctx, officer=county.duty, alarm_ids=[alarm["id"]])
    text.replies("退订")
    await county.settle()

    assert len(await told(county)) == 2


async def test_who_stands_on_a_list_and_was_never_called_is_named_and_a_stranger_is_not(
    build: Build,
) -> None:
    county = await build()
    (village,) = county.villages

    county.sms.answer(village.first.phone.address, "STOP")
    county.sms.answer(mobile(999), "STOP")
    await county.settle()

    assert await told(county) == [f"{village.first.id} {village.first.name}"]
    facts = await county.rows("SELECT state FROM inbound ORDER BY id")
    assert [fact["state"] for fact in facts] == ["applied", "unmatched"]
    assert len(await county.alarms("unmatched")) == 1

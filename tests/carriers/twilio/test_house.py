"""The whole house on Twilio: our adapters, our callbacks, our engine, and the stand-in."""

from collections.abc import AsyncIterator

import pytest

from tests.carriers.twilio.county import TwilioCounty, twilio_county
from tests.carriers.twilio.server import Cut
from warnsvc.core.bulletin import Colour
from warnsvc.service.poll import poll_carriers
from warnsvc.store.port import Store


@pytest.fixture
async def county(store: Store, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TwilioCounty]:
    async with twilio_county(store, monkeypatch, villages=3) as opened:
        yield opened


async def test_a_key_a_text_and_the_next_one_after_a_mailbox_end_three_villages(
    county: TwilioCounty,
) -> None:
    pressing, writing, away = county.villages
    county.callee(pressing.first).keys = ["9", "1"]
    county.callee(away.first).answered_by = "machine_end_beep"
    county.callee(away.second).keys = ["1"]
    warning = await county.red_warning()

    await county.replies(writing.first, " 收到。")
    await county.advance(minutes=1)

    assert await warning.state(pressing) == "answered"
    assert await warning.state(writing) == "answered"
    heard = county.callee(pressing.first).heard
    assert [verb for verb, _, _ in heard] == ["Say"] * 3
    assert "暴雨红色预警" in heard[0][2] == heard[1][2]
    assert heard[2][2].startswith("已记录")

    await county.advance(minutes=5)
    (mailbox, *_) = await warning.attempts(away.first, channel="voice")
    assert (mailbox["state"], mailbox["error_class"]) == ("undelivered", "voicemail")
    assert await warning.state(away) == "answered"
    assert (await warning.callout(away.second))["state"] == "answered"
    assert {a["carrier"] for a in await warning.attempts()} == {"twilio-sms", "twilio-voice"}


async def test_who_listens_to_the_end_has_heard_though_two_processes_were_told_of_it(
    county: TwilioCounty,
) -> None:
    listening, mailbox, hanging_up = county.villages
    county.callee(mailbox.first).answered_by = "machine_start"
    county.callee(hanging_up.first).hangs_up_at = 1
    await county.stand_behind_a_proxy()
    warning = await county.red_warning(
        colour=Colour.YELLOW, texts={"zh": "暴雨黄色预警：请注意防范。"}
    )

    await county.advance(minutes=16)  # a yellow warning calls after a quarter of an hour

    assert await warning.state(listening) == "answered"
    assert await warning.state(mailbox) == "calling"
    assert await warning.state(hanging_up) == "calling"
    rungs = [(await warning.callout(v.first))["rung"] for v in county.villages]
    assert rungs == [5, 3, 4]
    assert len(county.callee(listening.first).heard) == 3  # in one call


async def test_a_mailbox_that_is_not_known_for_one_closes_no_warning(
    county: TwilioCounty,
) -> None:
    person, unknown, new_word = county.villages
    county.callee(unknown.first).answered_by = "unknown"
    county.callee(new_word.first).answered_by = "assistant"
    warning = await county.red_warning(
        colour=Colour.YELLOW, texts={"zh": "暴雨黄色预警：请注意防范。"}
    )

    await county.advance(minutes=16)

    states = [await warning.state(v) for v in (person, unknown, new_word)]
    assert states == ["answered", "calling", "calling"]


ON_ONE_DATABASE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
"""What differs between databases is in the story above; these are about the carrier."""


@ON_ONE_DATABASE
async def test_who_listens_to_the_end_without_a_key_has_heard_and_not_answered(
    county: TwilioCounty,
) -> None:
    listening, hanging_up, _ = county.villages
    county.callee(hanging_up.first).hangs_up_at = 1
    warning = await county.red_warning()

    await county.advance(minutes=1)

    assert (await warning.callout(listening.first))["rung"] == 5
    assert (await warning.callout(hanging_up.first))["rung"] == 4
    assert await warning.states() == {"calling": 3}


@ON_ONE_DATABASE
async def test_a_forged_callback_is_refused_and_answers_for_nobody(county: TwilioCounty) -> None:
    warning = await county.red_warning()
    genuine = next(p for p in county.twilio.posts if "step=said" in p.url)
    path, body = genuine.url.removeprefix(county.url), genuine.body.decode()
    signature = genuine.headers["X-Twilio-Signature"]

    pressed = body.replace("Digits=", "Digits=1")
    assert pressed != body
    assert await county.forge(path, pressed, **{"X-Twilio-Signature": signature}) == 403
    assert await county.forge(path, pressed) == 403
    assert await county.forge("/callbacks/twilio-sms", "From=%2B7700&Body=1&SmsStatus=received") == 403
    assert await county.forge(path, body, **{"X-Twilio-Signature": signature}) == 200

    await county.advance(minutes=1)
    assert await warning.states() == {"calling": 3}


@ON_ONE_DATABASE
async def test_callbacks_that_overtake_the_answer_and_come_twice_change_nothing(
    county: TwilioCounty,
) -> None:
    county.twilio.early = county.twilio.twice = True
    for village in county.villages:
        county.callee(village.first).keys = ["1"]
    warning = await county.red_warning()

    await county.advance(minutes=1)

    assert await warning.states() == {"answered": 3}
    assert {a["state"] for a in await warning.attempts()} == {"delivered"}
    keys = [r["dedupe_key"] for r in await county.rows("SELECT dedupe_key FROM inbound")]
    assert len(keys) == len(set(keys))
    answers = await county.rows("SELECT id FROM answer")
    assert len(answers) == 3


@ON_ONE_DATABASE
async def test_what_was_taken_and_never_confirmed_is_found_and_not_sent_again(
    county: TwilioCounty,
) -> None:
    county.twilio.fault = Cut()
    warning = await county.red_warning()

    await county.advance(minutes=2)

    sids = [(m.get("To"), m.get("Body")) for m in county.twilio.messages]
    assert len(sids) == len(set(sids))
    assert {a["state"] for a in await warning.attempts(channel="sms")} == {"delivered"}
    assert not await county.rows(
        "SELECT id FROM attempt WHERE state = 'unknown' AND channel = 'sms'"
    )


@ON_ONE_DATABASE
async def test_a_reply_that_met_a_closed_door_is_fetched_and_counts(county: TwilioCounty) -> None:
    village = county.villages[0]
    warning = await county.red_warning()
    county.twilio.sms_url = ""  # nobody at home when it was announced

    await county.replies(village.first, "1")
    await poll_carriers(county.ctx)
    await county.settle()

    assert await warning.state(village) == "answered"


@ON_ONE_DATABASE
async def test_calls_that_wait_too_long_in_twilios_queue_are_taken_back_but_for_the_last(
    county: TwilioCounty,
) -> None:
    village = county.villages[0]
    number = village.first.phone.address
    county.callee(village.first).keys = ["1"]
    county.twilio.queues_calls = True
    warning = await county.red_warning()

    await county.advance(minutes=9)
    asked = await county.outbox.recall_overdue()
    await county.settle()

    calls = [call for call in county.twilio.calls if call.get("To") == number]
    assert asked == 6, "two of three to the first person of each village"
    assert [call.status for call in calls] == ["canceled", "canceled", "queued"]
    states = [a["state"] for a in await warning.attempts(village.first, channel="voice")]
    assert states == ["undelivered", "undelivered", "accepted"]
    assert (await warning.escalation(village))["tier"] == 2
    county.twilio.queues_calls = False
    await county.settle()
    assert len(county.callee(village.first).heard) == 2, "the message once, and the thanks"
    assert await warning.state(village) == "answered"

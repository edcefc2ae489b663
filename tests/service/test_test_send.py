"""A test warns nobody: it has a row of its own, and what is said of it stays there."""

from dataclasses import replace

import pytest

from channels.base import Obstacle, ReceiptWord, Unsendable, Words
from channels.errors import ErrorClass
from tests.fakes.account import TEST_PHONE, with_carriers
from tests.fakes.channel import Accept, Raise, Reject, Throttle, Unknown
from tests.fakes.county import County
from tests.fakes.faulty_store import Died
from warnsvc.core.refusal import Refusal
from warnsvc.service.canary import tend_canaries
from warnsvc.service.test_send import TESTS_A_MINUTE, request_of_test, send_test
from warnsvc.store.inbound import Inbound, insert_inbound
from warnsvc.store.port import Row


async def row_of(county: County) -> Row:
    (row,) = await county.rows("SELECT * FROM test_send")
    return row




async def test_a_test_says_that_it_is_none_and_asks_for_an_answer(county: County) -> None:
    done = await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)

    (taken,) = county.sms.taken
    assert taken.text == "【云岭县应急局】通道测试，不是预警。收到请回复1。"
    assert taken.request.form == "test"
    assert taken.request.fields["text"] == "通道测试，不是预警。收到请回复1。"
    assert taken.request.callback_url.endswith(f"/callbacks/fake-sms/{taken.request.token}")
    assert (done.state, done.reference, done.masked) == ("accepted", taken.sid, "154****9999")
    assert "9999" not in repr(done).replace(taken.text, "")


async def test_a_call_asks_for_a_key_in_the_language_that_was_chosen(county: County) -> None:
    await send_test(
        county.ctx, county.voice, address=TEST_PHONE, officer_id=county.duty, language="en"
    )

    (taken,) = county.voice.taken
    assert taken.text == (
        "云岭县应急局. Channel test, not a warning. Press 1 if you hear this."
    )


async def test_no_answer_is_asked_for_where_none_can_come_back(county: County) -> None:
    county.sms.capabilities = replace(county.sms.capabilities, inbound_countries=frozenset({"1"}))

    await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)

    assert county.sms.taken[0].text == "【云岭县应急局】通道测试，不是预警。"


async def test_the_intent_is_written_before_the_carrier_hears_of_it(county: County) -> None:
    seen: list[str] = []

    async def look(_: object) -> None:
        seen.append((await row_of(county))["state"])

    county.sms.before_send = look

    await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)

    assert seen == ["sending"]


@pytest.mark.parametrize(
    ("script", "state", "error_class"),
    [
        (Reject(ErrorClass.BAD_NUMBER, "no such number 13800138000"), "failed", "bad_number"),
        (Throttle(), "failed", "throttled"),
        (Unknown(taken=True), "unknown", "ambiguous"),
        (Raise(RuntimeError("a mistake")), "unknown", "ambiguous"),
        (Accept(early=(ReceiptWord.DELIVERED,)), "delivered", None),
    ],
)
async def test_what_the_carrier_said_is_written_down(
    county: County, script: Accept, state: str, error_class: str | None
) -> None:
    county.sms.script(script)

    done = await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)

    row = await row_of(county)
    assert (row["state"], row["error_class"]) == (done.state, done.error_class)
    assert (row["state"], row["error_class"]) == (state, error_class)
    assert "13800138000" not in (row["error_text"] or "")


async def test_a_send_whose_process_died_is_unknown_after_a_minute(county: County) -> None:
    county.sms.script(Raise(Died("killed"), taken=True))
    with pytest.raises(Died):
        await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)
    assert (await row_of(county))["state"] == "sending"

    await county.advance(seconds=61)
    await tend_canaries(with_carriers(county))

    assert (await row_of(county))["state"] == "unknown"


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ((ReceiptWord.PERSON, ReceiptWord.PLAYED, ReceiptWord.CUT_SHORT), "delivered"),
        ((ReceiptWord.PLAYED, ReceiptWord.CUT_SHORT, ReceiptWord.PERSON), "delivered"),
        ((ReceiptWord.PERSON, ReceiptWord.CUT_SHORT), "undelivered"),
        ((ReceiptWord.UNDELIVERED, ReceiptWord.PLAYED), "undelivered"),
        ((ReceiptWord.PLAYED, ReceiptWord.UNDELIVERED), "undelivered"),
    ],
    ids=["person_first", "played_first", "hung_up", "mailbox_first", "mailbox_last"],
)
async def test_what_was_played_to_its_end_has_come_through_unless_to_a_mailbox(
    county: County, words: tuple[ReceiptWord, ...], state: str
) -> None:
    await send_test(county.ctx, county.voice, address=TEST_PHONE, officer_id=county.duty)
    (taken,) = county.voice.taken

    for word in words:
        mailbox = ErrorClass.VOICEMAIL if word is ReceiptWord.UNDELIVERED else None
        county.voice.receipt(taken, word, mailbox)
    await county.settle()

    assert (await row_of(county))["state"] == state


async def test_who_pressed_a_key_was_no_mailbox(county: County) -> None:
    await send_test(county.ctx, county.voice, address=TEST_PHONE, officer_id=county.duty)
    (taken,) = county.voice.taken
    county.voice.answer(TEST_PHONE, "1", to=taken)
    county.voice.receipt(taken, ReceiptWord.DELIVERED)
    county.voice.receipt(taken, ReceiptWord.UNDELIVERED, ErrorClass.VOICEMAIL)

    await county.settle()

    assert (await row_of(county))["state"] == "delivered"


async def test_a_receipt_and_a_key_raise_the_test_and_reach_nobody_else(county: County) -> None:
    await send_test(county.ctx, county.voice, address=TEST_PHONE, officer_id=county.duty)
    (taken,) = county.voice.taken
    county.voice.receipt(taken, ReceiptWord.HEARD)
    county.voice.receipt(taken, ReceiptWord.RINGING)
    county.voice.answer(TEST_PHONE, "1", to=taken)

    await county.settle()

    row = await row_of(county)
    assert (row["state"], row["answer"]) == ("delivered", "1")
    assert row["receipt_at"] == row["answered_at"] == county.clock.now()
    assert await county.rows("SELECT id FROM inbound") == []
    assert await county.alarms() == []


async def test_a_carrier_is_not_believed_about_anothers_test(county: County) -> None:
    await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)
    (taken,) = county.sms.taken
    url = taken.request.callback_url.replace("fake-sms", "fake-voice")
    forged = replace(taken, request=replace(taken.request, callback_url=url))
    county.voice.receipt(forged, ReceiptWord.DELIVERED)

    await county.settle()

    assert (await row_of(county))["state"] == "accepted"


async def test_a_reply_that_names_nothing_answers_the_test(county: County) -> None:
    await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)
    await county.advance(minutes=3)

    county.sms.answer(TEST_PHONE, "收到")
    await county.settle()

    row = await row_of(county)
    assert (row["answer"], row["answered_at"]) == ("收到", county.clock.now())
    assert await county.alarms() == []


async def test_after_a_day_a_reply_is_something_to_look_at(county: County) -> None:
    await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)
    await county.advance(hours=25)

    county.sms.answer(TEST_PHONE, "收到")
    await county.settle()

    assert (await row_of(county))["answered_at"] is None
    assert len(await county.alarms("unmatched")) == 1


async def test_a_reply_that_came_before_the_test_is_not_about_it(county: County) -> None:
    early = Inbound(
        kind="answer",
        carrier="fake-sms",
        channel="sms",
        dedupe_key="it lay in the spool",
        received_at=county.clock.now(),
        sender=TEST_PHONE,
        text="1",
    )
    await county.advance(minutes=1)
    await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)

    async with county.store.unit() as unit:
        await insert_inbound(unit, [early])
    await county.settle()

    assert (await row_of(county))["answered_at"] is None
    assert len(await county.alarms("unmatched")) == 1


async def test_a_reply_from_somebody_who_is_being_called_is_an_answer_to_the_warning(
    county: County,
) -> None:
    village = county.villages[0]
    warning = await county.red_warning()
    number = village.first.phone.address
    await send_test(county.ctx, county.sms, address=number, officer_id=county.duty)

    county.sms.answer(number, "1")
    await county.settle()

    assert await warning.state(village) == "answered"
    assert (await row_of(county))["answered_at"] is None


async def test_a_reply_after_the_warning_is_over_is_about_the_newer_test(county: County) -> None:
    village = county.villages[0]
    warning = await county.red_warning()
    village.expects_sms().replies("1")
    await county.advance(minutes=1)
    number = village.first.phone.address
    await send_test(county.ctx, county.sms, address=number, officer_id=county.duty)
    before = (await warning.callout(village.first))["changed_at"]

    county.sms.answer(number, "2")
    await county.settle()

    assert (await row_of(county))["answer"] == "2"
    assert (await warning.callout(village.first))["changed_at"] == before


async def test_a_reply_to_what_was_sent_after_the_test_is_not_about_the_test(
    county: County,
) -> None:
    village = county.villages[0]
    number = village.first.phone.address
    await send_test(county.ctx, county.sms, address=number, officer_id=county.duty)
    await county.advance(minutes=1)
    warning = await county.red_warning()
    village.expects_sms().replies("1")
    await county.settle()

    county.sms.answer(number, "1")
    await county.settle()

    assert await warning.state(village) == "answered"
    assert (await row_of(county))["answered_at"] is None


async def test_a_number_may_be_typed_as_people_type_it(county: County) -> None:
    await send_test(county.ctx, county.sms, address="154 0000 9999", officer_id=county.duty)

    assert county.sms.taken[0].to == TEST_PHONE


@pytest.mark.parametrize("address", ["12379", "+86 138", "https://example.org/x", ""])
async def test_only_a_whole_number_is_tried(county: County, address: str) -> None:
    with pytest.raises(Refusal, match="test_no_phone"):
        await send_test(county.ctx, county.sms, address=address, officer_id=county.duty)

    assert county.sms.tries == []
    assert await county.rows("SELECT id FROM test_send") == []


async def test_an_endpoint_is_an_https_address(county: County) -> None:
    with pytest.raises(Refusal, match="test_no_endpoint"):
        await send_test(
            county.ctx, county.webhook, address="http://example.org/", officer_id=county.duty
        )

    county.webhook.script(Accept(answer="1"))
    done = await send_test(
        county.ctx, county.webhook, address="https://example.org/hook", officer_id=county.duty
    )

    assert (done.state, done.answer) == ("accepted", "1")


async def test_what_a_carrier_cannot_send_is_refused_with_its_reason(county: County) -> None:
    def refuse(words: Words) -> Unsendable:
        return Unsendable(obstacle=Obstacle.TOO_LONG, limit=5, given=len(words.text))

    county.sms.check = refuse  # type: ignore[method-assign]

    with pytest.raises(Refusal) as refused:
        await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)

    assert (refused.value.code, refused.value.params["most"]) == ("test_too_long", 5)
    assert county.sms.tries == []


async def test_an_officer_has_so_many_tests_a_minute_and_no_more(county: County) -> None:
    for _ in range(TESTS_A_MINUTE):
        await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)

    with pytest.raises(Refusal, match="tests_too_many"):
        await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)
    await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.signer)
    await county.advance(seconds=61)
    await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)

    assert len(county.sms.taken) == TESTS_A_MINUTE + 2


async def test_the_ledger_knows_who_tested_what_and_no_whole_number(county: County) -> None:
    await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)

    (line,) = await county.rows("SELECT body FROM ledger_line WHERE act = 'carrier.tested'")
    assert b'"fake-sms"' in line["body"]
    assert f"officer:{county.duty}".encode() in line["body"]
    assert b"00009999" not in line["body"]


async def test_a_call_that_asks_hears_the_same_words_again(county: County) -> None:
    await send_test(
        county.ctx, county.voice, address=TEST_PHONE, officer_id=county.duty, language="en"
    )
    (taken,) = county.voice.taken

    again = await request_of_test(county.ctx, county.voice, 1)

    assert again is not None
    assert (again.text, again.language, again.token) == (
        taken.text,
        "en",
        taken.request.token,
    )
    assert await request_of_test(county.ctx, county.sms, 1) is None

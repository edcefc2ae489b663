"""Alibaba Cloud SMS: its codes, its batches, its look-up, its limits."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels.aliyun_callback import callback_key
from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    Inquiry,
    OutcomeKind,
    ReceiptWord,
    SendRequest,
    SignatureInvalid,
)
from channels.errors import ErrorClass
from channels.registry import ChannelMisconfigured, build_channels
from tests.carriers.aliyun.rigs import PHONE, SECRET, AliyunSmsRig
from tests.carriers.aliyun.standin import START

TEXT = "清河县应急管理局：山洪橙色预警，收到回1，无法到岗回2。"


def request(rig: Any, **changes: Any) -> SendRequest:
    made = SendRequest(
        token="tok-0001",
        to=PHONE,
        text=TEXT,
        language="zh",
        valid_until=rig.now() + timedelta(minutes=10),
        callback_url="",
    )
    return replace(made, **changes)


def batch(rig: AliyunSmsRig, *objects: object, **changes: Any) -> CallbackRequest:
    made = CallbackRequest(
        url=f"https://warn.example.org/callbacks/aliyun-test?{rig.channel.callback_query}",
        headers={"Content-Type": "application/json"},
        body=json.dumps(objects).encode(),
        remote="203.0.113.9",
    )
    return replace(made, **changes)


def report(**changes: Any) -> dict[str, Any]:
    return {
        "phone_number": "13912345678",
        "send_time": "2025-07-11 14:00:00",
        "report_time": "2025-07-11 14:00:03",
        "success": True,
        "err_code": "DELIVERED",
        "sms_size": "1",
        "biz_id": "900001^0",
        "out_id": "tok-0001",
    } | changes


# --- what a send comes to -------------------------------------------------------------------------


async def test_a_text_goes_out_with_sign_name_template_values_and_our_token(
    sms: AliyunSmsRig,
) -> None:
    outcome = await sms.channel.send(request(sms))

    asked = sms.carrier.requests[-1]
    assert asked == {
        "Action": "SendSms",
        "PhoneNumbers": "13912345678",
        "SignName": "清河县应急管理局",
        "TemplateCode": "SMS_1",
        "TemplateParam": json.dumps({"text": TEXT}, ensure_ascii=False),
        "OutId": "tok-0001",
    }
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert outcome.reference == sms.carrier.sent[0].reference


async def test_parts_are_counted_with_the_sign_name_in_front(sms: AliyunSmsRig) -> None:
    fits = await sms.channel.send(request(sms, text="字" * 60))
    over = await sms.channel.send(request(sms, text="字" * 61, token="tok-0002"))

    assert (fits.parts, over.parts) == (1, 2)


@pytest.mark.parametrize(
    ("status", "code", "kind", "error_class"),
    [
        (200, "isv.MOBILE_NUMBER_ILLEGAL", OutcomeKind.REJECTED, ErrorClass.BAD_NUMBER),
        (200, "isv.BUSINESS_LIMIT_CONTROL", OutcomeKind.REJECTED, ErrorClass.UNROUTABLE),
        (400, "isv.BUSINESS_LIMIT_CONTROL", OutcomeKind.REJECTED, ErrorClass.UNROUTABLE),
        (200, "isv.AMOUNT_NOT_ENOUGH", OutcomeKind.REJECTED, ErrorClass.CONFIG),
        (200, "isv.OUT_OF_SERVICE", OutcomeKind.REJECTED, ErrorClass.CONFIG),
        (200, "isv.ACCOUNT_ABNORMAL", OutcomeKind.REJECTED, ErrorClass.CONFIG),
        (200, "isv.SMS_SIGNATURE_ILLEGAL", OutcomeKind.REJECTED, ErrorClass.CONFIG),
        (200, "isv.DAY_LIMIT_CONTROL", OutcomeKind.REJECTED, ErrorClass.CONFIG),
        (200, "isv.BLACK_KEY_CONTROL_LIMIT", OutcomeKind.REJECTED, ErrorClass.FILTERED),
        (200, "isv.SMS_CONTENT_ILLEGAL", OutcomeKind.REJECTED, ErrorClass.FILTERED),
        (200, "isv.SMS_TEMPLATE_ILLEGAL", OutcomeKind.REJECTED, ErrorClass.FILTERED),
        (200, "isv.SOMETHING_NEW", OutcomeKind.REJECTED, ErrorClass.OTHER),
        (400, "SignatureDoesNotMatch", OutcomeKind.REJECTED, ErrorClass.CONFIG),
        (404, "InvalidAccessKeyId.NotFound", OutcomeKind.REJECTED, ErrorClass.CONFIG),
        (403, "Forbidden.RAM", OutcomeKind.REJECTED, ErrorClass.CONFIG),
        (400, "Throttling.Api", OutcomeKind.THROTTLED, ErrorClass.THROTTLED),
        (503, "Throttling", OutcomeKind.THROTTLED, ErrorClass.THROTTLED),
        (200, "isp.SYSTEM_ERROR", OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (500, "isp.SYSTEM_ERROR", OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (500, "InternalError", OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (502, "", OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (200, "", OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
        (302, "", OutcomeKind.REJECTED, ErrorClass.CONFIG),
        (404, "", OutcomeKind.REJECTED, ErrorClass.CONFIG),
    ],
)
async def test_what_the_carrier_says_becomes_our_word(
    sms: AliyunSmsRig, status: int, code: str, kind: OutcomeKind, error_class: ErrorClass
) -> None:
    sms.carrier.refuse_with = (status, code, "the carrier's own words", {})

    outcome = await sms.channel.send(request(sms))

    assert (outcome.kind, outcome.error_class) == (kind, error_class)
    assert outcome.code in (code, str(status))


async def test_the_51st_text_of_a_day_is_refused_for_this_phone_only(sms: AliyunSmsRig) -> None:
    """Were it taken for "too fast", everybody else would wait with it."""
    for number in range(50):
        taken = await sms.channel.send(request(sms, token=f"tok-{number}"))
        assert taken.kind is OutcomeKind.ACCEPTED

    refused = await sms.channel.send(request(sms, token="tok-50"))
    other = await sms.channel.send(request(sms, token="tok-51", to="+8613900000009"))

    assert (refused.kind, refused.error_class) == (OutcomeKind.REJECTED, ErrorClass.UNROUTABLE)
    assert "天级" in refused.reason
    assert other.kind is OutcomeKind.ACCEPTED
    limit = sms.channel.capabilities.per_callee[0]
    assert (limit.count, limit.seconds, limit.hard) == (50, 86_400, True)


@pytest.mark.parametrize(
    ("to", "error_class"),
    [
        ("+77011234567", ErrorClass.UNROUTABLE),
        ("+85291234567", ErrorClass.UNROUTABLE),
        ("+869915551234", ErrorClass.NOT_CAPABLE),
        ("+8612345", ErrorClass.BAD_NUMBER),
    ],
)
async def test_numbers_it_cannot_text(
    sms: AliyunSmsRig, to: str, error_class: ErrorClass
) -> None:
    outcome = await sms.channel.send(request(sms, to=to))

    assert (outcome.kind, outcome.error_class) == (OutcomeKind.REJECTED, error_class)
    assert sms.carrier.sent == []


async def test_an_expired_text_is_not_even_asked_about(sms: AliyunSmsRig) -> None:
    outcome = await sms.channel.send(request(sms, valid_until=sms.now()))

    assert outcome.error_class is ErrorClass.EXPIRED
    assert sms.carrier.requests == []


# --- batches --------------------------------------------------------------------------------------


async def test_one_batch_holds_the_reports_of_many(sms: AliyunSmsRig) -> None:
    sms.carrier.holds_back = 5.0
    sms.carrier.operators["13900000002"] = "MK:0001"
    for number in range(4):
        await sms.channel.send(
            request(sms, token=f"tok-{number}", to=f"+861390000000{number}")
        )
    await sms.carrier.timeline.advance(60)

    callbacks = sms.inbox.take()
    events = [e for one in callbacks for e in sms.channel.parse_receipts(one)]
    assert len(callbacks) == 1
    assert {e.token: (e.word, e.error_class) for e in events} == {
        "tok-0": (ReceiptWord.DELIVERED, None),
        "tok-1": (ReceiptWord.DELIVERED, None),
        "tok-2": (ReceiptWord.UNDELIVERED, ErrorClass.BAD_NUMBER),
        "tok-3": (ReceiptWord.DELIVERED, None),
    }


async def test_a_batch_that_was_not_taken_comes_again_until_it_hears_zero(
    sms: AliyunSmsRig,
) -> None:
    sms.inbox.failures = 2
    await sms.channel.send(request(sms))
    await sms.carrier.timeline.advance(3_600)

    assert [at - START for at, _ in sms.carrier.pushes] == [
        timedelta(seconds=3),
        timedelta(seconds=63),
        timedelta(seconds=363),
    ]
    assert len(sms.inbox.take()) == 1


async def test_after_three_retries_a_batch_is_gone_and_the_look_up_still_knows(
    sms: AliyunSmsRig,
) -> None:
    sms.inbox.failures = 99
    await sms.channel.send(request(sms))
    await sms.carrier.timeline.advance(7_200)

    found = await sms.channel.lookup(Inquiry(token="tok-0001", to=PHONE, sent_at=START))

    assert len(sms.carrier.pushes) == 4
    assert found is not None
    assert [event.word for event in found] == [ReceiptWord.DELIVERED]


async def test_the_provider_hears_a_number_and_may_forget(sms: AliyunSmsRig) -> None:
    said = sms.channel.reply(batch(sms, report()), None)

    assert (said.status, said.content_type) == (200, "application/json")
    assert json.loads(said.body)["code"] == 0


async def test_times_without_a_zone_are_chinas(sms: AliyunSmsRig) -> None:
    (event,) = sms.channel.parse_receipts(batch(sms, report()))

    assert event.happened_at == datetime(2025, 7, 11, 6, 0, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "word", "error_class"),
    [
        ({"err_code": "DELIVERED"}, ReceiptWord.DELIVERED, None),
        ({"success": "true", "err_code": ""}, ReceiptWord.DELIVERED, None),
        ({"success": False, "err_code": "MK:0001"}, ReceiptWord.UNDELIVERED, ErrorClass.BAD_NUMBER),
        ({"success": False, "err_code": "MI:0024"}, ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF),
        ({"success": False, "err_code": "DB:0144"}, ReceiptWord.UNDELIVERED, ErrorClass.OPTED_OUT),
        ({"success": False, "err_code": "CONTENT_KEYWORD"}, ReceiptWord.UNDELIVERED, ErrorClass.FILTERED),
        ({"success": False, "err_code": "ID:1092"}, ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
        ({"success": False, "err_code": None}, ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
    ],
)
async def test_reports_become_our_words(
    sms: AliyunSmsRig, given: Mapping[str, Any], word: ReceiptWord, error_class: ErrorClass | None
) -> None:
    (event,) = sms.channel.parse_receipts(batch(sms, report(**given)))

    assert (event.word, event.error_class) == (word, error_class)


async def test_what_in_a_batch_cannot_be_read_does_not_take_the_rest_with_it(
    sms: AliyunSmsRig,
) -> None:
    events = sms.channel.parse_receipts(
        batch(
            sms,
            "nonsense",
            report(out_id=""),
            report(out_id=None),
            report(out_id="tok-7", report_time="yesterday"),
            None,
        )
    )

    assert [(event.token, event.happened_at) for event in events] == [("tok-7", None)]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'"x"', b"[1, 2]", b"\xff\xfe", b"[" * 10_000, b"null"]
)
async def test_a_damaged_batch_is_kept_for_a_human(sms: AliyunSmsRig, body: bytes) -> None:
    for parse in (sms.channel.parse_receipts, sms.channel.parse_inbound):
        with pytest.raises(CallbackMalformed):
            parse(batch(sms, body=body))


# --- replies --------------------------------------------------------------------------------------


async def test_replies_are_read_with_who_sent_them_and_when(sms: AliyunSmsRig) -> None:
    event, other = sms.channel.parse_inbound(
        batch(
            sms,
            {
                "phone_number": "13912345678",
                "content": "1 收到",
                "send_time": "2025-07-11 14:03:00",
                "dest_code": "4455",
                "sequence_id": "1234567890",
            },
            {"phone_number": "+8613912345679", "content": "２", "send_time": "20250711140300",
             "sequence_id": 77},
        )
    )

    assert (event.sender, event.text, event.recipient) == (PHONE, "1 收到", "4455")
    assert event.happened_at == datetime(2025, 7, 11, 6, 3, tzinfo=UTC)
    assert event.dedupe_key == "1234567890"
    assert (other.sender, other.dedupe_key) == ("+8613912345679", "77")
    assert other.happened_at == event.happened_at


async def test_a_reply_without_a_number_of_its_own_is_told_from_others_by_what_it_is(
    sms: AliyunSmsRig,
) -> None:
    def one(**changes: str) -> str:
        reply = {"phone_number": "13912345678", "content": "1", "send_time": "2025-07-11 14:03:00"}
        return str(sms.channel.parse_inbound(batch(sms, reply | changes))[0].dedupe_key)

    assert one() == one()
    assert len({one(), one(content="2"), one(phone_number="13912345679"),
                one(send_time="2025-07-11 14:04:00")}) == 4


@pytest.mark.parametrize("stamp", ["", "1", "soon", "1970-01-01 08:00:00"])
async def test_without_a_number_and_a_time_the_same_word_of_next_week_is_another_reply(
    sms: AliyunSmsRig, stamp: str
) -> None:
    def one() -> str:
        reply = {"phone_number": "13912345678", "content": "1", "send_time": stamp}
        return str(sms.channel.parse_inbound(batch(sms, reply))[0].dedupe_key)

    first = one()

    assert one() == first
    await sms.carrier.timeline.advance(7 * 86_400)
    assert one() != first


async def test_half_a_character_in_a_reply_is_no_error_of_ours(sms: AliyunSmsRig) -> None:
    (event,) = sms.channel.parse_inbound(
        batch(sms, {"phone_number": "13912345678", "content": "1\ud83d"})
    )

    assert event.sender == "+8613912345678"
    assert event.dedupe_key


async def test_a_reply_of_which_half_is_missing_still_reaches_a_person(sms: AliyunSmsRig) -> None:
    (event,) = sms.channel.parse_inbound(batch(sms, {"content": "救命"}))

    assert (event.sender, event.text) == ("", "救命")


async def test_a_mixed_batch_gives_each_reader_its_own(sms: AliyunSmsRig) -> None:
    mixed = batch(sms, report(), {"phone_number": "13912345678", "content": "1"})

    assert [event.token for event in sms.channel.parse_receipts(mixed)] == ["tok-0001"]
    assert [event.text for event in sms.channel.parse_inbound(mixed)] == ["1"]


# --- who may post ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    ["", "?key=", "?key=" + "0" * 32, f"?key={callback_key(SECRET, 'another')}", "?k=1", "?key=%ff"],
)
async def test_without_the_right_key_nothing_is_believed(sms: AliyunSmsRig, query: str) -> None:
    forged = batch(sms, report(), url=f"https://warn.example.org/callbacks/aliyun-test{query}")

    for parse in (sms.channel.parse_receipts, sms.channel.parse_inbound):
        with pytest.raises(SignatureInvalid):
            parse(forged)


async def test_during_a_rotation_both_addresses_work(sms: AliyunSmsRig) -> None:
    rotating = sms.make(secrets=["new-word", SECRET])
    old, new = batch(sms, report()), batch(sms, report())
    new = replace(new, url=f"https://x.example.org/callbacks/a?{rotating.callback_query}")

    assert rotating.parse_receipts(old) == rotating.parse_receipts(new)
    assert old.url != new.url
    await rotating.close()


@pytest.mark.parametrize(
    ("remote", "believed"),
    [
        ("203.0.113.9", True),
        ("::ffff:203.0.113.9", True),
        ("2001:db8::1", True),
        ("203.0.114.9", False),
        ("", False),
        ("nonsense", False),
    ],
)
async def test_with_a_list_of_addresses_others_are_not_believed(
    sms: AliyunSmsRig, remote: str, believed: bool
) -> None:
    guarded = sms.make(allow_from="203.0.113.0/24, 2001:db8::/32")
    posted = batch(sms, report(), remote=remote)

    if believed:
        assert len(guarded.parse_receipts(posted)) == 1
    else:
        with pytest.raises(SignatureInvalid):
            guarded.parse_receipts(posted)
    await guarded.close()


async def test_a_batch_at_the_address_of_one_try_holds_for_that_alone(sms: AliyunSmsRig) -> None:
    with pytest.raises(CallbackMalformed):
        sms.channel.parse_receipts(batch(sms, report(), token="tok-9999"))


# --- the look-up ----------------------------------------------------------------------------------


async def test_a_send_that_is_not_found_yet_may_still_turn_up(sms: AliyunSmsRig) -> None:
    careful = sms.make(settle_seconds=60.0)
    inquiry = Inquiry(token="tok-0001", to=PHONE, sent_at=sms.now())

    at_once = await careful.lookup(inquiry)
    await sms.carrier.timeline.advance(61)
    later = await careful.lookup(inquiry)
    await careful.close()

    assert at_once is None
    assert later == []


async def test_a_phone_with_sixty_texts_a_day_is_looked_through_to_the_last_page(
    sms: AliyunSmsRig,
) -> None:
    for number in range(60):
        sms.carrier._dialled.clear()
        await sms.channel.send(request(sms, token=f"tok-{number}"))

    found = await sms.channel.lookup(Inquiry(token="tok-59", to=PHONE, sent_at=sms.now()))

    assert found is not None
    assert [event.word for event in found] == [ReceiptWord.ACCEPTED]
    assert sms.carrier.requests[-1]["CurrentPage"] == "2"


async def test_around_midnight_in_china_two_days_are_looked_through(sms: AliyunSmsRig) -> None:
    midnight = datetime(2025, 7, 11, 16, 0, tzinfo=UTC)
    await sms.carrier.timeline.run_until(midnight)
    await sms.channel.send(request(sms, valid_until=midnight + timedelta(hours=1)))

    found = await sms.channel.lookup(
        Inquiry(token="tok-0001", to=PHONE, sent_at=midnight - timedelta(seconds=2))
    )

    assert found is not None
    assert [event.token for event in found] == ["tok-0001"]


async def test_a_list_that_is_shorter_than_its_count_is_no_answer(sms: AliyunSmsRig) -> None:
    """Seen with the real one: a count of two, and an empty list."""
    sms.carrier._details = lambda _: {  # type: ignore[method-assign]
        "Code": "OK",
        "TotalCount": "2",
        "SmsSendDetailDTOs": {"SmsSendDetailDTO": []},
    }

    assert await sms.channel.lookup(Inquiry(token="tok-1", to=PHONE, sent_at=sms.now())) is None


# --- set-up ---------------------------------------------------------------------------------------


async def test_it_is_built_from_plain_configuration(sms: AliyunSmsRig) -> None:
    table = {
        "name": "aliyun",
        "adapter": "aliyun-sms",
        "access_key_id": "LTAI-test",
        "secret": SECRET,
        "sign_name": "清河县应急管理局",
        "templates_file": sms.file(sms.templates),
    }

    channel = build_channels([table])["aliyun"]

    assert repr(channel) == "<AliyunSms aliyun at dysmsapi.aliyuncs.com>"
    assert channel.capabilities.countries == channel.capabilities.inbound_countries == {"86"}
    assert not channel.capabilities.free_text
    assert channel.capabilities.languages == {"zh"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"allow_from": "the office"}, "allow_from"),
        ({"base_url": "dysmsapi.aliyuncs.com"}, "base_url"),
        ({"templates_file": "/nowhere/at/all.toml"}, "/nowhere/at/all.toml"),
        ({"secret": ""}, "secret"),
    ],
)
async def test_a_mistake_in_the_set_up_stops_the_start_with_a_sentence(
    sms: AliyunSmsRig, changes: dict[str, str], says: str
) -> None:
    table = {
        "name": "aliyun",
        "adapter": "aliyun-sms",
        "access_key_id": "LTAI-test",
        "secret": SECRET,
        "sign_name": "x",
        "templates_file": sms.file(sms.templates),
    } | changes

    with pytest.raises(ChannelMisconfigured, match=says) as fault:
        build_channels([table])

    assert SECRET not in str(fault.value)

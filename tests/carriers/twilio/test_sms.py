"""Text messages through Twilio: what is asked of it, and what its words mean."""

from dataclasses import replace
from datetime import timedelta

import pytest

from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    Inquiry,
    OutcomeKind,
    ReceiptWord,
    SignatureInvalid,
    inbound_possible,
    reaches,
)
from channels.errors import ErrorClass
from channels.twilio_country import TWO_WAY, replies_from
from tests.carriers.twilio.conftest import request_for
from tests.carriers.twilio.rigs import SmsRig
from tests.carriers.twilio.server import NUMBER, SERVICE, TOKEN, Fail, sign


async def test_a_message_is_asked_for_with_its_address_and_validity(sms: SmsRig) -> None:
    request = request_for(sms, valid_until=sms.now() + timedelta(seconds=90))

    await sms.channel.send(request)

    assert sms.server.messages[0].form == {
        "To": [request.to],
        "From": [NUMBER],
        "Body": [request.text],
        "StatusCallback": [f"{request.callback_url}#rc=5&rp=all"],
        "ValidityPeriod": ["90"],
        "SmartEncoded": ["false"],
    }


async def test_a_messaging_service_counts_parts_later_so_we_count(sms: SmsRig) -> None:
    channel = sms.make(sender="", messaging_service_sid=SERVICE)

    outcome = await channel.send(request_for(sms, text="洪" * 140))

    await channel.close()
    assert outcome.parts == 3
    assert sms.server.messages[0].form["MessagingServiceSid"] == [SERVICE]
    assert "From" not in sms.server.messages[0].form


async def test_twilio_keeps_nothing_longer_than_ten_hours(sms: SmsRig) -> None:
    await sms.channel.send(request_for(sms, valid_until=sms.now() + timedelta(hours=20)))

    assert sms.server.messages[0].get("ValidityPeriod") == "36000"


@pytest.mark.parametrize(
    ("status", "error", "word", "error_class", "code"),
    [
        ("delivered", "", ReceiptWord.DELIVERED, None, ""),
        ("read", "", ReceiptWord.DELIVERED, None, ""),
        ("sent", "", ReceiptWord.SENT, None, ""),
        ("undelivered", "30003", ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF, "30003"),
        ("undelivered", "30005", ReceiptWord.UNDELIVERED, ErrorClass.BAD_NUMBER, "30005"),
        ("failed", "30007", ReceiptWord.UNDELIVERED, ErrorClass.FILTERED, "30007"),
        ("failed", "", ReceiptWord.UNDELIVERED, ErrorClass.OTHER, "failed"),
        ("partially_delivered", "", ReceiptWord.UNDELIVERED, ErrorClass.OTHER, "partially_delivered"),
        ("canceled", "", ReceiptWord.UNDELIVERED, ErrorClass.OTHER, "canceled"),
        ("brand_new_word", "", ReceiptWord.ACCEPTED, ErrorClass.OTHER, "brand_new_word"),
    ],
)
async def test_a_status_means_one_thing(
    sms: SmsRig,
    status: str,
    error: str,
    word: ReceiptWord,
    error_class: ErrorClass | None,
    code: str,
) -> None:
    person = sms.server.person(sms.good_address)
    person.text_ends, person.text_error = status, error

    event = sms.channel.parse_receipts((await sms.receipts_of(request_for(sms)))[-1])[0]

    assert (event.word, event.error_class, event.code) == (word, error_class, code)
    assert event.dedupe_key == f"{event.reference}:{status}"


async def test_a_callback_that_meets_a_closed_door_comes_again(sms: SmsRig) -> None:
    sms.door.failures = 4

    callbacks = await sms.receipts_of(request_for(sms))

    assert [sms.channel.parse_receipts(c)[0].word for c in callbacks] == [
        ReceiptWord.SENT,
        ReceiptWord.DELIVERED,
    ]


async def test_a_receipt_that_comes_before_the_answer_is_about_the_same_try(sms: SmsRig) -> None:
    sms.server.early = True

    outcome = await sms.send(request_for(sms))

    event = sms.channel.parse_receipts(sms.door.take()[0])[0]
    assert (event.token, event.reference) == ("tok-0001", outcome.reference)


@pytest.mark.parametrize(
    ("body", "opt_out", "text"),
    [
        (" STOP  please ", "", " STOP  please "),
        ("别发了", "STOP", "STOP"),  # a word of the account's own
        ("HELP", "HELP", "HELP"),
        ("我要", "START", "我要"),
    ],
)
async def test_who_opts_out_is_heard_as_a_person(
    sms: SmsRig, body: str, opt_out: str, text: str
) -> None:
    await sms.server.text(sms.good_address, body, opt_out=opt_out)
    callback = sms.door.take()[0]

    (event,) = sms.channel.parse_inbound(callback)

    assert (event.sender, event.text, event.recipient) == (sms.good_address, text, NUMBER)
    assert event.token == ""
    assert sms.channel.reply(callback, None).body == "<Response/>"


async def test_a_status_callback_at_an_address_of_no_try_is_for_a_human(sms: SmsRig) -> None:
    genuine = (await sms.receipts_of(request_for(sms)))[0]

    with pytest.raises(CallbackMalformed):
        sms.channel.parse_receipts(replace(genuine, token=""))


# Signatures --------------------------------------------------------------------------------------


async def test_two_tokens_are_believed_while_one_replaces_the_other(sms: SmsRig) -> None:
    genuine = (await sms.receipts_of(request_for(sms)))[0]

    rotating = sms.make(secrets=["the-new-token", TOKEN])
    rotated = sms.make(secrets=["the-new-token"])

    assert rotating.parse_receipts(genuine)
    with pytest.raises(SignatureInvalid):
        rotated.parse_receipts(genuine)


@pytest.mark.parametrize("port", ["", ":443"])
async def test_a_signature_holds_with_and_without_the_usual_port(sms: SmsRig, port: str) -> None:
    url = "https://county.example/callbacks/twilio-sms/tok?x=%E6%B4%AA"
    signed = url.replace("county.example", f"county.example{port}")
    body = b"MessageSid=SM1&MessageStatus=sent&A=1&A=2&B=%E6%B4%AA+%2B"
    pairs = [("MessageSid", "SM1"), ("MessageStatus", "sent"), ("A", "1"), ("A", "2"), ("B", "洪 +")]
    headers = {"x-twilio-signature": sign(TOKEN, signed, pairs)}
    request = CallbackRequest(url=url, headers=headers, body=body, token="tok")

    assert sms.channel.parse_receipts(request)[0].word is ReceiptWord.SENT
    with pytest.raises(SignatureInvalid):  # a scheme that is not the one Twilio called
        sms.channel.parse_receipts(replace(request, url=url.replace("https", "http")))


async def test_a_callback_signed_with_a_shared_key_is_believed(sms: SmsRig) -> None:
    url = sms.callback_url("tok")
    pairs = [("MessageSid", "SM1"), ("MessageStatus", "sent")]
    settings = {"X-Twilio-Webhooks-Signature-Settings": "key=sk_1,algorithm=HMAC_SHA256"}
    body = b"MessageSid=SM1&MessageStatus=sent"
    request = CallbackRequest(
        url=url,
        headers={"X-Twilio-Signature": sign(TOKEN, url, pairs, "sha256"), **settings},
        body=body,
        token="tok",
    )

    assert sms.channel.parse_receipts(request)
    odd = {**request.headers, "X-Twilio-Webhooks-Signature-Settings": "key=1,algorithm=NONE"}
    with pytest.raises(SignatureInvalid):
        sms.channel.parse_receipts(replace(request, headers=odd))


async def test_a_callback_by_get_is_signed_by_its_address_alone(sms: SmsRig) -> None:
    url = f"{sms.callback_url('tok')}?MessageSid=SM1&MessageStatus=sent"
    headers = {"X-Twilio-Signature": sign(TOKEN, url, [])}
    request = CallbackRequest(url=url, headers=headers, body=b"", token="tok", method="GET")

    assert sms.channel.parse_receipts(request)[0].reference == "SM1"


@pytest.mark.parametrize(
    "body",
    [b'{"MessageStatus": "sent"}', b"\xff\xfe", b"a=%ff", b"&".join([b"a=1"] * 200), b"x" * 70_000],
    ids=["json", "not ascii", "not utf-8", "too many fields", "too long"],
)
async def test_what_is_no_form_of_twilios_is_refused_and_no_fault_of_ours(
    sms: SmsRig, body: bytes
) -> None:
    headers = {"X-Twilio-Signature": "c2lnbmF0dXJl"}
    request = CallbackRequest(url=sms.callback_url("t"), headers=headers, body=body, token="t")

    with pytest.raises(SignatureInvalid):
        sms.channel.parse_receipts(request)


# Look-up and poll --------------------------------------------------------------------------------


def inquiry(sms: SmsRig, **changes: object) -> Inquiry:
    request = request_for(sms)
    values = {"token": "tok-0001", "to": request.to, "text": request.text, "sent_at": sms.now()}
    return Inquiry(**{**values, **changes})  # type: ignore[arg-type]


async def test_what_still_waits_in_twilios_queue_is_found(sms: SmsRig) -> None:
    """It has no DateSent: a look-up that filters by it would send the message again."""
    sms.take_and_cut()
    await sms.channel.send(request_for(sms))
    sms.clock.move(minutes=3)

    found = await sms.channel.lookup(inquiry(sms, sent_at=sms.now() - timedelta(minutes=3)))

    assert [event.word for event in found] == [ReceiptWord.ACCEPTED]


async def test_two_that_could_be_it_are_no_answer(sms: SmsRig) -> None:
    for token in ("tok-0001", "tok-0002"):  # two people who share a phone
        await sms.channel.send(request_for(sms, token))
    sms.clock.move(minutes=3)

    assert await sms.channel.lookup(inquiry(sms, sent_at=sms.now() - timedelta(minutes=3))) is None


async def test_the_same_text_of_an_hour_ago_is_another_try(sms: SmsRig) -> None:
    await sms.channel.send(request_for(sms))
    sms.clock.move(hours=1)
    asked = inquiry(sms)
    sms.clock.move(seconds=61)

    assert await sms.channel.lookup(asked) == []


async def test_a_list_that_does_not_reach_back_far_enough_is_no_answer(sms: SmsRig) -> None:
    asked = inquiry(sms, text="never sent")
    for n in range(201):
        await sms.channel.send(request_for(sms, f"tok-{n}"))
    sms.clock.move(seconds=61)

    assert await sms.channel.lookup(asked) is None


async def test_a_trial_accounts_sentence_before_the_text_hides_nothing(sms: SmsRig) -> None:
    request = request_for(sms, text=f"Sent from your Twilio trial account - {request_for(sms).text}")
    await sms.channel.send(request)

    assert await sms.channel.lookup(inquiry(sms))


async def test_a_known_reference_is_asked_for_by_name(sms: SmsRig) -> None:
    outcome = await sms.channel.send(request_for(sms))
    await sms.server.settle()

    found = await sms.channel.lookup(inquiry(sms, reference=outcome.reference, text="", to=""))

    assert [event.word for event in found] == [ReceiptWord.DELIVERED]
    assert await sms.channel.lookup(inquiry(sms, reference="SM404")) is None


async def test_replies_are_fetched_page_by_page_oldest_first(
    sms: SmsRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.twilio_poll.PAGE_SIZE", 2)
    sms.server.sms_url = ""
    await sms.server.text("+8613900000001", "before")
    sms.clock.move(minutes=5)
    since = sms.now()
    for n in range(5):
        await sms.server.text("+8613900000001", f"第{n}条")
        sms.clock.move(seconds=1)
    await sms.server.text("+8613900000001", "for another number", to="+15005559999")

    fetched = await sms.channel.poll_inbound(since)

    assert [event.text for event in fetched.events] == [f"第{n}条" for n in range(5)]
    assert fetched.until is None
    assert sum(method == "GET" for method, _ in sms.server.requests) == 3


async def test_a_poll_without_an_answer_says_so(sms: SmsRig) -> None:
    await sms.refuse_connections()

    assert await sms.channel.poll_inbound(sms.now()) is None


# Set-up ------------------------------------------------------------------------------------------


async def test_nobody_in_china_can_answer_whatever_the_settings_say(sms: SmsRig) -> None:
    for given in (TWO_WAY, "*", "* 1", ("44",)):
        channel = sms.make(inbound_countries=given)
        assert not inbound_possible(channel.capabilities, "+8613912345678")
        assert reaches(channel.capabilities, "+8613912345678")
    for given in ("86", "8", "+8613", "1 86"):
        with pytest.raises(ValueError, match="China"):
            sms.make(inbound_countries=given)


def test_everybody_else_can_where_the_operator_says_so() -> None:
    everywhere = replies_from("*")

    for number in ("1202", "4930", "852", "855", "880", "886", "81", "82", "84", "7", "20", "998"):
        assert any(number.startswith(code) for code in everywhere), number


async def test_settings_that_cannot_work_are_refused_at_the_start(sms: SmsRig) -> None:
    for changes in (
        {"sender": ""},
        {"messaging_service_sid": SERVICE},
        {"secrets": []},
        {"countries": "China"},
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - each says something else
            sms.make(**changes)


async def test_an_estimate_is_a_part_a_second_for_one_number(sms: SmsRig) -> None:
    estimate = sms.channel.estimate("洪" * 140, 2_000)

    assert (estimate.parts, estimate.seconds / 60) == (3, 100.0)  # carriers.md §0.6


async def test_a_count_of_parts_that_cannot_be_is_no_error_of_ours(sms: SmsRig) -> None:
    shown = sms.server._shown
    sms.server._shown = lambda record: {**shown(record), "num_segments": "9" * 5_000}  # type: ignore[method-assign]

    outcome = await sms.channel.send(request_for(sms))

    assert (outcome.kind, outcome.parts) == (OutcomeKind.ACCEPTED, 1)


async def test_a_failure_at_once_is_no_acceptance(sms: SmsRig) -> None:

    shown = sms.server._shown
    sms.server._shown = lambda record: {**shown(record), "status": "failed", "error_code": 30007}  # type: ignore[method-assign]

    outcome = await sms.channel.send(request_for(sms))

    assert (outcome.kind, outcome.error_class) == (OutcomeKind.REJECTED, ErrorClass.FILTERED)


async def test_a_poll_that_misses_a_page_is_no_answer(
    sms: SmsRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who moved on after half of the replies would never ask for the others again."""
    monkeypatch.setattr("channels.twilio_poll.PAGE_SIZE", 1)
    since = sms.now()
    for n in range(3):
        await sms.server.text(sms.good_address, str(n))
    fetch = sms.channel._http.request

    async def break_down(method: str, url: str, **more: object) -> object:
        if len(sms.server.requests) == 2:
            sms.server.fault = Fail()
        return await fetch(method, url, **more)

    monkeypatch.setattr(sms.channel._http, "request", break_down)

    assert await sms.channel.poll_inbound(since) is None


async def test_a_list_without_an_end_is_left(sms: SmsRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found with Prism, whose pages all have a next one: the SDK would go on for ever."""
    monkeypatch.setattr("channels.twilio_poll.PAGE_SIZE", 1)
    since = sms.now()
    for n in range(30):
        await sms.server.text(sms.good_address, str(n))

    fetched = await sms.channel.poll_inbound(since)

    assert len(fetched.events) == 20  # of one second, which cannot be cut
    assert fetched.until == since
    assert len(sms.server.requests) == 20


async def test_more_replies_than_one_reading_holds_are_all_fetched_in_a_few_polls(
    sms: SmsRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twilio tells the newest first: the oldest were lost without a word."""
    monkeypatch.setattr("channels.twilio_poll.PAGE_SIZE", 2)
    sms.server.sms_url = ""
    since = begun = sms.now()
    for n in range(400):
        await sms.server.text(sms.good_address, str(n))
        sms.clock.move(seconds=7 if n < 200 else 1)
    known: set[str] = set()

    for polls in range(1, 20):
        before = len(sms.server.requests)
        fetched = await sms.channel.poll_inbound(since)
        assert len(sms.server.requests) - before <= 160  # its work is bounded
        known |= {event.dedupe_key for event in fetched.events}
        if polls == 1:
            assert fetched.events[-1].text == "399"  # what is new is not kept waiting
        sent = [r for r in sms.server.messages if r.sent_at < (fetched.until or sms.now())]
        assert {record.sid for record in sent} <= known, "it went further than it knows"
        if fetched.until is None:
            break
        assert fetched.until > since
        since = fetched.until

    assert fetched.until is None
    assert len(known) == 400
    assert polls > 1
    assert begun < since


async def test_of_a_messaging_service_what_we_sent_is_read_and_told_nobody(
    sms: SmsRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours in which nobody replied are passed through, not passed over."""
    monkeypatch.setattr("channels.twilio_poll.PAGE_SIZE", 2)
    channel = sms.make(sender="", messaging_service_sid=SERVICE)
    sms.server.sms_url = ""
    since = sms.now()
    await sms.server.text(sms.good_address, "the oldest")
    for n in range(100):
        sms.clock.move(seconds=5)
        await channel.send(request_for(sms, f"tok-{n}"))
        await sms.server.settle()
    texts: set[str] = set()
    for _ in range(10):
        fetched = await channel.poll_inbound(since)
        texts |= {event.text for event in fetched.events}
        if fetched.until is None:
            break
        since = fetched.until
    await channel.close()

    assert texts == {"the oldest"}
    assert fetched.until is None


@pytest.mark.parametrize(
    ("named", "ours"), [(None, True), ("", True), (SERVICE, True), ("MG" + "9" * 32, False)]
)
async def test_a_reply_that_names_no_service_may_be_to_ours(
    sms: SmsRig, monkeypatch: pytest.MonkeyPatch, named: str | None, ours: bool
) -> None:
    shown = sms.server._shown
    monkeypatch.setattr(
        sms.server, "_shown", lambda record: {**shown(record), "messaging_service_sid": named}
    )
    channel = sms.make(sender="", messaging_service_sid=SERVICE)
    await sms.server.text(sms.good_address, "1")

    fetched = await channel.poll_inbound(sms.now())

    assert [event.text for event in fetched.events] == (["1"] if ours else [])
    await channel.close()

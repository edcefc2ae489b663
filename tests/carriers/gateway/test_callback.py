"""What gateways post to us: batches, damage, forgeries, times, replies in every spelling."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    ReceiptWord,
    SendRequest,
    SignatureInvalid,
)
from channels.errors import ErrorClass
from channels.gateway import HttpGateway
from channels.gateway_proof import address_key
from tests.carriers.gateway.rigs import (
    PHONE,
    SECRET,
    SENDER,
    START,
    GatewayRig,
    JsonRig,
    KannelRig,
    MasRig,
)


@pytest.fixture
async def kannel() -> AsyncIterator[KannelRig]:
    async for rig in started(KannelRig()):
        yield rig


@pytest.fixture
async def mas() -> AsyncIterator[MasRig]:
    async for rig in started(MasRig()):
        yield rig


@pytest.fixture
async def gateway() -> AsyncIterator[JsonRig]:
    async for rig in started(JsonRig()):
        yield rig


async def started(rig: Any) -> AsyncIterator[Any]:
    await rig.start()
    yield rig
    await rig.close()


def asked(rig: GatewayRig[Any], token: str = "tok-1", **changes: Any) -> SendRequest:
    request = SendRequest(
        token=token,
        to=PHONE,
        text="暴雨红色预警",
        language="zh",
        valid_until=START + timedelta(minutes=10),
        callback_url=rig.callback_url(token),
    )
    return replace(request, **changes)


def dlr(rig: KannelRig, query: str, token: str = "tok-1") -> CallbackRequest:
    """A fetch of dlr-url as Kannel makes it, with this behind the key."""
    key = address_key(SECRET, rig.channel.name, token)
    url = f"{rig.callback_url(token)}?key={key}{query}"
    return CallbackRequest(url=url, headers={}, body=b"", token=token, method="GET")


KANNEL = {
    "handed over": ("&type=8&at=1752213600&answer=ACK%2F", ReceiptWord.SENT, None, ""),
    "delivered": ("&type=1&at=1752213600&answer=", ReceiptWord.DELIVERED, None, ""),
    "kept by the SMSC": ("&type=4&at=1752213600&answer=", ReceiptWord.ACCEPTED, None, ""),
    "number refused": (
        "&type=16&at=1752213600&answer=NACK%2F0x0000000b%2FInvalid+Destination+Address",
        ReceiptWord.UNDELIVERED,
        ErrorClass.BAD_NUMBER,
        "b",
    ),
    "expired": (
        "&type=2&at=1752213600&answer=id%3A1+sub%3A001+stat%3AEXPIRED+err%3A000",
        ReceiptWord.UNDELIVERED,
        ErrorClass.EXPIRED,
        "EXPIRED",
    ),
    "refused with a word we do not know": (
        "&type=2&at=1752213600&answer=stat%3ANANU",
        ReceiptWord.UNDELIVERED,
        ErrorClass.OTHER,
        "NANU",
    ),
    "a type we do not know": ("&type=64&at=1", ReceiptWord.ACCEPTED, ErrorClass.OTHER, "64"),
    "delivered, though the answer looks like a code": (
        "&type=1&at=1752213600&answer=stat%3AEXPIRED",
        ReceiptWord.DELIVERED,
        None,
        "",
    ),
}


@pytest.mark.parametrize(("query", "word", "error_class", "code"), KANNEL.values(), ids=KANNEL)
async def test_kannels_words_become_ours(
    kannel: KannelRig,
    query: str,
    word: ReceiptWord,
    error_class: ErrorClass | None,
    code: str,
) -> None:
    (event,) = kannel.channel.parse_receipts(dlr(kannel, query))

    assert (event.word, event.error_class, event.code) == (word, error_class, code)
    assert event.token == "tok-1"
    assert kannel.channel.parse_inbound(dlr(kannel, query)) == []


DAMAGE = {
    "nothing behind the key": "",
    "no type": "&at=1752213600",
    "an empty type": "&type=&at=1",
    "bytes that are no text": "&type=%FF%FE",
}


@pytest.mark.parametrize("query", DAMAGE.values(), ids=DAMAGE)
async def test_a_damaged_receipt_is_kept_for_a_human(kannel: KannelRig, query: str) -> None:
    with pytest.raises(CallbackMalformed):
        kannel.channel.parse_receipts(dlr(kannel, query))


async def test_a_receipt_without_a_readable_time_still_counts(kannel: KannelRig) -> None:
    (event,) = kannel.channel.parse_receipts(dlr(kannel, "&type=1&at=99999999999999999999"))

    assert (event.word, event.happened_at) == (ReceiptWord.DELIVERED, None)


FORGERIES = {
    "no key": lambda url: url.partition("?")[0] + "?type=1",
    "another key": lambda url: url.replace("key=", "key=0"),
    "half a key": lambda url: url.replace("&type", "x&type", 1),
    "a key in capitals": lambda url: url.upper(),
    "the key in another field": lambda url: url.replace("?key=", "?keys="),
    "the key in the fragment": lambda url: url.replace("?", "#"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_who_does_not_know_the_address_is_refused(kannel: KannelRig, forge: Any) -> None:
    genuine = dlr(kannel, "&type=1&at=1752213600")
    assert kannel.channel.parse_receipts(genuine)

    forged = replace(genuine, url=forge(genuine.url))

    for parse in (kannel.channel.parse_receipts, kannel.channel.parse_inbound):
        with pytest.raises(SignatureInvalid):
            parse(forged)


async def test_one_messages_key_opens_no_other_and_no_replies(kannel: KannelRig) -> None:
    genuine = dlr(kannel, "&type=1&at=1752213600")

    for token in ("tok-2", ""):
        with pytest.raises(SignatureInvalid):
            kannel.channel.parse_receipts(replace(genuine, token=token))


async def test_both_secrets_are_good_while_one_replaces_the_other(kannel: KannelRig) -> None:
    genuine = dlr(kannel, "&type=1&at=1752213600")
    rotating = kannel.make(secrets=("the-next-secret-word", SECRET))
    rotated = kannel.make(secrets=("the-next-secret-word",))

    assert rotating.parse_receipts(genuine)
    with pytest.raises(SignatureInvalid):
        rotated.parse_receipts(genuine)


REMOTES = {
    "in the network": ("10.1.2.3", True),
    "the one host": ("192.0.2.7", True),
    "an IPv4 address in IPv6 clothes": ("::ffff:10.1.2.3", True),
    "next door": ("10.2.0.1", False),
    "nobody knows": ("", False),
    "no address": ("unix:", False),
}


@pytest.mark.parametrize(("remote", "welcome"), REMOTES.values(), ids=REMOTES)
async def test_callbacks_come_from_the_gateways_addresses_only(
    kannel: KannelRig, remote: str, welcome: bool
) -> None:
    channel = kannel.make(allow_from="10.1.0.0/16 192.0.2.7")
    callback = replace(dlr(kannel, "&type=1&at=1"), remote=remote)

    if welcome:
        assert channel.parse_receipts(callback)
    else:
        with pytest.raises(SignatureInvalid):
            channel.parse_receipts(callback)


async def test_the_address_for_replies_is_ready_to_paste_and_holds_no_secret(
    kannel: KannelRig,
) -> None:
    address = kannel.channel.inbound_address("https://warn.example.org/")

    key = address_key(SECRET, kannel.channel.name, "")
    assert address == (
        f"https://warn.example.org/callbacks/kannel-test?key={key}"
        "&from=%p&to=%P&text=%a&id=%I&at=%T"
    )
    assert SECRET not in address


@pytest.mark.parametrize(
    "text", ["收到", "1", "１", "بارىمەن 😀", "a+b=c & d%20e", "", "  "], ids=repr
)
async def test_a_reply_through_kannel_keeps_every_character(kannel: KannelRig, text: str) -> None:
    await kannel.far.reply("13912345678", text, recipient=SENDER, ident="id-7")

    (event,) = kannel.channel.parse_inbound(kannel.door.take()[0])

    assert (event.sender, event.text, event.recipient) == (PHONE, text, SENDER)
    assert (event.dedupe_key, event.happened_at) == ("id-7", START)


OTHER_ALPHABETS = {
    "GBK, quoted": "&from=13912345678&text=%CA%D5%B5%BD&id=7&at=1752213600",
    "a byte that begins nothing": "&from=13912345678&text=1%FF&id=7&at=1752213600",
    "UTF-8, not quoted": "&from=13912345678&text=收到\udcff&id=7&at=1752213600",
}


@pytest.mark.parametrize("query", OTHER_ALPHABETS.values(), ids=OTHER_ALPHABETS)
async def test_a_text_in_another_alphabet_still_says_who_sent_it(
    kannel: KannelRig, query: str
) -> None:
    key = address_key(SECRET, kannel.channel.name, "")
    url = f"{kannel.door.url}/callbacks/kannel-test?key={key}{query}"

    (event,) = kannel.channel.parse_inbound(CallbackRequest(url=url, headers={}, body=b""))

    assert (event.sender, event.dedupe_key, event.happened_at) == (PHONE, "7", START)
    assert "\ufffd" in event.text


async def test_json_in_another_alphabet_still_says_who_sent_it(mas: MasRig) -> None:
    record = mas.far.reply_record("13912345678", "收到", SENDER)
    body = json.dumps(record, ensure_ascii=False).encode("gbk")
    callback = CallbackRequest(url=mas.far.inbound_url, headers={}, body=body)

    (event,) = mas.channel.parse_inbound(callback)

    assert event.sender == PHONE
    assert "\ufffd" in event.text


# --- batches --------------------------------------------------------------------------------------


async def test_a_batch_of_a_mas_is_as_many_receipts(mas: MasRig) -> None:
    for n in range(3):
        await mas.channel.send(asked(mas, f"tok-{n}", to=f"+861391234567{n}"))
    words = [("DELIVRD", "CM:0000"), ("EXPIRED", "CM:0003"), ("MA:0051", "MA:0051")]
    await mas.far.push(
        [mas.far.record(m, *said) for m, said in zip(mas.far.taken, words, strict=True)]
    )

    events = mas.channel.parse_receipts(mas.door.take()[0])

    assert [(e.word, e.error_class, e.code) for e in events] == [
        (ReceiptWord.DELIVERED, None, ""),
        (ReceiptWord.UNDELIVERED, ErrorClass.EXPIRED, "CM:0003"),
        (ReceiptWord.UNDELIVERED, ErrorClass.OTHER, "MA:0051"),
    ]
    assert [e.reference.partition(":")[2] for e in events] == [m.to for m in mas.far.taken]
    assert all(e.happened_at == START for e in events), "its times are Beijing's"


async def test_one_damaged_record_does_not_cost_the_batch(
    mas: MasRig, capsys: pytest.CaptureFixture[str]
) -> None:
    await mas.channel.send(asked(mas))
    good = mas.far.record(mas.far.taken[0], "DELIVRD", "CM:0000")
    await mas.far.push([{**good, "errorCode": ""}, good])
    callback = mas.door.take()[0]

    events = mas.channel.parse_receipts(callback)
    (remains,) = mas.channel.parse_inbound(callback)

    assert [event.word for event in events] == [ReceiptWord.DELIVERED]
    assert (remains.sender, remains.token) == ("", "")
    assert good["msgGroup"] in remains.text
    shown = capsys.readouterr().out
    assert "parts_unreadable" in shown
    assert "139" not in shown


async def test_of_a_batch_of_replies_a_damaged_one_is_shown_to_a_human(mas: MasRig) -> None:
    good = mas.far.reply_record("13912345678", "收到", SENDER)
    await mas.far.push([good, {**good, "mobile": "", "smsContent": "我在山上"}])

    read, remains = mas.channel.parse_inbound(mas.door.take()[0])

    assert (read.sender, read.text) == (PHONE, "收到")
    assert remains.sender == ""
    assert "我在山上" in remains.text
    assert read.dedupe_key != remains.dedupe_key


async def test_without_an_id_the_same_words_in_the_same_minute_are_one_reply(mas: MasRig) -> None:
    async def reply(text: str, serial: str = SENDER) -> str:
        await mas.far.push([mas.far.reply_record("13912345678", text, serial)])
        (event,) = mas.channel.parse_inbound(mas.door.take()[0])
        return event.dedupe_key

    first = await reply("1")

    assert await reply("1") == first
    assert await reply("2") != first
    assert await reply("1", "77") != first
    mas.far.now += timedelta(minutes=1)
    assert await reply("1") != first


TIMES_THAT_ARE_NONE = {
    "missing": None,
    "empty": "",
    "written in another way": "20250711140000",
    "a word": "now",
    "a clock that stands": "1970-01-01 00:00:00",
    "a clock of last year": "2024-07-11 14:00:00",
    "a clock of next year": "2026-07-11 14:00:00",
}


@pytest.mark.parametrize("stamp", TIMES_THAT_ARE_NONE.values(), ids=TIMES_THAT_ARE_NONE)
async def test_without_an_id_and_a_time_the_same_word_of_next_week_is_another_reply(
    mas: MasRig, stamp: str | None
) -> None:
    async def reply() -> str:
        record = mas.far.reply_record("13912345678", "1", SENDER)
        await mas.far.push([{**record, "sendTime": stamp}])
        (event,) = mas.channel.parse_inbound(mas.door.take()[0])
        assert (event.sender, event.text) == (PHONE, "1")
        return event.dedupe_key

    first = await reply()

    assert await reply() == first, "brought twice at once, it is one"
    mas.far.now += timedelta(days=7)
    assert await reply() != first


async def test_what_came_in_one_minute_after_an_outage_is_as_many_replies_as_stamps(
    mas: MasRig,
) -> None:
    record = mas.far.reply_record("13912345678", "1", SENDER)
    await mas.far.push([{**record, "sendTime": f"2025071{day}140000"} for day in (0, 1, 1)])

    events = mas.channel.parse_inbound(mas.door.take()[0])

    assert len({event.dedupe_key for event in events}) == 2


async def test_a_reply_that_a_carrier_brings_days_late_is_still_one(mas: MasRig) -> None:
    record = mas.far.reply_record("13912345678", "1", SENDER)
    keys = set()
    for _ in range(3):
        await mas.far.push([record])
        (event,) = mas.channel.parse_inbound(mas.door.take()[0])
        keys.add(event.dedupe_key)
        mas.far.now += timedelta(days=2)

    assert len(keys) == 1


async def test_a_time_that_cannot_be_read_is_told_once(
    mas: MasRig, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {**mas.far.reply_record("13912345678", "1", SENDER), "sendTime": "20250711140000"}
    for _ in range(2):
        await mas.far.push([record])
        mas.channel.parse_inbound(mas.door.take()[0])

    told = capsys.readouterr().out
    assert told.count("gateway.time_unreadable") == 1
    assert "mas-test" in told
    assert "sendTime" in told


async def test_half_an_id_is_none_and_everybodys_receipt_counts(gateway: JsonRig) -> None:
    keys = set()
    for n in range(3):
        await gateway.channel.send(asked(gateway, f"tok-{n}"))
        record = gateway.far.record(gateway.far.taken[n], "delivered")
        await gateway.far.push(gateway.far.inbound_url, {**record, "id": None})
        (event,) = gateway.channel.parse_receipts(gateway.door.take()[0])
        keys.add(event.dedupe_key)

    assert len(keys) == 3


OF_BOTH_KINDS = {
    # what stands in one push, by letters → receipts, replies, texts kept for a human
    "a receipt and a reply": ("r w", 1, 1, 0),
    "a reply that lacks its text, beside good ones": ("w x w", 0, 2, 1),
    "a receipt that lacks its word, beside a reply": ("y w", 0, 1, 1),
    "a damaged receipt beside a good reply": ("d w", 0, 1, 1),
    "a damaged reply beside a good receipt": ("r e", 1, 0, 1),
    "what is no object beside a good reply": ("w z", 0, 1, 1),
    "two that nobody understands": ("x y", 0, 0, 2),
    "two damaged ones": ("d e", 0, 0, 2),
    "of all kinds": ("r w x y d e z", 1, 1, 5),
}


@pytest.mark.parametrize("at_token", [False, True], ids=["of all", "of one message"])
@pytest.mark.parametrize(
    ("parts", "receipts", "replies", "kept"), OF_BOTH_KINDS.values(), ids=OF_BOTH_KINDS
)
async def test_of_a_push_the_good_counts_and_the_rest_is_kept(
    gateway: JsonRig, parts: str, receipts: int, replies: int, kept: int, at_token: bool
) -> None:
    await gateway.channel.send(asked(gateway))
    message = gateway.far.taken[0]
    receipt = gateway.far.record(message, "delivered")
    reply = {"id": "r1", "from": PHONE, "to": SENDER, "text": "1", "at": START.isoformat()}
    made: dict[str, Any] = {
        "r": receipt,
        "w": reply,
        "x": {"from": PHONE, "txt": "求助", "id": "r3"},
        "y": {"reference": message.reference, "id": "m9"},
        "d": {**receipt, "status": ""},
        "e": {**reply, "from": ""},
        "z": "求助",
    }
    url = message.callback_url if at_token else gateway.far.inbound_url
    await gateway.far.push(url, [made[letter] for letter in parts.split()])
    callback = gateway.door.take()[0]

    told = gateway.channel.parse_receipts(callback)
    heard = gateway.channel.parse_inbound(callback)

    assert gateway.channel.capabilities.mixed_callbacks
    assert [event.word for event in told] == [ReceiptWord.DELIVERED] * receipts
    assert [event.text for event in heard if event.sender] == ["1"] * replies
    remains = [event for event in heard if not event.sender]
    assert len({event.dedupe_key for event in remains}) == len(remains) == kept
    assert all("求助" in e.text or message.reference in e.text or '"r1"' in e.text for e in remains)


TWO_LISTS = """
title = "Replies and reports in one document"
[send]
method = "POST"
path = "/send"
encoding = "json"
fields = { to = "{to_plain}", text = "{text}", sid = "{token}" }
[answer.accepted]
[receipts]
encoding = "json"
items = "reports"
requires = ["sid", "stat"]
token = "sid"
word = "stat"
words = { DELIVRD = "delivered" }
[inbound]
encoding = "json"
items = "ITEMS"
requires = ["mobile", "content"]
from = "mobile"
text = "content"
[proof]
by = "key"
"""
REPORT, REPLY = {"sid": "tok-1", "stat": "DELIVRD"}, {"mobile": "13912345678", "content": "1"}
DOCUMENTS = {
    # where replies stand, the document → receipts, replies, texts kept for a human
    "both lists": ("replies", {"reports": [REPORT], "replies": [REPLY]}, 1, 1, 0),
    "one list": ("replies", {"reports": [REPORT]}, 1, 0, 0),
    "an empty list": ("replies", {"reports": [], "replies": [REPLY]}, 0, 1, 0),
    "both empty": ("replies", {"reports": [], "replies": []}, 0, 0, 0),
    "a list around which nobody replies": ("", {"reports": [REPORT]}, 1, 0, 0),
    "a reply without a list": ("", REPLY, 0, 1, 0),
    "something else in a list": ("", {"reports": [REPORT, {"sid": "tok-2"}]}, 1, 0, 1),
    "of the fields of both": ("reports", {"reports": [REPORT | REPLY]}, 0, 1, 0),
}


@pytest.mark.parametrize(
    ("items", "document", "receipts", "replies", "kept"), DOCUMENTS.values(), ids=DOCUMENTS
)
def test_what_only_carries_others_is_nothing_to_keep(
    tmp_path: Path, items: str, document: Any, receipts: int, replies: int, kept: int
) -> None:
    path = tmp_path / "two.toml"
    path.write_text(TWO_LISTS.replace("ITEMS", items))
    channel = HttpGateway(
        name="two", profile=str(path), base_url="http://gw.example.org", secrets=(SECRET,)
    )
    url = channel.inbound_address("https://warn.example.org")
    callback = CallbackRequest(url=url, headers={}, body=json.dumps(document).encode())

    told, heard = channel.parse_receipts(callback), channel.parse_inbound(callback)

    counted = (len(told), sum(1 for e in heard if e.sender), sum(1 for e in heard if not e.sender))
    assert counted == (receipts, replies, kept)


BODIES = {
    "no JSON": b"msgGroup=1&errorCode=DELIVRD",
    "a number": b"17",
    "null": b"null",
    "a list of numbers": b"[1, 2]",
    "an empty object": b"{}",
    "of neither kind": b'{"mobile": "139"}',
    "deeper than anybody nests": b"[" * 20_000,
    "no text": b"\xff\xfe",
    "a number of five thousand digits": b'{"msgGroup": ' + b"9" * 5_000 + b', "errorCode": 1}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_what_cannot_be_read_is_malformed_and_never_an_error_of_ours(
    mas: MasRig, body: bytes
) -> None:
    callback = CallbackRequest(url=mas.far.inbound_url, headers={}, body=body)

    with pytest.raises(CallbackMalformed):
        mas.channel.parse_receipts(callback)
    with pytest.raises(CallbackMalformed):
        mas.channel.parse_inbound(callback)


async def test_an_empty_batch_says_nothing(mas: MasRig) -> None:
    callback = CallbackRequest(url=mas.far.inbound_url, headers={}, body=b"[]")

    assert mas.channel.parse_receipts(callback) == []
    assert mas.channel.parse_inbound(callback) == []


async def test_a_signed_batch_names_each_message(gateway: JsonRig) -> None:
    for n in range(3):
        await gateway.channel.send(asked(gateway, f"tok-{n}"))
    batch = [gateway.far.record(m, "failed", "absent") for m in gateway.far.taken]
    await gateway.far.push(gateway.far.inbound_url, batch)
    callback = gateway.door.take()[0]

    events = gateway.channel.parse_receipts(callback)

    assert [event.token for event in events] == ["tok-0", "tok-1", "tok-2"]
    assert {event.error_class for event in events} == {ErrorClass.HANDSET_OFF}
    bare = replace(callback, headers={"Content-Type": "application/json"})
    with pytest.raises(SignatureInvalid):
        gateway.channel.parse_receipts(bare)
    odd = replace(callback, headers={**callback.headers, "X-Gateway-Signature": "\udcff"})
    with pytest.raises(SignatureInvalid):
        gateway.channel.parse_receipts(odd)


UCS2 = """
title = "Passes CMPP's hex through"
[send]
method = "POST"
path = "/send"
encoding = "json"
fields = { to = "{to_plain}", text = "{text_hex}" }
[answer.accepted]
[inbound]
encoding = "json"
items = "data.list"
requires = ["msg"]
from = "src"
text = "msg"
text_form = "ucs2-hex"
[proof]
by = "key"
"""


async def test_a_reply_in_hex_deep_in_a_document_is_read(kannel: KannelRig, tmp_path: Path) -> None:
    path = tmp_path / "hex.toml"
    path.write_text(UCS2)
    channel = HttpGateway(
        name="hex", profile=str(path), base_url="http://gw.example.org", secrets=(SECRET,)
    )
    url = channel.inbound_address("https://warn.example.org")

    def callback(hexed: str) -> CallbackRequest:
        document = {"data": {"list": [{"src": "8613912345678", "msg": hexed}]}}
        return CallbackRequest(url=url, headers={}, body=json.dumps(document).encode())

    (event,) = channel.parse_inbound(callback("65365230"))

    assert (event.sender, event.text) == (PHONE, "收到")
    for broken in ("6536523", "zz", "D800"):
        with pytest.raises(CallbackMalformed):
            channel.parse_inbound(callback(broken))
    assert channel.capabilities.receipts is False
    assert quote(SECRET) not in url

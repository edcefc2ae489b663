"""What goes over the wire to a gateway: signatures, plus signs, charsets, numbers, validity."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from channels.base import Obstacle, OutcomeKind, SendRequest, Unsendable, Words
from channels.errors import ErrorClass
from channels.gateway import HttpGateway
from channels.gateway_account import Account
from channels.gateway_profile import Digest, Signing, Spelling
from channels.gateway_proof import sign
from channels.gateway_reader import read_profile
from channels.gateway_request import build_send, international, national
from channels.gateway_template import read_template
from tests.carriers.gateway.rigs import SECRET, KannelRig, MasRig

NOW = datetime(2025, 7, 11, 6, 0, tzinfo=UTC)


def request(text: str = "暴雨红色预警", **changes: object) -> SendRequest:
    values: dict[str, object] = {
        "token": "tok-1",
        "to": "+8613912345678",
        "text": text,
        "language": "zh",
        "valid_until": NOW + timedelta(seconds=601),
        "callback_url": "https://warn.example.org/callbacks/sms/tok-1",
        **changes,
    }
    return SendRequest(**values)  # type: ignore[arg-type]


def account(**changes: object) -> Account:
    values: dict[str, object] = {
        "channel": "sms",
        "base_url": "http://gw.example.org/",
        "user": "county",
        "secrets": (SECRET,),
        "sender": "1069012345",
        "values": {"ec_name": "清河县应急局", "sign": "8Kd2"},
        **changes,
    }
    return Account(**values)  # type: ignore[arg-type]


VECTORS = {
    # digests of "abc" (RFC 1321, FIPS 180-4) and HMACs of RFC 4231 test case 2's text
    "md5": (Digest.MD5, "hex", "abc", "", "900150983cd24fb0d6963f7d28e17f72"),
    "MD5": (Digest.MD5, "hex-upper", "abc", "", "900150983CD24FB0D6963F7D28E17F72"),
    "md5 base64": (Digest.MD5, "base64", "abc", "", "kAFQmDzST7DWlj99KOF/cg=="),
    "sha1": (Digest.SHA1, "hex", "abc", "", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    "sha256": (
        Digest.SHA256,
        "hex",
        "abc",
        "",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ),
    "hmac-sha256": (
        Digest.HMAC_SHA256,
        "hex",
        "what do ya want for nothing?",
        "Jefe",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    "hmac-md5": (
        Digest.HMAC_MD5,
        "hex",
        "what do ya want for nothing?",
        "Jefe",
        "750c783e6ab0b503eaa86e310a5db738",
    ),
    "hmac-sha1": (
        Digest.HMAC_SHA1,
        "hex",
        "what do ya want for nothing?",
        "Jefe",
        "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
    ),
}


@pytest.mark.parametrize(
    ("digest", "spelling", "text", "secret", "wanted"), VECTORS.values(), ids=VECTORS
)
def test_signatures_are_those_of_the_standards(
    digest: Digest, spelling: str, text: str, secret: str, wanted: str
) -> None:
    signing = Signing(template=read_template("{text}"), digest=digest, spelling=Spelling(spelling))

    assert sign(signing, {"text": text}, secret) == wanted


def test_a_mas_is_signed_over_its_fields_in_their_order() -> None:
    built = build_send(read_profile("mas"), account(), request(), NOW, keyed=True)

    document = json.loads(base64.b64decode(built.body or b""))
    joined = f"清河县应急局county{SECRET}13912345678暴雨红色预警8Kd21069012345"
    assert document["mac"] == hashlib.md5(joined.encode()).hexdigest()
    assert document["content"] == "暴雨红色预警"
    assert SECRET not in json.dumps(document)
    assert str(built.url) == "http://gw.example.org/sms/norsubmit"


def test_a_plus_sign_arrives_as_a_plus_sign() -> None:
    """Unescaped it becomes a space, and Kannel sends to another number (carriers.md §4.3)."""
    built = build_send(read_profile("kannel"), account(), request("1+1=2 & 5%"), NOW, keyed=True)

    query = built.url.raw_query_string
    assert "to=%2B8613912345678" in query
    assert "+" not in query
    assert parse_qs(query)["text"] == ["1+1=2 & 5%"]


def test_kannels_placeholders_stay_in_its_callback_address() -> None:
    built = build_send(read_profile("kannel"), account(), request(), NOW, keyed=True)

    (address,) = parse_qs(built.url.raw_query_string)["dlr-url"]
    head, _, tail = address.partition("?key=")
    assert head == "https://warn.example.org/callbacks/sms/tok-1"
    assert tail[32:] == "&type=%d&at=%T&answer=%A"
    assert SECRET not in address


def test_each_message_has_a_key_of_its_own_and_replies_another() -> None:
    profile = read_profile("kannel")
    keys = {
        build_send(
            profile,
            account(),
            request(token=token, callback_url=f"https://w/c/{token}"),
            NOW,
            keyed=True,
        )
        .values["callback_url"]
        .partition("key=")[2]
        for token in ("a", "b")
    }
    inbound = build_send(profile, account(), request(), NOW, keyed=True).values["inbound_url"]

    assert len(keys) == 2
    assert inbound.startswith("https://warn.example.org/callbacks/sms?key=")
    assert inbound.partition("key=")[2] not in keys


@pytest.mark.parametrize(
    ("seconds", "minutes", "limited"),
    [(1, 1, 60), (61, 2, 61), (601, 11, 601), (1e6, 1440, 86_400)],
)
def test_validity_is_the_window_that_is_left(seconds: float, minutes: int, limited: int) -> None:
    until = NOW + timedelta(seconds=seconds)
    built = build_send(
        read_profile("kannel"), account(), request(valid_until=until), NOW, keyed=True
    )

    assert built.values["validity_minutes"] == minutes
    assert built.values["validity_seconds"] == limited


@pytest.mark.parametrize(
    "given",
    ["+8613912345678", "8613912345678", "008613912345678", "13912345678", "+86 139-1234-5678"],
)
def test_every_spelling_of_a_number_is_one_number(given: str) -> None:
    assert international(given, "86", 11) == "+8613912345678"
    assert national("+8613912345678", "86") == "13912345678"


def test_a_foreign_number_and_what_is_no_number_stay_what_they_are() -> None:
    assert international("+77011234567", "86", 11) == "+77011234567"
    assert international("Bank", "86", 11) == "Bank"
    assert national("+77011234567", "86") == "77011234567"


GBK = """
title = "A county gateway that takes forms in GBK"
[send]
method = "POST"
path = "/sms/{user}/send"
encoding = "form"
charset = "gbk"
fields = { mobile = "{to_national}", msg = "{text}", hex = "{text_hex}", pwd = "{signature}" }
[send.signature]
template = "{user}{secret}{timestamp_local}"
digest = "md5"
spelling = "hex-upper"
[answer.accepted]
pattern = '^0,'
[answer.reference]
pattern = '^0,(\\d+)'
[proof]
by = "key"
"""


def test_a_gateway_of_one_county_needs_fourteen_lines(tmp_path: Path) -> None:
    path = tmp_path / "county.toml"
    path.write_text(GBK.replace("\\\\", "\\"))
    profile = read_profile(str(path))

    built = build_send(profile, account(user="a/b"), request("暴雨 1+1"), NOW, keyed=True)

    fields = parse_qs((built.body or b"").decode("ascii"), encoding="gbk")
    wanted = hashlib.md5(f"a/b{SECRET}20250711060000".encode()).hexdigest().upper()
    assert fields == {
        "mobile": ["13912345678"],
        "msg": ["暴雨 1+1"],
        "hex": ["66B496E800200031002B0031"],
        "pwd": [wanted],
    }
    assert built.url.raw_path == "/sms/a%2Fb/send"


async def test_a_text_that_its_charset_cannot_write_is_refused_and_not_maimed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "county.toml"
    path.write_text(GBK)
    rig = KannelRig()
    await rig.start()
    channel = rig.make(profile=str(path))

    text = "ئۇيغۇر 😀"
    found = channel.check(Words(text=text, language="ug"))
    outcome = await channel.send(request(text, valid_until=rig.now() + timedelta(minutes=5)))

    await channel.close()
    await rig.close()
    assert found == Unsendable(obstacle=Obstacle.ALPHABET, field="message", given=7)
    assert outcome.kind is OutcomeKind.REJECTED
    assert outcome.error_class is ErrorClass.UNROUTABLE, "another carrier can write it"
    assert outcome.code == Obstacle.ALPHABET
    assert rig.far.taken == []


async def test_hex_carries_what_the_charset_around_it_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "hex.toml"
    path.write_text(GBK.replace('msg = "{text}", ', ""))
    channel = HttpGateway(
        name="sms", profile=str(path), base_url="http://gw.example.org", secrets=(SECRET,)
    )

    assert channel.check(Words(text="ئۇيغۇر", language="ug")) is None


UNSENDABLE = {
    # the text, the officer's part of it → what is found
    "a link": ("见 http://a.cn 详情", "见 http://a.cn 详情", (Obstacle.LINK, "text")),
    "a phone number": ("请拨 139 1234 5678", "请拨 139 1234 5678", (Obstacle.LINK, "text")),
    "a link in our own name": ("【县应急局 a.gov.cn】请避险", "请避险", (Obstacle.LINK, "issuer")),
    "too long": ("雨" * 501, "雨" * 501, (Obstacle.TOO_LONG, "")),
    "nothing": ("暴雨红色预警，转移到学校，电话119", "转移到学校", None),
}


@pytest.mark.parametrize(("text", "officers", "wanted"), UNSENDABLE.values(), ids=UNSENDABLE)
async def test_what_is_refused_in_the_form_is_refused_at_night_alone_and_in_a_batch(
    text: str, officers: str, wanted: tuple[Obstacle, str] | None
) -> None:
    rig = MasRig()
    await rig.start()
    fields = {"text": officers, "issuer": "县应急局 a.gov.cn"}
    until = rig.now() + timedelta(minutes=5)
    bad = request(text, valid_until=until, fields=fields)
    good = request("请避险", to="+8613912345679", valid_until=until)

    found = rig.channel.check(Words(text=text, language="zh", fields=fields))
    alone = await rig.channel.send(bad)
    first, second = await rig.channel.send_batch([bad, good])

    await rig.close()
    assert ((found.obstacle, found.field) if found else None) == wanted
    assert first is not None
    assert second is not None
    if wanted is None:
        assert alone.kind is first.kind is OutcomeKind.ACCEPTED
    else:
        assert alone.kind is first.kind is OutcomeKind.REJECTED
        assert alone.code == first.code == wanted[0]
        assert alone.error_class is first.error_class is ErrorClass.UNROUTABLE
    assert second.kind is OutcomeKind.ACCEPTED, "the others are not to blame"


async def test_a_wrong_secret_is_refused_by_the_mas_and_is_our_set_up() -> None:
    rig = MasRig()
    await rig.start()
    stranger = rig.make(secrets=("another-secret-word",))

    outcome = await stranger.send(request(valid_until=rig.now() + timedelta(minutes=5)))

    await stranger.close()
    await rig.close()
    assert (outcome.error_class, outcome.code) == (ErrorClass.CONFIG, "IllegalMac")

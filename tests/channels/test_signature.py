"""Signatures: what they are over, and what they refuse."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels import signature
from channels.base import SignatureInvalid

NOW = datetime(2025, 7, 11, 6, 0, tzinfo=UTC)
URL = "https://warn.example/callbacks/sms/tok-1?x=1"
OLD, NEW = "old-secret", "new-secret"
PAIRS = [("Status", "delivered"), ("Text", "收到 & 1=1")]


def read(secrets: list[str], headers: dict[str, str], url: str = URL, body: bytes | None = None) -> dict[str, str]:
    return signature.read_signed_form(
        secrets=secrets,
        url=url,
        headers=headers,
        body=urlencode(PAIRS).encode() if body is None else body,
        now=NOW,
    )


def test_a_genuine_form_is_read() -> None:
    headers = signature.form_headers(NEW, URL, PAIRS, NOW)

    assert read([NEW], headers) == dict(PAIRS)


@pytest.mark.parametrize("signed_with", [OLD, NEW])
def test_two_secrets_are_good_during_a_rotation(signed_with: str) -> None:
    headers = signature.form_headers(signed_with, URL, PAIRS, NOW)

    assert read([NEW, OLD], headers)


def test_a_signature_holds_for_one_address_only() -> None:
    headers = signature.form_headers(NEW, URL, PAIRS, NOW)

    with pytest.raises(SignatureInvalid):
        read([NEW], headers, url=URL.replace("tok-1", "tok-2"))


def test_the_order_of_parameters_does_not_matter() -> None:
    headers = signature.form_headers(NEW, URL, PAIRS[::-1], NOW)

    assert read([NEW], headers)


@pytest.mark.parametrize(
    "body",
    [b"", b"Status=delivered", b"\xff\xfe", b"Status=%ff", b"a=1&" * 200, b"x" * 70_000],
    ids=["empty", "lacks a field", "not text", "not UTF-8", "too many fields", "too long"],
)
def test_any_other_body_is_refused(body: bytes) -> None:
    headers = signature.form_headers(NEW, URL, PAIRS, NOW)

    with pytest.raises(SignatureInvalid):
        read([NEW], headers, body=body)


@pytest.mark.parametrize("stamp", ["", "soon", "-1", "1e9", "٣", "9" * 30])
def test_a_timestamp_that_is_none_is_refused(stamp: str) -> None:
    headers = signature.form_headers(NEW, URL, PAIRS, NOW)

    with pytest.raises(SignatureInvalid):
        read([NEW], {**headers, signature.CARRIER_TIMESTAMP: stamp})


@given(
    st.lists(st.tuples(st.text(), st.text()), max_size=4),
    st.lists(st.tuples(st.text(), st.text()), max_size=4),
)
def test_two_different_forms_never_share_a_signature(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    if _encodable(one) and _encodable(other):
        same = signature.form_headers(NEW, URL, one, NOW) == signature.form_headers(NEW, URL, other, NOW)
        assert same == (sorted(one) == sorted(other))


def _encodable(pairs: list[tuple[str, str]]) -> bool:
    return not any("\ud800" <= c <= "\udfff" for pair in pairs for text in pair for c in text)


def test_a_webhook_is_signed_as_the_standard_says() -> None:
    """The example of the Standard Webhooks libraries: same secret, id, time and body."""
    key = signature.webhook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)

    headers = signature.webhook_headers([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', at)

    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_no_text_is_refused(name: str) -> None:
    """A byte that is not UTF-8 comes out of the server as half a letter."""
    headers = signature.webhook_headers([b"k" * 24], "id-1", b"{}", NOW)

    with pytest.raises(SignatureInvalid):
        signature.check_webhook(
            keys=[b"k" * 24], headers={**headers, name: "1\udcff"}, body=b"{}", now=NOW
        )


def test_a_webhook_is_signed_with_every_active_secret() -> None:
    old, new = b"o" * 24, b"n" * 24

    both = signature.webhook_headers([new, old], "id-1", b"{}", NOW)["webhook-signature"]

    alone = [signature.webhook_headers([k], "id-1", b"{}", NOW)["webhook-signature"] for k in (new, old)]
    assert both.split(" ") == alone


def test_a_webhook_may_carry_several_signatures() -> None:
    key = signature.webhook_key("k" * 24)
    headers = signature.webhook_headers([key], "id-1", b"{}", NOW)
    headers["webhook-signature"] = "v1a,xyz v1,bm8= " + headers["webhook-signature"]

    assert signature.check_webhook(keys=[key], headers=headers, body=b"{}", now=NOW) == "id-1"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_webhook_without_a_header_is_refused(name: str) -> None:
    key = signature.webhook_key("k" * 24)
    headers = signature.webhook_headers([key], "id-1", b"{}", NOW)
    del headers[name]

    with pytest.raises(SignatureInvalid):
        signature.check_webhook(keys=[key], headers=headers, body=b"{}", now=NOW)


def test_a_webhook_is_good_for_five_minutes() -> None:
    key = signature.webhook_key("k" * 24)
    headers = signature.webhook_headers([key], "id-1", b"{}", NOW)

    def check(seconds: int) -> str:
        then = NOW + timedelta(seconds=seconds)
        return signature.check_webhook(keys=[key], headers=headers, body=b"{}", now=then)

    assert check(300) == check(-300) == "id-1"
    for seconds in (301, -301):
        with pytest.raises(SignatureInvalid):
            check(seconds)


@pytest.mark.parametrize("secret", ["short", "whsec_", "whsec_$$$", "whsec_c2hvcnQ=", "x" * 65])
def test_a_poor_secret_is_refused_without_being_told(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook secret") as caught:
        signature.webhook_key(secret)

    assert secret not in str(caught.value) or len(secret) < 7


FORMS = st.text(alphabet="ab=&+%2Ff6E94B8AD;0 ~", max_size=60)
"""More is broken here than a browser could break: half a quote, no name, no value, a run cut off."""


def outcome(parse: Callable[[], object]) -> object:
    try:
        return parse()
    except ValueError:
        return ValueError


@given(FORMS)
def test_a_form_is_read_as_the_standard_library_reads_it(form: str) -> None:
    def standard() -> object:
        return parse_qsl(form, keep_blank_values=True, errors="strict", max_num_fields=100)

    assert outcome(lambda: signature.form_pairs(form.encode())) == outcome(standard)


@given(st.lists(st.tuples(st.text(), st.text()), max_size=20))
def test_every_form_comes_back_as_it_was_written(pairs: list[tuple[str, str]]) -> None:
    assert signature.form_pairs(urlencode(pairs).encode()) == pairs

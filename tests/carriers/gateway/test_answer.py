"""What a gateway's answer means; what nobody understands may have been sent, and is no refusal."""

from datetime import UTC, datetime

import pytest

from channels.base import OutcomeKind, SendOutcome
from channels.errors import ChannelError, ErrorClass
from channels.gateway_answer import read_answer
from channels.gateway_reader import read_profile
from channels.http_client import outcome_of

NOW = datetime(2025, 7, 11, 6, 0, tzinfo=UTC)
A, R, T, U = OutcomeKind.ACCEPTED, OutcomeKind.REJECTED, OutcomeKind.THROTTLED, OutcomeKind.UNKNOWN
E = ErrorClass

ANSWERS = {
    # profile, status, body → kind, error class, reference or code
    "Kannel took it": ("kannel", 202, "0: Accepted for delivery", A, None, "tok-1"),
    "Kannel keeps it": ("kannel", 202, "3: Queued for later delivery", A, None, "tok-1"),
    "Kannel, wrong password": (
        "kannel", 403, "Authorization failed for sendsms",
        R, E.CONFIG, "Authorization failed for sendsms",
    ),
    "Kannel, no route": (
        "kannel", 403, "Not routable. Do not try again.",
        R, E.UNROUTABLE, "Not routable. Do not try again.",
    ),
    "Kannel is full": (
        "kannel", 503, "Temporal failure, try again later.",
        T, E.THROTTLED, "Temporal failure, try again later.",
    ),
    "Kannel, a sentence we do not know": ("kannel", 400, "Nay", R, E.OTHER, "Nay"),
    "Kannel, an empty 202": ("kannel", 202, "", U, E.AMBIGUOUS, "202"),
    "a proxy's page for a 502": ("kannel", 502, "<html>Bad gateway", U, E.AMBIGUOUS, "<html>Bad gateway"),
    "a captive portal's redirect": ("kannel", 302, "", R, E.CONFIG, "302"),
    "MAS took it": (
        "mas", 200, '{"msgGroup":"07111","rspcod":"success","success":true}', A, None, "07111:139",
    ),
    "MAS took it and gives no id": (
        "mas", 200, '{"rspcod":"success","success":true}', U, E.AMBIGUOUS, "200",
    ),
    "MAS, wrong mac": (
        "mas", 200, '{"rspcod":"IllegalMac","success":false}', R, E.CONFIG, "IllegalMac",
    ),
    "MAS, a code we do not know": (
        "mas", 200, '{"rspcod":"Nanu","success":false}', R, E.OTHER, "Nanu",
    ),
    "MAS says no JSON": ("mas", 200, "<html>ok</html>", U, E.AMBIGUOUS, "200"),
    "MAS is down": ("mas", 503, "", U, E.AMBIGUOUS, "503"),
    "JSON took it": ("json", 202, '{"id":"m1","parts":3}', A, None, "m1"),
    "JSON, a number as id": ("json", 200, '{"id":17}', A, None, "17"),
    "JSON, opted out": ("json", 422, '{"error":{"code":"opted_out"}}', R, E.OPTED_OUT, "opted_out"),
    "JSON, an array": ("json", 200, "[1]", U, E.AMBIGUOUS, "200"),
    "JSON, 429 without a word": ("json", 429, "", T, E.THROTTLED, "429"),
    "JSON, bytes that are no text": ("json", 200, b"\xff\xfe", U, E.AMBIGUOUS, "200"),
    "JSON, lists that never end": ("json", 200, "[" * 60_000, U, E.AMBIGUOUS, "200"),
    "JSON, objects that never end": ("json", 200, '{"id":' * 20_000, U, E.AMBIGUOUS, "200"),
    "JSON, an id of five thousand digits": (
        "json", 200, '{"id":' + "9" * 5_000 + "}", U, E.AMBIGUOUS, "200",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "status", "body", "kind", "error_class", "word"), ANSWERS.values(), ids=ANSWERS
)
def test_an_answer_means(
    profile: str,
    status: int,
    body: str | bytes,
    kind: OutcomeKind,
    error_class: ErrorClass | None,
    word: str,
) -> None:
    outcome = read(profile, status, body)

    assert (outcome.kind, outcome.error_class) == (kind, error_class)
    assert (outcome.reference if kind is A else outcome.code) == word


@pytest.mark.parametrize(
    ("body", "header", "seconds"),
    [
        ('{"error":{"code":"too_fast","retry_after":9}}', None, 9.0),
        ('{"error":{"code":"too_fast"}}', "4", 4.0),
        ('{"error":{"code":"too_fast"}}', None, 1.0),
        ('{"error":{"code":"too_fast","retry_after":"soon"}}', "4", 1.0),
        ('{"error":{"code":"too_fast","retry_after":1e99}}', None, 3600.0),
        ('{"error":{"code":"too_fast","retry_after":"nan"}}', None, 1.0),
    ],
)
def test_a_pause_is_the_gateways_within_bounds(
    body: str, header: str | None, seconds: float
) -> None:
    outcome = read("json", 429, body, {"Retry-After": header} if header else {})

    assert (outcome.kind, outcome.retry_after) == (T, seconds)


@pytest.mark.parametrize(
    ("counted", "parts"),
    [
        ("3", 3),
        ("255", 255),
        ('"many"', 2),
        ("-1", 2),
        ("256", 2),
        ("1" + "0" * 30, 2),
        ('"' + "9" * 5_000 + '"', 2),
        ('"３"', 2),
    ],
)
def test_the_parts_that_were_counted_go_before_ours_where_they_can_be_true(
    counted: str, parts: int
) -> None:
    assert read("json", 202, f'{{"id":"m1","parts":{counted}}}').parts == parts


def test_whatever_depth_is_too_deep_to_read_or_to_write_is_no_error_of_ours() -> None:
    for depth in range(800, 1_000):
        body = f'{{"id":{"[" * depth}{"]" * depth}}}'

        assert read("json", 200, body).kind in (A, U)


def read(
    profile: str, status: int, body: str | bytes, headers: dict[str, str] | None = None
) -> SendOutcome:
    try:
        return read_answer(
            read_profile(profile).answer,
            status=status,
            headers=headers or {},
            body=body if isinstance(body, bytes) else body.encode(),
            values={"token": "tok-1", "to_national": "139", "parts": 2},
            now=NOW,
        )
    except ChannelError as fault:
        return outcome_of(fault)

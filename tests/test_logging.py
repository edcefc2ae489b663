"""Logs tell what happened and give nobody's number, token or password away."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from warnsvc.logging import configure_logging, get_logger, mask_number, mask_numbers
from warnsvc.token import sign_token


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logging(style="json", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_a_constant_message_with_fields(stream: io.StringIO) -> None:
    get_logger().info("answer recorded", bulletin=12, callout=90_143, by="村支书", late=False)

    (line,) = lines(stream)
    assert str(line.pop("at")).endswith("Z")
    assert line == {
        "event": "answer recorded",
        "level": "info",
        "bulletin": 12,
        "callout": 90_143,
        "by": "村支书",
        "late": False,
    }


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("13800138000", "138****8000"),
        ("+8613800138000", "+86138****8000"),
        ("8613800138000", "86138****8000"),
        ("008613800138000", "0086138****8000"),
        ("013800138000", "0138****8000"),
        ("138 0013 8000", "138 **** 8000"),
        ("+86 138-0013-8000", "+86 138-****-8000"),
        ("call 13800138000, then 13900139000", "call 138****8000, then 139****9000"),
        ("12 13800138000", "12 138****8000"),
        ("tel:13800138000;ext=1", "tel:138****8000;ext=1"),
        ("１３８００１３８０００", "138****8000"),
        ("١٣٨٠٠١٣٨٠٠٠", "138****8000"),
        ("+998712345678", "+9987****5678"),
        ("0991-2345678", "099*-***5678"),
    ],
)
def test_numbers_lose_four_digits_however_they_are_written(written: str, shown: str) -> None:
    assert mask_numbers(written) == shown


@pytest.mark.parametrize(
    "harmless",
    [
        "652301001001",
        "652301001001-S001",
        "2026-07-05T14:30:00+08:00",
        "1751697000",
        "1751697000000",
        "attempt 90143 of callout 12",
        "65230141600000_20260705143000",
        "3.14159265358979",
    ],
)
def test_codes_and_times_stay_as_they_are(harmless: str) -> None:
    assert mask_numbers(harmless) == harmless


@given(st.text(), st.integers(13_000_000_000, 19_999_999_999), st.text())
def test_no_mobile_number_survives_between_any_other_words(
    before: str, number: int, after: str
) -> None:
    masked = mask_numbers(f"{before} {number} {after}")

    assert str(number) not in masked


def test_short_numbers_are_hidden_as_far_as_there_are_digits() -> None:
    assert mask_number("12345") == "*2345"


def test_numbers_are_masked_in_every_corner_of_a_line(stream: io.StringIO) -> None:
    number = "13800138000"

    get_logger().warning(
        f"said {number}",
        number=number,
        as_integer=int(number),
        nested={"list": [number, {"key": (number,)}]},
        thing=ValueError(number),
        raw=number.encode(),
    )

    assert "138****8000" in stream.getvalue()
    assert number not in stream.getvalue()


def test_numbers_are_masked_in_tracebacks(stream: io.StringIO) -> None:
    try:
        raise ValueError("cannot call +8613800138000")
    except ValueError:
        get_logger().exception("send failed")

    (line,) = lines(stream)
    assert "ValueError: cannot call +86138****8000" in str(line["exception"])
    assert "13800138000" not in stream.getvalue()


def test_what_a_library_logs_goes_the_same_way(stream: io.StringIO) -> None:
    logging.getLogger("aiohttp.access").info("GET /a?to=%s", "13800138000")

    (line,) = lines(stream)
    assert line["event"] == "GET /a?to=138****8000"


def test_secret_fields_are_redacted_by_name(stream: io.StringIO) -> None:
    get_logger().info(
        "configured",
        database_password="hunter2",
        headers={"Authorization": "hunter2", "Cookie": "hunter2", "Host": "here"},
        csrf_token="hunter2",
        secret_key="hunter2",
    )

    (line,) = lines(stream)
    assert "hunter2" not in stream.getvalue()
    assert line["headers"] == {
        "Authorization": "[redacted]",
        "Cookie": "[redacted]",
        "Host": "here",
    }


def test_our_tokens_lose_their_signature_in_addresses(stream: io.StringIO) -> None:
    token = sign_token(b"s" * 32, "callout", 90_143)

    logging.getLogger("aiohttp.access").info("GET /a/%s HTTP/1.1", token)

    (line,) = lines(stream)
    assert line["event"] == f"GET /a/{token.partition('.')[0]}.[redacted] HTTP/1.1"


def test_a_thing_that_contains_itself_is_logged_up_to_a_depth(stream: io.StringIO) -> None:
    ring: list[object] = []
    ring.append(ring)

    get_logger().info("ring", ring=ring)

    (line,) = lines(stream)
    assert "…" in str(line["ring"])


def test_what_is_below_the_level_is_not_written(stream: io.StringIO) -> None:
    get_logger().debug("claimed", count=0)

    assert stream.getvalue() == ""


def test_on_a_terminal_lines_are_for_people() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    terminal = Terminal()
    configure_logging(stream=terminal)

    get_logger().info("answer recorded", sender="13800138000")
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()

    assert "answer recorded" in terminal.getvalue()
    assert "138****8000" in terminal.getvalue()

"""Twilio's codes in our words."""

from datetime import UTC, datetime

import pytest

from channels.base import OutcomeKind
from channels.errors import ErrorClass
from channels.http_client import outcome_of
from channels.twilio_error import FAILURES, REFUSALS, failure_class, fault_of_refusal, sip_class
from channels.twilio_http import Refusal, refusal
from tests.carriers.twilio.conftest import request_for
from tests.carriers.twilio.rigs import SmsRig, VoiceRig

NOW = datetime(2026, 7, 5, tzinfo=UTC)

REJECTED, THROTTLED, UNKNOWN = OutcomeKind.REJECTED, OutcomeKind.THROTTLED, OutcomeKind.UNKNOWN


@pytest.mark.parametrize(
    ("status", "code", "kind", "error_class"),
    [
        (400, 21211, REJECTED, ErrorClass.BAD_NUMBER),
        (400, 21614, REJECTED, ErrorClass.NOT_CAPABLE),
        (400, 21610, REJECTED, ErrorClass.OPTED_OUT),
        (400, 21612, REJECTED, ErrorClass.UNROUTABLE),
        (403, 21408, REJECTED, ErrorClass.CONFIG),
        (403, 21610, REJECTED, ErrorClass.OPTED_OUT),  # the code says more than the status
        (400, 21617, REJECTED, ErrorClass.FILTERED),
        (400, 99999, REJECTED, ErrorClass.OTHER),
        (422, 422, REJECTED, ErrorClass.OTHER),
        (401, 20003, REJECTED, ErrorClass.CONFIG),
        (401, 401, REJECTED, ErrorClass.CONFIG),
        (404, 20404, REJECTED, ErrorClass.CONFIG),
        (302, 302, REJECTED, ErrorClass.CONFIG),
        (429, 20429, THROTTLED, ErrorClass.THROTTLED),
        (429, 1, THROTTLED, ErrorClass.THROTTLED),
        (400, 21611, THROTTLED, ErrorClass.THROTTLED),
        (400, 20500, UNKNOWN, ErrorClass.AMBIGUOUS),
        (500, 21211, UNKNOWN, ErrorClass.AMBIGUOUS),  # a fault of theirs says nothing about ours
        (503, 503, UNKNOWN, ErrorClass.AMBIGUOUS),
        (408, 408, UNKNOWN, ErrorClass.AMBIGUOUS),
        (200, 200, UNKNOWN, ErrorClass.AMBIGUOUS),
    ],
)
def test_a_refusal_means_one_thing(
    status: int, code: int, kind: OutcomeKind, error_class: ErrorClass
) -> None:
    refused = Refusal(status=status, code=code, reason="", headers={"Retry-After": "9"})

    outcome = outcome_of(fault_of_refusal(refused, NOW))

    assert (outcome.kind, outcome.error_class) == (kind, error_class)
    assert outcome.retry_after == (9.0 if kind is THROTTLED else 0.0)
    assert outcome.code == str(code)


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        ("30003", ErrorClass.HANDSET_OFF),
        ("30005", ErrorClass.BAD_NUMBER),
        (30006, ErrorClass.NOT_CAPABLE),
        ("30007", ErrorClass.FILTERED),
        ("30008", ErrorClass.AMBIGUOUS),
        ("30036", ErrorClass.EXPIRED),
        ("39999", ErrorClass.OTHER),
        ("", ErrorClass.OTHER),
        (None, ErrorClass.OTHER),
        ("rubbish", ErrorClass.OTHER),
        ("9" * 5000, ErrorClass.OTHER),
    ],
)
def test_a_failure_code_means_one_thing_and_unknown_ones_are_safe(
    code: str | int | None, error_class: ErrorClass
) -> None:
    assert failure_class(code) is error_class


def test_no_failed_call_makes_a_number_bad_for_want_of_a_route() -> None:
    assert sip_class("404") is ErrorClass.UNROUTABLE
    assert sip_class("484") is ErrorClass.BAD_NUMBER
    assert sip_class("") is ErrorClass.OTHER


def test_every_class_of_the_reference_has_its_codes() -> None:
    """carriers.md §1.1, row by row; 21617 is argued about in the table."""
    rows = {
        ErrorClass.BAD_NUMBER: {21211, 21217, 13224, 21214, 30005},
        ErrorClass.NOT_CAPABLE: {21614, 21635, 30006},
        ErrorClass.OPTED_OUT: {21610, 30004},
        ErrorClass.UNROUTABLE: {21612},
        ErrorClass.THROTTLED: {20429, 21611, 22005, 14107, 30001},
        ErrorClass.HANDSET_OFF: {30003},
        ErrorClass.FILTERED: {30007},
        ErrorClass.EXPIRED: {30036},
        ErrorClass.CONFIG: {20003, 21603, 21606, 21210, 21212, 21408, 21215, 90007, 30002},
        ErrorClass.AMBIGUOUS: {20500, 30008},
    }
    for error_class, codes in rows.items():
        for code in codes:
            assert {**FAILURES, **REFUSALS}[code] is error_class, code


def test_both_shapes_of_an_error_are_read() -> None:
    old = refusal(400, {"code": 21211, "message": "no number"}, {})
    new = refusal(400, {"type": "x", "code": 21211, "title": "no number", "status": 400}, {})
    none = refusal(502, {}, {})

    assert (old.code, old.reason) == (new.code, new.reason) == (21211, "no number")
    assert (none.code, none.reason) == (502, "")


@pytest.mark.parametrize(
    ("number", "error_class"),
    [
        ("+15005550001", ErrorClass.BAD_NUMBER),
        ("+15005550002", ErrorClass.UNROUTABLE),
        ("+15005550003", ErrorClass.CONFIG),
        ("+15005550004", ErrorClass.OPTED_OUT),
        ("+15005550009", ErrorClass.NOT_CAPABLE),
    ],
)
async def test_the_magic_numbers_mean_for_a_message(
    sms: SmsRig, number: str, error_class: ErrorClass
) -> None:
    outcome = await sms.channel.send(request_for(sms, to=number))

    assert (outcome.kind, outcome.error_class) == (REJECTED, error_class)


@pytest.mark.parametrize(
    ("number", "error_class"),
    [
        ("+15005550001", ErrorClass.BAD_NUMBER),
        ("+15005550002", ErrorClass.BAD_NUMBER),
        ("+15005550003", ErrorClass.CONFIG),
        ("+15005550004", ErrorClass.OTHER),
    ],
)
async def test_the_magic_numbers_mean_for_a_call(
    voice: VoiceRig, number: str, error_class: ErrorClass
) -> None:
    outcome = await voice.channel.send(request_for(voice, to=number))

    assert (outcome.kind, outcome.error_class) == (REJECTED, error_class)


@pytest.mark.parametrize(
    ("sender", "kind", "error_class"),
    [
        ("+15005550001", REJECTED, ErrorClass.CONFIG),
        ("+15005550007", REJECTED, ErrorClass.CONFIG),
        ("+15005550008", THROTTLED, ErrorClass.THROTTLED),
    ],
)
async def test_the_magic_senders_mean(
    sms: SmsRig, sender: str, kind: OutcomeKind, error_class: ErrorClass
) -> None:
    channel = sms.make(sender=sender)

    outcome = await channel.send(request_for(sms))

    await channel.close()
    assert (outcome.kind, outcome.error_class) == (kind, error_class)

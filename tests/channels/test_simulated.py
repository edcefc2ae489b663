"""What the simulated carrier's words and refusals become, case by case."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from aiohttp import web

from channels import signature
from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    Inquiry,
    OutcomeKind,
    ReceiptWord,
    SendRequest,
)
from channels.errors import ErrorClass
from channels.simulated import FAILURES, REFUSALS, SimulatedSms, SimulatedVoice
from tests.channels.catcher import again

NOW = datetime(2025, 7, 11, 6, 0, tzinfo=UTC)
SECRET = "s" * 32
URL = "https://warn.example/callbacks/sim/tok-1"
E, W = ErrorClass, ReceiptWord


def sms(base_url: str = "http://127.0.0.1:1", **changes: object) -> SimulatedSms:
    return SimulatedSms(
        name="sms", base_url=base_url, account="county", secrets=[SECRET], sender="1069", clock=lambda: NOW, **changes
    )


def voice() -> SimulatedVoice:
    return SimulatedVoice(
        name="voice", base_url="http://127.0.0.1:1", account="county", secrets=[SECRET], sender="1069", clock=lambda: NOW
    )


def callback(**fields: str) -> CallbackRequest:
    form = {
        "Sid": "SM1",
        "Reference": "tok-1",
        "Sequence": "1",
        "Timestamp": "2025-07-11T05:59:59.500+00:00",
        **fields,
    }
    pairs = list(form.items())
    return CallbackRequest(
        url=URL,
        headers=signature.form_headers(SECRET, URL, pairs, NOW),
        body=urlencode(pairs).encode(),
        token="tok-1",
    )


SMS_CASES = [
    ("queued", "", W.ACCEPTED, None, ""),
    ("sent", "", W.SENT, None, ""),
    ("delivered", "", W.DELIVERED, None, ""),
    ("undelivered", "30003", W.UNDELIVERED, E.HANDSET_OFF, "30003"),
    ("undelivered", "30004", W.UNDELIVERED, E.OPTED_OUT, "30004"),
    ("undelivered", "30005", W.UNDELIVERED, E.BAD_NUMBER, "30005"),
    ("undelivered", "30006", W.UNDELIVERED, E.NOT_CAPABLE, "30006"),
    ("undelivered", "30007", W.UNDELIVERED, E.FILTERED, "30007"),
    ("undelivered", "39999", W.UNDELIVERED, E.OTHER, "39999"),
    ("undelivered", "", W.UNDELIVERED, E.OTHER, "undelivered"),
    ("expired", "30036", W.UNDELIVERED, E.EXPIRED, "30036"),
    ("cancelled", "", W.UNDELIVERED, E.OTHER, "cancelled"),
    ("teleported", "", W.ACCEPTED, E.OTHER, "teleported"),
]


@pytest.mark.parametrize(("status", "code", "word", "error_class", "kept"), SMS_CASES)
def test_a_carriers_word_becomes_ours(
    status: str, code: str, word: ReceiptWord, error_class: ErrorClass | None, kept: str
) -> None:
    extra = {"Code": code} if code else {}

    (event,) = sms().parse_receipts(callback(Status=status, **extra))

    assert (event.word, event.error_class, event.code) == (word, error_class, kept)
    assert event.happened_at == NOW - timedelta(seconds=0.5)
    assert (event.token, event.reference, event.dedupe_key) == ("tok-1", "SM1", "SM1:1")


@pytest.mark.parametrize(
    ("status", "word", "error_class"),
    [
        ("dialing", W.SENT, None),
        ("ringing", W.RINGING, None),
        ("answered", W.PICKED_UP, None),
        ("hung_up", W.CUT_SHORT, None),
        ("played", W.HEARD, None),
        ("voicemail", W.UNDELIVERED, E.VOICEMAIL),
        ("busy", W.UNDELIVERED, E.BUSY),
        ("declined", W.UNDELIVERED, E.NO_ANSWER),
        ("no_answer", W.UNDELIVERED, E.NO_ANSWER),
        ("switched_off", W.UNDELIVERED, E.HANDSET_OFF),
        ("bad_number", W.UNDELIVERED, E.BAD_NUMBER),
    ],
)
def test_a_calls_word_becomes_ours(
    status: str, word: ReceiptWord, error_class: ErrorClass | None
) -> None:
    (event,) = voice().parse_receipts(callback(Status=status, HeardSeconds="7.5"))

    assert (event.word, event.error_class, event.heard_seconds) == (word, error_class, 7.5)


@pytest.mark.parametrize(
    "fields",
    [
        {"Status": "sent", "Timestamp": "yesterday"},
        {"Status": "sent", "HeardSeconds": "long"},
        {"Status": "digits", "Digits": "1"},
        {"Text": "1", "Id": "IN1"},
        {"Status": "sent", "Reference": "tok-2"},
    ],
    ids=["no instant", "no number", "key without sender", "reply without sender", "other try"],
)
def test_a_signed_callback_that_cannot_be_read_is_kept_for_a_human(fields: dict[str, str]) -> None:
    request = callback(**fields)

    with pytest.raises(CallbackMalformed):
        assert sms().parse_receipts(request) or sms().parse_inbound(request)


class Carrier:
    """Answers every request with one prepared response."""

    def __init__(self) -> None:
        self.answer = web.Response()
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._reply)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        self.url = ""

    async def _reply(self, request: web.Request) -> web.Response:
        return again(self.answer)


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    carrier = Carrier()
    await carrier.runner.setup()
    site = web.TCPSite(carrier.runner, "127.0.0.1", 0)
    await site.start()
    carrier.url = f"http://127.0.0.1:{site.port}"
    yield carrier
    await carrier.runner.cleanup()


def request() -> SendRequest:
    return SendRequest(
        token="tok-1",
        to="+8613900000001",
        text="收到回1",
        language="zh",
        valid_until=NOW + timedelta(minutes=1),
        callback_url=URL,
    )


def refusal(status: int, code: str = "", **headers: str) -> web.Response:
    return web.json_response({"code": code, "message": "no"}, status=status, headers=headers)


R, T, U = OutcomeKind.REJECTED, OutcomeKind.THROTTLED, OutcomeKind.UNKNOWN
HTTP_DATE = "Fri, 11 Jul 2025 06:00:20 GMT"
ANSWERS = [
    *((f"code {code}", refusal(400, code), R, known, code, 0.0) for code, known in REFUSALS.items() if code < "42900"),
    ("unknown code", refusal(400, "29999"), R, E.OTHER, "29999", 0.0),
    ("wrong secret", refusal(401, "20001"), R, E.CONFIG, "20001", 0.0),
    ("another server", web.Response(status=404, text="nginx"), R, E.CONFIG, "404", 0.0),
    ("redirect", web.Response(status=302, headers={"Location": "/"}), R, E.CONFIG, "302", 0.0),
    ("too fast", refusal(429, "42900"), T, E.THROTTLED, "42900", 1.0),
    ("too fast, wait", refusal(429, "42900", **{"Retry-After": "2.5"}), T, E.THROTTLED, "42900", 2.5),
    ("too fast, until", refusal(429, "", **{"Retry-After": HTTP_DATE}), T, E.THROTTLED, "", 20.0),
    ("too fast, absurd", refusal(429, "", **{"Retry-After": "1e9"}), T, E.THROTTLED, "", 3600.0),
    ("too fast, nonsense", refusal(429, "", **{"Retry-After": "soon"}), T, E.THROTTLED, "", 1.0),
    ("too fast, nan", refusal(429, "", **{"Retry-After": "nan"}), T, E.THROTTLED, "", 1.0),
    ("too fast, negative", refusal(429, "", **{"Retry-After": "-5"}), T, E.THROTTLED, "", 1.0),
    ("server error", refusal(500), U, E.AMBIGUOUS, "500", 0.0),
    ("out of service", refusal(503, "50300"), U, E.AMBIGUOUS, "50300", 0.0),
    ("taken, unreadable", web.Response(status=201, text="<ok>"), U, E.AMBIGUOUS, "201", 0.0),
    ("taken, without id", web.json_response({}, status=201), U, E.AMBIGUOUS, "201", 0.0),
    ("taken, a list", web.json_response([], status=201), U, E.AMBIGUOUS, "201", 0.0),
    ("taken, endless", web.Response(status=201, body=b" " * 70_000), U, E.AMBIGUOUS, "ReplyTooLong", 0.0),
    ("other success", web.json_response({"sid": "SM1"}), U, E.AMBIGUOUS, "200", 0.0),
]


@pytest.mark.parametrize(
    ("answer", "kind", "error_class", "code", "pause"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS]
)
async def test_a_carriers_answer_means(
    carrier: Carrier, answer: web.Response, kind: OutcomeKind, error_class: ErrorClass, code: str, pause: float
) -> None:
    carrier.answer = answer
    channel = sms(carrier.url)

    outcome = await channel.send(request())
    await channel.close()

    assert (outcome.kind, outcome.error_class, outcome.code) == (kind, error_class, code)
    assert outcome.retry_after == pytest.approx(pause)


@pytest.mark.parametrize("answer", [web.Response(text="x"), web.json_response({"items": [{}]}), web.json_response({"items": 1}), refusal(500)])
async def test_a_look_up_that_cannot_be_read_is_no_answer(carrier: Carrier, answer: web.Response) -> None:
    carrier.answer = answer
    channel = sms(carrier.url)

    assert await channel.lookup(Inquiry(token="tok-1")) is None
    assert await channel.cancel("SM1", live=True) is False
    await channel.close()


def test_every_failure_code_has_a_class_that_is_not_a_guess() -> None:
    assert set(FAILURES.values()) <= set(ErrorClass)
    assert FAILURES["30036"] is ErrorClass.EXPIRED


def test_the_estimate_counts_parts_pace_and_lines() -> None:
    assert sms(per_second=10.0).estimate("水" * 71, 100).seconds == 20.0
    assert sms(per_second=10.0).estimate("水" * 71, 100).parts == 2
    few_lines = SimulatedVoice(
        name="v", base_url="http://x", account="a", secrets=["s"], sender="1", lines=2, per_second=10.0
    )
    assert few_lines.estimate("水" * 45, 10).seconds == 5 * (15 + 10)


def test_a_channel_without_a_secret_is_not_made() -> None:
    with pytest.raises(ValueError, match="secret"):
        SimulatedSms(name="s", base_url="http://x", account="a", secrets=[], sender="1")

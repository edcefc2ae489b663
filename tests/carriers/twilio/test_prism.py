"""What our adapters send is what Twilio's published OpenAPI describes: judged by Prism."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from channels.base import Channel, Inquiry, OutcomeKind, SendRequest
from channels.errors import ErrorClass
from channels.twilio_sms import TwilioSms
from channels.twilio_voice import TwilioVoice
from tests.carriers.twilio.prism import prism
from tests.carriers.twilio.server import ACCOUNT, NUMBER, SERVICE, TOKEN
from tests.fakes.clock import ManualClock

pytestmark = pytest.mark.carriers

CLOCK = ManualClock()
Change = Callable[[dict[str, Any], dict[str, str]], None]


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prism(tmp_path_factory.mktemp("prism")) as url:
        yield url


@pytest.fixture(params=["sms", "service", "voice"])
async def channel(request: pytest.FixtureRequest, base_url: str) -> AsyncIterator[Any]:
    params: dict[str, Any] = {
        "name": "twilio",
        "account_sid": ACCOUNT,
        "secrets": [TOKEN],
        "base_url": base_url,
        "clock": CLOCK.now,
    }
    made: Any = {
        "sms": lambda: TwilioSms(sender=NUMBER, **params),
        "service": lambda: TwilioSms(messaging_service_sid=SERVICE, **params),
        "voice": lambda: TwilioVoice(sender=NUMBER, **params),
    }[request.param]()
    yield made
    await made.close()


def message(**changes: Any) -> SendRequest:
    values = {
        "token": "tok-0001",
        "to": "+8613912345678",
        "text": "山洪红色预警 & سەل 😀",
        "language": "zh",
        "valid_until": CLOCK.now() + timedelta(minutes=10),
        "callback_url": "https://county.example/callbacks/twilio/1a2b.Zr3kQm0c9Yy1n0pXw5dT7g",
        **changes,
    }
    return SendRequest(**values)


def inquiry(**changes: Any) -> Inquiry:
    values = {"token": "t", "to": "+8613912345678", "text": "x", "sent_at": CLOCK.now(), **changes}
    return Inquiry(**values)


def change_requests(channel: Any, change: Change) -> None:
    """Let a test spoil what the adapter sends, under its hands."""
    send = channel._http.request

    async def spoilt(method: str, url: str, **more: Any) -> Any:
        data, headers = dict(more.pop("data", None) or {}), dict(more.pop("headers", None) or {})
        change(data, headers)
        return await send(method, url, data=data, headers=headers, **more)

    channel._http.request = spoilt


def prefer(what: str) -> Change:
    return lambda data, headers: headers.update(Prefer=what)


async def test_what_we_send_is_as_documented(channel: Channel) -> None:
    outcome = await channel.send(message())

    assert outcome.code != "422", outcome
    assert outcome.kind is OutcomeKind.ACCEPTED, outcome
    assert outcome.reference[:2] in {"SM", "CA", "MM"}


async def test_a_long_call_and_a_recording_are_as_documented(channel: Channel) -> None:
    if isinstance(channel, TwilioSms):
        pytest.skip("for calls")
    for changes in (
        {"text": "&" * 900},
        {"language": "ug", "audio_url": "https://county.example/recordings/abc/ug"},
    ):
        assert (await channel.send(message(**changes))).kind is OutcomeKind.ACCEPTED


async def test_what_twilio_documents_as_an_answer_can_be_read(channel: Any) -> None:
    """Prism makes up an answer from the description each time: any status, any length, any null."""
    change_requests(channel, prefer("dynamic=true"))

    outcomes = [await channel.send(message()) for _ in range(20)]

    kinds = {outcome.kind for outcome in outcomes}
    # A made-up status may say that it failed at once, and the name may be null: no more than that.
    assert kinds <= {OutcomeKind.ACCEPTED, OutcomeKind.REJECTED, OutcomeKind.UNKNOWN}
    assert OutcomeKind.ACCEPTED in kinds


async def test_questions_are_as_documented(channel: Any) -> None:
    assert await channel.lookup(inquiry(reference=("CA" if is_call(channel) else "SM") + "0" * 32))
    assert await channel.lookup(inquiry()) is None  # Prism's one record is of no time
    sid = ("CA" if is_call(channel) else "SM") + "0" * 32
    assert await channel.cancel(sid, live=True) is False
    if not is_call(channel):
        fetched = await channel.poll_inbound(CLOCK.now() - timedelta(hours=1))
        assert fetched is not None
        assert not fetched.events


@pytest.mark.parametrize(
    ("status", "kind", "error_class"),
    [
        (400, OutcomeKind.REJECTED, ErrorClass.BAD_NUMBER),
        (401, OutcomeKind.REJECTED, ErrorClass.CONFIG),
        (429, OutcomeKind.THROTTLED, ErrorClass.THROTTLED),
        (500, OutcomeKind.UNKNOWN, ErrorClass.AMBIGUOUS),
    ],
)
async def test_errors_as_twilio_writes_them_mean_what_they_mean(
    channel: Any, status: int, kind: OutcomeKind, error_class: ErrorClass
) -> None:
    change_requests(channel, prefer(f"code={status}"))

    outcome = await channel.send(message())

    assert (outcome.kind, outcome.error_class) == (kind, error_class)
    assert outcome.retry_after == (7.0 if status == 429 else 0.0)


def drop(name: str) -> Change:
    return lambda data, headers: data.pop(name, None)


def put(name: str, value: Any) -> Change:
    return lambda data, headers: data.update({name: value})


SPOILT: dict[str, tuple[str, Change]] = {
    "no To": ("both", drop("To")),
    "a validity that is no number": ("sms", put("ValidityPeriod", "abc")),
    "a timeout that is no number": ("voice", put("Timeout", "soon")),
    "a callback that is no address": ("both", put("StatusCallback", "nowhere")),
    "a method that is none": ("voice", put("StatusCallbackMethod", "SHOUT")),
    "a service that is none": ("sms", put("MessagingServiceSid", "MG1")),
}


@pytest.mark.parametrize("what", SPOILT)
async def test_prism_bites(channel: Any, what: str) -> None:
    """A check that never fails checks nothing: what is spoilt on purpose is noticed."""
    kind, change = SPOILT[what]
    if kind not in {"both", "voice" if is_call(channel) else "sms"}:
        pytest.skip(f"for {kind}")
    change_requests(channel, change)

    outcome = await channel.send(message())

    assert (outcome.kind, outcome.code) == (OutcomeKind.REJECTED, "422")


async def test_prism_wants_to_know_who_asks(channel: Any) -> None:
    change_requests(channel, lambda data, headers: None)
    channel._client.username = channel._client.password = None

    outcome = await channel.send(message())

    assert outcome.error_class is ErrorClass.CONFIG


def is_call(channel: Channel) -> bool:
    return channel.capabilities.dtmf

"""Webhooks: what an endpoint gets, what its answers mean, and where we refuse to connect."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from channels import signature
from channels.base import CallbackMalformed, CallbackRequest, OutcomeKind, SendRequest
from channels.errors import ErrorClass
from channels.simulator import AnswersBy
from channels.webhook import BODY_BYTES_MAX, WebhookChannel, is_public
from tests.channels.catcher import again
from tests.channels.rigs import WebhookRig

NOW = datetime(2025, 7, 11, 6, 0, tzinfo=UTC)
SECRET = "k" * 32
KEY = signature.webhook_key(SECRET)


def channel(**changes: object) -> WebhookChannel:
    return WebhookChannel(
        name="hook", secrets=[SECRET], clock=lambda: NOW, **{"allow_private": True, **changes}
    )


def request(to: str, **changes: object) -> SendRequest:
    return SendRequest(
        **{
            "token": "tok-1",
            "to": to,
            "text": "山洪橙色预警",
            "language": "zh",
            "valid_until": NOW + timedelta(minutes=10),
            "callback_url": "https://warn.example/c/tok-1",
            "answer_url": "https://warn.example/a/tok-1",
            "fields": {"colour": "orange"},
            **changes,
        }
    )


class Endpoint:
    """Answers whatever it is told to and keeps what it got."""

    def __init__(self) -> None:
        self.answer: web.Response = web.Response(status=204)
        self.got: list[tuple[dict[str, str], bytes]] = []
        app = web.Application()
        app.router.add_post("/siren", self._take)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        self.url = ""

    async def start(self) -> None:
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site.port}/siren"

    async def _take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return again(self.answer)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    await endpoint.start()
    yield endpoint
    await endpoint.runner.cleanup()


async def test_an_endpoint_gets_a_standard_webhook(endpoint: Endpoint) -> None:
    sender = channel()
    await sender.send(request(endpoint.url))
    await sender.close()

    headers, body = endpoint.got[0]
    assert signature.check_webhook(keys=[KEY], headers=headers, body=body, now=NOW) == "tok-1"
    assert json.loads(body) == {
        "type": "message",
        "timestamp": "2025-07-11T06:00:00+00:00",
        "data": {
            "token": "tok-1",
            "text": "山洪橙色预警",
            "language": "zh",
            "valid_until": "2025-07-11T06:10:00+00:00",
            "callback_url": "https://warn.example/c/tok-1",
            "answer_url": "https://warn.example/a/tok-1",
            "fields": {"colour": "orange"},
        },
    }


ANSWERS = [
    # label, the endpoint's answer, outcome, class, answer
    ("empty", web.Response(status=204), "accepted", None, ""),
    ("answer", web.json_response({"answer": "1"}), "accepted", None, "1"),
    ("number", web.json_response({"answer": 1}), "accepted", None, "1"),
    ("long answer", web.json_response({"answer": "x" * 900}), "accepted", None, "x" * 200),
    ("odd answer", web.json_response({"answer": {"a": 1}}), "accepted", None, ""),
    ("no object", web.json_response([1]), "accepted", None, ""),
    ("no json", web.Response(text="<ok/>"), "accepted", None, ""),
    ("too long", web.Response(body=b"x" * 70_000), "unknown", ErrorClass.AMBIGUOUS, ""),
    ("redirect", web.Response(status=302, headers={"Location": "http://127.0.0.1/"}), "rejected", ErrorClass.UNROUTABLE, ""),
    ("unauthorised", web.Response(status=401), "rejected", ErrorClass.UNROUTABLE, ""),
    ("gone", web.Response(status=410), "rejected", ErrorClass.BAD_NUMBER, ""),
    ("not found", web.Response(status=404), "rejected", ErrorClass.UNROUTABLE, ""),
    ("refused text", web.Response(status=422), "rejected", ErrorClass.FILTERED, ""),
    ("teapot", web.Response(status=418), "rejected", ErrorClass.OTHER, ""),
    ("busy", web.Response(status=429, headers={"Retry-After": "9"}), "throttled", ErrorClass.THROTTLED, ""),
    ("failed", web.Response(status=500), "unknown", ErrorClass.AMBIGUOUS, ""),
]


@pytest.mark.parametrize(
    ("answer", "kind", "error_class", "said"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS]
)
async def test_an_endpoints_answer_means(
    endpoint: Endpoint, answer: web.Response, kind: str, error_class: ErrorClass | None, said: str
) -> None:
    endpoint.answer = answer
    sender = channel()

    outcome = await sender.send(request(endpoint.url))
    await sender.close()

    assert (outcome.kind, outcome.error_class, outcome.answer) == (kind, error_class, said)
    assert len(endpoint.got) == 1


async def test_a_private_address_is_not_connected_to(endpoint: Endpoint) -> None:
    """The endpoint is on loopback: what a name resolves to is checked, not the name."""
    sender = channel(allow_private=False)
    for host in ("127.0.0.1", "localhost"):
        url = endpoint.url.replace("http://127.0.0.1", f"https://{host}")
        outcome = await sender.send(request(url))

        assert outcome.kind is OutcomeKind.REJECTED
        assert (outcome.error_class, outcome.code) == (ErrorClass.BAD_NUMBER, "private")
    await sender.close()
    assert endpoint.got == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1"],
)
def test_no_reserved_address_is_public(host: str) -> None:
    assert not is_public(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "223.5.5.5", "2400:3200::1", "::ffff:8.8.8.8"])
def test_ordinary_addresses_are_public(host: str) -> None:
    assert is_public(host)


@pytest.mark.parametrize(
    "url",
    ["", "siren", "//host/x", "http://example.com/x", "ftp://example.com", "file:///etc/passwd", "https://", "https://user:pw@example.com/", "https://[::1", "https://example.com:99999/"],
)
async def test_only_plain_https_addresses_are_used_outside_a_closed_network(url: str) -> None:
    sender = channel(allow_private=False)

    outcome = await sender.send(request(url))
    await sender.close()

    assert (outcome.kind, outcome.error_class) == (OutcomeKind.REJECTED, ErrorClass.BAD_NUMBER)


async def test_what_is_longer_than_a_webhook_may_be_is_not_sent(endpoint: Endpoint) -> None:
    sender = channel()

    outcome = await sender.send(request(endpoint.url, text="水" * BODY_BYTES_MAX))
    await sender.close()

    assert (outcome.kind, outcome.error_class, outcome.code) == ("rejected", ErrorClass.FILTERED, "too_long")
    assert endpoint.got == []


@pytest.mark.parametrize(
    "document",
    [b"[]", b"{}", b'{"type":"answer","data":{}}', b'{"type":"answer","data":[]}', b"\xff", b"not json"],
)
def test_a_signed_callback_that_names_no_token_is_kept_for_a_human(document: bytes) -> None:
    callback = CallbackRequest(
        url="https://warn.example/c/tok-1",
        headers=signature.webhook_headers(KEY, "id-1", document, NOW),
        body=document,
        token="tok-1",
    )

    with pytest.raises(CallbackMalformed):
        channel().parse_inbound(callback)


async def test_an_endpoint_that_answers_in_its_response_is_heard_at_once(hook: WebhookRig) -> None:
    hook.carrier.hooks.set_answers("loudspeaker", AnswersBy.RESPONSE)
    to = hook.good_address

    outcome = await hook.channel.send(request(to, callback_url=hook.callback_url("tok-1")))

    assert (outcome.kind, outcome.answer) == (OutcomeKind.ACCEPTED, "1")


async def test_an_endpoint_that_answers_later_calls_back(hook: WebhookRig) -> None:
    hook.carrier.hooks.set_answers("loudspeaker", AnswersBy.CALLBACK)

    await hook.channel.send(request(hook.good_address, callback_url=hook.callback_url("tok-1")))
    await hook.timeline.advance(10)

    callbacks = hook.catcher.take()
    answers = [event for call in callbacks for event in hook.channel.parse_inbound(call)]
    assert [(event.token, event.text) for event in answers] == [("tok-1", "1")]


async def test_an_endpoint_announces_a_repeated_webhook_once(hook: WebhookRig) -> None:
    for _ in range(3):
        await hook.channel.send(request(hook.good_address))

    assert hook.texts_received() == ["山洪橙色预警"]


async def test_an_endpoint_refuses_a_strangers_webhook(hook: WebhookRig) -> None:
    stranger = WebhookChannel(
        name="stranger", secrets=["another-secret-of-24-bytes"], allow_private=True, clock=hook.now
    )

    outcome = await stranger.send(request(hook.good_address))
    await stranger.close()

    assert (outcome.kind, outcome.code) == (OutcomeKind.REJECTED, "401")
    assert hook.texts_received() == []

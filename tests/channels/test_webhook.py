"""Webhooks: what an endpoint gets, what its answers mean, and where we refuse to connect."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from channels import signature
from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    OutcomeKind,
    SendRequest,
    SignatureInvalid,
)
from channels.errors import ErrorClass
from channels.http_client import TimeLimits
from channels.simulator import AnswersBy
from channels.webhook import WebhookChannel
from channels.webhook_document import BODY_BYTES_MAX
from channels.webhook_secret import SecretBook, endpoint_secret, mark_of
from tests.channels.catcher import again
from tests.channels.rigs import WebhookRig

NOW = datetime(2025, 7, 11, 6, 0, tzinfo=UTC)
SECRET = "k" * 32
SIREN = "https://siren.example/hook"


def channel(**changes: object) -> WebhookChannel:
    given: dict[str, Any] = {"secrets": [SECRET], "allow_private": True, **changes}
    return WebhookChannel(name="hook", clock=lambda: NOW, **given)


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
            "fields": {"topic": "bulletin.call", "colour": "orange", "token": "not theirs to say"},
            **changes,
        }
    )


class Endpoint:
    """Answers whatever it is told to and keeps what it got."""

    def __init__(self) -> None:
        self.answer: web.Response = web.Response(status=204)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.drips = False
        app = web.Application()
        app.router.add_post("/siren", self._take)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        self.url = ""

    async def start(self) -> None:
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site.port}/siren"

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.got.append((dict(request.headers), await request.read()))
        return await self._drip(request) if self.drips else again(self.answer)

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:  # until we are hung up on
            await response.write(b" ")
            await asyncio.sleep(0.01)


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
    keys = [signature.webhook_key(sender.endpoint_secret(endpoint.url))]
    assert signature.check_webhook(keys=keys, headers=headers, body=body, now=NOW) == "tok-1"
    document = json.loads(body)
    callback_url = document["data"].pop("callback_url")
    assert callback_url.startswith("https://warn.example/c/tok-1?e=")
    assert endpoint.url not in callback_url
    assert document == {
        "type": "bulletin.call",
        "timestamp": "2025-07-11T06:00:00+00:00",
        "data": {
            "token": "tok-1",
            "text": "山洪橙色预警",
            "language": "zh",
            "valid_until": "2025-07-11T06:10:00+00:00",
            "answer_url": "https://warn.example/a/tok-1",
            "colour": "orange",
        },
    }


async def test_a_message_without_a_topic_says_what_form_it_has(endpoint: Endpoint) -> None:
    sender = channel()
    await sender.send(request(endpoint.url, fields={}, form="stand_down"))
    await sender.close()

    assert json.loads(endpoint.got[0][1])["type"] == "message.stand_down"


ANSWERS = [
    # label, the endpoint's answer, outcome, class, answer
    ("empty", web.Response(status=204), "accepted", None, ""),
    ("blank", web.Response(text=" \n"), "accepted", None, ""),
    ("object", web.json_response({"ok": True}), "accepted", None, ""),
    ("null", web.json_response({"answer": None}), "accepted", None, ""),
    ("answer", web.json_response({"answer": "1"}), "accepted", None, "1"),
    ("number", web.json_response({"answer": 1}), "accepted", None, "1"),
    ("long answer", web.json_response({"answer": "x" * 900}), "accepted", None, "x" * 200),
    ("half a letter", web.Response(body=b'{"answer":"1\\ud800\\u0000"}'), "accepted", None, "1?"),
    ("odd answer", web.json_response({"answer": {"a": 1}}), "rejected", ErrorClass.OTHER, ""),
    ("list", web.json_response({"answer": ["1"]}), "rejected", ErrorClass.OTHER, ""),
    ("true", web.json_response({"answer": True}), "rejected", ErrorClass.OTHER, ""),
    ("fraction", web.json_response({"answer": 1.5}), "rejected", ErrorClass.OTHER, ""),
    ("no object", web.json_response([1]), "rejected", ErrorClass.OTHER, ""),
    ("login page", web.Response(text="<html>log in</html>"), "rejected", ErrorClass.OTHER, ""),
    ("no text", web.Response(body=b"\xff\xfe{}"), "rejected", ErrorClass.OTHER, ""),
    ("deep", web.Response(body=b"[" * 60_000), "rejected", ErrorClass.OTHER, ""),
    ("huge number", web.Response(body=b'{"answer":%s}' % (b"9" * 5000)), "rejected", ErrorClass.OTHER, ""),
    ("too long", web.Response(body=b"x" * 70_000), "unknown", ErrorClass.AMBIGUOUS, ""),
    ("moved", web.Response(status=308, headers={"Location": "/siren"}), "rejected", ErrorClass.UNROUTABLE, ""),
    ("not modified", web.Response(status=304), "rejected", ErrorClass.UNROUTABLE, ""),
    ("redirect", web.Response(status=302, headers={"Location": "http://127.0.0.1/"}), "rejected", ErrorClass.UNROUTABLE, ""),
    ("unauthorised", web.Response(status=401), "rejected", ErrorClass.UNROUTABLE, ""),
    ("gone", web.Response(status=410), "rejected", ErrorClass.BAD_NUMBER, ""),
    ("not found", web.Response(status=404), "rejected", ErrorClass.UNROUTABLE, ""),
    ("refused text", web.Response(status=422), "rejected", ErrorClass.FILTERED, ""),
    ("teapot", web.Response(status=418), "rejected", ErrorClass.OTHER, ""),
    ("busy", web.Response(status=429, headers={"Retry-After": "9"}), "throttled", ErrorClass.THROTTLED, ""),
    ("failed", web.Response(status=500), "unknown", ErrorClass.AMBIGUOUS, ""),
    ("behind a proxy", web.Response(status=502, text="<html>"), "unknown", ErrorClass.AMBIGUOUS, ""),
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


async def test_what_is_longer_than_a_webhook_may_be_is_not_sent(endpoint: Endpoint) -> None:
    sender = channel()

    outcome = await sender.send(request(endpoint.url, text="水" * BODY_BYTES_MAX))
    await sender.close()

    assert (outcome.kind, outcome.error_class, outcome.code) == ("rejected", ErrorClass.FILTERED, "too_long")
    assert endpoint.got == []


def genuine(document: bytes, *, key: str = "", url: str = "", token: str = "tok-1") -> CallbackRequest:
    """Return a callback about a try to SIREN, signed with its own secret."""
    keys = [signature.webhook_key(key or endpoint_secret(SECRET, SIREN))]
    return CallbackRequest(
        url=url or given_out(token),
        headers=signature.webhook_headers(keys, "id-1", document, NOW),
        body=document,
        token=token,
    )


def given_out(token: str = "tok-1", address: str = SIREN, secrets: tuple[str, ...] = (SECRET,)) -> str:
    """Return the callback address that an endpoint is told."""
    return SecretBook(secrets).callback_url(f"https://warn.example/c/{token}", token, address)


@pytest.mark.parametrize(
    "document",
    [b"[]", b"{}", b'{"type":"answer","data":{}}', b'{"type":"answer","data":[]}', b'{"type":"answer","data":{"token":1}}', b'{"type":"answer","data":{"token":"tok-2"}}', b'{"type":"answer","data":{"token":"tok-1","answer":["1"]}}', b'{"type":"applause","data":{"token":"tok-1"}}', b"\xff", b"not json", b"[" * 50_000],
)
def test_a_signed_callback_that_cannot_be_read_is_kept_for_a_human(document: bytes) -> None:
    with pytest.raises(CallbackMalformed):
        channel().parse_inbound(genuine(document))


ANSWERED = b'{"type":"answer","timestamp":"2025-07-11T06:00:09Z","data":{"token":"tok-1","answer":"1","from":"+8613900000001"}}'


def test_an_answer_names_the_try_and_nobody_else() -> None:
    (event,) = channel().parse_inbound(genuine(ANSWERED))

    assert (event.token, event.text, event.sender) == ("tok-1", "1", "")
    assert event.happened_at == NOW + timedelta(seconds=9)


FORGED = [
    # label, callback
    ("no address of ours", genuine(ANSWERED, url="https://warn.example/c/tok-1")),
    ("another endpoint's secret", genuine(ANSWERED, key=endpoint_secret(SECRET, "https://b.example/"))),
    ("the channel's own secret", genuine(ANSWERED, key=SECRET)),
    ("its own mark on another's address", genuine(ANSWERED, key=endpoint_secret(SECRET, "https://b.example/"), url=given_out().replace(mark_of(SIREN), mark_of("https://b.example/")))),
    ("another try's seal", genuine(ANSWERED, url=given_out("tok-2").replace("tok-2", "tok-1"))),
    ("no seal", genuine(ANSWERED, url=given_out().partition("&k=")[0])),
    ("an empty seal", genuine(ANSWERED, url=given_out().partition("&k=")[0] + "&k=")),
    ("letters that are none", genuine(ANSWERED, url="https://warn.example/c/tok-1?e=%FF%FE&k=%FF")),
    ("no try", genuine(ANSWERED, token="")),
]


@pytest.mark.parametrize("forged", [case[1] for case in FORGED], ids=[case[0] for case in FORGED])
def test_an_answer_is_refused_with(forged: CallbackRequest) -> None:
    with pytest.raises(SignatureInvalid):
        channel().parse_inbound(forged)


def test_one_endpoint_cannot_use_up_the_id_of_anothers_answer() -> None:
    """Both choose the id `id-1`; they are two answers, and each one's repeat is the same."""
    other = ANSWERED.replace(b"tok-1", b"tok-2")
    first, again = channel().parse_inbound(genuine(ANSWERED)), channel().parse_inbound(genuine(ANSWERED))
    second = channel().parse_inbound(genuine(other, token="tok-2", url=given_out("tok-2")))

    assert first[0].dedupe_key == again[0].dedupe_key != second[0].dedupe_key


def test_an_endpoints_secret_stays_what_it_was() -> None:
    """It is typed in over there: whoever changes how it is derived locks every endpoint out."""
    assert endpoint_secret(SECRET, SIREN) == "whsec_l1TNnZ6NsOPhs9cUo44fKTtQsrT70TBb3GH/ZB5xlfc="
    assert given_out() == (
        "https://warn.example/c/tok-1?e=UGKLl6ZQZwccTO_fYcA6iQ&k=bN-uEp_57udHi6ha-TLR8Q"
    )


@pytest.mark.parametrize(
    ("secrets", "why"),
    [([], "needs a secret"), (["short"], "24 to 64"), (["whsec_?" * 5], "base64"), (["k" * 24] * 6, "at most 5")],
)
def test_a_channels_secrets_are_checked_when_it_starts(secrets: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        channel(secrets=secrets)


# --- rotation ---------------------------------------------------------------------------------------

NEW, OLD = "new-secret-" * 3, "old-secret-" * 3


async def test_during_a_rotation_both_of_an_endpoints_secrets_are_good(endpoint: Endpoint) -> None:
    sender = channel(secrets=[NEW, OLD])
    await sender.send(request(endpoint.url))
    await sender.close()

    headers, body = endpoint.got[0]
    for secret in (NEW, OLD):
        keys = [signature.webhook_key(endpoint_secret(secret, endpoint.url))]
        assert signature.check_webhook(keys=keys, headers=headers, body=body, now=NOW) == "tok-1"
    assert headers["webhook-signature"].count("v1,") == 2


@pytest.mark.parametrize("signed_with", [NEW, OLD])
def test_an_endpoint_may_answer_with_either_secret(signed_with: str) -> None:
    callback = genuine(
        ANSWERED, key=endpoint_secret(signed_with, SIREN), url=given_out(secrets=(NEW, OLD))
    )

    assert channel(secrets=[NEW, OLD]).parse_inbound(callback)


@pytest.mark.parametrize("sent_under", [(OLD, NEW), (NEW, OLD)])
def test_what_was_sent_during_a_rotation_is_answered_after_it(sent_under: tuple[str, ...]) -> None:
    callback = genuine(ANSWERED, key=endpoint_secret(NEW, SIREN), url=given_out(secrets=sent_under))

    assert channel(secrets=[NEW]).parse_inbound(callback)


def test_after_a_rotation_the_old_secret_is_worth_nothing() -> None:
    callback = genuine(ANSWERED, key=endpoint_secret(OLD, SIREN), url=given_out(secrets=(NEW, OLD)))

    with pytest.raises(SignatureInvalid):
        channel(secrets=[NEW]).parse_inbound(callback)


# --- a secret for all -------------------------------------------------------------------------------


async def test_endpoints_of_before_may_go_on_with_the_channels_secret(endpoint: Endpoint) -> None:
    sender = channel(shared_secret=True)
    await sender.send(request(endpoint.url))
    await sender.close()

    headers, body = endpoint.got[0]
    data = json.loads(body)["data"]
    keys = [signature.webhook_key(SECRET)]
    assert signature.check_webhook(keys=keys, headers=headers, body=body, now=NOW) == "tok-1"
    assert data["callback_url"] == "https://warn.example/c/tok-1"
    assert signature.webhook_key(sender.endpoint_secret(endpoint.url)) == keys[0]
    assert sender.parse_inbound(genuine(ANSWERED, key=SECRET, url=data["callback_url"]))


# --- an endpoint that takes its time ----------------------------------------------------------------


async def test_an_answer_that_drips_in_is_unknown_at_the_limit(endpoint: Endpoint) -> None:
    """Each byte comes in good time; the whole never does."""
    endpoint.drips = True
    sender = channel(limits=TimeLimits(connect=5.0, total=0.3))

    outcome = await sender.send(request(endpoint.url))
    await sender.close()

    assert (outcome.kind, outcome.code) == (OutcomeKind.UNKNOWN, "TimeoutError")
    assert len(endpoint.got) == 1


async def test_a_redirect_is_not_followed(endpoint: Endpoint) -> None:
    elsewhere = Endpoint()
    await elsewhere.start()
    endpoint.answer = web.Response(status=307, headers={"Location": elsewhere.url})
    sender = channel()

    outcome = await sender.send(request(endpoint.url))
    await sender.close()
    await elsewhere.runner.cleanup()

    assert (outcome.kind, outcome.code) == (OutcomeKind.REJECTED, "307")
    assert elsewhere.got == []


# --- simulated endpoints ----------------------------------------------------------------------------


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

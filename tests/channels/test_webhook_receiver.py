"""docs/webhook-receiver.md works as it stands: it is run here, and answers real webhooks."""

import asyncio
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from aiohttp import web

from channels.base import OutcomeKind, SendRequest
from channels.clock import utc_now
from channels.webhook import WebhookChannel
from tests.channels.catcher import Catcher

PAGE = Path(__file__).resolve().parents[2] / "docs" / "webhook-receiver.md"
SECRET = "the-channels-secret-" * 2
LINES_MAX = 15
"""Verifying must stay something that anybody can copy."""


def blocks() -> dict[str, str]:
    found = re.findall(r"```python (\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    return dict(found)


@pytest.fixture
def told() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def page(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the names that the page's code defines; what it announces is kept."""
    names: dict[str, Any] = {}
    for name in ("verify", "receiver", "later"):
        exec(compile(blocks()[name], f"{PAGE.name}:{name}", "exec"), names)  # our own page
    names["announce"] = told.append
    return names


@pytest.fixture
def url(page: dict[str, Any]) -> Iterator[str]:
    page["Receiver"].log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), page["Receiver"])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook"
    server.shutdown()
    thread.join()
    server.server_close()


def channel(*secrets: str, **options: bool) -> WebhookChannel:
    return WebhookChannel(name="hook", secrets=secrets or (SECRET,), allow_private=True, **options)


def request(url: str, callback_url: str = "") -> SendRequest:
    return SendRequest(
        token="tok-1",
        to=url,
        text="【云岭县应急局】暴雨红色预警",
        language="zh",
        valid_until=utc_now() + timedelta(minutes=10),
        callback_url=callback_url,
        fields={
            "topic": "bulletin.call",
            "drill": True,
            "regions": [{"code": "990101000001", "name": "石桥乡1村"}],
        },
    )


def test_verifying_takes_few_lines_and_nothing_but_python() -> None:
    code = [line for line in blocks()["verify"].splitlines() if line.strip()]
    imported = re.findall(r"^(?:import|from) (.+?)(?: import .+)?$", blocks()["verify"], re.M)

    assert len(code) - 1 <= LINES_MAX  # the docstring is a comment
    assert imported == ["base64, hmac, time"]


async def test_the_pages_receiver_takes_a_webhook_once_and_answers(
    page: dict[str, Any], url: str, told: list[dict[str, Any]]
) -> None:
    sender = channel()
    page["SECRET"] = sender.endpoint_secret(url)

    outcomes = [await sender.send(request(url)) for _ in range(2)]
    await sender.close()

    assert [(o.kind, o.answer) for o in outcomes] == [(OutcomeKind.ACCEPTED, "1")] * 2
    assert [(d["type"], d["data"]["text"]) for d in told] == [("bulletin.call", request(url).text)]


async def test_the_pages_receiver_knows_either_secret_of_a_rotation(
    page: dict[str, Any], url: str
) -> None:
    page["SECRET"] = channel().endpoint_secret(url)
    sender = channel("the-new-secret-" * 3, SECRET)

    outcome = await sender.send(request(url))
    await sender.close()

    assert outcome.kind is OutcomeKind.ACCEPTED


async def test_the_pages_receiver_refuses_what_was_meant_for_another(
    page: dict[str, Any], url: str, told: list[dict[str, Any]]
) -> None:
    sender = channel()
    page["SECRET"] = sender.endpoint_secret(url + "/other")

    outcome = await sender.send(request(url))
    await sender.close()

    assert (outcome.kind, outcome.code) == (OutcomeKind.REJECTED, "401")
    assert told == []


def test_the_pages_code_refuses_changed_old_and_unsigned_requests(page: dict[str, Any]) -> None:
    secret = channel().endpoint_secret("https://siren.example/")
    key = page["base64"].b64decode(secret.removeprefix("whsec_"))
    now = int(utc_now().timestamp())

    def headers(stamp: int) -> dict[str, str]:
        signed = page["signature"](key, "id-1", str(stamp), b"{}")
        return {"webhook-id": "id-1", "webhook-timestamp": str(stamp), "webhook-signature": signed}

    assert page["verify"](secret, headers(now), b"{}")
    assert not page["verify"](secret, headers(now), b"{ }")
    assert not page["verify"](secret, headers(now - 400), b"{}")
    assert not page["verify"](secret, {**headers(now), "webhook-id": "id-2"}, b"{}")
    assert not page["verify"](secret, {}, b"{}")


async def test_the_pages_answer_by_callback_is_believed(
    page: dict[str, Any], url: str, told: list[dict[str, Any]]
) -> None:
    catcher, sender = Catcher(), channel()
    await catcher.start()
    page["SECRET"] = secret = sender.endpoint_secret(url)
    await sender.send(request(url, catcher.callback_url("tok-1")))

    status = await asyncio.to_thread(page["answer_later"], secret, told[0]["data"], "1")

    (callback,) = catcher.take()
    (answer,) = sender.parse_inbound(callback)
    assert (status, answer.token, answer.text) == (204, "tok-1", "1")
    await catcher.close()
    await sender.close()


async def test_the_pages_answer_learns_that_it_was_not_kept(page: dict[str, Any]) -> None:
    app = web.Application()
    app.router.add_post("/cb", _unavailable)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    data = {"token": "tok-1", "callback_url": f"http://127.0.0.1:{site.port}/cb"}

    with pytest.raises(HTTPError, match="503"):
        await asyncio.to_thread(page["answer_later"], "whsec_" + "a" * 44, data, "1")
    await runner.cleanup()


async def _unavailable(_: web.Request) -> web.Response:
    return web.Response(status=503)

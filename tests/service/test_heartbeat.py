"""The word to somewhere else: said while nothing is late, and in silence otherwise."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr
from structlog.testing import capture_logs

from warnsvc.worker.heartbeat import Heartbeat


class Switch:
    """A dead man's switch at somebody else's."""

    def __init__(self) -> None:
        self.status = 200
        self.heard: list[str] = []

    async def hear(self, request: web.Request) -> web.Response:
        self.heard.append(request.path)
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def switch() -> AsyncIterator[tuple[Switch, TestClient[Any, Any]]]:
    there = Switch()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", there.hear)
    async with TestClient(TestServer(app)) as client:
        yield there, client


async def test_it_speaks_only_while_nothing_is_late(
    switch: tuple[Switch, TestClient[Any, Any]],
) -> None:
    there, client = switch
    content = True
    heartbeat = Heartbeat(
        SecretStr(str(client.make_url("/ping/secret"))), seconds=30, content=lambda: content
    )
    assert await heartbeat.turn(client.session)

    content = False
    assert not await heartbeat.turn(client.session)

    assert there.heard == ["/ping/secret"]
    assert (heartbeat.heard.taken, heartbeat.heard.failed) == (1, 0)


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_what_is_not_taken_is_logged_once_without_the_address(
    switch: tuple[Switch, TestClient[Any, Any]], status: int
) -> None:
    there, client = switch
    there.status = status
    url = str(client.make_url("/ping/secret"))
    heartbeat = Heartbeat(SecretStr(url), seconds=30, content=lambda: True)

    with capture_logs() as logs:
        for _ in range(3):
            await heartbeat.turn(client.session)

    assert there.heard == ["/ping/secret"] * 3  # no redirect was followed, and none tried twice
    assert heartbeat.heard.failed == 3
    assert logs == [
        {"event": "heartbeat.not_taken", "reason": f"status {status}", "log_level": "error"}
    ]


async def test_nobody_there_is_logged_without_the_address(
    switch: tuple[Switch, TestClient[Any, Any]],
) -> None:
    _, client = switch
    heartbeat = Heartbeat(SecretStr("http://127.0.0.1:1/secret"), seconds=30, content=lambda: True)

    with capture_logs() as logs:
        await heartbeat.turn(client.session)

    (log,) = logs
    assert log["reason"] == "ClientConnectorError"
    assert "secret" not in repr(logs)

"""Endpoints that receive webhooks: real servers on loopback that verify for themselves.

    async with endpoint_server(clock) as server:
        siren = server.endpoint("siren")
        siren.secret = …                      as its administrator typed it in
        siren.answers = "1"                   in the response; None: it only takes messages
        await siren.call_back("1")            later, to the newest message

They check signatures with code of their own, not with ours: hmac over id, time and body.
"""

import base64
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, web

from tests.fakes.clock import ManualClock


@dataclass(eq=False)
class Endpoint:
    """One address."""

    url: str
    clock: ManualClock
    secret: str = ""
    answers: str | None = None
    got: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0
    """Requests whose signature was not for it."""
    sent: int = 0

    @property
    def data(self) -> dict[str, Any]:
        """What the newest message says."""
        data: dict[str, Any] = self.got[-1]["data"]
        return data

    def of(self, purpose: str) -> list[dict[str, Any]]:
        """What the messages of this purpose say, oldest first."""
        return [d["data"] for d in self.got if d["type"] == f"bulletin.{purpose}"]

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        head = request.headers
        wanted = self.signed(head["webhook-id"], head["webhook-timestamp"], body)
        if wanted not in head["webhook-signature"].split(" "):
            self.refused += 1
            return web.Response(status=401)
        self.got.append(json.loads(body))
        return web.json_response({} if self.answers is None else {"answer": self.answers})

    def signed(self, message_id: str, stamp: str, body: bytes) -> str:
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        content = f"{message_id}.{stamp}.".encode() + body
        return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()

    async def call_back(
        self, answer: str, *, url: str = "", token: str = "", message_id: str = ""
    ) -> int:
        """Answer the newest message; `url` and `token` of another's, if it is up to no good."""
        self.sent += 1
        data = {"token": token or self.data["token"], "answer": answer}
        body = json.dumps({"type": "answer", "data": data}).encode()
        stamp = str(int(self.clock.now().timestamp()))
        message_id = message_id or f"{self.url}-{self.sent}"
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": self.signed(message_id, stamp, body),
        }
        async with ClientSession() as session, session.post(
            url or self.data["callback_url"], data=body, headers=headers
        ) as response:
            return response.status


class EndpointServer:
    """All endpoints of a story, on one port."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._endpoints: dict[str, Endpoint] = {}
        self._port = 0

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint of this name, which may be new."""
        url = f"http://127.0.0.1:{self._port}/{name}"
        return self._endpoints.setdefault(name, Endpoint(url, self._clock))

    async def take(self, request: web.Request) -> web.Response:
        return await self._endpoints[request.match_info["name"]].take(request)

    def listens(self, port: int) -> None:
        self._port = port


@asynccontextmanager
async def endpoint_server(clock: ManualClock) -> AsyncIterator[EndpointServer]:
    """Listen until the story is over."""
    server = EndpointServer(clock)
    app = web.Application()
    app.router.add_post("/{name}", server.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.listens(site.port)
    try:
        yield server
    finally:
        await runner.cleanup()

"""The small county of the stories, with Twilio as its carrier: our web, our engine, real sockets.

People have Kazakh numbers here, because from Chinese ones nobody could answer a text (carriers.md
§0.1), and the planner would rightly not send one. Time is the county's; whatever waits at Twilio
happens as soon as the engine has come to rest.
"""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web

from channels.base import Channel
from channels.registry import build_channels
from tests.carriers.twilio.server import (
    ACCOUNT,
    NUMBER,
    TOKEN,
    Record,
    TwilioServer,
)
from tests.carriers.twilio.server import (
    Person as Callee,
)
from tests.fakes import county as fakes
from tests.fakes.clock import ManualClock
from tests.fakes.county import County, Person
from warnsvc.service.context import Context
from warnsvc.service.intake import Intake
from warnsvc.store.port import Store
from warnsvc.web.application import create_web
from warnsvc.web.callback import CHANNELS, INTAKE

KAZAKH_MOBILE = "+7700"
_HOPS = {"Host", "Connection", "Content-Length", "Transfer-Encoding"}


class TwilioCounty(County):
    """Make one with `twilio_county`."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.carriers = {}
        self.twilio = TwilioServer(clock=clock.now)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"

    async def start_carrier(self, **changes: Any) -> None:
        """Listen, on both sides. The channels are built as an operator's settings would."""
        await self.twilio.start()
        shared = {
            "account_sid": ACCOUNT,
            "secrets": [TOKEN, "the-token-that-was-there-before"],
            "sender": NUMBER,
            "base_url": self.twilio.url,
            "per_second": 20,
        }
        texts = {"adapter": "twilio-sms", "inbound_countries": "7", **shared}
        calls = {"adapter": "twilio-voice", "lines": 30, **shared}
        self._config = [{"name": "twilio-sms", **texts}, {"name": "twilio-voice", **calls}]
        built = build_channels(self._config, clock=self.clock.now)
        channels: dict[str, Channel] = {
            "sms": built["twilio-sms"],
            "voice": built["twilio-voice"],
        }
        ctx = fakes.context(self.store, self.clock, channels, public_base_url=self.url, demo=True)
        self._open(channels, ctx)
        self.twilio.sms_url = f"{self.url}/callbacks/twilio-sms"
        self._built = [built]
        self._webs = [await _serve(_web(ctx, built), self._door)]

    async def stand_behind_a_proxy(self) -> None:
        """From now on two more web processes answer behind the public address: `step=amd` comes to
        the one, whatever else is asked to the other. Neither has the adapters of the other."""
        await self._webs.pop().cleanup()
        ports = []
        for _ in range(2):
            built = build_channels(self._config, clock=self.clock.now)
            self._built.append(built)
            behind = socket.create_server(("127.0.0.1", 0))
            ports.append(behind.getsockname()[1])
            self._webs.append(await _serve(_web(self.ctx, built), behind))
        self._door = socket.create_server(("127.0.0.1", int(self.url.rpartition(":")[2])))
        self._webs.append(await _serve(_proxy(*ports), self._door))

    async def close(self) -> None:
        """Hang up, on both sides."""
        for channel in (channel for built in self._built for channel in built.values()):
            await channel.close()
        await self.twilio.close()
        for runner in reversed(self._webs):
            await runner.cleanup()

    async def step(self) -> int:
        """The engine first; what is on its way at Twilio arrives when there is nothing left."""
        return await super().step() or await self.twilio.settle()

    def callee(self, person: Person) -> Callee:
        """What somebody does with our calls and texts."""
        return self.twilio.person(person.phone.address)

    async def replies(self, person: Person, text: str) -> Record:
        """Let somebody write to our number."""
        return await self.twilio.text(person.phone.address, text)

    async def forge(self, path: str, body: str, **headers: str) -> int:
        """Post something that Twilio did not send; returns what it is told."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        async with (
            ClientSession() as session,
            session.post(f"{self.url}{path}", data=body, headers={**kind, **headers}) as answer,
        ):
            return answer.status


def _web(ctx: Context, channels: Mapping[str, Channel]) -> web.Application:
    app = create_web(ctx)
    app[CHANNELS] = channels
    app[INTAKE] = Intake(ctx)
    return app


def _proxy(verdicts: int, others: int) -> web.Application:
    """Hand on what comes, as it is, by which step of a call it is."""

    async def hand_on(request: web.Request) -> web.Response:
        port = verdicts if request.query.get("step") == "amd" else others
        async with (
            ClientSession() as session,
            session.request(
                request.method,
                f"http://127.0.0.1:{port}{request.rel_url.raw_path_qs}",
                data=await request.read(),
                headers={k: v for k, v in request.headers.items() if k not in _HOPS},
            ) as answer,
        ):
            kind = {"Content-Type": answer.headers.get("Content-Type", "text/plain")}
            return web.Response(status=answer.status, body=await answer.read(), headers=kind)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hand_on)
    return app


async def _serve(app: web.Application, door: socket.socket) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, door).start()
    return runner


@asynccontextmanager
async def twilio_county(
    store: Store, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> AsyncIterator[TwilioCounty]:
    """Open a county; at the end every warning is run to its end and checked."""
    monkeypatch.setattr(fakes, "INVENTED_MOBILE_PREFIX", KAZAKH_MOBILE)
    county = TwilioCounty(store, ManualClock())
    await county.start_carrier()
    try:
        await county.populate(**options)
        yield county
        await county.finish()
    finally:
        await county.close()

"""The same county, wired up: real adapters, a real HTTP carrier, our real callbacks, virtual time.

    async with wired_county(store, villages=3) as county:
        county.habit(village.first, "prompt")
        warning = await county.red_warning()
        await county.advance(minutes=5)

The simulated carrier stands on a manual timeline that moves the county's clock, so a story takes as
long as its sockets need and is the same every time.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from aiohttp import web

from channels.base import Channel
from channels.simulated import SimulatedSms, SimulatedVoice
from channels.simulator import (
    HABITS,
    Account,
    Behaviour,
    CarrierConfig,
    CarrierServer,
    Condition,
    ManualTimeline,
)
from tests.fakes.clock import ManualClock
from tests.fakes.county import County, Person, context
from warnsvc.service.intake import Intake
from warnsvc.store.port import Store
from warnsvc.web.application import create_web
from warnsvc.web.callback import CHANNELS, INTAKE

SECRET = "the-simulated-carriers-secret-word"
SENDER = "106900000001"
_TICK = timedelta(microseconds=1)
"""The carrier's time has more digits than ours."""


class WiredCounty(County):
    """A county whose carrier is at the other end of a socket. Make one with `wired_county`."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.carriers = {}
        self.timeline = ManualTimeline(clock.now(), moved=self._follow)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self._server = CarrierServer(
            CarrierConfig(
                accounts=(
                    Account(
                        name="county",
                        secrets=(SECRET,),
                        senders=(SENDER,),
                        inbound_callback=f"{self.url}/callbacks/sim-sms",
                    ),
                ),
                behaviour=Behaviour(spread=0.0),
            ),
            timeline=self.timeline,
        )
        self.carrier = self._server.carrier

    def _follow(self, instant: datetime) -> None:
        self.clock.move(seconds=(instant - self.clock.now()).total_seconds())

    async def start_carrier(self) -> None:
        """Listen, on both sides."""
        await self._server.start()
        to_carrier: dict[str, Any] = {
            "base_url": self._server.url,
            "account": "county",
            "secrets": [SECRET],
            "sender": SENDER,
            "clock": self.clock.now,
        }
        channels: dict[str, Channel] = {
            "sms": SimulatedSms(name="sim-sms", **to_carrier),
            "voice": SimulatedVoice(name="sim-voice", **to_carrier),
            **self.more_channels(),
        }
        ctx = context(self.store, self.clock, channels, public_base_url=self.url, demo=True)
        self._open(channels, ctx)
        app = create_web(ctx)
        self.by_name = {channel.name: channel for channel in channels.values()}
        app[CHANNELS] = self.by_name
        app[INTAKE] = Intake(ctx)
        self._web = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._web.setup()
        await web.SockSite(self._web, self._door).start()

    def more_channels(self) -> dict[str, Channel]:
        """Channels that a story adds, by kind."""
        return {}

    async def close(self) -> None:
        """Hang up, on both sides."""
        for channel in self.channels.values():
            await channel.close()
        await self._server.close()
        await self._web.cleanup()

    # Time --------------------------------------------------------------------------------------

    async def next_due(self) -> datetime | None:
        ours = await super().next_due()
        theirs = self.timeline.next_due()
        if theirs is None:
            return ours
        instant = max(datetime.fromtimestamp(theirs, UTC), self.clock.now()) + _TICK
        return instant if ours is None else min(ours, instant)

    async def move_to(self, instant: datetime) -> None:
        await self.timeline.run_until(instant)

    # What people and the carrier do ------------------------------------------------------------

    def habit(self, person: Person, name: str) -> None:
        """Let somebody behave like this: `prompt`, `calls_only`, `refuses`, `silent` …"""
        handset = self.carrier.shelf.get(person.phone.address)
        handset.habit = next(habit for habit in HABITS if habit.name == name)

    def condition(self, person: Person, condition: Condition) -> None:
        """Let somebody's phone be in this state."""
        self.carrier.shelf.get(person.phone.address).condition = condition

    def behave(self, **changes: Any) -> None:
        """Turn the carrier's knobs."""
        self.carrier.behaviour = replace(self.carrier.behaviour, **changes)

    def screen(self, person: Person) -> list[str]:
        """What is on somebody's phone, oldest first."""
        return [entry.text for entry in self.carrier.shelf.get(person.phone.address).entries]


Wired = TypeVar("Wired", bound=WiredCounty)


@asynccontextmanager
async def wired_county(
    store: Store, *, kind: type[Wired] = WiredCounty, **options: Any  # type: ignore[assignment]
) -> AsyncIterator[Wired]:
    """Open a county with a carrier; at the end every warning is run to its end and checked."""
    clock = ManualClock()
    county = kind(store, clock)
    await county.start_carrier()
    try:
        await county.populate(**options)
        yield county
        await county.finish()
    finally:
        await county.close()

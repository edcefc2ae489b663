"""The composition root: the one place that knows every room.

    settings ──► store, channels, renderer ──► Context ──► web application, outbox, engine

`open_house` builds the parts; `run` keeps them going until they are told to stop, and `serve` does
both. The command (`warnsvc.cli`) and the demo (`warnsvc.demo`) are its callers.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from secrets import token_hex

import structlog
from aiohttp import web

from channels.base import Channel
from channels.registry import build_channels
from warnsvc.clock import Clock, SystemClock
from warnsvc.core.pack import DEFAULT_PACK, Pack
from warnsvc.core.route import RouteRule
from warnsvc.outbox import Outbox
from warnsvc.render import Renderer
from warnsvc.resource import check_packages, templates_dir
from warnsvc.secret import signing_secrets
from warnsvc.service.carrier import load_added, spec_of
from warnsvc.service.collector import leave_alone_what_stays
from warnsvc.service.context import Context
from warnsvc.service.fleet import Fleet
from warnsvc.service.timekeeper import start_time
from warnsvc.service.worker import Process
from warnsvc.settings import Settings
from warnsvc.store.durability import require_durable
from warnsvc.store.migrate import require_head, require_head_of
from warnsvc.store.open import open_reading, open_store
from warnsvc.store.port import Store
from warnsvc.web.application import create_web
from warnsvc.web.callback import CHANNELS, add_intake
from warnsvc.web.deadline import Doorkeeper, Runner
from warnsvc.web.health import PULSE, SPOOL_WAITING, create_health, what_is_late
from warnsvc.worker.engine import Engine
from warnsvc.worker.heartbeat import Heartbeat
from warnsvc.worker.presence import Presence, is_counted_on
from warnsvc.worker.pulse import Pulse
from warnsvc.worker.watchdog import Watchdog

log = structlog.get_logger(__name__)

GOODBYE_SECONDS = 5.0
"""How long open requests may take when the service stops; live streams never end by themselves."""


class PartEnded(Exception):
    """A part that should run for ever has ended; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The parts, put together."""

    ctx: Context
    channels: Mapping[str, Channel]
    """By name."""
    owner: str
    """This process, as leases name it: no other ever had or will have the same name."""

    @property
    def by_kind(self) -> dict[str, Channel]:
        """Channel kind → the channel that serves it: the first of its kind in the settings."""
        found: dict[str, Channel] = {}
        for channel in self.channels.values():
            found.setdefault(channel.capabilities.kind.value, channel)
        return found


@asynccontextmanager
async def open_house(
    settings: Settings,
    *,
    clock: Clock | None = None,
    pack: Pack = DEFAULT_PACK,
    reading: bool = False,
    added: bool = True,
) -> AsyncIterator[House]:
    """Open the store and the channels. Raises SettingsFault, StoreFault, ChannelMisconfigured.

    `reading`: to look only, also beside the service that owns an SQLite file. `added`: with the
    carriers that were added by command or page.
    """
    check_packages()
    clock = clock or SystemClock()
    channels = channels_of(settings, clock)
    store = await _open_store(settings, reading=reading)
    try:
        await start_time(store, clock)
        if added:
            specs = await load_added(store, clock, taken=set(channels))
            channels |= build_channels(specs, clock=clock.now)
        renderer = Renderer(templates_dir(), issuer=settings.install_name, zone=settings.zone)
        fleet = Fleet(channels, rules_of(settings))
        for name in fleet.missing():
            log.warning("route.carrier_missing", carrier=name)
        ctx = Context(
            store=store,
            clock=clock,
            settings=settings,
            renderer=renderer,
            capabilities=fleet.capabilities(),
            fleet=fleet,
            keys=signing_secrets(settings),
            pack=pack,
        )
        yield House(ctx=ctx, channels=channels, owner=_new_owner())
    finally:
        for channel in channels.values():
            await channel.close()
        await store.close()


def _new_owner() -> str:
    """Return a name for this process. In a container every process has the same number."""
    return f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"


def channels_of(settings: Settings, clock: Clock) -> dict[str, Channel]:
    """Build the carriers' channels; connects to nobody. Raises ChannelMisconfigured."""
    return build_channels([spec_of(carrier) for carrier in settings.carriers], clock=clock.now)


def rules_of(settings: Settings) -> list[RouteRule]:
    """Return the routes of the settings."""
    return [
        RouteRule(
            kind=route.kind.value,
            carriers=route.carriers,
            countries=frozenset(route.countries),
            languages=frozenset(route.languages),
            receipt_seconds=route.receipt_seconds,
        )
        for route in settings.routes
    ]


async def _open_store(settings: Settings, *, reading: bool) -> Store:
    """Open the database at the right revision, or raise."""
    if not reading:
        await require_head(settings.database_address)
        return await open_store(settings.database_address)
    store = await open_reading(settings.database_address)
    try:
        await require_head_of(store)
    except BaseException:
        await store.close()
        raise
    return store


def build_web(house: House, pulse: Pulse) -> web.Application:
    """Return the web application with what callbacks and monitors need."""
    app = create_web(house.ctx)
    app[CHANNELS] = house.channels
    intake = add_intake(app, house.ctx)
    pulse.numbers[SPOOL_WAITING] = lambda: intake.spooled
    app[PULSE] = pulse
    return app


def build_engine(house: House, pulse: Pulse) -> Engine:
    """Return the engine with an outbox over this house's channels."""
    alive = partial(is_counted_on, house.ctx, pulse)
    outbox = Outbox(house.ctx, house.channels, owner=house.owner, alive=alive)
    pulse.numbers["warnsvc_sends_in_flight"] = lambda: outbox.in_flight
    return Engine(house.ctx, outbox, owner=house.owner, pulse=pulse)


async def serve(settings: Settings, *, engine: bool = True, web_pages: bool = True) -> None:
    """Open the house and run it until SIGTERM or SIGINT."""
    async with open_house(settings) as house:
        if not (settings.demo or settings.allow_weak_database):
            await require_durable(house.ctx.store)
        await run(house, engine=engine, web_pages=web_pages)


async def run(
    house: House,
    *,
    engine: bool = True,
    web_pages: bool = True,
    stop: asyncio.Event | None = None,
    ready: Callable[[], None] = lambda: None,
    beside: Iterable["asyncio.Task[None]"] = (),
) -> None:
    """Run pages, callbacks and the engine (or a part of them) until SIGTERM or SIGINT.

    `ready` is called when everything listens; `beside` are tasks that must not end before we do.
    Raises OSError when the port is taken, PartEnded when a part gives up.
    """
    stop = stop or stop_on_signals()
    pulse = Pulse(engine=engine)
    settings = house.ctx.settings
    presence = Presence(house.ctx, _process(house, engine=engine, web_pages=web_pages), pulse)
    watchdog = Watchdog(house.ctx, pulse, owner=house.owner)
    runner = None
    if web_pages:
        runner = await start_web(build_web(house, pulse), settings)
    elif settings.health_port:
        health = create_health(house.ctx, pulse)
        runner = await start_web(health, settings, port=settings.health_port)
    await presence.try_step()
    leave_alone_what_stays()
    parts = list(beside)
    around = [
        asyncio.create_task(presence.run(), name="presence"),
        asyncio.create_task(watchdog.run(), name="watchdog"),
        *_heartbeat(house, pulse, watchdog),
    ]
    parts += around
    working = None
    if engine:
        working = asyncio.create_task(build_engine(house, pulse).run(), name="engine")
        parts.append(working)
    log.info("service.started", web=web_pages, engine=engine, owner=house.owner)
    try:
        ready()
        await _until(stop, parts)
    finally:
        if runner is not None:
            await runner.cleanup()
        if working is not None:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        for task in around:
            task.cancel()
        await asyncio.gather(*around, return_exceptions=True)
        await presence.say_goodbye()
        log.info("service.stopped", owner=house.owner)


def _heartbeat(house: House, pulse: Pulse, watchdog: Watchdog) -> Iterable["asyncio.Task[None]"]:
    """Start telling somebody else that all is well, if the settings name anybody."""
    settings, clock = house.ctx.settings, house.ctx.clock
    if settings.heartbeat_url is None:
        return

    def content() -> bool:
        return watchdog.leads and not any(what_is_late(pulse, clock.now()))

    heartbeat = Heartbeat(
        settings.heartbeat_url, seconds=settings.heartbeat_seconds, content=content
    )
    pulse.numbers["warnsvc_heartbeats_taken"] = lambda: heartbeat.heard.taken
    pulse.numbers["warnsvc_heartbeats_failed"] = lambda: heartbeat.heard.failed
    yield asyncio.create_task(heartbeat.run(), name="heartbeat")


def _process(house: House, *, engine: bool, web_pages: bool) -> Process:
    role = "all" if engine and web_pages else "worker" if engine else "web"
    return Process(owner=house.owner, role=role)


async def start_web(
    app: web.Application, settings: Settings, *, port: int | None = None
) -> web.AppRunner:
    """Listen where the settings say."""
    keeper = Doorkeeper(per_peer=settings.connections_per_peer)
    runner = Runner(app, keeper, shutdown_timeout=GOODBYE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, port or settings.port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set from now on, instead of ending the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    return stop


async def _until(stop: asyncio.Event, parts: Iterable["asyncio.Task[None]"]) -> None:
    """Wait for the signal; a part that ends by itself has failed and takes us with it."""
    asked = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({asked, *parts}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    for part in parts:
        if part in done:
            part.result()
            raise PartEnded(part.get_name())

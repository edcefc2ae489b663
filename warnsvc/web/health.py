"""Is it alive, is it working, and how is it doing: for machines that watch.

/healthz   this process answers
/readyz    the database takes writes, the engine passes, and nothing is late; else 503 and what is
/metrics   Prometheus text; docs/METRICS.md says what each number means

A clock that is wrong and a carrier that is down are alarms for the desk and no reason to be
unready: whoever restarts an unready process would make both worse. It reads and changes nothing.
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from warnsvc.clock import WatchedClock
from warnsvc.service.context import Context
from warnsvc.store.port import StoreFault
from warnsvc.web.query.metric import Sample, load_carrier_samples, load_samples
from warnsvc.web.visit import CONTEXT
from warnsvc.worker.pulse import Pulse

log = structlog.get_logger(__name__)

PASS_SECONDS_MAX = 10
"""The engine passes at least once a second when it has nothing to do, and the watchdog looks every
two; a pass over a hundred thousand windows takes five."""
BEAT_SECONDS_MAX = 6
"""This process commits its own row every second, if the database takes it; silent for so long, the
others take it for dead. A synchronous standby that is gone shows here first."""
AWAY_SECONDS_MAX = 2
"""It was asked to take a beat and did not: sooner known than that it is silent. A restart of the
database is over by then, or it is worth a look."""
_AWAY = timedelta(seconds=AWAY_SECONDS_MAX)
DATABASE_SECONDS = 3.0
"""Monitors give up after five or ten."""

SPOOL_WAITING = "warnsvc_spool_waiting"
"""The number of answers that the database has not taken yet."""

PULSE: web.AppKey[Pulse] = web.AppKey("pulse", Pulse)


def routes() -> list[web.RouteDef]:
    """The routes that monitors reach without a login."""
    return [
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/metrics", metrics),
    ]


def create_health(ctx: Context, pulse: Pulse) -> web.Application:
    """Return the application of a process that has no pages."""
    app = web.Application()
    app[CONTEXT] = ctx
    app[PULSE] = pulse
    app.add_routes(routes())
    return app


async def healthz(request: web.Request) -> web.Response:
    """Return 200: this process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Return 200 when everything works, else 503; `late` names what does not."""
    ctx = request.app[CONTEXT]
    pulse = request.app.get(PULSE, Pulse())
    late = [*what_is_late(pulse, ctx.clock.now())]
    if not await _database_answers(ctx):
        late.insert(0, "database")
    body = {
        "status": "late" if late else "ok",
        "late": late,
        "engine_passed_at": _iso(pulse.passed_at),
        "watched_at": _iso(pulse.watched_at),
    }
    return web.json_response(body, status=503 if late else 200)


def what_is_late(pulse: Pulse, now: datetime) -> Iterator[str]:
    """Yield what this process should have done lately and has not, then what its watchdog found."""
    passed_at = pulse.passed_at if pulse.engine else now
    away = pulse.away_since is not None and now - pulse.away_since > _AWAY
    for name, at, seconds in (
        ("engine", passed_at, PASS_SECONDS_MAX),
        ("writes", None if away else pulse.seen_at, BEAT_SECONDS_MAX),
        ("watchdog", pulse.watched_at, PASS_SECONDS_MAX),
    ):
        if at is None or now - at > timedelta(seconds=seconds):
            yield name
    if (spooled := pulse.numbers.get(SPOOL_WAITING)) is not None and spooled() > 0:
        # A beat may find room on a full disk where an answer does not.
        yield "spool"
    for finding in pulse.findings:
        yield finding.what


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


async def _database_answers(ctx: Context) -> bool:
    try:
        async with asyncio.timeout(DATABASE_SECONDS), ctx.store.view() as unit:
            await unit.fetch_one("SELECT 1 AS one")
    except (StoreFault, TimeoutError) as fault:
        log.warning("health.database_away", error=str(fault))
        return False
    return True


async def metrics(request: web.Request) -> web.Response:
    """Return what is open and what this process did, in Prometheus' text format."""
    ctx = request.app[CONTEXT]
    pulse = request.app.get(PULSE, Pulse())
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    samples, up = await _of_database(ctx)
    for sample in [*samples, *_of_process(ctx, pulse), Sample("warnsvc_database_up", float(up))]:
        gauge = gauges.get(sample.name)
        if gauge is None:
            names = list(sample.labels)
            gauge = Gauge(sample.name, _words(sample.name), names, registry=registry)
            gauges[sample.name] = gauge
        (gauge.labels(**sample.labels) if sample.labels else gauge).set(sample.value)
    registry.register(ctx.measures.lateness)
    return web.Response(
        body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )


async def _of_database(ctx: Context) -> tuple[list[Sample], bool]:
    """Return what the database counts; nothing while it is away."""
    try:
        async with asyncio.timeout(DATABASE_SECONDS), ctx.store.view() as unit:
            found = await load_samples(unit, ctx.clock.now())
            return [*found, *await load_carrier_samples(ctx, unit)], True
    except (StoreFault, TimeoutError) as fault:
        log.warning("health.database_away", error=str(fault))
        return [], False


def _of_process(ctx: Context, pulse: Pulse) -> Iterator[Sample]:
    now = ctx.clock.now()
    for name, at in (
        ("warnsvc_engine_pass_age_seconds", pulse.passed_at),
        ("warnsvc_beat_age_seconds", pulse.seen_at),
        ("warnsvc_watchdog_age_seconds", pulse.watched_at),
    ):
        if at is not None:
            yield Sample(name, (now - at).total_seconds())
    yield Sample("warnsvc_late_kinds", float(len(pulse.findings)))
    for finding in pulse.findings:
        yield Sample("warnsvc_late_seconds", finding.seconds, {"what": finding.what})
    if isinstance(ctx.clock, WatchedClock):
        for clock in ctx.clock.differences:
            yield Sample("warnsvc_clock_off_seconds", clock.seconds, {"whose": clock.whose})
    refused = ctx.measures.callbacks_refused
    for carrier in sorted({*ctx.fleet.channels, *refused}):
        yield Sample("warnsvc_callbacks_refused", float(refused[carrier]), {"carrier": carrier})
    for name, read in pulse.numbers.items():
        yield Sample(name, float(read()))


def _words(name: str) -> str:
    return name.replace("_", " ")

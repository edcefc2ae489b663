"""Is it alive, is it working, and how is it doing: for machines that watch.

/healthz   this process answers
/readyz    the engine has completed a full pass lately (law: silence must be an alarm)
/metrics   Prometheus text
"""

from datetime import timedelta

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from warnsvc.web.visit import CONTEXT
from warnsvc.worker.pulse import Pulse

PASS_SECONDS_MAX = 10
"""The engine passes at least once a second when it has nothing to do."""


PULSE: web.AppKey[Pulse] = web.AppKey("pulse", Pulse)


def routes() -> list[web.RouteDef]:
    """The routes that monitors reach without a login."""
    return [
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/metrics", metrics),
    ]


async def healthz(request: web.Request) -> web.Response:
    """Return 200: this process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Return 200 when the engine has passed lately and the database answers, else 503."""
    ctx = request.app[CONTEXT]
    pulse = request.app.get(PULSE, Pulse())
    now = ctx.clock.now()
    late = pulse.passed_at is None or now - pulse.passed_at > timedelta(seconds=PASS_SECONDS_MAX)
    async with ctx.store.view() as unit:
        await unit.fetch_one("SELECT 1 AS one")
    passed = pulse.passed_at.isoformat() if pulse.passed_at else None
    status = {"status": "late" if late else "ok", "engine_passed_at": passed}
    return web.json_response(status, status=503 if late else 200)


_COUNTS = {
    "warnsvc_attempts_waiting": "SELECT COUNT(*) AS n FROM attempt WHERE state = 'planned'",
    "warnsvc_attempts_sending": "SELECT COUNT(*) AS n FROM attempt WHERE state = 'sending'",
    "warnsvc_attempts_unknown": "SELECT COUNT(*) AS n FROM attempt WHERE state = 'unknown'",
    "warnsvc_escalations_calling": "SELECT COUNT(*) AS n FROM escalation WHERE state = 'calling'",
    "warnsvc_inbound_new": "SELECT COUNT(*) AS n FROM inbound WHERE state = 'new'",
    "warnsvc_alarms_open": "SELECT COUNT(*) AS n FROM alarm WHERE acknowledged_at IS NULL",
    "warnsvc_tasks_open": "SELECT COUNT(*) AS n FROM task WHERE state IN ('open','claimed')",
    "warnsvc_ledger_pending": "SELECT COUNT(*) AS n FROM ledger_pending",
}


async def metrics(request: web.Request) -> web.Response:
    """Return counts of what is open, in Prometheus' text format."""
    ctx = request.app[CONTEXT]
    registry = CollectorRegistry()
    async with ctx.store.view() as unit:
        for name, sql in _COUNTS.items():
            row = await unit.fetch_one(sql)
            Gauge(name, name.replace("_", " "), registry=registry).set(row["n"] if row else 0)
    pulse = request.app.get(PULSE, Pulse())
    if pulse.passed_at is not None:
        age = (ctx.clock.now() - pulse.passed_at).total_seconds()
        Gauge("warnsvc_engine_pass_age_seconds", "since the last pass", registry=registry).set(age)
    for name, read in pulse.numbers.items():
        Gauge(name, name.replace("_", " "), registry=registry).set(read())
    return web.Response(
        body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )

"""Numbers for monitors: how much is open, how old the oldest is, how carriers and workers stand.

Counts go over partial indexes of what is open, so that a scrape costs as much as there is to do.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from channels.base import ChannelKind
from warnsvc.core.pace import Bucket
from warnsvc.service.canary import load_last_ok
from warnsvc.service.context import Context
from warnsvc.service.worker import DEAD_SECONDS
from warnsvc.store.carrier import load_paces
from warnsvc.store.pace import load_circuits
from warnsvc.store.port import Unit
from warnsvc.store.watch import count_unknown, oldest_planned, overdue
from warnsvc.store.worker import load_workers

COUNTS = {
    "warnsvc_attempts_sending": "attempt WHERE state = 'sending'",
    "warnsvc_attempts_unknown": "attempt WHERE state = 'unknown'",
    "warnsvc_escalations_calling": "escalation WHERE state = 'calling'",
    "warnsvc_inbound_new": "inbound WHERE state = 'new'",
    "warnsvc_alarms_open": "alarm WHERE acknowledged_at IS NULL AND ended_at IS NULL",
    "warnsvc_tasks_open": "task WHERE state IN ('open','claimed')",
    "warnsvc_ledger_pending": "ledger_pending",
}
DUE = ("bulletin", "escalation", "callout", "inbound", "lease", "ledger", "unknown")
CIRCUIT_STATES = {"closed": 0, "half_open": 1, "open": 2}


@dataclass(frozen=True, slots=True)
class Sample:
    """One number with its labels."""

    name: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)


async def load_samples(view: Unit, now: datetime) -> list[Sample]:
    """Return every number that the database knows."""
    found = [await _count(view, name, rest) for name, rest in COUNTS.items()]
    found += await _waiting(view)
    found += await _oldest(view, now)
    found += await _carriers(view, now)
    found += await _workers(view, now)
    return found


async def load_carrier_samples(ctx: Context, view: Unit) -> list[Sample]:
    """Return how the carriers of this process stand: circuit, pace, last canary."""
    now = ctx.clock.now()
    circuits, paces = await load_circuits(view), await load_paces(view)
    found = []
    for name in ctx.fleet.channels:
        state = circuits[name].state if name in circuits else "closed"
        found += [
            Sample("warnsvc_carrier_circuit", state == each, {"carrier": name, "state": each})
            for each in CIRCUIT_STATES
        ]
        row = paces.get(name)
        factor = 1.0
        if row is not None:
            bucket = Bucket(
                name=name,
                per_second=1.0,
                next_at=row["next_at"],
                factor=float(row["factor"]),
                throttled_at=row["throttled_at"],
            )
            factor = bucket.factor_at(now)
        found.append(Sample("warnsvc_carrier_pace_factor", factor, {"carrier": name}))
    found += [
        Sample("warnsvc_canary_last_ok_timestamp_seconds", at.timestamp(), {"carrier": name})
        for name, at in (await load_last_ok(ctx, view)).items()
    ]
    return found


async def _count(view: Unit, name: str, rest: str) -> Sample:
    row = await view.fetch_one(f"SELECT COUNT(*) AS n FROM {rest}")
    return Sample(name, row["n"] if row else 0)


async def _waiting(view: Unit) -> list[Sample]:
    rows = await view.fetch(
        "SELECT channel, COUNT(*) AS n FROM attempt WHERE state = 'planned' GROUP BY channel"
    )
    depths = {kind.value: 0 for kind in ChannelKind} | {row["channel"]: row["n"] for row in rows}
    return [Sample("warnsvc_attempts_waiting", n, {"channel": c}) for c, n in depths.items()]


async def _oldest(view: Unit, now: datetime) -> list[Sample]:
    ages = {what: (await overdue(view, what, before=now)).oldest_at for what in DUE}
    planned = [await oldest_planned(view, kind.value) for kind in ChannelKind]
    ages["attempt"] = min([at for at in planned if at is not None], default=None)
    found = [
        Sample("warnsvc_oldest_due_seconds", _age(at, now), {"what": what})
        for what, at in ages.items()
    ]
    unknown = await count_unknown(view)
    return [*found, Sample("warnsvc_unknown_oldest_seconds", _age(unknown.oldest_at, now))]


def _age(at: datetime | None, now: datetime) -> float:
    return max(0.0, (now - at).total_seconds()) if at else 0.0


async def _carriers(view: Unit, now: datetime) -> list[Sample]:
    circuits = await view.fetch("SELECT name, state FROM circuit ORDER BY name")
    paces = await view.fetch("SELECT name, factor FROM pace ORDER BY name")
    return [
        *(
            Sample("warnsvc_circuit_state", CIRCUIT_STATES[row["state"]], {"carrier": row["name"]})
            for row in circuits
        ),
        *(Sample("warnsvc_pace_factor", row["factor"], {"pace": row["name"]}) for row in paces),
    ]


async def _workers(view: Unit, now: datetime) -> list[Sample]:
    alive = dict.fromkeys(("all", "web", "worker"), 0)
    silent = 0
    for row in await load_workers(view):
        if now - row["seen_at"] < timedelta(seconds=DEAD_SECONDS):
            alive[row["role"]] += 1
        else:
            silent += 1
    return [
        *(Sample("warnsvc_workers_alive", n, {"role": role}) for role, n in alive.items()),
        Sample("warnsvc_workers_silent", silent),
    ]

"""What is due and not done, for those who watch: oldest and number, cheap while all is well.

Each statement goes through the partial index of what is open. It changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from warnsvc.store.port import Row, Unit

COUNTED_MAX = 1_000
"""Whoever is told "a thousand or more are late" needs no exact number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """How many are late, up to COUNTED_MAX, and since when the oldest is; None: none is."""

    count: int
    oldest_at: datetime | None


def _oldest(column: str, rest: str) -> str:
    return (
        "SELECT COUNT(*) AS n, MIN(due.at) AS oldest_at FROM"
        f" (SELECT {column} AS at FROM {rest} ORDER BY {column} LIMIT {COUNTED_MAX}) AS due"
    )


_OVERDUE = {
    "bulletin": _oldest("expires_at", "bulletin WHERE state = 'released' AND expires_at <= $1"),
    "escalation": _oldest(
        "deadline_at", "escalation WHERE state = 'calling' AND deadline_at <= $1"
    ),
    "callout": _oldest("due_at", "callout WHERE due_at IS NOT NULL AND due_at <= $1"),
    "lease": _oldest("lease_until", "attempt WHERE state = 'sending' AND lease_until <= $1"),
    "unknown": _oldest("due_at", "attempt WHERE state = 'unknown' AND due_at <= $1"),
    # Ids grow with time, nearly: the first of the queue is the oldest, or close enough to it.
    "inbound": (
        "SELECT COUNT(*) AS n, MIN(due.received_at) AS oldest_at FROM (SELECT received_at"
        f" FROM inbound WHERE state = 'new' ORDER BY id LIMIT {COUNTED_MAX}) AS due"
        " WHERE due.received_at <= $1"
    ),
    "ledger": (
        "SELECT COUNT(*) AS n, MIN(due.entered_at) AS oldest_at FROM (SELECT l.entered_at"
        " FROM ledger_pending p JOIN ledger_line l ON l.id = p.line_id"
        f" ORDER BY p.line_id LIMIT {COUNTED_MAX}) AS due WHERE due.entered_at <= $1"
    ),
}

_OLDEST_PLANNED = """
WITH RECURSIVE level (p) AS (
 SELECT MIN(priority) FROM attempt WHERE state = 'planned' AND channel = $1
 UNION ALL
 SELECT (SELECT MIN(priority) FROM attempt
          WHERE state = 'planned' AND channel = $1 AND priority > level.p)
   FROM level WHERE level.p IS NOT NULL)
SELECT MIN(oldest.at) AS oldest_at FROM (
 SELECT (SELECT MIN(due_at) FROM attempt
          WHERE state = 'planned' AND channel = $1 AND priority = level.p) AS at
   FROM level WHERE level.p IS NOT NULL) AS oldest
"""
"""The index is by channel and priority first: one step for each of the few that are in use."""


async def overdue(unit: Unit, what: str, *, before: datetime) -> Overdue:
    """Return what of a kind was due before an instant."""
    return _overdue(await unit.fetch_one(_OVERDUE[what], before))


async def oldest_planned(unit: Unit, channel: str) -> datetime | None:
    """Return since when, or from when, the oldest planned send of a channel is due."""
    row = await unit.fetch_one(_OLDEST_PLANNED, channel)
    return row["oldest_at"] if row else None


async def count_planned(unit: Unit, channel: str, *, before: datetime) -> int:
    """Return how many sends of a channel were due before an instant, up to COUNTED_MAX."""
    row = await unit.fetch_one(
        "SELECT COUNT(*) AS n FROM (SELECT id FROM attempt WHERE state = 'planned'"
        f" AND channel = $1 AND due_at <= $2 LIMIT {COUNTED_MAX}) AS due",
        channel,
        before,
    )
    return int(row["n"]) if row else 0


async def paces_and_circuits(unit: Unit) -> tuple[Mapping[str, datetime], Mapping[str, str]]:
    """Return pace → when its next slot is, and carrier → its circuit's state."""
    paces = await unit.fetch("SELECT name, next_at FROM pace")
    circuits = await unit.fetch("SELECT name, state FROM circuit")
    return (
        {row["name"]: row["next_at"] for row in paces},
        {row["name"]: row["state"] for row in circuits},
    )


async def last_engine_beat(unit: Unit) -> datetime | None:
    """Return when a process with an engine was last seen."""
    row = await unit.fetch_one("SELECT MAX(seen_at) AS seen_at FROM worker WHERE role <> 'web'")
    return row["seen_at"] if row else None


async def count_unknown(unit: Unit) -> Overdue:
    """Return how many sends are unknown, and when the oldest of them was sent."""
    return _overdue(
        await unit.fetch_one(
            "SELECT COUNT(*) AS n, MIN(due.at) AS oldest_at FROM (SELECT sent_at AS at"
            f" FROM attempt WHERE state = 'unknown' ORDER BY due_at LIMIT {COUNTED_MAX}) AS due"
        )
    )


def _overdue(row: Row | None) -> Overdue:
    assert row is not None, "an aggregate always has a row"
    return Overdue(count=int(row["n"]), oldest_at=row["oldest_at"])

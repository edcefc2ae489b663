"""Who works on this database, and the sends that a process left behind when it died.

A send whose worker is gone becomes an unknown: it may have been handed over. Nobody sends it again
before the carrier has been asked. It never decides who is dead; the caller says since when.
"""

from collections.abc import Sequence
from datetime import datetime

from warnsvc.store.port import Row, Unit

_TO_UNKNOWN = (
    "UPDATE attempt SET state = 'unknown', lease_owner = NULL, lease_until = NULL, due_at = $2,"
    " sent_at = COALESCE(sent_at, $1), error_class = 'ambiguous', error_text = 'worker gone'"
    # Every lease is after the year 1; said so that the index over leases is used.
    " WHERE state = 'sending' AND lease_until > '0001-01-01' AND "
)


async def save_worker(
    unit: Unit,
    *,
    owner: str,
    role: str,
    version: str,
    now: datetime,
    passed_at: datetime | None,
) -> None:
    """Say that this process lives."""
    await unit.execute(
        "INSERT INTO worker (owner, role, version, started_at, seen_at, passed_at)"
        " VALUES ($1, $2, $3, $4, $4, $5) ON CONFLICT (owner) DO UPDATE"
        " SET seen_at = excluded.seen_at, passed_at = excluded.passed_at",
        owner, role, version, now, passed_at,
    )  # fmt: skip


async def remove_worker(unit: Unit, owner: str) -> None:
    """Say that this process has gone home."""
    await unit.execute("DELETE FROM worker WHERE owner = $1", owner)


async def remove_workers_before(unit: Unit, instant: datetime) -> None:
    """Forget processes that died long ago."""
    await unit.execute("DELETE FROM worker WHERE seen_at < $1", instant)


async def remove_other_workers(unit: Unit, owner: str) -> None:
    """Forget everybody else: for a database that belongs to one process."""
    await unit.execute("DELETE FROM worker WHERE owner <> $1", owner)


async def load_workers(unit: Unit) -> Sequence[Row]:
    """Return every process that has not gone home, the dead included."""
    return await unit.fetch("SELECT * FROM worker ORDER BY started_at, owner")


async def release_silent(
    unit: Unit, *, owner: str, silent_since: datetime, now: datetime
) -> list[int]:
    """Make unknowns of the sends of others that have not been seen since; returns which."""
    rows = await unit.fetch(
        f"{_TO_UNKNOWN} lease_owner IN (SELECT owner FROM worker WHERE seen_at <= $3"
        " AND owner <> $4) RETURNING id",
        now, now, silent_since, owner,
    )  # fmt: skip
    return sorted(row["id"] for row in rows)


async def release_others(
    unit: Unit, *, owner: str, look_up_at: datetime, now: datetime
) -> list[int]:
    """Make unknowns of everybody else's sends: for a database that belongs to one process."""
    rows = await unit.fetch(f"{_TO_UNKNOWN} lease_owner <> $3 RETURNING id", now, look_up_at, owner)
    return sorted(row["id"] for row in rows)


async def release_own(unit: Unit, *, owner: str, look_up_at: datetime, now: datetime) -> list[int]:
    """Make unknowns of our own sends that we could not finish; returns which."""
    rows = await unit.fetch(f"{_TO_UNKNOWN} lease_owner = $3 RETURNING id", now, look_up_at, owner)
    return sorted(row["id"] for row in rows)

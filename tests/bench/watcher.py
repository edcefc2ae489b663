"""A look at a database from outside, as often as a hundred times a second: what is still due?

On SQLite a read-only connection beside the service's own, on PostgreSQL a connection. What it sees
is committed and synced, so the moment at which it sees nothing more due is the moment at which the
last escalation is durable.
"""

import asyncio
import sqlite3
import time
from datetime import UTC, datetime
from typing import Any, Protocol

import asyncpg

LOOK_SECONDS = 0.01


class Watcher(Protocol):
    """A connection that only looks."""

    async def due(self, at: datetime) -> list[int]: ...

    async def any_due(self, at: datetime) -> bool: ...

    async def close(self) -> None: ...


class _Sqlite:
    def __init__(self, url: str) -> None:
        path = url.removeprefix("sqlite:///")
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    async def due(self, at: datetime) -> list[int]:
        return [row[0] for row in self._rows("id", at, "")]

    async def any_due(self, at: datetime) -> bool:
        return bool(self._rows("1", at, " LIMIT 1"))

    def _rows(self, what: str, at: datetime, limit: str) -> list[Any]:
        text = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        return self._connection.execute(
            f"SELECT {what} FROM escalation WHERE state = 'calling' AND deadline_at <= ?{limit}",
            (text,),
        ).fetchall()

    async def close(self) -> None:
        self._connection.close()


class _Postgresql:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def due(self, at: datetime) -> list[int]:
        return [row[0] for row in await self._rows("id", at, "")]

    async def any_due(self, at: datetime) -> bool:
        return bool(await self._rows("1", at, " LIMIT 1"))

    async def _rows(self, what: str, at: datetime, limit: str) -> list[Any]:
        found = await self._connection.fetch(
            f"SELECT {what} FROM escalation WHERE state = 'calling' AND deadline_at <= $1{limit}",
            at,
        )
        return list(found)

    async def close(self) -> None:
        await self._connection.close()


async def watch(url: str) -> Watcher:
    """Open a watcher."""
    if url.startswith("sqlite:"):
        return _Sqlite(url)
    return _Postgresql(await asyncpg.connect(url))


async def until_none_due(watcher: Watcher, instant: datetime, *, seconds_max: float) -> float:
    """Wait for the instant and until nothing is due at it; returns the seconds from it on."""
    await asyncio.sleep(max(0.0, instant.timestamp() - time.time()))
    while await watcher.any_due(instant):
        if time.time() - instant.timestamp() > seconds_max:
            raise RuntimeError(f"still due after {seconds_max:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)
    return time.time() - instant.timestamp()


async def lateness(
    watcher: Watcher, ends_at: dict[int, datetime], *, seconds_max: float
) -> list[float]:
    """Watch windows end one after another; returns how late each was closed, in seconds.

    Each is counted until the last look that still saw it open, plus the time to the next look.
    """
    closed: dict[int, float] = {}
    open_: dict[int, float] = {}
    last = max(ends_at.values()).timestamp()
    while len(closed) < len(ends_at):
        looked = time.time()
        seen = {i for i in await watcher.due(datetime.fromtimestamp(looked, UTC)) if i in ends_at}
        for number in [i for i in open_ if i not in seen]:
            closed[number] = looked - open_.pop(number)
        for number in seen:
            open_.setdefault(number, ends_at[number].timestamp())
        if looked > last:
            for number in ends_at:
                if number not in closed and number not in open_:
                    closed[number] = LOOK_SECONDS  # closed between two looks
        if looked > last + seconds_max:
            raise RuntimeError(f"{len(ends_at) - len(closed)} are still open")
        await asyncio.sleep(LOOK_SECONDS)
    return sorted(closed.values())

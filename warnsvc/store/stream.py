"""A unit whose writes are handed over while the next rows are still being computed.

    compute ─ post ─ compute ─ post ─ fetch (waits) ─ … ─ settle
               └─ database writes ───────┘

Statements keep their order. What returns nothing is posted and awaited later; whatever has an
answer waits for what was posted before it. The first fault of a posted statement is raised when the
stream ends, and nothing of the unit is kept. It never begins or ends a unit.

Only PostgreSQL works meanwhile. SQLite's writer is a thread of this interpreter: beside a busy one
it waits five milliseconds for the interpreter's lock after each row of an `executemany`, and a
sweep took three times as long; so on SQLite each statement is awaited.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlmodel import SQLModel

from warnsvc.store.port import Row, StoreFault, Unit

POSTED_MAX = 8
"""Statements under way: enough to keep the database busy, few enough to hold their rows."""


class Stream:
    """A `Unit` for one task. Made by `streamed`."""

    def __init__(self, unit: Unit) -> None:
        self.dialect = unit.dialect
        self._unit = unit
        self._posted: deque[asyncio.Task[None]] = deque()
        self.fault: BaseException | None = None
        """The first of what was posted."""

    async def fetch(self, sql: str, *params: Any) -> list[Row]:
        await self.settle()
        return await self._unit.fetch(sql, *params)

    async def fetch_one(self, sql: str, *params: Any) -> Row | None:
        await self.settle()
        return await self._unit.fetch_one(sql, *params)

    async def execute(self, sql: str, *params: Any) -> int:
        await self.settle()
        return await self._unit.execute(sql, *params)

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        await self._post(lambda: self._unit.execute_many(sql, rows))

    async def insert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        await self._post(lambda: self._unit.insert_rows(table, columns, rows))

    async def add(self, *rows: SQLModel) -> None:
        await self.settle()
        await self._unit.add(*rows)

    async def new_ids(self, table: str, count: int) -> Sequence[int]:
        # SQLite keeps the order by itself; PostgreSQL has a connection of its own for ids.
        return await self._unit.new_ids(table, count)

    async def lock_bulletins(self, ids: Iterable[int], *, patient: bool = False) -> None:
        await self.settle()
        await self._unit.lock_bulletins(ids, patient=patient)

    def after_commit(self, call: Callable[[], None]) -> None:
        self._unit.after_commit(call)

    async def settle(self) -> None:
        """Wait for everything that was posted; raises its first fault."""
        while self._posted:
            await self._posted.popleft()

    async def drop(self) -> None:
        """Wait for everything that was posted, whatever becomes of it."""
        while self._posted:
            await asyncio.wait([self._posted[0]])
            done = self._posted.popleft()
            if not done.cancelled():
                done.exception()  # Marked as seen.

    async def _post(self, call: Callable[[], Awaitable[None]]) -> None:
        if self.dialect == "sqlite":
            await call()
            return
        while len(self._posted) >= POSTED_MAX:
            await self._posted.popleft()
        before = self._posted[-1] if self._posted else None
        self._posted.append(asyncio.create_task(self._in_turn(call, before)))
        await asyncio.sleep(0)  # Let it hand its rows over.

    async def _in_turn(
        self, call: Callable[[], Awaitable[None]], before: "asyncio.Task[None] | None"
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            await call()
        except BaseException as fault:
            self.fault = self.fault or fault
            raise


@asynccontextmanager
async def streamed(unit: Unit) -> AsyncIterator[Stream]:
    """Lend the unit as a stream; everything is written when the block ends."""
    stream = Stream(unit)
    try:
        yield stream
        await stream.settle()
    except StoreFault as later:
        if stream.fault is not None and stream.fault is not later:
            raise stream.fault from later  # What came later only met a unit that was spent.
        raise
    finally:
        await stream.drop()

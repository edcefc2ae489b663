"""A store whose units fail, or whose process dies, where a test says so.

    store.fail_on("attempt")              the next statement about attempts raises StoreFault
    store.die_in(12)                      the process dies in the 12th unit that writes, before COMMIT
    store.die_in(12, committed=True)      … right after it

It is the real store with a hand on its units: what is rolled back is really rolled back. `Died` is
no Exception, so that nothing which keeps a service alive can catch it.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from warnsvc.store.port import Row, Store, StoreFault, Unit


class Died(BaseException):
    """The process is gone."""


class FaultyUnit:
    """A unit that looks at each statement before it is run, and notes whether anything changed."""

    def __init__(self, unit: Unit, store: "FaultyStore") -> None:
        self._unit, self._store = unit, store
        self.wrote = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)

    async def fetch(self, sql: str, *params: Any) -> list[Row]:
        self._store.look(sql)
        rows = await self._unit.fetch(sql, *params)
        self.wrote |= bool(rows) and not sql.startswith("SELECT")
        return rows

    async def fetch_one(self, sql: str, *params: Any) -> Row | None:
        rows = await self.fetch(sql, *params)
        return rows[0] if rows else None

    async def execute(self, sql: str, *params: Any) -> int:
        self._store.look(sql)
        touched = await self._unit.execute(sql, *params)
        self.wrote |= touched > 0
        return touched

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._store.look(sql)
        kept = list(rows)
        self.wrote |= bool(kept)
        await self._unit.execute_many(sql, kept)

    async def insert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        self._store.look(f"INSERT INTO {table} ")
        self.wrote |= bool(rows)
        await self._unit.insert_rows(table, columns, rows)


class FaultyStore:
    """Implements `warnsvc.store.port.Store` around another one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.dialect = store.dialect
        self.units = 0
        """Units that have written something so far."""
        self.failed = 0
        """Faults raised so far."""
        self._fail_on = ""
        self._fault: Exception = StoreFault("the disk is full")
        self._fail_count = 0
        self._die_at: int | None = None
        self._die_committed = False

    def fail_on(self, words: str, *, times: int = 1, fault: Exception | None = None) -> None:
        """Let the next statements that hold these words fail."""
        self._fail_on, self._fail_count = words, times
        self._fault = fault or self._fault

    def die_in(self, units: int, *, committed: bool = False) -> None:
        """Die in a unit that writes, counted from now; 1 is the next one."""
        self._die_at, self._die_committed = self.units + units, committed

    def live(self) -> None:
        """Do no more harm."""
        self._die_at, self._fail_count = None, 0

    def look(self, sql: str) -> None:
        """Raise if a statement with these words is to fail."""
        if self._fail_count and self._fail_on in sql:
            self._fail_count -= 1
            self.failed += 1
            raise self._fault

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[FaultyUnit]:
        async with self._store.unit() as unit:
            watched = FaultyUnit(unit, self)
            yield watched
            self.units += watched.wrote
            dies = watched.wrote and self.units == self._die_at
            if dies and not self._die_committed:
                raise Died
        if dies:
            raise Died

    def view(self) -> AbstractAsyncContextManager[Unit]:
        return self._store.view()

    def read(self) -> AbstractAsyncContextManager[AsyncSession]:
        return self._store.read()

    async def wake(self, *topics: str) -> None:
        await self._store.wake(*topics)

    def listen(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        return self._store.listen()

    async def close(self) -> None:
        await self._store.close()

"""The store on SQLite: one writer that units queue for, a few readers beside it.

The writer is one connection (WAL, synchronous=FULL, BEGIN IMMEDIATE) in one thread; each call of a
unit is a hop to it. Readers are `query_only` and see what is committed. A file lock refuses a
second process. The runner that carries the calls is injected, so that a simulation on virtual time
can run them in place. It never decides anything and never opens a second writer.
"""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from warnsvc.store.file_lock import FileLock
from warnsvc.store.port import Row, StoreFault
from warnsvc.store.runner import Runner, ThreadRunner
from warnsvc.store.sqlite_connection import connect_reader, connect_writer, reader_engine
from warnsvc.store.sqlite_fault import faults
from warnsvc.store.sqlite_insert import insert_rows
from warnsvc.store.sqlite_reader import Reader, Readers
from warnsvc.store.sqlite_value import decode_rows, encode, encode_rows, zip_lists
from warnsvc.store.sqlite_writer import Writer
from warnsvc.store.translate import Statement, translate
from warnsvc.store.unit import OneUnitPerTask, UnitState, insert_statement, model_batches
from warnsvc.store.wake import Hub

T = TypeVar("T")

TakeIds = Callable[[str, int], Awaitable[Sequence[int]]]

READERS = 2
"""Reading connections for `view()`: a page and a report at once; more would wait for the cores."""


class Access(Protocol):
    """What a unit needs of the connection that it was lent."""

    async def run(self, call: Callable[[], T]) -> T: ...


class SqliteUnit:
    """One transaction of the writer, or one snapshot of a reader."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection, access: Access, ids: TakeIds) -> None:
        self.state = UnitState()
        self._connection = connection
        self._access = access
        self._ids = ids

    async def fetch(self, sql: str, *params: Any) -> list[Row]:
        statement = translate(sql)
        return await self._run(lambda: self._fetch(statement, params))

    async def fetch_one(self, sql: str, *params: Any) -> Row | None:
        rows = await self.fetch(sql, *params)
        return rows[0] if rows else None

    async def execute(self, sql: str, *params: Any) -> int:
        statement = translate(sql)
        return await self._run(lambda: self._execute(statement, params))

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        statement = translate(sql)

        def run() -> None:
            # The cursor stays in the thread: let go elsewhere, it would reset a statement in use.
            self._connection.executemany(statement.sql, encode_rows(rows))

        await self._run(run)

    async def insert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        await self._run(lambda: insert_rows(self._connection, table, columns, rows))

    async def add(self, *rows: SQLModel) -> None:
        for table, columns, values in model_batches(rows):
            await self.execute_many(insert_statement(table, columns), values)

    async def new_ids(self, table: str, count: int) -> Sequence[int]:
        with self.state.statement(), faults():
            return await self._ids(table, count)

    async def lock_bulletins(self, ids: Iterable[int], *, patient: bool = False) -> None:
        """Nothing to do: the one writer already keeps deciders apart."""

    def after_commit(self, call: Callable[[], None]) -> None:
        self.state.after_commit(call)

    async def _run(self, call: Callable[[], T]) -> T:
        with self.state.statement(), faults():
            return await self._access.run(call)

    def _fetch(self, statement: Statement, params: Sequence[Any]) -> list[Row]:
        cursor = self._connection.execute(statement.sql, _bound(statement, params))
        return [*decode_rows(cursor, cursor.fetchall())] if cursor.description else []

    def _execute(self, statement: Statement, params: Sequence[Any]) -> int:
        before = self._connection.total_changes
        # All rows are fetched, because a statement with RETURNING is done only after its last one.
        self._connection.execute(statement.sql, _bound(statement, params)).fetchall()
        return self._connection.total_changes - before


class SqliteStore:
    """An SQLite file that is open. Make one with `open`."""

    dialect = "sqlite"

    def __init__(
        self,
        *,
        lock: FileLock,
        connection: sqlite3.Connection,
        writer: Writer,
        readers: Readers,
        engine: AsyncEngine,
    ) -> None:
        self._lock = lock
        self._connection = connection
        self._writer = writer
        self._readers = readers
        self._engine = engine
        self._tasks = OneUnitPerTask()
        self._hub = Hub()
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        runner: Callable[[str], Runner] = ThreadRunner,
        engine: Callable[[Path], AsyncEngine] = reader_engine,
    ) -> "SqliteStore":
        """Open the file, creating an empty one. Raises StoreBusy when another process has it."""
        lock = FileLock(path)
        lock.take()
        write, *reads = [runner(f"sqlite-{at}") for at in range(1 + READERS)]
        try:
            with faults():
                connection = await write.run(lambda: connect_writer(path))
                readers = [await _reader(path, read) for read in reads]
        except BaseException:
            for each in (write, *reads):
                each.close()
            lock.release()
            raise
        return cls(
            lock=lock,
            connection=connection,
            writer=Writer(connection, write),
            readers=Readers(readers),
            engine=engine(path),
        )

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[SqliteUnit]:
        unit = SqliteUnit(self._connection, self._writer, self._writer.new_ids)
        with self._tasks.claim():
            await self._writer.enter(unit.state)
            try:
                yield unit
            except BaseException:
                await self._writer.abandon(unit.state)
                raise
            await self._writer.leave(unit.state)

    @asynccontextmanager
    async def view(self) -> AsyncIterator[SqliteUnit]:
        async with self._readers.borrow() as reader:
            unit = SqliteUnit(reader.connection, reader, no_ids)
            try:
                yield unit
            finally:
                unit.state.over = True

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        self._refuse_closed()
        async with AsyncSession(self._engine, expire_on_commit=False) as session:
            yield session

    async def wake(self, *topics: str) -> None:
        self._hub.wake(*topics)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[str]]:
        with self._hub.listen() as topics:
            yield topics

    async def close(self) -> None:
        """Finish the unit and the views that are open, refuse those that queue, let go."""
        if self._closed:
            return
        self._closed = True
        await self._engine.dispose()
        await self._readers.close()
        # The writer goes last: the last connection folds the WAL into the file.
        await self._writer.close()
        self._lock.release()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreFault("the store is closed")


async def _reader(path: Path, runner: Runner) -> Reader:
    return Reader(await runner.run(lambda: connect_reader(path)), runner)


async def no_ids(_table: str, _count: int) -> Sequence[int]:
    """Stand for the ids of a view: there are none to give."""
    raise StoreFault("a view only reads")


def _bound(statement: Statement, params: Sequence[Any]) -> Sequence[Any]:
    for positions in statement.zipped:
        params = zip_lists(params, positions)
    # Lists that travel inside an earlier one may leave their own places unused at the end.
    used = params[: statement.used] if statement.zipped else params
    return [encode(value) for value in used]

"""The store on SQLite: one writer that units queue for, a few readers beside it.

The writer is one connection (WAL, synchronous=FULL, BEGIN IMMEDIATE) in one thread; each call of a
unit is a hop to it. Readers are `query_only` and see what is committed. A file lock refuses a
second process. The runner that carries the calls is injected, so that a simulation on virtual time
can run them in place. It never decides anything and never opens a second writer.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from warnsvc.store.constraint import sqlite_constraint
from warnsvc.store.file_lock import FileLock
from warnsvc.store.id_block import TAKE
from warnsvc.store.port import IntegrityFault, Row, StoreBusy, StoreFault
from warnsvc.store.runner import Runner, ThreadRunner
from warnsvc.store.sqlite_connection import connect_reader, connect_writer, reader_engine
from warnsvc.store.sqlite_value import decode_rows, encode, encode_rows, zip_lists
from warnsvc.store.translate import Statement, translate
from warnsvc.store.unit import OneUnitPerTask, UnitState, insert_statement, model_batches
from warnsvc.store.wake import Hub

T = TypeVar("T")

READERS = 2
"""Reading connections for `view()`: a page and a report at once; more would wait for the cores."""


class SqliteUnit:
    """One transaction of the writer, or one snapshot of a reader."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection, runner: Runner) -> None:
        self.state = UnitState()
        self._connection = connection
        self._runner = runner

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
        encoded = encode_rows(rows)
        await self._run(lambda: self._connection.executemany(statement.sql, encoded))

    async def insert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        await self.execute_many(insert_statement(table, columns), rows)

    async def add(self, *rows: SQLModel) -> None:
        for table, columns, values in model_batches(rows):
            await self.insert_rows(table, columns, values)

    async def new_ids(self, table: str, count: int) -> Sequence[int]:
        row = await self.fetch_one(TAKE, table, count)
        assert row is not None
        return range(row["first"], row["first"] + count)

    async def lock_bulletins(self, ids: Iterable[int]) -> None:
        """Nothing to do: the one writer already keeps deciders apart."""

    def after_commit(self, call: Callable[[], None]) -> None:
        self.state.after_commit(call)

    async def _run(self, call: Callable[[], T]) -> T:
        with self.state.statement(), faults():
            return await self._runner.run(call)

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
        writer: tuple[sqlite3.Connection, Runner],
        readers: Sequence[tuple[sqlite3.Connection, Runner]],
        engine: AsyncEngine,
    ) -> None:
        self._lock = lock
        self._writer = writer
        self._turn = asyncio.Lock()
        self._tasks = OneUnitPerTask()
        self._readers = readers
        self._free: asyncio.Queue[tuple[sqlite3.Connection, Runner]] = asyncio.Queue()
        for reader in readers:
            self._free.put_nowait(reader)
        self._engine = engine
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
        try:
            with faults():
                writer = await _connected(lambda: connect_writer(path), runner("sqlite-writer"))
                readers = [
                    await _connected(lambda: connect_reader(path), runner(f"sqlite-reader-{at}"))
                    for at in range(READERS)
                ]
        except BaseException:
            lock.release()
            raise
        return cls(lock=lock, writer=writer, readers=readers, engine=engine(path))

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[SqliteUnit]:
        with self._tasks.claim():
            async with self._turn:
                self._refuse_closed()
                unit = SqliteUnit(*self._writer)
                async with _transaction(unit, *self._writer, begin="BEGIN IMMEDIATE"):
                    yield unit

    @asynccontextmanager
    async def view(self) -> AsyncIterator[SqliteUnit]:
        reader = await self._free.get()
        try:
            self._refuse_closed()
            unit = SqliteUnit(*reader)
            async with _transaction(unit, *reader, begin="BEGIN"):
                yield unit
        finally:
            self._free.put_nowait(reader)

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
        """Wait for the unit that is open, refuse those that queue, and let go of the file."""
        if self._closed:
            return
        self._closed = True
        async with self._turn:
            await self._engine.dispose()
            # The writer goes last: the last connection folds the WAL into the file.
            for connection, runner in [await self._free.get() for _ in self._readers]:
                await runner.run(connection.close)
                runner.close()
            await self._writer[1].run(self._writer[0].close)
            self._writer[1].close()
            self._lock.release()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreFault("the store is closed")


@asynccontextmanager
async def _transaction(
    unit: SqliteUnit, connection: sqlite3.Connection, runner: Runner, *, begin: str
) -> AsyncIterator[None]:
    state = unit.state

    def start() -> None:
        _roll_back(connection)  # Left by a rollback that failed; otherwise there is nothing.
        connection.execute(begin)

    def commit() -> None:
        connection.execute("COMMIT")
        state.committed = True

    try:
        with faults():
            await runner.run(start)
        yield
        if state.spent:
            raise StoreFault("this unit of work met a fault that was not raised; nothing is kept")
        state.over = True
        with faults():
            await runner.run(commit)
    finally:
        # Also when the task was cancelled while the commit was under way: it may be durable.
        state.over = True
        if state.committed:
            state.run_hooks()
        else:
            await runner.run(lambda: _roll_back(connection))


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


async def _connected(
    connect: Callable[[], sqlite3.Connection], runner: Runner
) -> tuple[sqlite3.Connection, Runner]:
    return await runner.run(connect), runner


def _bound(statement: Statement, params: Sequence[Any]) -> Sequence[Any]:
    for positions in statement.zipped:
        params = zip_lists(params, positions)
    return [encode(value) for value in params]


@contextmanager
def faults() -> Iterator[None]:
    """Turn SQLite's errors into the store's. A wrong statement stays what it is: a mistake."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise IntegrityFault(str(error), sqlite_constraint(str(error))) from error
    except sqlite3.DatabaseError as error:
        match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
            case sqlite3.SQLITE_ERROR | sqlite3.SQLITE_RANGE | sqlite3.SQLITE_MISUSE:
                raise
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                raise StoreBusy(str(error)) from error
            case _:
                raise StoreFault(str(error)) from error

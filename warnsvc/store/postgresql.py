"""The store on PostgreSQL: a pool of connections, read committed, any number of processes.

A unit is one transaction on one pooled connection; `lock_bulletins` keeps two deciders of one
bulletin apart. Ids, NOTIFY and LISTEN use a connection of their own (`postgresql_side`), so that a
unit never waits for the pool while it holds a place in it. A lost connection becomes a StoreFault
and the pool opens a new one for the next unit, on whichever server takes writes by then
(`postgresql_cluster`). A fault during COMMIT leaves open whether it happened (`postgresql_commit`):
callers write so that doing it again is harmless. It never decides anything.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from warnsvc.store.id_block import IdBlocks
from warnsvc.store.port import Row, StoreBusy, StoreFault
from warnsvc.store.postgresql_cluster import Cluster
from warnsvc.store.postgresql_commit import Commits
from warnsvc.store.postgresql_connection import (
    ACQUIRE_SECONDS,
    CLOSE_SECONDS,
    COMMAND_SECONDS,
    PATIENT_LOCK_SECONDS,
    StandbyFault,
    faults,
    notice_partitions,
    server_settings,
)
from warnsvc.store.postgresql_side import SideConnection
from warnsvc.store.runner import to_the_end
from warnsvc.store.sqlite_value import refuse_naive, refuse_naive_rows
from warnsvc.store.unit import OneUnitPerTask, UnitState, insert_statement, model_batches
from warnsvc.store.wake import Hub

CONNECTIONS = 8
"""Pool size: 8 to 16 is the optimum measured (reference/stack.md §2.1); more only queue inside."""

_BEGIN_UNIT = "BEGIN ISOLATION LEVEL READ COMMITTED"
_BEGIN_VIEW = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""One snapshot for the whole view, as on SQLite."""

_LOCK_BULLETINS = "SELECT id FROM bulletin WHERE id = ANY($1) ORDER BY id FOR UPDATE"


class PostgresqlUnit:
    """One transaction."""

    dialect = "postgresql"

    def __init__(self, connection: Any, ids: IdBlocks) -> None:
        self.state = UnitState()
        self.on_standby = False
        self._connection = connection
        self._ids = ids

    async def fetch(self, sql: str, *params: Any) -> list[Row]:
        with self._statement():
            refuse_naive(params)
            return list(await self._connection.fetch(sql, *params))

    async def fetch_one(self, sql: str, *params: Any) -> Row | None:
        rows = await self.fetch(sql, *params)
        return rows[0] if rows else None

    async def execute(self, sql: str, *params: Any) -> int:
        with self._statement():
            refuse_naive(params)
            return _touched(await self._connection.execute(sql, *params))

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        kept = rows if isinstance(rows, list) else list(rows)
        with self._statement():
            refuse_naive_rows(kept)
            await self._connection.executemany(sql, kept)

    async def insert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        with self._statement():
            refuse_naive_rows(rows)
            await self._connection.copy_records_to_table(
                table, columns=list(columns), records=rows, timeout=COMMAND_SECONDS
            )

    async def add(self, *rows: SQLModel) -> None:
        for table, columns, values in model_batches(rows):
            await self.execute_many(insert_statement(table, columns), values)

    async def new_ids(self, table: str, count: int) -> Sequence[int]:
        with self._statement():
            return await self._ids.take(table, count)

    async def lock_bulletins(self, ids: Iterable[int], *, patient: bool = False) -> None:
        if patient:
            await self.execute(f"SET LOCAL lock_timeout = '{PATIENT_LOCK_SECONDS}s'")
        await self.execute(_LOCK_BULLETINS, sorted(set(ids)))

    def after_commit(self, call: Callable[[], None]) -> None:
        self.state.after_commit(call)

    @contextmanager
    def _statement(self) -> Iterator[None]:
        try:
            with self.state.statement(), faults():
                yield
        except StandbyFault:
            self.on_standby = True
            raise


class PostgresqlStore:
    """A PostgreSQL database that is open. Make one with `open`."""

    dialect = "postgresql"

    def __init__(self, *, pool: Any, side: SideConnection, engine: AsyncEngine, hub: Hub) -> None:
        self._pool = pool
        self._side = side
        self._engine = engine
        self._hub = hub
        self._tasks = OneUnitPerTask()
        self._ids = IdBlocks(side.take_ids)
        self._commits = Commits(self._give_back, late_max=max(1, pool.get_max_size() // 2))
        self._closed = False

    @classmethod
    async def open(cls, dsn: str, *, connections: int = CONNECTIONS) -> "PostgresqlStore":
        """Connect. Raises StoreFault or StoreBusy when nobody answers."""
        hub = Hub()
        cluster = Cluster(dsn)
        side = SideConnection(cluster, hub)
        with faults():
            pool = await asyncpg.create_pool(
                dsn,
                connect=cluster.for_pool,
                # None is kept for its own sake: asyncpg would log each try while nobody answers.
                min_size=0,
                max_size=connections,
                command_timeout=COMMAND_SECONDS,
                server_settings=server_settings("unit"),
                init=notice_partitions,
                reset=_keep_as_it_is,
            )
            try:
                await side.open()
            except BaseException:
                pool.terminate()
                raise
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: _connect_to_read(cluster),
            pool_pre_ping=True,
        )
        return cls(pool=pool, side=side, engine=engine, hub=hub)

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[PostgresqlUnit]:
        with self._tasks.claim():
            self._commits.refuse_more()
            async with self._transaction(_BEGIN_UNIT, keep=True) as unit:
                yield unit

    @asynccontextmanager
    async def view(self) -> AsyncIterator[PostgresqlUnit]:
        async with self._transaction(_BEGIN_VIEW, keep=False) as unit:
            yield unit

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        self._refuse_closed()
        async with AsyncSession(self._engine, expire_on_commit=False) as session:
            yield session

    async def wake(self, *topics: str) -> None:
        self._hub.wake(*topics)
        await self._side.notify(topics)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[str]]:
        with self._hub.listen() as topics:
            yield topics

    async def close(self) -> None:
        """Wait for the units that are open, for a while, and hang up."""
        if self._closed:
            return
        self._closed = True
        await self._side.close()
        await self._engine.dispose()
        self._commits.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def _transaction(self, begin: str, *, keep: bool) -> AsyncIterator[PostgresqlUnit]:
        self._refuse_closed()
        with faults():
            connection = await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        unit = PostgresqlUnit(connection, self._ids)
        ours = True
        try:
            with faults():
                await connection.execute(begin)
            yield unit
            unit.state.over = True
            if keep:
                _refuse_spent(unit.state)
                ours = unit.state.committed = await self._commits.commit(connection)
        finally:
            unit.state.over = True
            if unit.on_standby and keep:
                await to_the_end(self._leave(connection))
            if ours:
                await to_the_end(self._give_back(connection))
            if unit.state.committed:
                unit.state.run_hooks()
        if keep and not ours:
            raise StoreBusy("the commit was not confirmed in time; it may still be")

    async def _give_back(self, connection: Any) -> None:
        try:
            with faults():
                if connection.is_in_transaction():
                    await connection.execute("ROLLBACK")
        except (StoreFault, asyncpg.InterfaceError):
            # The server rolls back by itself when the connection goes, if it has not gone already.
            with suppress(asyncpg.InterfaceError):
                connection.terminate()
        # It may be gone from the pool by now: asyncpg frees the place of one that the server cuts,
        # and complains of whoever gives it back in that moment.
        with suppress(StoreFault, asyncpg.InterfaceError), faults():
            await self._pool.release(connection)

    async def _leave(self, connection: Any) -> None:
        """Give up a server that has become a standby, and with it all that the pool has there."""
        connection.terminate()
        await self._pool.expire_connections()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreFault("the store is closed")


def _refuse_spent(state: UnitState) -> None:
    if state.spent:
        raise StoreFault("this unit of work met a fault that was not raised; nothing is kept")


def _touched(status: str) -> int:
    """Read `INSERT 0 3` or `UPDATE 3`. A SELECT touches nothing."""
    word, _, rest = status.partition(" ")
    return 0 if word == "SELECT" or not rest else int(rest.rpartition(" ")[2])


async def _connect_to_read(cluster: Cluster) -> Any:
    # Set afterwards: a session that is read-only from the start looks like one on a standby.
    connection = await cluster.connect("read", command_timeout=COMMAND_SECONDS)
    await connection.execute("SET default_transaction_read_only = on")
    return connection


async def _keep_as_it_is(_connection: Any) -> None:
    """A unit leaves nothing behind in its session, so the pool need not ask for a reset."""

"""python -m tests.sim.pg_world: the same worlds and invariants on a real PostgreSQL.

    python -m tests.sim.pg_world --seeds 0:20 --scenario crashes      one after another
    python -m tests.sim.pg_world --seeds 0:20 --twice                  and each has the same trace again

    the real PostgresqlStore ──► a connection that may die at its COMMIT ──► the gate ──► PostgreSQL
    triggers note each row in the transaction ──► read before COMMIT ──► the mirror, as on SQLite

What is different from the simulation on SQLite: locks are PostgreSQL's, several processes write at
once, and a process that dies is cut off by the server. Faults of the database itself, which the
plans may name, are those of SQLite's store and do not happen here. It never tests durability.
"""

# As in `tests.sim.loop`: asyncio has no public name for what a handle belongs to.
# mypy: disable-error-code="attr-defined"

import argparse
import asyncio
import json
import os
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import make_url

from tests.fakes.postgresql import postgresql_server
from tests.sim import world as worlds
from tests.sim.crash import _LIFE, Life, SimLoop
from tests.sim.house import Seeded
from tests.sim.mirror import COLUMNS
from tests.sim.pg_gate import Gate, gated
from tests.sim.plan import Plan
from tests.sim.scenario import draw, names
from tests.sim.world import Result, World
from warnsvc.store.migrate import upgrade
from warnsvc.store.port import Unit
from warnsvc.store.postgresql import PostgresqlStore
from warnsvc.store.sqlite_value import encode

TEMPLATE = f"warnsvc_sim_template_{os.getpid()}"
CONNECTIONS = 6
"""For each process: more would only queue, one statement being on the wire at a time."""
_BYTES = frozenset({"body", "leaf", "root"})
_NOTED = """
CREATE UNLOGGED TABLE sim_note (
  n bigserial PRIMARY KEY, xid xid8, said_at timestamptz, what text, noted jsonb);
CREATE INDEX ON sim_note (xid);
CREATE FUNCTION sim_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO sim_note (xid, said_at, what, noted)
    VALUES (pg_current_xact_id(), statement_timestamp(), TG_ARGV[0],
    CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END);
  RETURN NULL;
END $$;
"""
_TAKE_NOTES = (
    "WITH taken AS (DELETE FROM sim_note WHERE xid = pg_current_xact_id_if_assigned()"
    " RETURNING n, said_at, what, noted) SELECT what, noted::text, said_at FROM taken ORDER BY n"
)


# The database ------------------------------------------------------------------------------------


class Database:
    """A server with a migrated template; a fresh database for each run."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._numbers = count(1)

    @classmethod
    @contextmanager
    def on(cls, dsn: str) -> "Iterator[Database]":
        """Prepare a server, named by its maintenance database; clean up afterwards."""
        database = cls(dsn)
        _now(database._prepare())
        try:
            yield database
        finally:
            _now(cls._sql(dsn, f"DROP DATABASE {TEMPLATE} WITH (FORCE)"))

    async def _prepare(self) -> None:
        await self._sql(self._dsn, f"CREATE DATABASE {TEMPLATE}")
        template = self._address(TEMPLATE)
        await upgrade(template)
        triggers = [
            f"CREATE TRIGGER sim AFTER INSERT OR UPDATE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION sim_note('{table}')"
            for table in COLUMNS
        ]
        triggers.append(
            "CREATE TRIGGER sim_gone AFTER DELETE ON ledger_pending"
            " FOR EACH ROW EXECUTE FUNCTION sim_note('-ledger_pending')"
        )
        await self._sql(template, _NOTED + ";".join(triggers))

    @contextmanager
    def fresh(self, seeded: Seeded, folder: Path) -> Iterator[str]:
        """Yield the address of a database that holds a county."""
        name = f"warnsvc_sim_{os.getpid()}_{next(self._numbers)}"
        _now(self._sql(self._dsn, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))
        try:
            _now(self._fill(self._address(name), seeded, folder))
            yield self._address(name)
        finally:
            _now(self._sql(self._dsn, f"DROP DATABASE {name} WITH (FORCE)"))

    async def _fill(self, dsn: str, seeded: Seeded, folder: Path) -> None:
        """Copy the rows of the county's file, table by table."""
        path = folder / "for-postgresql.sqlite3"
        path.write_bytes(seeded.content)
        connection = await asyncpg.connect(dsn)
        file = sqlite3.connect(path)
        file.row_factory = sqlite3.Row
        try:
            await connection.execute("SET session_replication_role = replica")
            for (table,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
                rows = [dict(row) for row in file.execute(f'SELECT * FROM "{table}"')]
                if rows and table not in {"alembic_version", "sqlite_sequence"}:
                    await connection.execute(
                        f'INSERT INTO "{table}" SELECT *'
                        f' FROM json_populate_recordset(NULL::"{table}", $1)',
                        json.dumps(rows),
                    )
        finally:
            file.close()
            await connection.close()

    def _address(self, name: str) -> str:
        return make_url(self._dsn).set(database=name).render_as_string(hide_password=False)

    @staticmethod
    async def _sql(dsn: str, sql: str) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


def _now(work: Any) -> Any:
    """Run something real outside virtual time."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


# Connections and stores that die -------------------------------------------------------------------


class DyingConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that belongs to a life, tells what it commits, and may die there."""

    wrote = False

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> Any:
        life = _LIFE.get()
        if life is None:
            return await super().execute(query, *args, timeout=timeout)
        life.fence()
        if query == "COMMIT":
            return await self._commit(life)
        return await super().execute(query, *args, timeout=timeout)

    async def _commit(self, life: Life) -> Any:
        notes = _in_order(await super().fetch(_TAKE_NOTES))
        self.wrote = bool(notes)
        if not notes:
            return await super().execute("COMMIT")
        life.point("commit.before")
        self._protocol.committed = lambda: life.host.committed(life, notes)
        try:
            status = await super().execute("COMMIT")
        finally:
            self._protocol.committed = None
        life.point("commit.in")
        return status


def _in_order(rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return the notes, statement by statement, and within each by key.

    In which order a statement comes upon its rows depends on where they lie, and that on when
    PostgreSQL has tidied up a page.
    """
    notes = [(said_at, _note(what, json.loads(noted))) for what, noted, said_at in rows]
    notes.sort(key=lambda note: (note[0], note[1][0], note[1][1]))
    return [note for _, note in notes]


def _note(what: str, noted: dict[str, Any]) -> tuple[Any, ...]:
    """Return a row as SQLite's triggers would tell it."""
    if what == "-ledger_pending":
        return (what, noted["line_id"])
    return (what, *(_as_sqlite(name, noted[name]) for name in COLUMNS[what].split()))


def _as_sqlite(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and name in _BYTES:
        return bytes.fromhex(value.removeprefix("\\x"))
    if isinstance(value, str) and name.endswith(("_at", "_until")):
        return encode(datetime.fromisoformat(value).astimezone(UTC))
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return value


class Grave:
    """Stands among a life's connections: when it dies, the gate ends them."""

    def __init__(self, gate: Gate, life: Life) -> None:
        self._gate, self._life = gate, life

    def drop(self) -> None:
        """The life is over."""
        self._gate.bury(self._life)


class DyingStore:
    """The real PostgreSQL store of one life, opened when it is first asked for anything."""

    dialect = "postgresql"

    def __init__(self, life: Life, gate: Gate, dsn: str) -> None:
        self.life, self._gate, self._dsn = life, gate, dsn
        self._opening = asyncio.Lock()
        self._store: PostgresqlStore | None = None
        life.connections.append(Grave(gate, life))  # type: ignore[arg-type]

    async def _opened(self) -> PostgresqlStore:
        self.life.fence()
        async with self._opening:
            if self._store is None:
                store = await PostgresqlStore.open(self._dsn, connections=CONNECTIONS)
                store.life = self.life
                self._gate.adopt(store)
                self._store = store
        return self._store

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        store = await self._opened()
        async with store.unit() as unit:
            connection = unit._connection._con
            connection.wrote = False
            yield unit
        if connection.wrote:
            self.life.point("commit.after")

    @asynccontextmanager
    async def view(self) -> AsyncIterator[Unit]:
        store = await self._opened()
        async with store.view() as unit:
            yield unit

    async def wake(self, *topics: str) -> None:
        await (await self._opened()).wake(*topics)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[str]]:
        store = await self._opened()
        async with store.listen() as topics:
            yield topics

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class GatedLoop(SimLoop):
    """A loop whose processes may be stopped while others are on the wire."""

    gate: Gate | None = None

    def pause(self, life: Life) -> None:
        super().pause(life)
        self._look_again()

    def resume(self, life: Life) -> None:
        super().resume(life)
        self._look_again()

    def kill(self, life: Life) -> None:
        super().kill(life)
        for handle in self._held:
            if handle._context.get(_LIFE) is life:
                handle.cancel()
        self._look_again()

    def _look_again(self) -> None:
        if self.gate is not None and self.is_running():
            self.gate.look_again()


# The world -----------------------------------------------------------------------------------------


class PgWorld(World):
    """A world on PostgreSQL."""

    def __init__(self, plan: Plan, database: Database) -> None:
        super().__init__(plan)
        self.loop.close()
        self.loop = GatedLoop(plan.seed)
        self._database = database
        self._writing = None
        self._dsn = ""
        self._gate: Gate | None = None

    def run(self) -> Result:
        with (
            self._database.fresh(self.seeded, self._path.parent) as self._dsn,
            gated(DyingConnection) as gate,
            _opening(self, gate),
        ):
            self._gate = self.loop.gate = gate
            gate.whose = _LIFE.get
            gate.stands_still = lambda life: life is not None and (life.dead or life.paused)
            return super().run()

    async def _live(self) -> None:
        assert self._gate is not None
        await self._gate.open(self._dsn)
        await super()._live()
        await self._gate.close()

    def _pause(self, worker: int, length: float) -> None:
        life = self.lives[worker]
        assert self._gate is not None
        if life is not None and not life.dead and self._gate.in_transaction(life):
            self.later(0.001, self._pause, worker, length)  # PostgreSQL would roll it back
            return
        super()._pause(worker, length)


@contextmanager
def _opening(world: PgWorld, gate: Gate) -> Iterator[None]:
    """Let lives open this database."""
    before = worlds.open_store

    def open_store(life: Life, _path: Path, _writing: Any, **_: Any) -> Any:
        return DyingStore(life, gate, world._dsn)

    worlds.open_store = open_store  # type: ignore[assignment]
    try:
        yield
    finally:
        worlds.open_store = before


# The command ---------------------------------------------------------------------------------------


def main() -> int:
    """Live through what was asked for."""
    given = _arguments()
    first, _, past = given.seeds.partition(":")
    chosen = names() if given.scenario == "all" else [given.scenario]
    began, runs, wrong = time.monotonic(), 0, 0
    with postgresql_server() as dsn, Database.on(dsn) as database:
        for seed in range(int(first), int(past or int(first) + 1)):
            plan = draw(chosen[seed % len(chosen)], seed)
            runs += 1
            wrong += not _lived(plan, database, given)
    print(f"{runs} runs on PostgreSQL, {wrong} wrong, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


def _lived(plan: Plan, database: Database, given: argparse.Namespace) -> bool:
    result = PgWorld(plan, database).run()
    if given.trace:
        print(*result.lines(), sep="\n")
    if result.violation is not None:
        print(f"{plan.scenario} {plan.seed}: {result.violation}", flush=True)
        return False
    if given.twice and PgWorld(plan, database).run().hash != result.hash:
        print(f"{plan.scenario} {plan.seed}: not the same twice", flush=True)
        return False
    return True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.pg_world")
    parser.add_argument("--seeds", default="0:10", help="first:past the last")
    parser.add_argument("--scenario", default="all", choices=["all", *names()])
    parser.add_argument("--twice", action="store_true", help="each again, with the same trace")
    parser.add_argument("--trace", action="store_true", help="print every line")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

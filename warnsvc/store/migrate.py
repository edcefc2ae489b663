"""Bring a database to this program's schema, and refuse to work on another one.

`upgrade` runs what is missing in one transaction, under a lock: on SQLite the file lock of a
running service, on PostgreSQL an advisory lock, so that two hosts upgrading at once do it once.
There is no downgrade: restore the backup. It never runs by itself when a service starts.

A program works on a newer schema that says so, in the one word that it can read of it: revision
`0003_accepts_0002` only adds to what 0002 made, and a program of 0002 may go on beside it. So
workers are replaced one by one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from warnsvc.store.file_lock import FileLock
from warnsvc.store.open import parse_url, postgresql_dsn, sqlite_path
from warnsvc.store.port import Store, StoreBusy, StoreFault
from warnsvc.store.postgresql_cluster import Cluster
from warnsvc.store.postgresql_connection import faults
from warnsvc.store.sqlite_connection import connect_writer

MIGRATIONS = Path(__file__).with_name("migrations")

_ADVISORY_LOCK = 0x7761726E  # "warn"
"""The number that two processes that upgrade at once both ask for."""


_ACCEPTS = "_accepts_"
"""Between a revision's number and that of the oldest program that may work on it."""


class WrongSchema(StoreFault):
    """The database is at another revision than this program. The message says what to do."""


def head() -> str:
    """Return the revision that this program needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


async def current(url: str) -> str | None:
    """Return the revision that the database is at, or None when it is empty or not there."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not sqlite_path(parsed).exists():
        return None
    async with _connected(url, begin="BEGIN") as connection:
        return await connection.run_sync(_revision)


async def require_head(url: str) -> None:
    """Raise WrongSchema unless this program may work on the database."""
    check_revision(await current(url))


async def require_head_of(store: Store) -> None:
    """Raise WrongSchema unless this program may work on this open store."""
    try:
        async with store.view() as unit:
            row = await unit.fetch_one("SELECT version_num FROM alembic_version")
    except StoreBusy:
        raise
    except StoreFault:
        row = None  # no such table: nothing was ever made here
    check_revision(None if row is None else row["version_num"])


def check_revision(found: str | None) -> None:
    """Raise WrongSchema, with what to do, unless this program may work on the revision."""
    if found is None:
        raise WrongSchema("The database is empty. Run `warnsvc db upgrade` first.")
    known = {script.revision for script in revisions()}
    if found not in known and accepts_from(found) not in known:
        raise WrongSchema(
            f"The database is at revision {found}, which this program does not know: "
            "a newer warnsvc has upgraded it. Install that version."
        )
    if found in known and found != head():
        raise WrongSchema(
            f"The database is at revision {found}, this program needs {head()}. "
            "Make a backup, then run `warnsvc db upgrade`."
        )


def accepts_from(revision: str) -> str | None:
    """Return the oldest revision whose program may work on this one, or None: nobody older.

    Revisions are one line, so a program that knows the oldest is at least as new as it.
    """
    _, accepts, oldest = revision.partition(_ACCEPTS)
    return oldest if accepts else None


def revisions() -> list[Script]:
    """Return every revision that this program knows, the newest first."""
    return list(ScriptDirectory.from_config(_config()).walk_revisions())


async def upgrade(url: str) -> None:
    """Bring the database to `head()`. Raises StoreBusy while a service has the SQLite file."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = sqlite_path(parsed)
        lock = FileLock(path)
        lock.take()
        try:
            connect_writer(path).close()  # Makes the file private and WAL before it has content.
            await _upgrade(url)
        finally:
            lock.release()
    else:
        await _upgrade(url)


async def _upgrade(url: str) -> None:
    async with _connected(url, begin="BEGIN IMMEDIATE") as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}
            )
        await connection.run_sync(_run)
        if connection.dialect.name == "sqlite":
            await _check_foreign_keys(connection)


async def _check_foreign_keys(connection: AsyncConnection) -> None:
    """Tables are rebuilt with foreign keys off; look before it is committed."""
    broken = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).fetchall()
    if broken:
        tables = sorted({row[0] for row in broken})
        raise StoreFault(f"the upgrade would break foreign keys of {', '.join(tables)}")


def _run(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    found = _revision(connection)
    if found is not None and found not in {script.revision for script in revisions()}:
        check_revision(found)
        return  # A newer program has been here, and there is nothing that this one could add.
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


@asynccontextmanager
async def _connected(url: str, *, begin: str) -> AsyncIterator[AsyncConnection]:
    """Yield a connection in one transaction that is committed at the end."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{sqlite_path(parsed)}", poolclass=NullPool
        )
        _begin_ourselves(engine, begin)
    else:
        dsn = postgresql_dsn(parsed)
        engine = create_async_engine(
            "postgresql+asyncpg://", async_creator=lambda: _reach(dsn), poolclass=NullPool
        )
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


async def _reach(dsn: str) -> asyncpg.Connection:
    """Connect to PostgreSQL. Raises StoreFault."""
    with faults():
        return await Cluster(dsn).reach()


def _begin_ourselves(engine: Any, begin: str) -> None:
    """Make DDL transactional: sqlite3 by itself begins only before INSERT, UPDATE and DELETE."""

    @event.listens_for(engine.sync_engine, "connect")
    def _no_implicit_begin(connection: Any, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

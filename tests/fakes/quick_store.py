"""The real stores, quicker to get: for hundreds of stories that each take a few milliseconds.

SQLite runs its calls in place, without a thread to wait for. PostgreSQL has one database for many
tests, emptied between them: 12 ms instead of 60; whoever changes the schema must undo it. A conftest
imports these fixtures, and `store` means them from there on.
"""

import os
from collections.abc import AsyncIterator, Iterator
from itertools import count

import asyncpg
import pytest

from tests.conftest import _TEMPLATE, _run, _sql, _with_database
from warnsvc.store.open import open_store, parse_url, sqlite_path
from warnsvc.store.port import Store
from warnsvc.store.runner import InlineRunner
from warnsvc.store.sqlite import SqliteStore

_numbers = count(1)
_GUARDED = ("ledger_line", "ledger_leaf")
"""Tables whose triggers refuse to be emptied."""


@pytest.fixture
async def store(backend: str, store_url: str) -> AsyncIterator[Store]:
    """A migrated, empty, open store."""
    if backend == "sqlite":
        path = sqlite_path(parse_url(store_url))
        opened: Store = await SqliteStore.open(path, runner=InlineRunner)
    else:
        opened = await open_store(store_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def reused_postgresql_url(postgresql_template: str) -> Iterator[str]:
    """The address of a database that tests share, one after the other."""
    name = f"warnsvc_reused_{os.getpid()}_{next(_numbers)}"
    _run(_sql(postgresql_template, f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}"'))
    yield _with_database(postgresql_template, name)
    _run(_sql(postgresql_template, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
async def postgresql_url(reused_postgresql_url: str) -> str:
    """The same database, empty."""
    await _empty(reused_postgresql_url)
    return reused_postgresql_url


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        # A test that failed may have left a transaction open.
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        rows = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> 'alembic_version'"
        )
        tables = ", ".join(f'"{row["tablename"]}"' for row in rows)
        await connection.execute(
            ";".join(
                (
                    *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in _GUARDED),
                    f"TRUNCATE {tables}",
                    *(f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in _GUARDED),
                )
            )
        )
    finally:
        await connection.close()

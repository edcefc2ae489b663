"""Fixtures for everybody.

    store      a migrated, empty, open store: `async def test_…(store: Store) -> None`.
               Every test that asks for it runs twice, ids `sqlite` and `postgresql`.
    store_url  the address of that database (parametrised the same way), for tests that open it
               themselves: `await open_store(store_url)`, a subprocess, settings.
    backend    `"sqlite"` or `"postgresql"`; ask for it to know which one you are on.

To run on one database only: `@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)`.
Without any PostgreSQL those tests are skipped, with the reason; with CI=true they fail instead.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url

from tests.fakes.postgresql import NoPostgresql, postgresql_server
from warnsvc.store.migrate import upgrade
from warnsvc.store.open import open_store
from warnsvc.store.port import Store

BACKENDS = ["sqlite", "postgresql"]

_TEMPLATE = f"warnsvc_template_{os.getpid()}"
_numbers = count(1)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def store_url(backend: str, request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(f"{backend}_url")


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = await open_store(store_url)
    yield opened
    await opened.close()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "warnsvc.sqlite3"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgresql_template: str) -> Iterator[str]:
    name = f"warnsvc_test_{os.getpid()}_{next(_numbers)}"
    _run(_sql(postgresql_template, f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}"'))
    yield _with_database(postgresql_template, name)
    _run(_sql(postgresql_template, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file that tests copy."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite3"
    _run(upgrade(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql_dsn: str) -> Iterator[str]:
    """The maintenance address of a server that has a migrated template database."""
    _run(_sql(postgresql_dsn, f'CREATE DATABASE "{_TEMPLATE}"'))
    _run(upgrade(_with_database(postgresql_dsn, _TEMPLATE)))
    yield postgresql_dsn
    _run(_sql(postgresql_dsn, f'DROP DATABASE "{_TEMPLATE}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def postgresql_dsn() -> Iterator[str]:
    """The maintenance address of a running server."""
    server = postgresql_server()
    try:
        dsn = server.__enter__()
    except NoPostgresql as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"PostgreSQL TESTS NOT RUN: {error}")
    yield dsn
    server.__exit__(None, None, None)


def _run(work: Coroutine[Any, Any, Any]) -> None:
    """Run to the end in a thread, because the tests' own loop belongs to pytest-asyncio."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, work).result()


async def _sql(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _with_database(dsn: str, name: str) -> str:
    return make_url(dsn).set(database=name).render_as_string(hide_password=False)

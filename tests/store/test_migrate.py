"""The revisions make exactly the schema of the models, and a service refuses another one."""

import asyncio
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from warnsvc.store.file_lock import FileLock
from warnsvc.store.migrate import (
    WrongSchema,
    accepts_from,
    current,
    head,
    require_head,
    require_head_of,
    revisions,
    upgrade,
)
from warnsvc.store.open import UnknownDatabase, open_store, parse_url, sqlite_path
from warnsvc.store.port import Store, StoreBusy


async def on_connection(url: str, look: Any) -> Any:
    driver = "sqlite+aiosqlite" if url.startswith("sqlite") else "postgresql+asyncpg"
    engine = create_async_engine(parse_url(url).set(drivername=driver))
    async with engine.connect() as connection:
        found = await connection.run_sync(look)
    await engine.dispose()
    return found


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, SQLModel.metadata)


def rules(connection: Connection) -> dict[str, Any]:
    """Return what alembic does not compare: CHECKs, and what partial indexes are about."""
    looked = inspect(connection)
    found: dict[str, Any] = {}
    for table in SQLModel.metadata.tables:
        for check in looked.get_check_constraints(table):
            found[f"{table}.{check['name']}"] = check["sqltext"]
        for index in looked.get_indexes(table):
            where = {k: str(v) for k, v in index.get("dialect_options", {}).items() if "where" in k}
            found[f"{table}.{index['name']}"] = (index["column_names"], where)
        for key in looked.get_unique_constraints(table):
            found[f"{table}.{key['name']}"] = key["column_names"]
    return found


def empty(connection: Connection) -> None:
    connection.exec_driver_sql("DROP SCHEMA public CASCADE")
    connection.exec_driver_sql("CREATE SCHEMA public")
    connection.commit()


def rules_of_the_models(connection: Connection) -> dict[str, Any]:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")  # sqlite3 does not begin before DDL by itself
    SQLModel.metadata.drop_all(connection)
    SQLModel.metadata.create_all(connection)
    made = rules(connection)
    connection.rollback()
    return made


async def test_the_revisions_make_the_schema_of_the_models(store_url: str) -> None:
    assert await on_connection(store_url, differences) == []


async def test_checks_and_partial_indexes_are_those_of_the_models(store_url: str) -> None:
    assert await on_connection(store_url, rules) == await on_connection(
        store_url, rules_of_the_models
    )


async def test_a_migrated_database_is_at_the_head(store_url: str) -> None:
    await require_head(store_url)

    assert await current(store_url) == head()


async def test_upgrading_twice_changes_nothing(store_url: str) -> None:
    await upgrade(store_url)

    assert await current(store_url) == head()


async def test_an_empty_database_is_refused(tmp_path: Any) -> None:
    with pytest.raises(WrongSchema, match="empty"):
        await require_head(f"sqlite:///{tmp_path}/new.sqlite3")

    assert list(tmp_path.iterdir()) == []


async def of_a_newer_program(store: Store, revision: str) -> None:
    async with store.unit() as unit:
        await unit.execute("UPDATE alembic_version SET version_num = $1", revision)


async def test_a_newer_schema_that_only_adds_is_worked_on(store_url: str, store: Store) -> None:
    newer = f"9999_accepts_{head()}"
    await of_a_newer_program(store, newer)

    await require_head_of(store)
    await store.close()
    await require_head(store_url)
    await upgrade(store_url)

    assert await current(store_url) == newer


@pytest.mark.parametrize("revision", ["9999", "9999_accepts_9998"])
async def test_a_newer_schema_that_was_contracted_is_refused(
    store_url: str, store: Store, revision: str
) -> None:
    await of_a_newer_program(store, revision)

    with pytest.raises(WrongSchema, match="newer"):
        await require_head_of(store)
    await store.close()
    with pytest.raises(WrongSchema, match="newer"):
        await require_head(store_url)
    with pytest.raises(WrongSchema, match="newer"):
        await upgrade(store_url)


def test_every_revision_says_which_older_programs_may_work_on_it() -> None:
    known = [script.revision for script in revisions()]

    for revision in known[:-2]:  # The first program that could read this word is that of 0002.
        assert accepts_from(revision) in known, f"{revision}: see CONTRIBUTING.md"


async def test_a_running_service_is_not_upgraded_under_its_feet(sqlite_url: str) -> None:
    store = await open_store(sqlite_url)

    with pytest.raises(StoreBusy, match="one process"):
        await upgrade(sqlite_url)
    await store.close()
    await upgrade(sqlite_url)


async def test_two_hosts_that_upgrade_at_once_do_it_once(postgresql_url: str) -> None:
    await on_connection(postgresql_url, empty)
    assert await current(postgresql_url) is None

    await asyncio.gather(upgrade(postgresql_url), upgrade(postgresql_url))

    assert await current(postgresql_url) == head()


async def test_an_upgrade_that_fails_leaves_nothing(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/new.sqlite3"

    async def fail(_connection: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("warnsvc.store.migrate._check_foreign_keys", fail)
    with pytest.raises(ZeroDivisionError):
        await upgrade(url)

    assert await on_connection(url, lambda c: inspect(c).get_table_names()) == []
    FileLock(sqlite_path(parse_url(url))).take()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/db"])
async def test_a_database_that_we_cannot_use_is_refused(url: str) -> None:
    with pytest.raises(UnknownDatabase):
        await open_store(url)

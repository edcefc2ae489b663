"""Looking at an SQLite database beside the service that owns it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from warnsvc.store.open import open_reading, open_store
from warnsvc.store.port import Store, StoreBusy, StoreFault
from warnsvc.store.sqlite import SqliteStore
from warnsvc.store.sqlite_watch import SqliteWatch

SQL = "INSERT INTO region (code, level, name, kind, headcount) VALUES ($1, 'village', $2, 'gov', 0)"


@pytest.fixture
async def service(sqlite_url: str) -> AsyncIterator[Store]:
    opened = await open_store(sqlite_url)
    yield opened
    await opened.close()


async def names(store: Store) -> list[str]:
    async with store.view() as view:
        return [row["name"] for row in await view.fetch("SELECT name FROM region ORDER BY code")]


async def test_what_the_service_commits_is_seen_from_outside(
    service: Store, sqlite_url: str
) -> None:
    watch = await open_reading(sqlite_url)
    try:
        before = await names(watch)
        async with service.unit() as unit:
            await unit.execute(SQL, "990000000001", "上河湾村")

        assert (before, await names(watch)) == ([], ["上河湾村"])
    finally:
        await watch.close()


async def test_nothing_can_be_written_from_outside(service: Store, sqlite_url: str) -> None:
    watch = await open_reading(sqlite_url)
    try:
        with pytest.raises(StoreBusy, match="pid"):
            async with watch.unit() as unit:
                await unit.execute(SQL, "990000000001", "上河湾村")
        with pytest.raises(StoreFault):
            async with watch.view() as view:
                await view.execute(SQL, "990000000001", "上河湾村")

        assert await names(service) == []
    finally:
        await watch.close()


async def test_a_watch_that_closes_last_leaves_the_wal_to_the_next_owner(
    service: Store, sqlite_url: str
) -> None:
    wal = Path(f"{make_url(sqlite_url).database}-wal")
    watch = await open_reading(sqlite_url)
    async with service.unit() as unit:
        await unit.execute(SQL, "990000000001", "上河湾村")
    assert await names(watch) == ["上河湾村"]
    await service.close()
    left = wal.stat().st_size

    await watch.close()

    assert wal.stat().st_size == left
    again = await open_store(sqlite_url)
    assert await names(again) == ["上河湾村"]
    await again.close()


async def test_where_nobody_else_has_the_file_it_is_opened_as_ever(sqlite_url: str) -> None:
    store = await open_reading(sqlite_url)
    try:
        assert isinstance(store, SqliteStore)
        assert not isinstance(store, SqliteWatch)
    finally:
        await store.close()

"""Readers see what is committed, one snapshot at a time, and cannot write."""

import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from tests.store.rows import NOW, row
from warnsvc.store import table as t
from warnsvc.store.port import Store, StoreFault

INSERT = "INSERT INTO setting (name, value) VALUES ($1, $2)"
NAMES = "SELECT name FROM setting ORDER BY name"


async def test_a_view_does_not_see_a_unit_that_is_open(store: Store) -> None:
    async with store.unit() as unit:
        await unit.execute(INSERT, "desk", "x")
        async with store.view() as view:
            before = await view.fetch(NAMES)
    async with store.view() as view:
        after = await view.fetch(NAMES)

    assert before == []
    assert [found["name"] for found in after] == ["desk"]


async def test_a_view_shows_one_moment_however_long_it_lasts(store: Store) -> None:
    async with store.view() as view:
        first = await view.fetch(NAMES)
        async with store.unit() as unit:
            await unit.execute(INSERT, "desk", "x")
        second = await view.fetch(NAMES)

    assert first == second == []


async def test_a_view_cannot_write(store: Store) -> None:
    async with store.view() as view:
        with pytest.raises(StoreFault):
            await view.execute(INSERT, "desk", "x")


async def test_a_view_that_failed_does_not_spoil_the_next_one(store: Store) -> None:
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with store.view() as view:
                await view.fetch(NAMES)
                raise ZeroDivisionError

    async with store.view() as view:
        assert await view.fetch(NAMES) == []


async def test_a_session_reads_models(store: Store) -> None:
    async with store.unit() as unit:
        await unit.add(row(t.AlarmRow), row(t.OfficerRow))

    async with store.read() as session:
        alarm = (await session.exec(select(t.AlarmRow))).one()
        officer = await session.get(t.OfficerRow, 1)

    assert alarm.raised_at == NOW
    assert alarm.acknowledged_at is None
    assert officer is not None
    assert officer.disabled is False


async def test_a_session_sees_each_commit(store: Store) -> None:
    for amount in (1, 2):
        async with store.unit() as unit:
            await unit.add(row(t.SettingRow, name=f"s{amount}"))
        async with store.read() as session:
            assert len((await session.exec(select(t.SettingRow))).all()) == amount


async def test_a_session_cannot_write(store: Store) -> None:
    async with store.read() as session:
        session.add(row(t.SettingRow))
        with pytest.raises(DBAPIError, match=r"(?i)read.?only"):
            await session.commit()

    async with store.view() as view:
        assert await view.fetch(NAMES) == []


async def test_like_knows_capitals_on_both(store: Store) -> None:
    async with store.unit() as unit:
        await unit.execute(INSERT, "Desk", "x")

        assert await unit.fetch("SELECT name FROM setting WHERE name LIKE $1", "d%") == []


async def test_a_store_that_is_closed_refuses(store: Store) -> None:
    await store.close()

    for way in (store.unit, store.view, store.read):
        with pytest.raises(StoreFault, match="closed"):
            async with way():
                pass
    await store.close()

"""An id is given out once, to one process."""

import asyncio

import pytest

from tests.store.rows import row
from warnsvc.store import table as t
from warnsvc.store.id_block import BLOCK_LENGTH
from warnsvc.store.open import open_store
from warnsvc.store.port import Store


async def take(store: Store, count: int, table: str = "alarm") -> list[int]:
    async with store.unit() as unit:
        return list(await unit.new_ids(table, count))


async def test_ids_start_at_one_and_rise(store: Store) -> None:
    assert await take(store, 3) == [1, 2, 3]
    assert await take(store, 2) == [4, 5]
    assert await take(store, 2, "task") == [1, 2]
    assert await take(store, 0) == []


async def test_a_large_request_rises_too(store: Store) -> None:
    await take(store, 1)

    ids = await take(store, 3 * BLOCK_LENGTH)

    assert ids == sorted(set(ids))
    assert min(ids) > 1


async def test_tasks_never_share_an_id(store: Store) -> None:
    taken = await asyncio.gather(*(take(store, 7) for _ in range(60)))

    flat = [number for ids in taken for number in ids]
    assert len(set(flat)) == len(flat) == 420


async def test_one_unit_may_ask_in_parallel(store: Store) -> None:
    async with store.unit() as unit:
        taken = await asyncio.gather(*(unit.new_ids("alarm", 2) for _ in range(10)))

    assert len({number for ids in taken for number in ids}) == 20


async def test_an_id_that_was_used_is_not_given_again_after_a_restart(
    store: Store, store_url: str
) -> None:
    (used,) = await take(store, 1)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with store.unit() as unit:
            await unit.new_ids("alarm", 5)
            raise ZeroDivisionError
    async with store.unit() as unit:
        (later,) = await unit.new_ids("alarm", 1)
        await unit.add(row(t.AlarmRow, id=used), row(t.AlarmRow, id=later))
    await store.close()

    reopened = await open_store(store_url)
    fresh = await take(reopened, 3)
    await reopened.close()

    assert min(fresh) > later > used


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_two_processes_never_share_an_id(store: Store, store_url: str) -> None:
    other = await open_store(store_url)
    taken = await asyncio.gather(*(take(at, 9) for at in (store, other) * 40))
    await other.close()

    flat = [number for ids in taken for number in ids]
    assert len(set(flat)) == len(flat) == 720


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_units_do_not_wait_for_each_others_ids(store: Store) -> None:
    async with store.unit() as unit:
        await unit.new_ids("alarm", 1)

        # A refill in another task, while this unit is open and has taken from the same table.
        assert len(await asyncio.create_task(take(store, 5 * BLOCK_LENGTH))) == 5 * BLOCK_LENGTH

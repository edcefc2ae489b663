"""What a carrier's reference is about, and a receipt that comes at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from warnsvc.store.inbound import Inbound, insert_inbound
from warnsvc.store.open import open_store
from warnsvc.store.port import Store, Unit
from warnsvc.store.reference import (
    REFERENCE_CHARS_MAX,
    Key,
    Subject,
    find_subjects,
    keep_references,
    key_of,
    park,
)

NOW = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)
KEY = Key("mas", "m1:13912345678")
OURS = {KEY: Subject(attempt_id=7)}


@pytest.fixture
async def second_store(store_url: str) -> AsyncIterator[Store]:
    opened = await open_store(store_url)
    yield opened
    await opened.close()


async def test_a_reference_is_about_what_it_was_first_written_for(store: Store) -> None:
    async with store.unit() as unit:
        await keep_references(unit, OURS, now=NOW)
        await keep_references(unit, {KEY: Subject(test_id=8)}, now=NOW)

        assert await find_subjects(unit, [KEY, Key("other", KEY.reference)], now=NOW) == OURS


async def test_writing_it_releases_what_waits_for_it_and_nothing_else(store: Store) -> None:
    async with store.unit() as unit:
        await _parked(unit, KEY, at=NOW)
        await _parked(unit, KEY, at=NOW - timedelta(hours=25), word="too old")
        await _parked(unit, Key("other", KEY.reference), at=NOW)
        await _parked(unit, Key("mas", "m1:13912345679"), at=NOW)

        assert await keep_references(unit, OURS, now=NOW) == 1

    async with store.view() as view:
        rows = await view.fetch("SELECT state FROM inbound ORDER BY id")
    assert [row["state"] for row in rows] == ["new", "parked", "parked", "parked"]


async def test_nothing_to_write_asks_the_database_nothing(store: Store) -> None:
    async with store.view() as view:
        assert await keep_references(view, {}, now=NOW) == 0


def test_a_long_reference_is_known_by_its_digest() -> None:
    long = "编" * REFERENCE_CHARS_MAX

    assert key_of("mas", long).reference == long
    assert len(key_of("mas", long + "号").reference) < REFERENCE_CHARS_MAX
    assert key_of("mas", long + "号") != key_of("mas", long + "码")


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_whoever_writes_while_a_receipt_is_parked_releases_it(
    store: Store, second_store: Store
) -> None:
    async with store.unit() as parking:
        assert await find_subjects(parking, [KEY], now=NOW) == {}
        writing = asyncio.create_task(_keep(second_store))
        await _somebody_waits(store)
        await _parked(parking, KEY, at=NOW)

    assert await writing == 1


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("awaited", [False, True], ids=["a new row", "a row that is there"])
async def test_a_receipt_that_comes_while_it_is_written_finds_it(
    store: Store, second_store: Store, awaited: bool
) -> None:
    if awaited:
        async with store.unit() as unit:
            await find_subjects(unit, [KEY], now=NOW)

    async with store.unit() as writing:
        await keep_references(writing, OURS, now=NOW)
        finding = asyncio.create_task(_find(second_store))
        await _somebody_waits(store)

    assert await finding == OURS


async def _keep(store: Store) -> int:
    async with store.unit() as unit:
        return await keep_references(unit, OURS, now=NOW)


async def _find(store: Store) -> dict[Key, Subject]:
    async with store.unit() as unit:
        return await find_subjects(unit, [KEY], now=NOW)


async def _somebody_waits(store: Store) -> None:
    """Return once another connection waits for a lock: so the race is one, without a clock."""

    async def look() -> bool:
        async with store.view() as view:
            row = await view.fetch_one(
                "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()) AS found"
            )
        return bool(row and row["found"])

    while not await asyncio.create_task(look()):  # a task of its own: one unit each
        await asyncio.sleep(0)


async def _parked(unit: Unit, key: Key, *, at: datetime, word: str = "delivered") -> None:
    fact = Inbound(
        kind="receipt",
        carrier=key.carrier,
        channel="sms",
        dedupe_key=f"{key.reference}:{word}",
        received_at=at,
    )
    await insert_inbound(unit, [fact])
    row = await unit.fetch_one("SELECT MAX(id) AS id FROM inbound")
    assert row is not None
    await park(unit, [(row["id"], key.reference)])

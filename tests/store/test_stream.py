"""A stream hands writes over while rows are computed, keeps their order and hides no fault."""

import pytest

from warnsvc.store.port import IntegrityFault, Store
from warnsvc.store.stream import POSTED_MAX, streamed

SETTING = ("name", "value")


async def test_what_was_posted_is_seen_by_what_asks_after_it(store: Store) -> None:
    async with store.unit() as unit, streamed(unit) as stream:
        for number in range(3 * POSTED_MAX):
            await stream.insert_rows("setting", SETTING, [(f"n{number}", "1")])
            await stream.execute_many(
                "UPDATE setting SET value = value || $1 WHERE name = $2", [("2", f"n{number}")]
            )

        found = await stream.fetch("SELECT value FROM setting WHERE name LIKE 'n%'")

        assert [row["value"] for row in found] == ["12"] * 3 * POSTED_MAX


async def test_everything_is_written_when_the_stream_ends(store: Store) -> None:
    async with store.unit() as unit:
        async with streamed(unit) as stream:
            await stream.insert_rows("setting", SETTING, [("posted", "1")])

        row = await unit.fetch_one("SELECT value FROM setting WHERE name = 'posted'")

    assert row is not None


async def _same_name_twice(store: Store) -> None:
    async with store.unit() as unit, streamed(unit) as stream:
        await stream.insert_rows("setting", SETTING, [("twice", "1")])
        await stream.insert_rows("setting", SETTING, [("twice", "2")])
        await stream.insert_rows("setting", SETTING, [("after", "3")])
        await stream.fetch("SELECT name FROM setting")


async def test_the_first_fault_is_raised_and_nothing_is_kept(store: Store) -> None:
    with pytest.raises(IntegrityFault):
        await _same_name_twice(store)

    async with store.view() as view:
        assert await view.fetch("SELECT name FROM setting WHERE name IN ('twice','after')") == []


async def _fails_itself(store: Store) -> None:
    async with store.unit() as unit, streamed(unit) as stream:
        await stream.insert_rows("setting", SETTING, [("posted", "1")])
        raise ZeroDivisionError


async def test_an_error_of_ones_own_waits_for_what_was_posted(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        await _fails_itself(store)

    async with store.view() as view:
        assert await view.fetch("SELECT name FROM setting WHERE name = 'posted'") == []

"""A unit of work is all or nothing, and the same on both databases."""

import asyncio
from datetime import date, timedelta, timezone

import pytest

from contacts.directory.table import ContactRow, RegionRow
from tests.store.rows import LATER, NOW, parents, row
from warnsvc.store import table as t
from warnsvc.store.port import IntegrityFault, Store, StoreFault
from warnsvc.store.sqlite_value import NaiveInstant

INSERT = "INSERT INTO setting (name, value) VALUES ($1, $2)"
COUNT = "SELECT count(*) AS amount FROM setting"


async def amount(store: Store) -> int:
    async with store.view() as view:
        found = await view.fetch_one(COUNT)
    assert found is not None
    return found["amount"]


async def with_attempts(store: Store, *attempts: t.AttemptRow) -> None:
    async with store.unit() as unit:
        await unit.add(*parents(t.AttemptRow), *attempts)


async def test_what_a_unit_wrote_is_there_for_the_next_one(store: Store) -> None:
    async with store.unit() as unit:
        touched = await unit.execute(INSERT, "desk", "县值班室")

    async with store.unit() as unit:
        found = await unit.fetch_one("SELECT name, value FROM setting WHERE name = $1", "desk")

    assert touched == 1
    assert found is not None
    name, value = found
    assert (name, value, found[1], found["value"]) == ("desk", *["县值班室"] * 3)
    assert list(found.keys()) == ["name", "value"]
    assert len(found) == 2  # type: ignore[arg-type]


async def test_a_block_that_raises_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with store.unit() as unit:
            await unit.execute(INSERT, "desk", "x")
            raise ZeroDivisionError

    assert await amount(store) == 0


async def test_a_cancelled_unit_leaves_nothing_and_holds_nothing(store: Store) -> None:
    started = asyncio.Event()

    async def stuck() -> None:
        async with store.unit() as unit:
            await unit.execute(INSERT, "desk", "x")
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stuck())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.unit() as unit:
        await unit.execute(INSERT, "desk", "y")

    assert await amount(store) == 1


async def test_hooks_run_after_the_commit_and_only_then(store: Store) -> None:
    heard: list[str] = []

    async with store.unit() as unit:
        unit.after_commit(lambda: heard.append("kept"))
        await unit.execute(INSERT, "desk", "x")
        assert heard == []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with store.unit() as unit:
            unit.after_commit(lambda: heard.append("rolled back"))
            raise ZeroDivisionError

    assert heard == ["kept"]


async def test_all_hooks_run_even_if_one_of_them_fails(store: Store) -> None:
    heard: list[str] = []

    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with store.unit() as unit:
            unit.after_commit(lambda: heard.append(str(1 // 0)))
            unit.after_commit(lambda: heard.append("second"))
            await unit.execute(INSERT, "desk", "x")

    assert heard == ["second"]
    assert await amount(store) == 1


async def test_after_a_fault_the_unit_is_spent(store: Store) -> None:
    with pytest.raises(StoreFault, match="not raised"):  # noqa: PT012
        async with store.unit() as unit:
            await unit.execute(INSERT, "desk", "x")
            with pytest.raises(IntegrityFault):
                await unit.execute(INSERT, "desk", "y")
            with pytest.raises(StoreFault, match="can only be rolled back"):
                await unit.fetch(COUNT)

    assert await amount(store) == 0


async def test_a_unit_that_is_over_refuses_more(store: Store) -> None:
    async with store.unit() as unit:
        pass

    with pytest.raises(StoreFault, match="over"):
        await unit.execute(INSERT, "desk", "x")


async def test_a_unit_inside_a_unit_is_refused(store: Store) -> None:
    async with store.unit():
        with pytest.raises(RuntimeError, match="inside"):
            async with store.unit():
                pass


async def test_many_tasks_write_without_losing_an_update(store: Store) -> None:
    async with store.unit() as unit:
        await unit.add(t.DutyRow(name="d", owner="", lease_until=NOW))

    async def raise_fence() -> None:
        async with store.unit() as unit:
            await unit.execute("UPDATE duty SET fence = fence + 1 WHERE name = $1", "d")

    await asyncio.gather(*(raise_fence() for _ in range(20)))

    async with store.view() as view:
        found = await view.fetch_one("SELECT fence FROM duty")
    assert found is not None
    assert found["fence"] == 20


async def test_values_come_back_as_they_went_in(store: Store) -> None:
    shanghai = timezone(timedelta(hours=8))
    contact = row(ContactRow, robot_ok=False, updated_at=NOW.astimezone(shanghai))
    region = row(RegionRow, valid_from=date(2026, 1, 1))
    line = row(t.LedgerLineRow, body=b"\x00\xff{}")
    async with store.unit() as unit:
        await unit.add(contact, region, line)

    async with store.view() as view:
        found = await view.fetch_one("SELECT robot_ok, active, updated_at, name FROM contact")
        dates = await view.fetch_one("SELECT valid_from, valid_to FROM region")
        body = await view.fetch_one("SELECT body FROM ledger_line")

    assert found is not None
    assert dates is not None
    assert body is not None
    assert found["robot_ok"] is False
    assert found["active"] is True
    assert found["updated_at"] == NOW
    assert found["updated_at"].utcoffset() == timedelta(0)
    assert tuple(dates) == (date(2026, 1, 1), None)
    assert body["body"] == b"\x00\xff{}"


async def test_instants_compare_in_the_database_as_they_do_in_python(store: Store) -> None:
    instants = [NOW, NOW.replace(microsecond=0), NOW + timedelta(microseconds=1), LATER]
    attempts = [
        row(t.AttemptRow, id=at, number=at, due_at=due) for at, due in enumerate(instants, start=1)
    ]
    await with_attempts(store, *attempts)

    async with store.view() as view:
        due = await view.fetch("SELECT due_at FROM attempt WHERE due_at <= $1 ORDER BY due_at", NOW)
        earliest = await view.fetch_one("SELECT min(due_at) AS next_due_at FROM attempt")

    assert [found["due_at"] for found in due] == sorted(instants)[:2]
    assert earliest is not None
    assert earliest["next_due_at"] == min(instants)


async def test_a_naive_datetime_is_refused_everywhere(store: Store) -> None:
    naive = NOW.replace(tzinfo=None)
    update = "UPDATE duty SET lease_until = $1"
    columns = ["name", "owner", "fence", "lease_until"]

    for write in (
        lambda unit: unit.execute(update, naive),
        lambda unit: unit.fetch(update + " RETURNING name", naive),
        lambda unit: unit.execute_many(update, [(NOW,), (naive,)]),
        lambda unit: unit.insert_rows("duty", columns, [("a", "", 0, NOW), ("b", "", 0, naive)]),
        lambda unit: unit.add(t.DutyRow(name="c", owner="", lease_until=naive)),
    ):
        with pytest.raises(NaiveInstant):
            async with store.unit() as unit:
                await write(unit)


async def test_a_list_stands_for_the_array(store: Store) -> None:
    names = ["a", 'quote"d', "县", "d"]
    async with store.unit() as unit:
        await unit.execute_many(INSERT, [(name, "") for name in names])
        picked = "SELECT name FROM setting WHERE name = ANY($1) ORDER BY name"
        others = "SELECT name FROM setting WHERE name <> ALL($1::text[]) ORDER BY name"

        assert [found[0] for found in await unit.fetch(picked, names[1:3])] == names[1:3]
        assert [found[0] for found in await unit.fetch(others, names[1:3])] == ["a", "d"]
        assert await unit.fetch(picked, []) == []
        assert await unit.execute("DELETE FROM setting WHERE name = ANY($1)", names) == 4


async def test_lists_of_numbers_and_instants_work_too(store: Store) -> None:
    attempts = [
        row(t.AttemptRow, id=at, number=at, due_at=NOW + timedelta(hours=at)) for at in (1, 2, 3)
    ]
    await with_attempts(store, *attempts)

    async with store.view() as view:
        by_id = await view.fetch("SELECT id FROM attempt WHERE id = ANY($1) ORDER BY id", [3, 1, 9])
        by_due = await view.fetch(
            "SELECT id FROM attempt WHERE due_at = ANY($1)", [NOW + timedelta(hours=2)]
        )

    assert [found["id"] for found in by_id] == [1, 3]
    assert [found["id"] for found in by_due] == [2]


async def test_unnested_lists_update_as_one_statement(store: Store) -> None:
    attempts = [row(t.AttemptRow, id=at, number=at) for at in (1, 2, 3)]
    await with_attempts(store, *attempts)

    async with store.unit() as unit:
        done = await unit.fetch(
            """
            UPDATE attempt SET state = given.state, sent_at = given.sent_at,
                   error_text = given.error_text
              FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[])
                AS given(id, state, sent_at, error_text)
             WHERE attempt.id = given.id AND attempt.state = $5
            RETURNING attempt.id, attempt.state, attempt.sent_at, attempt.error_text
            """,
            [1, 2, 7],
            ["accepted", "failed", "failed"],
            [NOW, None, None],
            [None, "空号", None],
            "planned",
        )

    assert sorted(map(tuple, done)) == [(1, "accepted", NOW, None), (2, "failed", None, "空号")]


async def test_execute_counts_the_rows_of_every_kind_of_statement(store: Store) -> None:
    async with store.unit() as unit:
        await unit.execute_many(INSERT, [("a", "1"), ("b", "1"), ("c", "2")])

        assert await unit.execute("UPDATE setting SET value = $1 WHERE value = $2", "9", "1") == 2
        assert await unit.execute("UPDATE setting SET value = $1 WHERE name = $2", "9", "z") == 0
        upsert = INSERT + " ON CONFLICT (name) DO NOTHING"
        assert await unit.execute(upsert, "a", "x") == 0
        again = INSERT + " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        assert await unit.execute(again, "a", "x") == 1
        with_cte = (
            "WITH old AS (SELECT name FROM setting WHERE value = $1) "
            "DELETE FROM setting WHERE name IN (SELECT name FROM old) RETURNING name"
        )
        assert await unit.execute(with_cte, "9") == 1
        assert await unit.execute("SELECT name FROM setting") == 0


async def test_rows_are_inserted_in_bulk(store: Store) -> None:
    await with_attempts(store)
    template = row(t.AttemptRow).model_dump()
    rows = [tuple((template | {"id": at, "number": at}).values()) for at in range(1, 2001)]

    async with store.unit() as unit:
        await unit.insert_rows("attempt", list(template), rows)
        await unit.insert_rows("attempt", list(template), [])

    async with store.view() as view:
        found = await view.fetch_one(
            "SELECT count(*) AS amount, max(valid_until) AS last_valid_until FROM attempt"
        )
    assert found is not None
    assert tuple(found) == (2000, LATER)


async def test_a_batch_with_one_bad_row_inserts_none(store: Store) -> None:
    await with_attempts(store)
    template = row(t.AttemptRow).model_dump()
    rows = [tuple((template | {"id": at, "number": at % 3}).values()) for at in range(1, 5)]

    with pytest.raises(IntegrityFault) as caught:
        async with store.unit() as unit:
            await unit.insert_rows("attempt", list(template), rows)

    assert caught.value.constraint == "uq_attempt"


async def test_models_of_several_kinds_are_added_in_order(store: Store) -> None:
    await with_attempts(store, row(t.AttemptRow))

    async with store.view() as view:
        found = await view.fetch_one(
            "SELECT m.text, a.state, a.send_count FROM attempt a JOIN message m ON m.id=a.message_id"
        )

    assert found is not None
    assert tuple(found) == ("演练", "planned", 0)


async def test_a_model_without_its_id_is_a_mistake(store: Store) -> None:
    with pytest.raises(ValueError, match="new_ids"):
        async with store.unit() as unit:
            await unit.add(row(t.AlarmRow, id=None))

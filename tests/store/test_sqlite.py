"""What only the store on SQLite promises: one process, one writer, shared commits."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from warnsvc.store.open import parse_url, sqlite_path
from warnsvc.store.port import IntegrityFault, StoreBusy, StoreFault
from warnsvc.store.runner import InlineRunner, ThreadRunner
from warnsvc.store.sqlite import SqliteStore

INSERT = "INSERT INTO setting (name, value) VALUES ($1, $2)"


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return sqlite_path(parse_url(sqlite_url))


@pytest.fixture(params=[ThreadRunner, InlineRunner])
async def sqlite_store(path: Path, request: pytest.FixtureRequest) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(path, runner=request.param)
    yield opened
    await opened.close()


async def write(store: SqliteStore, name: str) -> None:
    async with store.unit() as unit:
        await unit.execute(INSERT, name, "")


async def fail(store: SqliteStore, name: str) -> None:
    async with store.unit() as unit:
        await unit.execute(INSERT, name, "")
        await unit.execute(INSERT, name, "the same again")


async def names(store: SqliteStore) -> set[str]:
    async with store.view() as view:
        return {row["name"] for row in await view.fetch("SELECT name FROM setting")}


def commits_of(store: SqliteStore) -> list[str]:
    """Return a list that grows with every COMMIT."""
    seen: list[str] = []
    store._connection.set_trace_callback(
        lambda sql: seen.append(sql) if sql.startswith("COMMIT") else None
    )
    return seen


async def test_a_second_process_is_refused_with_a_clear_message(path: Path) -> None:
    store = await SqliteStore.open(path)
    program = (
        "import asyncio; from pathlib import Path; from warnsvc.store.sqlite import SqliteStore; "
        f"asyncio.run(SqliteStore.open(Path({str(path)!r})))"
    )

    second = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True
    )
    await store.close()

    assert second.returncode != 0
    assert "StoreBusy" in second.stderr
    assert "An SQLite file belongs to one process" in second.stderr


async def test_the_lock_goes_with_the_store(path: Path) -> None:
    first = await SqliteStore.open(path)
    with pytest.raises(StoreBusy, match="open in another process"):
        await SqliteStore.open(path)
    await first.close()

    second = await SqliteStore.open(path)
    await second.close()


async def test_the_file_is_private_and_whole_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    store = await SqliteStore.open(path)
    await store.close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.with_name("new.sqlite3-wal").exists()


async def test_the_writer_is_set_up_for_power_cuts(sqlite_store: SqliteStore) -> None:
    async with sqlite_store.unit() as unit:
        found = [
            (await unit.fetch(f"PRAGMA {name}"))[0][0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert found == ["wal", 2, 1]


async def test_units_that_wait_share_a_commit(sqlite_store: SqliteStore) -> None:
    commits = commits_of(sqlite_store)

    await asyncio.gather(*(write(sqlite_store, f"s{at}") for at in range(20)))

    assert await names(sqlite_store) == {f"s{at}" for at in range(20)}
    assert len(commits) < 20


async def test_a_unit_alone_commits_at_once(sqlite_store: SqliteStore) -> None:
    commits = commits_of(sqlite_store)

    await write(sqlite_store, "a")
    await write(sqlite_store, "b")

    assert len(commits) == 2


async def test_a_member_that_fails_takes_nobody_with_it(sqlite_store: SqliteStore) -> None:
    units = [
        write(sqlite_store, f"s{at}") if at % 3 else fail(sqlite_store, f"f{at}")
        for at in range(30)
    ]

    results = await asyncio.gather(*units, return_exceptions=True)

    assert [isinstance(result, IntegrityFault) for result in results] == [
        at % 3 == 0 for at in range(30)
    ]
    assert await names(sqlite_store) == {f"s{at}" for at in range(30) if at % 3}


async def test_a_member_that_is_cancelled_takes_nobody_with_it(sqlite_store: SqliteStore) -> None:
    tasks = [asyncio.create_task(write(sqlite_store, f"s{at}")) for at in range(20)]
    await tasks[0]
    for task in tasks[10:]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    # Whoever was told "done" is on disk; a cancelled one may be, whole.
    told = {f"s{at}" for at, result in enumerate(results) if result is None}
    assert told >= {f"s{at}" for at in range(10)}
    assert told <= await names(sqlite_store)
    await write(sqlite_store, "afterwards")


async def test_nobody_is_told_done_when_sqlite_gave_the_transaction_up(
    sqlite_store: SqliteStore,
) -> None:
    async def lose_everything() -> None:
        async with sqlite_store.unit() as unit:
            await unit.execute(INSERT, "b", "")
            await unit.execute("ROLLBACK")  # as SQLite itself does when the disk is full

    first = asyncio.create_task(write(sqlite_store, "a"))
    second = asyncio.create_task(lose_everything())
    third = asyncio.create_task(write(sqlite_store, "c"))
    results = await asyncio.gather(first, second, third, return_exceptions=True)

    kept = await names(sqlite_store)
    assert [name in kept for name in "abc"] == [result is None for result in results]
    assert isinstance(results[1], StoreFault)
    await write(sqlite_store, "afterwards")


async def test_a_commit_that_fails_is_heard_by_the_whole_group(sqlite_store: SqliteStore) -> None:
    heard: list[str] = []

    async def hopeful(name: str) -> None:
        async with sqlite_store.unit() as unit:
            unit.after_commit(lambda: heard.append(name))
            await unit.execute(INSERT, name, "")
            await unit.new_ids("alarm", 1)

    sqlite_store._connection.set_authorizer(no_commit)
    results = await asyncio.gather(*(hopeful(name) for name in "abc"), return_exceptions=True)
    sqlite_store._connection.set_authorizer(None)
    assert [type(result) for result in results] == [StoreFault] * 3
    assert heard == []
    await write(sqlite_store, "d")
    assert await names(sqlite_store) == {"d"}
    async with sqlite_store.view() as view:
        row = await view.fetch_one("SELECT next FROM id_block WHERE name = $1", "alarm")
    assert row is not None
    assert row["next"] == 4


async def test_a_unit_that_forgets_to_go_on_loses_its_turn(
    sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warnsvc.store.sqlite_writer.IDLE_SECONDS", 0.0)
    other_is_done = asyncio.Event()

    async def stuck() -> None:
        async with sqlite_store.unit() as unit:
            await unit.execute(INSERT, "stuck", "")
            await other_is_done.wait()
            with pytest.raises(StoreFault, match="rolled back"):
                await unit.execute(INSERT, "too late", "")

    async def other() -> None:
        await write(sqlite_store, "other")
        other_is_done.set()

    results = await asyncio.gather(stuck(), other(), return_exceptions=True)

    assert isinstance(results[0], StoreBusy)
    assert results[1] is None
    assert await names(sqlite_store) == {"other"}


def no_commit(action: int, word: str | None, *_rest: str | None) -> int:
    """An SQLite authorizer that stands for a disk that is full when it comes to committing."""
    refused = action == sqlite3.SQLITE_TRANSACTION and word == "COMMIT"
    return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK


async def test_whoever_was_told_done_is_on_disk_after_kill_9(path: Path) -> None:
    program = f"""
import asyncio
from pathlib import Path
from random import Random
from warnsvc.store.sqlite import SqliteStore

async def write(store, at):
    async with store.unit() as unit:
        await unit.execute("INSERT INTO setting (name, value) VALUES ($1, '')", str(at))
    print(at, flush=True)

async def main():
    store = await SqliteStore.open(Path({str(path)!r}))
    for start in range(0, 1000000, 16):
        await asyncio.gather(*(write(store, at) for at in range(start, start + 16)))

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    told = [(await process.stdout.readline()).decode().strip() for _ in range(100)]
    process.kill()
    told += (await process.stdout.read()).decode().split("\n")[:-1]
    await process.wait()

    store = await SqliteStore.open(path)
    assert set(told) <= await names(store)
    await store.close()


@pytest.mark.parametrize("seed", range(40))
async def test_no_disorder_breaks_the_promise(path: Path, seed: int) -> None:
    """Units that succeed, fail, hang and are cancelled, in an order that the seed decides."""
    random = Random(seed)
    store = await SqliteStore.open(path, runner=random.choice([InlineRunner, ThreadRunner]))

    async def act(name: str) -> None:
        async with store.unit() as unit:
            if random.random() < 0.1:
                raise ZeroDivisionError  # before anything was written
            for part in range(random.randint(0, 3)):
                await unit.execute(INSERT, f"{name}.{part}", "")
                await asyncio.sleep(0)
            await unit.execute(INSERT, name, "")
            if random.random() < 0.2:
                await unit.execute(INSERT, name, "the same again")
            if random.random() < 0.2:
                raise ZeroDivisionError

    tasks = {f"t{at}": asyncio.create_task(act(f"t{at}")) for at in range(40)}
    while unfinished := [task for task in tasks.values() if not task.done()]:
        if random.random() < 0.1:
            random.choice(unfinished).cancel()
        await asyncio.wait(unfinished, timeout=0)
    await write(store, "afterwards")
    kept = await names(store)
    await store.close()

    for name, task in tasks.items():
        if task.cancelled():
            continue  # It may be kept, or not: nobody was told.
        assert (name in kept) == (task.exception() is None), name
    assert "afterwards" in kept
    # A unit is kept whole or not at all.
    assert {part.split(".")[0] for part in kept} <= kept


async def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StoreFault, match="No such file"):
        await SqliteStore.open(tmp_path / "missing" / "warnsvc.sqlite3")


async def test_a_file_that_is_no_database_is_a_fault_and_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)

    for _ in range(2):
        with pytest.raises(StoreFault, match="not a database"):
            await SqliteStore.open(path)

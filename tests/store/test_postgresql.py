"""What only the store on PostgreSQL promises: many processes, locks, and coming back."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import asyncpg
import pytest
from sqlalchemy import make_url

from tests.store.rows import LATER, NOW, parents, row
from warnsvc.store import table as t
from warnsvc.store.open import open_reading, open_store, parse_url, postgresql_dsn
from warnsvc.store.port import IntegrityFault, RowBusy, Store, StoreBusy, StoreFault, Unit
from warnsvc.store.postgresql import CONNECTIONS, PostgresqlStore
from warnsvc.store.postgresql_cluster import Cluster
from warnsvc.store.postgresql_connection import SILENCE_SECONDS, StandbyFault, notice_partitions

CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT id FROM attempt WHERE state = 'planned' AND due_at <= $1
        ORDER BY priority, due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED)
    UPDATE attempt SET state = 'sending', lease_owner = $3, lease_until = $4
      FROM due WHERE attempt.id = due.id
    RETURNING attempt.id
"""


@pytest.fixture
def store_url(postgresql_url: str) -> str:
    """Run on PostgreSQL only."""
    return postgresql_url


@pytest.fixture
async def other(store_url: str) -> AsyncIterator[Store]:
    """A second process on the same database."""
    opened = await open_store(store_url)
    yield opened
    await opened.close()


async def claim(unit: Unit, owner: str, limit: int) -> set[int]:
    return {found["id"] for found in await unit.fetch(CLAIM, NOW, limit, owner, LATER)}


async def test_two_processes_claim_different_attempts(store: Store, other: Store) -> None:
    attempts = [row(t.AttemptRow, id=at, number=at) for at in range(1, 11)]
    async with store.unit() as unit:
        await unit.add(*parents(t.AttemptRow), *attempts)

    async def claim_elsewhere() -> set[int]:
        async with other.unit() as unit:
            return await claim(unit, "second", 100)

    async with store.unit() as unit:
        first = await claim(unit, "first", 6)
        # The first process has not committed: the second steps over what it holds.
        second = await asyncio.create_task(claim_elsewhere())

    assert len(first) == 6
    assert first | second == set(range(1, 11))
    assert not first & second


async def test_who_decides_about_a_bulletin_holds_it(store: Store, other: Store) -> None:
    async with store.unit() as unit:
        await unit.add(*parents(t.BulletinRow), row(t.BulletinRow))
    order: list[str] = []

    async def decide_elsewhere() -> None:
        async with other.unit() as unit:
            await unit.lock_bulletins([1])
            order.append("second")

    async with store.unit() as unit:
        await unit.lock_bulletins([1, 1])
        task = asyncio.create_task(decide_elsewhere())
        await waits_for_a_lock(unit)
        order.append("first")
    await task

    assert order == ["first", "second"]


async def waits_for_a_lock(unit: Unit) -> None:
    """Return when some other connection waits for a lock.

    Not from pg_stat_activity: what it says stays the same within one transaction.
    """
    while not await unit.fetch("SELECT 1 FROM pg_locks WHERE NOT granted"):
        pass  # Each look is a round trip, so the other task gets its turn.


async def test_a_lock_that_does_not_come_is_busy(
    store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warnsvc.store.postgresql_connection.LOCK_SECONDS", "0.01")
    impatient = await open_store(store_url)
    async with store.unit() as unit:
        await unit.add(*parents(t.BulletinRow), row(t.BulletinRow))

    async def decide(*, patient: bool) -> None:
        async with impatient.unit() as unit:
            await unit.lock_bulletins([1], patient=patient)

    async with store.unit() as unit:
        await unit.lock_bulletins([1])
        with pytest.raises(RowBusy):
            await asyncio.create_task(decide(patient=False))
        officer = asyncio.create_task(decide(patient=True))
        await waits_for_a_lock(unit)
    await officer
    await impatient.close()


async def test_a_commit_that_is_not_confirmed_is_waited_for_elsewhere(
    store: Store, other: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warnsvc.store.postgresql_commit.COMMIT_SECONDS", 0.01)
    blocker = await asyncpg.connect(store_url)
    await blocker.execute(SLOW_COMMIT)
    await blocker.execute("SELECT pg_advisory_lock(7)")

    async def write(name: str) -> None:
        async with store.unit() as unit:
            await unit.add(row(t.SettingRow, name=name))

    for n in range(CONNECTIONS // 2):
        with pytest.raises(StoreBusy, match="not confirmed in time"):
            await write(f"late {n}")
    with pytest.raises(StoreBusy, match="standby"):
        await write("refused")
    monkeypatch.undo()
    await blocker.close()  # The standby is back.

    async def written() -> list[str]:
        async with other.view() as unit:
            rows = await unit.fetch("SELECT name FROM setting WHERE name LIKE 'late%' ORDER BY 1")
            return [found["name"] for found in rows]

    while len(await written()) < CONNECTIONS // 2:
        pass  # Each look is a round trip.
    await until_taken(write)

    assert await written() == [f"late {n}" for n in range(CONNECTIONS // 2)]


SLOW_COMMIT = """
    CREATE FUNCTION wait_for_the_standby() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER wait_for_the_standby AFTER INSERT ON setting
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_for_the_standby()
"""
"""A COMMIT that hangs until somebody else lets it, as one does whose standby is gone."""


async def until_taken(write: Callable[[str], Awaitable[None]]) -> None:
    """Write as soon as the store takes it: its connections come back one after the other."""
    while True:
        try:
            return await write("taken again")
        except StoreBusy:
            await asyncio.sleep(0)


async def test_a_server_that_takes_no_writes_is_left_for_one_that_does(
    store: Store, store_url: str
) -> None:
    name = make_url(store_url).database
    administrator = await asyncpg.connect(store_url)
    # The nearest thing to a demoted primary that one server can be: its sessions cannot write.
    await administrator.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await administrator.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    async def write() -> None:
        async with store.unit() as unit:
            await unit.add(row(t.SettingRow))

    for _ in range(3):  # Connections that were cut fail first; then nobody lets us in.
        with pytest.raises(StoreFault) as refused:
            await write()
    assert "read-write" in str(refused.value).replace("_", "-")
    await administrator.execute("SET default_transaction_read_only = off")
    await administrator.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    await administrator.close()
    await write()


async def test_a_session_that_cannot_write_any_more_is_not_used_again(store: Store) -> None:
    async def write() -> None:
        async with store.unit() as unit:
            await unit.add(row(t.SettingRow))

    async with store.unit() as unit:
        # As on a server that stayed up while it was made a standby.
        await unit.execute("SET default_transaction_read_only = on")
    with pytest.raises(StandbyFault):
        await write()

    await write()


async def test_a_pool_that_is_used_up_is_busy(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = await PostgresqlStore.open(postgresql_dsn(parse_url(store_url)), connections=1)

    async def write() -> None:
        async with small.unit():
            pass

    await write()  # It is connected now.
    monkeypatch.setattr("warnsvc.store.postgresql.ACQUIRE_SECONDS", 0.01)
    async with small.unit():
        with pytest.raises(StoreBusy):
            await asyncio.create_task(write())
    await write()
    await small.close()


async def cut_connections(store_url: str) -> None:
    """End every connection of this database but our own, as a restart of the server does."""
    connection = await asyncpg.connect(store_url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


async def test_a_unit_whose_connection_is_cut_fails_and_the_next_one_works(
    store: Store, store_url: str
) -> None:
    heard: list[str] = []
    with pytest.raises(StoreFault):  # noqa: PT012
        async with store.unit() as unit:
            unit.after_commit(lambda: heard.append("lost"))
            await unit.add(row(t.SettingRow))
            await cut_connections(store_url)
            await unit.add(row(t.SettingRow, name="more"))

    async with store.unit() as unit:
        unit.after_commit(lambda: heard.append("kept"))
        await unit.add(row(t.SettingRow))

    assert heard == ["kept"]


async def test_a_connection_that_is_cut_while_it_is_given_back_takes_nobody_with_it(
    store: PostgresqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def release(_pool: object, _connection: object) -> None:
        raise asyncpg.InternalClientError("release() called on a free connection holder")

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Pool, "release", release)
        with pytest.raises(ZeroDivisionError):
            async with store.unit():
                raise ZeroDivisionError


async def test_a_commit_whose_connection_is_cut_is_not_taken_for_done(
    store: Store, store_url: str
) -> None:
    heard: list[str] = []
    with pytest.raises(StoreFault):  # noqa: PT012
        async with store.unit() as unit:
            unit.after_commit(lambda: heard.append("lost"))
            await unit.add(row(t.SettingRow))
            await cut_connections(store_url)

    assert heard == []


async def test_listeners_are_woken_when_notices_may_have_been_missed(
    store: Store, other: Store, store_url: str
) -> None:
    async with store.listen() as topics:
        await cut_connections(store_url)
        assert await anext(topics) == "reconnected"

        while True:  # The other process comes back in its own time; until then its wakes are lost.
            await other.wake("engine")
            if await anext_within(topics) == "engine":
                break

    async with store.unit() as unit:
        assert list(await unit.new_ids("alarm", 1)) == [1]


async def anext_within(topics: AsyncIterator[str]) -> str | None:
    try:
        async with asyncio.timeout(0.05):
            return await anext(topics)
    except TimeoutError:
        return None


async def test_a_server_that_is_not_there_is_a_fault(tmp_path: object) -> None:
    with pytest.raises(StoreFault):
        await open_store(f"postgresql://warnsvc@/warnsvc?host={tmp_path}")


async def test_a_server_that_is_busy_is_not_taken_for_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def connect(*_arguments: object, **_options: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("warnsvc.store.postgresql.Cluster", partial(Cluster, connect=connect))

    with pytest.raises(StoreBusy):
        await open_reading("postgresql://warnsvc@127.0.0.1:9/warnsvc")


async def test_a_deadlock_is_busy_and_leaves_one_winner(store: Store) -> None:
    async with store.unit() as unit:
        await unit.add(row(t.SettingRow, name="a"), row(t.SettingRow, name="b"))
    touched = asyncio.Barrier(2)

    async def touch(first: str, second: str) -> None:
        async with store.unit() as unit:
            await unit.execute("UPDATE setting SET value = '1' WHERE name = $1", first)
            await touched.wait()
            await unit.execute("UPDATE setting SET value = '2' WHERE name = $1", second)

    results = await asyncio.gather(touch("a", "b"), touch("b", "a"), return_exceptions=True)

    assert sorted(str(type(result).__name__) for result in results) == ["NoneType", "RowBusy"]


async def test_a_fault_in_a_copy_names_its_constraint(store: Store) -> None:
    with pytest.raises(IntegrityFault) as caught:
        async with store.unit() as unit:
            await unit.insert_rows("setting", ["name", "value"], [("a", "1"), ("a", "2")])

    assert caught.value.constraint == "setting_pkey"


async def test_a_partition_is_noticed_by_the_kernel() -> None:
    class Connection:
        def __init__(self, transport: asyncio.Transport) -> None:
            self._transport = transport

    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port)

    await notice_partitions(Connection(writer.transport))

    found = writer.get_extra_info("socket")
    silence = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    writer.close()
    server.close()
    assert silence == SILENCE_SECONDS * 1000

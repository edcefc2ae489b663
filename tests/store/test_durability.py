"""A service does not go live on a database that may lose what it confirms."""

import sqlite3
from pathlib import Path

import pytest

from warnsvc.store.durability import WeakDatabase, require_durable
from warnsvc.store.port import Store, StoreFault
from warnsvc.store.sqlite_connection import connect_writer


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_server_without_fsync_is_refused_by_name(store: Store) -> None:
    async with store.view() as unit:
        row = await unit.fetch_one("SHOW fsync")
    if row is not None and row[0] == "on":
        await require_durable(store)
        pytest.skip("this server keeps what it confirms")

    with pytest.raises(WeakDatabase, match="fsync=off, full_page_writes=off"):
        await require_durable(store)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_sqlite_is_durable_by_how_it_is_opened(store: Store, tmp_path: Path) -> None:
    await require_durable(store)

    writer = connect_writer(tmp_path / "durable.sqlite3")
    asked = ("journal_mode", "synchronous")
    found = [writer.execute(f"PRAGMA {name}").fetchone()[0] for name in asked]
    writer.close()
    assert found == ["wal", 2]


def test_a_file_where_sqlite_cannot_keep_a_wal_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a network's file system: SQLite quietly stays with the journal that it has.
    path = tmp_path / "network.sqlite3"
    monkeypatch.setattr("warnsvc.store.sqlite_connection._WRITER", ("synchronous=FULL",))

    with pytest.raises(StoreFault, match="local disk"):
        connect_writer(path)
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("delete",)

"""A unit of work that stands still: `python -m tests.faults.holder lock|sqlite SECONDS`.

    lock     holds every bulletin of the database that the settings name, as a decider does
    sqlite   another program in SQLite's file: holds BEGIN IMMEDIATE for so long

It prints `held` when it has what it wants, and `freed` when it has let go.
"""

import asyncio
import sqlite3
import sys
import time

from warnsvc.settings import load_settings
from warnsvc.store.open import open_store, parse_url, sqlite_path


async def _lock(url: str, seconds: float) -> None:
    store = await open_store(url)
    async with store.unit() as unit:
        rows = await unit.fetch("SELECT id FROM bulletin ORDER BY id")
        await unit.lock_bulletins([row["id"] for row in rows])
        print("held", flush=True)
        await asyncio.sleep(seconds)


def _sqlite(url: str, seconds: float) -> None:
    connection = sqlite3.connect(sqlite_path(parse_url(url)), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    print("held", flush=True)
    time.sleep(seconds)
    connection.execute("ROLLBACK")
    print("freed", flush=True)


def main() -> None:
    """Hold what the first argument says."""
    url = load_settings().database_address
    seconds = float(sys.argv[2])
    if sys.argv[1] == "lock":
        asyncio.run(_lock(url, seconds))
    else:
        _sqlite(url, seconds)


if __name__ == "__main__":
    main()

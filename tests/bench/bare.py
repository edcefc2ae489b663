"""The same rows, barely: what a database takes when nothing but inserting is asked of it.

Rows of tables that are full are copied into tables of the same columns, with the indexes that were
asked for and no checks or foreign keys, by `executemany` or COPY in one transaction.
"""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """How many rows, in how many seconds."""

    rows: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.rows / self.seconds


async def bare_insert(url: str, tables: Sequence[str], *, indexes: Sequence[str] = ()) -> Bare:
    """Insert a copy of every row of these tables. `indexes`: column lists on the last copy."""
    if url.startswith("sqlite:"):
        path = url.removeprefix("sqlite:///")
        return await asyncio.to_thread(_sqlite, path, tables, indexes)
    return await _postgresql(url, tables, indexes)


def _index(table: str, number: int, columns: str) -> str:
    return f"CREATE INDEX ix_bare_{table}_{number} ON bare_{table} {columns}"


def _sqlite(path: str, tables: Sequence[str], indexes: Sequence[str]) -> Bare:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        rows = {t: connection.execute(f"SELECT * FROM {t}").fetchall() for t in tables}
        for table in tables:
            connection.execute(f"CREATE TABLE bare_{table} AS SELECT * FROM {table} WHERE 0")
        for number, columns in enumerate(indexes):
            connection.execute(_index(tables[-1], number, columns))
        begun = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        for table in tables:
            marks = ", ".join("?" * len(rows[table][0]))
            connection.executemany(f"INSERT INTO bare_{table} VALUES ({marks})", rows[table])
        connection.execute("COMMIT")
        return Bare(rows=sum(map(len, rows.values())), seconds=time.perf_counter() - begun)
    finally:
        connection.close()


async def _postgresql(url: str, tables: Sequence[str], indexes: Sequence[str]) -> Bare:
    connection = await asyncpg.connect(url)
    try:
        rows = {t: await connection.fetch(f"SELECT * FROM {t}") for t in tables}
        for table in tables:
            await connection.execute(
                f"CREATE TABLE bare_{table} AS SELECT * FROM {table} WHERE false"
            )
        for number, columns in enumerate(indexes):
            await connection.execute(_index(tables[-1], number, columns))
        begun = time.perf_counter()
        async with connection.transaction():
            for table in tables:
                await connection.copy_records_to_table(f"bare_{table}", records=rows[table])
        return Bare(rows=sum(map(len, rows.values())), seconds=time.perf_counter() - begun)
    finally:
        await connection.close()

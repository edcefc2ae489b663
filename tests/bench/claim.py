"""Attempts claimed a second ÷ bare rows inserted a second, in one run.

The same 29,476 attempts of a region-wide release: first their rows as they are, by bare
`executemany` or COPY into a table of the same columns with two indexes; then the claims, each a
committed unit of the batch that the outbox takes.
"""

import asyncio
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from tests.bench import house as houses
from tests.bench.report import Report
from warnsvc.app import House
from warnsvc.service import release
from warnsvc.store.attempt import claim

_COPY = "bench_attempt"
_INDEXES = (
    f"CREATE INDEX ix_{_COPY}_callout ON {_COPY} (callout_id)",
    f"CREATE INDEX ix_{_COPY}_planned ON {_COPY} (priority, due_at, id) WHERE state = 'planned'",
)


async def measure(report: Report) -> None:
    """Measure both databases."""
    for kind in houses.DATABASES:
        with houses.database(kind) as url:
            async with houses.house(url, "http://127.0.0.1:9") as opened:
                await _release(opened)
                bare = await _bare(url)
                claimed = await _claim(opened)
        report.add(
            f"claim_{kind}",
            claimed / bare,
            "ratio",
            f"{claimed:,.0f} claims/s ÷ {bare:,.0f} bare rows/s",
        )


async def _release(opened: House) -> None:
    found = houses.regions()
    _, author, signer = await houses.populate(opened, found)
    bulletin_id = await houses.signed_bulletin(opened, found[0].code, author, signer)
    phrase = (await release.preview(opened.ctx, bulletin_id)).phrase
    await release.release(opened.ctx, officer=author, bulletin_id=bulletin_id, typed=phrase)


async def _bare(url: str) -> float:
    if url.startswith("sqlite:"):
        return await asyncio.to_thread(_bare_sqlite, url.removeprefix("sqlite:///"))
    return await _bare_postgresql(url)


def _bare_sqlite(path: str) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        rows: list[Any] = connection.execute("SELECT * FROM attempt ORDER BY id").fetchall()
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"CREATE TABLE {_COPY} AS SELECT * FROM attempt WHERE 0")
        for statement in _INDEXES:
            connection.execute(statement)
        marks = ", ".join("?" * len(rows[0]))
        begun = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO {_COPY} VALUES ({marks})", rows)
        connection.execute("COMMIT")
        return len(rows) / (time.perf_counter() - begun)
    finally:
        connection.close()


async def _bare_postgresql(url: str) -> float:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT * FROM attempt ORDER BY id")
        await connection.execute(f"CREATE TABLE {_COPY} AS SELECT * FROM attempt WHERE false")
        for statement in _INDEXES:
            await connection.execute(statement)
        begun = time.perf_counter()
        await connection.copy_records_to_table(_COPY, records=rows)
        return len(rows) / (time.perf_counter() - begun)
    finally:
        await connection.close()


async def _claim(opened: House) -> float:
    ctx = opened.ctx
    now = datetime.now(UTC) + timedelta(seconds=1)
    claimed = 0
    begun = time.perf_counter()
    for channel in ("sms", "voice"):
        while True:
            async with ctx.store.unit() as unit:
                taken = await claim(
                    unit,
                    owner="bench",
                    now=now,
                    lease_until=now + timedelta(seconds=30),
                    limit=ctx.settings.claim_batch,
                    channel=channel,
                )
            if not taken:
                break
            claimed += len(taken)
    return claimed / (time.perf_counter() - begun)

"""A release to the whole of Xinjiang: 44,000 people, one transaction."""

import time

from tests.bench import house as houses
from tests.bench.report import Report
from warnsvc.service import release


async def measure(report: Report) -> None:
    """Measure both databases; the plain name is SQLite's."""
    for kind in houses.DATABASES:
        with houses.database(kind) as url:
            async with houses.house(url, "http://127.0.0.1:9") as opened:
                found = houses.regions()
                people, author, signer = await houses.populate(opened, found)
                bulletin_id = await houses.signed_bulletin(opened, found[0].code, author, signer)
                phrase = (await release.preview(opened.ctx, bulletin_id)).phrase
                begun = time.perf_counter()
                result = await release.release(
                    opened.ctx, officer=author, bulletin_id=bulletin_id, typed=phrase
                )
                seconds = time.perf_counter() - begun
                rows = await _rows(opened)
        suffix = "" if kind == "sqlite" else f"_{kind}"
        report.add(
            f"release_44k{suffix}_s",
            seconds,
            "s",
            f"{kind}: {people:,} people, {result.escalations:,} regions, {rows:,} rows",
        )
        report.add(f"release_rows_{kind}", rows / seconds, "rows/s", "one transaction")


async def _rows(opened: houses.House) -> int:
    total = 0
    async with opened.ctx.store.view() as unit:
        for table in (
            "escalation",
            "callout",
            "member",
            "attempt",
            "message",
            "ledger_line",
            "ledger_pending",
        ):
            row = await unit.fetch_one(f"SELECT COUNT(*) AS n FROM {table}")
            assert row is not None
            total += int(row["n"])
    return total

"""A release to the whole of Xinjiang, 14,738 villages × 3 tiers, 44,000 people: one transaction.

Seconds from the call to the commit, the same rows inserted barely in the same run, the memory that
it takes, and the preview that the signer reads before it, planned and kept.
"""

import time
from pathlib import Path

from tests.bench import house as houses
from tests.bench.bare import bare_insert
from tests.bench.report import Report
from warnsvc.app import House
from warnsvc.service import release

TABLES = ("escalation", "callout", "member", "attempt", "message", "ledger_line", "ledger_pending")


async def measure(report: Report) -> None:
    """Measure both databases; the plain name is SQLite's."""
    for kind in houses.DATABASES:
        with houses.database(kind) as url:
            async with houses.house(url, "http://127.0.0.1:9") as opened:
                await _one(report, opened, kind, url)


async def _one(report: Report, opened: House, kind: str, url: str) -> None:
    found = houses.regions()
    people, author, signer = await houses.populate(opened, found)
    bulletin_id = await houses.signed_bulletin(opened, found[0].code, author, signer)
    begun = time.perf_counter()
    phrase = (await release.preview(opened.ctx, bulletin_id)).phrase
    planned = time.perf_counter()
    await release.preview(opened.ctx, bulletin_id)
    kept = time.perf_counter()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    cpu = time.process_time()
    began = time.perf_counter()
    result = await release.release(
        opened.ctx, officer=author, bulletin_id=bulletin_id, typed=phrase
    )
    seconds = time.perf_counter() - began
    cpu = time.process_time() - cpu
    peak = _peak_mb()
    bare = await bare_insert(url, TABLES)
    suffix = "" if kind == "sqlite" else f"_{kind}"
    report.add(
        f"release_44k{suffix}_s",
        seconds,
        "s",
        f"{kind}: {people:,} people, {result.escalations:,} regions, {bare.rows:,} rows,"
        f" {cpu:.2f} s CPU of this process",
    )
    report.add(f"release_rows_{kind}", bare.rows / seconds, "rows/s", "one transaction")
    report.add(
        f"release_{kind}", bare.seconds / seconds, "ratio", "bare inserts of its rows ÷ release"
    )
    report.add(f"peak_mb_release_44k_{kind}", peak, "MB", "the process during it, VmHWM")
    report.add(f"preview_44k_{kind}_s", planned - begun, "s", "planned anew")
    report.add(f"preview_44k_kept_{kind}_s", kept - planned, "s", "seen again within a minute")


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0

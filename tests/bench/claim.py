"""Attempts claimed a second ÷ bare rows inserted a second, in one run.

The same 29,476 attempts of a region-wide release: first their rows as they are, by bare
`executemany` or COPY into a table of the same columns with two indexes; then the claims, each a
committed unit of the batch that the outbox takes.
"""

import time
from datetime import UTC, datetime, timedelta

from tests.bench import house as houses
from tests.bench.bare import bare_insert
from tests.bench.report import Report
from warnsvc.app import House
from warnsvc.service import release
from warnsvc.store.attempt import claim

_INDEXES = ("(callout_id)", "(priority, due_at, id) WHERE state = 'planned'")


async def measure(report: Report) -> None:
    """Measure both databases."""
    for kind in houses.DATABASES:
        with houses.database(kind) as url:
            async with houses.house(url, "http://127.0.0.1:9") as opened:
                await _release(opened)
                bare = (await bare_insert(url, ("attempt",), indexes=_INDEXES)).per_second
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

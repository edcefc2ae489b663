"""Messages a second through the whole durable pipeline ÷ a bare aiohttp client, in one run.

Both post the same forms to the same carrier process, 100 at a time, receipts off. The bare client
sends bytes that were made beforehand and remembers nothing; ours claims from the database, builds
each form, sends, and writes every outcome and its ledger lines back. The baseline is measured
before and after each database, because the machine is shared.
"""

import asyncio
import time
from datetime import timedelta
from statistics import mean

import aiohttp

from channels.base import SendRequest
from channels.simulated import SimulatedSms
from contacts.region import Region, RegionLevel
from tests.bench import house as houses
from tests.bench.report import Report
from warnsvc.app import House
from warnsvc.outbox import Outbox
from warnsvc.service import release
from warnsvc.service.collector import leave_alone_what_stays

MESSAGES = 12_000
CONNECTIONS = 100


async def measure(report: Report) -> None:
    """Measure both databases."""
    for kind in houses.DATABASES:
        with houses.database(kind) as url:
            async with (
                houses.carrier("--no-receipts", "--no-handsets") as carrier_url,
                houses.house(url, carrier_url) as opened,
            ):
                before = await _bare(opened)
                ours = await _ours(opened)
                after = await _bare(opened)
        bare = mean((before, after))
        report.add(
            f"dispatch_{kind}",
            ours / bare,
            "ratio",
            f"{ours:,.0f} durable sends/s ÷ {bare:,.0f}/s bare aiohttp client",
        )


async def _bare(opened: House) -> float:
    channel = opened.by_kind["sms"]
    assert isinstance(channel, SimulatedSms)
    valid_until = opened.ctx.clock.now() + timedelta(hours=1)
    base = opened.ctx.settings.public_url
    forms = []
    for n in range(MESSAGES):
        token = opened.ctx.token("attempt", n)
        request = SendRequest(
            token=token,
            to=f"+861990{n:07d}",
            text=houses.TEXT,
            language="zh",
            valid_until=valid_until,
            callback_url=f"{base}/callbacks/sim-sms/{token}",
        )
        forms.append(channel._form(request))
    forms.reverse()
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=channel._headers
    ) as session:

        async def client() -> None:
            while forms:
                async with session.post(channel._url, data=forms.pop()) as answer:
                    assert answer.status == 201
                    await answer.read()

        begun = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
        return MESSAGES / (time.perf_counter() - begun)


async def _ours(opened: House) -> float:
    """Release to so many that one person each gets a text; time until every outcome is durable."""
    found = _villages(MESSAGES)
    _, author, signer = await houses.populate(opened, found)
    bulletin_id = await houses.signed_bulletin(opened, found[0].code, author, signer)
    preview = await release.preview(opened.ctx, bulletin_id)
    await release.release(opened.ctx, officer=author, bulletin_id=bulletin_id, typed=preview.phrase)
    leave_alone_what_stays()  # as the service does when it starts
    outbox = Outbox(opened.ctx, {"sms": opened.by_kind["sms"]}, owner="bench")
    begun = time.perf_counter()
    running = asyncio.create_task(outbox.run())
    while await _unsent(opened):
        await asyncio.sleep(0.1)
    seconds = time.perf_counter() - begun
    assert await _accepted(opened) == MESSAGES
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return MESSAGES / seconds


async def _unsent(opened: House) -> bool:
    async with opened.ctx.store.view() as unit:
        row = await unit.fetch_one(
            "SELECT 1 AS one FROM attempt WHERE channel = 'sms'"
            " AND state IN ('planned','sending') LIMIT 1"
        )
    return row is not None


async def _accepted(opened: House) -> int:
    async with opened.ctx.store.view() as unit:
        row = await unit.fetch_one(
            "SELECT COUNT(*) AS n FROM attempt WHERE state = 'accepted' AND channel = 'sms'"
        )
    assert row is not None
    return int(row["n"])


def _villages(count: int) -> list[Region]:
    county = Region(
        code="990100000000", parent_code=None, level=RegionLevel.COUNTY, name="量测县"
    )
    return [
        county,
        *(
            Region(
                code=f"9901{n:08d}",
                parent_code=county.code,
                level=RegionLevel.VILLAGE,
                name=f"村{n}",
            )
            for n in range(1, count + 1)
        ),
    ]

"""Messages a second through a real Kannel: ours, durable, ÷ a bare aiohttp client, in one run.

    python -m tests.bench.kannel [--database postgresql]    needs Debian's kannel

Both hand 12,000 texts to the same smsbox, 100 at a time, without receipts wanted. The bare client
asks for addresses that were made beforehand and remembers nothing; ours claims from the database,
builds each request, sends, reads Kannel's sentence, and writes every outcome and its ledger lines
back. The baseline is measured before and after, because the machine is shared. Both databases sync
each commit. Writes build/carriers.json.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from statistics import mean

import aiohttp

from channels.base import SendRequest
from channels.gateway import HttpGateway
from channels.gateway_request import build_send
from tests.bench import house as houses
from tests.bench.dispatch import CONNECTIONS, MESSAGES, _ours
from tests.carriers.kannel.house import carrier, write_figures
from tests.carriers.kannel.kannel import Kannel, open_kannel, why_not
from warnsvc.app import House, open_house
from warnsvc.settings import load_settings
from warnsvc.store.migrate import upgrade

ROUNDS = 3


async def measure(database: str) -> None:
    """Measure so many rounds on a database, and write the middle one."""
    ratios: list[tuple[float, float, float]] = []
    for _ in range(ROUNDS):
        with (
            tempfile.TemporaryDirectory(prefix="warnsvc-kannel-bench-") as folder,
            houses.database(database) as url,
        ):
            async with _opened(Path(folder), url) as (opened, kannel):
                before = await _bare(opened)
                ours = await _ours(opened)
                after = await _bare(opened)
                assert len(kannel.record()) >= MESSAGES, "Kannel took less than was handed over"
        bare = mean((before, after))
        ratios.append((ours / bare, ours, bare))
        print(f"{ours:,.0f}/s durable ÷ {bare:,.0f}/s bare = {ours / bare:.2f}", flush=True)
    ratio, ours, bare = sorted(ratios)[len(ratios) // 2]
    write_figures(
        f"kannel_rate_{database}",
        {
            "messages": MESSAGES,
            "ours_per_second": round(ours),
            "bare_per_second": round(bare),
            "ratio": round(ratio, 2),
            "rounds": [round(one, 2) for one, _, _ in ratios],
        },
    )


@asynccontextmanager
async def _opened(folder: Path, url: str) -> AsyncIterator[tuple[House, Kannel]]:
    """Open a house on an empty database whose SMS go through a Kannel with the fake line."""
    async with open_kannel(folder, "http://127.0.0.1:1/unused") as kannel:
        await kannel.start()
        await upgrade(url)
        settings = load_settings(
            database_url=url,
            demo=True,
            port=houses.free_port(),
            data_dir=folder,
            install_name="县应急局",
            secret_key="k" * 40,
            carriers=[_without_receipts(kannel, folder)],
        )
        async with open_house(settings) as opened:
            yield opened, kannel


def _without_receipts(kannel: Kannel, folder: Path) -> dict[str, object]:
    """Return the carrier with a profile that wants no receipts: they are not what is measured."""
    shipped = Path(__file__).parents[2] / "channels" / "gateway_profiles" / "kannel.toml"
    profile = folder / "quiet.toml"
    profile.write_text(shipped.read_text().replace('dlr-mask = "31"', 'dlr-mask = "0"'))
    table = carrier(kannel)
    params = {**table["params"], "profile": str(profile), "per_second": 100_000.0}
    return {**table, "params": params}


async def _bare(opened: House) -> float:
    channel = opened.channels["sms-kannel"]
    assert isinstance(channel, HttpGateway)
    now = opened.ctx.clock.now()
    base = opened.ctx.settings.public_url
    urls = []
    for n in range(MESSAGES):
        token = opened.ctx.token("attempt", n)
        request = SendRequest(
            token=token,
            to=f"+861990{n:07d}",
            text=houses.TEXT,
            language="zh",
            valid_until=now + timedelta(hours=1),
            callback_url=f"{base}/callbacks/sms-kannel/{token}",
        )
        urls.append(build_send(channel._profile, channel._account, request, now, keyed=True).url)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def client() -> None:
            while urls:
                async with session.get(urls.pop()) as answer:
                    assert answer.status == 202
                    await answer.read()

        begun = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
        return MESSAGES / (time.perf_counter() - begun)


def main() -> None:
    """Measure on the database that is named."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kannel", description=__doc__)
    parser.add_argument("--database", choices=houses.DATABASES, default="sqlite")
    given = parser.parse_args()
    if reason := why_not():
        raise SystemExit(reason)
    asyncio.run(measure(given.database))


if __name__ == "__main__":
    main()

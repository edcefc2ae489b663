"""What sharing requests is worth: texts a second to a gateway that answers after 50 ms, in one run.

    python -m tests.bench.batch

The gateway is a stand-in for a MAS in a process of its own. Handed over 100 at a time: by a bare
aiohttp client, one text a request; by ours, durable, one text a request (`batch_max = 1`); by ours
as the profile has it, up to a hundred numbers a request. Writes build/carriers.json.
"""

import asyncio
import multiprocessing
import tempfile
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from json import loads
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.bench import house as houses
from tests.bench.dispatch import CONNECTIONS, MESSAGES, _ours
from tests.carriers.kannel.house import write_figures
from warnsvc.app import House, open_house
from warnsvc.settings import load_settings
from warnsvc.store.migrate import upgrade

ANSWER_SECONDS = 0.05
"""A gateway at the other end of a province."""
SECRET = "a-word-for-the-stand-in"


async def measure() -> None:
    """Measure all three, the baseline before and after."""
    with _gateway() as url:
        before = await _bare(url)
        singly = await _durable(url, batch_max=1)
        together = await _durable(url, batch_max=0)
        bare = (before + await _bare(url)) / 2
        requests = await _requests(url)
    print(f"bare, singly      {bare:8,.0f}/s")
    print(f"durable, singly   {singly:8,.0f}/s   {singly / bare:.2f} of bare")
    print(f"durable, together {together:8,.0f}/s   {together / bare:.2f} of bare")
    print(f"{requests[100]:,} of {sum(requests.values()):,} requests held a hundred numbers")
    write_figures(
        "batch_rate",
        {
            "messages": MESSAGES,
            "bare_per_second": round(bare),
            "singly_ratio": round(singly / bare, 2),
            "together_ratio": round(together / bare, 2),
        },
    )


async def _durable(url: str, *, batch_max: int) -> float:
    with (
        tempfile.TemporaryDirectory(prefix="warnsvc-batch-bench-") as folder,
        houses.database("sqlite") as database,
    ):
        async with _opened(Path(folder), database, url, batch_max) as opened:
            return await _ours(opened)


@asynccontextmanager
async def _opened(
    folder: Path, database: str, url: str, batch_max: int
) -> AsyncIterator[House]:
    await upgrade(database)
    secret = folder / "mas.secret"
    secret.write_text(SECRET)
    params = {
        "profile": "mas",
        "base_url": url,
        "user": "county",
        "values": "ec_name=县应急局; sign=1",
        "countries": "*",
        "per_second": 100_000.0,
        "batch_max": batch_max,
    }
    carrier = {
        "name": "sms-mas",
        "kind": "sms",
        "adapter": "http-gateway",
        "params": params,
        "secret_files": {"secret": str(secret)},
    }
    settings = load_settings(
        database_url=database,
        demo=True,
        port=houses.free_port(),
        data_dir=folder,
        install_name="县应急局",
        secret_key="k" * 40,
        carriers=[carrier],
    )
    async with open_house(settings) as opened:
        yield opened


async def _bare(url: str) -> float:
    bodies = [b"e30="] * MESSAGES
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def client() -> None:
            while bodies:
                async with session.post(f"{url}/bare", data=bodies.pop()) as answer:
                    assert answer.status == 200
                    await answer.read()

        begun = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
        return MESSAGES / (time.perf_counter() - begun)


async def _requests(url: str) -> dict[int, int]:
    """Return how many requests of ours held how many numbers."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/sizes") as answer:
        sizes = {int(size): many for size, many in (await answer.json()).items()}
    return {100: 0, **sizes}


# The stand-in -------------------------------------------------------------------------------------


@contextmanager
def _gateway() -> Iterator[str]:
    """Run the stand-in in a process of its own; yields its address."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs,), daemon=True
    )
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection) -> None:
    asyncio.run(_stand_in(pipe))


async def _stand_in(pipe: Connection) -> None:
    numbers, sizes = count(1), dict[int, int]()

    async def take(request: web.Request) -> web.Response:
        body = loads(b64decode(await request.read()))
        if "mobiles" in body:
            size = body["mobiles"].count(",") + 1
            sizes[size] = sizes.get(size, 0) + 1
        await asyncio.sleep(ANSWER_SECONDS)
        return web.json_response(
            {"msgGroup": f"g{next(numbers)}", "rspcod": "success", "success": True}
        )

    async def told(_: web.Request) -> web.Response:
        return web.json_response(sizes)

    app = web.Application()
    app.add_routes([web.get("/sizes", told), web.post("/{path:.*}", take)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    pipe.send(runner.addresses[0][1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(measure())

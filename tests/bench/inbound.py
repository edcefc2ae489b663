"""Signed answers a second that are on disk before their 2xx ÷ those that are only parsed, in one run.

    bare      aiohttp reads the form and answers 204: no signature is checked, nothing is kept
    parse     the same aiohttp, and the adapter checks the signature and reads the answer
    durable   the service: routes, headers, faults, deadlines, the adapter, one commit for many, 204

`inbound_*` is durable ÷ bare, as in the first edition; `inbound_signed_*` is durable ÷ parse: what it
costs that an answer is on disk. The generator is a process of its own that writes prepared requests down pipelined connections
and counts the answers. The three take turns, and the median of the turns counts, because other work
on the machine comes and goes. Microseconds are of this process alone, user and system, all threads.
Applying the answers to callouts and villages is measured apart.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from aiohttp import web

from channels import signature
from channels.base import CallbackRequest
from tests.bench import house as houses
from tests.bench.report import Report
from warnsvc.app import House, build_web
from warnsvc.service.inbound import apply_inbound
from warnsvc.web.callback import INTAKE
from warnsvc.web.deadline import Doorkeeper, Runner
from warnsvc.worker.pulse import Pulse

TURNS = 3
ANSWERS = 4_000
"""In one turn, of each kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How fast one server was, once."""

    rate: float
    cpu_us: float


async def measure(report: Report) -> None:
    """Measure both databases."""
    for kind in houses.DATABASES:
        with houses.database(kind) as url:
            port = houses.free_port()
            async with houses.house(url, "http://127.0.0.1:9", port=port) as opened:
                bare, parse, durable = [], [], []
                for turn in range(TURNS):
                    requests = _requests(opened, port, turn)
                    bare.append(await _served(_bare(), port, requests))
                    parse.append(await _served(_parse_only(opened), port, requests))
                    durable.append(await _served(build_web(opened, Pulse()), port, requests))
                stored = await _count(opened)
                assert stored == TURNS * ANSWERS, f"{stored} of {TURNS * ANSWERS} were stored"
                begun = time.perf_counter()
                while await apply_inbound(opened.ctx):
                    pass
                applied = stored / (time.perf_counter() - begun)
        _add(report, f"inbound_{kind}", durable, bare, "form read, no signature")
        _add(report, f"inbound_signed_{kind}", durable, parse, "signature checked and parsed")
        report.add(
            f"inbound_unmatched_applied_{kind}",
            applied,
            "answers/s",
            "looked up and set aside, nobody being called",
        )


def _add(
    report: Report, name: str, above: Sequence[Turn], below: Sequence[Turn], what: str
) -> None:
    """Add the median of the turns' ratios, and say what each side took."""
    ratio = median(a.rate / b.rate for a, b in zip(above, below, strict=True))
    rates = [median(turn.rate for turn in turns) for turns in (above, below)]
    costs = [median(turn.cpu_us for turn in turns) for turns in (above, below)]
    report.add(
        name,
        ratio,
        "ratio",
        f"{rates[0]:,.0f} durable signed answers/s ÷ {rates[1]:,.0f}/s {what};"
        f" CPU {costs[0]:.0f} µs ÷ {costs[1]:.0f} µs each",
    )


def _bare() -> web.Application:
    async def read(request: web.Request) -> web.Response:
        await request.post()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/callbacks/sim-sms", read)
    return app


def _parse_only(opened: House) -> web.Application:
    """The adapter's own work, and nothing of ours around it."""
    channel = opened.channels["sim-sms"]
    base = opened.ctx.settings.public_url

    async def parse(request: web.Request) -> web.Response:
        callback = CallbackRequest(
            url=f"{base}{request.rel_url.raw_path_qs}",
            headers=request.headers,
            body=await request.read(),
            token="",
        )
        assert channel.parse_inbound(callback)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/callbacks/sim-sms", parse)
    return app


def _requests(opened: House, port: int, turn: int = 0) -> list[bytes]:
    url = f"{opened.ctx.settings.public_url}/callbacks/sim-sms"
    now = datetime.now(UTC)
    made = []
    for n in range(ANSWERS):
        form = {
            "Id": f"IN{turn}-{n}",
            "From": f"+861990{n:07d}",
            "To": "10690000",
            "Text": "收到",
            "Timestamp": now.isoformat(),
        }
        body = urlencode(form).encode()
        headers = signature.form_headers(houses.SECRET, url, list(form.items()), now)
        lines = [
            "POST /callbacks/sim-sms HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
            *(f"{k}: {v}" for k, v in headers.items()),
        ]
        made.append("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    return made


async def _served(app: web.Application, port: int, requests: list[bytes]) -> Turn:
    """Serve these requests; the service's own application sits behind its own doors."""
    runner = web.AppRunner(app, access_log=None)
    if INTAKE in app:
        runner = Runner(app, Doorkeeper())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "requests"
            path.write_bytes(b"\0\0\0".join(requests))
            begun = time.process_time()
            generator = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.bench.generator",
                str(port),
                str(path),
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await generator.communicate()
            cpu = time.process_time() - begun
        result = json.loads(output)
        assert result["good"] == len(requests), f"only {result['good']} answers were 2xx"
        return Turn(rate=len(requests) / float(result["seconds"]), cpu_us=cpu / len(requests) * 1e6)
    finally:
        await runner.cleanup()


async def _count(opened: House) -> int:
    async with opened.ctx.store.view() as unit:
        row = await unit.fetch_one("SELECT COUNT(*) AS n FROM inbound")
    assert row is not None
    return int(row["n"])

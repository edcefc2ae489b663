"""Signed answers a second that are on disk before their 2xx ÷ the parse-only rate, in one run.

The generator is a process of its own that writes prepared requests down pipelined connections and
counts the answers, so that it costs next to nothing. Parse-only is the same aiohttp server, reading
the same form and answering 204. Applying the answers to callouts and villages is measured apart.
"""

import asyncio
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web

from channels import signature
from tests.bench import house as houses
from tests.bench.report import Report
from warnsvc.app import House, build_web
from warnsvc.service.inbound import apply_inbound
from warnsvc.worker.pulse import Pulse

ANSWERS = 12_000


async def measure(report: Report) -> None:
    """Measure both databases."""
    for kind in houses.DATABASES:
        with houses.database(kind) as url:
            port = houses.free_port()
            async with houses.house(url, "http://127.0.0.1:9", port=port) as opened:
                parse = await _served(_parse_only(), port, _requests(opened, port))
                durable = await _served(build_web(opened, Pulse()), port, _requests(opened, port))
                stored = await _count(opened)
                assert stored == ANSWERS, f"{stored} of {ANSWERS} were stored"
                begun = time.perf_counter()
                while await apply_inbound(opened.ctx):
                    pass
                applied = ANSWERS / (time.perf_counter() - begun)
        report.add(
            f"inbound_{kind}",
            durable / parse,
            "ratio",
            f"{durable:,.0f} durable signed answers/s ÷ {parse:,.0f}/s parse-only",
        )
        report.add(
            f"inbound_unmatched_applied_{kind}",
            applied,
            "answers/s",
            "looked up and set aside, nobody being called",
        )


def _parse_only() -> web.Application:
    async def parse(request: web.Request) -> web.Response:
        await request.post()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/callbacks/sim-sms", parse)
    return app


def _requests(opened: House, port: int) -> list[bytes]:
    url = f"{opened.ctx.settings.public_url}/callbacks/sim-sms"
    now = datetime.now(UTC)
    made = []
    for n in range(ANSWERS):
        form = {
            "Id": f"IN{n}",
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


async def _served(app: web.Application, port: int, requests: list[bytes]) -> float:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "requests"
            path.write_bytes(b"\0\0\0".join(requests))
            generator = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.bench.generator",
                str(port),
                str(path),
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await generator.communicate()
        result = json.loads(output)
        assert result["good"] == len(requests), f"only {result['good']} answers were 2xx"
        return len(requests) / float(result["seconds"])
    finally:
        await runner.cleanup()


async def _count(opened: House) -> int:
    async with opened.ctx.store.view() as unit:
        row = await unit.fetch_one("SELECT COUNT(*) AS n FROM inbound")
    assert row is not None
    return int(row["n"])

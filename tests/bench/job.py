"""The main job on real input: a red bulletin to a real county, then to the whole of Xinjiang.

    python -m tests.bench.job [county|region] [--database sqlite|postgresql] [--window-seconds 60]

Real regions (16,271), three invented people for every village, the simulated carrier in a process of
its own, 80 % of the people answering by habit and the rest silent, refusing or unreachable. The
service runs as it is served: web, callbacks, engine. It ends when every escalation is answered, or
exhausted with a task, and fails when one is not. Windows are shortened and say so; everything else
is as released. Peak memory is the service's own process.
"""

import argparse
import asyncio
import logging
import resource
import time
from dataclasses import replace
from datetime import datetime

import structlog
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tests.bench import house as houses
from tests.bench.report import Report
from warnsvc.app import House, build_engine, build_web, start_web
from warnsvc.core.pack import shortened
from warnsvc.service import ledger, release
from warnsvc.worker.pulse import Pulse

COUNTY = "652301000000"
"""昌吉市: a county of mountains and desert edge, about the middle of the region in size."""
SECONDS_MAX = 1_800
ENDED = ("answered", "exhausted")


def main() -> None:
    """Run one job and write its figures to build/bench.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.job", description=__doc__)
    parser.add_argument("scope", nargs="?", choices=["county", "region"], default="county")
    parser.add_argument("--database", choices=houses.DATABASES, default="sqlite")
    parser.add_argument("--window-seconds", type=int, default=60)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    report = Report()
    asyncio.run(_run(report, given.scope, given.database, given.window_seconds))
    report.write()
    report.show()


async def _run(report: Report, scope: str, kind: str, window_seconds: int) -> None:
    port = houses.free_port()
    inbound = f"http://127.0.0.1:{port}/callbacks/sim-sms"
    with houses.database(kind) as url:
        async with (
            houses.carrier(
                "--crowd",
                "--crowd-share",
                "0.8",
                "--crowd-speed",
                str(300 / window_seconds),
                "--inbound-callback",
                inbound,
            ) as carrier_url,
            houses.house(url, carrier_url, port=port) as opened,
        ):
            opened = replace(
                opened, ctx=replace(opened.ctx, pack=shortened(opened.ctx.pack, window_seconds=window_seconds))
            )
            found = houses.regions(COUNTY if scope == "county" else "")
            people, author, signer = await houses.populate(opened, found)
            root = COUNTY if scope == "county" and houses.XINJIANG.exists() else found[0].code
            pulse = Pulse()
            runner = await start_web(build_web(opened, pulse), opened.ctx.settings)
            engine = asyncio.create_task(build_engine(opened, pulse).run())
            try:
                bulletin_id = await houses.signed_bulletin(opened, root, author, signer)
                phrase = (await release.preview(opened.ctx, bulletin_id)).phrase
                released_at = opened.ctx.clock.now()
                begun = time.perf_counter()
                result = await release.release(
                    opened.ctx, officer=author, bulletin_id=bulletin_id, typed=phrase
                )
                release_seconds = time.perf_counter() - begun
                await _until_ended(opened, result.escalations, engine)
                await _tell(report, opened, f"{scope}_{kind}", people, released_at, release_seconds)
            finally:
                engine.cancel()
                await asyncio.gather(engine, return_exceptions=True)
                await runner.cleanup()


async def _until_ended(opened: House, total: int, engine: "asyncio.Task[None]") -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("answered or exhausted", total=total)
        for _ in range(SECONDS_MAX):
            if engine.done():
                engine.result()
            states = await _states(opened)
            progress.update(
                bar, completed=sum(states.get(s, 0) for s in ENDED), description=str(states)
            )
            if sum(states.values()) == total and set(states) <= set(ENDED):
                return
            await asyncio.sleep(1)
    raise SystemExit(f"not ended after {SECONDS_MAX} s: {await _states(opened)}")


async def _states(opened: House) -> dict[str, int]:
    async with opened.ctx.store.view() as unit:
        rows = await unit.fetch("SELECT state, COUNT(*) AS n FROM escalation GROUP BY state")
    return {row["state"]: row["n"] for row in rows}


async def _tell(
    report: Report,
    opened: House,
    name: str,
    people: int,
    released_at: datetime,
    release_seconds: float,
) -> None:
    async with opened.ctx.store.view() as unit:

        async def one(sql: str) -> object:
            row = await unit.fetch_one(sql)
            assert row is not None
            return row[0]

        last_row = await unit.fetch_one(
            "SELECT MAX(sent_at) AS last_at FROM attempt WHERE purpose = 'call' AND tier = 1"
            " AND number = 1"
        )
        without_task = await one(
            "SELECT COUNT(*) FROM escalation e WHERE e.state = 'exhausted' AND NOT EXISTS"
            " (SELECT 1 FROM task t WHERE t.escalation_id = e.id)"
        )
        climbed = await one("SELECT COUNT(*) FROM escalation WHERE tier > 1")
        attempts = await one("SELECT COUNT(*) FROM attempt")
        answers = await one("SELECT COUNT(*) FROM answer")
        late = await one("SELECT COUNT(*) FROM answer WHERE late")
    assert last_row is not None
    assert without_task == 0, f"{without_task} exhausted escalations have no task"
    states = await _states(opened)
    verdict = await ledger.verify(opened.ctx)
    assert verdict.ok, f"the ledger does not verify: {verdict}"
    last = (last_row["last_at"] - released_at).total_seconds()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report.add(f"job_{name}_people", people, "people")
    report.add(f"job_{name}_release_s", release_seconds, "s")
    report.add(
        f"job_{name}_last_first_tier_send_s", last, "s", "from release to the last first call"
    )
    report.add(f"job_{name}_answered", states.get("answered", 0), "villages")
    report.add(f"job_{name}_climbed", float(str(climbed)), "villages", "went beyond tier 1")
    report.add(f"job_{name}_exhausted", states.get("exhausted", 0), "villages", "each with a task")
    report.add(f"job_{name}_attempts", float(str(attempts)), "calls and messages")
    report.add(f"job_{name}_answers", float(str(answers)), "answers", f"{late} late")
    report.add(f"job_{name}_ledger", verdict.size, "lines", "verified")
    report.add(f"job_{name}_peak_mb", peak, "MB", "service process, sampled at the end")


if __name__ == "__main__":
    main()

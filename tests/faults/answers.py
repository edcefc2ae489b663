"""Thousands of people answer while whoever takes their answers is killed, again and again.

    python -m tests.faults.answers --answers 50000 --kills 50 --database postgresql

Everybody who was called answers by text; the carrier (here: this process) repeats a callback until
it is answered 2xx, as carriers do, and writes down which were. Web and worker are killed at random
moments meanwhile. Lost: an answer that got its 2xx and is not in the database, or is never applied.
Figures go to build/faults.json.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.figures import Figures
from tests.faults.hand import REFUSED, callback, reply_form, send
from tests.faults.rig import START_SECONDS, Late, Rig, open_rig, roots

CALLERS = 32
"""Callbacks under way at once."""
PAUSE_SECONDS = 0.2
"""After a callback that was not taken."""
APPLY_SECONDS = 300.0


@dataclass(slots=True)
class Result:
    """What came of one run."""

    answers: int
    kills: Counter[str] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    """Ids that were answered 2xx."""
    statuses: Counter[int] = field(default_factory=Counter)
    lost: set[str] = field(default_factory=set)
    """Answered 2xx and nowhere to be found."""
    unapplied: int = 0
    applied: int = 0
    open_left: int = 0
    """Villages that are still called although somebody has answered."""
    wall: float = 0.0


async def answer_run(kind: str, *, answers: int, kills: int, seed: int) -> Result:
    """Do one run."""
    async with open_rig(kind) as rig:
        await rig.populate(answers)
        for root in roots(answers):
            await rig.release(root=root)
        names = ["web"] if kind == "sqlite" else ["web", "worker"]
        rig.start("web", "serve", *(["--no-engine"] if kind == "postgresql" else []))
        if kind == "postgresql":
            rig.start("worker", "worker")
        await rig.until(rig.all_sent, 600, "everybody is called", every=1.0)
        await rig.until_ready()
        return await _run(rig, names, answers=answers, kills=kills, seed=seed)


async def _run(rig: Rig, names: list[str], *, answers: int, kills: int, seed: int) -> Result:
    result = Result(answers=answers)
    rows = await rig.fetch("SELECT address FROM attempt WHERE purpose = 'call' ORDER BY id")
    waiting = [(f"A{n}", row["address"]) for n, row in enumerate(rows)]
    random.Random(seed).shuffle(waiting)
    began = time.monotonic()
    killing = asyncio.create_task(_kill(rig, names, result, kills=kills, seed=seed))
    await asyncio.gather(*(_answer(rig, waiting, result) for _ in range(CALLERS)))
    await killing
    result.wall = time.monotonic() - began
    for name in names:
        if not rig[name].running:
            rig[name].start()
    with suppress(Late):  # what is missing then is lost, and is said so
        await rig.until(lambda: _all_kept(rig, result), APPLY_SECONDS, every=1.0)
    await rig.until(lambda: _nothing_new(rig), APPLY_SECONDS, "all is applied", every=1.0)
    await _judge(rig, result)
    return result


async def _answer(rig: Rig, waiting: list[tuple[str, str]], result: Result) -> None:
    while waiting:
        ident, address = waiting.pop()
        while True:
            status = await send(rig, callback(rig, reply_form(ident, address)))
            result.statuses[status] += 1
            if 200 <= status < 300:
                result.accepted.add(ident)
                break
            await asyncio.sleep(PAUSE_SECONDS)


async def _kill(rig: Rig, names: list[str], result: Result, *, kills: int, seed: int) -> None:
    """Kill whenever another share of the answers is taken; start again after a moment."""
    chance = random.Random(seed)
    for number in range(1, kills + 1):
        share = result.answers * number / (kills + 1)
        while len(result.accepted) < share:
            await asyncio.sleep(0.02)
        await asyncio.sleep(chance.random() * 0.05)
        name = chance.choice(names)
        rig[name].restart()
        result.kills[name] += 1
        if name == "web":
            await rig.until_ready(seconds=2 * START_SECONDS)
        print(
            f"\r  kill {number}/{kills}, {len(result.accepted)} answers taken   ",
            end="" if number < kills else "\n",
            file=sys.stderr,
            flush=True,
        )


async def _all_kept(rig: Rig, result: Result) -> bool:
    """Whether what the database did not take at once has come out of the spool."""
    kept = await rig.one("SELECT COUNT(*) FROM inbound WHERE kind = 'answer'")
    return bool(kept >= len(result.accepted))


async def _nothing_new(rig: Rig) -> bool:
    return not await rig.one("SELECT COUNT(*) FROM inbound WHERE state = 'new'")


async def _judge(rig: Rig, result: Result) -> None:
    rows = await rig.fetch("SELECT dedupe_key, state FROM inbound WHERE kind = 'answer'")
    kept = {row["dedupe_key"].rpartition(":")[2]: row["state"] for row in rows}
    result.lost = result.accepted - kept.keys()
    result.unapplied = sum(state != "applied" for state in kept.values())
    result.applied = int(await rig.one("SELECT COUNT(*) FROM answer"))
    result.open_left = int(
        await rig.one("SELECT COUNT(*) FROM escalation WHERE state IN ('pending','calling')")
    )


def figures_of(result: Result, name: str, figures: Figures) -> None:
    """Keep the figures of a run."""
    figures.add(f"{name}_taken", len(result.accepted), "answers", "answered 2xx")
    figures.add(f"{name}_kills", sum(result.kills.values()), "kills -9", str(dict(result.kills)))
    figures.add(f"{name}_lost", len(result.lost), "answers", "answered 2xx and not on disk")
    figures.add(f"{name}_unapplied", result.unapplied, "answers", "on disk and never applied")
    figures.add(f"{name}_applied", result.applied, "answers", "each exactly once")
    figures.add(f"{name}_refused", result.statuses[REFUSED], "requests", "nobody there; sent again")
    figures.add(f"{name}_503", result.statuses[503], "requests", "sent again")
    figures.add(f"{name}_wall_s", result.wall, "s")


def main() -> None:
    """Run, print, write build/faults.json; exit code 1 when an answer was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.answers", description=__doc__)
    parser.add_argument("--answers", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    result = asyncio.run(
        answer_run(given.database, answers=given.answers, kills=given.kills, seed=given.seed)
    )
    figures = Figures(seed=given.seed)
    figures_of(result, f"answers_{given.database}", figures)
    figures.show()
    figures.write(given.out)
    if result.lost or result.unapplied or result.open_left:
        raise SystemExit(f"lost {sorted(result.lost)[:20]}, unapplied {result.unapplied}")


if __name__ == "__main__":
    main()

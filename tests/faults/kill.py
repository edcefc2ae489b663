"""kill -9 in the middle of a fan-out, at random, hundreds of times; then count what was lost.

    python -m tests.faults.kill --sends 100000 --kills 300 --database postgresql --workers 3

Real processes of the service send one text to everybody; again and again one of them is killed at
a random moment and started anew. Kills are spread over the whole of the sends. The truth is the
carrier's own record. Lost: an attempt that the carrier never took. Duplicate: one that it took more
than once. In flight: what the killed process held under a lease at its death. Takeover: from a kill
until all of that is in somebody else's hands (on SQLite those of the next start); settled: until it
is looked up and, where it was never sent, sent.
Figures go to build/faults.json with the command, the seed and the day.
"""

import argparse
import asyncio
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

from tests.faults.figures import Figures
from tests.faults.rig import Process, Record, Rig, open_rig, roots

SETTLE_SECONDS = 600.0
"""After the last kill: leases, look-ups and what is still planned."""
SECONDS_PER_KILL_MAX = 20.0
"""A kill waits so long for its share of the sends before it is done anyway."""
LOOK_SECONDS = 0.25
ALIVE_SECONDS_MAX = 20.0
"""A worker is given so long to have sent something since its start before it is killed again."""


@dataclass(slots=True)
class Kill:
    """One death and what it left behind."""

    at: float
    host: str
    held: set[int]
    """Attempts under its lease when it died."""
    owner: str = ""
    taken: float | None = None
    """Seconds until none of them was under its lease any more: in somebody else's hands."""
    settled: float | None = None
    """Seconds until all of them were settled."""


@dataclass(slots=True)
class Result:
    """What came of one run."""

    sends: int
    kills: list[Kill] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    duplicates: int = 0
    doubled_beyond: list[str] = field(default_factory=list)
    """Kills after which more was doubled than was in flight."""
    requests: int = 0
    wall: float = 0.0
    states: dict[str, int] = field(default_factory=dict)

    @property
    def in_flight(self) -> list[int]:
        return [len(kill.held) for kill in self.kills]

    @property
    def takeovers(self) -> list[float]:
        return sorted(k.taken for k in self.kills if k.held and k.taken is not None)

    @property
    def settlements(self) -> list[float]:
        return sorted(k.settled for k in self.kills if k.held and k.settled is not None)


class Killer:
    """Kills the processes of a rig until the sends are through."""

    def __init__(self, rig: Rig, names: list[str], *, sends: int, kills: int, seed: int) -> None:
        self._rig, self._names = rig, names
        self._random = random.Random(seed)
        self._kills_wanted = kills
        self.result = Result(sends=sends)

    async def run(self) -> Result:
        """Kill, watch, and judge by the carrier's record."""
        began = time.monotonic()
        watching = asyncio.create_task(self._watch())
        for number in range(1, self._kills_wanted + 1):
            await self._until_share(number)
            await self._kill_one()
            self._say(number)
        await self._rig.until(
            self._through, SETTLE_SECONDS, "everything is sent and settled", every=LOOK_SECONDS
        )
        self.result.wall = time.monotonic() - began
        await asyncio.sleep(2 * LOOK_SECONDS)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        self._judge(await self._rig.record())
        self.result.states = await self._rig.states()
        return self.result

    async def _until_share(self, number: int) -> None:
        """Wait until this kill's share of the sends is recorded, and then a random moment."""
        share = self.result.sends * (number - 1) / (self._kills_wanted + 1)
        give_up = time.monotonic() + SECONDS_PER_KILL_MAX
        while await self._sent() < share and time.monotonic() < give_up:
            await asyncio.sleep(0.05)
        await asyncio.sleep(self._random.random() * 0.3)

    async def _kill_one(self) -> None:
        """Kill one that has something in flight, if there is one soon; start it again at once."""
        give_up = time.monotonic() + ALIVE_SECONDS_MAX
        process = self._rig[self._random.choice(self._names)]
        while not await self._held(process) and time.monotonic() < give_up:
            await asyncio.sleep(0.02)
            process = self._rig[self._random.choice(self._names)]
        owner, host = process.owner, process.host
        process.kill()
        kill = Kill(
            at=time.monotonic(), host=host, held=await self._held_by(owner), owner=owner.replace("%", ":")
        )
        self.result.kills.append(kill)
        process.start()

    async def _held(self, process: Process) -> bool:
        return bool(
            await self._rig.one(
                "SELECT 1 AS one FROM attempt WHERE state = 'sending' AND lease_owner LIKE $1 LIMIT 1",
                process.owner,
            )
        )

    async def _held_by(self, owner: str) -> set[int]:
        rows = await self._rig.fetch(
            "SELECT id FROM attempt WHERE state = 'sending' AND lease_owner LIKE $1", owner
        )
        return {row["id"] for row in rows}

    async def _sent(self) -> int:
        states = await self._rig.states()
        return self.result.sends - sum(
            states.get(state, 0) for state in ("planned", "sending", "unknown")
        )

    async def _through(self) -> bool:
        return await self._rig.all_sent()

    async def _watch(self) -> None:
        """Note when what each dead process held is settled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            waiting = [k for k in self.result.kills if k.settled is None]
            if not waiting:
                continue
            rows = await self._rig.fetch(
                "SELECT DISTINCT lease_owner FROM attempt WHERE state = 'sending'"
            )
            for kill in waiting:
                if kill.taken is None and not any(r[0].startswith(kill.owner) for r in rows):
                    kill.taken = time.monotonic() - kill.at
            rows = await self._rig.fetch(
                "SELECT id FROM attempt WHERE id = ANY($1)"
                " AND state IN ('planned','sending','unknown')",
                sorted(set().union(*(k.held for k in waiting))),
            )
            unsettled = {row["id"] for row in rows}
            for kill in waiting:
                if not kill.held & unsettled:
                    kill.settled = time.monotonic() - kill.at

    def _judge(self, record: Record) -> None:
        copies = record.copies()
        first: dict[int, str] = {}
        for _, host, reference, _, _ in record.texts:
            first.setdefault(_attempt(reference), host)
        doubled = {attempt for attempt, count in copies.items() if count > 1}
        self.result.duplicates = record.duplicates
        self.result.requests = sum(1 for r in record.requests if r[2] == "POST")
        self.result.lost = set(range(1, self.result.sends + 1)) - copies.keys()
        for kill in self.result.kills:
            of_it = {attempt for attempt in doubled if first[attempt] == kill.host}
            if len(of_it) > len(kill.held):
                self.result.doubled_beyond.append(f"{kill.host}: {len(of_it)} > {len(kill.held)}")

    def _say(self, number: int) -> None:
        kills = self.result.kills
        print(
            f"\r  kill {number}/{self._kills_wanted}, in flight {len(kills[-1].held):4d},"
            f" settled {sum(k.settled is not None for k in kills)}   ",
            end="" if number < self._kills_wanted else "\n",
            file=sys.stderr,
            flush=True,
        )


def _attempt(reference: str) -> int:
    from tests.faults.rig import attempt_of

    return attempt_of(reference)


async def kill_run(
    kind: str, *, sends: int, kills: int, workers: int, seed: int, **options: Any
) -> tuple[Result, Rig]:
    """Do one run; the rig that is returned is closed and good for its logs only."""
    async with open_rig(kind, **options) as rig:
        await rig.populate(sends)
        for root in roots(sends):
            await rig.release(root=root)
        names = ["web"] if kind == "sqlite" else [f"w{n}" for n in range(1, workers + 1)]
        for name in names:
            rig.start(name, *(["serve"] if kind == "sqlite" else ["worker"]))
        await rig.turn(answer_seconds=0.03, answer_spread=0.3)
        killer = Killer(rig, names, sends=sends, kills=kills, seed=seed)
        return await killer.run(), rig


def figures_of(result: Result, name: str, figures: Figures) -> None:
    """Keep the figures of a run."""
    flight, takeovers = result.in_flight, result.takeovers or [0.0]
    figures.add(f"{name}_sends", result.sends, "sends")
    figures.add(f"{name}_kills", len(result.kills), "kills -9")
    figures.add(f"{name}_lost", len(result.lost), "sends", "never taken by the carrier")
    figures.add(f"{name}_duplicates", result.duplicates, "texts", "taken twice under one reference")
    figures.add(f"{name}_duplicates_per_kill", result.duplicates / len(result.kills), "texts/kill")
    figures.add(f"{name}_in_flight_mean", mean(flight), "sends", "held by a process at its death")
    figures.add(f"{name}_in_flight_max", max(flight), "sends")
    figures.add(f"{name}_requests", result.requests, "requests", "to the carrier, for a send")
    figures.add(f"{name}_takeover_p50_s", median(takeovers), "s", "kill → in other hands")
    figures.add(f"{name}_takeover_max_s", takeovers[-1], "s", "SQLite: includes the next start")
    settled = result.settlements or [0.0]
    figures.add(f"{name}_settled_p50_s", median(settled), "s", "… looked up, or sent again")
    figures.add(f"{name}_settled_max_s", settled[-1], "s", "resends queue behind the fan-out")
    figures.add(f"{name}_wall_s", result.wall, "s")


def main() -> None:
    """Run, print, write build/faults.json; exit code 1 when something was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kill", description=__doc__)
    parser.add_argument("--sends", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--concurrency", type=int, default=20, help="sends at once per worker")
    parser.add_argument("--batch", type=int, default=50, help="claimed at once per worker")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    result, _ = asyncio.run(
        kill_run(
            given.database,
            sends=given.sends,
            kills=given.kills,
            workers=given.workers,
            seed=given.seed,
            dispatch_concurrency=given.concurrency,
            claim_batch=given.batch,
        )
    )
    figures = Figures(seed=given.seed)
    figures_of(result, f"kill_{given.database}", figures)
    figures.show()
    figures.write(given.out)
    print(f"states at the end: {result.states}")
    if result.lost or result.doubled_beyond:
        raise SystemExit(f"lost {sorted(result.lost)[:20]}, doubled {result.doubled_beyond[:5]}")


if __name__ == "__main__":
    main()

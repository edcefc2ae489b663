"""python -m tests.sim: live through many seeds, or die at every crash point of the small plans.

    python -m tests.sim --seeds 0:500 --scenario storm --jobs 2      one scenario, or `all`
    python -m tests.sim --sweep                                       every crash point, singly
    python -m tests.sim --double 400                                  so many pairs of crash points
    python -m tests.sim --seeds 17:18 --scenario storm --trace        the whole trace of one run
    python -m tests.sim --seeds 17:18 --scenario storm --shrink       the smallest plan that fails so

Ends with 1 and the shortest way to repeat it when something that must hold does not.
"""

import argparse
import gc
import multiprocessing
import random
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tests.faults.figures import FAULTS_JSON, Figures
from tests.sim.plan import Plan
from tests.sim.scenario import draw, names, run, small, small_names
from tests.sim.shrink import shrink_and_tell
from tests.sim.world import Result

SIM_JSON = FAULTS_JSON.with_name("sim.json")
TRACE_LINES = 40
CHUNK = 20
"""Runs that a worker takes at a time."""
REPORT_EVERY = 100


@dataclass(frozen=True, slots=True)
class Job:
    """One run: a seed of a scenario, or a small plan that dies at certain points."""

    scenario: str = ""
    seed: int = 0
    small: str = ""
    points: tuple[int, ...] = ()

    def plan(self) -> Plan:
        """Return what to live through."""
        if self.small:
            return replace(small(self.small), crash_points=self.points)
        return draw(self.scenario, self.seed)

    def command(self) -> str:
        """Return what repeats it."""
        if self.small:
            points = ",".join(map(str, self.points))
            return f"python -m tests.sim --small {self.small} --points {points} --trace"
        return f"python -m tests.sim --seeds {self.seed}:{self.seed + 1} --scenario {self.scenario} --trace"


@dataclass(frozen=True, slots=True)
class Told:
    """What a run came to, small enough to travel between processes."""

    job: Job
    seconds: float
    crashes: int
    sends: int
    copies: int
    digest: str = ""
    fault: str = ""
    lines: tuple[str, ...] = ()


def main() -> int:
    """Run what was asked for."""
    given = _arguments()
    if given.shrink:
        chosen = [Job(small=given.small, points=_numbers(given.points))] if given.small else []
        return max(shrink_and_tell(job.plan()) for job in chosen or list(_jobs(given)))
    if given.small:
        return _show([Job(small=given.small, points=_numbers(given.points))], given)
    jobs = list(_jobs(given))
    if given.trace or given.hash:
        return _show(jobs, given)
    return _run_all(jobs, given.jobs, given.keep_going)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="", help="first:past the last")
    parser.add_argument("--scenario", default="all", choices=["all", *names()])
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--sweep", action="store_true", help="every crash point, singly")
    parser.add_argument("--double", type=int, default=0, help="so many pairs of crash points")
    parser.add_argument("--small", default="", choices=["", *small_names()])
    parser.add_argument("--points", default="", help="crash points of --small, as 3,17")
    parser.add_argument("--trace", action="store_true", help="print every line")
    parser.add_argument("--shrink", action="store_true", help="make failing runs small")
    parser.add_argument("--hash", action="store_true", help="print the hash of each trace")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a violation")
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(",") if word)


def _jobs(given: argparse.Namespace) -> Iterator[Job]:
    if given.seeds:
        first, _, past = given.seeds.partition(":")
        chosen = names() if given.scenario == "all" else [given.scenario]
        for seed in range(int(first), int(past or int(first) + 1)):
            yield Job(scenario=chosen[seed % len(chosen)], seed=seed)
    if given.sweep:
        for name in small_names():
            yield from single(name)
    if given.double:
        yield from doubles(given.double)


def single(name: str) -> Iterator[Job]:
    """Every crash point of a small plan, one at a time."""
    for point in range(1, points_of(name) + 1):
        yield Job(small=name, points=(point,))


def doubles(many: int, seed: int = 1) -> Iterator[Job]:
    """Pairs of crash points, drawn by a seed; the second is counted on in the new process."""
    chance = random.Random(seed)
    lengths = {name: points_of(name) for name in small_names()}
    for _ in range(many):
        name = chance.choice(small_names())
        first = chance.randint(1, lengths[name])
        yield Job(small=name, points=(first, first + chance.randint(1, 40)))


def points_of(name: str) -> int:
    """How many crash points a small plan passes when nobody dies."""
    result = run(small(name))
    if result.violation is not None:
        raise SystemExit(f"{name}: {result.violation}")
    return len(result.points)


def live(job: Job) -> Told:
    """Live through one run."""
    result = run(job.plan())
    if result.violation is None:
        return Told(job, result.seconds, result.crashes, result.sends, result.copies)
    return Told(
        job, result.seconds, result.crashes, result.sends, result.copies,
        fault=str(result.violation), lines=tuple(result.lines(TRACE_LINES)),
    )


def _run_all(jobs: list[Job], processes: int, keep_going: bool) -> int:
    began, done, hours, crashes, sends, copies = time.monotonic(), 0, 0.0, 0, 0, 0
    failed: list[Told] = []
    for told in _lived(jobs, processes):
        done, hours = done + 1, hours + told.seconds / 3600
        crashes, sends, copies = crashes + told.crashes, sends + told.sends, copies + told.copies
        if told.fault:
            failed.append(told)
            _explain(told)
            if not keep_going:
                break
        if done % REPORT_EVERY == 0:
            _say(done, len(jobs), began, hours, crashes)
    _say(done, len(jobs), began, hours, crashes)
    print(f"{sends} sends, {copies} copies taken, {len(failed)} violations")
    wall = time.monotonic() - began
    note = f"{len(failed)} violations; {crashes} crashes, {hours:.0f} simulated hours, {wall:.0f} s"
    keep(_name(jobs), done, "runs", f"{note}; commit {_commit()}")
    return 1 if failed else 0


def keep(name: str, value: float, unit: str, note: str) -> None:
    """Put a figure into build/sim.json, for the page of results."""
    figures = Figures()
    figures.add(name, value, unit, note)
    figures.write(SIM_JSON)


def _name(jobs: list[Job]) -> str:
    if jobs[0].small:
        return "sweep_double" if len(jobs[0].points) > 1 else "sweep_single"
    scenarios = {job.scenario for job in jobs}
    return f"seeds_{scenarios.pop() if len(scenarios) == 1 else 'all'}"


def _lived(jobs: list[Job], processes: int) -> Iterator[Told]:
    _quiet_collector()
    if processes == 1:
        yield from map(live, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes, _quiet_collector) as pool:
        yield from pool.imap_unordered(live, jobs, chunksize=CHUNK)


def _quiet_collector() -> None:
    """What is imported stays: the collector need not look at it for each run."""
    gc.collect()
    gc.freeze()


def _say(done: int, many: int, began: float, hours: float, crashes: int) -> None:
    wall = time.monotonic() - began
    print(
        f"{done}/{many} runs, {done / wall:.1f} runs/s, {hours:.1f} simulated hours,"
        f" {crashes} crashes, {wall:.0f} s",
        flush=True,
    )


def _explain(told: Told) -> None:
    print(f"\n{told.fault}\n  {told.job}\n  commit {_commit()}", *told.lines, sep="\n  ")
    print(f"  again: {told.job.command()}\n", flush=True)


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def _show(jobs: Iterable[Job], given: argparse.Namespace) -> int:
    worst = 0
    for job in jobs:
        result: Result = run(job.plan())
        if given.trace or not given.hash:
            print(*result.lines(), sep="\n")
        if given.hash:
            print(job.scenario or job.small, job.seed, result.hash)
        if result.violation is not None:
            print(result.violation)
            print(result.plan)
            worst = 1
    return worst


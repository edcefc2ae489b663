"""python -m tests.sim.mutants: plant mistakes in the real service and see each of them caught.

    python -m tests.sim.mutants --jobs 2              every mutant, within a bounded number of seeds
    python -m tests.sim.mutants --only window_early   one of them; --list names them

Prints which invariant caught each mutant, at which seed, after how long; ends with 1 when one
survives: then an invariant or a scenario is missing. A mutant is planted by giving a function the
code of its edited source, so that everybody who imported it has it; no file is touched.
"""

import argparse
import inspect
import multiprocessing
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any

from tests.sim.campaign import keep
from tests.sim.mutant_list import MUTANTS, Edit, Mutant
from tests.sim.scenario import draw, run

SEEDS_MAX = 60
"""Runs for each scenario of a mutant. The slowest one known needs a third of them."""
SECONDS_MAX = 60.0
"""A mutant that has not been caught by then counts as a survivor."""


class Stale(Exception):
    """The words that a mutant replaces are not in the source any more."""


@dataclass(frozen=True, slots=True)
class Caught:
    """How a mutant was found. No number: it was not."""

    mutant: str
    runs: int
    seconds: float
    number: int | None = None
    scenario: str = ""
    seed: int = 0
    text: str = ""


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Let the service make this mistake in the block. Raises Stale."""
    kept = {_function(edit.where): _function(edit.where).__code__ for edit in mutant.edits}
    sources = {function: _source(function) for function in kept}
    try:
        for edit in mutant.edits:
            function = _function(edit.where)
            sources[function] = _edited(edit, sources[function])
            function.__code__ = _compiled(function, sources[function])
        yield
    finally:
        for function, code in kept.items():
            function.__code__ = code


def _function(where: str) -> FunctionType:
    module, _, path = where.partition(":")
    found: Any = import_module(module)
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    found = inspect.unwrap(found)
    assert isinstance(found, FunctionType), f"{where} is no plain function"
    return found


def _source(function: FunctionType) -> str:
    return inspect.getsource(function)


def _edited(edit: Edit, source: str) -> str:
    if source.count(edit.old) != 1:
        raise Stale(f"{edit.where} has {source.count(edit.old)} times: {edit.old}")
    return source.replace(edit.old, edit.new)


def _compiled(function: FunctionType, source: str) -> CodeType:
    """Return the code of an edited function. Its decorators stay with the function it goes into."""
    text = textwrap.dedent(source)
    begins = min(text.find(word) for word in ("def ", "async def ") if word in text)
    module = compile(text[begins:], function.__code__.co_filename, "exec")
    code = next(part for part in module.co_consts if isinstance(part, CodeType))
    assert code.co_freevars == function.__code__.co_freevars, "an edit must not need a closure"
    return code


# Looking for it ----------------------------------------------------------------------------------


def hunt(mutant: Mutant) -> Caught:
    """Live through seeds until the mutant violates something."""
    try:
        return _hunt(mutant)
    except Stale as stale:
        return Caught(mutant.name, 0, 0.0, text=f"STALE: {stale}")


def _hunt(mutant: Mutant) -> Caught:
    began, runs = time.monotonic(), 0
    with planted(mutant):
        for seed in range(SEEDS_MAX):
            for scenario in mutant.scenarios:
                runs += 1
                number, text = _violated(scenario, seed)
                took = time.monotonic() - began
                if number is not None:
                    return Caught(mutant.name, runs, took, number, scenario, seed, text)
                if took > SECONDS_MAX:
                    return Caught(mutant.name, runs, took)
    return Caught(mutant.name, runs, time.monotonic() - began)


def _violated(scenario: str, seed: int) -> tuple[int | None, str]:
    result = run(draw(scenario, seed))
    if result.violation is None:
        return None, ""
    return result.violation.number, result.violation.text


def main() -> int:
    """Hunt what was asked for."""
    given = _arguments()
    chosen = [m for m in MUTANTS if not given.only or m.name in given.only]
    if given.list:
        print(*(f"{m.name:28} {m.what}" for m in chosen), sep="\n")
        return 0
    began = time.monotonic()
    survivors = [caught.mutant for caught in _hunted(chosen, given.jobs) if not _tell(caught)]
    took = time.monotonic() - began
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught in {took:.0f} s")
    if not given.only:
        caught = len(chosen) - len(survivors)
        keep("mutants_caught", caught, "mutants", f"of {len(chosen)}, {took:.0f} s")
    if survivors:
        print("survived:", *survivors)
    return 1 if survivors else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutants")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", nargs="*", default=[], help="names of mutants")
    parser.add_argument("--list", action="store_true", help="say what there is")
    return parser.parse_args()


def _hunted(chosen: list[Mutant], jobs: int) -> Iterator[Caught]:
    if jobs == 1 or len(chosen) == 1:
        yield from map(hunt, chosen)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(hunt, chosen)


def _tell(caught: Caught) -> bool:
    if caught.number is None:
        why = caught.text or "SURVIVED"
        print(f"{caught.mutant:28} {why} {caught.runs} runs, {caught.seconds:.1f} s", flush=True)
        return False
    print(
        f"{caught.mutant:28} invariant {caught.number:2} at {caught.scenario} {caught.seed},"
        f" run {caught.runs}, {caught.seconds:.1f} s: {caught.text[:90]}",
        flush=True,
    )
    return True


if __name__ == "__main__":
    sys.exit(main())

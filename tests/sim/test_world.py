"""A taste of the simulation, for every `make test`; `make test-sim` is the meal.

A failing test prints the seed; `python -m tests.sim --seeds 17:18 --scenario storm --trace` lives
through it again.
"""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.sim import invariants
from tests.sim.campaign import Job, live, single
from tests.sim.plan import Plan
from tests.sim.scenario import draw, names, run, small, small_names

TASTE = 2
"""Seeds of each scenario: a second or so."""
EVERY = 16
"""Of the crash points of the smallest plan."""
_HASHES = (
    "from tests.sim.scenario import draw, run;"
    "print([run(draw(name, 5)).hash for name in ('storm', 'crashes', 'two_workers')])"
)


@pytest.mark.parametrize("scenario", names())
def test_a_few_seeds_hold(scenario: str) -> None:
    for seed in range(TASTE):
        told = live(Job(scenario=scenario, seed=seed))

        assert not told.fault, "\n".join([told.fault, *told.lines, told.job.command()])


def test_dying_at_some_point_of_a_short_warning_loses_nothing() -> None:
    for job in list(single("answer"))[::EVERY]:
        told = live(job)

        assert told.crashes == 1
        assert not told.fault, "\n".join([told.fault, *told.lines, told.job.command()])


def test_the_same_seed_lives_the_same_life_whatever_the_hashes() -> None:
    here = [run(draw(name, 5)).hash for name in ("storm", "crashes", "two_workers")]

    assert _hashes_with("2") == f"{here}\n"


def _hashes_with(hash_seed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _HASHES],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_another_seed_lives_another_life() -> None:
    assert run(draw("storm", 1)).hash != run(draw("storm", 8)).hash


def test_every_invariant_has_a_function_with_its_number() -> None:
    watched_by_the_world = {24}

    assert invariants.numbers() | watched_by_the_world == set(range(33))


def test_every_scenario_says_what_it_is() -> None:
    assert {*names()} >= {
        "calm", "storm", "crashes", "two_workers", "officers", "shared_phones", "long_outage",
        "routes", "batches", "queues",
    }  # fmt: skip
    assert len(small_names()) >= 4


def test_a_plan_is_a_value_that_can_be_cut_down() -> None:
    plan = draw("storm", 3)

    calmer = replace(plan, faults=())

    assert isinstance(calmer, Plan)
    assert plan == draw("storm", 3)
    assert run(calmer).violation is None


def test_a_crash_point_kills_there_and_nowhere_else() -> None:
    plan = replace(small("answer"), crash_points=(7,))

    result = run(plan)

    died = [words for words in result.lines() if " crash " in words]
    assert len(died) == 1
    assert died[0].endswith(result.points[6])

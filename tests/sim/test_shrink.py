"""Shrinking: what is left is needed, and can be printed and read again."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.sim.house import Shape
from tests.sim.mutant_list import MUTANTS
from tests.sim.mutants import planted
from tests.sim.plan import Act, Crash, Fault, Habit, Pause, Plan
from tests.sim.scenario import draw, names, run
from tests.sim.shrink import Holds, literal, read, shrink
from tests.sim.world import Violated

BIG = Plan(
    scenario="storm",
    seed=5,
    shape=Shape((2, 3), tiers=3, second_numbers=True),
    workers=2,
    faults=tuple(Fault("down", "sms", at, at + 5.0) for at in range(7)),
    crashes=(Crash(3.0), Crash(9.0, 4, worker=1)),
    pauses=(Pause(1.0, 20.0, worker=1),),
    acts=tuple(Act("lift", float(at)) for at in range(5)),
    habits=tuple((f"+86{n}", Habit(delay=float(n))) for n in range(8)),
)


def fails_if(needed: Any) -> Any:
    """Return a world in which invariant 7 is violated by plans of this kind."""

    def live(plan: Plan) -> Any:
        return SimpleNamespace(violation=Violated(7, "so") if needed(plan) else None)

    return live


def test_only_what_is_needed_is_left() -> None:
    lifts = Act("lift", 3.0)
    crash = Crash(9.0, 4, worker=1)

    left = shrink(BIG, fails_if(lambda p: lifts in p.acts and crash in p.crashes))

    assert left.acts == (lifts,)
    assert left.crashes == (crash,)
    assert not left.faults
    assert not left.pauses
    assert not left.habits
    assert left.shape == Shape((1,), tiers=1)


def test_another_violation_is_not_the_one() -> None:
    def live(plan: Plan) -> Any:
        return SimpleNamespace(violation=Violated(7 if len(plan.faults) > 2 else 9, "so"))

    assert len(shrink(BIG, live).faults) == 3


def test_a_plan_that_violates_nothing_is_not_shrunk() -> None:
    with pytest.raises(Holds):
        shrink(BIG, fails_if(lambda _: False))


@pytest.mark.parametrize("scenario", names())
def test_what_is_printed_can_be_read(scenario: str) -> None:
    for seed in range(5):
        plan = draw(scenario, seed)

        assert read(literal(plan)) == plan


def test_a_planted_mistake_shrinks_to_a_few_lines() -> None:
    (mutant,) = [m for m in MUTANTS if m.name == "quiet_exhaustion"]
    plan = next(draw("calm", seed) for seed in range(60) if "exhausted" in ends(draw("calm", seed)))

    with planted(mutant):
        left = shrink(plan)

        assert run(left).violation is not None
    assert run(left).violation is None
    assert sum(left.shape.villages) == 1
    assert left.habits == ()


def ends(plan: Plan) -> set[str]:
    """Return the states in which a plan's regions end."""
    from tests.sim.world import World

    world = World(plan)
    world.run()
    return {escalation.state for escalation in world.mirror.escalation.values()}

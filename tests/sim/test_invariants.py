"""The invariants see what they are there for: each is shown a world in which it does not hold."""

from typing import Any

import pytest

from tests.sim import crash, invariants
from tests.sim.plan import Plan
from tests.sim.scenario import small
from tests.sim.world import World
from warnsvc.core import callout
from warnsvc.service import step


def violated(plan: Plan) -> int | None:
    """Return the number of the invariant that a plan violates."""
    result = World(plan).run()
    return None if result.violation is None else result.violation.number


def test_a_small_plan_holds() -> None:
    assert violated(small("lifted")) is None


def test_a_line_that_is_left_out_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forget(*_: Any, **__: Any) -> None:
        return

    monkeypatch.setattr(step, "append_lines", forget)

    assert violated(small("answer")) in {7, 19, 20}


def test_an_answer_that_is_forgotten_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callout, "_answered", lambda state, _fact: (state, ()))

    assert violated(small("answer")) == 4


def test_a_number_in_a_log_is_seen() -> None:
    world = World(small("answer"))

    faults = list(invariants.at_a_log(world, "info", {"event": "x", "to": world.phones[0]}))

    assert [number for number, _ in faults] == [25]


def test_an_error_that_nobody_expects_is_seen() -> None:
    world = World(small("answer"))

    assert [n for n, _ in invariants.at_a_log(world, "exception", {"event": "oops"})] == [0]


def test_dead_is_not_an_exception() -> None:
    """Or somebody who keeps a service alive would catch it."""
    assert not issubclass(crash.Dead, Exception)

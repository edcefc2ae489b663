"""Make a failing run small: leave things out while the same invariant is still violated.

    python -m tests.sim.shrink --scenario storm --seed 17       the smallest plan, and how to repeat it
    python -m tests.sim.shrink --repeat "Plan(scenario=…)"      live through a plan that was printed
    small = shrink(plan)                                        the same for programs

Faults, crashes, pauses, officers' acts and people are dropped, first by halves, then one by one; then
the county is made smaller and the carriers plainer. A run is tried again after every cut, so what is
left is needed: no single cut keeps the violation. It never changes the seed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, dataclass, fields, replace
from typing import Any

from tests.sim.house import Shape
from tests.sim.plan import Act, Crash, Fault, Habit, Pause, Plan
from tests.sim.scenario import draw, quiet_at, run, small
from tests.sim.world import Result

RUNS_MAX = 400
"""Tries in all: a minute or two. What is left then may not be the smallest."""
TRACE_LINES = 40
_DROPPED = ("crash_points", "crashes", "pauses", "acts", "faults", "habits")
"""Parts of a plan that are lists of things, the cheapest to understand last."""
_PLAIN: tuple[tuple[str, Any], ...] = (
    ("workers", 1),
    ("until_expired", False),
    ("per_second", 50.0),
    ("receipt_seconds", 0),
    ("callee_seconds", 0),
    ("cancels", False),
    ("lookups", Plan(scenario="", seed=0).lookups),
    ("colour", "red"),
)
"""What a part of a plan is when it says nothing."""


class Holds(Exception):
    """The plan violates nothing: there is nothing to shrink."""


@dataclass(slots=True)
class Shrinker:
    """Tries smaller plans, and counts the tries."""

    live: Callable[[Plan], Result]
    number: int
    runs: int = 0

    def still(self, plan: Plan) -> bool:
        """Whether the same invariant is violated. False when there have been too many tries."""
        if self.runs >= RUNS_MAX:
            return False
        self.runs += 1
        violation = self.live(plan).violation
        return violation is not None and violation.number == self.number

    def smaller(self, plan: Plan) -> Plan:
        """Return the plan without what it does not need."""
        while True:
            before = plan
            for part in _DROPPED:
                plan = self._thinned(plan, part)
            for candidate in _plainer(plan):
                plan = self._or(candidate(plan), plan)
            if plan == before:
                return plan

    def _thinned(self, plan: Plan, part: str) -> Plan:
        """Drop halves, then quarters, then single things of a part."""
        size = len(getattr(plan, part))
        while size:
            for start in reversed(range(0, len(getattr(plan, part)), size)):
                kept = getattr(plan, part)
                fewer: dict[str, Any] = {part: (*kept[:start], *kept[start + size :])}
                plan = self._or(replace(plan, **fewer), plan)
            size //= 2
        return plan

    def _or(self, candidate: Plan, plan: Plan) -> Plan:
        """Return the candidate if it still fails; when things end, the quiet begins sooner too."""
        if candidate == plan:
            return plan
        for tried in (replace(candidate, quiet_at=quiet_at(candidate)), candidate):
            if self.still(tried):
                return tried
        return plan


def shrink(plan: Plan, live: Callable[[Plan], Result] = run) -> Plan:
    """Return the smallest plan found that violates the same invariant. Raises Holds."""
    violation = live(plan).violation
    if violation is None:
        raise Holds(f"{plan.scenario} {plan.seed} violates nothing")
    return Shrinker(live, violation.number).smaller(plan)


def literal(plan: Plan) -> str:
    """Return the plan as Python, with what says nothing left out."""
    return _literal(plan)


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({''.join(f'{_literal(item)}, ' for item in value).rstrip()})"
    if isinstance(value, str):  # In double quotes, so that the whole can stand in single ones.
        return json.dumps(value, ensure_ascii=False)
    if not hasattr(value, "__dataclass_fields__"):
        return repr(value)
    plain = {f.name: _default(f) for f in fields(value)}
    said = {f.name: getattr(value, f.name) for f in fields(value)}
    words = ", ".join(f"{k}={_literal(v)}" for k, v in said.items() if plain[k] != v)
    return f"{type(value).__name__}({words})"


def _default(field: "Field[Any]") -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def read(text: str) -> Plan:
    """Return the plan that `literal` has written."""
    names = {kind.__name__: kind for kind in (Act, Crash, Fault, Habit, Pause, Plan, Shape)}
    plan = eval(text, {"__builtins__": {}, **names})
    assert isinstance(plan, Plan), "this is no plan"
    return plan


def _plainer(plan: Plan) -> Iterator[Callable[[Plan], Plan]]:
    for name, value in _PLAIN:
        yield lambda p, n=name, v=value: _with(p, n, v)  # type: ignore[misc]
    for shape in _smaller_shapes(plan.shape):
        yield lambda p, s=shape: replace(p, shape=s)  # type: ignore[misc]


def _with(plan: Plan, name: str, value: Any) -> Plan:
    if name == "workers" and value == 1:
        crashes = tuple(replace(c, worker=0) for c in plan.crashes)
        pauses = tuple(replace(p, worker=0) for p in plan.pauses)
        return replace(plan, workers=1, crashes=crashes, pauses=pauses)
    return replace(plan, **{name: value})


def _smaller_shapes(shape: Shape) -> Iterator[Shape]:
    """Yield counties with one thing less."""
    for name in ("shared_phone", "second_numbers", "by_hand", "empty_tier", "endpoint"):
        if getattr(shape, name):
            without: dict[str, Any] = {name: False}
            yield replace(shape, **without)
    for at, many in enumerate(shape.villages):
        fewer = (*shape.villages[:at], many - 1, *shape.villages[at + 1 :])
        if any(fewer):
            yield replace(shape, villages=tuple(n for n in fewer if n))
    for name in ("tiers", "superiors"):
        if getattr(shape, name) > 1:
            yield replace(shape, **{name: getattr(shape, name) - 1})


# The command -------------------------------------------------------------------------------------


def main() -> int:
    """Shrink what was asked for, or live through what was printed."""
    given = _arguments()
    if given.repeat:
        return report(read(given.repeat), tries=1)
    plan = small(given.small) if given.small else draw(given.scenario, given.seed)
    if given.points:
        plan = replace(plan, crash_points=tuple(map(int, given.points.split(","))))
    return shrink_and_tell(plan)


def shrink_and_tell(plan: Plan) -> int:
    """Shrink a plan and print what is left; `python -m tests.sim --shrink` calls this."""
    violation = run(plan).violation
    if violation is None:
        print(f"{plan.scenario} {plan.seed} violates nothing")
        return 0
    shrinker = Shrinker(run, violation.number)
    return report(shrinker.smaller(plan), tries=shrinker.runs)


def report(plan: Plan, *, tries: int) -> int:
    """Live through a plan and print its trace, its violation, and how to do it again."""
    result = run(plan)
    print(*result.lines(TRACE_LINES), sep="\n")
    print(result.violation or "nothing is violated")
    print(f"{tries} runs; again:\n  python -m tests.sim.shrink --repeat '{literal(plan)}'")
    return 0 if result.violation is None else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.shrink")
    parser.add_argument("--scenario", default="storm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", default="", help="a small plan of the sweep")
    parser.add_argument("--points", default="", help="its crash points, as 3,17")
    parser.add_argument("--repeat", default="", help="a plan as it was printed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Random walks over small counties: what must hold after every step, and at the end.

The numbers in brackets are the invariants of the design's reliability page (§2.3).
"""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.county import WINDOW, Attempt, County, red
from warnsvc.core.answer import AnswerKind
from warnsvc.core.callout import ACTIVE, CalloutState, Failure
from warnsvc.core.case import NewTask
from warnsvc.core.escalation import Escalation, EscalationState
from warnsvc.core.pack import Quorum, QuorumKind

E, C = EscalationState, CalloutState
FINAL = {E.ANSWERED, E.EXHAUSTED, E.LIFTED, E.EXPIRED}
QUORUMS = [Quorum(), Quorum(kind=QuorumKind.N, n=2), Quorum(kind=QuorumKind.ALL)]
PEOPLE = range(1, 8)
SUPERIORS = [90, 91, 92]
COUNTY_HEAD = [99]

NUMBERS = st.sampled_from([("mobile",), ("mobile", "landline"), ("landline",), ("webhook",), ()])


@st.composite
def counties(draw: st.DrawFn) -> County:
    """Two to four villages whose people and superiors overlap."""
    closing = draw(st.sampled_from([5, 6, 7]))
    county = County(red(quorum=draw(st.sampled_from(QUORUMS)), closing_rung=closing))
    county.calling_only = draw(st.booleans())
    for callout_id in (*PEOPLE, *SUPERIORS, *COUNTY_HEAD):
        robot_ok = draw(st.sampled_from([True] * 6 + [False]))
        county.person(callout_id, numbers=draw(NUMBERS), robot_ok=robot_ok)
    for _ in range(draw(st.integers(2, 4))):
        people = draw(st.lists(st.sampled_from(PEOPLE), max_size=4, unique=True))
        cut = draw(st.integers(0, len(people)))
        own = [tier for tier in (people[:cut], people[cut:]) if tier]
        behind = draw(st.lists(st.sampled_from(SUPERIORS), max_size=2, unique=True))
        county.village(*own, behind=[*([behind] if behind else []), COUNTY_HEAD])
    return county


CALLOUTS = st.sampled_from([*PEOPLE, *SUPERIORS, *COUNTY_HEAD])
STEPS = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([1, 40, 100, 299, 300, 700])),
    st.tuples(st.just("stall"), st.sampled_from([10, 400, 2000])),
    st.tuples(st.just("answer"), CALLOUTS, st.sampled_from(AnswerKind)),
    st.tuples(st.just("raise"), CALLOUTS, st.integers(1, 5)),
    st.tuples(st.just("send")),
    st.tuples(
        st.just("fail"),
        st.lists(CALLOUTS, min_size=1, max_size=4, unique=True),
        st.sampled_from(Failure),
    ),
    st.tuples(st.just("arrive"), CALLOUTS),
)


def _take(county: County, step: tuple[Any, ...]) -> None:
    match step:
        case ("wait", seconds):
            county.wait(seconds)
        case ("stall", seconds):
            county.stall(seconds)
        case ("answer", callout_id, kind):
            county.answers(callout_id, kind)
        case ("raise", callout_id, rung):
            county.raised(callout_id, rung)
        case ("send",):
            _mark(county.calls(), "planned", "sent")
        case ("fail", callout_ids, failure):
            county.fails(*callout_ids, failure=failure)
        case ("arrive", callout_id):
            _mark(county.calls(callout_id), "sent", "arrived")


def _mark(attempts: list[Attempt], before: str, after: str) -> None:
    for attempt in attempts:
        if attempt.state == before:
            attempt.state = after


def _opened(escalation: Escalation) -> set[int]:
    return {m.callout_id for t in escalation.tiers[: escalation.tier] for m in t.members}


def _wanted(county: County) -> set[int]:
    """Everybody in an opened tier of a region that still wants an answer."""
    wanting = [e for e in county.escalations.values() if e.state in {E.CALLING, E.EXHAUSTED}]
    return {callout_id for e in wanting for callout_id in _opened(e)}


def _check(county: County) -> None:
    for escalation in county.escalations.values():
        if escalation.state is E.CALLING:
            assert escalation.deadline_at is not None
            _check_called(county, escalation)
        if escalation.state is E.EXHAUSTED:  # [1]
            assert any(
                (a.kind, a.escalation_id) == ("exhausted", escalation.id) for a in county.alarms
            )
            assert NewTask("knock", escalation_id=escalation.id) in county.tasks
        _check_tiers(county, escalation)
    _check_the_needless(county)


def _check_called(county: County, escalation: Escalation) -> None:
    """Nothing that is needed was cancelled: everybody in an opened tier is or was called [8, 13]."""
    for callout_id in _opened(escalation):
        state = county.callouts[callout_id]
        assert state.state not in {C.WAITING, C.STOPPED}, f"{callout_id} is needed and was let go"
        if state.state is C.CALLING and state.robot_ok:
            calls = [a for a in county.calls(callout_id) if a.state != "cancelled"]
            assert calls, f"{callout_id} is called in name only"
            assert state.due_at is not None or state.step == len(county.rule.tier(1).steps)
        if state.state is C.CALLING and not state.robot_ok:
            assert NewTask("call_by_hand", callout_id=callout_id) in county.tasks


def _check_the_needless(county: County) -> None:
    """Nobody is called whom no region wants any more [12]."""
    wanted = _wanted(county)
    for callout_id, state in county.callouts.items():
        if callout_id not in wanted:
            assert state.state not in ACTIVE, f"{callout_id} is called for nothing"
            assert all(a.state != "planned" for a in county.calls(callout_id)), (
                "an attempt for nothing"
            )


def _check_tiers(county: County, escalation: Escalation) -> None:
    """Tiers in order, none skipped, none before its time unless the one before had no hope [5, 7]."""
    lines = [
        line for line in county.lines
        if line.escalation_id == escalation.id
        and line.act in {"escalation.tier_opened", "escalation.tier_empty"}
    ]  # fmt: skip
    assert [line.data["tier"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0].why in {"released", "empty"}
    assert all(line.why in {"window", "hopeless", "empty"} for line in lines[1:])


def _check_replay(county: County) -> None:
    """The ledger tells the whole way: each line begins where the one before ended [19]."""
    for escalation in county.escalations.values():
        lines = [
            line for line in county.lines
            if line.escalation_id == escalation.id and line.act.startswith("escalation.")
        ]  # fmt: skip
        assert lines[0].from_state == E.PENDING
        assert all(one.to_state == next_.from_state for one, next_ in pairwise(lines))
        assert lines[-1].to_state == escalation.state


@settings(max_examples=250)
@given(counties(), st.lists(STEPS, max_size=25), st.booleans())
def test_whatever_happens_nobody_is_forgotten_and_nobody_is_called_for_nothing(
    county: County, steps: list[tuple[Any, ...]], expires: bool
) -> None:
    county.release()
    _check(county)
    ended: dict[int, EscalationState] = {}
    opened_at: dict[int, tuple[int, datetime]] = {}

    for step in steps:
        deadlines = {e.id: e.deadline_at for e in county.escalations.values()}
        known = len(county.lines)
        _take(county, step)
        _check(county)
        for line in county.lines[known:]:
            if line.act == "escalation.tier_opened" and line.why == "window":
                deadline = deadlines[line.escalation_id or 0]
                assert deadline is None or county.now >= deadline, "a tier before its time"
        for escalation in county.escalations.values():  # [4]
            if ended.get(escalation.id) is E.ANSWERED:
                assert escalation.state is E.ANSWERED, "answered never reverts"
            ended[escalation.id] = escalation.state
            tier, deadline = opened_at.get(escalation.id, (0, county.now))
            assert escalation.tier >= tier
            opened_at[escalation.id] = (escalation.tier, deadline)

    _let_time_run_out(county)
    _check(county)
    county.lift(expired=expires)
    _check_end(county, expires=expires)


def _let_time_run_out(county: County) -> None:
    """With nobody answering any more, every region ends within its windows [1, 24]."""
    tiers = max(len(e.tiers) for e in county.escalations.values())
    county.wait((tiers + 1) * WINDOW)
    assert {e.state for e in county.escalations.values()} <= {E.ANSWERED, E.EXHAUSTED}
    county.wait(3 * WINDOW)
    assert all(c.due_at is None for c in county.callouts.values()), "the rounds have an end"


def _check_end(county: County, *, expires: bool) -> None:
    assert {e.state for e in county.escalations.values()} <= FINAL
    known = len(county.attempts)
    county.now += timedelta(days=1)
    county.sweep()
    assert len(county.attempts) == known, "after the end nobody is called"
    _check_replay(county)
    if not expires:
        assert all(e.state in {E.ANSWERED, E.LIFTED} for e in county.escalations.values())

"""The callout: one person being called about one bulletin, and his sequence of attempts.

    waiting ──start──► calling ──answer──► answered
       │                  ├── refusal ──► refused
       │                  ├── switched off, or no usable address ──► unreachable (redials go on)
       │                  ├── sequence ended, every region exhausted ──► silent
       └── stop ──► stopped ◄── stop (answered elsewhere, lifted, expired)

From every state but `answered` a later answer leads to `answered`: a late answer is kept. The rung
only rises. When and by what he is called next is `core.round`'s. Attempt numbers count per tier and
channel, so that the database's unique key stops a second fan-out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from contacts.contact import Number
from warnsvc.core.answer import NO_ANSWER, AnswerKind
from warnsvc.core.callout_fact import (
    Answered,
    AttemptFailed,
    CallByHand,
    CancelUnsent,
    Effect,
    Fact,
    GiveUp,
    Raised,
    Start,
    StepDue,
    Stop,
    Unreachable,
)
from warnsvc.core.pack import TierRule
from warnsvc.core.round import (
    ATTEMPTS_PER_CHANNEL_MAX,
    USELESS,
    Failure,
    PlanAttempt,
    Tried,
    instead,
    is_away,
    is_blocked,
    plans,
    round_due_at,
    round_of,
    usable_addresses,
)

__all__ = [
    "ACTIVE",
    "ATTEMPTS_PER_CHANNEL_MAX",
    "HOPELESS",
    "USELESS",
    "Answered",
    "AttemptFailed",
    "CallByHand",
    "Callout",
    "CalloutState",
    "CancelUnsent",
    "Effect",
    "Fact",
    "Failure",
    "GiveUp",
    "PlanAttempt",
    "Raised",
    "Start",
    "StepDue",
    "Stop",
    "Tried",
    "Unreachable",
    "decide",
]
"""Facts, effects and what rounds are made of belong to a callout, so they are found here too."""


class CalloutState(StrEnum):
    """How far calling this person has come."""

    WAITING = "waiting"
    """His tier is not open."""
    CALLING = "calling"
    """Being called."""
    ANSWERED = "answered"
    """Has answered, in time or late."""
    REFUSED = "refused"
    """Said that he cannot."""
    UNREACHABLE = "unreachable"
    """No usable address answers at all."""
    SILENT = "silent"
    """Called to the end of the sequence without an answer."""
    STOPPED = "stopped"
    """No longer needed."""


ACTIVE = frozenset({CalloutState.CALLING, CalloutState.UNREACHABLE})
HOPELESS = frozenset({CalloutState.REFUSED, CalloutState.UNREACHABLE})
"""No tier waits for these. Who was silent before is called anew, so he is not among them."""
_STOPPABLE = frozenset({CalloutState.WAITING, CalloutState.CALLING, CalloutState.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Callout:
    """The state that is decided about."""

    id: int
    contact_id: int
    state: CalloutState
    tier: int
    step: int
    rung: int
    numbers: tuple[Number, ...]
    robot_ok: bool
    started_at: datetime | None
    due_at: datetime | None
    answered_at: datetime | None = None
    late: bool = False


def decide(
    state: Callout, fact: Fact, *, rule: TierRule, tried: Sequence[Tried]
) -> tuple[Callout, tuple[Effect, ...]]:
    """Return the next state and what must be done. `tried`: his attempts so far, oldest first."""
    match fact:
        case Start():
            return _start(state, fact, rule, tried)
        case StepDue(now):
            return _step_due(state, now, rule, tried)
        case AttemptFailed():
            return _attempt_failed(state, tried)
        case Answered():
            return _answered(state, fact)
        case Raised(rung):
            return _raised(state, rung), ()
        case Stop(silent):
            return _stop(state, silent=silent)
        case GiveUp():
            return _give_up(state), ()
        case _:
            assert_never(fact)


def _start(
    state: Callout, fact: Start, rule: TierRule, tried: Sequence[Tried]
) -> tuple[Callout, tuple[Effect, ...]]:
    if state.state is not CalloutState.WAITING:
        return state, ()
    if not state.robot_ok:
        return _begun(state, fact, CalloutState.CALLING, len(rule.steps), None), (CallByHand(),)
    usable = usable_addresses(state.numbers, tried)
    if not usable:
        return _begun(state, fact, CalloutState.UNREACHABLE, 0, None), (_no_address(tried),)
    due_at = round_due_at(rule, fact.now, 1, fact.now)
    begun = _begun(state, fact, CalloutState.CALLING, 1, due_at)
    return begun, round_of(fact.tier, rule.steps[0], usable, tried)


def _begun(
    state: Callout, fact: Start, to: CalloutState, step: int, due_at: datetime | None
) -> Callout:
    """Written out, because `replace` costs more than everything else a release computes."""
    return Callout(
        state.id,
        state.contact_id,
        to,
        fact.tier,
        step,
        state.rung,
        state.numbers,
        state.robot_ok,
        fact.now,
        due_at,
        state.answered_at,
        state.late,
    )


def _step_due(
    state: Callout, now: datetime, rule: TierRule, tried: Sequence[Tried]
) -> tuple[Callout, tuple[Effect, ...]]:
    if state.state not in ACTIVE or state.due_at is None or now < state.due_at:
        return state, ()
    assert state.started_at is not None, "a callout that is called has begun"
    following = state.step + 1
    due_at = round_due_at(rule, state.started_at, following, now)
    usable = usable_addresses(state.numbers, tried)
    effects = round_of(state.tier, rule.steps[state.step], usable, tried)
    return replace(state, step=following, due_at=due_at), effects


def _attempt_failed(state: Callout, tried: Sequence[Tried]) -> tuple[Callout, tuple[Effect, ...]]:
    if state.state is not CalloutState.CALLING or not tried:
        return state, ()
    usable = usable_addresses(state.numbers, tried)
    if not usable:
        return _unreachable(state, None), (_no_address(tried),)
    if all(is_away(a, tried) for addresses in usable.values() for a in addresses):
        return _unreachable(state, state.due_at), (Unreachable(away=True),)
    return state, plans(state.tier, instead(state.tier, usable, tried), usable, tried)


def _no_address(tried: Sequence[Tried]) -> Unreachable:
    return Unreachable(away=False, blocked=is_blocked(tried))


def _unreachable(state: Callout, due_at: datetime | None) -> Callout:
    return replace(state, state=CalloutState.UNREACHABLE, due_at=due_at)


def _raised(state: Callout, rung: int) -> Callout:
    """Who refused has heard us, but that is no answer."""
    if rung <= state.rung or state.state is CalloutState.REFUSED:
        return state
    return replace(state, rung=rung)


def _answered(state: Callout, fact: Answered) -> tuple[Callout, tuple[Effect, ...]]:
    if fact.kind in NO_ANSWER:
        return state, ()
    if fact.kind is AnswerKind.REFUSED:
        return _refused(state)
    if fact.kind is AnswerKind.HEARD and state.state is CalloutState.REFUSED:
        return state, ()  # The carrier's word about the same call comes after his own.
    rung = max(state.rung, fact.rung)
    if state.state is CalloutState.ANSWERED:
        return (replace(state, rung=rung) if rung > state.rung else state), ()
    answered = replace(
        state,
        state=CalloutState.ANSWERED,
        rung=rung,
        due_at=None,
        answered_at=fact.now,
        late=fact.late,
    )
    return answered, (CancelUnsent(),)


def _refused(state: Callout) -> tuple[Callout, tuple[Effect, ...]]:
    if state.state in {CalloutState.ANSWERED, CalloutState.REFUSED}:
        return state, ()
    return replace(state, state=CalloutState.REFUSED, due_at=None), (CancelUnsent(),)


def _stop(state: Callout, *, silent: bool) -> tuple[Callout, tuple[Effect, ...]]:
    if state.state is CalloutState.SILENT:
        return state, (CancelUnsent(),)  # Of the last round something may still be unsent.
    if state.state not in _STOPPABLE:
        return state, ()
    to = CalloutState.STOPPED
    if silent and state.state is not CalloutState.WAITING:
        to = CalloutState.SILENT if state.state is CalloutState.CALLING else state.state
    if to is state.state and state.due_at is None:
        return state, ()
    return replace(state, state=to, due_at=None), (CancelUnsent(),)


def _give_up(state: Callout) -> Callout:
    """Rounds that are still due go on: a phone may be switched on again."""
    if state.state is CalloutState.CALLING and state.due_at is None:
        return replace(state, state=CalloutState.SILENT)
    return state

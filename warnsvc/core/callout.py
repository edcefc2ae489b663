"""The callout: one person being called about one bulletin, and his sequence of attempts.

    waiting ──start──► calling ──answer──► answered
       │                  ├── refusal ──► refused
       │                  ├── switched off, or no usable address ──► unreachable (redials go on)
       │                  ├── sequence ended, every region exhausted ──► silent
       └── stop ──► stopped ◄── stop (answered elsewhere, lifted, expired)

From every state but `answered` a later answer leads to `answered`: a late answer is kept. The rung
only rises. Round k of the sequence is due at `started_at + after_seconds(k)`, and never closer to
the round before it than the rule spaces them, so that a stall is not followed by a volley. Attempt
numbers count per tier and channel, so that the database's unique key stops a second fan-out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, assert_never

from contacts.contact import Number, channels_of
from warnsvc.core.answer import AnswerKind
from warnsvc.core.pack import Step, TierRule

ATTEMPTS_PER_CHANNEL_MAX = 12
"""A stop against a loop of failing addresses; three rounds and four numbers need no more."""


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
FALLBACK_CHANNELS = ("voice", "sms", "webhook")
"""Where to turn when a channel has no address left: what wakes people first."""

_STOPPABLE = frozenset({CalloutState.WAITING, CalloutState.CALLING, CalloutState.UNREACHABLE})


class Failure(StrEnum):
    """What a failed attempt says about its address, in the callout's own terms."""

    DEAD = "dead"
    """Useless on this channel: the next address now."""
    AWAY = "away"
    """Switched off or out of coverage."""
    MISSED = "missed"
    """Rang, busy, voicemail, expired: try again in the next round."""


class Tried(NamedTuple):
    """An attempt as the callout sees it. A tuple, because a release makes a hundred thousand."""

    channel: str
    tier: int
    number: int
    address: str
    failure: Failure | None = None
    ended: bool = False
    """Ended without a failure means that it arrived."""


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


@dataclass(frozen=True, slots=True)
class Start:
    """His tier opened."""

    tier: int
    now: datetime


@dataclass(frozen=True, slots=True)
class StepDue:
    """The next round is due."""

    now: datetime


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """An attempt ended without reaching anybody; it is already in `tried`."""

    now: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """He said something that counts, or refused."""

    kind: AnswerKind
    rung: int
    late: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class Raised:
    """A receipt: the rung rises (delivered, ringing, heard), nothing else happens."""

    rung: int


@dataclass(frozen=True, slots=True)
class Stop:
    """No longer needed. `silent`: because time ran out, not because somebody answered."""

    silent: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Every region he was called for is exhausted. What is planned still goes out: it warns him."""


Fact = Start | StepDue | AttemptFailed | Answered | Raised | Stop | GiveUp


class PlanAttempt(NamedTuple):
    """Send this."""

    channel: str
    tier: int
    number: int
    address: str


@dataclass(frozen=True, slots=True)
class CancelUnsent:
    """Whatever is planned and not yet sent is not needed any more."""


@dataclass(frozen=True, slots=True)
class CallByHand:
    """No robot may call him: a task for the desk."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The next tier must not wait. `away`: switched off; otherwise no usable address is left."""

    away: bool


Effect = PlanAttempt | CancelUnsent | CallByHand | Unreachable


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
    usable = _usable(state, tried)
    if not usable:
        return _begun(state, fact, CalloutState.UNREACHABLE, 0, None), (Unreachable(away=False),)
    due_at = _due_at(rule, fact.now, 1, fact.now)
    begun = _begun(state, fact, CalloutState.CALLING, 1, due_at)
    return begun, _attempts(fact.tier, rule.steps[0], usable, tried)


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
    due_at = _due_at(rule, state.started_at, following, now)
    effects = _attempts(state.tier, rule.steps[state.step], _usable(state, tried), tried)
    return replace(state, step=following, due_at=due_at), effects


def _due_at(rule: TierRule, started_at: datetime, step: int, now: datetime) -> datetime | None:
    """When the round with this index is due, the round before it being planned `now`."""
    if step >= len(rule.steps):
        return None
    after = rule.steps[step].after_seconds
    spaced = now + timedelta(seconds=after - rule.steps[step - 1].after_seconds)
    return max(started_at + timedelta(seconds=after), spaced)


def _usable(state: Callout, tried: Sequence[Tried]) -> dict[str, list[str]]:
    """Channel → addresses that are not known to be dead on it, best first."""
    dead = {(t.channel, t.address) for t in tried if t.failure is Failure.DEAD} if tried else ()
    found: dict[str, list[str]] = {}
    for number in state.numbers:
        if number.failed:
            continue
        for channel in channels_of(number.kind):
            if (channel, number.address) not in dead:
                found.setdefault(channel, []).append(number.address)
    return found


def _attempts(
    tier: int, step: Step, usable: dict[str, list[str]], tried: Sequence[Tried]
) -> tuple[PlanAttempt, ...]:
    """The round's channels that reach him; when none does, any one that does."""
    channels: Iterable[str] = [channel for channel in step.channels if channel in usable]
    return _plans(tier, channels or tuple(usable)[:1], usable, tried)


def _plans(
    tier: int, channels: Iterable[str], usable: dict[str, list[str]], tried: Sequence[Tried]
) -> tuple[PlanAttempt, ...]:
    if not tried:  # A release plans a hundred thousand of these.
        return tuple([PlanAttempt(channel, tier, 1, usable[channel][0]) for channel in channels])
    planned = [_plan(tier, channel, usable[channel], tried) for channel in channels]
    return tuple([plan for plan in planned if plan is not None])


def _plan(
    tier: int, channel: str, addresses: Sequence[str], tried: Sequence[Tried]
) -> PlanAttempt | None:
    """The next attempt on a channel, turning through his addresses. None at the limit."""
    before = [t for t in tried if t.channel == channel and t.tier == tier]
    if len(before) >= ATTEMPTS_PER_CHANNEL_MAX:
        return None
    alive = sum(1 for t in before if t.failure is not Failure.DEAD)
    number = max((t.number for t in before), default=0) + 1
    return PlanAttempt(channel, tier, number, addresses[alive % len(addresses)])


def _attempt_failed(state: Callout, tried: Sequence[Tried]) -> tuple[Callout, tuple[Effect, ...]]:
    if state.state is not CalloutState.CALLING or not tried:
        return state, ()
    usable = _usable(state, tried)
    if not usable:
        return _unreachable(state, None), (Unreachable(away=False),)
    if all(_away(a, tried) for addresses in usable.values() for a in addresses):
        return _unreachable(state, state.due_at), (Unreachable(away=True),)
    return state, _plans(state.tier, _instead(state.tier, usable, tried), usable, tried)


def _unreachable(state: Callout, due_at: datetime | None) -> Callout:
    return replace(state, state=CalloutState.UNREACHABLE, due_at=due_at)


def _away(address: str, tried: Sequence[Tried]) -> bool:
    """Whether the phone is off: a channel's latest word says so, and none says the opposite.

    A text that was merely taken proves nothing: carriers hold it for hours. A call under way or one
    that rang does, and so does a text that arrived.
    """
    latest = {t.channel: t for t in tried if t.address == address}.values()
    arrived = any(t.ended and t.failure is None for t in latest)
    rang = any(t.channel == "voice" and t.failure in {None, Failure.MISSED} for t in latest)
    return not arrived and not rang and any(t.failure is Failure.AWAY for t in latest)


def _instead(tier: int, usable: dict[str, list[str]], tried: Sequence[Tried]) -> list[str]:
    """The channels to use now, because the latest address on one turned out dead.

    The next address of the same channel; when there is none, another channel, unless something else
    was sent since or is under way.
    """
    latest = {t.channel: (place, t) for place, t in enumerate(tried) if t.tier == tier}
    wanted: dict[str, None] = {}
    for place, last in latest.values():
        if last.failure is not Failure.DEAD:
            continue
        if last.channel in usable:
            wanted[last.channel] = None
        elif place == len(tried) - 1 and all(t.ended for t in tried):
            wanted[next(channel for channel in FALLBACK_CHANNELS if channel in usable)] = None
    return list(wanted)


def _raised(state: Callout, rung: int) -> Callout:
    """Who refused has heard us, but that is no answer."""
    if rung <= state.rung or state.state is CalloutState.REFUSED:
        return state
    return replace(state, rung=rung)


def _answered(state: Callout, fact: Answered) -> tuple[Callout, tuple[Effect, ...]]:
    if fact.kind is AnswerKind.UNCLEAR:
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

"""The callout: one person being called about one bulletin, and his sequence of attempts.

    waiting ──start──► calling ──answer──► answered
       │                  ├── refusal ──► refused
       │                  ├── no usable address left ──► unreachable (redials that are due go on)
       │                  ├── sequence ended, escalations closed ──► silent
       └── stop ──► stopped ◄── stop (answered elsewhere, lifted, expired)

From every state but `answered` a later answer leads to `answered`: a late answer is kept. The rung
only rises. Round k of the sequence is due at `started_at + after_seconds(k)`; attempt numbers count
per tier and channel, so that the database's unique key stops a second fan-out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

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
HOPELESS = frozenset({CalloutState.REFUSED, CalloutState.UNREACHABLE, CalloutState.SILENT})


class Failure(StrEnum):
    """What a failed attempt says about its address, in the callout's own terms."""

    DEAD = "dead"
    """Useless on this channel: the next address now."""
    AWAY = "away"
    """Switched off or out of coverage."""
    MISSED = "missed"
    """Rang, busy, voicemail, expired: try again in the next round."""


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt as the callout sees it."""

    channel: str
    tier: int
    number: int
    address: str
    failure: Failure | None = None
    ended: bool = False


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
    """No longer needed. `silent`: because nobody answered, not because somebody did."""

    silent: bool


Fact = Start | StepDue | AttemptFailed | Answered | Raised | Stop


@dataclass(frozen=True, slots=True)
class PlanAttempt:
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
    """No address left; the next tier must not wait."""


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
            return _attempt_failed(state, rule, tried)
        case Answered():
            return _answered(state, fact)
        case Raised(rung):
            return replace(state, rung=max(state.rung, rung)), ()
        case Stop(silent):
            return _stop(state, silent=silent)
        case _:
            assert_never(fact)


def _start(
    state: Callout, fact: Start, rule: TierRule, tried: Sequence[Tried]
) -> tuple[Callout, tuple[Effect, ...]]:
    if state.state is not CalloutState.WAITING:
        return state, ()
    if not state.robot_ok:
        by_hand = replace(
            state, state=CalloutState.CALLING, tier=fact.tier, started_at=fact.now, due_at=None,
            step=len(rule.steps),
        )
        return by_hand, (CallByHand(),)
    begun = replace(state, state=CalloutState.CALLING, tier=fact.tier, started_at=fact.now)
    if not _usable(begun, tried):
        return replace(begun, state=CalloutState.UNREACHABLE, due_at=None), (Unreachable(),)
    return _round(begun, rule, tried)


def _step_due(
    state: Callout, now: datetime, rule: TierRule, tried: Sequence[Tried]
) -> tuple[Callout, tuple[Effect, ...]]:
    if state.state not in ACTIVE or state.due_at is None or now < state.due_at:
        return state, ()
    return _round(state, rule, tried)


def _round(
    state: Callout, rule: TierRule, tried: Sequence[Tried]
) -> tuple[Callout, tuple[Effect, ...]]:
    """Plan the attempts of the next step and set when the one after it is due."""
    step = rule.steps[state.step]
    effects = tuple(_plan(state, channel, tried) for channel in _channels(state, step, tried))
    assert state.started_at is not None, "a callout that is called has begun"
    following = state.step + 1
    due_at = None
    if following < len(rule.steps):
        due_at = state.started_at + timedelta(seconds=rule.steps[following].after_seconds)
    return replace(state, step=following, due_at=due_at), tuple(e for e in effects if e)


def _channels(state: Callout, step: Step, tried: Sequence[Tried]) -> tuple[str, ...]:
    """The step's channels that still reach him; when none does, any one that does."""
    usable = _usable(state, tried)
    wanted = tuple(channel for channel in step.channels if channel in usable)
    if wanted:
        return wanted
    return tuple(usable)[:1] if state.step == 0 or "webhook" in usable else ()


def _usable(state: Callout, tried: Sequence[Tried]) -> dict[str, list[str]]:
    """Channel → addresses that are not known to be dead on it, best first."""
    dead = {(t.channel, t.address) for t in tried if t.failure is Failure.DEAD}
    found: dict[str, list[str]] = {}
    for number in state.numbers:
        if number.failed:
            continue
        for channel in channels_of(number.kind):
            if (channel, number.address) not in dead:
                found.setdefault(channel, []).append(number.address)
    return found


def _plan(state: Callout, channel: str, tried: Sequence[Tried]) -> PlanAttempt | None:
    """The next attempt on a channel, turning through his addresses. None at the limit."""
    before = [t for t in tried if t.channel == channel and t.tier == state.tier]
    if len(before) >= ATTEMPTS_PER_CHANNEL_MAX:
        return None
    addresses = _usable(state, tried)[channel]
    alive = sum(1 for t in before if t.failure is not Failure.DEAD)
    number = max((t.number for t in before), default=0) + 1
    return PlanAttempt(channel, state.tier, number, addresses[alive % len(addresses)])


def _attempt_failed(
    state: Callout, rule: TierRule, tried: Sequence[Tried]
) -> tuple[Callout, tuple[Effect, ...]]:
    if state.state is not CalloutState.CALLING or not tried:
        return state, ()
    usable = _usable(state, tried)
    last = [t for t in tried if t.failure is not None][-1:]
    if not usable or _all_away(usable, tried):
        due_at = state.due_at if usable else None
        away = replace(state, state=CalloutState.UNREACHABLE, due_at=due_at)
        return away, (Unreachable(),)
    if last and last[0].failure is Failure.DEAD:
        return state, _instead(state, last[0], usable, tried)
    return state, ()


def _instead(
    state: Callout, failed: Tried, usable: dict[str, list[str]], tried: Sequence[Tried]
) -> tuple[Effect, ...]:
    """A dead address: the next one on the channel now, else another channel now."""
    pending = {t.channel for t in tried if not t.ended}
    choices: Iterable[str] = (failed.channel, "voice", "sms", "webhook")
    for channel in choices:
        if channel in usable and channel not in pending:
            planned = _plan(state, channel, tried)
            return (planned,) if planned else ()
        if channel in pending:
            return ()
    return ()


def _all_away(usable: dict[str, list[str]], tried: Sequence[Tried]) -> bool:
    """Whether the latest word on every usable address of every channel is `away`."""
    latest = {(t.channel, t.address): t.failure if t.ended else None for t in tried}
    return all(
        latest.get((channel, address)) is Failure.AWAY
        for channel, addresses in usable.items()
        for address in addresses
    )


def _answered(state: Callout, fact: Answered) -> tuple[Callout, tuple[Effect, ...]]:
    rung = max(state.rung, fact.rung)
    if fact.kind is AnswerKind.UNCLEAR:
        return state, ()
    if fact.kind is AnswerKind.REFUSED:
        if state.state is CalloutState.ANSWERED:
            return state, ()
        refused = replace(state, state=CalloutState.REFUSED, due_at=None)
        return refused, (CancelUnsent(),)
    if state.state is CalloutState.ANSWERED:
        return replace(state, rung=rung), ()
    answered = replace(
        state, state=CalloutState.ANSWERED, rung=rung, due_at=None, answered_at=fact.now,
        late=fact.late,
    )
    return answered, (CancelUnsent(),)


def _stop(state: Callout, *, silent: bool) -> tuple[Callout, tuple[Effect, ...]]:
    if state.state not in {CalloutState.WAITING, *ACTIVE}:
        return state, ()
    to = CalloutState.STOPPED
    if silent and state.state is not CalloutState.WAITING:
        to = CalloutState.SILENT if state.state is CalloutState.CALLING else state.state
    return replace(state, state=to, due_at=None), (CancelUnsent(),)

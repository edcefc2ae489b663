"""The escalation: one bulletin in one region, opening tier after tier until it is answered.

    pending ──open──► calling(tier, deadline) ──quorum──► answered
                         │   ▲ deadline, or the tier can no longer answer: next tier
                         │   └──────────────┘
                         ├── no tier left ──► exhausted ──late quorum──► answered (late)
                         ├── lifted ──► lifted        └── lifted ──► lifted
                         └── expired ──► expired

`decide(state, fact)` folds the fact into the state and then asks what the state calls for: a fact
that is seen twice changes nothing, and a crash between facts loses nothing. Any opened tier can
close the escalation: earlier tiers stay answerable. A receipt is not a fact here (law 1).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from warnsvc.core.pack import Quorum


class EscalationState(StrEnum):
    """Where the call for one region stands."""

    PENDING = "pending"
    """Released, no tier opened yet."""
    CALLING = "calling"
    """A tier is open and its window runs."""
    ANSWERED = "answered"
    """Enough people of one tier have answered."""
    EXHAUSTED = "exhausted"
    """Every tier was silent: a human must act."""
    LIFTED = "lifted"
    """The bulletin was lifted."""
    EXPIRED = "expired"
    """The bulletin ran out before anybody answered: a human must know."""


OPEN = frozenset({EscalationState.PENDING, EscalationState.CALLING})


@dataclass(frozen=True, slots=True)
class Member:
    """One person's standing in a tier. `hopeless`: refused, unreachable or given up."""

    callout_id: int
    rung: int = 0
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier as it was frozen at release."""

    ordinal: int
    window_seconds: int
    quorum: Quorum
    members: tuple[Member, ...]
    source_code: str = ""

    def answered(self, closing_rung: int) -> int:
        """How many members have reached the rung."""
        count = 0
        for member in self.members:  # Plain loops: a release asks this a hundred thousand times.
            if member.rung >= closing_rung:
                count += 1
        return count

    def met(self, closing_rung: int) -> bool:
        """Whether enough have answered. An empty tier never has."""
        answered = self.answered(closing_rung)
        return answered > 0 and answered >= self.quorum.need(len(self.members))

    def can_still_meet(self, closing_rung: int) -> bool:
        """Whether enough have answered or may still."""
        possible = 0
        for member in self.members:
            if not member.hopeless or member.rung >= closing_rung:
                possible += 1
        return 0 < self.quorum.need(len(self.members)) <= possible


@dataclass(frozen=True, slots=True)
class Escalation:
    """The state that is decided about."""

    id: int
    region_code: str
    state: EscalationState
    tier: int
    deadline_at: datetime | None
    tiers: tuple[Tier, ...]
    closing_rung: int
    late: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """The bulletin was released: begin."""

    now: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """Time passed, or nothing at all: what does the state call for?"""

    now: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """A member answered, refused, or cannot be reached."""

    callout_id: int
    rung: int
    hopeless: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class Lift:
    """The bulletin was lifted."""

    now: datetime


@dataclass(frozen=True, slots=True)
class Expire:
    """The bulletin ran out."""

    now: datetime


Fact = Open | Look | Standing | Lift | Expire


@dataclass(frozen=True, slots=True)
class TierOpened:
    """Call these people now. `why`: `released`, `window`, `hopeless` or `empty`."""

    ordinal: int
    callout_ids: tuple[int, ...]
    why: str


@dataclass(frozen=True, slots=True)
class TierEmpty:
    """A tier with nobody in it was passed over."""

    ordinal: int


@dataclass(frozen=True, slots=True)
class QuorumMet:
    """Enough people of a tier have answered; those of later tiers were called in vain."""

    ordinal: int
    late: bool


@dataclass(frozen=True, slots=True)
class LateAnswer:
    """An earlier tier answered after `instead_of` had closed it: stand those between down."""

    ordinal: int
    instead_of: int


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Nobody is left to call: alarm and task."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Lifted, or expired unanswered."""

    state: EscalationState
    unanswered: bool


Effect = TierOpened | TierEmpty | QuorumMet | LateAnswer | Exhausted | Ended


def decide(state: Escalation, fact: Fact) -> tuple[Escalation, tuple[Effect, ...]]:
    """Return the next state and what must be done about it."""
    match fact:
        case Open(now):
            return _look(state, now, opening=True)
        case Look(now):
            return _look(state, now)
        case Standing():
            folded = _with_standing(state, fact)
            if state.state is EscalationState.ANSWERED:
                return folded, _late_answer(state, folded)
            return _look(folded, fact.now)
        case Lift():
            return _end(state, EscalationState.LIFTED)
        case Expire():
            return _end(state, EscalationState.EXPIRED)
        case _:
            assert_never(fact)


def _with_standing(state: Escalation, fact: Standing) -> Escalation:
    """Note where a member stands. The very same state comes back when that is known already."""
    for place, tier in enumerate(state.tiers):
        for seat, member in enumerate(tier.members):
            if member.callout_id == fact.callout_id:
                rung = max(member.rung, fact.rung)
                if (rung, fact.hopeless) == (member.rung, member.hopeless):
                    return state
                noted = Member(member.callout_id, rung, fact.hopeless)
                members = (*tier.members[:seat], noted, *tier.members[seat + 1 :])
                updated = replace(tier, members=members)
                return replace(
                    state, tiers=(*state.tiers[:place], updated, *state.tiers[place + 1 :])
                )
    return state


def _first_met(state: Escalation) -> Tier | None:
    """The lowest tier that has answered, of those that count.

    The region's own people count before their tier is open, should one of them answer elsewhere; a
    superior counts only once he has been called for this region.
    """
    for tier in state.tiers:
        counts = tier.ordinal <= state.tier or tier.source_code == state.region_code
        if counts and tier.met(state.closing_rung):
            return tier
    return None


def _late_answer(before: Escalation, after: Escalation) -> tuple[Effect, ...]:
    old, new = _first_met(before), _first_met(after)
    if old is None or new is None or new.ordinal >= old.ordinal:
        return ()
    return (LateAnswer(new.ordinal, old.ordinal),)


def _end(state: Escalation, ended: EscalationState) -> tuple[Escalation, tuple[Effect, ...]]:
    if state.state not in OPEN and not (
        ended is EscalationState.LIFTED and state.state is EscalationState.EXHAUSTED
    ):
        return state, ()
    return (
        replace(state, state=ended, deadline_at=None),
        (Ended(ended, unanswered=ended is EscalationState.EXPIRED),),
    )


def _look(
    state: Escalation, now: datetime, *, opening: bool = False
) -> tuple[Escalation, tuple[Effect, ...]]:
    """Close what is answered; else open what is due. Ends because each turn opens a later tier."""
    effects: list[Effect] = []
    if state.state is EscalationState.PENDING and not opening:
        return state, ()
    if state.state not in OPEN and state.state is not EscalationState.EXHAUSTED:
        return state, ()
    while True:
        met = _first_met(state)
        if met is not None:
            late = state.late or state.state is EscalationState.EXHAUSTED
            effects.append(QuorumMet(met.ordinal, late))
            answered = replace(state, state=EscalationState.ANSWERED, deadline_at=None, late=late)
            return answered, tuple(effects)
        why = _why_next(state, now)
        if why is None:
            return state, tuple(effects)
        state, opened = _next_tier(state, now, why)
        effects.extend(opened)


def _why_next(state: Escalation, now: datetime) -> str | None:
    if state.state is EscalationState.EXHAUSTED:
        return None
    if state.state is EscalationState.PENDING:
        return "released"
    current = state.tiers[state.tier - 1]
    if not current.can_still_meet(state.closing_rung):
        return "hopeless"
    assert state.deadline_at is not None, "a calling escalation has a deadline"
    return "window" if now >= state.deadline_at else None


def _next_tier(state: Escalation, now: datetime, why: str) -> tuple[Escalation, list[Effect]]:
    effects: list[Effect] = []
    for tier in state.tiers[state.tier :]:
        if not tier.members:
            effects.append(TierEmpty(tier.ordinal))
            why = "empty"
            continue
        effects.append(TierOpened(tier.ordinal, tuple(m.callout_id for m in tier.members), why))
        deadline = now + timedelta(seconds=tier.window_seconds)
        return _calling(state, tier.ordinal, deadline), effects
    effects.append(Exhausted(why if state.tiers else "no_contact"))
    return replace(state, state=EscalationState.EXHAUSTED, deadline_at=None), effects


def _calling(state: Escalation, tier: int, deadline_at: datetime) -> Escalation:
    """Written out, because `replace` is ten times slower and every release pays for it."""
    return Escalation(
        state.id,
        state.region_code,
        EscalationState.CALLING,
        tier,
        deadline_at,
        state.tiers,
        state.closing_rung,
        state.late,
    )

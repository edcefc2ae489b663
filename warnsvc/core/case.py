"""The case: the part of one bulletin that a step is about, and what follows from its facts.

A step loads the escalations and callouts that a fact touches, tells the case what happened, and
saves what `changes` then holds. The case knows how escalations and callouts move each other:

    answer ──► callout.rung ──► every escalation he stands in decides
    tier opens ──► callouts start ──► unreachable at once? ──► that escalation decides again
    escalation answered ──► callouts nobody needs any more stop; those called in vain stand down
    escalation exhausted ──► its callouts finish what is planned and due, then count as silent

It decides with `escalation.decide` and `callout.decide` and adds nothing to their rules. No clock,
no database: `now` comes in, ids of new rows are given by whoever saves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple, assert_never

from warnsvc.core import callout as call
from warnsvc.core import escalation as esc
from warnsvc.core.answer import AnswerKind
from warnsvc.core.callout import Callout, CalloutState, Tried
from warnsvc.core.escalation import Escalation, EscalationState
from warnsvc.core.ledger import Line
from warnsvc.core.pack import Rule

_WANTING = frozenset({EscalationState.CALLING, EscalationState.EXHAUSTED})
"""An answer would still close these."""
_ENDED = frozenset({CalloutState.WAITING, CalloutState.SILENT, CalloutState.STOPPED})
"""Nobody is calling him, and he may be called."""
_NOTICE_CHANNELS = (("sms", "mobile"), ("webhook", "webhook"), ("voice", "landline"))
"""How a notice goes out, quietest first, and the kind of number it needs."""


class NewAttempt(NamedTuple):
    """An attempt to be planned. `listing` names the silent regions a superior is called for."""

    callout_id: int
    channel: str
    tier: int
    number: int
    address: str
    purpose: str = "call"
    listing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewTask:
    """Something for a human. `kind`: `call_by_hand`, `knock`, `help`, `fix_number`."""

    kind: str
    escalation_id: int | None = None
    callout_id: int | None = None


@dataclass(frozen=True, slots=True)
class NewAlarm:
    """Something the desk must hear. `kind` as in the alarm table."""

    kind: str
    escalation_id: int | None = None
    callout_id: int | None = None


@dataclass(slots=True)
class Changes:
    """What must be saved, in one transaction."""

    escalations: dict[int, Escalation] = field(default_factory=dict)
    callouts: dict[int, Callout] = field(default_factory=dict)
    attempts: list[NewAttempt] = field(default_factory=list)
    cancel_unsent: set[int] = field(default_factory=set)
    """Callouts whose planned, unsent attempts are cancelled."""
    moot_escalations: set[int] = field(default_factory=set)
    """Escalations whose open tasks are no longer needed."""
    moot_callouts: set[int] = field(default_factory=set)
    """Callouts that nobody need call by hand any more."""
    tasks: list[NewTask] = field(default_factory=list)
    alarms: list[NewAlarm] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


class Case:
    """A working set. Tell it facts, then read `changes`.

    `called_for`: callout → {escalation: region name} of every escalation that still wants an answer
    (calling, or exhausted) and whose opened tiers hold him, also of those that are not in this
    working set; those that are in it may be left out. Of those that are not, he is taken to be a
    superior.
    """

    def __init__(
        self,
        *,
        bulletin_id: int,
        rule: Rule,
        now: datetime,
        escalations: Iterable[Escalation],
        callouts: Iterable[Callout],
        region_names: Mapping[int, str],
        tried: Mapping[int, list[Tried]] | None = None,
        called_for: Mapping[int, dict[int, str]] | None = None,
    ) -> None:
        self._bulletin_id = bulletin_id
        self._rule = rule
        self._now = now
        self._escalations = {e.id: e for e in escalations}
        self._callouts = {c.id: c for c in callouts}
        self._names = region_names
        self._tried: Mapping[int, list[Tried]] = tried or {}
        self._called_for = self._all_called_for(called_for or {})
        self._stands_in_: dict[int, list[int]] | None = None
        self._reached: dict[int, list[int]] = {}
        self._planned: set[int] = set()
        self.changes = Changes()

    def _all_called_for(self, given: Mapping[int, dict[int, str]]) -> dict[int, dict[int, str]]:
        """Callout → {escalation: region name if he is a superior there, else nothing}."""
        found = {
            callout: {e: name if self._stands_behind(e, callout) else "" for e, name in by.items()}
            for callout, by in given.items()
        }
        for escalation in self._escalations.values():
            if escalation.state in _WANTING:
                for tier in escalation.tiers[: escalation.tier]:
                    name = self._listed_name(escalation, tier)
                    for member in tier.members:
                        found.setdefault(member.callout_id, {})[escalation.id] = name
        return found

    def _listed_name(self, escalation: Escalation, tier: esc.Tier) -> str:
        """What a superior is told; the region's own people know where they are."""
        return "" if tier.source_code == escalation.region_code else self._names[escalation.id]

    # Facts ---------------------------------------------------------------------------------

    def open_all(self) -> None:
        """The bulletin was released."""
        for escalation_id in self._escalations:
            self._decide(escalation_id, esc.Open(self._now))
        self._finish()

    def look(self, escalation_ids: Iterable[int]) -> None:
        """Deadlines have passed, or may have."""
        for escalation_id in escalation_ids:
            self._decide(escalation_id, esc.Look(self._now))
        self._finish()

    def steps_due(self, callout_ids: Iterable[int]) -> None:
        """The next rounds of these callouts are due."""
        for callout_id in callout_ids:
            self._tell(callout_id, call.StepDue(self._now))
        self._finish()

    def attempts_failed(self, callout_ids: Iterable[int]) -> None:
        """Attempts of these callouts ended without reaching anybody; they are in `tried`."""
        for callout_id in callout_ids:
            self._tell(callout_id, call.AttemptFailed(self._now))
        self._finish()

    def raised(self, callout_id: int, rung: int) -> None:
        """A receipt raised the rung. From the closing rung on, having heard is an answer."""
        if rung < self._rule.closing_rung:
            self._tell(callout_id, call.Raised(rung))
            return
        self.answered(
            callout_id,
            AnswerKind.HEARD,
            rung,
            happened_at=self._now,
            channel="voice",
        )

    def answered(
        self,
        callout_id: int,
        kind: AnswerKind,
        rung: int,
        *,
        happened_at: datetime,
        channel: str,
        actor: str = "",
    ) -> bool:
        """A person answered. Returns whether he was late: nobody was waiting for him any more.

        `actor` is who entered it, when it was not the person himself.
        """
        before = self._callouts[callout_id]
        late = self.is_late(callout_id)
        if kind is AnswerKind.UNCLEAR:
            self.changes.alarms.append(NewAlarm("unmatched", callout_id=callout_id))
            return late
        if kind is AnswerKind.HEARD and rung < self._rule.closing_rung:
            self.raised(callout_id, rung)
            return late
        self._tell(callout_id, call.Answered(kind, rung, late, happened_at))
        self._line(
            "callout.refused" if kind is AnswerKind.REFUSED else "callout.answered",
            callout_id=callout_id,
            from_state=before.state,
            to_state=self._callouts[callout_id].state,
            actor=actor or f"contact:{before.contact_id}",
            happened_at=happened_at,
            why="late" if late else "in_time",
            data={"kind": kind, "rung": rung, "channel": channel, "contact": before.contact_id},
        )
        self._call_humans(before, kind)
        self._spread(callout_id)
        self._finish()
        return late

    def _call_humans(self, before: Callout, kind: AnswerKind) -> None:
        self.changes.moot_callouts.add(before.id)
        if kind is AnswerKind.REFUSED and before.state is CalloutState.ANSWERED:
            # His region counts as answered and stays so; somebody must know that he will not act.
            self.changes.alarms.append(NewAlarm("refused", callout_id=before.id))
        if kind is AnswerKind.HELP:
            self.changes.alarms.append(NewAlarm("help", callout_id=before.id))
            self.changes.tasks.append(NewTask("help", callout_id=before.id))

    def lift(self, *, expired: bool = False) -> None:
        """The bulletin was lifted, or ran out."""
        fact: esc.Fact = esc.Expire(self._now) if expired else esc.Lift(self._now)
        for escalation_id in self._escalations:
            self._decide(escalation_id, fact)
        for callout_id in self._callouts:
            self._stop(callout_id, silent=expired)

    def is_late(self, callout_id: int) -> bool:
        """Whether every window in which he was called has closed; once answered, it is settled."""
        state = self._callouts[callout_id]
        if state.state is CalloutState.WAITING:
            return False
        if state.state is CalloutState.ANSWERED:
            return state.late
        stands_in = map(self._escalations.__getitem__, self._stands_in(callout_id))
        return not any(
            escalation.state is EscalationState.CALLING
            and _tier_of(escalation, callout_id) == escalation.tier
            for escalation in stands_in
        )

    # Escalations ---------------------------------------------------------------------------

    def _stands_in(self, callout_id: int) -> list[int]:
        """The escalations of the working set that hold him. A release never asks."""
        if self._stands_in_ is None:
            self._stands_in_ = {}
            for escalation in self._escalations.values():
                for tier in escalation.tiers:
                    for member in tier.members:
                        self._stands_in_.setdefault(member.callout_id, []).append(escalation.id)
        return self._stands_in_.get(callout_id, [])

    def _decide(self, escalation_id: int, fact: esc.Fact) -> None:
        before = self._escalations[escalation_id]
        after, effects = esc.decide(before, fact)
        if after is before:
            return
        self._escalations[escalation_id] = after
        if _stored(after) != _stored(before):
            self.changes.escalations[escalation_id] = after
        was = before.state
        for effect in effects:
            was = self._apply(was, after, effect)

    def _apply(
        self, was: EscalationState, after: Escalation, effect: esc.Effect
    ) -> EscalationState:
        """Do what an effect asks; returns the state that it led to."""
        match effect:
            case esc.TierOpened():
                return self._tier_opened(was, after, effect)
            case esc.TierEmpty(ordinal):
                self._escalation_line("escalation.tier_empty", was, was, after, "empty", ordinal)
                self.changes.alarms.append(NewAlarm("no_contact", escalation_id=after.id))
                return was
            case esc.QuorumMet(ordinal, late):
                return self._quorum_met(was, after, ordinal, late=late)
            case esc.LateAnswer(ordinal, instead_of):
                self._escalation_line("escalation.answered_late", was, was, after, "late", ordinal)
                self._stand_down(after, after.tiers[ordinal:instead_of])
                return was
            case esc.Exhausted(why):
                return self._exhausted(was, after, why)
            case esc.Ended():
                return self._ended(was, after, effect)
            case _:
                assert_never(effect)

    def _tier_opened(
        self, was: EscalationState, after: Escalation, effect: esc.TierOpened
    ) -> EscalationState:
        tier = after.tiers[effect.ordinal - 1]
        to = EscalationState.CALLING
        self._escalation_line(
            "escalation.tier_opened",
            was,
            to,
            after,
            effect.why,
            effect.ordinal,
            callouts=list(effect.callout_ids),
            window=tier.window_seconds,
        )
        name = self._listed_name(after, tier)
        for callout_id in effect.callout_ids:
            self._called_for.setdefault(callout_id, {})[after.id] = name
            self._reached.setdefault(callout_id, []).append(after.id)
        return to

    def _quorum_met(
        self, was: EscalationState, after: Escalation, ordinal: int, *, late: bool
    ) -> EscalationState:
        to = EscalationState.ANSWERED
        why = "late" if late else "quorum"
        self._escalation_line("escalation.answered", was, to, after, why, ordinal)
        self.changes.moot_escalations.add(after.id)
        self._let_go(after)
        self._stand_down(after, after.tiers[ordinal : after.tier])
        return to

    def _exhausted(self, was: EscalationState, after: Escalation, why: str) -> EscalationState:
        to = EscalationState.EXHAUSTED
        self._escalation_line("escalation.exhausted", was, to, after, why, after.tier)
        self.changes.alarms.append(NewAlarm("exhausted", escalation_id=after.id))
        self.changes.tasks.append(NewTask("knock", escalation_id=after.id))
        for callout_id in _called(after):
            if self._rounds_are_over(self._callouts[callout_id]):
                self._tell(callout_id, call.GiveUp())
        return to

    def _ended(self, was: EscalationState, after: Escalation, effect: esc.Ended) -> EscalationState:
        to = effect.state
        self._escalation_line(f"escalation.{to}", was, to, after, to, after.tier)
        if effect.unanswered:
            self.changes.alarms.append(NewAlarm("expired", escalation_id=after.id))
            self.changes.tasks.append(NewTask("knock", escalation_id=after.id))
        else:
            self.changes.moot_escalations.add(after.id)
        return to

    def _let_go(self, escalation: Escalation) -> None:
        """Stop calling everybody who was called for this region only."""
        for callout_id in _called(escalation):
            wanted_for = self._called_for.get(callout_id, {})
            wanted_for.pop(escalation.id, None)
            if not wanted_for:
                self._stop(callout_id, silent=False)

    def _stand_down(self, escalation: Escalation, tiers: Iterable[esc.Tier]) -> None:
        """Tell those who were called because this region was silent that it has answered."""
        for tier in tiers:
            for member in tier.members:
                state = self._callouts[member.callout_id]
                if not self._called_for.get(member.callout_id) and self._tried.get(state.id):
                    self._notice(state, "stand_down", [escalation.id])

    # Callouts ------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Start or inform everybody whose tier opened, until nothing more follows.

        Waiting until all escalations have decided is what makes twelve silent villages one call to
        the township.
        """
        while self._reached:
            reached, self._reached = self._reached, {}
            for callout_id, escalation_ids in reached.items():
                self._reach(self._callouts[callout_id], escalation_ids)

    def _reach(self, state: Callout, escalation_ids: list[int]) -> None:
        """Tiers that hold him have opened: call him, or tell him that there is more."""
        wanting = [e for e in escalation_ids if self._escalations[e].state in _WANTING]
        if self._may_start(state):
            if wanting:
                self._start(state, wanting)
        elif state.state is CalloutState.ANSWERED:
            self._inform(state, escalation_ids)
        elif state.state is CalloutState.CALLING:
            self._inform(state, wanting)

    def _may_start(self, state: Callout) -> bool:
        """Whether nobody is calling him: not yet, not any more, or his rounds ended long ago."""
        return state.state in _ENDED or self._rounds_are_over(state)

    def _rounds_are_over(self, state: Callout) -> bool:
        """Whether a robot has called him to the end, and the window he was called in is over."""
        if state.state is not CalloutState.CALLING or state.due_at or not state.robot_ok:
            return False
        assert state.started_at is not None, "a callout that is called has begun"
        window = timedelta(seconds=self._rule.tier(state.tier).window_seconds)
        return self._now >= state.started_at + window

    def _start(self, state: Callout, escalation_ids: list[int]) -> None:
        ordinal = max([_tier_of(self._escalations[e], state.id) for e in escalation_ids])
        again = state.state is not CalloutState.WAITING
        if again:  # a first start stands in the line of the tier that opened, with his id
            self._line(
                "callout.started_again",
                callout_id=state.id,
                from_state=state.state,
                to_state=CalloutState.CALLING,
                why=f"tier {ordinal}",
                data={"contact": state.contact_id, "tier": ordinal},
            )
            self._callouts[state.id] = replace(state, state=CalloutState.WAITING)
        self._tell(state.id, call.Start(ordinal, self._now))
        if again:
            self._spread(state.id)

    def _inform(self, state: Callout, escalation_ids: Iterable[int]) -> None:
        """He has been called already; a text names the regions that have joined."""
        behind = [e for e in escalation_ids if self._stands_behind(e, state.id)]
        if behind and (state.id in self._tried or state.id in self._planned):
            self._notice(state, "inform", behind)

    def _stop(self, callout_id: int, *, silent: bool) -> None:
        state = self._callouts[callout_id]
        self._tell(callout_id, call.Stop(silent))
        if not state.robot_ok:
            self.changes.moot_callouts.add(callout_id)

    def _tell(self, callout_id: int, fact: call.Fact) -> None:
        before = self._callouts[callout_id]
        rule = self._rule.tier(fact.tier if isinstance(fact, call.Start) else before.tier or 1)
        tried = self._tried_by(callout_id)
        after, effects = call.decide(before, fact, rule=rule, tried=tried)
        if after is not before:
            self._callouts[callout_id] = after
            self.changes.callouts[callout_id] = after
        if effects:
            listing = self._listing(callout_id)
            for effect in effects:
                self._apply_to_callout(after, effect, listing)

    def _tried_by(self, callout_id: int) -> Sequence[Tried]:
        """His attempts so far, those of this step at the end."""
        tried: Sequence[Tried] = self._tried.get(callout_id, ())
        if callout_id not in self._planned:
            return tried
        planned = (a for a in self.changes.attempts if a.callout_id == callout_id)
        return [
            *tried,
            *(
                Tried(a.channel, a.tier, a.number, a.address)
                for a in planned
                if a.purpose == "call"
            ),
        ]

    def _apply_to_callout(
        self, state: Callout, effect: call.Effect, listing: tuple[str, ...]
    ) -> None:
        match effect:
            case call.PlanAttempt(channel, tier, number, address):
                self.changes.attempts.append(
                    NewAttempt(state.id, channel, tier, number, address, "call", listing)
                )
                self._planned.add(state.id)
            case call.CancelUnsent():
                self.changes.cancel_unsent.add(state.id)
            case call.CallByHand():
                self.changes.tasks.append(NewTask("call_by_hand", callout_id=state.id))
            case call.Unreachable(away):
                self._unreachable(state, away=away)
            case _:
                assert_never(effect)

    def _unreachable(self, state: Callout, *, away: bool) -> None:
        self._line(
            "callout.unreachable",
            callout_id=state.id,
            from_state=CalloutState.CALLING,
            to_state=state.state,
            why="away" if away else "no_address",
            data={"contact": state.contact_id},
        )
        if not away:  # A phone that is off has the right number.
            self.changes.tasks.append(NewTask("fix_number", callout_id=state.id))
        self._spread(state.id)

    def _spread(self, callout_id: int) -> None:
        """Tell every escalation he stands in where he stands."""
        state = self._callouts[callout_id]
        fact = esc.Standing(callout_id, state.rung, state.state in call.HOPELESS, self._now)
        for escalation_id in self._stands_in(callout_id):
            self._decide(escalation_id, fact)

    def _stands_behind(self, escalation_id: int, callout_id: int) -> bool:
        """Whether he is a superior there, not one of the region's own people."""
        escalation = self._escalations.get(escalation_id)
        if escalation is None:
            return True
        tier = _tier_of(escalation, callout_id)
        return tier > 0 and escalation.tiers[tier - 1].source_code != escalation.region_code

    def _listing(self, callout_id: int) -> tuple[str, ...]:
        """The names of the silent regions he is called for as a superior."""
        return tuple(filter(None, self._called_for.get(callout_id, {}).values()))

    def _notice(self, state: Callout, purpose: str, escalation_ids: list[int]) -> None:
        """A text that asks for nothing. Its number is the escalation's id: told once about each."""
        tried = self._tried.get(state.id, ())
        dead = {(t.channel, t.address) for t in tried if t.failure is call.Failure.DEAD}
        for channel, kind in _NOTICE_CHANNELS:
            numbers = (n for n in state.numbers if n.kind == kind and not n.failed)
            usable = [n.address for n in numbers if (channel, n.address) not in dead]
            if usable:
                listing = tuple([self._names[e] for e in escalation_ids])
                number, tier = min(escalation_ids), max(state.tier, 1)
                self.changes.attempts.append(
                    NewAttempt(state.id, channel, tier, number, usable[0], purpose, listing)
                )
                return

    # Lines ---------------------------------------------------------------------------------

    def _escalation_line(
        self,
        act: str,
        was: EscalationState,
        to: EscalationState,
        after: Escalation,
        why: str,
        tier: int,
        **data: object,
    ) -> None:
        self._line(
            act,
            escalation_id=after.id,
            from_state=was,
            to_state=to,
            why=why,
            data={"region": after.region_code, "tier": tier, **data},
        )

    def _line(
        self,
        act: str,
        *,
        escalation_id: int | None = None,
        callout_id: int | None = None,
        from_state: str = "",
        to_state: str = "",
        why: str = "",
        actor: str = "system",
        happened_at: datetime | None = None,
        data: Mapping[str, object],
    ) -> None:
        self.changes.lines.append(
            Line(
                act=act,
                actor=actor,
                bulletin_id=self._bulletin_id,
                escalation_id=escalation_id,
                callout_id=callout_id,
                from_state=from_state,
                to_state=to_state,
                why=why,
                happened_at=happened_at,
                data=data,
            )
        )


def _stored(escalation: Escalation) -> tuple[object, ...]:
    """What a row holds of it; where members stand is in the callouts' rows."""
    return (escalation.state, escalation.tier, escalation.deadline_at, escalation.late)


def _called(escalation: Escalation) -> list[int]:
    """Everybody in the tiers that have been opened."""
    return [m.callout_id for tier in escalation.tiers[: escalation.tier] for m in tier.members]


def _tier_of(escalation: Escalation, callout_id: int) -> int:
    for tier in escalation.tiers:
        for member in tier.members:
            if member.callout_id == callout_id:
                return tier.ordinal
    return 0

"""The case: the part of one bulletin that a step is about, and what follows from its facts.

A step loads the escalations and callouts that a fact touches, tells the case what happened, and
saves what `changes` then holds. The case knows how escalations and callouts move each other:

    answer ──► callout.rung ──► every escalation he stands in decides
    tier opens ──► callouts start ──► unreachable at once? ──► that escalation decides again
    escalation closes ──► callouts nobody needs any more stop; those called in vain stand down

It decides with `escalation.decide` and `callout.decide` and adds nothing to their rules. No clock,
no database: `now` comes in, ids of new rows are given by whoever saves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from warnsvc.core import callout as call
from warnsvc.core import escalation as esc
from warnsvc.core.answer import RUNG_HEARD, AnswerKind
from warnsvc.core.callout import Callout, CalloutState, Tried
from warnsvc.core.escalation import Escalation, EscalationState
from warnsvc.core.ledger import Line
from warnsvc.core.pack import Rule


@dataclass(frozen=True, slots=True)
class NewAttempt:
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
    """Callouts whose open tasks are no longer needed."""
    tasks: list[NewTask] = field(default_factory=list)
    alarms: list[NewAlarm] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


class Case:
    """A working set. Tell it facts, then read `changes`.

    `called_for`: callout → {escalation: region name} of every open escalation in which he is being
    called, also those that are not in this working set. `told`: callouts to whom anything was sent.
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
        self._tried: dict[int, list[Tried]] = dict(tried or {})
        self._called_for: dict[int, dict[int, str]] = dict(called_for or {})
        self._stands_in: dict[int, list[int]] = {}
        for escalation in self._escalations.values():
            for tier in escalation.tiers:
                for member in tier.members:
                    self._stands_in.setdefault(member.callout_id, []).append(escalation.id)
        self._reached: dict[int, None] = {}
        self.changes = Changes()

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
        """A receipt raised the rung. Below the closing rung it moves nothing else."""
        self._tell(callout_id, call.Raised(rung))
        if rung >= min(self._rule.closing_rung, RUNG_HEARD):
            self._spread(callout_id)
        self._finish()

    def answered(
        self, callout_id: int, kind: AnswerKind, rung: int, *, happened_at: datetime, actor: str,
        channel: str,
    ) -> bool:
        """A person answered. Returns whether he was late: nobody was waiting for him any more."""
        before = self._callouts[callout_id]
        late = self.is_late(callout_id)
        if kind is AnswerKind.UNCLEAR:
            self.changes.alarms.append(NewAlarm("unmatched", callout_id=callout_id))
            return late
        self._tell(callout_id, call.Answered(kind, rung, late, happened_at))
        after = self._callouts[callout_id]
        self._line(
            "callout.refused" if kind is AnswerKind.REFUSED else "callout.answered",
            callout_id=callout_id, from_state=before.state, to_state=after.state, actor=actor,
            happened_at=happened_at, why="late" if late else "in_time",
            data={"kind": kind.value, "rung": rung, "channel": channel, "contact": before.contact_id},
        )
        if kind is not AnswerKind.REFUSED:
            self.changes.moot_callouts.add(callout_id)
        if kind is AnswerKind.HELP:
            self.changes.alarms.append(NewAlarm("help", callout_id=callout_id))
            self.changes.tasks.append(NewTask("help", callout_id=callout_id))
        self._spread(callout_id)
        self._finish()
        return late

    def lift(self, *, expired: bool = False) -> None:
        """The bulletin was lifted, or ran out."""
        fact: esc.Fact = esc.Expire(self._now) if expired else esc.Lift(self._now)
        for escalation_id in self._escalations:
            self._decide(escalation_id, fact)
        for callout_id in self._callouts:
            self._tell(callout_id, call.Stop(silent=expired))

    def is_late(self, callout_id: int) -> bool:
        """Whether every window in which he was called has closed."""
        state = self._callouts[callout_id]
        if state.state is CalloutState.WAITING:
            return False
        return not any(
            escalation.state is EscalationState.CALLING
            and self._tier_of(escalation, callout_id) == escalation.tier
            for escalation in map(self._escalations.__getitem__, self._stands_in.get(callout_id, ()))
        )

    # Escalations ---------------------------------------------------------------------------

    @staticmethod
    def _tier_of(escalation: Escalation, callout_id: int) -> int:
        for tier in escalation.tiers:
            if any(member.callout_id == callout_id for member in tier.members):
                return tier.ordinal
        return 0

    def _decide(self, escalation_id: int, fact: esc.Fact) -> None:
        before = self._escalations[escalation_id]
        after, effects = esc.decide(before, fact)
        if after is not before:
            self._escalations[escalation_id] = after
            moved = (before.state, before.tier, before.deadline_at, before.late) != (
                after.state, after.tier, after.deadline_at, after.late)
            if moved:
                self.changes.escalations[escalation_id] = after
        for effect in effects:
            self._apply(before, after, effect)

    def _apply(self, before: Escalation, after: Escalation, effect: esc.Effect) -> None:
        match effect:
            case esc.TierOpened():
                self._tier_opened(before, after, effect)
            case esc.TierEmpty(ordinal):
                self._escalation_line("escalation.tier_empty", before, after, "empty", tier=ordinal)
                self.changes.alarms.append(NewAlarm("no_contact", escalation_id=after.id))
            case esc.QuorumMet(ordinal, late):
                why = "late" if late else "quorum"
                self._escalation_line("escalation.answered", before, after, why, tier=ordinal)
                self.changes.moot_escalations.add(after.id)
                self._close(after, answered_tier=ordinal)
            case esc.LateAnswer(ordinal):
                self._escalation_line("escalation.answered_late", before, after, "late", tier=ordinal)
                self._stand_down(after, ordinal)
            case esc.Exhausted(why):
                self._escalation_line("escalation.exhausted", before, after, why, tier=after.tier)
                self.changes.alarms.append(NewAlarm("exhausted", escalation_id=after.id))
                self.changes.tasks.append(NewTask("knock", escalation_id=after.id))
                self._close(after, answered_tier=None)
            case esc.Ended(state, unanswered):
                self._escalation_line(f"escalation.{state}", before, after, state, tier=after.tier)
                if unanswered:
                    self.changes.alarms.append(NewAlarm("expired", escalation_id=after.id))
                    self.changes.tasks.append(NewTask("knock", escalation_id=after.id))
                else:
                    self.changes.moot_escalations.add(after.id)

    def _tier_opened(self, before: Escalation, after: Escalation, effect: esc.TierOpened) -> None:
        tier = after.tiers[effect.ordinal - 1]
        self._escalation_line(
            "escalation.tier_opened", before, after, effect.why, tier=effect.ordinal,
            callouts=list(effect.callout_ids), window=tier.window_seconds,
        )
        for callout_id in effect.callout_ids:
            self._called_for.setdefault(callout_id, {})[after.id] = self._names[after.id]
            self._reached[callout_id] = None

    def _close(self, escalation: Escalation, *, answered_tier: int | None) -> None:
        """Let go of everybody who was called for this region only."""
        for tier in escalation.tiers[: escalation.tier]:
            for member in tier.members:
                open_for = self._called_for.get(member.callout_id, {})
                open_for.pop(escalation.id, None)
                if not open_for:
                    self._tell(member.callout_id, call.Stop(silent=answered_tier is None))
        if answered_tier is not None:
            self._stand_down(escalation, answered_tier)

    def _stand_down(self, escalation: Escalation, answered_tier: int) -> None:
        """Tell the superiors who were called because of this region that it has answered."""
        for tier in escalation.tiers[answered_tier : escalation.tier]:
            for member in tier.members:
                state = self._callouts[member.callout_id]
                if not self._called_for.get(member.callout_id) and self._was_told(state):
                    self._notice(state, "stand_down", (self._names[escalation.id],))

    def _was_told(self, state: Callout) -> bool:
        return state.state is not CalloutState.WAITING and bool(self._tried.get(state.id))

    # Callouts ------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Start or inform everybody whose tier opened, until nothing more follows.

        Waiting until all escalations have decided is what makes twelve silent villages one call to
        the township.
        """
        while self._reached:
            callout_ids, self._reached = list(self._reached), {}
            for callout_id in callout_ids:
                self._begin(callout_id)

    def _begin(self, callout_id: int) -> None:
        state = self._callouts[callout_id]
        if state.state is CalloutState.WAITING:
            ordinal = max(
                self._tier_of(self._escalations[e], callout_id)
                for e in self._called_for[callout_id] if e in self._escalations
            )
            self._tell(callout_id, call.Start(ordinal, self._now))
            self._line(
                "callout.started", callout_id=callout_id, from_state=state.state,
                to_state=self._callouts[callout_id].state, why=f"tier {ordinal}",
                data={"contact": state.contact_id, "tier": ordinal},
            )
        else:
            newly = tuple(self._called_for.get(callout_id, {}).values())
            if self._superior(callout_id) and newly:
                self._notice(state, "inform", newly)
            self._revive(state)
        self._spread(callout_id)

    def _revive(self, state: Callout) -> None:
        """A tier reached somebody whose calling had ended elsewhere: he is needed again."""
        if state.state in {CalloutState.SILENT, CalloutState.STOPPED}:
            waiting = replace(state, state=CalloutState.WAITING, step=0, due_at=None)
            self._callouts[state.id] = waiting
            tier = max(
                (self._tier_of(self._escalations[e], state.id)
                 for e in self._stands_in.get(state.id, ())), default=1)
            self._tell(state.id, call.Start(tier, self._now))

    def _tell(self, callout_id: int, fact: call.Fact) -> None:
        before = self._callouts[callout_id]
        tier = fact.tier if isinstance(fact, call.Start) else max(before.tier, 1)
        tried = self._tried.get(callout_id, [])
        after, effects = call.decide(before, fact, rule=self._rule.tier(tier), tried=tried)
        if after is not before and after != before:
            self._callouts[callout_id] = after
            self.changes.callouts[callout_id] = after
        for effect in effects:
            self._apply_to_callout(after, effect)

    def _apply_to_callout(self, state: Callout, effect: call.Effect) -> None:
        match effect:
            case call.PlanAttempt(channel, tier, number, address):
                listing: tuple[str, ...] = ()
                if self._superior(state.id):
                    listing = tuple(self._called_for.get(state.id, {}).values())
                self.changes.attempts.append(
                    NewAttempt(state.id, channel, tier, number, address, "call", listing)
                )
                self._tried.setdefault(state.id, []).append(Tried(channel, tier, number, address))
            case call.CancelUnsent():
                self.changes.cancel_unsent.add(state.id)
            case call.CallByHand():
                self.changes.tasks.append(NewTask("call_by_hand", callout_id=state.id))
            case call.Unreachable():
                self._line(
                    "callout.unreachable", callout_id=state.id, to_state=state.state,
                    data={"contact": state.contact_id},
                )
                self.changes.tasks.append(NewTask("fix_number", callout_id=state.id))
                self._spread(state.id)

    def _spread(self, callout_id: int) -> None:
        """Tell every escalation he stands in where he stands."""
        state = self._callouts[callout_id]
        fact = esc.Standing(
            callout_id, state.rung, state.state in call.HOPELESS, self._now
        )
        for escalation_id in self._stands_in.get(callout_id, ()):
            self._decide(escalation_id, fact)

    def _superior(self, callout_id: int) -> bool:
        """Whether he stands behind a region that is not his own."""
        return any(
            tier.source_code != self._escalations[e].region_code
            for e in self._stands_in.get(callout_id, ())
            for tier in self._escalations[e].tiers
            if any(member.callout_id == callout_id for member in tier.members)
        )

    def _notice(self, state: Callout, purpose: str, listing: tuple[str, ...]) -> None:
        """A text that asks for nothing: to the first address that takes one, else by voice."""
        for channel, kinds in (("sms", {"mobile"}), ("webhook", {"webhook"}), ("voice", {"landline"})):
            for number in state.numbers:
                if number.kind in kinds and not number.failed:
                    count = sum(1 for a in self.changes.attempts if a.purpose == purpose)
                    self.changes.attempts.append(
                        NewAttempt(state.id, channel, max(state.tier, 1), 0, number.address,
                                   purpose, listing)
                    )
                    assert count >= 0
                    return

    # Lines ---------------------------------------------------------------------------------

    def _escalation_line(
        self, act: str, before: Escalation, after: Escalation, why: str, **data: object
    ) -> None:
        self._line(
            act, escalation_id=after.id, from_state=before.state, to_state=after.state, why=why,
            data={"region": after.region_code, **data},
        )

    def _line(
        self, act: str, *, escalation_id: int | None = None, callout_id: int | None = None,
        from_state: str = "", to_state: str = "", why: str = "", actor: str = "system",
        happened_at: datetime | None = None, data: Mapping[str, object] | None = None,
    ) -> None:
        self.changes.lines.append(
            Line(
                act=act, actor=actor, bulletin_id=self._bulletin_id, escalation_id=escalation_id,
                callout_id=callout_id, from_state=str(from_state), to_state=str(to_state), why=why,
                happened_at=happened_at, data=data or {},
            )
        )

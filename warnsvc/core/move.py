"""How escalations and callouts of a case move each other. The case's own facts are in `core.case`.

    tier opens ──► callouts start ──► unreachable at once? ──► that escalation decides again
    escalation answered ──► callouts nobody needs any more stop; those called in vain stand down
    escalation exhausted ──► its callouts finish what is planned and due, then count as silent

It decides with `escalation.decide` and `callout.decide` and adds nothing to their rules.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from warnsvc.core import callout as call
from warnsvc.core import escalation as esc
from warnsvc.core.callout import Callout, CalloutState
from warnsvc.core.change import NewAlarm, NewAttempt, NewTask
from warnsvc.core.escalation import Escalation, EscalationState
from warnsvc.core.working_set import WANTING, WorkingSet, tier_of

_ENDED = frozenset({CalloutState.WAITING, CalloutState.SILENT, CalloutState.STOPPED})
"""Nobody is calling him, and he may be called."""
_NOTICE_CHANNELS = (("sms", "mobile"), ("webhook", "webhook"), ("voice", "landline"))
"""How a notice goes out, quietest first, and the kind of number it needs."""


class Moves(WorkingSet):
    """A working set in which one thing leads to another."""

    # Escalations ---------------------------------------------------------------------------

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
            if self._rounds_are_over(self._callout(callout_id)):
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
                state = self._callout(member.callout_id)
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
                self._reach(self._callout(callout_id), escalation_ids)

    def _reach(self, state: Callout, escalation_ids: list[int]) -> None:
        """Tiers that hold him have opened: call him, or tell him that there is more."""
        wanting = [e for e in escalation_ids if self._escalations[e].state in WANTING]
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
        ordinal = max([tier_of(self._escalations[e], state.id) for e in escalation_ids])
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
            self._moved[state.id] = replace(state, state=CalloutState.WAITING)
        self._tell(state.id, call.Start(ordinal, self._now))
        if again:
            self._spread(state.id)

    def _inform(self, state: Callout, escalation_ids: Iterable[int]) -> None:
        """He has been called already; a text names the regions that have joined."""
        behind = [e for e in escalation_ids if self._stands_behind(e, state.id)]
        if behind and (state.id in self._tried or state.id in self._planned):
            self._notice(state, "inform", behind)

    def _stop(self, callout_id: int, *, silent: bool) -> None:
        state = self._callout(callout_id)
        self._tell(callout_id, call.Stop(silent))
        if not state.robot_ok:
            self.changes.moot_callouts.add(callout_id)

    def _tell(self, callout_id: int, fact: call.Fact) -> None:
        before = self._callout(callout_id)
        rule = self._rule.tier(fact.tier if isinstance(fact, call.Start) else before.tier or 1)
        tried = self._tried_by(callout_id)
        after, effects = call.decide(before, fact, rule=rule, tried=tried)
        if after is not before:
            self._moved[callout_id] = after
            self.changes.callouts[callout_id] = after
        if effects:
            listing = self._listing(callout_id)
            for effect in effects:
                self._apply_to_callout(after, effect, listing)

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
            case call.Unreachable():
                self._unreachable(state, effect)
            case _:
                assert_never(effect)

    def _unreachable(self, state: Callout, why: call.Unreachable) -> None:
        """Leave a task for a human, unless his own rounds go on: the one that can help him."""
        kind = "call_by_hand" if why.blocked else "fix_number"
        self._line(
            "callout.unreachable",
            callout_id=state.id,
            from_state=CalloutState.CALLING,
            to_state=state.state,
            why="away" if why.away else "blocked" if why.blocked else "no_address",
            data={"contact": state.contact_id},
        )
        if not why.away:  # A phone that is off has the right number.
            self.changes.tasks.append(NewTask(kind, callout_id=state.id))
        self._spread(state.id)

    def _spread(self, callout_id: int) -> None:
        """Tell every escalation he stands in where he stands."""
        state = self._callout(callout_id)
        fact = esc.Standing(callout_id, state.rung, state.state in call.HOPELESS, self._now)
        for escalation_id in self._stands_in(callout_id):
            self._decide(escalation_id, fact)

    def _notice(self, state: Callout, purpose: str, escalation_ids: list[int]) -> None:
        """A text that asks for nothing. Its number is the escalation's id: told once about each."""
        tried = self._tried.get(state.id, ())
        dead = {(t.channel, t.address) for t in tried if t.failure in call.USELESS}
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


def _stored(escalation: Escalation) -> tuple[object, ...]:
    """What a row holds of it; where members stand is in the callouts' rows."""
    return (escalation.state, escalation.tier, escalation.deadline_at, escalation.late)


def _called(escalation: Escalation) -> list[int]:
    """Everybody in the tiers that have been opened."""
    return [m.callout_id for tier in escalation.tiers[: escalation.tier] for m in tier.members]

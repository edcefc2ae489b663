"""The case: the part of one bulletin that a step is about, and what follows from its facts.

A step loads the escalations and callouts that a fact touches, tells the case what happened, and
saves what `changes` then holds. The case knows how escalations and callouts move each other:

    answer ──► callout.rung ──► every escalation he stands in decides
    deadline ──► tier opens ──► callouts start            the moves themselves: `core.move`

No clock, no database: `now` comes in, ids of new rows are given by whoever saves.
"""

from collections.abc import Iterable
from datetime import datetime

from warnsvc.core import callout as call
from warnsvc.core import escalation as esc
from warnsvc.core.answer import NO_ANSWER, AnswerKind
from warnsvc.core.callout import Callout, CalloutState
from warnsvc.core.change import Changes, NewAlarm, NewAttempt, NewTask
from warnsvc.core.escalation import Escalation, EscalationState
from warnsvc.core.move import Moves
from warnsvc.core.working_set import tier_of

__all__ = ["Case", "Changes", "NewAlarm", "NewAttempt", "NewTask", "may_be_told"]


class Case(Moves):
    """A working set. Tell it facts, then read `changes`."""

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
        before = self._callout(callout_id)
        late = self.is_late(callout_id)
        if kind in NO_ANSWER:
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
            to_state=self._callout(callout_id).state,
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
        for callout_id in self._loaded:
            self._stop(callout_id, silent=expired)

    def is_late(self, callout_id: int) -> bool:
        """Whether every window in which he was called has closed; once answered, it is settled."""
        state = self._callout(callout_id)
        if state.state is CalloutState.WAITING:
            return False
        if state.state is CalloutState.ANSWERED:
            return state.late
        stands_in = map(self._escalations.__getitem__, self._stands_in(callout_id))
        return not any(
            escalation.state is EscalationState.CALLING
            and tier_of(escalation, callout_id) == escalation.tier
            for escalation in stands_in
        )


def may_be_told(escalations: Iterable[Escalation]) -> set[int]:
    """Return whose attempts, and whose other regions, a look or an ending may ask about.

    Those whose tier may open now; and everybody in a region where somebody has answered, because
    there it may close and others be stood down. To the rest at most a stop is told, which asks
    nothing; so of a thousand silent villages nobody's attempts need be loaded.
    """
    found: set[int] = set()
    for escalation in escalations:
        tiers = escalation.tiers
        closing = escalation.closing_rung
        if not any(tier.answered(closing) for tier in tiers):
            tiers = tiers[escalation.tier :]
        for tier in tiers:
            found.update([member.callout_id for member in tier.members])
    return found

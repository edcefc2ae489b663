"""A small county in memory: keeps what a case decides the way the store keeps it.

Cases are loaded as narrowly as the store loads them: only the escalations that a fact touches, with
everybody who stands in them. `save` checks what the database would check.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from contacts.contact import Number, NumberKind
from warnsvc.core.answer import AnswerKind, answer
from warnsvc.core.callout import ACTIVE, HOPELESS, Callout, CalloutState, Failure, Tried
from warnsvc.core.case import Case, Changes, NewAlarm, NewAttempt, NewTask
from warnsvc.core.escalation import Escalation, EscalationState, Member, Tier
from warnsvc.core.ledger import Line, body
from warnsvc.core.pack import Quorum, Rule, Step, TierRule

NOW = datetime(2026, 7, 5, 6, 30, tzinfo=UTC)
WINDOW = 300
RED_STEPS = (
    Step(after_seconds=0, channels=("sms", "voice", "webhook")),
    Step(after_seconds=100, channels=("voice",)),
    Step(after_seconds=200, channels=("voice",)),
)


def red(*, quorum: Quorum | None = None, closing_rung: int = 6) -> Rule:
    """The red rule: three calls in five minutes."""
    tier = TierRule(window_seconds=WINDOW, steps=RED_STEPS, quorum=quorum or Quorum())
    return Rule(
        pack="县级默认", version=1, tiers=(tier,), levels_up=2, closing_rung=closing_rung,
        two_person=True, unknown_resend=True,
    )  # fmt: skip


@dataclass
class Attempt:
    """A row: what was planned, and how it ended."""

    plan: NewAttempt
    planned_at: datetime
    state: str = "planned"
    failure: Failure | None = None

    @property
    def tried(self) -> Tried:
        p = self.plan
        ended = self.state in {"arrived", "failed", "cancelled"}
        return Tried(p.channel, p.tier, p.number, p.address, self.failure, ended)


@dataclass(repr=False)
class County:
    """Villages with their people; superiors stand behind them."""

    rule: Rule = field(default_factory=red)
    now: datetime = NOW
    calling_only: bool = False
    """Whether the shell forgets exhausted regions when it loads who is called for what."""
    escalations: dict[int, Escalation] = field(default_factory=dict)
    callouts: dict[int, Callout] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    tasks: list[NewTask] = field(default_factory=list)
    alarms: list[NewAlarm] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    moot: set[tuple[str, int]] = field(default_factory=set)

    # Building ------------------------------------------------------------------------------

    def person(
        self, callout_id: int, *, numbers: Sequence[str] = ("mobile",), robot_ok: bool = True
    ) -> int:
        """Add somebody; his addresses are `7a`, `7b` …"""
        self.callouts[callout_id] = Callout(
            id=callout_id, contact_id=callout_id, state=CalloutState.WAITING, tier=0, step=0, rung=0,
            numbers=tuple(
                Number(rank=n, kind=NumberKind(kind), address=f"{callout_id}{'-abc'[n]}")
                for n, kind in enumerate(numbers, start=1)
            ),
            robot_ok=robot_ok, started_at=None, due_at=None,
        )  # fmt: skip
        return callout_id

    def village(self, *own: Sequence[int], behind: Sequence[Sequence[int]] = ()) -> int:
        """Add a region with its own tiers and those of its superiors; returns its number."""
        number = len(self.escalations) + 1
        code = f"village {number}"
        sources = [code] * len(own) + [f"superior {level}" for level in range(1, len(behind) + 1)]
        for callout_id in {c for people in (*own, *behind) for c in people} - set(self.callouts):
            self.person(callout_id)
        self.escalations[number] = Escalation(
            number, code, EscalationState.PENDING, 0, None,
            tuple(
                Tier(
                    ordinal, self.rule.tier(ordinal).window_seconds, self.rule.tier(ordinal).quorum,
                    tuple(Member(c) for c in people), source,
                )
                for ordinal, (people, source) in enumerate(zip((*own, *behind), sources, strict=True), start=1)
            ),
            self.rule.closing_rung,
        )  # fmt: skip
        return number

    # Acts ----------------------------------------------------------------------------------

    def release(self) -> Changes:
        case = self._case(self.escalations.values())
        case.open_all()
        return self.save(case)

    def wait(self, seconds: float) -> list[Changes]:
        """Let time pass; the sweep runs whenever something is due."""
        until = self.now + timedelta(seconds=seconds)
        changes: list[Changes] = []
        while (due := self._next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            changes += self.sweep()
        self.now = until
        return changes

    def stall(self, seconds: float) -> list[Changes]:
        """Let time pass with nobody looking, then one sweep."""
        self.now += timedelta(seconds=seconds)
        return self.sweep()

    def _next_due(self) -> datetime | None:
        due = [e.deadline_at for e in self.escalations.values() if e.deadline_at is not None]
        due += [c.due_at for c in self.callouts.values() if c.due_at is not None]
        return min(due, default=None)

    def sweep(self) -> list[Changes]:
        """Deadlines, then rounds, each in one unit."""
        changes = []
        passed = [
            e.id for e in self.escalations.values() if e.deadline_at and e.deadline_at <= self.now
        ]
        if passed:
            case = self.case_for_escalations(passed)
            case.look(passed)
            changes.append(self.save(case))
        due = [c.id for c in self.callouts.values() if c.due_at and c.due_at <= self.now]
        if due:
            case = self.case_for_callouts(due)
            case.steps_due(due)
            changes.append(self.save(case))
        return changes

    def answers(self, callout_id: int, kind: AnswerKind = AnswerKind.RECEIVED) -> bool:
        """Somebody answers; returns whether he was late."""
        said = answer(kind)
        case = self.case_for_callouts([callout_id])
        late = case.answered(
            callout_id, said.kind, said.rung, happened_at=self.now, actor=f"contact:{callout_id}",
            channel="sms",
        )  # fmt: skip
        self.save(case)
        return late

    def refuses(self, callout_id: int) -> None:
        self.answers(callout_id, AnswerKind.REFUSED)

    def raised(self, callout_id: int, rung: int) -> None:
        case = self.case_for_callouts([callout_id])
        case.raised(callout_id, rung)
        self.save(case)

    def fails(self, *callout_ids: int, failure: Failure) -> Changes:
        """Whatever is under way to these people fails in this way, in one unit."""
        for attempt in self.calls(*callout_ids):
            if attempt.state in {"planned", "sent"}:
                attempt.state, attempt.failure = "failed", failure
        case = self.case_for_callouts(callout_ids)
        case.attempts_failed(callout_ids)
        return self.save(case)

    def lift(self, *, expired: bool = False) -> Changes:
        """End everything that is open, as the shell does."""
        states = {EscalationState.PENDING, EscalationState.CALLING}
        if not expired:
            states.add(EscalationState.EXHAUSTED)
        ids = [e.id for e in self.escalations.values() if e.state in states]
        case = self.case_for_escalations(ids)
        case.lift(expired=expired)
        return self.save(case)

    # Loading and saving --------------------------------------------------------------------

    def case_for_escalations(self, ids: Iterable[int]) -> Case:
        return self._case([self.escalations[i] for i in ids])

    def case_for_callouts(self, ids: Iterable[int]) -> Case:
        wanted = set(ids)
        closed = {EscalationState.PENDING, EscalationState.LIFTED, EscalationState.EXPIRED}
        found = [
            e for e in self.escalations.values()
            if e.state not in closed and any(
                m.callout_id in wanted and (t.ordinal <= e.tier or t.source_code == e.region_code)
                for t in e.tiers for m in t.members
            )
        ]  # fmt: skip
        return self._case(found, wanted)

    def _case(self, escalations: Iterable[Escalation], also: Iterable[int] = ()) -> Case:
        loaded = [self._with_members(e) for e in escalations]
        ids = {m.callout_id for e in loaded for t in e.tiers for m in t.members} | set(also)
        return Case(
            bulletin_id=1, rule=self.rule, now=self.now, escalations=loaded,
            callouts={i: self.callouts[i] for i in sorted(ids)},
            region_names={e.id: e.region_code for e in loaded},
            tried={i: tried for i in ids if (tried := [a.tried for a in self.calls(i)])},
            called_for={i: self.called_for(i) for i in ids},
        )  # fmt: skip

    def _with_members(self, escalation: Escalation) -> Escalation:
        def standing(member: Member) -> Member:
            state = self.callouts[member.callout_id]
            return Member(state.id, state.rung, state.state in HOPELESS)

        tiers = tuple(replace(t, members=tuple(map(standing, t.members))) for t in escalation.tiers)
        return replace(escalation, tiers=tiers)

    def called_for(self, callout_id: int) -> dict[int, str]:
        """The regions that want an answer and in whose opened tiers he stands."""
        wanting = {EscalationState.CALLING}
        if not self.calling_only:
            wanting.add(EscalationState.EXHAUSTED)
        return {
            e.id: e.region_code
            for e in self.escalations.values()
            if e.state in wanting
            and any(m.callout_id == callout_id for t in e.tiers[: e.tier] for m in t.members)
        }

    def save(self, case: Case) -> Changes:
        """Apply the changes, refusing what the database would refuse."""
        changes = case.changes
        self.escalations.update(changes.escalations)
        self.callouts.update(changes.callouts)
        for attempt in self.attempts:
            if attempt.plan.callout_id in changes.cancel_unsent and attempt.plan.purpose == "call":
                attempt.state = "cancelled" if attempt.state == "planned" else attempt.state
        for new in changes.attempts:
            if new.purpose != "call" or self.callouts[new.callout_id].state in ACTIVE:
                self.attempts.append(Attempt(new, self.now))
        self.moot |= {("escalation", i) for i in changes.moot_escalations}
        self.moot |= {("callout", i) for i in changes.moot_callouts}
        self.tasks += changes.tasks
        self.alarms += changes.alarms
        self.lines += changes.lines
        self._check_constraints()
        return changes

    def _check_constraints(self) -> None:
        keys = [
            (a.plan.callout_id, a.plan.tier, a.plan.channel, a.plan.number, a.plan.purpose)
            for a in self.attempts
        ]
        assert len(keys) == len(set(keys)), "uq_attempt"
        for e in self.escalations.values():
            assert (e.state is EscalationState.CALLING) == (e.deadline_at is not None), e
        for c in self.callouts.values():
            assert c.due_at is None or c.state in ACTIVE, c
            assert c.state is not CalloutState.ANSWERED or c.answered_at is not None, c
        for number, line in enumerate(self.lines):
            body(line, line_id=number, entered_at=self.now)

    # Looking -------------------------------------------------------------------------------

    def calls(self, *callout_ids: int) -> list[Attempt]:
        """The calls (not the notices) to these people, or to everybody."""
        return [
            a for a in self.attempts
            if a.plan.purpose == "call" and (not callout_ids or a.plan.callout_id in callout_ids)
        ]  # fmt: skip

    def told(self, callout_id: int) -> list[str]:
        """What was sent to him, in words: `sms 1`, `voice 2`, `stand_down village 3`."""
        words = []
        for a in self.attempts:
            if a.plan.callout_id == callout_id:
                p = a.plan
                word = f"{p.channel} {p.number}" if p.purpose == "call" else p.purpose
                words.append(" ".join((word, *p.listing)))
        return words

    def __repr__(self) -> str:
        """What a failing walk prints: who stands where, and how everything is now."""
        regions = [
            f"{e.region_code} {e.state}@{e.tier} "
            + " ".join(f"{t.source_code}{[m.callout_id for m in t.members]}" for t in e.tiers)
            for e in self.escalations.values()
        ]
        people = [
            f"{c.id} {c.state} step {c.step} rung {c.rung} due {c.due_at and (c.due_at - NOW).seconds}"
            f" {[n.kind.value for n in c.numbers]}{'' if c.robot_ok else ' by hand'}"
            for c in self.callouts.values()
        ]
        return "\n".join(
            (f"County {self.rule.tiers[0].quorum} rung {self.rule.closing_rung}", *regions, *people)
        )

    def state(self, number: int) -> EscalationState:
        return self.escalations[number].state

    def callout(self, callout_id: int) -> CalloutState:
        return self.callouts[callout_id].state

    def acts(self, prefix: str) -> list[str]:
        """The ledger's lines of a kind: `escalation.answered calling→answered quorum`."""
        return [
            f"{line.act.removeprefix(prefix + '.')} {line.from_state}→{line.to_state} {line.why}"
            for line in self.lines
            if line.act.startswith(prefix + ".")
        ]

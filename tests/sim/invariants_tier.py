"""Invariants 1 to 9: how it ends, tiers and their times, intents that are never lost.

Numbered as in reliability.md §2.3; `tests.sim.invariants` says when each is asked. They never look
through the code under test.
"""

from typing import TYPE_CHECKING

from tests.fakes import invariant as story
from tests.sim.invariants import HOPELESS, Faults, at_commit, at_end, copies_of
from tests.sim.mirror import Row, Step, seconds

if TYPE_CHECKING:
    from tests.sim.world import World

LATE_SECONDS = 1.0
"""How late an escalation may be, time in which nobody worked not counted (R4, no. 6)."""
_MOVES = {
    "planned": {"sending", "cancelled", "expired"},
    "sending": {"accepted", "failed", "unknown", "expired", "planned", "cancelled", "delivered",
                "undelivered"},
    "unknown": {"accepted", "delivered", "undelivered", "planned", "failed", "expired",
                "cancelled"},
    "accepted": {"delivered", "undelivered", "planned"},
    "undelivered": {"delivered"},
    "failed": {"undelivered", "delivered"},
    "expired": {"undelivered", "delivered"},
    "cancelled": {"undelivered", "delivered"},
    "delivered": set(),
}
"""Attempt: from → to. Out of failed, expired and cancelled only a receipt leads, which knows; back
from accepted to planned only a route (`invariants_route.taken_over_only_with_reason`)."""


# 1 to 3: how it ends ------------------------------------------------------------------------------


@at_end(1)
def everybody_ends_somewhere(_world: "World", end: story.World) -> Faults:
    """1 E: every region ends answered, lifted, or exhausted or expired with alarm and task."""
    yield from story.every_escalation_has_an_end(end)


@at_end(2)
def nothing_is_active_after_the_end(_world: "World", end: story.World) -> Faults:
    """2 E: no callout waits and nothing is unsent once a bulletin is over."""
    yield from story.nothing_moves_after_the_end(end)


@at_end(3)
def what_was_answered_2xx_is_kept(world: "World", end: story.World) -> Faults:
    """3 E: what carriers were told 2xx about is here, applied, or seen by a human."""
    yield from story.every_fact_is_applied_or_seen(end)
    for key in sorted(world.accepted - {row["dedupe_key"] for row in end.inbound}):
        yield f"{key} was answered 2xx and is not here"


# 4 to 9: tiers and time ---------------------------------------------------------------------------


@at_commit(4, "escalation", "callout")
def answered_never_reverts(_world: "World", step: Step) -> Faults:
    """4 S: neither a region nor a person stops having answered, and no rung falls."""
    for table in ("escalation", "callout"):
        for old, new in step.of(table):
            if old is not None and old.state == "answered" and new.state != "answered":
                yield f"{table} {new.id} was answered and is {new.state}"
    for old, new in step.of("callout"):
        if old is not None and new.rung < old.rung:
            yield f"callout {new.id} fell from rung {old.rung} to {new.rung}"


@at_end(4)
def who_has_answered_counts_as_answered(_world: "World", end: story.World) -> Faults:
    """4 E: by the lines nothing reverts, and whoever said yes stands as answered."""
    yield from story.answered_stays_answered(end)


_NEXT = {"escalation.tier_opened", "escalation.tier_empty", "escalation.exhausted"}


@at_commit(5, "ledger_line")
def no_tier_opens_early(world: "World", step: Step) -> Faults:
    """5 S: not before the window is over, unless nobody in it can answer any more."""
    before = {new.id: old for old, new in reversed(step.of("escalation"))}
    given_up = {line.callout for line in step.lines if line.to in HOPELESS}
    for line in step.lines:
        if line.act not in _NEXT or line.escalation is None:
            continue
        old = before.get(line.escalation)
        tier = world.watch.tier.get(line.escalation, 0)
        if line.why == "window":
            due = seconds(old.deadline_at) if old is not None else float("inf")
            if step.at < due:
                yield f"escalation {line.escalation} left tier {tier} at {step.at}, due {due}"
        elif line.why == "hopeless":
            for member in world.mirror.tier_members(line.escalation, tier):
                if member.state not in HOPELESS and member.id not in given_up:
                    yield f"escalation {line.escalation}: callout {member.id} is {member.state}"
        elif line.why == "empty" and world.mirror.tier_members(line.escalation, tier):
            yield f"escalation {line.escalation}: tier {tier} is not empty"
        if line.act != "escalation.exhausted":
            world.watch.tier[line.escalation] = line.data["tier"]


@at_commit(6, "escalation", "attempt", "inbound", "ledger_leaf")
def no_window_closes_late(world: "World", step: Step) -> Faults:
    """6 S: none later than its window and a tick, time in which nobody worked not counted."""
    deadlines = world.watch.deadline
    for _, new in step.changed("escalation"):
        due = deadlines.pop(new.id, None)
        if due is not None and seconds(new.deadline_at) != due:
            yield from _late(world, new.id, due, step.at)
        if new.deadline_at is not None:
            deadlines[new.id] = seconds(new.deadline_at)
    for number, due in deadlines.items():
        if due < step.at - LATE_SECONDS:
            yield from _late(world, number, due, step.at)


def _late(world: "World", number: int, due: float, at: float) -> Faults:
    late = at - due - world.down_between(due, at)
    if late > LATE_SECONDS:
        yield f"escalation {number} was due at {due:.3f} and is {late:.3f} s late"


@at_commit(7, "ledger_line")
def tiers_open_in_order(world: "World", step: Step) -> Faults:
    """7 S: tier after tier, none skipped; an empty one is written down and alarmed."""
    alarmed = {new.escalation_id for _, new in step.of("alarm") if new.kind == "no_contact"}
    reached: dict[int, int] = {}
    for line in step.lines:
        if line.act in _NEXT - {"escalation.exhausted"} and line.escalation is not None:
            opened = line.data["tier"]
            known = reached.get(line.escalation, _tier_before(step, line.escalation))
            if opened != known + 1:
                yield f"escalation {line.escalation}: tier {opened} after {known}"
            reached[line.escalation] = opened
            if line.act == "escalation.tier_empty" and line.escalation not in alarmed:
                yield f"escalation {line.escalation}: tier {opened} is empty without an alarm"


def _tier_before(step: Step, escalation: int) -> int:
    for old, new in step.of("escalation"):
        if new.id == escalation:
            return 0 if old is None else int(old.tier)
    return 0


@at_end(7)
def no_tier_was_left_out(_world: "World", end: story.World) -> Faults:
    """7 E: the lines lead to the tier that the row holds."""
    yield from story.tiers_open_in_order(end)


@at_end(8)
def every_tier_was_called(_world: "World", end: story.World) -> Faults:
    """8 E: each tier that opened has something a carrier took, or a failure somebody sees."""
    yield from story.every_tier_was_really_called(end)


@at_commit(9, "attempt")
def an_intent_is_never_lost(world: "World", step: Step) -> Faults:
    """9 S: attempts move only as they may, and what is under way has a lease or a time."""
    for old, new in step.of("attempt"):
        if old is None:
            if new.state != "planned":
                yield f"attempt {new.id} begins {new.state}"
        elif old.state != new.state and new.state not in _MOVES[old.state] | _late_word(world, old):
            yield f"attempt {new.id} went from {old.state} to {new.state}"
        if new.state == "sending" and new.lease_until is None:
            yield f"attempt {new.id} is being sent without a lease"
        if new.state in {"planned", "unknown"} and new.due_at is None:
            yield f"attempt {new.id} is {new.state} and has no time"


def _late_word(world: "World", attempt: Row) -> set[str]:
    """What a receipt may make of one that was sent, and is about to be sent once more."""
    sent = attempt.state == "planned" and world.watch.requests[attempt.id] > 0
    return {"accepted", "delivered", "undelivered"} if sent else set()


@at_end(9)
def every_intent_came_to_something(world: "World", end: story.World) -> Faults:
    """9 E: what counts as taken was taken; what was planned was sent, or says why not."""
    for attempt in end.attempts:
        number, state = attempt["id"], attempt["state"]
        if state in {"planned", "sending"}:
            yield f"attempt {number} is still {state}"
        if state in {"accepted", "delivered", "undelivered"} and not copies_of(world, attempt):
            yield f"attempt {number} is {state} and no carrier ever had it"

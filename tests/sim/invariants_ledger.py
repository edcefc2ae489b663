"""Invariants 17 to 22: facts that count once, a ledger that tells the state, leaders that are fenced.

Numbered as in reliability.md §2.3; `tests.sim.invariants` says when each is asked.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.fakes import invariant as story
from tests.sim.invariants import Faults, at_commit, at_end
from tests.sim.merkle import leaf_hash, root_of
from tests.sim.mirror import Step, seconds
from tests.sim.taken_over import passed_on_early

if TYPE_CHECKING:
    from tests.sim.world import World

_RANK = {"planned": 0, "sending": 0, "unknown": 0, "accepted": 1, "undelivered": 3, "delivered": 4}
_SPOKEN = {"accepted", "failed", "delivered", "undelivered", "expired"}
"""What becomes of an attempt and stands in the ledger."""


# 17 to 22: facts, ledger, fences ------------------------------------------------------------------


@at_commit(17, "attempt")
def delivery_is_monotone(_world: "World", step: Step) -> Faults:
    """17 S: whatever the order of callbacks, the carrier's word only rises."""
    for old, new in step.of("attempt"):
        before = 0 if old is None else _RANK.get(old.state, 0)
        if old is not None and (old.state, new.state) == ("accepted", "planned"):
            continue  # Another carrier begins: `invariants_route` says when it may.
        if before > 0 and _RANK.get(new.state, 2) < before:
            yield f"attempt {new.id} fell from {old and old.state} to {new.state}"


@at_commit(18, "inbound", "answer")
def a_fact_counts_once(world: "World", step: Step) -> Faults:
    """18 S: a repeated callback changes nothing: applied stays applied, an answer is one row."""
    for old, new in step.of("inbound"):
        if old is not None and old.state in {"applied", "settled"} and new.state != old.state:
            yield f"inbound {new.id} was {old.state} and is {new.state}"
    for _, new in step.of("answer"):
        if new.inbound_id is None:
            continue
        twins = [
            a.id
            for a in world.mirror.answer.values()
            if (a.inbound_id, a.callout_id) == (new.inbound_id, new.callout_id)
        ]
        if len(twins) > 1:
            yield f"inbound {new.inbound_id} became answers {twins}"


@at_end(19)
def the_ledger_tells_the_state(_world: "World", end: story.World) -> Faults:
    """19 E: replaying the ledger leads to every bulletin, escalation, callout and attempt.

    Missing: deadlines, steps and cancelled attempts have no lines of their own, so they are not
    rebuilt; of a callout only what is heard or alarming has a line.
    """
    yield from story.a_line_stands_for_every_transition(end)
    told: dict[int, set[str]] = {}
    for line in end.lines:
        for number, state in _attempts_of(line):
            told.setdefault(number, set()).add(state)
    for attempt in end.attempts:
        state = attempt["state"]
        if state in _SPOKEN and state not in told.get(attempt["id"], set()):
            yield f"attempt {attempt['id']} is {state} and the ledger does not say so"


def _attempts_of(line: story.Told) -> Iterator[tuple[int, str]]:
    match line.act:
        case "attempt.outcomes" | "attempt.receipts":
            for number, _callout, state, _error in line.data["attempts"]:
                yield number, state
        case "attempt.leases_ended":
            yield from ((number, "unknown") for number in line.data["attempts"])
        case "attempt.expired":
            yield from ((number, "expired") for number in line.data["attempts"])
        case "attempt.unknown_settled":
            yield line.data["attempt"], line.to


@at_commit(20, "escalation", "callout", "bulletin", "task", "attempt")
def a_line_in_the_same_commit(_world: "World", step: Step) -> Faults:
    """20 S: a transition and its line are durable together or not at all."""
    told = {("escalation", line.escalation, line.to) for line in step.lines}
    told |= {("callout", line.callout, line.to) for line in step.lines}
    told |= {("bulletin", line.bulletin, line.to) for line in step.lines}
    for table, loud in (
        ("escalation", {"calling", "answered", "exhausted", "lifted", "expired"}),
        ("callout", {"answered", "refused", "unreachable"}),
        ("bulletin", {"submitted", "signed", "released", "lifted", "expired"}),
    ):
        for old, new in step.changed(table):
            moved = old is None or old.state != new.state
            if moved and new.state in loud and (table, new.id, new.state) not in told:
                yield f"{table} {new.id} became {new.state} without a line"
    acts = {(line.act, line.data.get("task")) for line in step.lines}
    for old, new in step.changed("task"):
        moved = old is not None and new.state in {"claimed", "done"}
        if moved and (f"task.{new.state}", new.id) not in acts:
            yield f"task {new.id} became {new.state} without a line"
    spoken = {pair for line in step.lines for pair in _attempts_of(line)}
    for old, new in step.changed("attempt"):
        moved = old is not None and old.state != new.state and new.state in _SPOKEN
        if moved and (new.id, new.state) not in spoken:
            yield f"attempt {new.id} became {new.state} without a line"


@at_commit(20, "ledger_line")
def no_line_without_its_transition(world: "World", step: Step) -> Faults:
    """20 S: what a worker that lost its lease has to say of a send is not told as what became of it.

    That a carrier took it is true whoever says so, also when its receipt was quicker.
    """
    changed = {new.id for old, new in step.changed("attempt")}
    for line in step.lines:
        if line.act != "attempt.outcomes":
            continue
        for number, state in _attempts_of(line):
            now = world.mirror.attempt[number].state
            true = state in {"accepted", "cancelled", now}  # Or told a second time.
            if number not in changed and not true:
                yield f"the ledger says that attempt {number} is {state}; it is {now}"


@at_commit(21, "ledger_leaf", "ledger_tree")
def the_sequence_has_no_gap(world: "World", step: Step) -> Faults:
    """21 S: place after place, each leaf its line's, and the tree as large as its leaves.

    Missing: signed checkpoints are not built; the head (size, root) stands for them.
    """
    leaves = world.watch.leaves
    for old, new in step.of("ledger_leaf"):
        if old is not None or new.seq != len(leaves):
            yield f"leaf {new.seq} comes after {len(leaves)} leaves"
        if leaf_hash(bytes(world.mirror.ledger_line[new.line_id].body)) != bytes(new.leaf):
            yield f"leaf {new.seq} is not line {new.line_id}'s"
        leaves.append(bytes(new.leaf))
    for old, new in step.of("ledger_tree"):
        if new.size != len(leaves) or (old is not None and new.size < old.size):
            yield f"the tree says {new.size} and has {len(leaves)} leaves"


@at_end(21)
def the_head_is_the_trees(world: "World", end: story.World) -> Faults:
    """21 E: the root is that of all lines, and every line has its place."""
    tree = world.mirror.ledger_tree.get(1)
    if len(end.lines) != len(world.watch.leaves):
        yield f"{len(end.lines)} lines have {len(world.watch.leaves)} places"
    if tree is not None and bytes(tree.root) != root_of(world.watch.leaves):
        yield "the head's root is not the root of the leaves"


@at_commit(22, "attempt", "duty")
def a_stale_leader_cannot_commit(world: "World", step: Step) -> Faults:
    """22 S: only who holds the lease records an outcome; fences grow when a duty changes hands."""
    receipts = {pair[0] for line in step.lines if line.act == "attempt.receipts"
                for pair in _attempts_of(line)}
    for old, new in step.of("attempt"):
        if old is None or old.state != "sending" or new.state == "sending":
            continue
        reaped = new.state == "unknown" and seconds(old.lease_until) <= step.at
        by_receipt = new.id in receipts or passed_on_early(step, old, new)
        if old.lease_owner != step.owner and not reaped and not by_receipt:
            yield f"attempt {new.id} is {old.lease_owner}'s and was recorded by {step.owner}"
    for old, new in step.of("duty"):
        if old is None or old.owner == new.owner:
            continue
        if new.fence <= old.fence:
            yield f"duty {new.name} changed hands and its fence is {new.fence}"
        if seconds(old.lease_until) > step.at:
            yield f"duty {new.name} was taken from {old.owner} before its lease ended"

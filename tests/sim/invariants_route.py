"""Invariants 26 to 31: several carriers of a channel, tried in the order of their route.

    26  whoever would not take or bring something is not asked again while another is left: that one is
    27  a former carrier's word counts only when it says that it arrived; then it is over
    28  a call that one carrier took is not placed by another
    29  a receipt that is missing is missed in time
    30  a route is kept to: only what is broken is passed over, and the least urgent one finds out
    31  the ledger names everybody who was passed on from, and why

They go on from reliability.md §2.3; `tests.sim.invariants` says when each is asked. They look at
what carriers were asked and said and at what is committed, never through the code under test.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from channels.base import OutcomeKind, ReceiptWord
from channels.errors import ErrorClass
from tests.fakes import invariant as story
from tests.sim.invariants import Faults, Start, at_commit, at_end, at_start, token_of
from tests.sim.invariants_send import LONG_PAUSE_SECONDS, is_anothers, unwanted
from tests.sim.mirror import Row, Step, seconds
from tests.sim.taken_over import UNDER_WAY, refused_of, taken_over, told_of

if TYPE_CHECKING:
    from tests.sim.world import World

LATE_SECONDS = 1.0
"""How late a missing receipt may be noticed, time in which nobody worked not counted."""
_IN_VAIN = frozenset({"unroutable", "filtered", "config", "down", "expired", "other"})
"""Why a carrier does not bring what it took; another one may."""
TAKEN = frozenset({"accepted"})
"""When a call is a carrier's. Not `unknown`: a red one of which there is no word is placed once more
(DESIGN law 3), and by the next carrier when the first one's circuit has opened meanwhile."""
_ARRIVED = frozenset({"delivered", "heard"})
_SAYS = {
    "accepted": frozenset({"accepted", "sent", "ringing", "picked_up", "person", "played"}),
    "undelivered": frozenset({"undelivered", "cut_short"}),
}
"""State → the words that lead to it."""


# 26: not twice ------------------------------------------------------------------------------------


@at_commit(26, "attempt")
def note_who_did_not_bring_it(world: "World", step: Step) -> Faults:
    """26 S: whoever would not take it, or bring it, is passed on from when that is committed."""
    watch = world.watch
    for old, new in step.of("attempt"):
        if old is None or new.state != "planned" or len(world.carriers_of(new.channel)) == 1:
            continue
        refused = watch.refused.setdefault(new.id, {})
        if taken_over(step, old, new):
            refused[old.carrier] = False
        elif old.state == "unknown":
            refused |= dict.fromkeys(refused_of(new) - refused.keys(), False)
        elif old.state == "sending" and watch.requests[new.id] > watch.claim[new.id][3]:
            _note_refusal(world, new, refused)
        elif old.state == "sending":  # Not asked: it may not send to that callee yet.
            refused |= dict.fromkeys(refused_of(new) - refused_of(old), True)
    yield from ()


def _note_refusal(world: "World", attempt: Row, refused: dict[str, bool]) -> None:
    """When the last one that is left cannot now, those whose reason may have passed are left too."""
    name = attempt.carrier
    said = world.carriers[name].last_outcome[token_of(attempt.id)]
    last = {c.name for c in world.carriers_of(attempt.channel)} - refused.keys() <= {name}
    if last and said.kind is OutcomeKind.THROTTLED:
        for other in [other for other, passing in refused.items() if passing]:
            del refused[other]
    elif is_anothers(world, attempt, said):
        throttled = said.kind is OutcomeKind.THROTTLED
        refused[name] = throttled or said.error_class in {ErrorClass.CONFIG, ErrorClass.DOWN}


@at_start(26)
def nobody_is_asked_again_while_another_is_left(world: "World", start: Start) -> Faults:
    """26 S: a carrier that refused gets the same thing again only when all have refused."""
    refused = world.watch.refused.get(start.attempt.id, {})
    name = start.carrier.name
    fresh = {c.name for c in world.carriers_of(start.attempt.channel)} - refused.keys()
    if name in refused and fresh:
        yield f"attempt {start.attempt.id} goes to {name}, who refused it; not to {sorted(fresh)}"


@at_commit(26, "attempt")
def taken_over_only_with_reason(world: "World", step: Step) -> Faults:
    """26 S: from a carrier that took it: in time, for want of a receipt (texts), or in vain."""
    for old, new in step.of("attempt"):
        if old is None or not taken_over(step, old, new):
            continue
        world.watch.rerouted[new.id] += 1
        everybody = {c.name for c in world.carriers_of(new.channel)}
        if world.watch.rerouted[new.id] >= len(everybody):
            yield f"attempt {new.id} was passed on {world.watch.rerouted[new.id]} times"
        if not everybody - refused_of(old) - {old.carrier}:
            yield f"attempt {new.id} is passed on and nobody is left"
        if seconds(new.valid_until) <= step.at:
            yield f"attempt {new.id} is passed on after its time"
        due = old.state == "accepted" and seconds(old.receipt_due_at) <= step.at
        if not (due and new.channel != "voice") and not _in_vain(world, old):
            yield f"attempt {new.id} is taken from {old.carrier}, who has not failed"


@at_commit(26, "attempt")
def what_another_may_bring_is_not_given_up(world: "World", step: Step) -> Faults:
    """26 S: though its carrier was quicker to say that it will not than we to write it down."""
    for old, new in step.of("attempt"):
        if old is None or new.state != "undelivered" or old.state not in UNDER_WAY:
            continue
        others = {c.name for c in world.carriers_of(new.channel)} - refused_of(old) - {old.carrier}
        in_time = seconds(new.valid_until) > step.at and new.purpose == "call"
        if others and in_time and _may_be_brought(step, old) and not unwanted(world, new):
            yield f"attempt {new.id} is given up by the word of {old.carrier}, and {others} may do it"


def _may_be_brought(step: Step, attempt: Row) -> bool:
    """Whether the last thing that its carrier says is that it will not, for a reason of its own."""
    said = [(fact, word) for fact, word in told_of(step, attempt.id) if fact.carrier == attempt.carrier]
    return bool(said) and all(
        word == "undelivered" and json.loads(fact.fact_json).get("error_class") in _IN_VAIN
        for fact, word in said
    )


def _in_vain(world: "World", attempt: Row) -> bool:
    """Whether the carrier that has it told us that it will not bring it, for a reason of its own."""
    copies = world.carriers[attempt.carrier].copies.get(token_of(attempt.id), ())
    return any(
        event.word is ReceiptWord.UNDELIVERED and event.error_class in _IN_VAIN
        for copy in copies
        for event in copy.events
    )


# 27: former carriers ------------------------------------------------------------------------------


@at_commit(27, "attempt")
def a_former_carriers_word_moves_nothing(world: "World", step: Step) -> Faults:
    """27 S: accepted and undelivered count only from who has it now."""
    by_receipt = {n for line in step.lines if line.act == "attempt.receipts"
                  for n, *_ in line.data["attempts"]}
    for old, new in step.of("attempt"):
        if old is None or old.state == new.state or new.id not in by_receipt:
            continue
        words = _SAYS.get(new.state)
        who = {fact.carrier for fact, word in told_of(step, new.id) if words and word in words}
        if who and who <= refused_of(old) - ({old.carrier} if old.state != "planned" else set()):
            yield f"attempt {new.id} is {new.state} by the word of {sorted(who)}, who had it before"


@at_commit(27, "inbound")
def whoever_brings_it_ends_it(world: "World", step: Step) -> Faults:
    """27 S: that it arrived counts, whoever says so and however late."""
    for number in {fact.attempt_id for _, fact in step.changed("inbound") if fact.attempt_id}:
        arrived = [fact.carrier for fact, word in told_of(step, number) if word in _ARRIVED]
        attempt = world.mirror.attempt.get(number)
        if arrived and attempt is not None and attempt.state != "delivered":
            yield f"attempt {number} arrived by {arrived} and is {attempt.state}"


# 28: calls ----------------------------------------------------------------------------------------


@at_commit(28, "attempt")
def note_who_took_a_call(world: "World", step: Step) -> Faults:
    """28 S: a carrier has a call until it is known that it has not."""
    took = world.watch.took
    for old, new in step.of("attempt"):
        if new.channel != "voice" or old is None or not new.carrier:
            continue
        if new.state in TAKEN:
            took.setdefault(new.id, set()).add(new.carrier)
        elif taken_over(step, old, new) and _in_vain(world, old):
            took.get(new.id, set()).discard(old.carrier)
        elif (old.state, new.state) == ("unknown", "planned"):
            seen = world.carrier_of(old).last_lookup.get(token_of(new.id), (0.0, None))[1]
            if seen == []:
                took.get(new.id, set()).discard(old.carrier)
    yield from ()


@at_start(28)
def a_call_is_placed_by_one_carrier(world: "World", start: Start) -> Faults:
    """28 S: never by a second one, while the first has it or may have it."""
    others = world.watch.took.get(start.attempt.id, set()) - {start.carrier.name}
    if start.attempt.channel == "voice" and others:
        yield f"call {start.attempt.id} is placed by {start.carrier.name}; {sorted(others)} has it"


# 29: missing receipts -----------------------------------------------------------------------------


@at_commit(29, "attempt")
def a_missing_receipt_is_missed_in_time(world: "World", step: Step) -> Faults:
    """29 S: within a second of its instant, by whoever is up."""
    for old, new in step.of("attempt"):
        if old is not None and old.receipt_due_at and old.receipt_due_at != new.receipt_due_at:
            yield from _late(world, new.id, seconds(old.receipt_due_at), step.at)


@at_commit(29, "attempt")
def what_waits_for_a_receipt_was_taken(_world: "World", step: Step) -> Faults:
    """29 S: an attempt that ended, or begins again, waits for none.

    One that is being sent may: the carrier's word can come before our own.
    """
    for _, new in step.changed("attempt"):
        waits = new.state in {"sending", "unknown", "accepted"}
        if new.receipt_due_at is not None and not waits:
            yield f"attempt {new.id} is {new.state} and waits for a receipt"


@at_commit(29, "attempt")
def what_was_taken_by_the_first_waits_for_a_receipt(world: "World", step: Step) -> Faults:
    """29 S: a text that its sender saw taken waits for its receipt while another carrier is left."""
    if not world.plan.receipt_seconds:
        return
    for old, new in step.changed("attempt"):
        if old is None or new.state != "accepted" or old.lease_owner != step.owner:
            continue
        others = {c.name for c in world.carriers_of(new.channel)} - refused_of(new) - {new.carrier}
        sent = old.state == "sending" and new.channel == "sms"
        if sent and others and not _by_receipt(step, new.id) and new.receipt_due_at is None:
            yield f"attempt {new.id} was taken by {new.carrier} and waits for no receipt"


def _by_receipt(step: Step, attempt_id: int) -> bool:
    return any(
        number == attempt_id
        for line in step.lines
        if line.act == "attempt.receipts"
        for number, *_ in line.data["attempts"]
    )


@at_end(29)
def no_receipt_is_waited_for_in_vain(world: "World", _end: story.World) -> Faults:
    """29 E: none is left whose time is over."""
    for attempt in world.mirror.attempt.values():
        if seconds(attempt.receipt_due_at) < world.now() - LATE_SECONDS:
            yield f"attempt {attempt.id} still waits for a receipt of {attempt.receipt_due_at}"


def _late(world: "World", number: int, due: float, at: float) -> Faults:
    late = at - due - world.down_between(due, at)
    if late > LATE_SECONDS:
        yield f"attempt {number}: its receipt was missing at {due:.3f}, noticed {late:.3f} s late"


# 30: the route ------------------------------------------------------------------------------------


@at_commit(30, "attempt")
def only_what_is_broken_is_passed_over(world: "World", step: Step) -> Faults:
    """30 S: who comes first gets it, be he full, unless he refused it or his circuit is open."""
    for attempt in _claimed(world, step):
        for carrier in world.carriers_of(attempt.channel):
            if carrier.name == attempt.carrier:
                break
            works = _works(world, carrier.name) and not _pauses(world, carrier.name, step.at)
            if carrier.name not in refused_of(attempt) and works:
                yield f"attempt {attempt.id} goes to {attempt.carrier} past {carrier.name}"


@at_commit(30, "attempt")
def the_least_urgent_one_finds_out(world: "World", step: Step) -> Faults:
    """30 S: what is risked on a broken carrier is not what could hurry by another."""
    claimed = list(_claimed(world, step))
    for probe in claimed:
        if _works(world, probe.carrier) or not _has_another(world, probe):
            continue
        for other in claimed:
            could = other.channel == probe.channel and probe.carrier not in refused_of(other)
            lesser = (other.priority, other.id) > (probe.priority, probe.id)
            if could and lesser and _works(world, other.carrier):
                yield f"attempt {probe.id} tries {probe.carrier}, not {other.id}, which can wait"


def _claimed(world: "World", step: Step) -> Iterator[Row]:
    """Yield what this commit claimed and kept, where there is a choice of carriers."""
    if not world.plan.several:
        return
    for old, new in step.changed("attempt"):
        taken = new.state == "sending" and old is not None and old.state == "planned"
        if taken and new.channel in world.plan.several:
            yield new


def _has_another(world: "World", attempt: Row) -> bool:
    names = {c.name for c in world.carriers_of(attempt.channel)} - refused_of(attempt)
    return any(_works(world, name) for name in names)


def _pauses(world: "World", name: str, now: float) -> bool:
    """Whether it has asked for a long pause."""
    bucket = world.mirror.pace.get(f"carrier:{name}")
    return bucket is not None and seconds(bucket.next_at) > now + LONG_PAUSE_SECONDS


def _works(world: "World", name: str) -> bool:
    circuit = world.mirror.circuit.get(name)
    return circuit is None or circuit.state == "closed"


# 31: the ledger -----------------------------------------------------------------------------------


@at_commit(31, "attempt", "ledger_line")
def the_ledger_says_who_was_passed_on_from(_world: "World", step: Step) -> Faults:
    """31 S: in the same commit, by name; and nobody else. What nobody needs ends instead."""
    told = {
        (number, line.data["carrier"])
        for line in step.lines
        if line.act == "attempt.rerouted"
        for number, _callout in line.data["attempts"]
    }
    happened = {
        (new.id, name): new.state
        for old, new in step.changed("attempt")
        for name in refused_of(new) - (refused_of(old) if old is not None else frozenset())
    }
    for number, name in sorted(happened.keys() - told):
        if happened[number, name] != "cancelled":
            yield f"attempt {number} was passed on from {name} without a line"
    for number, name in sorted(told - happened.keys()):
        yield f"the ledger says that attempt {number} was passed on from {name}; it was not"

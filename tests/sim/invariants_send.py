"""Invariants 10 to 13 and 23: copies, sending again, whom nobody wants any more, pace and danger.

Numbered as in reliability.md §2.3; `tests.sim.invariants` says when each is asked. They look at
what carriers were asked and at what is committed.
"""

import json
from typing import TYPE_CHECKING

from channels.base import OutcomeKind, SendOutcome
from channels.errors import ErrorClass
from channels.segment import count
from tests.fakes import invariant as story
from tests.sim.invariants import (
    WANTED,
    Faults,
    Start,
    at_commit,
    at_end,
    at_start,
    copies_of,
    token_of,
)
from tests.sim.mirror import Row, Step, seconds
from tests.sim.taken_over import passed_on_early

if TYPE_CHECKING:
    from tests.sim.world import World

START_SECONDS = 1.0
"""How long after an answer a send that was claimed before it may still start."""
RESOLVE_SECONDS = 9.0
"""How long an unknown waits at least before it may be sent again without any word of it."""


# 10 and 11: copies --------------------------------------------------------------------------------


@at_start(10)
def each_claim_is_sent_once(world: "World", start: Start) -> Faults:
    """10 S: no more requests than claims; so copies stay within 1 + what nobody could know."""
    number = start.attempt.id
    if world.watch.requests[number] > world.watch.claims[number]:
        yield (
            f"attempt {number} was claimed {world.watch.claims[number]} times and sent"
            f" {world.watch.requests[number]} times"
        )


@at_end(10)
def copies_are_few(world: "World", end: story.World) -> Faults:
    """10 E: at most one copy, and one for each time it was sent again without knowing."""
    for attempt in end.attempts:
        number, watch = attempt["id"], world.watch
        copies, allowed = copies_of(world, attempt), 1 + watch.resends[number] + watch.rerouted[number]
        if copies > allowed:
            yield f"attempt {number} reached its carriers {copies} times, not {allowed}"


@at_commit(11, "attempt")
def sent_again_only_with_reason(world: "World", step: Step) -> Faults:
    """11 S: again after a definite refusal, or an unknown that stayed one past its time."""
    watch = world.watch
    just_claimed: set[int] = set()
    for old, new in step.of("attempt"):
        before = None if old is None else old.state
        if new.state == "sending" and before == "planned":
            just_claimed.add(new.id)
        elif new.state == "planned" and new.id in just_claimed:
            just_claimed.remove(new.id)  # Put back in the same commit: it never left us.
        elif old is not None and passed_on_early(step, old, new):
            pass  # Its carrier was quicker than our record: `invariants_route` says when.
        elif new.state == "planned" and before == "sending":
            yield from _put_off(world, new)
        elif new.state == "planned" and before == "unknown":
            watch.resends[new.id] += 1
            yield from _sent_once_more(world, step, old, new)
        if new.state == "unknown" and before != "unknown":
            watch.unknown_since[new.id] = step.at
        if old is None and new.purpose == "call" and new.number > 1:
            yield from _one_more_round(world, step, new)


_OF_THE_CARRIER = frozenset({"unroutable", "filtered", "config", "down", "other"})
"""Refusals that say nothing of the number: another carrier may take it."""
LONG_PAUSE_SECONDS = 30.0
"""Who asks for a longer pause than this has refused."""


def is_anothers(world: "World", attempt: Row, said: SendOutcome) -> bool:
    """Whether a carrier did not take it for a reason of its own, where there is another."""
    if len(world.carriers_of(attempt.channel)) == 1:
        return False
    if said.kind is OutcomeKind.THROTTLED:
        return said.error_class is ErrorClass.DOWN or said.retry_after > LONG_PAUSE_SECONDS
    return said.kind is OutcomeKind.REJECTED and said.error_class in _OF_THE_CARRIER


def _put_off(world: "World", attempt: Row) -> Faults:
    if world.watch.requests[attempt.id] == world.watch.claim[attempt.id][3]:
        return  # It never left us.
    said = world.carrier_of(attempt).last_outcome.get(token_of(attempt.id))
    if said is None or not (
        said.kind is OutcomeKind.THROTTLED
        or said.error_class is ErrorClass.CONFIG
        or is_anothers(world, attempt, said)
    ):
        yield f"attempt {attempt.id} is planned again after {said and said.kind}"


def _sent_once_more(world: "World", step: Step, before: Row, attempt: Row) -> Faults:
    carrier = world.carrier_of(before)
    since = world.watch.unknown_since.get(attempt.id, 0.0)
    at, seen = carrier.last_lookup.get(token_of(attempt.id), (-1.0, None))
    if seen == [] and at >= since:
        return
    rule = json.loads(world.mirror.bulletin[attempt.bulletin_id].rule_json)
    if not rule["unknown_resend"]:
        yield f"attempt {attempt.id} is sent again by a rule that forbids it"
    if world.watch.resends[attempt.id] > 1 + _never_seen(world, attempt):
        yield f"attempt {attempt.id} is sent again without word, and not for the first time"
    claimed = world.watch.claim[attempt.id][0]
    if step.at - claimed < RESOLVE_SECONDS:
        yield f"attempt {attempt.id} is sent again {step.at - claimed:.1f} s after its claim"


def _never_seen(world: "World", attempt: Row) -> int:
    """How often it is known not to have left us or arrived."""
    return world.watch.claims[attempt.id] - world.watch.requests[attempt.id]


def _one_more_round(world: "World", step: Step, attempt: Row) -> Faults:
    moved = any(
        new.id == attempt.callout_id and (old is None or new.step > old.step or old.state != new.state)
        for old, new in step.changed("callout")
    )
    failed = any(
        world.mirror.attempt[number].state in {"failed", "undelivered", "expired"}
        for number in world.mirror.by_callout[attempt.callout_id]
    )
    if not moved and not failed:
        yield f"attempt {attempt.id}: a further round for callout {attempt.callout_id}, why?"


# 12 and 13: after an answer -----------------------------------------------------------------------


@at_commit(12, "callout", "bulletin", "attempt")
def note_who_is_wanted(world: "World", step: Step) -> Faults:
    """12 S: nothing is claimed for somebody who has answered, or for what is over."""
    watch = world.watch
    for _, new in step.changed("callout"):
        if new.state in WANTED:
            watch.over.pop(new.id, None)
        else:
            watch.over.setdefault(new.id, step.at)
    for _, new in step.changed("bulletin"):
        if new.state in {"lifted", "expired", "superseded"}:
            watch.ended.setdefault(new.id, step.at)
    # One commit may hold a claim and, after it, its bulletin's end: the lane finds its time over.
    ending = {new.id for _, new in step.changed("bulletin")}
    just_claimed: set[int] = set()
    for old, new in step.of("attempt"):
        if new.state == "planned" and new.id in just_claimed:
            watch.claims[new.id] -= 1  # Put back in the same commit: no carrier has room.
        if new.state != "sending" or (old is not None and old.state == "sending"):
            continue
        just_claimed.add(new.id)
        watch.claims[new.id] += 1
        watch.claim[new.id] = (
            step.at, new.lease_owner, seconds(new.lease_until), watch.requests[new.id]
        )
        known = new.bulletin_id not in ending
        if new.purpose == "call" and known and (why := unwanted(world, new)):
            yield f"attempt {new.id} is claimed although {why}"


def unwanted(world: "World", attempt: Row) -> str:
    """Return why nobody needs an attempt any more."""
    callout = world.mirror.callout[attempt.callout_id]
    bulletin = world.mirror.bulletin[attempt.bulletin_id]
    if bulletin.state != "released":
        return f"bulletin {bulletin.id} is {bulletin.state}"
    return "" if callout.state in WANTED else f"callout {callout.id} is {callout.state}"


@at_start(12)
def no_call_starts_after_the_answer(world: "World", start: Start) -> Faults:
    """12 S: under a lease that lives, and not later than what was claimed just before."""
    attempt, now = start.attempt, world.now()
    _, owner, until, _ = world.watch.claim.get(attempt.id, (0.0, "", 0.0, 0))
    if owner != start.life.owner:
        yield f"attempt {attempt.id} is {owner}'s and sent by {start.life.owner}"
    if now > until:
        yield f"attempt {attempt.id} starts {now - until:.3f} s after its lease"
    if attempt.purpose != "call":
        return
    since = min(
        world.watch.over.get(attempt.callout_id, float("inf")),
        world.watch.ended.get(attempt.bulletin_id, float("inf")),
    )
    allowed = START_SECONDS + start.life.stood_still
    if now - since > allowed:
        yield f"attempt {attempt.id} starts {now - since:.3f} s after nobody wanted it"


@at_commit(13, "escalation", "callout")
def an_answer_stops_what_it_should(world: "World", step: Step) -> Faults:
    """13 S: a region is answered by its own callees, and people are let go only when free."""
    mirror = world.mirror
    for old, new in step.changed("escalation"):
        closes = new.state == "answered" and (old is None or old.state != "answered")
        if closes and not any(_counts(world, new, m) for m in mirror.members_of[new.id]):
            yield f"escalation {new.id} is answered and nobody there has answered"
    for old, new in step.changed("callout"):
        for member in mirror.stands_in.get(new.id, ()):
            escalation = mirror.escalation[member.escalation_id]
            if escalation.state == "calling" and _counts(world, escalation, member):
                yield f"callout {new.id} has answered and escalation {escalation.id} goes on"
            let_go = old is not None and old.state == "calling" and new.state == "stopped"
            if let_go and escalation.state == "calling" and member.tier <= escalation.tier:
                yield f"callout {new.id} is let go and escalation {escalation.id} calls him"


def _counts(world: "World", escalation: Row, member: Row) -> bool:
    rule = json.loads(world.mirror.bulletin[escalation.bulletin_id].rule_json)
    callout = world.mirror.callout[member.callout_id]
    return bool(
        callout.rung >= rule["closing_rung"] and (member.own or member.tier <= escalation.tier)
    )


# 23: pace and danger ------------------------------------------------------------------------------


@at_commit(23, "attempt")
def danger_goes_first(world: "World", step: Step) -> Faults:
    """23 S: what is claimed is never less urgent than what is left behind on that channel."""
    worst: dict[str, int] = {}
    later: set[int] = set()
    """Planned in the same commit, but after that claim: units that come together share one."""
    passed: set[int] = set()
    """Claimed too, and given up at once: the next claim gives them to the next carrier."""
    for table, old, new in step.writes:
        if table != "attempt":
            continue
        if old is None:
            later.add(new.id)
        elif new.state == "sending" and old.state == "planned":
            worst[new.channel] = max(worst.get(new.channel, 0), new.priority)
            later.clear()
        elif old.state == "sending" and new.refused_by != old.refused_by:
            passed.add(new.id)
    if not worst:
        return
    for attempt in world.mirror.attempt.values():
        if attempt.state != "planned" or attempt.channel not in worst:
            continue
        if attempt.id in later | passed:
            continue
        if attempt.priority < worst[attempt.channel] and seconds(attempt.due_at) <= step.at:
            yield (
                f"attempt {attempt.id} of priority {attempt.priority} is left behind for one"
                f" of {worst[attempt.channel]}"
            )


@at_start(23)
def the_carriers_pace_is_kept(world: "World", start: Start) -> Faults:
    """23 S: in no second does more than the agreed pace start, in parts and in calls.

    A process that stood still sends what its slots had come for, at most half a second's worth. What
    shares a request waited for its last slot, at most as long.
    """
    name, kind = start.carrier.name, start.carrier.kind.value
    weight = count(start.request.text).parts if kind == "sms" else 1
    starts = world.watch.parts.setdefault(name, [])
    now = world.now()
    starts[:] = [(at, parts) for at, parts in starts if at > now - 0.99]
    starts.append((now, weight))
    pace = start.carrier.capabilities.per_second
    late = world.stood_still_lately() or start.carrier.capabilities.batch_max > 1
    extra = pace * 0.5 + 2 if late else 0
    allowed = pace + max(parts for _, parts in starts) + extra
    if sum(parts for _, parts in starts) > allowed:
        yield f"{name} started {starts} in a second, at {pace} a second"

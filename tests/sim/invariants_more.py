"""What must hold, continued: invariants that the mutants asked for (`tests.sim.mutants`).

Each stands for a planted mistake that the first ones let pass. Numbers are those of reliability.md
§2.3. Importing this module registers them.
"""

import json
from typing import TYPE_CHECKING

from channels.base import HALVES, ReceiptWord
from tests.fakes import invariant as story
from tests.sim.invariants import Faults, at_commit, at_end, token_of
from tests.sim.mirror import Row, Step, seconds
from warnsvc.core.answer import RUNG_HEARD

if TYPE_CHECKING:
    from tests.sim.world import World

SAID = frozenset({"received", "on_post", "help"})
"""What only a person says."""
_OPEN = frozenset({"calling", "exhausted"})
_OUTCOMES = frozenset({"accepted", "failed", "expired", "undelivered", "delivered"})


@at_end(2)
def nothing_stays_released(world: "World", end: story.World) -> Faults:
    """2 E: a bulletin whose time is over has ended."""
    now = world.loop.clock.now()
    for bulletin in end.bulletins:
        if bulletin["state"] == "released" and bulletin["expires_at"] <= now:
            yield f"bulletin {bulletin['id']} is released and ran out at {bulletin['expires_at']}"


@at_commit(5, "ledger_line")
def a_window_is_as_long_as_the_rule_says(world: "World", step: Step) -> Faults:
    """5 S: the deadline is the instant at which the tier opened, and its window."""
    opened = {line.escalation: line for line in step.lines if line.act == "escalation.tier_opened"}
    for number, line in opened.items():
        escalation = world.mirror.escalation[number]
        if escalation.state != "calling":
            continue
        rule = json.loads(world.mirror.bulletin[escalation.bulletin_id].rule_json)
        opened_at = (line.at - world.loop.clock.start).total_seconds()
        length = round(seconds(escalation.deadline_at) - opened_at, 6)
        if length not in _windows(rule) or length != line.data["window"]:
            yield f"escalation {number}: tier {line.data['tier']} has a window of {length} s"


def _windows(rule: dict[str, object]) -> set[float]:
    """Every length that a window has in a rule."""
    tiers = rule["tiers"]
    assert isinstance(tiers, list)
    return {float(tier["window_seconds"]) for tier in tiers}


@at_commit(7, "ledger_line")
def a_tier_that_opens_has_somebody(_world: "World", step: Step) -> Faults:
    """7 S: nobody waits for a tier in which there is nobody."""
    for line in step.lines:
        if line.act == "escalation.tier_opened" and not line.data["callouts"]:
            yield f"escalation {line.escalation}: tier {line.data['tier']} opened with nobody in it"


@at_commit(8, "callout")
def a_round_that_is_due_is_called(world: "World", step: Step) -> Faults:
    """8 S: who is to be called again is, unless every number of his has failed."""
    planned = {new.callout_id for old, new in step.of("attempt") if old is None}
    for old, new in step.changed("callout"):
        if old is None:
            continue
        went_on = old.step < new.step and new.state in {"calling", "unreachable"}
        if went_on and new.tier == old.tier and new.id not in planned and not _failed(world, new):
            yield f"callout {new.id} came to round {new.step} and nothing is planned"


def _failed(world: "World", callout: Row) -> bool:
    """Whether any of his numbers has failed for good; then it is not for us to say which is left."""
    attempts = (world.mirror.attempt[n] for n in world.mirror.by_callout.get(callout.id, ()))
    return any(a.state in {"failed", "undelivered"} for a in attempts)


@at_commit(13, "callout", "escalation")
def only_a_person_answers(world: "World", step: Step) -> Faults:
    """13 S: whoever has answered said a word that is kept, or heard all where hearing is enough."""
    said = {a.callout_id for a in world.mirror.answer.values() if a.kind in SAID}
    for old, new in step.changed("callout"):
        if new.state != "answered" or (old is not None and old.state == "answered"):
            continue
        rule = json.loads(world.mirror.bulletin[new.bulletin_id].rule_json)
        if new.id not in said and not (
            rule["closing_rung"] <= RUNG_HEARD and _was_heard(world, new)
        ):
            yield f"callout {new.id} counts as answered and nobody has said a word"


def _was_heard(world: "World", callout: Row) -> bool:
    """Whether a carrier says so of one call, in one word or in two, and we believe it."""
    attempts = (world.mirror.attempt[n] for n in world.mirror.by_callout.get(callout.id, ()))
    return any(
        a.channel == "voice" and a.state == "delivered" and _heard_it_all(world, a) for a in attempts
    )


def _heard_it_all(world: "World", attempt: Row) -> bool:
    token = token_of(attempt.id)
    copies = (c for carrier in world.carriers.values() for c in carrier.copies.get(token, ()))
    words = ({event.word for event in copy.events} for copy in copies)
    return any(ReceiptWord.HEARD in said or said >= HALVES.keys() for said in words)


@at_commit(13, "attempt")
def a_machine_has_not_heard(world: "World", step: Step) -> Faults:
    """13 S: a call counts as heard when its carrier says that a person heard it to its end."""
    for old, new in step.changed("attempt"):
        heard = new.channel == "voice" and new.state == "delivered"
        if heard and (old is None or old.state != "delivered") and not _heard_it_all(world, new):
            yield f"call {new.id} counts as heard, and nobody has heard it"


@at_end(13)
def who_has_heard_it_all_is_believed(world: "World", end: story.World) -> Faults:
    """13 E: in whichever order two facts came that together say so."""
    told: dict[tuple[int, str], set[str]] = {}
    for fact in world.mirror.inbound.values():
        if (fact.kind, fact.state) == ("receipt", "applied") and fact.attempt_id:
            said = json.loads(fact.fact_json)
            told.setdefault((fact.attempt_id, said.get("reference", "")), set()).add(said["word"])
    states = {attempt["id"]: attempt["state"] for attempt in end.attempts}
    for (number, _), words in told.items():
        if words >= HALVES.keys() and states[number] != "delivered":
            yield f"call {number} was played to its end to a person and is {states[number]}"


@at_commit(13, "callout", "escalation")
def a_late_answer_closes_too(world: "World", step: Step) -> Faults:
    """13 S: an exhausted region whose callee answers after all is answered."""
    mirror = world.mirror
    for _, new in step.changed("callout"):
        if new.state != "answered":
            continue
        for member in mirror.stands_in.get(new.id, ()):
            escalation = mirror.escalation[member.escalation_id]
            rule = json.loads(mirror.bulletin[escalation.bulletin_id].rule_json)
            tier = next(t for t in json.loads(escalation.tiers_json) if t[0] == member.tier)
            alone = tier[2] == "any" and new.rung >= rule["closing_rung"]
            counts = member.own or member.tier <= escalation.tier
            if escalation.state == "exhausted" and alone and counts:
                yield f"callout {new.id} has answered late and escalation {escalation.id} is exhausted"


@at_commit(13, "escalation")
def who_was_called_in_vain_is_told(world: "World", step: Step) -> Faults:
    """13 S: when a lower tier answers after all, those above who were called stand down."""
    answered = {e.id: e for old, e in step.changed("escalation") if e.state == "answered"}
    for line in step.lines:
        if line.act != "escalation.answered" or line.escalation not in answered:
            continue
        escalation = answered[line.escalation]
        for member in world.mirror.members_of[escalation.id]:
            if line.data["tier"] < member.tier <= escalation.tier:
                yield from _stood_down(world, escalation, member)


def _stood_down(world: "World", escalation: Row, member: Row) -> Faults:
    mirror = world.mirror
    attempts = [mirror.attempt[n] for n in mirror.by_callout.get(member.callout_id, ())]
    still_wanted = any(
        mirror.escalation[other.escalation_id].state in _OPEN
        and other.tier <= mirror.escalation[other.escalation_id].tier
        for other in mirror.stands_in[member.callout_id]
    )
    unreachable = any(a.state in {"failed", "undelivered", "expired"} for a in attempts)
    called = any(a.purpose == "call" for a in attempts)
    # The one with which he is let go; of several that answer together only the last is named.
    told = any(a.purpose == "stand_down" for a in attempts)
    if called and not (told or still_wanted or unreachable):
        yield f"callout {member.callout_id} was called for escalation {escalation.id} in vain, untold"


@at_commit(22, "attempt")
def what_was_taken_over_stays_so(_world: "World", step: Step) -> Faults:
    """22 S: an unknown moves on by a receipt or a look-up, not by who had lost it."""
    by_others = {number for line in step.lines for number in _settled_by(line)}
    for old, new in step.of("attempt"):
        if old is None or old.state != "unknown" or new.state not in _OUTCOMES:
            continue
        if new.id not in by_others:
            yield f"attempt {new.id} was unknown and is {new.state} by {step.owner}, who had lost it"


def _settled_by(line: story.Told) -> list[int]:
    if line.act == "attempt.receipts":
        return [pair[0] for pair in line.data["attempts"]]
    if line.act == "attempt.unknown_settled":
        return [line.data["attempt"]]
    return []

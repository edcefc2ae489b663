"""Invariants 14 to 16 and 25: what was signed is what is sent, to whom it was planned; no number logged.

Numbered as in reliability.md §2.3; `tests.sim.invariants` says when each is asked. 0 is an error
that nobody expected.
"""

import json
import sys
from typing import TYPE_CHECKING, Any

from tests.fakes import invariant as story
from tests.sim.invariants import Faults, Start, at_commit, at_end, at_log, at_start
from tests.sim.mirror import Step
from warnsvc.core.bulletin import DRILL_MARK

if TYPE_CHECKING:
    from tests.sim.world import World




# 14 to 16: what was signed ------------------------------------------------------------------------


@at_commit(14, "bulletin")
def two_people_before_the_first_send(world: "World", step: Step) -> Faults:
    """14 S: released is what a second person signed, once."""
    for old, new in step.changed("bulletin"):
        if new.state != "released" or (old is not None and old.state == "released"):
            continue
        if old is None or old.state != "signed":
            yield f"bulletin {new.id} was released from {old and old.state}"
        if json.loads(new.rule_json)["two_person"] and new.signed_by in {None, new.drafted_by}:
            yield f"bulletin {new.id} has no second signature"
        words = world.officer.words.get(new.id)
        if words is not None and words not in new.texts_json:
            yield f"bulletin {new.id} does not say what was signed"


@at_start(14)
def what_is_sent_was_signed(world: "World", start: Start) -> Faults:
    """14 S: the words that were signed are the words that are sent."""
    bulletin = start.bulletin
    if bulletin.released_at is None:
        yield f"attempt {start.attempt.id} of bulletin {bulletin.id}, which is {bulletin.state}"
    words = world.officer.words.get(bulletin.id, "").rstrip("。")
    if start.attempt.purpose == "call" and words not in start.request.text:
        yield f"attempt {start.attempt.id} says something that nobody signed"


@at_end(14)
def signed_then_released_then_sent(_world: "World", end: story.World) -> Faults:
    """14 E: in this order."""
    yield from story.two_people_signed_what_was_sent(end)


@at_start(15)
def drill_and_live_never_mix(_world: "World", start: Start) -> Faults:
    """15 S: every word of a drill says so, and no word of a live one does."""
    drill = start.bulletin.status != "actual"
    if (DRILL_MARK in start.request.text) is not drill:
        yield f"attempt {start.attempt.id} mixes drill and live"


@at_end(15)
def no_text_mixes_drill_and_live(_world: "World", end: story.World) -> Faults:
    """15 E: not even one that was never sent."""
    yield from story.drill_and_live_never_mix(end)


@at_commit(16, "callout", "member", "escalation")
def who_is_called_is_frozen(_world: "World", step: Step) -> Faults:
    """16 S: nobody joins after the release."""
    released = {
        new.id
        for old, new in step.changed("bulletin")
        if new.state == "released" and (old is None or old.state != "released")
    }
    for table in ("callout", "escalation"):
        for old, new in step.changed(table):
            if old is None and new.bulletin_id not in released:
                yield f"{table} {new.id} was added after the release"
            if old is not None and table == "callout" and old.numbers_json != new.numbers_json:
                yield f"callout {new.id} has other numbers than at the release"
    if step.of("member") and not released:
        yield "somebody was added to a region after the release"


@at_start(16)
def only_who_was_planned_is_called(_world: "World", start: Start) -> Faults:
    """16 S: at an address that was his when it was released."""
    addresses = [number[2] for number in json.loads(start.callout.numbers_json)]
    if start.request.to not in addresses:
        yield f"attempt {start.attempt.id} goes to an address that is not in the plan"


@at_log(25)
def no_number_is_logged(world: "World", _method: str, event: dict[str, Any]) -> Faults:
    """25 S: no phone number stands in any event, nor in the error that it carries."""
    words = " ".join(f"{key}={value!r}" for key, value in event.items())
    if error := event.get("exc_info"):
        words += repr(error)
    for phone in world.phones:
        if phone in words:
            yield f"{event.get('event')} names a number"


@at_log(0)
def nothing_goes_wrong_inside(world: "World", method: str, event: dict[str, Any]) -> Faults:
    """0: no error that nobody asked for. Carriers misbehave here; databases where the plan says."""
    if world.database_faults and method == "error" and not event.get("exc_info"):
        return
    if method in {"error", "exception", "critical"}:
        yield f"{method}: {event} {sys.exc_info()[1]!r}"

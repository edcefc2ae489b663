"""What must hold, numbered as in reliability.md §2.3; each a function of its own.

    @at_commit   sees every commit as it becomes durable      (S)
    @at_start    sees every request as it leaves a process     (S)
    @at_log      sees every event that is logged               (S)
    @at_end      sees the database when everything has come to rest   (E)

They look at what SQLite holds, what carriers were asked and what was logged, never through the code
under test. Each yields a sentence for every fault. 24, that everything comes to rest in time, is
watched by the world itself (`World._rest`). 0 is what needs no number: an error nobody expected.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from channels.base import OutcomeKind, SendRequest
from channels.errors import ErrorClass
from channels.segment import count
from tests.fakes import invariant as story
from tests.sim.merkle import leaf_hash, root_of
from tests.sim.mirror import Row, Step, seconds
from warnsvc.core.bulletin import DRILL_MARK
from warnsvc.token import sign_token

if TYPE_CHECKING:
    from tests.sim.carrier import Carrier
    from tests.sim.crash import Life
    from tests.sim.world import World

Faults = Iterator[str]

LATE_SECONDS = 1.0
"""How late an escalation may be, time in which nobody worked not counted (R4, no. 6)."""
START_SECONDS = 1.0
"""How long after an answer a send that was claimed before it may still start."""
RESOLVE_SECONDS = 9.0
"""How long an unknown waits at least before it may be sent again without any word of it."""

HOPELESS = {"refused", "unreachable"}
WANTED = {"calling", "unreachable", "silent"}
_RANK = {"planned": 0, "sending": 0, "unknown": 0, "accepted": 1, "undelivered": 3, "delivered": 4}
_SPOKEN = {"accepted", "failed", "delivered", "undelivered", "expired"}
"""What becomes of an attempt and stands in the ledger."""
_MOVES = {
    "planned": {"sending", "cancelled", "expired"},
    "sending": {"accepted", "failed", "unknown", "expired", "planned", "cancelled", "delivered",
                "undelivered"},
    "unknown": {"accepted", "delivered", "undelivered", "planned", "failed", "expired",
                "cancelled"},
    "accepted": {"delivered", "undelivered"},
    "undelivered": {"delivered"},
    "failed": {"undelivered", "delivered"},
    "expired": {"undelivered", "delivered"},
    "cancelled": {"undelivered", "delivered"},
    "delivered": set(),
}
"""Attempt: from → to. Out of failed, expired and cancelled only a receipt leads, which knows."""


@dataclass(slots=True)
class Watch:
    """What the invariants remember between commits."""

    claims: Counter[int] = field(default_factory=Counter)
    claim: dict[int, tuple[float, str, float, int]] = field(default_factory=dict)
    """Attempt → when it was last claimed, by whom, until when, how often it had been sent."""
    requests: Counter[int] = field(default_factory=Counter)
    resends: Counter[int] = field(default_factory=Counter)
    unknown_since: dict[int, float] = field(default_factory=dict)
    over: dict[int, float] = field(default_factory=dict)
    """Callout → since when nobody wants to call him."""
    ended: dict[int, float] = field(default_factory=dict)
    """Bulletin → when it ended."""
    tier: dict[int, int] = field(default_factory=dict)
    """Escalation → the tier that its lines have reached."""
    deadline: dict[int, float] = field(default_factory=dict)
    leaves: list[bytes] = field(default_factory=list)
    parts: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    """Channel → when requests started, and what they weigh."""


@dataclass(frozen=True, slots=True)
class Start:
    """A request that leaves a process."""

    life: "Life"
    carrier: "Carrier"
    request: SendRequest
    attempt: Row
    callout: Row
    bulletin: Row


Commit = Callable[["World", Step], Faults]
Starting = Callable[["World", Start], Faults]
Logged = Callable[["World", str, dict[str, Any]], Faults]
Ended = Callable[["World", story.World], Faults]

COMMIT: list[tuple[int, frozenset[str], Commit]] = []
START: list[tuple[int, Starting]] = []
LOG: list[tuple[int, Logged]] = []
END: list[tuple[int, Ended]] = []


def at_commit(number: int, *tables: str) -> Callable[[Commit], Commit]:
    """Check every commit that touches one of these tables."""

    def register(check: Commit) -> Commit:
        COMMIT.append((number, frozenset(tables), check))
        return check

    return register


def at_start(number: int) -> Callable[[Starting], Starting]:
    """Check every request."""

    def register(check: Starting) -> Starting:
        START.append((number, check))
        return check

    return register


def at_log(number: int) -> Callable[[Logged], Logged]:
    """Check every logged event."""

    def register(check: Logged) -> Logged:
        LOG.append((number, check))
        return check

    return register


def at_end(number: int) -> Callable[[Ended], Ended]:
    """Check the end."""

    def register(check: Ended) -> Ended:
        END.append((number, check))
        return check

    return register


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
        if state in {"accepted", "delivered", "undelivered"} and not _copies(world, attempt):
            yield f"attempt {number} is {state} and no carrier ever had it"


def _copies(world: "World", attempt: Any) -> int:
    carrier = world.carriers[attempt["channel"]]
    return len(carrier.copies.get(_token(attempt["id"]), ()))


def _token(attempt_id: int) -> str:
    return sign_token(b"a key that signs tokens in the simulation", "attempt", attempt_id)


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
        copies, allowed = _copies(world, attempt), 1 + world.watch.resends[attempt["id"]]
        if copies > allowed:
            yield f"attempt {attempt['id']} reached its carrier {copies} times, not {allowed}"


@at_commit(11, "attempt")
def sent_again_only_with_reason(world: "World", step: Step) -> Faults:
    """11 S: again after a definite refusal, or an unknown that stayed one past its time."""
    watch = world.watch
    for old, new in step.of("attempt"):
        before = None if old is None else old.state
        if new.state == "planned" and before == "sending":
            yield from _put_off(world, new)
        elif new.state == "planned" and before == "unknown":
            watch.resends[new.id] += 1
            yield from _sent_once_more(world, step, new)
        if new.state == "unknown" and before != "unknown":
            watch.unknown_since[new.id] = step.at
        if old is None and new.purpose == "call" and new.number > 1:
            yield from _one_more_round(world, step, new)


def _put_off(world: "World", attempt: Row) -> Faults:
    if world.watch.requests[attempt.id] == world.watch.claim[attempt.id][3]:
        return  # It never left us.
    said = world.carriers[attempt.channel].last_outcome.get(_token(attempt.id))
    if said is None or not (
        said.kind is OutcomeKind.THROTTLED or said.error_class is ErrorClass.CONFIG
    ):
        yield f"attempt {attempt.id} is planned again after {said and said.kind}"


def _sent_once_more(world: "World", step: Step, attempt: Row) -> Faults:
    carrier = world.carriers[attempt.channel]
    since = world.watch.unknown_since.get(attempt.id, 0.0)
    at, seen = carrier.last_lookup.get(_token(attempt.id), (-1.0, None))
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
    for old, new in step.of("attempt"):
        if new.state != "sending" or (old is not None and old.state == "sending"):
            continue
        watch.claims[new.id] += 1
        watch.claim[new.id] = (
            step.at, new.lease_owner, seconds(new.lease_until), watch.requests[new.id]
        )
        if new.purpose == "call" and (why := _unwanted(world, new)):
            yield f"attempt {new.id} is claimed although {why}"


def _unwanted(world: "World", attempt: Row) -> str:
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


# 17 to 22: facts, ledger, fences ------------------------------------------------------------------


@at_commit(17, "attempt")
def delivery_is_monotone(_world: "World", step: Step) -> Faults:
    """17 S: whatever the order of callbacks, the carrier's word only rises."""
    for old, new in step.of("attempt"):
        before = 0 if old is None else _RANK.get(old.state, 0)
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

    That a carrier took it is true whoever says so, also when its receipt was quicker. Missing: a
    lost answer whose receipt was quicker is still written down as unknown (two_workers 40, 45).
    """
    changed = {new.id for old, new in step.changed("attempt")}
    for line in step.lines:
        if line.act != "attempt.outcomes":
            continue
        for number, state in _attempts_of(line):
            if number not in changed and state not in {"accepted", "cancelled", "unknown"}:
                yield (
                    f"the ledger says that attempt {number} is {state}; it is"
                    f" {world.mirror.attempt[number].state}"
                )


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
        if old.lease_owner != step.owner and not reaped and new.id not in receipts:
            yield f"attempt {new.id} is {old.lease_owner}'s and was recorded by {step.owner}"
    for old, new in step.of("duty"):
        if old is None or old.owner == new.owner:
            continue
        if new.fence <= old.fence:
            yield f"duty {new.name} changed hands and its fence is {new.fence}"
        if seconds(old.lease_until) > step.at:
            yield f"duty {new.name} was taken from {old.owner} before its lease ended"


# 23 and 25 ----------------------------------------------------------------------------------------


@at_commit(23, "attempt")
def danger_goes_first(world: "World", step: Step) -> Faults:
    """23 S: what is claimed is never less urgent than what is left behind on that channel."""
    worst: dict[str, int] = {}
    later: set[int] = set()
    """Planned in the same commit, but after that claim: units that come together share one."""
    for table, old, new in step.writes:
        if table != "attempt":
            continue
        if old is None:
            later.add(new.id)
        elif new.state == "sending" and old.state == "planned":
            worst[new.channel] = max(worst.get(new.channel, 0), new.priority)
            later.clear()
    if not worst:
        return
    for attempt in world.mirror.attempt.values():
        if attempt.state != "planned" or attempt.channel not in worst or attempt.id in later:
            continue
        if attempt.priority < worst[attempt.channel] and seconds(attempt.due_at) <= step.at:
            yield (
                f"attempt {attempt.id} of priority {attempt.priority} is left behind for one"
                f" of {worst[attempt.channel]}"
            )


@at_start(23)
def the_carriers_pace_is_kept(world: "World", start: Start) -> Faults:
    """23 S: in no second does more than the agreed pace start, in parts and in calls.

    A process that stood still sends what its slots had come for, at most half a second's worth.
    """
    kind = start.carrier.kind.value
    weight = count(start.request.text).parts if kind == "sms" else 1
    starts = world.watch.parts.setdefault(kind, [])
    now = world.now()
    starts[:] = [(at, parts) for at, parts in starts if at > now - 0.99]
    starts.append((now, weight))
    pace = start.carrier.capabilities.per_second
    extra = pace * 0.5 + 2 if world.stood_still_lately() else 0
    allowed = pace + max(parts for _, parts in starts) + extra
    if sum(parts for _, parts in starts) > allowed:
        yield f"{kind} started {starts} in a second, at {pace} a second"


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
        import sys

        yield f"{method}: {event} {sys.exc_info()[1]!r}"


# Asked by the world -------------------------------------------------------------------------------


def at_a_commit(world: "World", step: Step) -> Iterator[tuple[int, str]]:
    """What is wrong with a commit."""
    tables = step.tables
    for number, touched, check in COMMIT:
        if not touched.isdisjoint(tables):
            for fault in check(world, step):
                yield number, fault


def at_a_start(
    world: "World", life: "Life", carrier: "Carrier", request: SendRequest, attempt_id: int | None
) -> Iterator[tuple[int, str]]:
    """What is wrong with a request."""
    attempt = world.mirror.attempt.get(attempt_id)
    if attempt is None:
        yield 9, f"a request without a row: attempt {attempt_id}"
        return
    world.watch.requests[attempt.id] += 1
    start = Start(
        life,
        carrier,
        request,
        attempt,
        world.mirror.callout[attempt.callout_id],
        world.mirror.bulletin[attempt.bulletin_id],
    )
    for number, check in START:
        for fault in check(world, start):
            yield number, fault


def at_a_log(world: "World", method: str, event: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """What is wrong with something logged."""
    for number, check in LOG:
        for fault in check(world, method, event):
            yield number, fault


def at_the_end(world: "World", end: story.World) -> Iterator[tuple[int, str]]:
    """What is wrong at the end."""
    for number, check in END:
        for fault in check(world, end):
            yield number, fault


def numbers() -> set[int]:
    """Which invariants have a function here."""
    registered: list[tuple[Any, ...]] = [*COMMIT, *START, *LOG, *END]
    return {number for number, *_ in registered}

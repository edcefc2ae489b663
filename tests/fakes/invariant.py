"""What must hold when a story is over, whatever happened in it.

Checked in the database and in the ledger's own lines, not through the code under test. Numbers are
those of reliability.md §2.3.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from warnsvc.core.bulletin import DRILL_MARKS
from warnsvc.store.port import Row, Store, Unit


@dataclass(frozen=True, slots=True)
class Told:
    """A line of the ledger, read from its bytes."""

    act: str
    bulletin: int | None
    escalation: int | None
    callout: int | None
    was: str
    to: str
    actor: str
    why: str
    at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a check may look at."""

    lines: list[Told]
    bulletins: list[Row]
    escalations: list[Row]
    callouts: list[Row]
    members: list[Row]
    attempts: list[Row]
    answers: list[Row]
    inbound: list[Row]
    tasks: list[Row]
    alarms: list[Row]
    messages: list[Row]


async def assert_nothing_ends_quietly(store: Store) -> None:
    """Raise AssertionError with everything that is wrong at the end of a story."""
    async with store.view() as unit:
        world = await _read(unit)
    wrong = [fault for check in CHECKS for fault in check(world)]
    assert not wrong, "\n".join(wrong)


async def _read(unit: Unit) -> World:
    tables = ("bulletin", "escalation", "callout", "attempt", "answer", "inbound", "task", "alarm")
    rows = {t: await unit.fetch(f"SELECT * FROM {t} ORDER BY id") for t in (*tables, "message")}
    return World(
        lines=await _lines(unit),
        bulletins=rows["bulletin"],
        escalations=rows["escalation"],
        callouts=rows["callout"],
        members=await unit.fetch("SELECT * FROM member ORDER BY escalation_id, tier, rank"),
        attempts=rows["attempt"],
        answers=rows["answer"],
        inbound=rows["inbound"],
        tasks=rows["task"],
        alarms=rows["alarm"],
        messages=rows["message"],
    )


async def read_lines(store: Store) -> list[Told]:
    """Return the whole ledger in the order in which it was written."""
    async with store.view() as unit:
        return await _lines(unit)


async def _lines(unit: Unit) -> list[Told]:
    rows = await unit.fetch("SELECT body, entered_at FROM ledger_line ORDER BY entered_at, id")
    return [_told(row) for row in rows]


def _told(row: Row) -> Told:
    line = json.loads(bytes(row["body"]))
    return Told(
        act=line["act"],
        bulletin=line.get("bulletin"),
        escalation=line.get("escalation"),
        callout=line.get("callout"),
        was=line.get("from", ""),
        to=line.get("to", ""),
        actor=line["actor"],
        why=line.get("why", ""),
        at=row["entered_at"],
        data=line.get("data", {}),
    )


def every_escalation_has_an_end(world: World) -> Iterator[str]:
    """1: answered, lifted, or exhausted or expired with an alarm and a task at a named desk."""
    alarmed = {(a["kind"], a["escalation_id"]) for a in world.alarms}
    tasked = {t["escalation_id"] for t in world.tasks if t["kind"] == "knock" and t["desk"]}
    for escalation in world.escalations:
        state, number = escalation["state"], escalation["id"]
        if state in {"exhausted", "expired"}:
            if (state, number) not in alarmed:
                yield f"escalation {number} is {state} and no alarm was raised"
            if number not in tasked:
                yield f"escalation {number} is {state} and nobody has a task"
        elif state not in {"answered", "lifted"}:
            yield f"escalation {number} is still {state}"


def nothing_moves_after_the_end(world: World) -> Iterator[str]:
    """2: no callout waits, no round is due and nothing is unsent once a bulletin is over."""
    over = {b["id"] for b in world.bulletins if b["state"] != "released"}
    for callout in world.callouts:
        if callout["bulletin_id"] in over and (
            callout["due_at"] is not None or callout["state"] in {"waiting", "calling"}
        ):
            yield f"callout {callout['id']} is {callout['state']}, due {callout['due_at']}, after the end"
    for attempt in world.attempts:
        if attempt["bulletin_id"] in over and attempt["state"] in {"planned", "sending", "unknown"}:
            yield f"attempt {attempt['id']} is {attempt['state']} after the end"


def every_fact_is_applied_or_seen(world: World) -> Iterator[str]:
    """3: what we said 2xx to is applied, or a human sees it."""
    kinds = {a["kind"] for a in world.alarms}
    for fact in world.inbound:
        if fact["state"] == "new":
            yield f"inbound {fact['id']} was never applied"
        if fact["state"] == "poison" and "poison" not in kinds:
            yield f"inbound {fact['id']} is poison and no alarm was raised"
        if fact["state"] == "unmatched" and fact["kind"] == "answer" and "unmatched" not in kinds:
            yield f"inbound {fact['id']} is unmatched and no alarm was raised"


def answered_stays_answered(world: World) -> Iterator[str]:
    """4: neither a region nor a person ever stops having answered."""
    for line in world.lines:
        if line.was == "answered" and line.to != "answered":
            yield f"{line.act} took {line.escalation or line.callout} from answered to {line.to}"
    said_yes = {
        a["callout_id"] for a in world.answers if a["kind"] in {"received", "on_post", "help"}
    }
    for callout in world.callouts:
        if callout["id"] in said_yes and callout["state"] != "answered":
            yield f"callout {callout['id']} has answered and is {callout['state']}"


def tiers_open_in_order(world: World) -> Iterator[str]:
    """7: tier after tier, none left out."""
    reached: dict[int | None, int] = {}
    for line in world.lines:
        if line.act in {"escalation.tier_opened", "escalation.tier_empty"}:
            expected = reached.get(line.escalation, 0) + 1
            if line.data["tier"] != expected:
                yield f"escalation {line.escalation}: tier {line.data['tier']} after {expected - 1}"
            reached[line.escalation] = line.data["tier"]
    for escalation in world.escalations:
        if escalation["tier"] != reached.get(escalation["id"], 0):
            yield f"escalation {escalation['id']} is in tier {escalation['tier']} without a line"


def every_tier_was_really_called(world: World) -> Iterator[str]:
    """8: each tier that opened has something a carrier took, or a failure that somebody must see."""
    accepted = {a["callout_id"] for a in world.attempts if a["sent_at"] is not None}
    by_hand = {t["callout_id"] for t in world.tasks if t["callout_id"] is not None}
    settled = {c["id"] for c in world.callouts if c["state"] in {"answered", "refused"}}
    failed = {a["callout_id"] for a in world.attempts if a["state"] in {"failed", "expired"}}
    states = {e["id"]: e["state"] for e in world.escalations}
    for line in world.lines:
        if line.act != "escalation.tier_opened":
            continue
        called = set(line.data["callouts"])
        if called & (accepted | by_hand | settled):
            continue
        if called & failed and states[line.escalation or 0] != "answered":
            continue  # it was never sent; the escalation's own end has raised its alarm
        if states[line.escalation or 0] in {"lifted", "answered", "expired"}:
            continue  # over before anything could be sent; running out has raised its alarm
        yield f"escalation {line.escalation}: tier {line.data['tier']} was opened and nobody called"


def two_people_signed_what_was_sent(world: World) -> Iterator[str]:
    """14: released is only what a second person signed, before anything was sent."""
    first_sent: dict[int, datetime] = {}
    for attempt in world.attempts:
        if attempt["sent_at"] is not None:
            sent_at = first_sent.setdefault(attempt["bulletin_id"], attempt["sent_at"])
            first_sent[attempt["bulletin_id"]] = min(sent_at, attempt["sent_at"])
    for bulletin in world.bulletins:
        if bulletin["released_at"] is None:
            if bulletin["id"] in first_sent:
                yield f"bulletin {bulletin['id']} was sent and never released"
            continue
        two_person = json.loads(bulletin["rule_json"])["two_person"]
        by_author = bulletin["signed_by"] in {None, bulletin["drafted_by"]}
        if bulletin["type"] == "alert" and two_person and by_author:
            yield f"bulletin {bulletin['id']} has no second signature"
        times = [bulletin["signed_at"], bulletin["released_at"], first_sent.get(bulletin["id"])]
        known = [at for at in times if at is not None]
        if known != sorted(known):
            yield f"bulletin {bulletin['id']} was not signed, released and sent in this order"


def drill_and_live_never_mix(world: World) -> Iterator[str]:
    """15: every word of a drill says so, and no word of a real warning does."""
    drills = {b["id"] for b in world.bulletins if b["status"] != "actual"}
    for message in world.messages:
        mark = DRILL_MARKS[message["language"]]
        if (mark in message["text"]) is not (message["bulletin_id"] in drills):
            yield f"message {message['id']} mixes drill and live: {message['text']}"


def a_line_stands_for_every_transition(world: World) -> Iterator[str]:
    """20: the lines lead from state to state and end where the row stands, at its instant."""
    for escalation in world.escalations:
        yield from _chain(
            world, escalation, [li for li in world.lines if li.escalation == escalation["id"]]
        )
    moved = {(line.callout, line.to) for line in world.lines}
    for callout in world.callouts:
        loud = callout["state"] in {"answered", "refused", "unreachable"}
        if loud and (callout["id"], callout["state"]) not in moved:
            yield f"callout {callout['id']} is {callout['state']} without a line"
    acts = {(line.bulletin, line.act) for line in world.lines}
    for bulletin in world.bulletins:
        signed = bulletin["state"] in {"submitted", "signed", "released", "lifted", "expired"}
        if signed and (bulletin["id"], f"bulletin.{bulletin['state']}") not in acts:
            yield f"bulletin {bulletin['id']} is {bulletin['state']} without a line"


def _chain(world: World, escalation: Row, lines: list[Told]) -> Iterator[str]:
    number, state = escalation["id"], "pending"
    since = None
    for line in (line for line in lines if line.act.startswith("escalation.")):
        if line.was != state:
            yield f"escalation {number}: {line.act} starts from {line.was}, not from {state}"
        if line.to != state:
            since = line.at
        state = line.to
    if state != escalation["state"]:
        yield f"escalation {number} is {escalation['state']}, its lines end at {state}"
    elif escalation["closed_at"] is not None and escalation["closed_at"] != since:
        yield f"escalation {number} closed at {escalation['closed_at']}, its line says {since}"


CHECKS = (
    every_escalation_has_an_end,
    nothing_moves_after_the_end,
    every_fact_is_applied_or_seen,
    answered_stays_answered,
    tiers_open_in_order,
    every_tier_was_really_called,
    two_people_signed_what_was_sent,
    drill_and_live_never_mix,
    a_line_stands_for_every_transition,
)

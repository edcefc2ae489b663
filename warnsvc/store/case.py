"""Loading and saving cases: whole sets in, whole sets out.

A case is loaded for escalations (their windows closed) or for callouts (somebody answered, a round
is due, an attempt failed). Either way it holds every member of every escalation it holds, so that
a quorum can be judged, and for each of those people in which other regions he is being called.
SQL fetches; `warnsvc.core.case` decides.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from channels.errors import ADDRESS_IS_DEAD, ErrorClass
from contacts.contact import Number, NumberKind
from warnsvc.core.callout import HOPELESS, Callout, CalloutState, Failure, Tried
from warnsvc.core.case import Case, Changes
from warnsvc.core.escalation import Escalation, EscalationState, Member, Tier
from warnsvc.core.pack import Quorum, QuorumKind, Rule
from warnsvc.store.port import Row, Unit

_encode = json.JSONEncoder(separators=(",", ":")).encode
"""Made once: a release writes one document a person."""

_DEAD = ADDRESS_IS_DEAD | {ErrorClass.UNROUTABLE, ErrorClass.FILTERED, ErrorClass.CONFIG}
"""After these this address will not be reached on this channel in this bulletin."""


def failure_of(state: str, error_class: str | None) -> Failure | None:
    """Return what an attempt's state says to its callout; None while it may still succeed."""
    if state not in {"undelivered", "failed", "expired"}:
        return None
    if error_class in _DEAD:
        return Failure.DEAD
    return Failure.AWAY if error_class == ErrorClass.HANDSET_OFF else Failure.MISSED


def numbers_to_json(numbers: Sequence[Number]) -> str:
    """Return the numbers as the document that is frozen into a callout."""
    return _encode([[n.rank, n.kind.value, n.address, n.failed] for n in numbers])


def numbers_from_json(text: str) -> tuple[Number, ...]:
    """Read frozen numbers."""
    return tuple(
        Number(rank=rank, kind=NumberKind(kind), address=address, failed=failed)
        for rank, kind, address, failed in json.loads(text)
    )


def tiers_to_json(tiers: Sequence[Tier], region_code: str) -> str:
    """Return the tiers without their members; a region's own code is left out, so texts repeat."""
    return _tiers_to_json(
        tuple(
            (
                t.ordinal,
                t.window_seconds,
                t.quorum.kind.value,
                t.quorum.n,
                "" if t.source_code == region_code else t.source_code,
            )
            for t in tiers
        )
    )


@lru_cache(maxsize=4096)
def _tiers_to_json(tiers: tuple[tuple[int, int, str, int, str], ...]) -> str:
    return _encode(tiers)


@lru_cache(maxsize=4096)
def _tiers_from_json(text: str) -> tuple[tuple[int, int, Quorum, str], ...]:
    return tuple(
        (ordinal, window, Quorum(kind=QuorumKind(kind), n=n), source)
        for ordinal, window, kind, n, source in json.loads(text)
    )


async def load_case_for_escalations(
    unit: Unit, escalation_ids: Sequence[int], *, bulletin_id: int, rule: Rule, now: datetime
) -> Case:
    """Return the case of these escalations, with everybody who stands in them."""
    escalations = await unit.fetch(
        "SELECT id, region_code, region_name, state, tier, deadline_at, tiers_json, late"
        " FROM escalation WHERE id = ANY($1)",
        list(escalation_ids),
    )
    members = await unit.fetch(
        "SELECT escalation_id, tier, rank, callout_id FROM member WHERE escalation_id = ANY($1)"
        " ORDER BY escalation_id, tier, rank",
        list(escalation_ids),
    )
    callout_ids = list({row["callout_id"] for row in members})
    return await _case(unit, escalations, members, callout_ids, bulletin_id, rule, now)


async def load_case_for_callouts(
    unit: Unit, callout_ids: Sequence[int], *, bulletin_id: int, rule: Rule, now: datetime
) -> Case:
    """Return the case of every escalation that these people's answers count for."""
    rows = await unit.fetch(
        "SELECT DISTINCT m.escalation_id FROM member m JOIN escalation e ON e.id = m.escalation_id"
        " WHERE m.callout_id = ANY($1) AND e.state IN ('calling','exhausted','answered')"
        " AND (m.tier <= e.tier OR m.own)",
        list(callout_ids),
    )
    ids = [row["escalation_id"] for row in rows]
    escalations = await unit.fetch(
        "SELECT id, region_code, region_name, state, tier, deadline_at, tiers_json, late"
        " FROM escalation WHERE id = ANY($1) ORDER BY id",
        ids,
    )
    members = await unit.fetch(
        "SELECT escalation_id, tier, rank, callout_id FROM member WHERE escalation_id = ANY($1)"
        " ORDER BY escalation_id, tier, rank",
        ids,
    )
    all_ids = list({*(row["callout_id"] for row in members), *callout_ids})
    return await _case(unit, escalations, members, all_ids, bulletin_id, rule, now)


async def _case(
    unit: Unit,
    escalations: Sequence[Row],
    members: Sequence[Row],
    callout_ids: list[int],
    bulletin_id: int,
    rule: Rule,
    now: datetime,
) -> Case:
    callouts = {
        c.id: c
        for c in map(
            _callout,
            await unit.fetch(
                "SELECT id, contact_id, state, tier, step, rung, numbers_json, robot_ok,"
                " started_at, due_at, answered_at, late FROM callout WHERE id = ANY($1)",
                callout_ids,
            ),
        )
    }
    begun = [c.id for c in callouts.values() if c.state is not CalloutState.WAITING]
    by_escalation: dict[int, list[Row]] = {}
    for row in members:
        by_escalation.setdefault(row["escalation_id"], []).append(row)
    return Case(
        bulletin_id=bulletin_id,
        rule=rule,
        now=now,
        escalations=[
            _escalation(row, by_escalation.get(row["id"], ()), callouts, rule)
            for row in escalations
        ],
        callouts=callouts,
        region_names={row["id"]: row["region_name"] for row in escalations},
        tried=await _tried(unit, begun),
        called_for=await _called_for(unit, begun),
    )


def _escalation(
    row: Row, members: Iterable[Row], callouts: Mapping[int, Callout], rule: Rule
) -> Escalation:
    by_tier: dict[int, list[Member]] = {}
    for member in members:
        state = callouts[member["callout_id"]]
        by_tier.setdefault(member["tier"], []).append(
            Member(state.id, state.rung, state.state in HOPELESS)
        )
    return Escalation(
        id=row["id"],
        region_code=row["region_code"],
        state=EscalationState(row["state"]),
        tier=row["tier"],
        deadline_at=row["deadline_at"],
        late=row["late"],
        closing_rung=rule.closing_rung,
        tiers=tuple(
            Tier(
                ordinal,
                window,
                quorum,
                tuple(by_tier.get(ordinal, ())),
                source or row["region_code"],
            )
            for ordinal, window, quorum, source in _tiers_from_json(row["tiers_json"])
        ),
    )


def _callout(row: Row) -> Callout:
    return Callout(
        id=row["id"],
        contact_id=row["contact_id"],
        state=CalloutState(row["state"]),
        tier=row["tier"],
        step=row["step"],
        rung=row["rung"],
        numbers=numbers_from_json(row["numbers_json"]),
        robot_ok=row["robot_ok"],
        started_at=row["started_at"],
        due_at=row["due_at"],
        answered_at=row["answered_at"],
        late=row["late"],
    )


async def _tried(unit: Unit, callout_ids: list[int]) -> dict[int, list[Tried]]:
    found: dict[int, list[Tried]] = {}
    if not callout_ids:
        return found
    rows = await unit.fetch(
        "SELECT callout_id, channel, tier, number, address, state, error_class FROM attempt"
        " WHERE callout_id = ANY($1) AND purpose = 'call' ORDER BY id",
        callout_ids,
    )
    for row in rows:
        failure = failure_of(row["state"], row["error_class"])
        ended = row["state"] not in {"planned", "sending", "unknown", "accepted"}
        found.setdefault(row["callout_id"], []).append(
            Tried(row["channel"], row["tier"], row["number"], row["address"], failure, ended)
        )
    return found


async def dead_addresses(unit: Unit, bulletin_id: int) -> set[tuple[int, str, str]]:
    """Return (callout, channel, address) of everything that turned out useless in a bulletin."""
    rows = await unit.fetch(
        "SELECT callout_id, channel, address, state, error_class FROM attempt"
        " WHERE bulletin_id = $1 AND purpose = 'call' AND state IN ('failed','undelivered')",
        bulletin_id,
    )
    return {
        (row["callout_id"], row["channel"], row["address"])
        for row in rows
        if failure_of(row["state"], row["error_class"]) is Failure.DEAD
    }


async def _called_for(unit: Unit, callout_ids: list[int]) -> dict[int, dict[int, str]]:
    found: dict[int, dict[int, str]] = {}
    if not callout_ids:
        return found
    rows = await unit.fetch(
        "SELECT m.callout_id, e.id, e.region_name FROM member m"
        " JOIN escalation e ON e.id = m.escalation_id"
        " WHERE m.callout_id = ANY($1) AND e.state IN ('calling','exhausted')"
        " AND m.tier <= e.tier ORDER BY e.id",
        callout_ids,
    )
    for row in rows:
        found.setdefault(row["callout_id"], {})[row["id"]] = row["region_name"]
    return found


async def save_states(unit: Unit, changes: Changes, *, now: datetime) -> None:
    """Write the new states of escalations and callouts, and cancel what is no longer needed."""
    await unit.execute_many(
        "UPDATE escalation SET state = $1, tier = $2, deadline_at = $3, late = $4, closed_at = $5,"
        " opened_at = COALESCE(opened_at, $6), changed_at = $7 WHERE id = $8",
        [_escalation_values(e, now) for e in changes.escalations.values()],
    )
    await unit.execute_many(
        "UPDATE callout SET state = $1, tier = $2, step = $3, rung = $4, started_at = $5,"
        " due_at = $6, answered_at = $7, late = $8, changed_at = $9 WHERE id = $10",
        [
            (
                c.state.value,
                c.tier,
                c.step,
                c.rung,
                c.started_at,
                c.due_at,
                c.answered_at,
                c.late,
                now,
                c.id,
            )
            for c in changes.callouts.values()
        ],
    )
    if changes.cancel_unsent:
        await unit.execute(
            "UPDATE attempt SET state = 'cancelled', ended_at = $2 WHERE callout_id = ANY($1)"
            " AND state = 'planned' AND purpose = 'call'",
            list(changes.cancel_unsent),
            now,
        )


def _escalation_values(e: Escalation, now: datetime) -> tuple[Any, ...]:
    open_ = e.state in {EscalationState.PENDING, EscalationState.CALLING}
    closed_at = None if open_ else now
    return (e.state.value, e.tier, e.deadline_at, e.late, closed_at, now, now, e.id)

"""Loading cases: whole sets in.

A case is loaded for escalations (their windows closed) or for callouts (somebody answered, a round
is due, an attempt failed). Either way it holds every member of every escalation it holds, so that
a quorum can be judged, and for those who may be called or told something in which other regions
they are being called. A callout's value is made from its row when the case first asks for it.
SQL fetches; `warnsvc.core.case` decides. Saving is `warnsvc.store.case_save`'s.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels.errors import ADDRESS_IS_DEAD, ErrorClass
from warnsvc.core.callout import HOPELESS, USELESS, Callout, CalloutState, Failure, Tried
from warnsvc.core.case import Case, may_be_told
from warnsvc.core.escalation import Escalation, EscalationState, Member, Tier
from warnsvc.core.pack import Rule
from warnsvc.store.case_document import numbers_from_json, tiers_from_json
from warnsvc.store.port import Row, Unit

_ESCALATIONS = """
SELECT id, region_code, region_name, state, tier, deadline_at, tiers_json, late FROM escalation
 WHERE id = ANY($1) ORDER BY id
"""
_MEMBERS = """
SELECT escalation_id, tier, callout_id FROM member WHERE escalation_id = ANY($1)
 ORDER BY escalation_id, tier, rank
"""
_CALLOUTS = """
SELECT id, state, rung, contact_id, tier, step, numbers_json, robot_ok, started_at, due_at,
       answered_at, late, language FROM callout WHERE id = ANY($1)
"""
_HOPELESS_WORDS = frozenset(state.value for state in HOPELESS)
_CALLOUT_STATES = {state.value: state for state in CalloutState}
_ESCALATION_STATES = {state.value: state for state in EscalationState}
"""A dict is four times as fast as calling the enum."""
PORTION_ROWS = 250
"""Escalations in one case, if they share nobody with the next: some ten milliseconds of deciding,
while the portion before is being written."""

_BLOCKED = frozenset({ErrorClass.UNROUTABLE, ErrorClass.FILTERED, ErrorClass.CONFIG})
"""After these this address will not be reached on this channel in this bulletin, though it is
right: it is our carriers, our text or our set-up that somebody must mend."""
_AWAY = frozenset({ErrorClass.HANDSET_OFF, ErrorClass.THROTTLED})
"""After these it will not be reached now; perhaps later."""


def failure_of(state: str, error_class: str | None) -> Failure | None:
    """Return what an attempt's state says to its callout; None while it may still succeed."""
    if state not in {"undelivered", "failed", "expired"}:
        return None
    if error_class in ADDRESS_IS_DEAD:
        return Failure.DEAD
    if error_class in _BLOCKED:
        return Failure.BLOCKED
    return Failure.AWAY if error_class in _AWAY else Failure.MISSED


class _Callouts(Mapping[int, Callout]):
    """Rows that become callouts when somebody asks."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows: dict[int, Any] = {row[0]: row for row in rows}
        self._made: dict[int, Callout] = {}

    def __getitem__(self, callout_id: int) -> Callout:
        made = self._made.get(callout_id)
        if made is None:
            made = self._made[callout_id] = _callout(self.rows[callout_id])
        return made

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def begun(self, among: Iterable[int]) -> list[int]:
        """Those of them whose calling has begun."""
        rows = self.rows
        return [i for i in among if rows[i][1] != "waiting"]


def _callout(row: Any) -> Callout:
    (
        callout_id, state, rung, contact_id, tier, step, numbers, robot_ok, started_at, due_at,
        answered_at, late, _,
    ) = row  # fmt: skip
    return Callout(
        callout_id,
        contact_id,
        _CALLOUT_STATES[state],
        tier,
        step,
        rung,
        numbers_from_json(numbers),
        robot_ok,
        started_at,
        due_at,
        answered_at,
        late,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """A case that shares nobody with the other portions of its step."""

    case: Case
    escalation_ids: list[int]
    languages: Mapping[int, str]
    """Of every callout."""
    contacts: Mapping[int, int]


async def load_portions(
    unit: Unit, escalation_ids: Sequence[int], *, bulletin_id: int, rule: Rule, now: datetime
) -> AsyncIterator[Portion]:
    """Yield the cases of these escalations, with everybody who stands in them.

    Regions that share a person, such as a township head, come in one case, because what follows for
    him follows from all of them; the others in portions, so that one can be written while the next
    is being decided. Made for deadlines and endings: nobody in it is told an answer or a failure.
    """
    wanted = list(escalation_ids)
    rows = await unit.fetch(_ESCALATIONS, wanted)
    members = await unit.fetch(_MEMBERS, wanted)
    callouts = _Callouts(await unit.fetch(_CALLOUTS, list({row[2] for row in members})))
    languages = {callout_id: row[12] for callout_id, row in callouts.rows.items()}
    contacts = {callout_id: row[3] for callout_id, row in callouts.rows.items()}
    seats = _seats(members)
    for portion in _cut(rows, seats):
        escalations = _escalations(portion, seats, callouts, rule)
        told = callouts.begun(may_be_told(escalations))
        yield Portion(
            case=await _case(unit, portion, escalations, callouts, told, bulletin_id, rule, now),
            escalation_ids=[row[0] for row in portion],
            languages=languages,
            contacts=contacts,
        )


async def load_case_for_callouts(
    unit: Unit, callout_ids: Sequence[int], *, bulletin_id: int, rule: Rule, now: datetime
) -> Case:
    """Return the case of every escalation that these people's answers count for."""
    found = await unit.fetch(
        "SELECT DISTINCT m.escalation_id FROM member m JOIN escalation e ON e.id = m.escalation_id"
        " WHERE m.callout_id = ANY($1) AND e.state IN ('calling','exhausted','answered')"
        " AND (m.tier <= e.tier OR m.own)",
        list(callout_ids),
    )
    ids = [row[0] for row in found]
    rows = await unit.fetch(_ESCALATIONS, ids)
    members = await unit.fetch(_MEMBERS, ids)
    standing = {*(row[2] for row in members), *callout_ids}
    callouts = _Callouts(await unit.fetch(_CALLOUTS, list(standing)))
    escalations = _escalations(rows, _seats(members), callouts, rule)
    told = callouts.begun(callouts)
    return await _case(unit, rows, escalations, callouts, told, bulletin_id, rule, now)


async def _case(
    unit: Unit,
    rows: Sequence[Row],
    escalations: Sequence[Escalation],
    callouts: _Callouts,
    told: list[int],
    bulletin_id: int,
    rule: Rule,
    now: datetime,
) -> Case:
    return Case(
        bulletin_id=bulletin_id,
        rule=rule,
        now=now,
        escalations=escalations,
        callouts=callouts,
        region_names={row[0]: row[2] for row in rows},
        tried=await _tried(unit, told),
        called_for=await _called_for(unit, told),
    )


_Seats = dict[int, list[tuple[int, int]]]
"""Escalation → (tier, callout) of each of its people, in the order in which they are called."""


def _seats(members: Iterable[Any]) -> _Seats:
    found: _Seats = {}
    for escalation_id, tier, callout_id in members:
        found.setdefault(escalation_id, []).append((tier, callout_id))
    return found


def _cut(rows: Sequence[Row], seats: _Seats) -> Iterator[list[Row]]:
    """Cut the escalations where nobody stands on both sides, in portions of some hundred."""
    last_of: dict[int, int] = {}
    for place, row in enumerate(rows):
        for _, callout_id in seats.get(row[0], ()):
            last_of[callout_id] = place
    portion: list[Row] = []
    reach = 0
    for place, row in enumerate(rows):
        portion.append(row)
        for _, callout_id in seats.get(row[0], ()):
            reach = max(reach, last_of[callout_id])
        if reach <= place and len(portion) >= PORTION_ROWS:
            yield portion
            portion = []
    if portion:
        yield portion


def _escalations(
    rows: Iterable[Any], seats: _Seats, callouts: _Callouts, rule: Rule
) -> list[Escalation]:
    """Put people into their tiers. Where somebody stands is one value, wherever he stands."""
    standing: dict[int, Member] = {}
    found: list[Escalation] = []
    for row in rows:
        seated: dict[int, list[Member]] = {}
        for tier, callout_id in seats.get(row[0], ()):
            member = standing.get(callout_id)
            if member is None:
                person = callouts.rows[callout_id]
                member = Member(callout_id, person[2], person[1] in _HOPELESS_WORDS)
                standing[callout_id] = member
            seated.setdefault(tier, []).append(member)
        found.append(_escalation(row, seated, rule.closing_rung))
    return found


def _escalation(row: Any, seated: Mapping[int, list[Member]], closing_rung: int) -> Escalation:
    escalation_id, region_code, _, state, tier, deadline_at, tiers_json, late = row
    return Escalation(
        escalation_id,
        region_code,
        _ESCALATION_STATES[state],
        tier,
        deadline_at,
        tuple(
            [
                Tier(ordinal, window, quorum, tuple(seated.get(ordinal, ())), source or region_code)
                for ordinal, window, quorum, source in tiers_from_json(tiers_json)
            ]
        ),
        closing_rung,
        late,
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
        if failure_of(row["state"], row["error_class"]) in USELESS
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

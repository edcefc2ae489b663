"""Opening the case of a release, and its rows in the state that follows.

A release of 44,000 people is one transaction: what is computed is inserted in its final state, set
by set, so that no row is written twice. Rows go out in portions, so that the database writes one
while the next is made. Whom tier 1 does not hold stays a row: his callout is never made a value.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from contacts.contact import Contact
from contacts.region import RegionTree
from warnsvc.core.bulletin import Bulletin
from warnsvc.core.callout import Callout, CalloutState
from warnsvc.core.case import Case, NewAlarm
from warnsvc.core.escalation import Escalation, EscalationState, Member, Tier
from warnsvc.core.pack import Rule
from warnsvc.core.plan import GapKind, Plan
from warnsvc.store.case_document import numbers_to_json, tiers_to_json
from warnsvc.store.port import Unit

INSERT_ROWS = 5_000
"""Rows in one statement: a tenth of a second of the database's work."""

_ESCALATION_COLUMNS = (
    "id",
    "bulletin_id",
    "region_code",
    "region_name",
    "parent_code",
    "parent_name",
    "state",
    "tier",
    "tiers_json",
    "opened_at",
    "deadline_at",
    "closed_at",
    "late",
    "reason",
    "changed_at",
)
_CALLOUT_COLUMNS = (
    "id",
    "bulletin_id",
    "contact_id",
    "contact_name",
    "language",
    "robot_ok",
    "numbers_json",
    "state",
    "tier",
    "step",
    "rung",
    "started_at",
    "due_at",
    "late",
    "reason",
    "changed_at",
)
_MEMBER_COLUMNS = ("escalation_id", "callout_id", "tier", "rank", "role", "own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A case that has begun; its escalations, callouts and members are written."""

    case: Case
    contacts: Mapping[int, int]
    """Callout → contact."""
    languages: Mapping[int, str]


class _Waiting(Mapping[int, Callout]):
    """Planned people as callouts that wait, made when somebody asks."""

    def __init__(self, contacts: Mapping[int, Contact]) -> None:
        self._contacts = contacts

    def __getitem__(self, callout_id: int) -> Callout:
        contact = self._contacts[callout_id]
        return Callout(
            callout_id,
            contact.id,
            CalloutState.WAITING,
            0,
            0,
            0,
            contact.numbers,
            contact.robot_ok,
            None,
            None,
        )

    def __iter__(self) -> Iterator[int]:
        return iter(self._contacts)

    def __len__(self) -> int:
        return len(self._contacts)


async def open_case(
    unit: Unit, bulletin: Bulletin, rule: Rule, planned: Plan, tree: RegionTree, now: datetime
) -> Opened:
    """Open the case and insert its rows in the state that follows."""
    callout_ids = await unit.new_ids("callout", len(planned.contacts))
    callout_of = dict(zip(planned.contacts, callout_ids, strict=True))
    people = dict(zip(callout_ids, planned.contacts.values(), strict=True))
    escalation_ids = await unit.new_ids("escalation", len(planned.escalations))
    escalations = _escalations(planned, escalation_ids, callout_of, rule)
    case = Case(
        bulletin_id=bulletin.id,
        rule=rule,
        now=now,
        escalations=escalations,
        callouts=_Waiting(people),
        region_names={
            i: e.region.name for i, e in zip(escalation_ids, planned.escalations, strict=True)
        },
    )
    case.open_all()
    _alarm_empty_tiers(case, planned, escalations)
    await _insert(
        unit,
        "escalation",
        _ESCALATION_COLUMNS,
        _escalation_rows(bulletin, planned, escalations, case, tree, now),
    )
    await _insert(unit, "callout", _CALLOUT_COLUMNS, _callout_rows(bulletin, people, case, now))
    await _insert(
        unit, "member", _MEMBER_COLUMNS, _member_rows(planned, escalation_ids, callout_of)
    )
    _forget_what_is_written(case)
    return Opened(
        case=case,
        contacts={callout_id: contact.id for callout_id, contact in people.items()},
        languages={callout_id: contact.language for callout_id, contact in people.items()},
    )


def _alarm_empty_tiers(case: Case, planned: Plan, escalations: Sequence[Escalation]) -> None:
    escalation_of = {e.region_code: e.id for e in escalations}
    case.changes.alarms.extend(
        NewAlarm("no_contact", escalation_id=escalation_of[gap.region_code])
        for gap in planned.gaps
        if gap.kind is GapKind.EMPTY_TIER and gap.region_code in escalation_of
    )


def _forget_what_is_written(case: Case) -> None:
    case.changes.escalations.clear()
    case.changes.callouts = {
        i: c for i, c in case.changes.callouts.items() if c.state is not CalloutState.CALLING
    }
    case.changes.cancel_unsent.clear()


async def _insert(
    unit: Unit, table: str, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]
) -> None:
    while portion := list(islice(rows, INSERT_ROWS)):
        await unit.insert_rows(table, columns, portion)


def _escalations(
    planned: Plan, ids: Sequence[int], callout_of: Mapping[int, int], rule: Rule
) -> list[Escalation]:
    rules = [rule.tier(ordinal) for ordinal in range(1, len(rule.tiers) + 1)]
    last = len(rules) - 1
    found: list[Escalation] = []
    for escalation_id, (region, planned_tiers) in zip(ids, planned.escalations, strict=True):
        tiers: list[Tier] = []
        for ordinal, source_code, _, members in planned_tiers:
            tier_rule = rules[min(ordinal - 1, last)]
            seats = tuple([Member(callout_of[member[0]]) for member in members])
            tiers.append(
                Tier(ordinal, tier_rule.window_seconds, tier_rule.quorum, seats, source_code)
            )
        found.append(
            Escalation(
                escalation_id,
                region.code,
                EscalationState.PENDING,
                0,
                None,
                tuple(tiers),
                rule.closing_rung,
            )
        )
    return found


def _escalation_rows(
    bulletin: Bulletin,
    planned: Plan,
    escalations: Sequence[Escalation],
    case: Case,
    tree: RegionTree,
    now: datetime,
) -> Iterator[tuple[Any, ...]]:
    for opened, (region, _) in zip(escalations, planned.escalations, strict=True):
        state = case.changes.escalations.get(opened.id, opened)
        parent_code = region.parent_code
        known = parent_code is not None and parent_code in tree
        yield (
            opened.id,
            bulletin.id,
            region.code,
            region.name,
            parent_code,
            tree[parent_code].name if known and parent_code else "",
            state.state.value,
            state.tier,
            tiers_to_json(opened.tiers, region.code),
            now,
            state.deadline_at,
            None if state.state is EscalationState.CALLING else now,
            False,
            "",
            now,
        )


def _callout_rows(
    bulletin: Bulletin, people: Mapping[int, Contact], case: Case, now: datetime
) -> Iterator[tuple[Any, ...]]:
    moved = case.changes.callouts
    bulletin_id = bulletin.id
    waiting = (CalloutState.WAITING.value, 0, 0, 0, None, None)
    for callout_id, contact in people.items():
        state = moved.get(callout_id)
        yield (
            callout_id,
            bulletin_id,
            contact.id,
            contact.name,
            contact.language,
            contact.robot_ok,
            numbers_to_json(contact.numbers),
            *(waiting if state is None else _stored(state)),
            False,
            "",
            now,
        )


def _stored(state: Callout) -> tuple[Any, ...]:
    return (
        state.state.value,
        state.tier,
        state.step,
        state.rung,
        state.started_at,
        state.due_at,
    )


def _member_rows(
    planned: Plan, escalation_ids: Sequence[int], callout_of: Mapping[int, int]
) -> Iterator[tuple[Any, ...]]:
    for escalation_id, (region, tiers) in zip(escalation_ids, planned.escalations, strict=True):
        for ordinal, source_code, _, members in tiers:
            own = source_code == region.code
            for contact_id, rank, role in members:
                yield (escalation_id, callout_of[contact_id], ordinal, rank, role, own)

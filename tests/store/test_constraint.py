"""The database refuses what is illegal, and names the rule that was broken, on both databases.

Every CHECK of the schema has one row here that it lets through and one that it refuses; a CHECK
that is added without them fails `test_every_check_has_its_cases`.
"""

from typing import Any

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import SQLModel

from contacts.directory.table import AssignmentRow, ContactRow, NumberRow, RegionRow
from tests.store.rows import LATER, LEGAL, NOW, parents, row
from warnsvc.store import table as t
from warnsvc.store.port import IntegrityFault, Store

Changes = dict[str, Any]

SIGNED: Changes = {"state": "signed", "signed_at": NOW, "signed_by": 1, "signed_digest": "d"}
RELEASED: Changes = {"state": "released", "released_at": NOW, "released_by": 1, "rule_json": "{}"}

CHECKS: dict[str, tuple[type[SQLModel], Changes, Changes]] = {
    "ck_region_level": (RegionRow, {"level": "zone"}, {"level": "street"}),
    "ck_region_kind": (RegionRow, {"kind": "corps"}, {"kind": "x"}),
    "ck_region_headcount": (RegionRow, {"headcount": 0}, {"headcount": -1}),
    "ck_contact_kind": (ContactRow, {"kind": "endpoint"}, {"kind": "robot"}),
    "ck_contact_number_kind": (NumberRow, {"kind": "landline"}, {"kind": "pager"}),
    "ck_contact_number_rank": (NumberRow, {"rank": 2}, {"rank": 0}),
    "ck_assignment_tier": (AssignmentRow, {"tier": 9}, {"tier": 10}),
    "ck_bulletin_status": (t.BulletinRow, {"status": "actual"}, {"status": "real"}),
    "ck_bulletin_type": (t.BulletinRow, {"type": "cancel"}, {"type": "x"}),
    "ck_bulletin_colour": (t.BulletinRow, {"colour": "blue"}, {"colour": "green"}),
    "ck_bulletin_state": (t.BulletinRow, {"state": "discarded"}, {"state": "sent"}),
    "ck_bulletin_submitted": (
        t.BulletinRow,
        {"state": "submitted", "submitted_at": NOW},
        {"state": "submitted"},
    ),
    "ck_bulletin_signed": (t.BulletinRow, SIGNED, SIGNED | {"signed_digest": None}),
    "ck_bulletin_released": (t.BulletinRow, RELEASED, RELEASED | {"rule_json": None}),
    "ck_bulletin_lifted": (
        t.BulletinRow,
        RELEASED | {"state": "lifted", "lifted_at": NOW},
        RELEASED | {"state": "lifted"},
    ),
    "ck_escalation_state": (
        t.EscalationRow,
        {"state": "expired", "closed_at": NOW},
        {"state": "open", "closed_at": NOW},
    ),
    "ck_escalation_deadline": (
        t.EscalationRow,
        {"state": "calling", "tier": 1, "deadline_at": LATER},
        {"state": "calling", "tier": 1},
    ),
    "ck_escalation_closed": (
        t.EscalationRow,
        {"state": "answered", "closed_at": NOW},
        {"state": "answered"},
    ),
    "ck_escalation_tier": (
        t.EscalationRow,
        {"state": "calling", "tier": 1, "deadline_at": LATER},
        {"state": "calling", "tier": 0, "deadline_at": LATER},
    ),
    "ck_callout_state": (t.CalloutRow, {"state": "silent"}, {"state": "done"}),
    "ck_callout_rung": (t.CalloutRow, {"rung": 9}, {"rung": 10}),
    "ck_callout_due": (
        t.CalloutRow,
        {"state": "calling", "due_at": LATER},
        {"state": "stopped", "due_at": LATER},
    ),
    "ck_callout_answered": (
        t.CalloutRow,
        {"state": "answered", "answered_at": NOW},
        {"state": "answered"},
    ),
    "ck_attempt_state": (t.AttemptRow, {"state": "unknown"}, {"state": "sent"}),
    "ck_attempt_channel": (t.AttemptRow, {"channel": "voice"}, {"channel": "fax"}),
    "ck_attempt_purpose": (t.AttemptRow, {"purpose": "lift"}, {"purpose": "x"}),
    "ck_attempt_lease": (
        t.AttemptRow,
        {"state": "sending", "lease_until": LATER},
        {"state": "planned", "lease_until": LATER},
    ),
    "ck_attempt_sent": (
        t.AttemptRow,
        {"state": "accepted", "sent_at": NOW},
        {"state": "accepted"},
    ),
    "ck_inbound_kind": (t.InboundRow, {"kind": "receipt"}, {"kind": "x"}),
    "ck_inbound_state": (t.InboundRow, {"state": "parked"}, {"state": "x"}),
    "ck_answer_kind": (t.AnswerRow, {"kind": "help"}, {"kind": "yes"}),
    "ck_task_kind": (t.TaskRow, {"kind": "fix_number"}, {"kind": "x"}),
    "ck_task_state": (t.TaskRow, {"state": "moot"}, {"state": "x"}),
    "ck_task_claim": (
        t.TaskRow,
        {"state": "claimed", "claimed_until": LATER},
        {"state": "claimed"},
    ),
    "ck_alarm_kind": (t.AlarmRow, {"kind": "late"}, {"kind": "fire"}),
    "ck_pace_factor": (t.PaceRow, {"factor": 0.5}, {"factor": 0.0}),
    "ck_circuit_state": (
        t.CircuitRow,
        {"state": "half_open", "probe_at": NOW},
        {"state": "ajar", "probe_at": NOW},
    ),
    "ck_circuit_probe": (
        t.CircuitRow,
        {"state": "open", "probe_at": NOW},
        {"state": "open"},
    ),
    "ck_carrier_kind": (t.CarrierRow, {"kind": "voice"}, {"kind": "fax"}),
    "ck_test_send_purpose": (t.TestSendRow, {"purpose": "by_hand"}, {"purpose": "drill"}),
    "ck_test_send_state": (t.TestSendRow, {"state": "unknown"}, {"state": "planned"}),
    "ck_send_reference_subject": (
        t.SendReferenceRow,
        {"attempt_id": 1},
        {"attempt_id": 1, "test_id": 1},
    ),
    "ck_worker_role": (t.WorkerRow, {"role": "web"}, {"role": "boss"}),
    "ck_ledger_tree_one": (t.LedgerTreeRow, {"id": 1}, {"id": 2}),
}


def test_every_check_has_its_cases() -> None:
    checks = {
        str(constraint.name)
        for table in SQLModel.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }

    assert set(CHECKS) == checks


class Undo(Exception):
    """Rolls a unit back."""


async def trial(store: Store, *rows: SQLModel) -> str | None:
    """Insert and take back. Return the name of the constraint that refused, or None."""
    try:
        async with store.unit() as unit:
            await unit.add(*rows)
            raise Undo
    except Undo:
        return None
    except IntegrityFault as fault:
        return fault.constraint


async def test_what_is_legal_is_let_through(store: Store) -> None:
    refused = {
        name: await trial(store, *parents(kind), row(kind, **legal))
        for name, (kind, legal, _) in CHECKS.items()
    }

    assert refused == dict.fromkeys(CHECKS)


async def test_what_is_illegal_is_refused_by_its_name(store: Store) -> None:
    refused = {
        name: await trial(store, *parents(kind), row(kind, **illegal))
        for name, (kind, _, illegal) in CHECKS.items()
    }

    assert refused == {name: name for name in CHECKS}


async def test_every_unique_key_is_refused_by_its_name(store: Store) -> None:
    refused = {
        str(constraint.name): await trial(store, *parents(kind), *twins(kind, constraint))
        for kind in LEGAL
        for constraint in kind.__table__.constraints
        if isinstance(constraint, UniqueConstraint)
    }

    assert refused == {name: name for name in refused}
    assert "uq_attempt" in refused


async def test_keys_and_missing_values_have_names_too(store: Store) -> None:
    assert await trial(store, row(t.AlarmRow), row(t.AlarmRow)) == "alarm_pkey"
    assert await trial(store, row(t.AlarmRow, bulletin_id=77)) == "foreign_key"
    assert await trial(store, row(t.AlarmRow, text=None)) == "not_null"


def twins(kind: type[SQLModel], constraint: UniqueConstraint) -> list[SQLModel]:
    """Return two rows that differ in their primary key alone; a NULL would never collide."""
    given = {column.name: getattr(row(kind), column.name) for column in constraint.columns}
    values = {name: 1 if value is None else value for name, value in given.items()}
    key = next(iter(kind.__table__.primary_key)).name
    return [row(kind, **values), row(kind, **values | {key: 2})]

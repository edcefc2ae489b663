"""One legal row of every table, for tests to change one thing in."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import SQLModel

from contacts.directory.table import AssignmentRow, ContactRow, NumberRow, RegionRow
from warnsvc.store import table as t

NOW = datetime(2026, 7, 1, 3, 4, 5, 678901, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)

LEGAL: dict[type[SQLModel], dict[str, Any]] = {
    t.OfficerRow: {"id": 1, "login": "a", "name": "甲", "password_hash": "x", "created_at": NOW},
    RegionRow: {"code": "659900000000", "level": "county", "name": "云岭县"},
    ContactRow: {"id": 1, "key": "k1", "name": "乙", "updated_at": NOW},
    NumberRow: {"id": 1, "contact_id": 1, "rank": 1, "kind": "mobile", "address": "+1"},
    AssignmentRow: {"id": 1, "contact_id": 1, "region_code": "659900000000", "tier": 1},
    t.SessionRow: {
        "token_hash": "h",
        "officer_id": 1,
        "csrf_token": "c",
        "created_at": NOW,
        "last_seen_at": NOW,
        "expires_at": LATER,
    },
    t.BulletinRow: {
        "id": 1,
        "identifier": "b1",
        "event_id": 1,
        "status": "exercise",
        "type": "alert",
        "hazard": "11B03",
        "colour": "red",
        "regions_json": "[]",
        "texts_json": "{}",
        "onset_at": NOW,
        "expires_at": LATER,
        "created_at": NOW,
        "updated_at": NOW,
        "drafted_by": 1,
    },
    t.MessageRow: {
        "id": 1,
        "bulletin_id": 1,
        "language": "zh",
        "channel": "sms",
        "text": "演练",
        "digest": "d",
    },
    t.EscalationRow: {
        "id": 1,
        "bulletin_id": 1,
        "region_code": "659900000000",
        "region_name": "云岭县",
        "tiers_json": "[]",
        "changed_at": NOW,
    },
    t.CalloutRow: {
        "id": 1,
        "bulletin_id": 1,
        "contact_id": 1,
        "contact_name": "乙",
        "language": "zh",
        "numbers_json": "[]",
        "changed_at": NOW,
    },
    t.MemberRow: {"escalation_id": 1, "callout_id": 1, "tier": 1},
    t.AttemptRow: {
        "id": 1,
        "bulletin_id": 1,
        "contact_id": 1,
        "callout_id": 1,
        "tier": 1,
        "channel": "sms",
        "number": 1,
        "address": "+1",
        "message_id": 1,
        "priority": 1,
        "due_at": NOW,
        "valid_until": LATER,
    },
    t.InboundRow: {
        "id": 1,
        "kind": "answer",
        "carrier": "simulated",
        "channel": "sms",
        "dedupe_key": "k",
        "received_at": NOW,
    },
    t.AnswerRow: {
        "id": 1,
        "bulletin_id": 1,
        "callout_id": 1,
        "kind": "received",
        "rung": 3,
        "channel": "sms",
        "happened_at": NOW,
        "entered_at": NOW,
    },
    t.TaskRow: {
        "id": 1,
        "bulletin_id": 1,
        "kind": "knock",
        "desk": "县值班室",
        "title": "敲门",
        "due_at": LATER,
        "created_at": NOW,
    },
    t.AlarmRow: {"id": 1, "kind": "exhausted", "text": "无人应答", "raised_at": NOW},
    t.LedgerLineRow: {
        "id": 1,
        "act": "bulletin.released",
        "entered_at": NOW,
        "body": b"{}",
        "leaf": b"\x01" * 32,
    },
    t.LedgerPendingRow: {"line_id": 1},
    t.LedgerLeafRow: {"seq": 0, "line_id": 1, "leaf": b"\x01" * 32},
    t.LedgerTreeRow: {"id": 1, "size": 0, "edge": b"", "root": b"\x02" * 32, "updated_at": NOW},
    t.DutyRow: {"name": "reaper", "owner": "p1", "lease_until": LATER},
    t.PaceRow: {"name": "carrier:sms", "next_at": NOW},
    t.CircuitRow: {"name": "sms", "changed_at": NOW},
    t.WorkerRow: {
        "owner": "p1",
        "role": "worker",
        "version": "1",
        "started_at": NOW,
        "seen_at": NOW,
    },
    t.CarrierRow: {
        "name": "twilio",
        "kind": "sms",
        "adapter": "twilio_sms",
        "created_at": NOW,
        "changed_at": NOW,
    },
    t.TestSendRow: {
        "id": 1,
        "carrier": "twilio",
        "purpose": "canary",
        "address": "+1",
        "text": "试",
        "sent_at": NOW,
    },
    t.SendReferenceRow: {"carrier": "mas", "reference": "m1:139", "created_at": NOW},
    t.InboundPollRow: {"carrier": "twilio", "polled_until": NOW, "changed_at": NOW},
    t.RecordingRow: {
        "bulletin_id": 1,
        "language": "ug",
        "media_type": "audio/wav",
        "seconds": 12.5,
        "digest": "d" * 64,
        "uploaded_at": NOW,
        "sound": b"RIFF",
    },
    t.IdBlockRow: {"name": "unused"},
    t.SettingRow: {"name": "desk", "value": "县值班室"},
}


def row(kind: type[SQLModel], /, **changes: Any) -> SQLModel:
    """Return a legal row of this kind, with these changes."""
    return kind(**{**LEGAL[kind], **changes})


def parents(kind: type[SQLModel]) -> list[SQLModel]:
    """Return the rows that one of this kind refers to, in the order they must be inserted."""
    needed: list[type[SQLModel]] = []
    _collect(kind, needed)
    return [row(parent) for parent in needed if parent is not kind]


def _collect(kind: type[SQLModel], needed: list[type[SQLModel]]) -> None:
    by_table = {model.__table__: model for model in LEGAL}
    for key in sorted(kind.__table__.foreign_keys, key=lambda key: key.parent.name):
        parent = by_table[key.column.table]
        if parent is not kind and parent not in needed:
            _collect(parent, needed)
    if kind not in needed:
        needed.append(kind)

"""The tables of the engine: rows, not the domain.

These SQLModel models are the schema that alembic migrates, and they serve lists and forms. The
rules are in `warnsvc.core`; the hot paths are hand-written statements in the modules beside this
one. A field annotated `datetime` is SQLModel's `UTCDateTime`: aware, UTC, refused when naive.
Documents (`*_json`) are canonical JSON text that SQL never looks into.

Legal combinations of a state and its columns are CHECK constraints here, so that neither a bug nor
a hand with a database client can leave an escalation calling without a deadline.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from contacts.directory import table as directory_table  # the same metadata

__all__ = ["directory_table"]


def _words(column: str, *words: str, name: str) -> CheckConstraint:
    listed = ",".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class OfficerRow(SQLModel, table=True):
    """Somebody who can log in."""

    __tablename__ = "officer"
    __table_args__ = (UniqueConstraint("login", name="uq_officer_login"),)

    id: int = Field(primary_key=True)
    login: str = Field(max_length=60)
    name: str = Field(max_length=80)
    post: str = Field(default="", max_length=80)
    password_hash: str
    roles: str = ""
    """Comma-separated: `duty`, `signer`, `auditor`, `admin`."""
    disabled: bool = False
    failed_logins: int = 0
    locked_until: datetime | None = None
    created_at: datetime


class SessionRow(SQLModel, table=True):
    """A login; the cookie holds the token, this row only its SHA-256."""

    __tablename__ = "session"

    token_hash: str = Field(primary_key=True, max_length=64)
    officer_id: int = Field(foreign_key="officer.id", index=True)
    csrf_token: str = Field(max_length=64)
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    agent: str = Field(default="", max_length=200)
    language: str = Field(default="zh", max_length=8)


class BulletinRow(SQLModel, table=True):
    """The text that is issued, with its life cycle."""

    __tablename__ = "bulletin"
    __table_args__ = (
        UniqueConstraint("identifier", name="uq_bulletin_identifier"),
        _words("status", "actual", "exercise", "test", name="ck_bulletin_status"),
        _words("type", "alert", "update", "cancel", name="ck_bulletin_type"),
        _words("colour", "blue", "yellow", "orange", "red", name="ck_bulletin_colour"),
        _words(
            "state",
            "draft",
            "submitted",
            "signed",
            "released",
            "lifted",
            "superseded",
            "expired",
            "closed",
            "discarded",
            name="ck_bulletin_state",
        ),
        CheckConstraint(
            "state <> 'submitted' OR submitted_at IS NOT NULL", name="ck_bulletin_submitted"
        ),
        CheckConstraint(
            "state <> 'signed' OR (signed_at IS NOT NULL AND signed_by IS NOT NULL"
            " AND signed_digest IS NOT NULL)",
            name="ck_bulletin_signed",
        ),
        CheckConstraint(
            "state NOT IN ('released','lifted','superseded','expired','closed')"
            " OR (released_at IS NOT NULL AND released_by IS NOT NULL AND rule_json IS NOT NULL)",
            name="ck_bulletin_released",
        ),
        CheckConstraint("state <> 'lifted' OR lifted_at IS NOT NULL", name="ck_bulletin_lifted"),
        Index("ix_bulletin_state", "state", "expires_at"),
    )

    id: int = Field(primary_key=True)
    identifier: str = Field(max_length=80)
    event_id: int
    """The thread: the id of the first bulletin about this danger."""
    status: str
    type: str
    hazard: str = Field(max_length=16)
    colour: str
    regions_json: str
    """A list of the region codes that were selected."""
    texts_json: str
    """Language → text, as written in the form."""
    onset_at: datetime
    expires_at: datetime
    state: str = "draft"
    created_at: datetime
    updated_at: datetime
    drafted_by: int = Field(foreign_key="officer.id")
    submitted_at: datetime | None = None
    signed_at: datetime | None = None
    signed_by: int | None = Field(default=None, foreign_key="officer.id")
    signed_digest: str | None = None
    released_at: datetime | None = None
    released_by: int | None = Field(default=None, foreign_key="officer.id")
    rule_json: str | None = None
    """The pack's rule for this bulletin, frozen at release."""
    estimate_json: str | None = None
    lifted_at: datetime | None = None
    lifted_by: int | None = Field(default=None, foreign_key="officer.id")
    lift_reason: str | None = None
    closed_at: datetime | None = None
    references_id: int | None = Field(default=None, foreign_key="bulletin.id")
    """The bulletin that this one updates or cancels."""


class MessageRow(SQLModel, table=True):
    """One rendered text, frozen: what the phone shows. Attempts point here."""

    __tablename__ = "message"
    __table_args__ = (UniqueConstraint("bulletin_id", "digest", name="uq_message_digest"),)

    id: int = Field(primary_key=True)
    bulletin_id: int = Field(foreign_key="bulletin.id")
    language: str
    channel: str
    text: str
    parts: int = 1
    """SMS parts, or 1."""
    fields_json: str = "{}"
    """What the text was made of, for carriers that take templates or documents."""
    digest: str
    """SHA-256 over language, channel, text and fields."""


class EscalationRow(SQLModel, table=True):
    """One bulletin in one region."""

    __tablename__ = "escalation"
    __table_args__ = (
        UniqueConstraint("bulletin_id", "region_code", name="uq_escalation"),
        _words(
            "state",
            "pending",
            "calling",
            "answered",
            "exhausted",
            "lifted",
            "expired",
            name="ck_escalation_state",
        ),
        CheckConstraint(
            "(state = 'calling') = (deadline_at IS NOT NULL)", name="ck_escalation_deadline"
        ),
        CheckConstraint(
            "(state IN ('pending','calling')) = (closed_at IS NULL)", name="ck_escalation_closed"
        ),
        CheckConstraint("state <> 'calling' OR tier >= 1", name="ck_escalation_tier"),
        _partial("ix_escalation_due", "deadline_at", where="state = 'calling'"),
        Index("ix_escalation_changed", "bulletin_id", "changed_at"),
    )

    id: int = Field(primary_key=True)
    bulletin_id: int = Field(foreign_key="bulletin.id")
    region_code: str = Field(foreign_key="region.code")
    region_name: str
    """As it was at release."""
    parent_code: str | None = None
    parent_name: str = ""
    state: str = "pending"
    tier: int = 0
    """The ordinal of the tier that is open, from 1; 0 before the first."""
    tiers_json: str
    """The frozen tiers: ordinal, source region, window, quorum."""
    opened_at: datetime | None = None
    deadline_at: datetime | None = None
    closed_at: datetime | None = None
    late: bool = False
    """Answered only after it had been exhausted."""
    reason: str = ""
    changed_at: datetime


class MemberRow(SQLModel, table=True):
    """A callout's place in an escalation."""

    __tablename__ = "member"
    __table_args__ = (Index("ix_member_callout", "callout_id"),)

    escalation_id: int = Field(primary_key=True, foreign_key="escalation.id")
    callout_id: int = Field(primary_key=True, foreign_key="callout.id")
    tier: int
    rank: int = 0
    role: str = ""
    own: bool = True
    """Whether the tier belongs to the region itself, not to a superior."""


class CalloutRow(SQLModel, table=True):
    """One bulletin × one contact: the person being called, once."""

    __tablename__ = "callout"
    __table_args__ = (
        UniqueConstraint("bulletin_id", "contact_id", name="uq_callout"),
        _words(
            "state",
            "waiting",
            "calling",
            "answered",
            "refused",
            "unreachable",
            "silent",
            "stopped",
            name="ck_callout_state",
        ),
        CheckConstraint("rung BETWEEN 0 AND 9", name="ck_callout_rung"),
        CheckConstraint(
            "state IN ('calling','unreachable') OR due_at IS NULL", name="ck_callout_due"
        ),
        CheckConstraint(
            "state <> 'answered' OR answered_at IS NOT NULL", name="ck_callout_answered"
        ),
        _partial("ix_callout_due", "due_at", where="due_at IS NOT NULL"),
        Index("ix_callout_contact", "contact_id"),
    )

    id: int = Field(primary_key=True)
    bulletin_id: int = Field(foreign_key="bulletin.id")
    contact_id: int = Field(foreign_key="contact.id")
    contact_name: str
    language: str
    robot_ok: bool = True
    numbers_json: str
    """The ranked numbers as they were at release."""
    state: str = "waiting"
    tier: int = 0
    """The ordinal of the tier in which he was first called; 0 while waiting."""
    step: int = 0
    """How many steps of the sequence have been started."""
    rung: int = 0
    started_at: datetime | None = None
    due_at: datetime | None = None
    answered_at: datetime | None = None
    late: bool = False
    reason: str = ""
    changed_at: datetime


class AttemptRow(SQLModel, table=True):
    """One try: one message or call, one channel, one number."""

    __tablename__ = "attempt"
    __table_args__ = (
        UniqueConstraint(
            "bulletin_id", "contact_id", "tier", "channel", "number", "purpose", name="uq_attempt"
        ),
        _words(
            "state",
            "planned",
            "sending",
            "unknown",
            "accepted",
            "delivered",
            "undelivered",
            "failed",
            "expired",
            "cancelled",
            name="ck_attempt_state",
        ),
        _words("channel", "sms", "voice", "webhook", name="ck_attempt_channel"),
        _words("purpose", "call", "inform", "stand_down", "lift", name="ck_attempt_purpose"),
        CheckConstraint("(state = 'sending') = (lease_until IS NOT NULL)", name="ck_attempt_lease"),
        CheckConstraint(
            "state NOT IN ('accepted','delivered') OR sent_at IS NOT NULL", name="ck_attempt_sent"
        ),
        _partial(
            "ix_attempt_queue", "channel", "priority", "due_at", "id", where="state = 'planned'"
        ),
        _partial("ix_attempt_lease", "lease_until", where="state = 'sending'"),
        _partial("ix_attempt_unknown", "due_at", where="state = 'unknown'"),
        _partial("ix_attempt_receipt", "receipt_due_at", where="receipt_due_at IS NOT NULL"),
        Index("ix_attempt_callout", "callout_id"),
        Index("ix_attempt_address", "address", "id"),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    id: int = Field(primary_key=True)
    bulletin_id: int = Field(foreign_key="bulletin.id")
    contact_id: int
    callout_id: int = Field(foreign_key="callout.id")
    tier: int
    channel: str
    number: int
    """The attempt number: 1, 2, … within bulletin × contact × tier × channel × purpose."""
    purpose: str = "call"
    address: str
    message_id: int = Field(foreign_key="message.id")
    priority: int
    """Lower is sent first: danger before rank before age."""
    state: str = "planned"
    due_at: datetime
    """When it may be sent; for `unknown`, when it is looked up."""
    valid_until: datetime
    lease_owner: str | None = None
    lease_until: datetime | None = None
    send_count: int = 0
    carrier: str | None = None
    reference: str | None = None
    """The carrier's own id."""
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    error_class: str | None = None
    error_text: str | None = None
    refused_by: str = ""
    """Comma-separated: the carriers that did not take it, or never said that it arrived."""
    parts: int = 0
    """What the carrier counted it for: SMS parts, else 1; 0 before it was taken."""
    receipt_due_at: datetime | None = None
    """When a receipt that has not come is missing, and another carrier is tried."""
    recalled_at: datetime | None = None
    """When the carrier was asked to take it back: the bulletin was lifted, or it came too late."""


class InboundRow(SQLModel, table=True):
    """One verified thing that a carrier told us: on disk before it is answered 2xx."""

    __tablename__ = "inbound"
    __table_args__ = (
        UniqueConstraint("dedupe_key", name="uq_inbound_dedupe"),
        _words("kind", "receipt", "answer", name="ck_inbound_kind"),
        _words(
            "state",
            "new",
            "applied",
            "parked",
            "unmatched",
            "poison",
            "settled",
            name="ck_inbound_state",
        ),
        _partial("ix_inbound_new", "id", where="state = 'new'"),
        _partial("ix_inbound_parked", "carrier", "awaits", where="state = 'parked'"),
        Index("ix_inbound_state", "state", "received_at"),
    )

    id: int = Field(primary_key=True)
    kind: str
    carrier: str
    channel: str
    dedupe_key: str = Field(max_length=200)
    attempt_id: int | None = None
    """From our own token in the callback address, or found by the carrier's reference."""
    callout_id: int | None = None
    """From our own token in an answer link."""
    sender: str = ""
    text: str = ""
    fact_json: str = "{}"
    """What a receipt says: our word, the carrier's word, its reference, seconds heard …"""
    received_at: datetime
    state: str = "new"
    tries: int = 0
    note: str = ""
    awaits: str = Field(default="", max_length=200)
    """The reference that a parked receipt waits for."""


class AnswerRow(SQLModel, table=True):
    """The person's word."""

    __tablename__ = "answer"
    __table_args__ = (
        _words(
            "kind",
            "received",
            "on_post",
            "heard",
            "refused",
            "help",
            "unclear",
            name="ck_answer_kind",
        ),
        UniqueConstraint("inbound_id", "callout_id", name="uq_answer_inbound"),
        Index("ix_answer_callout", "callout_id"),
    )

    id: int = Field(primary_key=True)
    bulletin_id: int = Field(foreign_key="bulletin.id")
    callout_id: int = Field(foreign_key="callout.id")
    inbound_id: int | None = Field(default=None, foreign_key="inbound.id")
    kind: str
    rung: int
    channel: str
    """`sms`, `voice`, `webhook`, `link` or `hand`."""
    text: str = ""
    late: bool = False
    happened_at: datetime
    entered_at: datetime
    entered_by: int | None = Field(default=None, foreign_key="officer.id")


class TaskRow(SQLModel, table=True):
    """What a human must do."""

    __tablename__ = "task"
    __table_args__ = (
        _words("kind", "call_by_hand", "knock", "help", "fix_number", name="ck_task_kind"),
        _words("state", "open", "claimed", "done", "moot", name="ck_task_state"),
        CheckConstraint("(state = 'claimed') = (claimed_until IS NOT NULL)", name="ck_task_claim"),
        UniqueConstraint("escalation_id", "callout_id", "kind", name="uq_task"),
        Index("ix_task_open", "state", "priority", "id"),
    )

    id: int = Field(primary_key=True)
    bulletin_id: int = Field(foreign_key="bulletin.id")
    escalation_id: int | None = Field(default=None, foreign_key="escalation.id")
    callout_id: int | None = Field(default=None, foreign_key="callout.id")
    kind: str
    desk: str
    """The desk that must act, by name."""
    title: str
    detail: str = ""
    priority: int = 0
    state: str = "open"
    due_at: datetime
    claimed_by: int | None = Field(default=None, foreign_key="officer.id")
    claimed_until: datetime | None = None
    result: str = ""
    created_at: datetime
    ended_at: datetime | None = None


class AlarmRow(SQLModel, table=True):
    """What the duty desk hears and sees when a human is needed."""

    __tablename__ = "alarm"
    __table_args__ = (
        _words(
            "kind",
            "exhausted",
            "no_contact",
            "unmatched",
            "poison",
            "expired",
            "refused",
            "help",
            "channel",
            "late",
            "clock",
            "unknown",
            "spool",
            "database",
            "canary",
            "filtered",
            "opted_out",
            "callback",
            "poll",
            name="ck_alarm_kind",
        ),
        Index("ix_alarm_open", "acknowledged_at", "id"),
    )

    id: int = Field(primary_key=True)
    kind: str
    bulletin_id: int | None = Field(default=None, foreign_key="bulletin.id")
    escalation_id: int | None = Field(default=None, foreign_key="escalation.id")
    text: str
    raised_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_by: int | None = Field(default=None, foreign_key="officer.id")
    ended_at: datetime | None = None
    """When its cause was over by itself; somebody may still want to know."""


class LedgerLineRow(SQLModel, table=True):
    """One transition, as the exact bytes that are hashed. Never updated, never deleted."""

    __tablename__ = "ledger_line"
    __table_args__ = (
        Index("ix_ledger_line_bulletin", "bulletin_id", "id"),
        Index("ix_ledger_line_escalation", "escalation_id", "id"),
        Index("ix_ledger_line_callout", "callout_id", "id"),
        Index("ix_ledger_line_act", "act", "id"),
    )

    id: int = Field(primary_key=True)
    act: str
    """What happened, such as `escalation.answered`."""
    entered_at: datetime
    bulletin_id: int | None = None
    escalation_id: int | None = None
    callout_id: int | None = None
    actor: str = ""
    body: bytes
    leaf: bytes
    """SHA-256(0x00 ‖ body), RFC 6962."""


class LedgerPendingRow(SQLModel, table=True):
    """Lines that the sequencer has not yet given a place."""

    __tablename__ = "ledger_pending"

    line_id: int = Field(primary_key=True)


class LedgerLeafRow(SQLModel, table=True):
    """The gap-free sequence of leaves: position → line."""

    __tablename__ = "ledger_leaf"
    __table_args__ = (UniqueConstraint("line_id", name="uq_ledger_leaf_line"),)

    seq: int = Field(primary_key=True)
    line_id: int = Field(foreign_key="ledger_line.id")
    leaf: bytes


class LedgerTreeRow(SQLModel, table=True):
    """The tree's compact range: size, root and the hashes of its right edge. One row."""

    __tablename__ = "ledger_tree"
    __table_args__ = (CheckConstraint("id = 1", name="ck_ledger_tree_one"),)

    id: int = Field(primary_key=True)
    size: int
    edge: bytes
    """The 32-byte hashes of the perfect subtrees, largest first, joined."""
    root: bytes
    updated_at: datetime


class DutyRow(SQLModel, table=True):
    """A leader duty's lease: who runs it, until when. `fence` only grows."""

    __tablename__ = "duty"

    name: str = Field(primary_key=True, max_length=40)
    owner: str
    fence: int = 0
    lease_until: datetime


class PaceRow(SQLModel, table=True):
    """How far a carrier's or a sender's pace is used up: one row serves all workers."""

    __tablename__ = "pace"
    __table_args__ = (CheckConstraint("factor > 0 AND factor <= 1", name="ck_pace_factor"),)

    name: str = Field(primary_key=True, max_length=120)
    """Such as `carrier:sms-main` or `sender:10690000`."""
    next_at: datetime
    """When the next part, call or request may start."""
    factor: float = 1.0
    """The share of the full pace that we dare since the carrier last said: too fast."""
    throttled_at: datetime | None = None


class CircuitRow(SQLModel, table=True):
    """Whether a carrier is worth trying, as all workers see it."""

    __tablename__ = "circuit"
    __table_args__ = (
        _words("state", "closed", "open", "half_open", name="ck_circuit_state"),
        CheckConstraint("(state = 'closed') = (probe_at IS NULL)", name="ck_circuit_probe"),
    )

    name: str = Field(primary_key=True, max_length=40)
    """The carrier."""
    state: str = "closed"
    failures: int = 0
    """In a row."""
    openings: int = 0
    """In a row: each one waits longer for its probe."""
    probe_at: datetime | None = None
    """When the next probe may be sent."""
    last_ok_at: datetime | None = None
    last_failed_at: datetime | None = None
    last_error: str = ""
    changed_at: datetime


class CarrierRow(SQLModel, table=True):
    """A carrier account that was added by command or page, beside those of the settings."""

    __tablename__ = "carrier"
    __table_args__ = (_words("kind", "sms", "voice", "webhook", name="ck_carrier_kind"),)

    name: str = Field(primary_key=True, max_length=40)
    kind: str
    adapter: str = Field(max_length=40)
    params_json: str = "{}"
    secret_files_json: str = "{}"  # noqa: S105
    """Secret → the file that holds it. No secret is ever in the database."""
    ordinal: int = 0
    """Its place among the carriers of its kind, after those of the settings."""
    enabled: bool = True
    created_at: datetime
    created_by: int | None = Field(default=None, foreign_key="officer.id")
    changed_at: datetime


class TestSendRow(SQLModel, table=True):
    """A message that warns nobody: a canary on its schedule, or a test to an officer's phone."""

    __tablename__ = "test_send"
    __table_args__ = (
        _words("purpose", "canary", "by_hand", name="ck_test_send_purpose"),
        _words(
            "state",
            "sending",
            "unknown",
            "accepted",
            "delivered",
            "undelivered",
            "failed",
            name="ck_test_send_state",
        ),
        Index("ix_test_send_carrier", "carrier", "id"),
        Index("ix_test_send_address", "address", "id"),
    )

    id: int = Field(primary_key=True)
    carrier: str = Field(max_length=40)
    purpose: str
    address: str
    text: str
    state: str = "sending"
    sent_at: datetime
    reference: str | None = None
    error_class: str | None = None
    error_text: str | None = None
    receipt_at: datetime | None = None
    """When the carrier last said something of it."""
    answered_at: datetime | None = None
    answer: str = ""
    officer_id: int | None = Field(default=None, foreign_key="officer.id")


class SendReferenceRow(SQLModel, table=True):
    """Which try a carrier's own reference is, for carriers whose receipts name nothing of ours.

    With neither attempt nor test, a receipt has come before we knew: it waits (`parked`).
    """

    __tablename__ = "send_reference"
    __table_args__ = (
        CheckConstraint(
            "attempt_id IS NULL OR test_id IS NULL", name="ck_send_reference_subject"
        ),
    )

    carrier: str = Field(primary_key=True, max_length=40)
    reference: str = Field(primary_key=True, max_length=200)
    attempt_id: int | None = None
    """No foreign key: it would hold the attempt's row, which receipts take later."""
    test_id: int | None = None
    created_at: datetime


class InboundPollRow(SQLModel, table=True):
    """Up to when a carrier has been asked for what people sent: after an outage from there on."""

    __tablename__ = "inbound_poll"

    carrier: str = Field(primary_key=True, max_length=40)
    polled_until: datetime
    changed_at: datetime


class RecordingRow(SQLModel, table=True):
    """A text read aloud by a person, for calls in languages that no carrier speaks."""

    __tablename__ = "recording"

    bulletin_id: int = Field(primary_key=True, foreign_key="bulletin.id")
    language: str = Field(primary_key=True, max_length=16)
    media_type: str = Field(max_length=40)
    seconds: float
    digest: str = Field(max_length=64)
    """SHA-256 of the sound; the bulletin's signature covers it."""
    uploaded_at: datetime
    uploaded_by: int | None = Field(default=None, foreign_key="officer.id")
    sound: bytes
    """Last, so that SQLite need not walk through megabytes to read what stands behind it."""


class WorkerRow(SQLModel, table=True):
    """A process that works, or did: who is alive, and since when."""

    __tablename__ = "worker"
    __table_args__ = (_words("role", "worker", "web", "all", name="ck_worker_role"),)

    owner: str = Field(primary_key=True, max_length=120)
    role: str
    version: str
    started_at: datetime
    seen_at: datetime
    passed_at: datetime | None = None
    """The engine's last whole pass."""


class IdBlockRow(SQLModel, table=True):
    """The next free id of each table, for blocks of ids."""

    __tablename__ = "id_block"

    name: str = Field(primary_key=True, max_length=40)
    next: int = 1


class SettingRow(SQLModel, table=True):
    """A fact about this installation: its name, its desk, its demo flag."""

    __tablename__ = "setting"

    name: str = Field(primary_key=True, max_length=60)
    value: str

"""The first schema.

Revision 0001. Written out, so that it stays what it was when the models move on. The ledger's
tables refuse UPDATE and DELETE (and TRUNCATE on PostgreSQL), also to a hand with a client.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)

APPEND_ONLY = ("ledger_line", "ledger_leaf")


def upgrade() -> None:
    """Make every table, then guard the ledger."""
    _make_contact()
    _make_duty()
    _make_id_block()
    _make_inbound()
    _make_ledger_line()
    _make_ledger_pending()
    _make_ledger_tree()
    _make_officer()
    _make_region()
    _make_setting()
    _make_assignment()
    _make_bulletin()
    _make_contact_number()
    _make_ledger_leaf()
    _make_session()
    _make_callout()
    _make_escalation()
    _make_message()
    _make_alarm()
    _make_answer()
    _make_attempt()
    _make_member()
    _make_task()
    for name in APPEND_ONLY:
        _guard(name)


def _guard(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} BEGIN "
                f"SELECT RAISE(ABORT, '{table}_append_only: the ledger is never changed'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'the ledger is never changed' USING "
        f"ERRCODE = 'integrity_constraint_violation', CONSTRAINT = '{table}_append_only'; "
        "END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()"
    )


def _make_contact() -> None:
    op.create_table(
        "contact",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("unit", sa.String(120), nullable=False),
        sa.Column("post", sa.String(80), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("robot_ok", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", name="uq_contact_key"),
        sa.CheckConstraint("kind IN ('person','endpoint')", name="ck_contact_kind"),
    )


def _make_duty() -> None:
    op.create_table(
        "duty",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _make_id_block() -> None:
    op.create_table(
        "id_block",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("next", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _make_inbound() -> None:
    op.create_table(
        "inbound",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("carrier", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("dedupe_key", sa.String(200), nullable=False),
        sa.Column("attempt_id", sa.Integer(), nullable=True),
        sa.Column("callout_id", sa.Integer(), nullable=True),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("fact_json", sa.String(), nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dedupe_key", name="uq_inbound_dedupe"),
        sa.CheckConstraint("kind IN ('receipt','answer')", name="ck_inbound_kind"),
        sa.CheckConstraint(
            "state IN ('new','applied','unmatched','poison','settled')", name="ck_inbound_state"
        ),
    )
    where = sa.text("state = 'new'")
    op.create_index("ix_inbound_new", "inbound", ["id"], sqlite_where=where, postgresql_where=where)
    op.create_index("ix_inbound_state", "inbound", ["state", "received_at"])


def _make_ledger_line() -> None:
    op.create_table(
        "ledger_line",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("entered_at", INSTANT, nullable=False),
        sa.Column("bulletin_id", sa.Integer(), nullable=True),
        sa.Column("escalation_id", sa.Integer(), nullable=True),
        sa.Column("callout_id", sa.Integer(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_ledger_line_act", "ledger_line", ["act", "id"])
    op.create_index("ix_ledger_line_bulletin", "ledger_line", ["bulletin_id", "id"])
    op.create_index("ix_ledger_line_callout", "ledger_line", ["callout_id", "id"])
    op.create_index("ix_ledger_line_escalation", "ledger_line", ["escalation_id", "id"])


def _make_ledger_pending() -> None:
    op.create_table(
        "ledger_pending",
        sa.Column("line_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("line_id"),
    )


def _make_ledger_tree() -> None:
    op.create_table(
        "ledger_tree",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("id = 1", name="ck_ledger_tree_one"),
    )


def _make_officer() -> None:
    op.create_table(
        "officer",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("login", sa.String(60), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("post", sa.String(80), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("roles", sa.String(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("locked_until", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("login", name="uq_officer_login"),
    )


def _make_region() -> None:
    op.create_table(
        "region",
        sa.Column("code", sa.String(24), nullable=False),
        sa.Column("parent_code", sa.String(), nullable=True),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("headcount", sa.Integer(), nullable=False),
        sa.Column("boundary_json", sa.String(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("code"),
        sa.ForeignKeyConstraint(["parent_code"], ["region.code"]),
        sa.CheckConstraint("headcount >= 0", name="ck_region_headcount"),
        sa.CheckConstraint("kind IN ('gov','corps')", name="ck_region_kind"),
        sa.CheckConstraint(
            "level IN ('province','prefecture','county','township','village','site','zone')",
            name="ck_region_level",
        ),
    )
    op.create_index("ix_region_parent_code", "region", ["parent_code"])


def _make_setting() -> None:
    op.create_table(
        "setting",
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _make_assignment() -> None:
    op.create_table(
        "assignment",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("region_code", sa.String(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(80), nullable=False),
        sa.Column("hazards", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=True),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"]),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"]),
        sa.UniqueConstraint("contact_id", "region_code", "tier", "role", name="uq_assignment"),
        sa.CheckConstraint("tier BETWEEN 1 AND 9", name="ck_assignment_tier"),
    )
    op.create_index("ix_assignment_region", "assignment", ["region_code", "tier"])


def _make_bulletin() -> None:
    op.create_table(
        "bulletin",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("identifier", sa.String(80), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("hazard", sa.String(16), nullable=False),
        sa.Column("colour", sa.String(), nullable=False),
        sa.Column("regions_json", sa.String(), nullable=False),
        sa.Column("texts_json", sa.String(), nullable=False),
        sa.Column("onset_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("drafted_by", sa.Integer(), nullable=False),
        sa.Column("submitted_at", INSTANT, nullable=True),
        sa.Column("signed_at", INSTANT, nullable=True),
        sa.Column("signed_by", sa.Integer(), nullable=True),
        sa.Column("signed_digest", sa.String(), nullable=True),
        sa.Column("released_at", INSTANT, nullable=True),
        sa.Column("released_by", sa.Integer(), nullable=True),
        sa.Column("rule_json", sa.String(), nullable=True),
        sa.Column("estimate_json", sa.String(), nullable=True),
        sa.Column("lifted_at", INSTANT, nullable=True),
        sa.Column("lifted_by", sa.Integer(), nullable=True),
        sa.Column("lift_reason", sa.String(), nullable=True),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("references_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["drafted_by"], ["officer.id"]),
        sa.ForeignKeyConstraint(["signed_by"], ["officer.id"]),
        sa.ForeignKeyConstraint(["released_by"], ["officer.id"]),
        sa.ForeignKeyConstraint(["lifted_by"], ["officer.id"]),
        sa.ForeignKeyConstraint(["references_id"], ["bulletin.id"]),
        sa.UniqueConstraint("identifier", name="uq_bulletin_identifier"),
        sa.CheckConstraint("colour IN ('blue','yellow','orange','red')", name="ck_bulletin_colour"),
        sa.CheckConstraint("state <> 'lifted' OR lifted_at IS NOT NULL", name="ck_bulletin_lifted"),
        sa.CheckConstraint(
            "state NOT IN ('released','lifted','superseded','expired','closed') OR "
            "(released_at IS NOT NULL AND released_by IS NOT NULL AND rule_json IS NOT "
            "NULL)",
            name="ck_bulletin_released",
        ),
        sa.CheckConstraint(
            "state <> 'signed' OR (signed_at IS NOT NULL AND signed_by IS NOT NULL AND "
            "signed_digest IS NOT NULL)",
            name="ck_bulletin_signed",
        ),
        sa.CheckConstraint(
            "state IN "
            "('draft','submitted','signed','released','lifted','superseded','expired','closed','discarded')",
            name="ck_bulletin_state",
        ),
        sa.CheckConstraint("status IN ('actual','exercise','test')", name="ck_bulletin_status"),
        sa.CheckConstraint(
            "state <> 'submitted' OR submitted_at IS NOT NULL", name="ck_bulletin_submitted"
        ),
        sa.CheckConstraint("type IN ('alert','update','cancel')", name="ck_bulletin_type"),
    )
    op.create_index("ix_bulletin_state", "bulletin", ["state", "expires_at"])


def _make_contact_number() -> None:
    op.create_table(
        "contact_number",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("address", sa.String(500), nullable=False),
        sa.Column("failed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"]),
        sa.UniqueConstraint("contact_id", "rank", name="uq_contact_number_rank"),
        sa.CheckConstraint(
            "kind IN ('mobile','landline','webhook')", name="ck_contact_number_kind"
        ),
        sa.CheckConstraint("rank >= 1", name="ck_contact_number_rank"),
    )
    op.create_index("ix_contact_number_address", "contact_number", ["address"])


def _make_ledger_leaf() -> None:
    op.create_table(
        "ledger_leaf",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.ForeignKeyConstraint(["line_id"], ["ledger_line.id"]),
        sa.UniqueConstraint("line_id", name="uq_ledger_leaf_line"),
    )


def _make_session() -> None:
    op.create_table(
        "session",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("officer_id", sa.Integer(), nullable=False),
        sa.Column("csrf_token", sa.String(64), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("last_seen_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
        sa.ForeignKeyConstraint(["officer_id"], ["officer.id"]),
    )
    op.create_index("ix_session_officer_id", "session", ["officer_id"])


def _make_callout() -> None:
    op.create_table(
        "callout",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bulletin_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("contact_name", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("robot_ok", sa.Boolean(), nullable=False),
        sa.Column("numbers_json", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("answered_at", INSTANT, nullable=True),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["bulletin_id"], ["bulletin.id"]),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"]),
        sa.UniqueConstraint("bulletin_id", "contact_id", name="uq_callout"),
        sa.CheckConstraint(
            "state <> 'answered' OR answered_at IS NOT NULL", name="ck_callout_answered"
        ),
        sa.CheckConstraint(
            "state IN ('calling','unreachable') OR due_at IS NULL", name="ck_callout_due"
        ),
        sa.CheckConstraint("rung BETWEEN 0 AND 9", name="ck_callout_rung"),
        sa.CheckConstraint(
            "state IN ('waiting','calling','answered','refused','unreachable','silent','stopped')",
            name="ck_callout_state",
        ),
    )
    op.create_index("ix_callout_contact", "callout", ["contact_id"])
    where = sa.text("due_at IS NOT NULL")
    op.create_index(
        "ix_callout_due", "callout", ["due_at"], sqlite_where=where, postgresql_where=where
    )


def _make_escalation() -> None:
    op.create_table(
        "escalation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bulletin_id", sa.Integer(), nullable=False),
        sa.Column("region_code", sa.String(), nullable=False),
        sa.Column("region_name", sa.String(), nullable=False),
        sa.Column("parent_code", sa.String(), nullable=True),
        sa.Column("parent_name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("tiers_json", sa.String(), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=True),
        sa.Column("deadline_at", INSTANT, nullable=True),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["bulletin_id"], ["bulletin.id"]),
        sa.ForeignKeyConstraint(["region_code"], ["region.code"]),
        sa.UniqueConstraint("bulletin_id", "region_code", name="uq_escalation"),
        sa.CheckConstraint(
            "(state IN ('pending','calling')) = (closed_at IS NULL)", name="ck_escalation_closed"
        ),
        sa.CheckConstraint(
            "(state = 'calling') = (deadline_at IS NOT NULL)", name="ck_escalation_deadline"
        ),
        sa.CheckConstraint(
            "state IN ('pending','calling','answered','exhausted','lifted','expired')",
            name="ck_escalation_state",
        ),
        sa.CheckConstraint("state <> 'calling' OR tier >= 1", name="ck_escalation_tier"),
    )
    op.create_index("ix_escalation_changed", "escalation", ["bulletin_id", "changed_at"])
    where = sa.text("state = 'calling'")
    op.create_index(
        "ix_escalation_due",
        "escalation",
        ["deadline_at"],
        sqlite_where=where,
        postgresql_where=where,
    )


def _make_message() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bulletin_id", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["bulletin_id"], ["bulletin.id"]),
        sa.UniqueConstraint("bulletin_id", "digest", name="uq_message_digest"),
    )


def _make_alarm() -> None:
    op.create_table(
        "alarm",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("bulletin_id", sa.Integer(), nullable=True),
        sa.Column("escalation_id", sa.Integer(), nullable=True),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("raised_at", INSTANT, nullable=False),
        sa.Column("acknowledged_at", INSTANT, nullable=True),
        sa.Column("acknowledged_by", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["bulletin_id"], ["bulletin.id"]),
        sa.ForeignKeyConstraint(["escalation_id"], ["escalation.id"]),
        sa.ForeignKeyConstraint(["acknowledged_by"], ["officer.id"]),
        sa.CheckConstraint(
            "kind IN "
            "('exhausted','no_contact','unmatched','poison','expired','refused','help','channel')",
            name="ck_alarm_kind",
        ),
    )
    op.create_index("ix_alarm_open", "alarm", ["acknowledged_at", "id"])


def _make_answer() -> None:
    op.create_table(
        "answer",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bulletin_id", sa.Integer(), nullable=False),
        sa.Column("callout_id", sa.Integer(), nullable=False),
        sa.Column("inbound_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("happened_at", INSTANT, nullable=False),
        sa.Column("entered_at", INSTANT, nullable=False),
        sa.Column("entered_by", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["bulletin_id"], ["bulletin.id"]),
        sa.ForeignKeyConstraint(["callout_id"], ["callout.id"]),
        sa.ForeignKeyConstraint(["inbound_id"], ["inbound.id"]),
        sa.ForeignKeyConstraint(["entered_by"], ["officer.id"]),
        sa.UniqueConstraint("inbound_id", "callout_id", name="uq_answer_inbound"),
        sa.CheckConstraint(
            "kind IN ('received','on_post','heard','refused','help','unclear')",
            name="ck_answer_kind",
        ),
    )
    op.create_index("ix_answer_callout", "answer", ["callout_id"])


def _make_attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bulletin_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=False),
        sa.Column("callout_id", sa.Integer(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("message_id", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("valid_until", INSTANT, nullable=False),
        sa.Column("lease_owner", sa.String(), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("send_count", sa.Integer(), nullable=False),
        sa.Column("carrier", sa.String(), nullable=True),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("error_class", sa.String(), nullable=True),
        sa.Column("error_text", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["bulletin_id"], ["bulletin.id"]),
        sa.ForeignKeyConstraint(["callout_id"], ["callout.id"]),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"]),
        sa.UniqueConstraint(
            "bulletin_id", "contact_id", "tier", "channel", "number", "purpose", name="uq_attempt"
        ),
        sa.CheckConstraint("channel IN ('sms','voice','webhook')", name="ck_attempt_channel"),
        sa.CheckConstraint(
            "(state = 'sending') = (lease_until IS NOT NULL)", name="ck_attempt_lease"
        ),
        sa.CheckConstraint(
            "purpose IN ('call','inform','stand_down','lift')", name="ck_attempt_purpose"
        ),
        sa.CheckConstraint(
            "state NOT IN ('accepted','delivered') OR sent_at IS NOT NULL", name="ck_attempt_sent"
        ),
        sa.CheckConstraint(
            "state IN "
            "('planned','sending','unknown','accepted','delivered','undelivered','failed','expired','cancelled')",
            name="ck_attempt_state",
        ),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index("ix_attempt_address", "attempt", ["address", "id"])
    op.create_index("ix_attempt_callout", "attempt", ["callout_id"])
    where = sa.text("state = 'sending'")
    op.create_index(
        "ix_attempt_lease", "attempt", ["lease_until"], sqlite_where=where, postgresql_where=where
    )
    where = sa.text("state = 'planned'")
    op.create_index(
        "ix_attempt_planned",
        "attempt",
        ["priority", "due_at", "id"],
        sqlite_where=where,
        postgresql_where=where,
    )
    where = sa.text("state = 'unknown'")
    op.create_index(
        "ix_attempt_unknown", "attempt", ["due_at"], sqlite_where=where, postgresql_where=where
    )


def _make_member() -> None:
    op.create_table(
        "member",
        sa.Column("escalation_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("callout_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("escalation_id", "callout_id"),
        sa.ForeignKeyConstraint(["escalation_id"], ["escalation.id"]),
        sa.ForeignKeyConstraint(["callout_id"], ["callout.id"]),
    )
    op.create_index("ix_member_callout", "member", ["callout_id"])


def _make_task() -> None:
    op.create_table(
        "task",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bulletin_id", sa.Integer(), nullable=False),
        sa.Column("escalation_id", sa.Integer(), nullable=True),
        sa.Column("callout_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("desk", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("claimed_by", sa.Integer(), nullable=True),
        sa.Column("claimed_until", INSTANT, nullable=True),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["bulletin_id"], ["bulletin.id"]),
        sa.ForeignKeyConstraint(["escalation_id"], ["escalation.id"]),
        sa.ForeignKeyConstraint(["callout_id"], ["callout.id"]),
        sa.ForeignKeyConstraint(["claimed_by"], ["officer.id"]),
        sa.UniqueConstraint("escalation_id", "callout_id", "kind", name="uq_task"),
        sa.CheckConstraint(
            "(state = 'claimed') = (claimed_until IS NOT NULL)", name="ck_task_claim"
        ),
        sa.CheckConstraint(
            "kind IN ('call_by_hand','knock','help','fix_number')", name="ck_task_kind"
        ),
        sa.CheckConstraint("state IN ('open','claimed','done','moot')", name="ck_task_state"),
    )
    op.create_index("ix_task_open", "task", ["state", "priority", "id"])

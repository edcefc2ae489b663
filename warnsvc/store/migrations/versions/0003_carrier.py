"""What real carriers need: where a send was refused, fields beside a text, tests, recordings.

Revision 0003, on which a program of 0002 may go on working: it only adds columns that have a
default, tables, five kinds of alarm and a state of facts that a program of 0002 leaves alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003_accepts_0002"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
ALARM_KINDS = (
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
)
INBOUND_STATES = ("new", "applied", "parked", "unmatched", "poison", "settled")
TEST_STATES = ("sending", "unknown", "accepted", "delivered", "undelivered", "failed")


def upgrade() -> None:
    """Add six columns, two indexes, five tables, five kinds of alarm and a state of facts."""
    op.add_column(
        "message", sa.Column("fields_json", sa.String(), nullable=False, server_default="{}")
    )
    op.add_column(
        "attempt", sa.Column("refused_by", sa.String(), nullable=False, server_default="")
    )
    op.add_column(
        "attempt", sa.Column("parts", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("attempt", sa.Column("recalled_at", INSTANT, nullable=True))
    op.add_column("attempt", sa.Column("receipt_due_at", INSTANT, nullable=True))
    op.create_index(
        "ix_attempt_receipt",
        "attempt",
        ["receipt_due_at"],
        sqlite_where=sa.text("receipt_due_at IS NOT NULL"),
        postgresql_where=sa.text("receipt_due_at IS NOT NULL"),
    )
    with op.batch_alter_table("alarm") as alarm:
        alarm.drop_constraint("ck_alarm_kind", type_="check")
        alarm.create_check_constraint("ck_alarm_kind", _among("kind", ALARM_KINDS))
    _make_carrier()
    _make_test_send()
    _make_recording()
    _make_send_reference()
    op.create_table(
        "inbound_poll",
        sa.Column("carrier", sa.String(length=40), primary_key=True),
        sa.Column("polled_until", INSTANT, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
    )


def _make_carrier() -> None:
    op.create_table(
        "carrier",
        sa.Column("name", sa.String(length=40), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("adapter", sa.String(length=40), nullable=False),
        sa.Column("params_json", sa.String(), nullable=False),
        sa.Column("secret_files_json", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by", sa.Integer(), sa.ForeignKey("officer.id"), nullable=True),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.CheckConstraint(_among("kind", ("sms", "voice", "webhook")), name="ck_carrier_kind"),
    )


def _make_test_send() -> None:
    op.create_table(
        "test_send",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("carrier", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("sent_at", INSTANT, nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("error_class", sa.String(), nullable=True),
        sa.Column("error_text", sa.String(), nullable=True),
        sa.Column("receipt_at", INSTANT, nullable=True),
        sa.Column("answered_at", INSTANT, nullable=True),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("officer_id", sa.Integer(), sa.ForeignKey("officer.id"), nullable=True),
        sa.CheckConstraint(
            _among("purpose", ("canary", "by_hand")), name="ck_test_send_purpose"
        ),
        sa.CheckConstraint(_among("state", TEST_STATES), name="ck_test_send_state"),
    )
    op.create_index("ix_test_send_carrier", "test_send", ["carrier", "id"])
    op.create_index("ix_test_send_address", "test_send", ["address", "id"])


def _make_recording() -> None:
    op.create_table(
        "recording",
        sa.Column("bulletin_id", sa.Integer(), sa.ForeignKey("bulletin.id"), primary_key=True),
        sa.Column("language", sa.String(length=16), primary_key=True),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("uploaded_at", INSTANT, nullable=False),
        sa.Column("uploaded_by", sa.Integer(), sa.ForeignKey("officer.id"), nullable=True),
        sa.Column("sound", sa.LargeBinary(), nullable=False),  # last: reading others skips it
    )


def _make_send_reference() -> None:
    op.create_table(
        "send_reference",
        sa.Column("carrier", sa.String(length=40), primary_key=True),
        sa.Column("reference", sa.String(length=200), primary_key=True),
        sa.Column("attempt_id", sa.Integer(), nullable=True),
        sa.Column("test_id", sa.Integer(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "attempt_id IS NULL OR test_id IS NULL", name="ck_send_reference_subject"
        ),
    )
    with op.batch_alter_table("inbound") as inbound:
        inbound.add_column(
            sa.Column("awaits", sa.String(length=200), nullable=False, server_default="")
        )
        inbound.drop_constraint("ck_inbound_state", type_="check")
        inbound.create_check_constraint("ck_inbound_state", _among("state", INBOUND_STATES))
    op.create_index(
        "ix_inbound_parked",
        "inbound",
        ["carrier", "awaits"],
        sqlite_where=sa.text("state = 'parked'"),
        postgresql_where=sa.text("state = 'parked'"),
    )


def _among(column: str, words: tuple[str, ...]) -> str:
    listed = ",".join(f"'{word}'" for word in words)
    return f"{column} IN ({listed})"

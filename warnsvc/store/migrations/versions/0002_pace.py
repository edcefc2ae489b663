"""What every worker must know of the others: pace, circuits, who is alive; and their alarms.

Revision 0002. It only adds: a program of revision 0001 works on beside it, so that workers can be
replaced one after the other.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
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
)


def upgrade() -> None:
    """Add three tables, a queue per channel, an alarm's end, and five kinds of alarm."""
    _make_pace()
    _make_circuit()
    _make_worker()
    op.drop_index("ix_attempt_planned", "attempt")
    op.create_index(
        "ix_attempt_queue",
        "attempt",
        ["channel", "priority", "due_at", "id"],
        sqlite_where=sa.text("state = 'planned'"),
        postgresql_where=sa.text("state = 'planned'"),
    )
    with op.batch_alter_table("alarm") as alarm:
        alarm.add_column(sa.Column("ended_at", INSTANT, nullable=True))
        alarm.drop_constraint("ck_alarm_kind", type_="check")
        alarm.create_check_constraint("ck_alarm_kind", _among("kind", ALARM_KINDS))


def _make_pace() -> None:
    op.create_table(
        "pace",
        sa.Column("name", sa.String(length=120), primary_key=True),
        sa.Column("next_at", INSTANT, nullable=False),
        sa.Column("factor", sa.Float(), nullable=False),
        sa.Column("throttled_at", INSTANT, nullable=True),
        sa.CheckConstraint("factor > 0 AND factor <= 1", name="ck_pace_factor"),
    )


def _make_circuit() -> None:
    op.create_table(
        "circuit",
        sa.Column("name", sa.String(length=40), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("probe_at", INSTANT, nullable=True),
        sa.Column("last_ok_at", INSTANT, nullable=True),
        sa.Column("last_failed_at", INSTANT, nullable=True),
        sa.Column("last_error", sa.String(), nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            _among("state", ("closed", "open", "half_open")), name="ck_circuit_state"
        ),
        sa.CheckConstraint("(state = 'closed') = (probe_at IS NULL)", name="ck_circuit_probe"),
    )


def _make_worker() -> None:
    op.create_table(
        "worker",
        sa.Column("owner", sa.String(length=120), primary_key=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.Column("passed_at", INSTANT, nullable=True),
        sa.CheckConstraint(_among("role", ("worker", "web", "all")), name="ck_worker_role"),
    )


def _among(column: str, words: tuple[str, ...]) -> str:
    listed = ",".join(f"'{word}'" for word in words)
    return f"{column} IN ({listed})"

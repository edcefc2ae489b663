"""What is committed, as the simulation sees it: every row that matters, in memory.

    trigger ──note(table, columns…)──► the transaction's notes ──COMMIT──► Mirror.apply ──► Step

Temporary triggers on the writing connection tell of each row that is written; a rollback forgets
them. So the invariants see each commit for microseconds instead of reading tables again, and they
see it through SQLite, not through the code under test. It never writes to the database.
"""

import json
from collections import namedtuple
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.fakes.invariant import Told
from tests.sim.loop import START

COLUMNS: dict[str, str] = {
    "bulletin": "id status type colour texts_json state drafted_by signed_at signed_by"
    " signed_digest released_at expires_at rule_json",
    "escalation": "id bulletin_id region_code state tier tiers_json deadline_at late",
    "member": "escalation_id callout_id tier own",
    "callout": "id bulletin_id contact_id numbers_json state tier step rung due_at answered_at",
    "message": "id bulletin_id language text",
    "attempt": "id bulletin_id contact_id callout_id tier channel number purpose address"
    " message_id priority state due_at valid_until lease_owner lease_until send_count sent_at carrier"
    " reference refused_by receipt_due_at recalled_at",
    "inbound": "id kind carrier dedupe_key attempt_id fact_json state",
    "circuit": "name state",
    "pace": "name next_at",
    "answer": "id callout_id inbound_id kind",
    "task": "id kind escalation_id callout_id state",
    "alarm": "id kind escalation_id",
    "ledger_line": "id act body entered_at",
    "ledger_pending": "line_id",
    "ledger_leaf": "seq line_id leaf",
    "ledger_tree": "id size root",
    "duty": "name owner fence lease_until",
}
"""Table → the columns that are kept; the first is the key."""

_KEYED_BY_TWO = {"member"}
_INSERT_ONLY = {"member", "message", "answer", "ledger_line", "ledger_pending", "ledger_leaf"}

Row = Any
"""A named tuple of a table's columns, as SQLite holds them: instants are text."""

ROWS: dict[str, Any] = {
    table: namedtuple(table.title().replace("_", ""), columns.split())
    for table, columns in COLUMNS.items()
}


def triggers() -> list[str]:
    """Return the statements that make a connection tell what it writes."""
    made: list[str] = []
    for table, columns in COLUMNS.items():
        values = ", ".join(f"NEW.{column}" for column in columns.split())
        made.extend(
            f"CREATE TEMP TRIGGER sim_{table}_{verb} AFTER {verb} ON main.{table}"
            f" BEGIN SELECT note('{table}', {values}); END"
            for verb in (("INSERT",) if table in _INSERT_ONLY else ("INSERT", "UPDATE"))
        )
    made.append(
        "CREATE TEMP TRIGGER sim_pending_DELETE AFTER DELETE ON main.ledger_pending"
        " BEGIN SELECT note('-ledger_pending', OLD.line_id); END"
    )
    return made


def instant(text: str | None) -> datetime | None:
    """Read an instant as SQLite holds it."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def seconds(text: str | None) -> float:
    """Return an instant as virtual seconds; never is infinite."""
    at = instant(text)
    return float("inf") if at is None else (at - START).total_seconds()


@dataclass(slots=True)
class Step:
    """One commit: who made it, when, and what it changed, in the order of the writes."""

    at: float
    owner: str
    writes: list[tuple[str, Row | None, Row]] = field(default_factory=list)
    """(table, the row before this write, the row after it)"""
    lines: list[Told] = field(default_factory=list)
    """The ledger lines that it wrote."""
    _changed: dict[str, list[tuple[Row | None, Row]]] = field(default_factory=dict)

    def of(self, table: str) -> list[tuple[Row | None, Row]]:
        """What it wrote into a table."""
        return [(old, new) for name, old, new in self.writes if name == table]

    def changed(self, table: str) -> list[tuple[Row | None, Row]]:
        """(before the commit, after it) of each row of a table, once."""
        if table not in self._changed:
            self._changed[table] = self._compared(table)
        return self._changed[table]

    def _compared(self, table: str) -> list[tuple[Row | None, Row]]:
        first: dict[Any, Row | None] = {}
        last: dict[Any, Row] = {}
        for old, new in self.of(table):
            first.setdefault(new[0], old)
            last[new[0]] = new
        return [(first[key], row) for key, row in last.items()]

    @property
    def tables(self) -> set[str]:
        """Which tables it touched."""
        return {name for name, _, _ in self.writes}


class Mirror:
    """Every kept row by table and key."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[Any, Row]] = {table: {} for table in COLUMNS}
        self.members_of: dict[int, list[Row]] = {}
        """Escalation → its members."""
        self.stands_in: dict[int, list[Row]] = {}
        """Callout → where it is a member."""
        self.by_callout: dict[int, list[int]] = {}
        """Callout → its attempts."""
        self.lines: list[Told] = []

    def apply(self, notes: Iterable[tuple[Any, ...]], *, at: float, owner: str) -> Step:
        """Take in the notes of one commit."""
        step = Step(at, owner)
        for table, *values in notes:
            if table == "-ledger_pending":
                self.rows["ledger_pending"].pop(values[0], None)
                continue
            row = ROWS[table]._make(values)
            key = (row[0], row[1]) if table in _KEYED_BY_TWO else row[0]
            kept = self.rows[table]
            step.writes.append((table, kept.get(key), row))
            kept[key] = row
            self._index(table, row, step)
        return step

    def _index(self, table: str, row: Row, step: Step) -> None:
        if table == "member":
            self.members_of.setdefault(row.escalation_id, []).append(row)
            self.stands_in.setdefault(row.callout_id, []).append(row)
        elif table == "attempt":
            mine = self.by_callout.setdefault(row.callout_id, [])
            if row.id not in mine:
                mine.append(row.id)
        elif table == "ledger_line":
            line = _told(row)
            step.lines.append(line)
            self.lines.append(line)

    def __getattr__(self, table: str) -> dict[Any, Row]:
        try:
            return self.rows[table]
        except KeyError:
            raise AttributeError(table) from None

    def tier_members(self, escalation_id: int, tier: int) -> list[Row]:
        """The callouts that stand in a tier."""
        return [
            self.rows["callout"][member.callout_id]
            for member in self.members_of.get(escalation_id, ())
            if member.tier == tier
        ]


def _told(row: Row) -> Told:
    line = json.loads(bytes(row.body))
    at = instant(row.entered_at)
    assert at is not None
    return Told(
        act=line["act"],
        bulletin=line.get("bulletin"),
        escalation=line.get("escalation"),
        callout=line.get("callout"),
        was=line.get("from", ""),
        to=line.get("to", ""),
        actor=line["actor"],
        why=line.get("why", ""),
        at=at,
        data=line.get("data", {}),
    )

"""Ledger lines for people: filtered, paged, with the names of those who acted.

The bytes of a line are what is true; columns only find it. Names are looked up now, because the
ledger holds ids alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from warnsvc.store.port import Row, Unit
from warnsvc.web.act import actors_in

PAGE_ROWS = 100
FAR_ID = 2**31 - 1
"""Ids are PostgreSQL integers."""
LINES_MAX = 400
"""Lines in one timeline; a region that has more has a page of the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """One line as a person reads it."""

    id: int
    seq: int | None
    """Its place in the tree; None until it has been given one."""
    act: str
    actor: str
    entered_at: datetime
    happened_at: datetime | None
    bulletin_id: int | None
    escalation_id: int | None
    callout_id: int | None
    from_state: str
    to_state: str
    why: str
    data: Mapping[str, Any]
    leaf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFilter:
    """Which lines to show; what is empty lets everything through."""

    bulletin: int = 0
    escalation: int = 0
    callout: int = 0
    act: str = ""
    actor: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int = 0


async def list_lines(view: Unit, wanted: LedgerFilter) -> list[LedgerLine]:
    """Return lines, the newest first, a page at a time."""
    clauses, values = ["l.id < $1"], [wanted.before or FAR_ID]
    for column, value in (
        ("l.bulletin_id =", wanted.bulletin),
        ("l.escalation_id =", wanted.escalation),
        ("l.callout_id =", wanted.callout),
        ("l.act =", wanted.act),
        ("l.actor =", wanted.actor),
        ("l.entered_at >=", wanted.since),
        ("l.entered_at <", wanted.until),
    ):
        if value:
            values.append(value)  # type: ignore[arg-type]
            clauses.append(f"{column} ${len(values)}")
    rows = await view.fetch(
        "SELECT l.*, f.seq FROM ledger_line l LEFT JOIN ledger_leaf f ON f.line_id = l.id"
        f" WHERE {' AND '.join(clauses)} ORDER BY l.id DESC LIMIT {PAGE_ROWS}",
        *values,
    )
    return [_line(row) for row in rows]


async def lines_about(
    view: Unit, *, escalation_id: int = 0, callout_ids: Sequence[int] = ()
) -> list[LedgerLine]:
    """Return the lines about one region or some people, in the order in which they were entered."""
    rows = await view.fetch(
        "SELECT l.*, f.seq FROM ledger_line l LEFT JOIN ledger_leaf f ON f.line_id = l.id"
        " WHERE (l.escalation_id = $1 AND $1 <> 0) OR l.callout_id = ANY($2)"
        " ORDER BY l.id LIMIT $3",
        escalation_id,
        list(callout_ids),
        LINES_MAX,
    )
    return [_line(row) for row in rows]


async def names_of_actors(view: Unit, lines: Sequence[LedgerLine]) -> dict[str, str]:
    """Return `officer:3` → name and `contact:12` → name for everybody in these lines."""
    officers, contacts = actors_in([{"actor": line.actor} for line in lines])
    people = sorted(
        {*contacts, *(int(line.data["contact"]) for line in lines if "contact" in line.data)}
    )
    found: dict[str, str] = {}
    for kind, table, ids in (("officer", "officer", officers), ("contact", "contact", people)):
        if ids:
            rows = await view.fetch(f"SELECT id, name FROM {table} WHERE id = ANY($1)", ids)
            found.update({f"{kind}:{row['id']}": row["name"] for row in rows})
    return found


async def known_acts(view: Unit) -> list[str]:
    """Return the acts that occur, for the filter."""
    rows = await view.fetch("SELECT DISTINCT act FROM ledger_line ORDER BY act")
    return [row["act"] for row in rows]


def _line(row: Row) -> LedgerLine:
    document = json.loads(bytes(row["body"]))
    happened = document.get("happened")
    return LedgerLine(
        id=row["id"],
        seq=row["seq"],
        act=row["act"],
        actor=row["actor"],
        entered_at=row["entered_at"],
        happened_at=datetime.fromisoformat(happened) if happened else None,
        bulletin_id=row["bulletin_id"],
        escalation_id=row["escalation_id"],
        callout_id=row["callout_id"],
        from_state=document.get("from", ""),
        to_state=document.get("to", ""),
        why=document.get("why", ""),
        data=document.get("data", {}),
        leaf=bytes(row["leaf"]).hex(),
    )

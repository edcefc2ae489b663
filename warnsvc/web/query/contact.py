"""Contacts for lists and pages: people with numbers and duties. Numbers are masked by the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from warnsvc.store.port import Row, Unit

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactLine:
    """One contact in a list, with his numbers and what he answers for."""

    row: Row
    numbers: list[Row]
    duties: list[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFilter:
    """Which contacts to list; what is empty lets everything through."""

    text: str = ""
    trouble: str = ""
    """`no_number`, `failed`, `by_hand`, `no_duty`."""
    after: int = 0


_TROUBLE = {
    "": "",
    "no_number": (
        " AND NOT EXISTS (SELECT 1 FROM contact_number n"
        " WHERE n.contact_id = c.id AND n.failed_at IS NULL)"
    ),
    "failed": (
        " AND EXISTS (SELECT 1 FROM contact_number n"
        " WHERE n.contact_id = c.id AND n.failed_at IS NOT NULL)"
    ),
    "by_hand": " AND NOT c.robot_ok",
    "no_duty": " AND NOT EXISTS (SELECT 1 FROM assignment a WHERE a.contact_id = c.id)",
}
TROUBLES = tuple(name for name in _TROUBLE if name)


async def list_contacts(view: Unit, wanted: ContactFilter) -> list[ContactLine]:
    """Return active contacts in the order of their ids, a page at a time."""
    plain = wanted.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    trouble = _TROUBLE.get(wanted.trouble, "")
    rows = await view.fetch(
        "SELECT c.* FROM contact c WHERE c.active AND c.id > $1 AND ($2 = '' OR c.name LIKE $3"
        " ESCAPE '\\' OR c.unit LIKE $3 ESCAPE '\\' OR c.key LIKE $4 ESCAPE '\\' OR c.id IN"
        " (SELECT a.contact_id FROM assignment a JOIN region r ON r.code = a.region_code"
        " WHERE r.name LIKE $3 ESCAPE '\\'))" + trouble + " ORDER BY c.id LIMIT $5",
        wanted.after,
        plain,
        f"%{plain}%",
        f"{plain}%",
        PAGE_ROWS,
    )
    return await _with_details(view, rows)


async def _with_details(view: Unit, rows: Sequence[Row]) -> list[ContactLine]:
    ids = [row["id"] for row in rows]
    if not ids:
        return []
    numbers = await view.fetch(
        "SELECT * FROM contact_number WHERE contact_id = ANY($1) ORDER BY contact_id, rank", ids
    )
    duties = await view.fetch(f"{_DUTIES} WHERE a.contact_id = ANY($1) {_DUTY_ORDER}", ids)
    return [
        ContactLine(
            row=row,
            numbers=[number for number in numbers if number["contact_id"] == row["id"]],
            duties=[duty for duty in duties if duty["contact_id"] == row["id"]],
        )
        for row in rows
    ]


_DUTIES = """
SELECT a.contact_id, a.region_code, a.tier, a.role, a.hazards, a.valid_from, a.valid_to,
       r.name AS region_name, r.level, p.name AS parent_name, c.name AS contact_name, c.post
  FROM assignment a
  JOIN region r ON r.code = a.region_code
  LEFT JOIN region p ON p.code = r.parent_code
  JOIN contact c ON c.id = a.contact_id
"""
_DUTY_ORDER = " ORDER BY a.contact_id, a.region_code, a.tier, a.id"


async def duties_in(view: Unit, code: str) -> list[Row]:
    """Return who answers for one region, tier 1 first."""
    return await view.fetch(
        f"{_DUTIES} WHERE a.region_code = $1 AND c.active ORDER BY a.tier, a.id", code
    )


async def load_contact(view: Unit, contact_id: int) -> ContactLine | None:
    """Return one contact, also one that is no longer active."""
    rows = await view.fetch("SELECT * FROM contact WHERE id = $1", contact_id)
    lines = await _with_details(view, rows)
    return lines[0] if lines else None


async def opted_out_at(view: Unit, contact_id: int) -> datetime | None:
    """Return when we learned that he wants no more texts; None once a text has reached him since.

    Its alarm says it (`warnsvc.service.opt_out`), seen or not: his numbers themselves are right.
    """
    told = await view.fetch_one(
        "SELECT raised_at FROM alarm WHERE kind = 'opted_out' AND text LIKE $1"
        " ORDER BY id DESC LIMIT 1",
        f"{contact_id} %",
    )
    if told is None:
        return None
    reached = await view.fetch_one(
        "SELECT a.id FROM callout c JOIN attempt a ON a.callout_id = c.id WHERE c.contact_id = $1"
        " AND a.channel = 'sms' AND a.state = 'delivered' AND a.sent_at > $2 LIMIT 1",
        contact_id,
        told["raised_at"],
    )
    return told["raised_at"] if reached is None else None


async def callouts_of(view: Unit, contact_id: int) -> list[Row]:
    """Return the last warnings for which he was to be called, and what came of it."""
    return await view.fetch(
        "SELECT c.id, c.state, c.rung, c.late, c.started_at, c.answered_at, b.id AS bulletin_id,"
        " b.status, b.hazard, b.colour, b.released_at FROM callout c"
        " JOIN bulletin b ON b.id = c.bulletin_id WHERE c.contact_id = $1"
        " ORDER BY c.id DESC LIMIT 20",
        contact_id,
    )

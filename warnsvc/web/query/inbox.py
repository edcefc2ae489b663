"""Replies for a human, with the people who may have sent them, and receipts about nothing.

    replies, poison  ──► one by one, the oldest first
    lost receipts    ──► by carrier: a thousand of them must not hide one person's word
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from warnsvc.store.port import Row, Unit

LISTED_MAX = 100
GUESSES_MAX = 5
"""People shown for one number: a shared phone of a village office has two or three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply and whom it may be from, the newest warning first."""

    row: Row
    guesses: list[Row]


async def open_replies(view: Unit) -> list[Reply]:
    """Return what waits, the oldest first."""
    rows = await view.fetch(
        "SELECT * FROM inbound WHERE state IN ('unmatched', 'poison')"
        " AND (kind = 'answer' OR state = 'poison') ORDER BY received_at, id LIMIT $1",
        LISTED_MAX,
    )
    guesses = await _guesses(view, sorted({row["sender"] for row in rows if row["sender"]}))
    return [Reply(row=row, guesses=guesses.get(row["sender"], [])) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostReceipts:
    """A carrier's receipts that nobody could place, for one reason."""

    carrier: str
    channel: str
    note: str
    count: int
    first_at: datetime
    last_at: datetime


async def lost_receipts(view: Unit) -> list[LostReceipts]:
    """Return what carriers reported of messages that we do not know."""
    rows = await view.fetch(
        "SELECT carrier, channel, note, count(*) AS n, min(received_at) AS first_at,"
        " max(received_at) AS last_at FROM inbound WHERE state = 'unmatched'"
        " AND kind = 'receipt' GROUP BY carrier, channel, note ORDER BY carrier, channel, note"
    )
    return [
        LostReceipts(
            carrier=row["carrier"],
            channel=row["channel"],
            note=row["note"],
            count=row["n"],
            first_at=row["first_at"],
            last_at=row["last_at"],
        )
        for row in rows
    ]


async def settled_replies(view: Unit) -> list[Row]:
    """Return what was dealt with last."""
    return await view.fetch(
        "SELECT * FROM inbound WHERE state = 'settled' AND (kind = 'answer' OR tries > 0)"
        " ORDER BY received_at DESC, id DESC LIMIT 20"
    )


async def _guesses(view: Unit, senders: Sequence[str]) -> dict[str, list[Row]]:
    if not senders:
        return {}
    rows = await view.fetch(
        "SELECT DISTINCT a.address, c.id, c.contact_name, c.state, c.late, b.id AS bulletin_id,"
        " b.status, b.hazard, b.colour FROM attempt a JOIN callout c ON c.id = a.callout_id"
        " JOIN bulletin b ON b.id = c.bulletin_id WHERE a.address = ANY($1) ORDER BY c.id DESC",
        list(senders),
    )
    found: dict[str, list[Row]] = {}
    for row in rows:
        guesses = found.setdefault(row["address"], [])
        if len(guesses) < GUESSES_MAX:
            guesses.append(row)
    return found

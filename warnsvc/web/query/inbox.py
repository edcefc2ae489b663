"""Replies for a human, with the people who may have sent them."""

from collections.abc import Sequence
from dataclasses import dataclass

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
        " ORDER BY received_at, id LIMIT $1",
        LISTED_MAX,
    )
    guesses = await _guesses(view, sorted({row["sender"] for row in rows if row["sender"]}))
    return [Reply(row=row, guesses=guesses.get(row["sender"], [])) for row in rows]


async def settled_replies(view: Unit) -> list[Row]:
    """Return what was dealt with last."""
    return await view.fetch(
        "SELECT * FROM inbound WHERE state = 'settled' ORDER BY received_at DESC, id DESC LIMIT 20"
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

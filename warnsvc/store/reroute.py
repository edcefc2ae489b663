"""Sends that another carrier takes over, as rows: whole sets at a time. It never decides."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from warnsvc.store.port import Row, Unit

BULLETINS_MAX = 100
"""Looked at in one pass; the others have their turn in the next."""


class Rerouted(NamedTuple):
    """An attempt that is planned again. `why`: ours, not the carrier's words."""

    attempt_id: int
    due_at: datetime
    refused_by: str
    why: str


async def bulletins_with_missing(unit: Unit, *, now: datetime) -> list[int]:
    """Return the bulletins in which a receipt is missing."""
    rows = await unit.fetch(
        "SELECT DISTINCT bulletin_id FROM attempt WHERE receipt_due_at IS NOT NULL"
        " AND receipt_due_at <= $1 ORDER BY bulletin_id LIMIT $2",
        now,
        BULLETINS_MAX,
    )
    return [row["bulletin_id"] for row in rows]


async def hold_missing(unit: Unit, bulletin_id: int, *, now: datetime, limit: int) -> list[Row]:
    """Return a bulletin's attempts whose receipt is missing, and hold them."""
    return await unit.fetch(
        "SELECT a.id, a.bulletin_id, a.callout_id, a.channel, a.address, a.purpose, a.carrier,"
        " a.refused_by, a.state, a.valid_until, m.language, b.state AS bulletin_state,"
        " c.state AS callout_state FROM attempt a JOIN message m ON m.id = a.message_id"
        " JOIN bulletin b ON b.id = a.bulletin_id JOIN callout c ON c.id = a.callout_id"
        " WHERE a.bulletin_id = $1 AND a.receipt_due_at IS NOT NULL AND a.receipt_due_at <= $2"
        " ORDER BY a.id LIMIT $3 FOR UPDATE OF a",
        bulletin_id,
        now,
        limit,
    )


async def await_receipts(unit: Unit, ids: Sequence[int], until: datetime | None) -> None:
    """Wait for these receipts until then; None: no longer."""
    if ids:
        await unit.execute(
            "UPDATE attempt SET receipt_due_at = $2 WHERE id = ANY($1)", list(ids), until
        )


async def languages_of(unit: Unit, message_ids: Sequence[int]) -> dict[int, str]:
    """Return the language of each message."""
    rows = await unit.fetch(
        "SELECT id, language FROM message WHERE id = ANY($1)", sorted(set(message_ids))
    )
    return {row["id"]: row["language"] for row in rows}


async def reroute(unit: Unit, some: Sequence[Rerouted]) -> None:
    """Plan held attempts again. Their reference belongs to the carrier that had them.

    The lease of one that is still being sent ends here: whoever has it records nothing any more.
    """
    await unit.execute(
        "UPDATE attempt SET state = 'planned', due_at = g.due_at, refused_by = g.refused_by,"
        " error_class = NULL, error_text = g.why, reference = NULL, receipt_due_at = NULL,"
        " ended_at = NULL, lease_owner = NULL, lease_until = NULL"
        " FROM unnest($1::int[], $2::timestamptz[], $3::text[], $4::text[])"
        " AS g(id, due_at, refused_by, why) WHERE attempt.id = g.id"
        " AND attempt.state IN ('accepted', 'sending', 'unknown', 'planned')",
        *map(list, zip(*some, strict=True)),
    )

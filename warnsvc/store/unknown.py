"""Unknowns as rows: what is known about them, and where they go, whole sets at a time.

A receipt may have moved one on meanwhile; then nothing here touches it. SQL never decides:
`warnsvc.service.unknown` does.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from warnsvc.store.port import Row, Unit


class Settled(NamedTuple):
    """Where an unknown goes. `due_at`: when it is sent or looked up, if it is not over."""

    attempt_id: int
    state: str
    why: str
    due_at: datetime | None = None
    ended_at: datetime | None = None
    reference: str | None = None
    refused_by: str | None = None
    """With one more carrier: somebody else sends it again."""


async def hold_unknowns(unit: Unit, ids: Sequence[int]) -> list[Row]:
    """Return those that are still unknown, in order, and hold them."""
    return await unit.fetch(
        "SELECT a.id, a.callout_id, a.purpose, a.send_count, a.valid_until, a.sent_at,"
        " a.channel, a.address, a.carrier, a.refused_by, m.language, b.state AS bulletin_state,"
        " c.state AS callout_state FROM attempt a"
        " JOIN message m ON m.id = a.message_id"
        " JOIN bulletin b ON b.id = a.bulletin_id JOIN callout c ON c.id = a.callout_id"
        " WHERE a.id = ANY($1) AND a.state = 'unknown' ORDER BY a.id FOR UPDATE OF a",
        list(ids),
    )


async def settle_unknowns(unit: Unit, settled: Sequence[Settled]) -> None:
    """Move held unknowns on."""
    await unit.execute(
        "UPDATE attempt SET state = g.state, due_at = COALESCE(g.due_at, attempt.due_at),"
        " error_text = g.why, ended_at = g.ended_at,"
        " reference = COALESCE(attempt.reference, g.reference),"
        " refused_by = COALESCE(g.refused_by, attempt.refused_by), receipt_due_at ="
        " CASE WHEN g.state IN ('accepted', 'unknown') THEN attempt.receipt_due_at END"
        " FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[],"
        " $6::text[], $7::text[]) AS g(id, state, why, due_at, ended_at, reference, refused_by)"
        " WHERE attempt.id = g.id AND attempt.state = 'unknown'",
        *map(list, zip(*settled, strict=True)),
    )

"""Recall: calls that wait in a carrier's queue when a bulletin is lifted are taken back.

    lifted ──► calls that a carrier took lately and of which nothing final was heard ──► cancel

Nobody should be rung at night about a danger that is over. Each is asked for once, marked before
the carrier is asked (law 3); one that cannot be stopped rings, and he is told of the lifting like
anybody who was called. What the carrier makes of it comes as a receipt. Source: carriers.md §1.3.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import structlog

from channels.base import Channel
from warnsvc.core.ledger import Line
from warnsvc.service.context import Context
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Row

log = structlog.get_logger(__name__)

BATCH = 50
"""Asked for at once: a lifting is no reason to flood a carrier."""
WITHIN = timedelta(minutes=15)
"""A call that was taken longer ago has rung."""

_TO_RECALL = (
    "SELECT a.id, a.bulletin_id, a.carrier, a.reference FROM attempt a"
    " JOIN bulletin b ON b.id = a.bulletin_id"
    " WHERE b.state = 'lifted' AND b.lifted_at > $1 AND a.state = 'accepted'"
    " AND a.channel = 'voice' AND a.purpose = 'call' AND a.sent_at > $1"
    " AND a.reference IS NOT NULL AND a.recalled_at IS NULL ORDER BY a.id LIMIT $2"
)


async def recall(ctx: Context, channels: Mapping[str, Channel]) -> int:
    """Take back a batch; returns how many were asked for. Raises StoreFault."""
    able = {name: c for name, c in channels.items() if c.capabilities.can_cancel}
    if not able:
        return 0
    now = ctx.clock.now()
    async with ctx.store.view() as view:
        found = await view.fetch(_TO_RECALL, now - WITHIN, BATCH)
    if not found:
        return 0
    async with ctx.store.unit() as unit:
        marked = await unit.fetch(
            "UPDATE attempt SET recalled_at = $2 WHERE id = ANY($1) AND recalled_at IS NULL"
            " RETURNING id",
            [row["id"] for row in found],
            now,
        )
        ours = {row["id"] for row in marked}
        rows = [row for row in found if row["id"] in ours]
        await append_lines(unit, _lines(rows), now=now)
    asked = [(able[row["carrier"]], row) for row in rows if row["carrier"] in able]
    await asyncio.gather(*(_take_back(channel, row) for channel, row in asked))
    return len(rows)


async def _take_back(channel: Channel, row: Row) -> None:
    try:
        stopped = await channel.cancel(row["reference"], live=True)
    except Exception:  # a mistake in an adapter must not stop the others
        log.exception("recall.raised", attempt=row["id"], carrier=channel.name)
        return
    log.info("recall.asked", attempt=row["id"], carrier=channel.name, stopped=stopped)


def _lines(rows: list[Row]) -> list[Line]:
    told: dict[int, list[int]] = {}
    for row in rows:
        told.setdefault(row["bulletin_id"], []).append(row["id"])
    return [
        Line(act="attempt.recalled", bulletin_id=b, why="lifted", data={"attempts": ids})
        for b, ids in sorted(told.items())
    ]

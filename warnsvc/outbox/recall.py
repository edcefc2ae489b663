"""Recall: calls that wait in a carrier's queue and that nobody needs any more are taken back.

    lifted   ──► calls of which nothing final was heard ──► cancel, also what rings
    overdue  ──► calls past their validity, and needless ──► cancel what still waits

Nobody should be rung at night about a danger that is over, nor by an old call after a newer one:
Twilio keeps a call for a day. Needless is an overdue call when its bulletin has ended; when he has
answered or his region has; when a carrier has a newer call to him, or one has rung at his. The last
call to somebody who has not answered stays in the queue: better late than never (laws 2 and 3).
A newer call that is merely planned is none: it may never leave the house.

Each is asked for once, marked before the carrier is asked (law 3); one that cannot be stopped
rings, and he is told of the lifting like anybody who was called. Whether a phone rings its carrier
knows first, and a receipt tells it later: so the carrier is asked to take an overdue call back only
if that still waits, and it never hangs one up. What it makes of it comes as a receipt, which starts
nothing: no round is used up and no window moves. Source: carriers.md §0.5, §1.3.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from channels.base import Channel
from warnsvc.core.ledger import Line
from warnsvc.service.context import Context
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Row

log = structlog.get_logger(__name__)

BATCH = 50
"""Asked for at once: a lifting is no reason to flood a carrier."""
QUEUED_MAX = timedelta(hours=24)
"""No carrier keeps a call for longer: one that was taken earlier has rung, or never will."""


class _Reason(NamedTuple):
    """Why calls are taken back, and which."""

    why: str
    live: bool
    """Whether one that rings or is being listened to is ended too."""
    bulletins: str
    """Those that were lifted, or end, after $1."""
    within: timedelta
    calls: str
    """$1: of these bulletins; $2 and $3: sent between; $4: by these carriers; $5: how many."""


_CALLS = (
    "SELECT a.id, a.bulletin_id, a.carrier, a.reference FROM attempt a"
    " JOIN bulletin b ON b.id = a.bulletin_id JOIN callout c ON c.id = a.callout_id"
    " WHERE a.bulletin_id = ANY($1) AND a.state = 'accepted' AND a.channel = 'voice'"
    " AND a.purpose = 'call' AND a.sent_at BETWEEN $2 AND $3 AND a.carrier = ANY($4)"
    " AND a.reference IS NOT NULL AND a.recalled_at IS NULL"
)
_NEWER = (
    "SELECT 1 FROM attempt n WHERE n.callout_id = a.callout_id AND n.id > a.id"
    " AND n.channel = 'voice' AND n.purpose = 'call' AND (n.state = 'delivered'"
    " OR n.state = 'accepted' AND n.recalled_at IS NULL"
    " OR n.state = 'undelivered' AND n.error_class IN ('no_answer','voicemail','cut_short'))"
)
_LIFTED = _Reason(
    why="lifted",
    live=True,
    bulletins="SELECT id FROM bulletin WHERE state = 'lifted' AND lifted_at > $1",
    within=timedelta(minutes=15),  # by then it was asked for, also by a process that began anew
    calls=f"{_CALLS} ORDER BY a.id LIMIT $5",
)
_OVERDUE = _Reason(
    why="overdue",
    live=False,
    bulletins=(
        "SELECT id FROM bulletin WHERE expires_at > $1"
        " AND state IN ('released','superseded','expired','closed')"
    ),
    within=QUEUED_MAX,
    calls=(
        f"{_CALLS} AND a.valid_until <= $3 AND (b.state <> 'released'"
        f" OR c.state IN ('answered','refused','stopped') OR EXISTS ({_NEWER}))"
        " ORDER BY a.id LIMIT $5"
    ),
)


async def recall_lifted(ctx: Context, channels: Mapping[str, Channel]) -> int:
    """Take back a batch of calls about what was lifted; returns how many. Raises StoreFault."""
    return await _recall(ctx, channels, _LIFTED)


async def recall_overdue(ctx: Context, channels: Mapping[str, Channel]) -> int:
    """Take back a batch of calls that come too late; returns how many. Raises StoreFault."""
    return await _recall(ctx, channels, _OVERDUE)


async def _recall(ctx: Context, channels: Mapping[str, Channel], reason: _Reason) -> int:
    able = {name: c for name, c in channels.items() if c.capabilities.can_cancel}
    if not able:
        return 0
    now = ctx.clock.now()
    found = await _found(ctx, reason, sorted(able), now)
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
        await append_lines(unit, _lines(rows, reason.why), now=now)
    await asyncio.gather(*(_take_back(able[row["carrier"]], row, reason) for row in rows))
    return len(rows)


async def _found(
    ctx: Context, reason: _Reason, carriers: list[str], now: datetime
) -> list[Row]:
    """Bulletins first: nearly always none was lifted, and a planner may begin with all calls."""
    async with ctx.store.view() as view:
        bulletins = await view.fetch(reason.bulletins, now - reason.within)
        if not bulletins:
            return []
        ids = [row["id"] for row in bulletins]
        return await view.fetch(reason.calls, ids, now - QUEUED_MAX, now, carriers, BATCH)


async def _take_back(channel: Channel, row: Row, reason: _Reason) -> None:
    try:
        stopped = await channel.cancel(row["reference"], live=reason.live)
    except Exception:  # a mistake in an adapter must not stop the others
        log.exception("recall.raised", attempt=row["id"], carrier=channel.name)
        return
    log.info(
        "recall.asked",
        attempt=row["id"],
        carrier=channel.name,
        why=reason.why,
        stopped=stopped,
    )


def _lines(rows: Sequence[Row], why: str) -> list[Line]:
    told: dict[int, list[int]] = {}
    for row in rows:
        told.setdefault(row["bulletin_id"], []).append(row["id"])
    return [
        Line(act="attempt.recalled", bulletin_id=b, why=why, data={"attempts": ids})
        for b, ids in sorted(told.items())
    ]

"""The desk: what to do next, most urgent first."""

from dataclasses import dataclass

from warnsvc.store.port import Row, Unit
from warnsvc.web.query.bulletin import BulletinLine, list_bulletins

LISTED_MAX = 30
"""Alarms and tasks on the desk; the rest is counted and has a page of its own."""

WORST_FIRST = (
    *("exhausted", "expired", "help", "refused", "no_contact"),  # people wait
    *("late", "clock", "database", "spool", "unknown"),  # people may have to wait
    *("callback", "poll", "filtered", "channel"),  # the same, for some of them
    *("opted_out", "canary", "poison", "unmatched"),  # somebody should look
)
_RANKS = " ".join(f"WHEN '{kind}' THEN {rank}" for rank, kind in enumerate(WORST_FIRST))


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What waits."""

    alarms: list[Row]
    alarm_count: int
    tasks: list[Row]
    to_sign: list[BulletinLine]
    to_release: list[BulletinLine]
    running: list[BulletinLine]
    drafts: list[BulletinLine]


async def load_desk(view: Unit, officer_id: int) -> Desk:
    """Return the desk of one officer."""
    count = await view.fetch_one("SELECT count(*) AS n FROM alarm WHERE acknowledged_at IS NULL")
    assert count is not None
    return Desk(
        alarms=await open_alarms(view),
        alarm_count=int(count["n"]),
        tasks=await open_tasks(view, limit=LISTED_MAX),
        to_sign=await list_bulletins(view, states=("submitted",)),
        to_release=await list_bulletins(view, states=("signed",)),
        running=await list_bulletins(view, states=("released",)),
        drafts=await list_bulletins(view, states=("draft",), drafted_by=officer_id),
    )


async def open_alarms(view: Unit) -> list[Row]:
    """Return open alarms: those that last, live before drill, the worst and the newest first."""
    return await view.fetch(
        "SELECT a.*, b.status, b.hazard, b.colour FROM alarm a"
        " LEFT JOIN bulletin b ON b.id = a.bulletin_id WHERE a.acknowledged_at IS NULL"
        " ORDER BY CASE WHEN a.ended_at IS NULL THEN 0 ELSE 1 END,"
        " CASE WHEN b.status = 'actual' OR b.status IS NULL THEN 0 ELSE 1 END,"
        f" CASE a.kind {_RANKS} ELSE {len(WORST_FIRST)} END, a.id DESC"
        " LIMIT $1",
        LISTED_MAX,
    )


async def open_tasks(view: Unit, *, limit: int) -> list[Row]:
    """Return open tasks in the order in which they should be done."""
    return await view.fetch(
        "SELECT t.*, o.name AS claimed_name, b.status, b.hazard, b.colour,"
        " e.region_name, e.parent_name, c.contact_name"
        " FROM task t JOIN bulletin b ON b.id = t.bulletin_id"
        " LEFT JOIN officer o ON o.id = t.claimed_by"
        " LEFT JOIN escalation e ON e.id = t.escalation_id"
        " LEFT JOIN callout c ON c.id = t.callout_id"
        " WHERE t.state IN ('open', 'claimed')"
        " ORDER BY t.priority,"
        " CASE t.kind WHEN 'help' THEN 0 WHEN 'knock' THEN 1 WHEN 'call_by_hand' THEN 2 ELSE 3 END,"
        " t.due_at, t.id LIMIT $1",
        limit,
    )

"""When a pass of the engine has something to do next.

It knows nothing of sends: those are the outbox's, and one that waits to be looked up must not hide
a window that closes meanwhile.
"""

from datetime import datetime

from warnsvc.store.port import Unit


async def next_decision(unit: Unit, *, after: datetime) -> datetime | None:
    """Return when the next window, round, receipt or bulletin is due that was not `after` this."""
    row = await unit.fetch_one(
        "SELECT MIN(t) AS due_at FROM ("
        " SELECT MIN(deadline_at) AS t FROM escalation WHERE state = 'calling' AND deadline_at > $1"
        " UNION ALL SELECT MIN(due_at) FROM callout WHERE due_at > $1"
        " UNION ALL SELECT MIN(receipt_due_at) FROM attempt WHERE receipt_due_at > $1"
        " UNION ALL SELECT MIN(expires_at) FROM bulletin WHERE state = 'released'"
        " AND expires_at > $1) AS due",
        after,
    )
    return row["due_at"] if row else None

"""Tasks that have ended, for the page of tasks."""

from warnsvc.store.port import Row, Unit

DONE_LISTED_MAX = 30


async def done_tasks(view: Unit) -> list[Row]:
    """Return the tasks that ended last."""
    return await view.fetch(
        "SELECT t.*, o.name AS claimed_name, b.status FROM task t"
        " JOIN bulletin b ON b.id = t.bulletin_id LEFT JOIN officer o ON o.id = t.claimed_by"
        " WHERE t.state IN ('done', 'moot') ORDER BY t.ended_at DESC, t.id DESC LIMIT $1",
        DONE_LISTED_MAX,
    )

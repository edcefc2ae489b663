"""How much waits for a human: the numbers beside the menu, on every page."""

from dataclasses import dataclass

from warnsvc.store.port import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Badges:
    """Counts of what waits. `last_alarm` is the newest open alarm's id: a new one rings."""

    alarms: int = 0
    last_alarm: int = 0
    tasks: int = 0
    inbox: int = 0
    """Replies, and carriers of which nobody could place a receipt."""
    to_sign: int = 0
    running: int = 0


async def load_badges(view: Unit) -> Badges:
    """Return the counts; each is answered from an index over what is open."""
    alarms = await view.fetch_one(
        "SELECT count(*) AS n, COALESCE(max(id), 0) AS last FROM alarm"
        " WHERE acknowledged_at IS NULL AND ended_at IS NULL"
    )
    tasks = await view.fetch_one(
        "SELECT count(*) AS n FROM task WHERE state IN ('open', 'claimed')"
    )
    inbox = await view.fetch_one(
        "SELECT count(*) FILTER (WHERE kind = 'answer' OR state = 'poison') + count(DISTINCT"
        " CASE WHEN kind = 'receipt' AND state = 'unmatched' THEN carrier END) AS n"
        " FROM inbound WHERE state IN ('unmatched', 'poison')"
    )
    states = await view.fetch(
        "SELECT state, count(*) AS n FROM bulletin"
        " WHERE state IN ('submitted', 'released') GROUP BY state"
    )
    by_state = {row["state"]: row["n"] for row in states}
    assert alarms is not None
    assert tasks is not None
    assert inbox is not None
    return Badges(
        alarms=alarms["n"],
        last_alarm=alarms["last"],
        tasks=tasks["n"],
        inbox=inbox["n"],
        to_sign=by_state.get("submitted", 0),
        running=by_state.get("released", 0),
    )

"""Opt-outs: people on a duty list whom texts no longer reach, because they said so.

    a reply that says it (STOP, TD, 退订) ──────────┐
    a carrier that refuses a text because of it ────┴─► an alarm that names him, until it is seen

Nothing else follows. He is called by other channels as before, and texts go on being tried, because
he may have allowed them again: his number is right, so it is not marked as wrong, which would stop
his calls, too. It never counts as an answer (carriers.md §1.1).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from warnsvc.core.ledger import Line
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit

KIND = "opted_out"
REPLY, CARRIER = "reply", "carrier"
"""How we know."""


async def tell_of_opt_outs(
    unit: Unit, contact_ids: Collection[int], *, now: datetime, by: str
) -> None:
    """Raise an alarm about each of these people, unless one waits to be seen.

    Its text is his id and his name; a number is nowhere.
    """
    if not contact_ids:
        return
    people = await unit.fetch(
        "SELECT id, name FROM contact WHERE id = ANY($1) ORDER BY id", sorted(set(contact_ids))
    )
    waiting = await unit.fetch(
        "SELECT text FROM alarm WHERE kind = $1 AND ended_at IS NULL AND acknowledged_at IS NULL",
        KIND,
    )
    known = {row["text"].partition(" ")[0] for row in waiting}
    news = [one for one in people if str(one["id"]) not in known]
    if not news:
        return
    ids = await unit.new_ids("alarm", len(news))
    await unit.insert_rows(
        "alarm",
        ("id", "kind", "text", "raised_at"),
        [(i, KIND, f"{p['id']} {p['name']}", now) for i, p in zip(ids, news, strict=True)],
    )
    lines = [Line(act="contact.opted_out", why=by, data={"contact": p["id"]}) for p in news]
    await append_lines(unit, lines, now=now)


async def people_at(unit: Unit, addresses: Sequence[str]) -> Mapping[str, list[int]]:
    """Return who on our lists has these numbers, by number."""
    found: dict[str, list[int]] = {}
    if not addresses:
        return found
    rows = await unit.fetch(
        "SELECT n.address, n.contact_id FROM contact_number n"
        " JOIN contact c ON c.id = n.contact_id AND c.active"
        " WHERE n.address = ANY($1) ORDER BY n.contact_id",
        list(addresses),
    )
    for row in rows:
        found.setdefault(row["address"], []).append(row["contact_id"])
    return found

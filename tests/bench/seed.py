"""A database as it stands when windows are about to end: bulletins released, nobody has answered.

Everything is released through the service, so that no row is invented; then the rounds that a
red window holds are written as sent in bulk: three calls and a text to each person of tier 1, taken
by the carrier and unanswered. The ledger's pending lines are sequenced, as they would be by then.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from contacts.directory.load import load_tree
from contacts.region import Region
from tests.bench import house as houses
from warnsvc.app import House
from warnsvc.core import bulletin as rules
from warnsvc.service import release
from warnsvc.service.sweep import sequence_ledger
from warnsvc.store.bulletin import load_bulletin
from warnsvc.store.port import Unit

CALLED_AGAIN = (2, 3)
"""The numbers of the rounds that follow the first call in a red window."""


async def released(
    opened: House, found: Sequence[Region], roots: Sequence[str], *, repeat: int = 1
) -> int:
    """Release a red bulletin to each root, `repeat` times; returns how many escalations are open."""
    _, author, signer = await houses.populate(opened, found)
    total = 0
    for root in [root for root in roots for _ in range(repeat)]:
        bulletin_id = await houses.signed_bulletin(opened, root, author, signer)
        phrase = await _phrase(opened, bulletin_id)
        result = await release.release(
            opened.ctx, officer=author, bulletin_id=bulletin_id, typed=phrase
        )
        total += result.escalations
    await _call_in_vain(opened)
    await sequence_ledger(opened.ctx)
    return total


async def _phrase(opened: House, bulletin_id: int) -> str:
    """What must be typed: known without planning 44,000 people seven times."""
    async with opened.ctx.store.view() as unit:
        bulletin = await load_bulletin(unit, bulletin_id)
        tree = await load_tree(unit)
    return rules.confirmation_phrase(bulletin, tree.common_ancestor(bulletin.region_codes).name)


async def _call_in_vain(opened: House) -> None:
    """Write every round of the first window as sent; nobody has answered, nothing more is due."""
    now = opened.ctx.clock.now()
    async with opened.ctx.store.unit() as unit:
        await _send(unit, now)
        for number in CALLED_AGAIN:
            await _call_again(unit, number, now)


async def _call_again(unit: Unit, number: int, now: datetime) -> None:
    row = await unit.fetch_one("SELECT COUNT(*) AS n, MAX(id) AS top FROM attempt")
    assert row is not None
    await unit.new_ids("attempt", row["n"])
    await unit.execute(
        "INSERT INTO attempt (id, bulletin_id, contact_id, callout_id, tier, channel, number,"
        " purpose, address, message_id, priority, state, due_at, valid_until, send_count, carrier,"
        " reference, sent_at) SELECT $1 + ROW_NUMBER() OVER (ORDER BY id), bulletin_id, contact_id,"
        " callout_id, tier, channel, $2, purpose, address, message_id, priority, state, due_at,"
        " valid_until, 1, carrier, reference, $3 FROM attempt"
        " WHERE channel = 'voice' AND number = 1",
        row["top"],
        number,
        now,
    )


async def end_windows(opened: House, ends_at: Sequence[datetime]) -> list[int]:
    """Let open windows end at these instants, in the order of their ids, and the rest in an hour.

    Returns the ids of those that end. What was planned for them counts as sent.
    """
    now = opened.ctx.clock.now()
    async with opened.ctx.store.unit() as unit:
        rows = await unit.fetch("SELECT id FROM escalation WHERE state = 'calling' ORDER BY id")
        ids = [row["id"] for row in rows][: len(ends_at)]
        await unit.execute(
            "UPDATE escalation SET deadline_at = $1 WHERE state = 'calling'",
            max(ends_at) + timedelta(hours=1),
        )
        await unit.execute_many(
            "UPDATE escalation SET deadline_at = $1 WHERE id = $2",
            list(zip(ends_at, ids, strict=False)),
        )
        await _send(unit, now)
    return ids


async def _send(unit: Unit, now: datetime) -> None:
    """Write whatever is planned as taken by a carrier, and its people's rounds as over."""
    await unit.execute(
        "UPDATE attempt SET state = 'accepted', sent_at = $1, carrier = 'bench', send_count = 1,"
        " reference = 'bench' WHERE state = 'planned'",
        now,
    )
    await unit.execute(
        "UPDATE callout SET due_at = NULL, step = 3 WHERE state = 'calling' AND due_at IS NOT NULL"
    )

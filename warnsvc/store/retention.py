"""Retention: statements that take away what nobody reads any more.

    parked receipts  ──► unmatched, with a note
    references       ──► deleted: found beside everything else, deleted where still so
    tests            ──► deleted, but for those that are named

Nothing here touches a bulletin, a callout, an attempt, an answer or a ledger line. How long each
is kept, and which tests are still read, is `warnsvc.service.retention`'s.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from warnsvc.store.port import Unit
from warnsvc.store.reference import Key

WAITED = "awaited its reference in vain"
"""The note of a receipt that nobody could place."""

_WAITING_LONG = """
SELECT id FROM inbound WHERE state = 'parked' AND received_at <= $1
ORDER BY received_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_NOBODY_WAITS = """
NOT EXISTS (SELECT 1 FROM inbound i WHERE i.state = 'parked'
 AND i.carrier = send_reference.carrier AND i.awaits = send_reference.reference)
"""
_AWAITED = f"""
SELECT carrier, reference FROM send_reference
WHERE attempt_id IS NULL AND test_id IS NULL AND created_at <= $1 AND {_NOBODY_WAITS} LIMIT $2
"""
_SPENT = """
SELECT r.carrier, r.reference FROM send_reference r LEFT JOIN attempt a ON a.id = r.attempt_id
WHERE r.created_at <= $1 AND (r.test_id IS NOT NULL OR r.attempt_id IS NOT NULL
 AND (a.id IS NULL OR a.valid_until <= $1 AND a.state NOT IN ('planned','sending','unknown')))
LIMIT $2
"""
_HOLD = """
SELECT carrier, reference FROM send_reference
WHERE (carrier, reference) IN (SELECT t.carrier, t.reference
 FROM unnest($1::text[], $2::text[]) AS t(carrier, reference)) FOR UPDATE SKIP LOCKED
"""
_DELETE = """
DELETE FROM send_reference
WHERE (carrier, reference) IN (SELECT t.carrier, t.reference
 FROM unnest($1::text[], $2::text[]) AS t(carrier, reference)) AND created_at <= $3
"""


async def give_up_parked(unit: Unit, *, before: datetime, limit: int) -> int:
    """Say of receipts that came before an instant that nobody could place them; returns how many.

    One whose reference is being written at this moment is left to whoever writes it.
    """
    rows = await unit.fetch(_WAITING_LONG, before, limit)
    if not rows:
        return 0
    return await unit.execute(
        "UPDATE inbound SET state = 'unmatched', note = $2 WHERE id = ANY($1)",
        [row["id"] for row in rows],
        WAITED,
    )


async def awaited_references(view: Unit, *, before: datetime, limit: int) -> list[Key]:
    """Return references without a subject for which no receipt waits any more."""
    return [Key(*row) for row in await view.fetch(_AWAITED, before, limit)]


async def spent_references(view: Unit, *, before: datetime, limit: int) -> list[Key]:
    """Return references of tests and of attempts that were over before an instant."""
    return [Key(*row) for row in await view.fetch(_SPENT, before, limit)]


async def delete_awaited(unit: Unit, keys: Sequence[Key], *, before: datetime) -> int:
    """Delete those of these that are still about nothing, and that still nobody waits for.

    They are held first: a receipt that comes now waits for us, and writes its own row again.
    """
    held = [Key(*row) for row in await unit.fetch(_HOLD, *_columns(keys))] if keys else []
    if not held:
        return 0
    return await unit.execute(
        f"{_DELETE} AND attempt_id IS NULL AND test_id IS NULL AND {_NOBODY_WAITS}",
        *_columns(held),
        before,
    )


async def delete_spent(unit: Unit, keys: Sequence[Key], *, before: datetime) -> int:
    """Delete these. What a reference is about, and that it is over, never changes."""
    held = [Key(*row) for row in await unit.fetch(_HOLD, *_columns(keys))] if keys else []
    if not held:
        return 0
    return await unit.execute(
        f"{_DELETE} AND (attempt_id IS NOT NULL OR test_id IS NOT NULL)", *_columns(held), before
    )


async def carriers_with_tests(view: Unit, *, before: datetime) -> list[str]:
    """Return the carriers, gone ones too, that have tests from before an instant."""
    rows = await view.fetch(
        "SELECT DISTINCT carrier FROM test_send WHERE sent_at < $1 ORDER BY carrier", before
    )
    return [row["carrier"] for row in rows]


async def delete_tests(
    unit: Unit, carrier: str, *, before: datetime, but: Collection[int], limit: int
) -> int:
    """Delete the oldest tests of a carrier, `but` these; returns how many."""
    rows = await unit.fetch(
        "SELECT id FROM test_send WHERE carrier = $1 AND sent_at < $2 AND id <> ALL($3)"
        " ORDER BY id LIMIT $4",
        carrier,
        before,
        sorted(but),
        limit,
    )
    if not rows:
        return 0
    return await unit.execute(
        "DELETE FROM test_send WHERE id = ANY($1)", [row["id"] for row in rows]
    )


def _columns(keys: Sequence[Key]) -> list[list[str]]:
    return [list(column) for column in zip(*keys, strict=True)]

"""References: which try a carrier's own id is, for carriers whose receipts name nothing of ours.

    outcome ──► (carrier, reference) → attempt or test ──► receipts that waited are new again
    receipt ──► found: it is about that  |  not found: it waits (`parked`) for a day

Both sides write the same row, so that on PostgreSQL too one of them waits for the other: a receipt
that overtakes its own outcome finds it, or is found by it. Whoever takes such rows takes them
before bulletins, attempts and tests. What a receipt means is decided elsewhere.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from warnsvc.store.port import Row, Unit

PARKED_FOR = timedelta(hours=24)
"""A receipt that has waited longer is about nothing that we know. Source: carriers.md §5.2."""
REFERENCE_CHARS_MAX = 200
"""An index takes no long words; what is longer is known by its digest."""
NOTE = "awaits its reference"

_KEEP = """
INSERT INTO send_reference (carrier, reference, attempt_id, test_id, created_at)
SELECT t.carrier, t.reference, t.attempt_id, t.test_id, t.created_at
FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::timestamptz[])
 AS t(carrier, reference, attempt_id, test_id, created_at)
WHERE true ORDER BY t.carrier, t.reference
ON CONFLICT (carrier, reference) DO UPDATE SET attempt_id = EXCLUDED.attempt_id,
 test_id = EXCLUDED.test_id, created_at = EXCLUDED.created_at
WHERE send_reference.attempt_id IS NULL AND send_reference.test_id IS NULL
"""
_RELEASE = """
UPDATE inbound SET state = 'new', note = ''
FROM unnest($1::text[], $2::text[]) AS t(carrier, reference)
WHERE inbound.state = 'parked' AND inbound.carrier = t.carrier AND inbound.awaits = t.reference
 AND inbound.received_at > $3
"""
_FIND = """
SELECT r.carrier, r.reference, r.attempt_id, r.test_id FROM send_reference r
JOIN unnest($1::text[], $2::text[]) AS t(carrier, reference)
 ON r.carrier = t.carrier AND r.reference = t.reference
WHERE r.attempt_id IS NOT NULL OR r.test_id IS NOT NULL
"""
_AWAIT = """
INSERT INTO send_reference (carrier, reference, created_at)
SELECT t.carrier, t.reference, t.created_at
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS t(carrier, reference, created_at)
WHERE true ORDER BY t.carrier, t.reference
ON CONFLICT (carrier, reference) DO UPDATE SET created_at = send_reference.created_at
RETURNING carrier, reference, attempt_id, test_id
"""
"""It changes nothing in a row that is there: it waits for whoever is writing it, and reads it."""
_PARK = """
UPDATE inbound SET state = 'parked', note = $3, awaits = t.reference
FROM unnest($1::bigint[], $2::text[]) AS t(id, reference) WHERE inbound.id = t.id
"""
_NAME = """
UPDATE inbound SET attempt_id = t.attempt_id
FROM unnest($1::bigint[], $2::int[]) AS t(id, attempt_id) WHERE inbound.id = t.id
"""


class Key(NamedTuple):
    """What names a message at a carrier. `reference` is as `key_of` makes it."""

    carrier: str
    reference: str


class Subject(NamedTuple):
    """What a reference is about: an attempt or a test."""

    attempt_id: int | None = None
    test_id: int | None = None


def key_of(carrier: str, reference: str) -> Key:
    """Return what a message goes by, however long its reference is."""
    if len(reference) > REFERENCE_CHARS_MAX:
        reference = f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}"
    return Key(carrier, reference)


async def keep_references(unit: Unit, subjects: Mapping[Key, Subject], *, now: datetime) -> int:
    """Write what references are about; one that is known stays. Returns how many receipts had
    waited for these, which are to be applied now."""
    if not subjects:
        return 0
    carriers, references = map(list, zip(*subjects, strict=True))
    attempts, tests = map(list, zip(*subjects.values(), strict=True))
    await unit.execute(_KEEP, carriers, references, attempts, tests, [now] * len(subjects))
    return await unit.execute(_RELEASE, carriers, references, now - PARKED_FOR)


async def find_subjects(unit: Unit, keys: Collection[Key], *, now: datetime) -> dict[Key, Subject]:
    """Return what references are about, as far as it is known; what is not is awaited from now."""
    found = _subjects(await unit.fetch(_FIND, *_columns(keys))) if keys else {}
    if missing := [key for key in keys if key not in found]:
        found |= _subjects(await unit.fetch(_AWAIT, *_columns(missing), [now] * len(missing)))
    return found


async def park(unit: Unit, waiting: Sequence[tuple[int, str]]) -> None:
    """Put receipts (id, reference) aside until somebody writes what they are about."""
    if waiting:
        await unit.execute(_PARK, *map(list, zip(*waiting, strict=True)), NOTE)


async def name_attempts(unit: Unit, named: Mapping[int, int]) -> None:
    """Write which attempt receipts are about: inbound → attempt."""
    if named:
        await unit.execute(_NAME, list(named.keys()), list(named.values()))


def _columns(keys: Iterable[Key]) -> list[list[str]]:
    return [list(column) for column in zip(*keys, strict=True)]


def _subjects(rows: Iterable[Row]) -> dict[Key, Subject]:
    return {
        Key(row["carrier"], row["reference"]): Subject(row["attempt_id"], row["test_id"])
        for row in rows
        if row["attempt_id"] is not None or row["test_id"] is not None
    }

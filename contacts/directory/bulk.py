"""Many regions and generated people into an empty database, for measurements.

No checks and no comparison: rows are made and inserted as fast as the database takes them. Lists
that people wrote go through the importers, never through here.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from contacts.directory.port import DirectoryUnit
from contacts.directory.region_import import insert_regions
from contacts.people import People
from contacts.region import Region

_CONTACT = (
    "id", "key", "kind", "name", "unit", "post", "language", "robot_ok", "active", "updated_at",
)  # fmt: skip
_NUMBER = ("id", "contact_id", "rank", "kind", "address")
_DUTY = (
    "id", "contact_id", "region_code", "tier", "role", "hazards", "valid_from", "valid_to",
)  # fmt: skip


async def bulk_load(
    unit: DirectoryUnit, regions: Iterable[Region], people: People, *, now: datetime
) -> Sequence[int]:
    """Insert them all and return the contacts' ids, in the order of `people.contacts`."""
    await insert_regions(unit, regions)
    ids = await unit.new_ids("contact", len(people.contacts))
    id_of = {contact.id: i for contact, i in zip(people.contacts, ids, strict=True)}
    await unit.insert_rows(
        "contact",
        _CONTACT,
        [
            (id_of[c.id], c.key, c.kind.value, c.name, c.unit, c.post, c.language, c.robot_ok,
             True, now)
            for c in people.contacts
        ],
    )  # fmt: skip
    await _insert_numbers(unit, people, id_of)
    await _insert_duties(unit, people, id_of)
    return ids


async def _insert_numbers(unit: DirectoryUnit, people: People, id_of: dict[int, int]) -> None:
    numbers = [(c.id, number) for c in people.contacts for number in c.numbers]
    ids = await unit.new_ids("contact_number", len(numbers))
    rows = [
        (i, id_of[contact_id], number.rank, number.kind.value, number.address)
        for i, (contact_id, number) in zip(ids, numbers, strict=True)
    ]
    await unit.insert_rows("contact_number", _NUMBER, rows)


async def _insert_duties(unit: DirectoryUnit, people: People, id_of: dict[int, int]) -> None:
    ids = await unit.new_ids("assignment", len(people.assignments))
    rows = [
        (i, id_of[a.contact_id], a.region_code, a.tier, a.role, ",".join(sorted(a.hazards)),
         a.valid_from, a.valid_to)
        for i, a in zip(ids, people.assignments, strict=True)
    ]  # fmt: skip
    await unit.insert_rows("assignment", _DUTY, rows)

"""Contacts as they are stored, as far as they could be somebody of a file.

Only what an import compares: the contact's own columns, his numbers in order, and his duties.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from contacts.contact import NumberKind
from contacts.directory.contact_draft import ContactDraft
from contacts.directory.contact_row import Address
from contacts.directory.port import DirectoryUnit

_STORED_CONTACTS = """
SELECT id, key, kind, name, unit, post, language, robot_ok, active FROM contact
 WHERE key = ANY($1) OR name = ANY($2)
 ORDER BY id
"""
_STORED_NUMBERS = """
SELECT contact_id, kind, address, failed_at FROM contact_number
 WHERE contact_id = ANY($1) ORDER BY contact_id, rank
"""
_STORED_DUTIES = """
SELECT id, contact_id, region_code, tier, role, hazards, valid_from, valid_to FROM assignment
 WHERE contact_id = ANY($1)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A contact's own columns, in the order of the table after `id`."""

    key: str
    kind: str
    name: str
    unit: str
    post: str
    language: str
    robot_ok: bool
    active: bool = True

    def values(self) -> tuple[Any, ...]:
        """Return them as a statement takes them."""
        return (
            self.key, self.kind, self.name, self.unit, self.post, self.language, self.robot_ok,
            self.active,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDuty:
    """A duty as it is stored."""

    id: int
    hazards: str
    valid_from: date | None
    valid_to: date | None


@dataclass(slots=True, kw_only=True)
class StoredContact:
    """A contact as it is stored, with numbers and duties."""

    id: int
    facts: Facts
    numbers: list[Address] = field(default_factory=list)
    failed: dict[str, datetime] = field(default_factory=dict)
    duties: dict[tuple[str, int, str], StoredDuty] = field(default_factory=dict)


async def load_stored(unit: DirectoryUnit, draft: ContactDraft) -> dict[int, StoredContact]:
    """Return the stored contacts that could be somebody of the file."""
    keys = [person.key for person in draft.people]
    names = sorted({person.name for person in draft.people})
    stored: dict[int, StoredContact] = {}
    for row in await unit.fetch(_STORED_CONTACTS, keys, names):
        stored[row[0]] = StoredContact(
            id=row[0],
            facts=Facts(
                key=row[1], kind=row[2], name=row[3], unit=row[4], post=row[5], language=row[6],
                robot_ok=bool(row[7]), active=bool(row[8]),
            ),
        )  # fmt: skip
    ids = list(stored)
    for row in await unit.fetch(_STORED_NUMBERS, ids):
        stored[row[0]].numbers.append((NumberKind(row[1]), row[2]))
        if row[3] is not None:
            stored[row[0]].failed[row[2]] = row[3]
    for row in await unit.fetch(_STORED_DUTIES, ids):
        stored[row[1]].duties[row[2], row[3], row[4]] = StoredDuty(
            id=row[0], hazards=row[5], valid_from=row[6], valid_to=row[7]
        )
    return stored

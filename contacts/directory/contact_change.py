"""What an import will write, and the writing of it in a handful of statements.

It takes the decision as it was made in `contact_import` and makes no choice of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from contacts.directory.contact_row import DutyDraft, PersonDraft
from contacts.directory.contact_stored import Facts, StoredContact
from contacts.directory.port import DirectoryUnit
from contacts.directory.report import Progress

_CONTACT_COLUMNS = (
    "id", "key", "kind", "name", "unit", "post", "language", "robot_ok", "active", "updated_at",
)  # fmt: skip
_NUMBER_COLUMNS = ("id", "contact_id", "rank", "kind", "address", "failed_at")
_DUTY_COLUMNS = (
    "id", "contact_id", "region_code", "tier", "role", "hazards", "valid_from", "valid_to",
)  # fmt: skip

_UPDATE_CONTACT = """
UPDATE contact SET key = $2, kind = $3, name = $4, unit = $5, post = $6, language = $7,
       robot_ok = $8, active = $9, updated_at = $10
 WHERE id = $1
"""
_UPDATE_DUTY = """
UPDATE assignment SET hazards = $2, valid_from = $3, valid_to = $4 WHERE id = $1
"""


@dataclass(slots=True, kw_only=True)
class Changes:
    """Everything that will be written."""

    new: list[tuple[PersonDraft, Facts]] = field(default_factory=list)
    facts: list[tuple[int, Facts]] = field(default_factory=list)
    numbers: list[tuple[StoredContact, PersonDraft]] = field(default_factory=list)
    new_duties: list[tuple[int, DutyDraft]] = field(default_factory=list)
    duties: list[tuple[int, str, date | None, date | None]] = field(default_factory=list)
    removed_duties: list[int] = field(default_factory=list)
    changed: set[int] = field(default_factory=set)
    """Ids of stored contacts of which anything differs."""


async def write_changes(
    unit: DirectoryUnit, changes: Changes, now: datetime, progress: Progress | None
) -> None:
    """Write all of it; the unit makes it all or nothing."""
    steps = (_remove_duties, _update_contacts, _insert_contacts, _replace_numbers, _write_duties)
    for done, step in enumerate(steps, start=1):
        await step(unit, changes, now)
        if progress is not None:
            progress(done, len(steps))


async def _remove_duties(unit: DirectoryUnit, changes: Changes, now: datetime) -> None:
    if changes.removed_duties:
        await unit.execute("DELETE FROM assignment WHERE id = ANY($1)", changes.removed_duties)


async def _update_contacts(unit: DirectoryUnit, changes: Changes, now: datetime) -> None:
    rows = [(contact_id, *facts.values(), now) for contact_id, facts in changes.facts]
    if rows:
        await unit.execute_many(_UPDATE_CONTACT, rows)


async def _insert_contacts(unit: DirectoryUnit, changes: Changes, now: datetime) -> None:
    if not changes.new:
        return
    ids = await unit.new_ids("contact", len(changes.new))
    rows = [(i, *facts.values(), now) for i, (_, facts) in zip(ids, changes.new, strict=True)]
    await unit.insert_rows("contact", _CONTACT_COLUMNS, rows)
    numbers = [
        (contact_id, rank, kind.value, address, None)
        for contact_id, (person, _) in zip(ids, changes.new, strict=True)
        for rank, (kind, address) in enumerate(person.numbers or (), start=1)
    ]
    await _insert(unit, "contact_number", _NUMBER_COLUMNS, numbers)
    duties = [(i, d) for i, (p, _) in zip(ids, changes.new, strict=True) for d in p.duties]
    await _insert(unit, "assignment", _DUTY_COLUMNS, map(_duty_row, duties))


async def _replace_numbers(unit: DirectoryUnit, changes: Changes, now: datetime) -> None:
    """A number that stays keeps what carriers said of it; one that was mended starts clean."""
    if not changes.numbers:
        return
    ids = [old.id for old, _ in changes.numbers]
    await unit.execute("DELETE FROM contact_number WHERE contact_id = ANY($1)", ids)
    rows = [
        (old.id, rank, kind.value, address, old.failed.get(address))
        for old, person in changes.numbers
        for rank, (kind, address) in enumerate(person.numbers or (), start=1)
    ]
    await _insert(unit, "contact_number", _NUMBER_COLUMNS, rows)


async def _write_duties(unit: DirectoryUnit, changes: Changes, now: datetime) -> None:
    await _insert(unit, "assignment", _DUTY_COLUMNS, map(_duty_row, changes.new_duties))
    if changes.duties:
        await unit.execute_many(_UPDATE_DUTY, changes.duties)


def _duty_row(owned: tuple[int, DutyDraft]) -> tuple[Any, ...]:
    contact_id, duty = owned
    return (
        contact_id, duty.region_code, duty.tier, duty.role, duty.hazards, duty.valid_from,
        duty.valid_to,
    )  # fmt: skip


async def _insert(
    unit: DirectoryUnit, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    """Insert rows that lack their ids."""
    wanted = list(rows)
    if wanted:
        ids = await unit.new_ids(table, len(wanted))
        await unit.insert_rows(
            table, columns, [(i, *row) for i, row in zip(ids, wanted, strict=True)]
        )

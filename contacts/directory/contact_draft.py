"""Contacts from a file: rows gathered into people, without a database.

One row is one duty; a person with several duties has several rows and is one contact. The key
(编号) says who is who; without one, name and first number do. Rows of one person must agree in what
decides whether he can be reached; a differing post or unit is only remarked on.

It decides nothing about what is stored: see `contact_import`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from contacts.directory.column import (
    CONTACT_COLUMNS,
    PHONE_COLUMNS,
    WEBHOOK_COLUMNS,
    Layout,
    example,
    is_known,
    lay_out,
)
from contacts.directory.contact_row import DutyDraft, PersonDraft, PersonReader, stands_alone
from contacts.directory.fault import FaultList, FileRefused, Visibility
from contacts.directory.grid import Sheet
from contacts.directory.report import Progress, tick
from contacts.directory.row import RowReader
from contacts.directory.sheet import read_sheet

DERIVED_KEY_PREFIX = "auto-"
"""Keys that we made, from name and first number; a real 编号 replaces them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactDraft:
    """What a file says, with what is wrong with it so far."""

    people: Sequence[PersonDraft]
    given: frozenset[str]
    """The columns that the file has."""
    headings: Mapping[str, str]
    rows_read: int
    faults: FaultList = field(default_factory=FaultList)
    warnings: FaultList = field(default_factory=FaultList)


def read_contacts(
    data: bytes,
    *,
    hazards: Mapping[str, str] | None = None,
    country: str = "CN",
    demo: bool = False,
    progress: Progress | None = None,
) -> ContactDraft:
    """Read a file of contacts. Never raises for anything in the file; the draft holds the faults.

    `hazards` maps words (`暴雨`, `rainstorm`; lower case) to codes; without it, codes are taken as
    they are. `country` is where numbers lie that have no country code. `demo` admits the invented
    numbers and plain http addresses, with a warning.
    """
    try:
        sheet = read_sheet(
            data,
            known=lambda heading: is_known(CONTACT_COLUMNS, heading),
            wanted=example(CONTACT_COLUMNS),
        )
    except FileRefused as refused:
        draft = ContactDraft(people=(), given=frozenset(), headings={}, rows_read=0)
        draft.faults.add(refused.code, row=refused.row, **refused.detail)
        return draft
    layout = lay_out(sheet, CONTACT_COLUMNS)
    _require_numbers(layout, sheet.faults)
    return ContactDraft(
        people=_people(
            sheet,
            layout,
            PersonReader(layout, sheet.warnings, hazards, country=country, demo=demo),
            progress,
        ),
        given=frozenset(layout.index),
        headings=layout.headings,
        rows_read=len(sheet.rows),
        faults=sheet.faults,
        warnings=sheet.warnings,
    )


def _people(
    sheet: Sheet, layout: Layout, person_reader: PersonReader, progress: Progress | None
) -> list[PersonDraft]:
    """People with a key first, so that rows without one can be recognised as theirs."""
    gather = _Gather(sheet.faults, sheet.warnings, layout.headings)
    without_key: list[tuple[RowReader, PersonDraft]] = []
    for done, row in enumerate(sheet.rows, start=1):
        reader = RowReader(row, layout, sheet.flaws, sheet.faults)
        person = person_reader.read(reader)
        if person.key:
            gather.put(reader, person)
        else:
            without_key.append((reader, person))
        tick(progress, done, len(sheet.rows))
    for reader, person in without_key:
        gather.put_without_key(reader, person)
    if person_reader.invented:
        sheet.warnings.add("invented_numbers", count=len(person_reader.invented))
    people = sorted(gather.people.values(), key=lambda person: person.row)
    _note_empty(people, sheet)
    _note_shared_numbers(people, sheet.warnings)
    return people


class _Gather:
    """People by key, and by name and first number."""

    def __init__(self, faults: FaultList, warnings: FaultList, headings: Mapping[str, str]) -> None:
        self.people: dict[str, PersonDraft] = {}
        self._by_identity: dict[tuple[str, str], PersonDraft] = {}
        self._duties: dict[tuple[str, str, int, str], int] = {}
        self._faults = faults
        self._warnings = warnings
        self._headings = headings

    def put(self, reader: RowReader, person: PersonDraft) -> None:
        """Add a row whose person has a key."""
        known = self.people.get(person.key)
        if known is None:
            self._put_new(reader, person)
        else:
            self._join(reader, known, person)
        if person.numbers:
            holder = self.people[person.key]
            self._by_identity.setdefault((person.name, person.numbers[0][1]), holder)

    def put_without_key(self, reader: RowReader, person: PersonDraft) -> None:
        """Add a row by name and first number; one without either stands alone."""
        if not person.name or not person.numbers:
            person.key = stands_alone(person.row)
            self._put_new(reader, person)
            return
        identity = (person.name, person.numbers[0][1])
        if (known := self._by_identity.get(identity)) is not None:
            person.key = known.key
            self._join(reader, known, person)
            return
        person.key = derived_key(*identity)
        self._by_identity[identity] = person
        self._put_new(reader, person)

    def _put_new(self, reader: RowReader, person: PersonDraft) -> None:
        self.people[person.key] = person
        self._note_duties(reader, person.key, person.duties)

    def _join(self, reader: RowReader, known: PersonDraft, more: PersonDraft) -> None:
        self._agree(reader, known, more)
        self._note_duties(reader, known.key, more.duties)
        known.duties.extend(more.duties)

    def _agree(self, reader: RowReader, known: PersonDraft, more: PersonDraft) -> None:
        for name in ("name", "language", "robot_ok", "kind"):
            old, new = getattr(known, name), getattr(more, name)
            if old is None or old == "":
                setattr(known, name, new)
            elif new is not None and new not in {"", old}:
                self._conflict(reader, known, "robot" if name == "robot_ok" else name)
        for name in ("unit", "post"):
            old, new = getattr(known, name), getattr(more, name)
            if old is None:
                setattr(known, name, new)
            elif new is not None and old != new:
                heading = self._headings.get(name, name)
                reader.warn(self._warnings, "first_kept", name, field=heading, other=known.row)
        self._agree_numbers(reader, known, more)

    def _agree_numbers(self, reader: RowReader, known: PersonDraft, more: PersonDraft) -> None:
        """A row may leave out the last numbers, or all; it may not have others."""
        if known.numbers is None or more.numbers is None:
            return
        shorter, longer = sorted((known.numbers, more.numbers), key=len)
        if longer[: len(shorter)] == shorter:
            known.numbers = longer
        else:
            self._conflict(reader, known, "phone1")

    def _conflict(self, reader: RowReader, known: PersonDraft, name: str) -> None:
        heading = self._headings.get(name, name)
        reader.refuse("contact_conflict", name, other=known.row, key=known.key, field=heading)

    def _note_duties(self, reader: RowReader, key: str, duties: Iterable[DutyDraft]) -> None:
        for duty in duties:
            place = (key, duty.region_code, duty.tier, duty.role)
            if (other := self._duties.setdefault(place, duty.row)) != duty.row:
                reader.refuse("duplicate_duty", "region_code", other=other)


def derived_key(name: str, address: str) -> str:
    """Return the key of somebody without a 编号: the same for the same name and first number."""
    digest = hashlib.sha256(f"{name}\0{address}".encode()).hexdigest()
    return DERIVED_KEY_PREFIX + digest[:20]


def _require_numbers(layout: Layout, faults: FaultList) -> None:
    if not any(layout.has(column.name) for column in (*PHONE_COLUMNS, *WEBHOOK_COLUMNS)):
        faults.add("missing_column", column="电话", column_zh="电话", column_en="phone1")


def _note_empty(people: Iterable[PersonDraft], sheet: Sheet) -> None:
    for person in people:
        if person.numbers == ():
            sheet.faults.add("no_number", row=person.row, value=person.name)
        if not person.duties and person.row not in sheet.faults.rows:
            sheet.warnings.add("no_duty", row=person.row, value=person.name)


def _note_shared_numbers(people: Iterable[PersonDraft], warnings: FaultList) -> None:
    holders: dict[str, PersonDraft] = {}
    for person in people:
        for _, address in person.numbers or ():
            holder = holders.setdefault(address, person)
            if holder is not person:
                warnings.add(
                    "shared_number",
                    row=person.row,
                    value=address,
                    show=Visibility.MASKED,
                    other=f"{holder.name}，{holder.row}",
                )

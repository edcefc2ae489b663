"""Regions and contacts back into files that can be imported again without changing anything.

The same rows go to CSV (UTF-8 with its mark, so that spreadsheet programs read it rightly) and to
XLSX (every column is text, so that nothing is rounded). What would run as a formula is quoted.
Numbers are written in full, because the file is a working list: whoever offers it for download
decides who may have it, and writes down that he did.

Phones are written before web addresses whatever their ranks; a contact that mixes the two
differently loses that order here.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from operator import attrgetter

import xlsxwriter

from contacts.assignment import Assignment
from contacts.contact import Contact, ContactKind, NumberKind
from contacts.directory.cell import quote
from contacts.directory.column import (
    CONTACT_COLUMNS,
    PHONE_COLUMNS,
    REGION_COLUMNS,
    WEBHOOK_COLUMNS,
    Column,
)
from contacts.directory.word import LEVEL_ZH
from contacts.phone import as_typed_in_china
from contacts.region import Region, RegionKind

PHONE_COLUMNS_MIN = 2
"""A list always offers room for a second number."""

Table = list[list[str]]
_ROBOT = {"zh": {True: "是", False: "否"}, "en": {True: "yes", False: "no"}}
_KIND = {
    "zh": {ContactKind.PERSON: "人员", ContactKind.ENDPOINT: "设备"},
    "en": {ContactKind.PERSON: "person", ContactKind.ENDPOINT: "endpoint"},
}
_REGION_KIND = {
    "zh": {RegionKind.GOV: "地方", RegionKind.CORPS: "兵团"},
    "en": {RegionKind.GOV: "gov", RegionKind.CORPS: "corps"},
}


def region_table(regions: Iterable[Region], *, language: str = "zh") -> Table:
    """Return headings and one row per region, in code order."""
    words = _headings(REGION_COLUMNS, language)
    kinds = _REGION_KIND[language]
    return [
        words,
        *(
            [
                region.code,
                region.parent_code or "",
                LEVEL_ZH[region.level] if language == "zh" else region.level.value,
                quote(region.name),
                kinds[region.kind],
                str(region.headcount),
                _day(region.valid_from),
                _day(region.valid_to),
            ]
            for region in sorted(regions, key=attrgetter("code"))
        ),
    ]


def contact_table(
    contacts: Mapping[int, Contact], assignments: Iterable[Assignment], *, language: str = "zh"
) -> Table:
    """Return headings and one row per duty; a contact without duties has one row."""
    duties: dict[int, list[Assignment]] = {}
    for assignment in assignments:
        if assignment.contact_id in contacts:
            duties.setdefault(assignment.contact_id, []).append(assignment)
    phones, webhooks = _widths(contacts.values())
    columns = [column for column in CONTACT_COLUMNS if column not in _unused(phones, webhooks)]
    table = [_headings(columns, language)]
    for contact in contacts.values():
        person = _person_cells(contact, phones, webhooks, language)
        held: list[Assignment | None] = [*sorted(duties.get(contact.id, ()), key=_place)]
        table.extend([*person, *_duty_cells(duty)] for duty in held or [None])
    return table


def as_csv(table: Table) -> bytes:
    """Return the table as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows(table)
    return text.getvalue().encode("utf-8-sig")


def as_xlsx(table: Table, *, sheet: str) -> bytes:
    """Return the table as a workbook of one sheet, all text, headings frozen."""
    packed = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(packed, options) as book:
        cells = book.add_worksheet(sheet)
        as_text = book.add_format({"num_format": "@"})
        cells.set_column(0, len(table[0]) - 1, 16, as_text)
        cells.freeze_panes(1, 0)
        bold = book.add_format({"bold": True, "num_format": "@"})
        for at, heading in enumerate(table[0]):
            cells.write_string(0, at, heading, bold)
        for number, row in enumerate(table[1:], start=1):
            for at, text in enumerate(row):
                if text:
                    cells.write_string(number, at, text, as_text)
    return packed.getvalue()


def _headings(columns: Iterable[Column], language: str) -> list[str]:
    return [column.zh[0] if language == "zh" else column.en[0] for column in columns]


def _widths(contacts: Iterable[Contact]) -> tuple[int, int]:
    """How many phone and webhook columns are needed."""
    phones, webhooks = PHONE_COLUMNS_MIN, 0
    for contact in contacts:
        web = sum(number.kind is NumberKind.WEBHOOK for number in contact.numbers)
        phones = max(phones, len(contact.numbers) - web)
        webhooks = max(webhooks, web)
    return min(phones, len(PHONE_COLUMNS)), min(webhooks, len(WEBHOOK_COLUMNS))


def _unused(phones: int, webhooks: int) -> frozenset[Column]:
    return frozenset((*PHONE_COLUMNS[phones:], *WEBHOOK_COLUMNS[webhooks:]))


def _person_cells(contact: Contact, phones: int, webhooks: int, language: str) -> list[str]:
    numbers = sorted(contact.numbers, key=attrgetter("rank"))
    web = [number.address for number in numbers if number.kind is NumberKind.WEBHOOK]
    typed = [
        quote(as_typed_in_china(number.address))
        for number in numbers
        if number.kind is not NumberKind.WEBHOOK
    ]
    return [
        contact.key,
        quote(contact.name),
        _KIND[language][contact.kind],
        quote(contact.unit),
        quote(contact.post),
        *_padded(typed, phones),
        *_padded(web, webhooks),
        contact.language,
        _ROBOT[language][contact.robot_ok],
    ]


def _duty_cells(duty: Assignment | None) -> list[str]:
    if duty is None:
        return [""] * 6
    return [
        duty.region_code,
        str(duty.tier),
        quote(duty.role),
        ",".join(sorted(duty.hazards)),
        _day(duty.valid_from),
        _day(duty.valid_to),
    ]


def _place(duty: Assignment) -> tuple[str, int, str]:
    return duty.region_code, duty.tier, duty.role


def _padded(texts: Sequence[str], width: int) -> list[str]:
    return [*texts[:width], *[""] * (width - len(texts))]


def _day(day: date | None) -> str:
    return day.isoformat() if day is not None else ""

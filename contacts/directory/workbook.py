"""XLSX workbooks, unpacked only after they were found to be safe.

A workbook is a zip of XML, and both can be bombs: 500 KB can unpack to gigabytes, and one cell at
the far corner makes a dense table of 17 billion. So the members are counted and measured first,
every XML part is walked once without building anything (a DOCTYPE is refused there), and only the
bytes that passed are repacked and handed to the reader; what the zip headers claim is never relied
on. Source of the limits: reliability.md §4.1.

It never follows links, runs formulas or reads anything but the first visible sheet.
"""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetVisibleEnum

from contacts.directory.fault import FaultList, FileRefused
from contacts.directory.grid import Sheet, table
from contacts.directory.part import PartFacts, scan_part, sheet_paths

UNPACKED_BYTES_MAX = 50 * 1024 * 1024
"""All members together; the largest list we measured (44,000 contacts) unpacks to 30 MB."""
RATIO_MAX = 100
"""Honest sheets shrink ten to thirty times; bombs a thousand."""
RATIO_FROM_BYTES = 100_000
"""Below this a high ratio is a small file full of blanks and harms nobody."""
MEMBERS_MAX = 200
"""A workbook with 60 sheets has about 80 members."""
WHOLE_FLOAT_MAX = 10**15
"""Whole numbers up to here are exact in a spreadsheet; beyond, digits are already lost."""


def read(data: bytes, *, known: Callable[[str], bool], wanted: str) -> Sheet:
    """Read the first visible sheet of a workbook. Raises FileRefused."""
    members = _unpack(data)
    facts = {name: scan_part(body) for name, body in members.items() if _is_xml(name)}
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(_repack(members))) as book:
            name, others = _choose(book)
            found = facts.get(sheet_paths(members).get(name, ""), PartFacts())
            cells = book.get_sheet_by_name(name)
            result = table(_records(cells), known=known, wanted=wanted)
    except CalamineError as broken:
        raise FileRefused("broken_workbook") from broken
    return _with_facts(result, found, cells, name, others)


def _unpack(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            _refuse_bombs(infos)
            members = {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as broken:
        raise FileRefused("broken_workbook") from broken
    except (RuntimeError, NotImplementedError) as locked:
        raise FileRefused("old_excel") from locked
    if not any(name.endswith("workbook.xml") for name in members):
        raise FileRefused("not_a_table")
    return members


def _refuse_bombs(infos: Sequence[zipfile.ZipInfo]) -> None:
    if len(infos) > MEMBERS_MAX:
        raise FileRefused("unsafe_workbook", what=f"> {MEMBERS_MAX} members")
    if len({info.filename for info in infos}) < len(infos):
        raise FileRefused("unsafe_workbook", what="a member twice")
    if sum(info.file_size for info in infos) > UNPACKED_BYTES_MAX:
        raise FileRefused("unsafe_workbook", what=f"> {UNPACKED_BYTES_MAX // 1024 // 1024} MB")
    for info in infos:
        shrunk = max(info.compress_size, 1)
        if info.file_size > max(RATIO_FROM_BYTES, RATIO_MAX * shrunk):
            raise FileRefused("unsafe_workbook", what=f"> {RATIO_MAX} : 1")


def _repack(members: Mapping[str, bytes]) -> bytes:
    """Return a zip of exactly the bytes that were checked."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return packed.getvalue()


def _is_xml(name: str) -> bool:
    return name.endswith((".xml", ".rels", ".vml"))


def _choose(book: CalamineWorkbook) -> tuple[str, list[str]]:
    shown = [meta.name for meta in book.sheets_metadata if meta.visible == SheetVisibleEnum.Visible]
    if not shown:
        raise FileRefused("empty_file")
    return shown[0], shown[1:]


def _records(cells: CalamineSheet) -> Iterator[tuple[int, list[str]]]:
    if cells.height == 0:
        raise FileRefused("empty_file")
    for number, row in enumerate(cells.iter_rows(), start=1):
        yield number, [_text(value) for value in row]


def _text(value: object) -> str:
    """Return a cell as a person reads it; numbers keep only the digits that are exact."""
    match value:
        case str():
            return value
        case bool():
            return "1" if value else "0"
        case float() if value.is_integer() and abs(value) < WHOLE_FLOAT_MAX:
            return str(int(value))
        case datetime() if value.time() == time.min:
            return value.date().isoformat()
        case date() | datetime():
            return value.isoformat()
        case _:
            return str(value)


def _with_facts(
    read: Sheet, facts: PartFacts, cells: CalamineSheet, name: str, others: list[str]
) -> Sheet:
    """Add what only the workbook's own XML says: formulas, merged cells, hidden rows."""
    numbers = {row.number for row in read.rows}
    _note_merged(read.faults, cells, numbers)
    warnings = FaultList()
    for row in sorted(facts.hidden_rows & numbers):
        warnings.add("hidden_row", row=row)
    if others:
        warnings.add("other_sheets", sheet=name, others="、".join(others))
    return Sheet(
        headings=read.headings,
        rows=read.rows,
        flaws=_flaws(facts, (cells.start or (0, 0))[1]),
        faults=read.faults,
        warnings=warnings,
    )


def _flaws(facts: PartFacts, left: int) -> dict[tuple[int, int], str]:
    """The reader leaves out the empty columns at the left, so positions move by them."""
    found = {(row, column - left): "formula_cell" for row, column in facts.formulas}
    return found | {(row, column - left): "error_cell" for row, column in facts.errors}


def _note_merged(faults: FaultList, cells: CalamineSheet, numbers: set[int]) -> None:
    """Merged titles above the headings are harmless; merged data hides values."""
    for (top, left), (bottom, right) in cells.merged_cell_ranges or ():
        first = next((row for row in range(top + 1, bottom + 2) if row in numbers), None)
        if first is not None:
            corner = f"{_letters(left)}{top + 1}:{_letters(right)}{bottom + 1}"
            faults.add("merged_cells", row=first, cells=corner)


def _letters(column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters

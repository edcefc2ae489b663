"""A file as one uniform table: headings, and rows numbered as the file numbers them.

Where the headings stand and which rows are blank or ragged is found here, the same for CSV and
XLSX. What a cell means is not decided here (see `cell` and `row`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contacts.directory.fault import FaultList, FileRefused

ROWS_MAX = 200_000
"""Twice all responsible people of Xinjiang."""
COLUMNS_MAX = 60
"""Three times the columns we know."""
HEADER_ROWS_MAX = 10
"""Lists begin with a title, a date and a unit; the headings stand within the first ten rows."""
HEADINGS_KNOWN_MIN = 2
"""One known word may stand in a title; two make a heading row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
    """One row that is not blank. `number` is the row as a spreadsheet program shows it, from 1."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table as it stands in the file, cells untouched."""

    headings: tuple[str, ...]
    rows: tuple[SheetRow, ...]
    flaws: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """(row number, column index) → code, for workbook cells that are formulas or errors."""
    faults: FaultList = field(default_factory=FaultList)
    warnings: FaultList = field(default_factory=FaultList)


def table(
    records: Iterable[tuple[int, Sequence[str]]], *, known: Callable[[str], bool], wanted: str
) -> Sheet:
    """Find the headings among numbered records and return the table below them."""
    numbered = iter(records)
    headings = _find_headings(numbered, known, wanted)
    faults = FaultList()
    rows = tuple(_body(numbered, headings, faults))
    if not rows and not faults:
        raise FileRefused("no_rows")
    return Sheet(headings=headings, rows=rows, faults=faults)


def _find_headings(
    records: Iterator[tuple[int, Sequence[str]]], known: Callable[[str], bool], wanted: str
) -> tuple[str, ...]:
    for _, cells in zip(range(HEADER_ROWS_MAX), records, strict=False):
        _, texts = cells
        if sum(known(text) for text in texts) >= HEADINGS_KNOWN_MIN:
            return _without_blank_end(texts)
    raise FileRefused("no_header", rows=HEADER_ROWS_MAX, wanted=wanted)


def _without_blank_end(cells: Sequence[str]) -> tuple[str, ...]:
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    if end > COLUMNS_MAX:
        raise FileRefused("too_many_columns", limit=COLUMNS_MAX)
    return tuple(cells[:end])


def _body(
    records: Iterator[tuple[int, Sequence[str]]], headings: tuple[str, ...], faults: FaultList
) -> Iterator[SheetRow]:
    width = len(headings)
    for count, (number, cells) in enumerate(records, start=1):
        if count > ROWS_MAX:
            raise FileRefused("too_many_rows", limit=ROWS_MAX)
        if not any(cells) or not any(map(str.strip, cells)):
            continue
        if len(cells) < width or any(cell.strip() for cell in cells[width:]):
            faults.add("ragged_row", row=number, cells=len(cells), headings=width)
            continue
        yield SheetRow(number=number, cells=tuple(cells[:width]))

"""One XML part of a workbook, walked once before anything is built from it.

The walk refuses a DOCTYPE (entities are how a small XML becomes a large one) and cells that lie
beyond our limits, and notes what the reader doesn't tell: formulas, hidden rows, and which part
holds which sheet. It builds no tree of an unchecked part and resolves nothing outside it.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from contacts.directory.fault import FileRefused
from contacts.directory.grid import COLUMNS_MAX, HEADER_ROWS_MAX, ROWS_MAX

CELLS_MAX = 5_000_000
"""The reader makes a dense table between the outermost cells: 25 columns of 200,000 rows."""
FLAWS_NOTED_MAX = 100_000
"""Half a column of formulas; a sheet with more is refused by its first ones anyway."""


@dataclass(slots=True, kw_only=True)
class PartFacts:
    """What was seen in a part."""

    hidden_rows: set[int] = field(default_factory=set)
    formulas: set[tuple[int, int]] = field(default_factory=set)
    errors: set[tuple[int, int]] = field(default_factory=set)
    sheets: dict[str, str] = field(default_factory=dict)
    """Sheet name → relation id (workbook part)."""
    targets: dict[str, str] = field(default_factory=dict)
    """Relation id → target (relations part)."""


class _Walk:
    """The handlers of one walk."""

    def __init__(self) -> None:
        self.facts = PartFacts()
        self._row = 0
        self._column = -1
        self._rows = (ROWS_MAX + 1, 0)
        self._columns = (CELLS_MAX, 0)

    def doctype(self, *_: object) -> None:
        raise FileRefused("unsafe_workbook", what="DOCTYPE")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        match name.rpartition(":")[2]:
            case "c":
                self._cell(attributes)
            case "row":
                self._begin_row(attributes)
            case "v" | "is":
                self._note_value()
            case "f" if len(self.facts.formulas) < FLAWS_NOTED_MAX:
                self.facts.formulas.add((self._row, self._column))
            case "sheet":
                self._sheet(attributes)
            case "Relationship":
                self.facts.targets[attributes.get("Id", "")] = attributes.get("Target", "")

    def _begin_row(self, attributes: dict[str, str]) -> None:
        given = attributes.get("r", "")
        self._row = int(given) if given.isdecimal() and len(given) < 9 else self._row + 1
        self._column = -1
        if attributes.get("hidden") in {"1", "true"} and self._row <= ROWS_MAX:
            self.facts.hidden_rows.add(self._row)

    def _cell(self, attributes: dict[str, str]) -> None:
        if found := re.fullmatch(r"\$?([A-Za-z]{1,3})\$?(\d{1,8})", attributes.get("r", "")):
            self._row, self._column = int(found.group(2)), _column_index(found.group(1))
        else:
            self._column += 1
        if attributes.get("t") == "e" and len(self.facts.errors) < FLAWS_NOTED_MAX:
            self.facts.errors.add((self._row, self._column))

    def _note_value(self) -> None:
        """Only cells with a value count: formats may reach to the end of the sheet."""
        if self._row > ROWS_MAX + HEADER_ROWS_MAX:
            raise FileRefused("too_many_rows", limit=ROWS_MAX)
        top, bottom = min(self._rows[0], self._row), max(self._rows[1], self._row)
        left, right = min(self._columns[0], self._column), max(self._columns[1], self._column)
        if (bottom - top + 1) * (right - left + 1) > CELLS_MAX:
            raise FileRefused("too_many_columns", limit=COLUMNS_MAX)
        self._rows, self._columns = (top, bottom), (left, right)

    def _sheet(self, attributes: dict[str, str]) -> None:
        relation = next((v for k, v in attributes.items() if k.rpartition(":")[2] == "id"), "")
        self.facts.sheets[attributes.get("name", "")] = relation


def scan_part(body: bytes) -> PartFacts:
    """Walk one XML part. Raises FileRefused."""
    walk = _Walk()
    parser = expat.ParserCreate("utf-8")  # Whatever it declares: the reader assumes it as well.
    parser.StartDoctypeDeclHandler = walk.doctype
    parser.StartElementHandler = walk.start
    try:
        parser.Parse(body, True)
    except expat.ExpatError as broken:
        raise FileRefused("broken_workbook") from broken
    return walk.facts


def sheet_paths(members: Mapping[str, bytes]) -> dict[str, str]:
    """Return sheet name → member name, as the (already walked) relations of the workbook say."""
    book = next((name for name in members if name.endswith("workbook.xml")), "")
    folder, leaf = posixpath.split(book)
    relations = members.get(f"{folder}/_rels/{leaf}.rels".lstrip("/"))
    if relations is None:
        return {}
    targets = scan_part(relations).targets
    return {
        sheet: posixpath.normpath(posixpath.join("/", folder, targets[relation])).lstrip("/")
        for sheet, relation in scan_part(members[book]).sheets.items()
        if relation in targets
    }


def _column_index(letters: str) -> int:
    index = 0
    for letter in letters.upper():
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1

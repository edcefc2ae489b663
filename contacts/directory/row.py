"""One row being read: asked for its cells by name, it notes what is wrong and goes on.

Going on matters: an officer who mends a list wants all its faults at once, not one a day. A cell
that was refused reads as None or as blank, and the row is known to be at fault.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeVar

from contacts.directory.cell import clean
from contacts.directory.column import Layout
from contacts.directory.fault import CellRefused, FaultList, Visibility
from contacts.directory.grid import SheetRow
from contacts.directory.word import as_date, one_of

Value = TypeVar("Value")


class RowReader:
    """The cells of one row by our names, cleaned; faults go to the list that was given."""

    def __init__(
        self,
        row: SheetRow,
        layout: Layout,
        flaws: Mapping[tuple[int, int], str],
        faults: FaultList,
    ) -> None:
        self.number = row.number
        self._row = row
        self._layout = layout
        self._faults = faults
        self._texts = {
            name: self._clean(name, at, flaws.get((row.number, at)) if flaws else None)
            for name, at in layout.index.items()
        }

    def text(self, name: str, *, limit: int, required: bool = False) -> str:
        """Return the text of a cell, "" when blank, refused or absent."""
        text = self._texts.get(name, "")
        if text is None:
            return ""
        if not text and required and name in self._layout.index:
            self.refuse("missing_value", name)
        if len(text) > limit:
            self.refuse("text_too_long", name, limit=limit, chars=len(text))
            return ""
        return text

    def parse(self, name: str, parser: Callable[[str], Value]) -> Value | None:
        """Return what `parser` makes of a cell; None when blank, refused or absent."""
        text = self._texts.get(name)
        if not text:
            return None
        try:
            return parser(text)
        except CellRefused as refused:
            self.refuse(refused.code, name, **refused.detail)
            return None

    def word(self, name: str, words: Mapping[str, Value], default: Value) -> Value:
        """Return the value that the cell's word stands for."""
        value = self.parse(name, lambda text: one_of(text, words))
        return default if value is None else value

    def dates(self) -> tuple[date | None, date | None]:
        """Return the first and last day of validity."""
        first, last = self.parse("valid_from", as_date), self.parse("valid_to", as_date)
        if first is not None and last is not None and last < first:
            self.refuse("dates_reversed", "valid_to")
        return first, last

    def is_blank(self, name: str) -> bool:
        """Return whether nothing stands in the cell; a refused one is not blank."""
        return self._texts.get(name, "") == ""

    def refuse(self, code: str, name: str = "", **detail: Any) -> None:
        """Note a fault about one of our columns, or about the row."""
        self._note(self._faults, code, name, detail)

    def warn(self, warnings: FaultList, code: str, name: str = "", **detail: Any) -> None:
        """Note something that doesn't stop the import."""
        self._note(warnings, code, name, detail)

    def _note(self, notes: FaultList, code: str, name: str, detail: dict[str, Any]) -> None:
        at = self._layout.index.get(name)
        notes.add(
            code,
            row=self.number,
            column=self._layout.headings.get(name, ""),
            value="" if at is None else self._row.cells[at],
            show=Visibility.MASKED if at in self._layout.phones else Visibility.OPEN,
            **detail,
        )

    def _clean(self, name: str, at: int, flaw: str | None) -> str | None:
        """Return the clean text, or None after noting why there is none."""
        if flaw is not None:
            self.refuse(flaw, name)
            return None
        try:
            return clean(self._row.cells[at], is_phone=at in self._layout.phones)
        except CellRefused as refused:
            self.refuse(refused.code, name, **refused.detail)
            return None

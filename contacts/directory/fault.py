"""What is wrong with a file, row by row, in words that say what to do about it.

A fault stops the whole import; a warning does not. Both are the same value, kept in two lists. The
person who mends the file has it open, so a fault names the row as the file numbers it and the
heading as the file spells it; telephone numbers are shown masked, because reports get forwarded.
It decides nothing: readers and importers find the faults and put them here.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from contacts.directory.sentence import SENTENCES

FAULTS_LISTED_MAX = 500
"""A longer list is not read; the rest is counted ("and n more")."""
EXCERPT_CHARS_MAX = 40
"""Enough to recognise the cell; a 10 MB cell must not travel in a report."""
WHOLE_FILE = 0
"""The row number of a fault that is about the file itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong. `row` counts as the file does, from 1; 0 is the whole file."""

    row: int
    column: str
    """The heading as the file spells it; empty when the fault is about a row or the file."""
    code: str
    """A key of `contacts.directory.sentence.SENTENCES`; stable, for programs."""
    value_excerpt: str
    zh: str
    en: str


class Visibility(StrEnum):
    """How much of a cell's value a report may show."""

    OPEN = "open"
    """As it stands, shortened."""
    MASKED = "masked"
    """Long runs of digits are masked: the cell holds a telephone number."""


class FaultList:
    """Faults as they are found: the first 500 kept, all counted."""

    def __init__(self) -> None:
        self._kept: list[Fault] = []
        self.count = 0
        self.rows: set[int] = set()
        """Every row with a fault, also those past the 500."""

    def __bool__(self) -> bool:
        return self.count > 0

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.listed())

    def listed(self) -> tuple[Fault, ...]:
        """The kept faults in the order of the file."""
        return tuple(sorted(self._kept, key=lambda fault: fault.row))

    def add(
        self,
        code: str,
        *,
        row: int = WHOLE_FILE,
        column: str = "",
        value: str = "",
        show: Visibility = Visibility.OPEN,
        **detail: Any,
    ) -> None:
        """Note one fault. `detail` fills the sentence's gaps."""
        self.count += 1
        self.rows.add(row)
        if len(self._kept) < FAULTS_LISTED_MAX:
            self._kept.append(_fault(code, row, column, excerpt(value, show), detail))

    def copy(self) -> "FaultList":
        """Return a list that can grow without changing this one: a draft is imported twice."""
        twin = FaultList()
        twin._kept = list(self._kept)
        twin.count = self.count
        twin.rows = set(self.rows)
        return twin


class FileRefused(Exception):
    """The file can't be read as a table at all; `code` and `detail` make the one fault."""

    def __init__(self, code: str, *, row: int = WHOLE_FILE, **detail: Any) -> None:
        super().__init__(code)
        self.code = code
        self.row = row
        self.detail = detail


class CellRefused(Exception):
    """One cell holds something that can't be imported; `code` and `detail` make the fault."""

    def __init__(self, code: str, **detail: Any) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def excerpt(value: str, show: Visibility = Visibility.OPEN) -> str:
    """Return the start of a value, with what can't be seen spelled out and numbers masked."""
    shown = "".join(_visible(char) for char in value[:EXCERPT_CHARS_MAX])
    if show is Visibility.MASKED:
        shown = re.sub(r"\d[\d \-]{5,}\d", _masked, shown)
    return shown + "…" if len(value) > EXCERPT_CHARS_MAX else shown


def _fault(code: str, row: int, column: str, value: str, detail: dict[str, Any]) -> Fault:
    zh, en = SENTENCES[code]
    return Fault(
        row=row,
        column=column,
        code=code,
        value_excerpt=value,
        zh=zh.format(**detail),
        en=en.format(**detail),
    )


def _visible(char: str) -> str:
    if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}:
        return f"\\u{ord(char):04x}"
    return char


def _masked(run: re.Match[str]) -> str:
    digits = run.group()
    return f"{digits[:3]}****{digits[-4:]}" if len(digits) > 8 else f"{digits[:2]}****"

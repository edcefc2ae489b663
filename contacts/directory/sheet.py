"""Reads a CSV or XLSX file that somebody sent, whatever its name says it is.

Nothing about a file is trusted: size, kind, encoding, shape and what a workbook would unpack to are
checked before a cell is read. Nothing is ever written or fetched.
"""

from collections.abc import Callable

from contacts.directory import csv_text, workbook
from contacts.directory.fault import FileRefused
from contacts.directory.grid import Sheet, table

FILE_BYTES_MAX = 20 * 1024 * 1024
"""200,000 rows of ten short columns; a larger file is a wrong file."""

_FOREIGN_FILES = (
    (b"%PDF", "not_a_table"),
    (b"<", "not_a_table"),
    (b"{", "not_a_table"),
    (b"\xd0\xcf\x11\xe0", "old_excel"),
)


def read_sheet(data: bytes, *, known: Callable[[str], bool], wanted: str) -> Sheet:
    """Read a file. `known` says whether a heading means something; `wanted` names examples.

    Raises FileRefused.
    """
    if len(data) > FILE_BYTES_MAX:
        raise FileRefused("file_too_big", limit=FILE_BYTES_MAX // 1024 // 1024)
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        raise FileRefused("empty_file")
    for magic, code in _FOREIGN_FILES:
        if data.startswith(magic):
            raise FileRefused(code)
    if data.startswith(b"PK"):
        return workbook.read(data, known=known, wanted=wanted)
    return table(csv_text.records(data), known=known, wanted=wanted)

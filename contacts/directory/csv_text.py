"""CSV files: the encoding found out, the separators found out, the records numbered.

Files come from hundreds of offices. UTF-8 (with or without its mark), UTF-16 with its mark and
GB18030 are read; anything else is refused, because half-read names would be called by nobody.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator

from contacts.directory.fault import FileRefused
from contacts.directory.grid import COLUMNS_MAX, HEADER_ROWS_MAX

CELL_BYTES_MAX = 20 * 1024 * 1024
"""As large as a whole file: a long cell is then refused by name, not by the parser."""
STRANGE_CHARS_MAX = 0.1
"""Text read with the wrong Chinese encoding is rare characters throughout; names have a few."""


def records(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield records, numbered as a spreadsheet program will number them. Raises FileRefused."""
    csv.field_size_limit(CELL_BYTES_MAX)
    text = _decode(data)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(_narrow(lines), delimiter=_delimiter(text), strict=True)
    number = 0
    try:
        for cells in reader:
            number += 1
            yield number, cells
    except csv.Error as broken:
        raise FileRefused("broken_quotes", row=number + 1) from broken


def _narrow(lines: Iterable[str]) -> Iterator[str]:
    """Refuse a line of a million separators before it becomes a list of a million cells."""
    for line in lines:
        if len(line) > COLUMNS_MAX and max(map(line.count, ",;\t")) > 100 * COLUMNS_MAX:
            raise FileRefused("too_many_columns", limit=COLUMNS_MAX)
        yield line


def _delimiter(text: str) -> str:
    head = "".join(text[:4_000].splitlines(keepends=True)[:HEADER_ROWS_MAX])
    return max(",\t;", key=head.count)


_RARE = re.compile(
    "[^\x00-\x7f\u00a0-\u00ff\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff"
    "\u0400-\u04ff\u1800-\u18af\u200b-\u200f\u2018-\u201d\u3000-\u303f\uff00-\uffef]"
)
"""What is neither ASCII nor a script that is typed here (Arabic, Cyrillic, Mongolian, marks)."""


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _strictly(data, "utf-16")
    if data.startswith(b"\xef\xbb\xbf"):
        return _strictly(data, "utf-8-sig")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _gb18030(data)


def _strictly(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as wrong:
        raise FileRefused("wrong_encoding") from wrong


def _gb18030(data: bytes) -> str:
    """GB18030 can read nearly any bytes, so what comes out must look like what people write."""
    text = _strictly(data, "gb18030")
    rare = _RARE.findall(text)
    strange = sum(not _is_common_chinese(char) for char in rare)
    if strange > STRANGE_CHARS_MAX * len(rare):
        raise FileRefused("wrong_encoding")
    return text


def _is_common_chinese(char: str) -> bool:
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return unicodedata.category(char) != "Co"

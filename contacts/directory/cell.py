"""One cell of text: cleaned of what means nothing, refused for what could mislead.

A cell is data, never a formula, and what an officer sees must be what is stored: so control
characters, direction overrides and formula openers are refused rather than repaired. It knows
nothing of columns beyond whether a telephone number is expected.
"""

import re
import unicodedata

from contacts.directory.fault import CellRefused

CELL_CHARS_MAX = 2_000
"""A web address is the longest thing a cell may hold."""
FORMULA_OPENERS = "=+-@\t\r"
"""Spreadsheet programs run cells that begin with these. Source: OWASP ASVS 5.0 V1.2.10."""

_OPENERS = FORMULA_OPENERS + "＝＋－＠"
"""With their full-width forms, which Chinese spreadsheet programs take for the same."""
_BLANK_WORDS = frozenset({"-", "--", "—", "——", "－", "/", "无"})
"""What lists write where nothing stands."""
_SUSPECT = re.compile(
    "[\x00-\x1f\x7f-\xa0\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffd]"
    "|^\\s*[=+\\-@＝＋－＠']|锟斤拷"
)
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u2061-\u2065\u206a-\u206f]")
_PLAIN_NUMBER = re.compile(r"[+\-]?\d+(\.\d+)?")
_PHONE = re.compile(r"[+＋][\d０-９ \-()（）\u200e\u202a-\u202c\u2066-\u2069]+")


def clean(raw: str, *, is_phone: bool = False) -> str:
    """Return the cell's text, or "" for a blank. Raises CellRefused."""
    if len(raw) > CELL_CHARS_MAX:
        raise CellRefused("cell_too_long", chars=len(raw), limit=CELL_CHARS_MAX)
    if not _SUSPECT.search(raw):
        text = raw.strip() if raw.isascii() else unicodedata.normalize("NFC", raw).strip()
        return "" if text in _BLANK_WORDS else text
    return _clean_suspect(raw, is_phone=is_phone)


def _clean_suspect(raw: str, *, is_phone: bool) -> str:
    if raw.strip() in _BLANK_WORDS:
        return ""
    quoted = raw.lstrip()
    if escaped := quoted[:1] == "'" and _needs_quote(quoted[1:]):
        raw = quoted[1:]
    text = _INVISIBLE.sub("", raw).replace("\xa0", " ")
    if not escaped:
        _refuse_formula(text, is_phone=is_phone)
    if "\ufffd" in text or "锟斤拷" in text:
        raise CellRefused("garbled")
    text = unicodedata.normalize("NFC", text.strip())
    if not is_phone and (found := _BIDI.search(text)):
        raise CellRefused("bidi_control", char=_name(found.group()))
    if found := _CONTROL.search(text):
        raise CellRefused("control_character", char=_name(found.group()))
    return text


def quote(text: str) -> str:
    """Return the text as it may stand in a file: what would run or vanish gets a single quote."""
    return f"'{text}" if _needs_quote(text) else text


def _needs_quote(text: str) -> bool:
    """`'=x` is how spreadsheets write the text `=x`; `''=x` is then the text `'=x`."""
    inner = text.lstrip("'")
    return inner[:1] != "" and (inner[0] in _OPENERS or inner in _BLANK_WORDS)


def _refuse_formula(text: str, *, is_phone: bool) -> None:
    if text[:1] in {"\t", "\r"} and text.strip():
        raise CellRefused("formula", char="TAB" if text[0] == "\t" else "CR")
    text = text.strip()
    if text[:1] == "" or text[0] not in _OPENERS:
        return
    if _PLAIN_NUMBER.fullmatch(text) or (is_phone and _PHONE.fullmatch(text)):
        return
    raise CellRefused("formula", char=text[0])


def _name(char: str) -> str:
    return f"U+{ord(char):04X}"

"""One row of a contact list, read into one person with at most one duty.

It knows the columns and what may stand in them; who is the same person as whom is found out in
`contact_draft`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from contacts.contact import ContactKind, NumberKind
from contacts.directory.column import PHONE_COLUMNS, WEBHOOK_COLUMNS, Layout
from contacts.directory.fault import CellRefused, FaultList
from contacts.directory.region_import import as_code
from contacts.directory.row import RowReader
from contacts.directory.web_address import web_address
from contacts.directory.word import (
    CONTACT_KIND_WORDS,
    FLAG_WORDS,
    LANGUAGE_WORDS,
    as_whole,
    one_of,
)
from contacts.phone import PhoneError, is_invented, to_e164

KEY_CHARS_MAX = 64
NAME_CHARS_MAX = 80
UNIT_CHARS_MAX = 120
POST_CHARS_MAX = 80
ROLE_CHARS_MAX = 80
"""These five are the widths of the table's columns."""
TIER_MAX = 9
"""As the table has it; packs open four tiers at most."""

_KEY = re.compile(r"[\w.\-]+")
_HAZARD_CODE = re.compile(r"[0-9A-Z]{4,16}")
_NATIONAL_CODE = re.compile(r"\d\d[0-9A-Z]\d\d")
"""Two numberings are in use, so a code of this shape is taken even if no table has it."""
_ALL_HAZARDS = frozenset({"全部", "所有", "all", "*"})
_CHINESE_GAP = re.compile(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])")

Address = tuple[NumberKind, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyDraft:
    """One duty of one row."""

    row: int
    region_code: str
    tier: int
    role: str
    hazards: str
    """Codes in order, with commas; empty means all."""
    valid_from: date | None
    valid_to: date | None


@dataclass(slots=True, kw_only=True)
class PersonDraft:
    """One contact as the file describes it; None is what no row of his says."""

    row: int
    key: str
    name: str
    unit: str | None
    post: str | None
    kind: ContactKind | None
    language: str | None
    robot_ok: bool | None
    numbers: tuple[Address, ...] | None
    """By rank; None when a cell was refused, so that nothing can be said about them."""
    duties: list[DutyDraft] = field(default_factory=list)


class PersonReader:
    """Reads rows of one file."""

    def __init__(
        self,
        layout: Layout,
        warnings: FaultList,
        hazards: Mapping[str, str] | None,
        *,
        country: str,
        demo: bool,
    ) -> None:
        self._layout = layout
        self._warnings = warnings
        self._hazards = hazards
        self._country = country
        self._demo = demo
        self.invented: set[str] = set()
        """The numbers of the demo that were read."""
        self._number_columns = [
            column for column in (*PHONE_COLUMNS, *WEBHOOK_COLUMNS) if layout.has(column.name)
        ]

    def read(self, reader: RowReader) -> PersonDraft:
        """Read one row; its faults go where the reader puts them."""
        name = reader.text("name", limit=NAME_CHARS_MAX, required=True)
        duty = self._duty(reader)
        return PersonDraft(
            row=reader.number,
            key=reader.parse("key", _as_key) or self._without_key(reader),
            name=_CHINESE_GAP.sub("", name),
            unit=reader.text("unit", limit=UNIT_CHARS_MAX) or None,
            post=reader.text("post", limit=POST_CHARS_MAX) or None,
            kind=reader.parse("kind", lambda text: one_of(text, CONTACT_KIND_WORDS)),
            language=reader.parse("language", lambda text: one_of(text, LANGUAGE_WORDS)),
            robot_ok=reader.parse("robot", lambda text: one_of(text, FLAG_WORDS)),
            numbers=self._numbers(reader),
            duties=[duty] if duty is not None else [],
        )

    def _without_key(self, reader: RowReader) -> str:
        """Nobody can be recognised by a key that was refused, nor by anything else then."""
        return "" if reader.is_blank("key") else stands_alone(reader.number)

    def _numbers(self, reader: RowReader) -> tuple[Address, ...] | None:
        found: dict[Address, str] = {}
        whole = True
        for column in self._number_columns:
            if reader.is_blank(column.name):
                continue
            parser = self._as_phone if column.is_phone else self._as_webhook
            number = reader.parse(column.name, parser)
            if number is None:
                whole = False
            elif number in found:
                reader.warn(self._warnings, "repeated_number", column.name)
            else:
                found[number] = column.name
        self.invented |= {address for _, address in found if is_invented(address)}
        return tuple(found) if whole else None

    def _as_phone(self, text: str) -> Address:
        try:
            phone = to_e164(text, self._country, allow_invented=self._demo)
        except PhoneError as refused:
            raise CellRefused(f"phone_{refused.reason}") from refused
        return phone.kind, phone.address

    def _as_webhook(self, text: str) -> Address:
        try:
            return NumberKind.WEBHOOK, web_address(text, http_too=self._demo)
        except ValueError as broken:
            raise CellRefused("bad_webhook") from broken

    def _duty(self, reader: RowReader) -> DutyDraft | None:
        code = reader.parse("region_code", as_code)
        tier = reader.parse("tier", _as_tier)
        role = reader.text("role", limit=ROLE_CHARS_MAX)
        hazards = reader.parse("hazards", self._as_hazards)
        first, last = reader.dates()
        blank = reader.is_blank("region_code"), reader.is_blank("tier")
        if blank[0] != blank[1] and self._layout.has("region_code") and self._layout.has("tier"):
            reader.refuse("half_a_duty", "region_code" if blank[0] else "tier")
        if code is None or tier is None:
            return None
        return DutyDraft(
            row=reader.number,
            region_code=code,
            tier=tier,
            role=role,
            hazards=hazards or "",
            valid_from=first,
            valid_to=last,
        )

    def _as_hazards(self, text: str) -> str:
        if text.casefold() in _ALL_HAZARDS:
            return ""
        words = [word for word in re.split(r"[,，、;；\s]+", text) if word]
        return ",".join(sorted({self._as_hazard(word) for word in words}))

    def _as_hazard(self, word: str) -> str:
        if self._hazards is None and _HAZARD_CODE.fullmatch(word.upper()):
            return word.upper()
        code = (self._hazards or {}).get(word.casefold())
        if code is None and _NATIONAL_CODE.fullmatch(word.upper()):
            return word.upper()
        if code is None:
            raise CellRefused("unknown_hazard", word=word[:20])
        return code


def stands_alone(row: int) -> str:
    """Return a stand-in key for a row of which nobody can say whose it is."""
    return f"row {row}"


def _as_key(text: str) -> str:
    if len(text) > KEY_CHARS_MAX or not _KEY.fullmatch(text):
        raise CellRefused("bad_key", limit=KEY_CHARS_MAX)
    return text


def _as_tier(text: str) -> int:
    return as_whole(text, lowest=1, highest=TIER_MAX, code="bad_tier")

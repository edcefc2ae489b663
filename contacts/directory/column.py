"""The columns that the two kinds of files may have, and the words that head them.

Headings are recognised in Chinese and English, whatever their case, spaces, stars and brackets.
A column that a file does not have changes nothing at import; an empty cell of a column that it has
means "nothing" or the default.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from contacts.directory.fault import FaultList
from contacts.directory.grid import Sheet

PHONES_MAX = 9
"""Ranks of telephone numbers; lists of five occur, nine would be a switchboard."""
WEBHOOKS_MAX = 3
"""An endpoint and its two stand-ins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: our name, and what may stand above it; the first word is what we write."""

    name: str
    zh: tuple[str, ...]
    en: tuple[str, ...]
    required: bool = False
    is_phone: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """Everything that is recognised as its heading."""
        return (*self.zh, *self.en)


REGION_COLUMNS = (
    Column(name="code", zh=("区划代码", "代码"), en=("code", "region_code"), required=True),
    Column(name="parent_code", zh=("上级代码", "上级区划代码"), en=("parent_code",), required=True),
    Column(name="level", zh=("级别", "层次"), en=("level",), required=True),
    Column(name="name", zh=("名称", "区划名称"), en=("name",), required=True),
    Column(name="kind", zh=("类型", "隶属"), en=("kind",)),
    Column(name="headcount", zh=("人口", "人数", "受威胁人数"), en=("headcount", "people")),
    Column(name="valid_from", zh=("生效日期",), en=("valid_from",)),
    Column(name="valid_to", zh=("失效日期",), en=("valid_to",)),
)


def _numbered(
    name: str, zh: tuple[str, ...], en: tuple[str, ...], count: int, *, is_phone: bool
) -> tuple[Column, ...]:
    """Rank 1 is written without its number in Chinese lists, the others with it."""
    first = Column(
        name=f"{name}1",
        zh=(*zh, *(f"{word}1" for word in zh)),
        en=(f"{name}1", *en, *(f"{word}1" for word in en if word != name)),
        is_phone=is_phone,
    )
    rest = (
        Column(
            name=f"{name}{rank}",
            zh=tuple(f"{word}{rank}" for word in zh),
            en=tuple(dict.fromkeys(f"{word}{rank}" for word in (name, *en))),
            is_phone=is_phone,
        )
        for rank in range(2, count + 1)
    )
    return (first, *rest)


PHONE_COLUMNS = _numbered(
    "phone",
    ("电话", "联系电话", "手机", "手机号码"),
    ("phone", "mobile"),
    PHONES_MAX,
    is_phone=True,
)
WEBHOOK_COLUMNS = _numbered(
    "webhook", ("回调地址",), ("webhook", "url"), WEBHOOKS_MAX, is_phone=False
)
CONTACT_COLUMNS = (
    Column(name="key", zh=("编号", "人员编号"), en=("key",)),
    Column(name="name", zh=("姓名", "联系人"), en=("name",), required=True),
    Column(name="kind", zh=("类型",), en=("kind",)),
    Column(name="unit", zh=("单位", "所在单位"), en=("unit",)),
    Column(name="post", zh=("职务", "职位"), en=("post",)),
    *PHONE_COLUMNS,
    *WEBHOOK_COLUMNS,
    Column(name="language", zh=("语言", "语种"), en=("language", "lang")),
    Column(name="robot", zh=("允许机器呼叫", "机器呼叫"), en=("robot", "robot_ok")),
    Column(name="region_code", zh=("区划代码", "责任区域代码"), en=("region_code",), required=True),
    Column(name="tier", zh=("层级", "叫应层级"), en=("tier",), required=True),
    Column(name="role", zh=("角色", "责任"), en=("role",)),
    Column(name="hazards", zh=("灾种",), en=("hazards", "hazard")),
    Column(name="valid_from", zh=("生效日期",), en=("valid_from",)),
    Column(name="valid_to", zh=("失效日期",), en=("valid_to",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where each of our columns stands in one file."""

    index: Mapping[str, int]
    headings: Mapping[str, str]
    """Our name → the heading as the file spells it."""
    phones: frozenset[int]
    """Indexes of the cells that hold telephone numbers."""

    def has(self, *names: str) -> bool:
        """Return whether the file has any of these columns."""
        return any(name in self.index for name in names)


def heading_words(columns: Sequence[Column]) -> Mapping[str, Column]:
    """Return every recognised heading, normalised, with its column."""
    return {_plain(word): column for column in columns for word in column.words}


def is_known(columns: Sequence[Column], heading: str) -> bool:
    """Return whether a cell could head one of these columns."""
    return _plain(heading) in heading_words(columns)


def example(columns: Sequence[Column]) -> str:
    """Return the headings that a file must have, in both languages."""
    return "、".join(f"{column.zh[0]} / {column.en[0]}" for column in columns if column.required)


def lay_out(sheet: Sheet, columns: Sequence[Column]) -> Layout:
    """Match a sheet's headings; missing, double and unknown ones become faults and warnings."""
    words = heading_words(columns)
    found: dict[str, int] = {}
    phones: set[int] = set()
    for at, heading in enumerate(sheet.headings):
        column = words.get(_plain(heading))
        if column is None:
            if heading.strip():
                sheet.warnings.add("unknown_column", column=heading, heading=heading.strip())
        elif column.name in found:
            sheet.faults.add("duplicate_column", column=heading, heading=heading.strip())
        else:
            found[column.name] = at
            phones |= {at} if column.is_phone else set()
    _note_missing(columns, found, sheet.faults)
    headings = {name: sheet.headings[at].strip() for name, at in found.items()}
    return Layout(index=found, headings=headings, phones=frozenset(phones))


def _note_missing(columns: Sequence[Column], found: Mapping[str, int], faults: FaultList) -> None:
    for column in columns:
        if column.required and column.name not in found:
            faults.add(
                "missing_column",
                column=column.zh[0],
                column_zh=column.zh[0],
                column_en=column.en[0],
            )


@lru_cache(maxsize=1024)
def _plain(heading: str) -> str:
    """`* Phone_1（必填）` and `phone1` are the same heading."""
    text = unicodedata.normalize("NFKC", heading[:80]).casefold()
    return re.sub(r"\(.*?\)|[\s_*:\-]", "", text)

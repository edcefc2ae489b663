"""Python values to SQLite's and back, so that both databases hand out the same.

An instant is stored as SQLModel's `UTCDateTime` stores it: `YYYY-MM-DD HH:MM:SS.ffffff`, UTC,
which sorts as text. It is read back by the name of its column: `_at` and `_until` are instants;
dates and booleans are the columns that the metadata says are. A naive datetime is refused here,
on both databases, because asyncpg would silently take it for local time.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Boolean, Date
from sqlmodel import SQLModel

Decode = Callable[[Any], Any]

_INSTANT_LENGTH = len("2026-01-01 00:00:00.000000")
_PLANS_MAX = 1024
"""Shapes of answers remembered; one per statement, as in `translate`."""
_INSTANTS_MAX = 4096
"""Instants remembered: rows that were written together share theirs."""


class NaiveInstant(ValueError):
    """A datetime without a time zone: a programmer's mistake."""


def encode(value: Any) -> Any:
    """Return a value that sqlite3 can bind."""
    kind = type(value)
    return value if kind in _PLAIN else _ENCODE.get(kind, _encode_kind)(value)


def encode_rows(rows: Iterable[Sequence[Any]]) -> Iterable[Sequence[Any]]:
    """Return the rows with only those columns touched that hold something to change."""
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for at, column in enumerate(columns):
        if not _PLAIN.issuperset(map(type, column)):
            columns[at] = _encode_column(column)
    return zip(*columns, strict=True)


def refuse_naive(values: Iterable[Any]) -> None:
    """Raise NaiveInstant if one of the values is a datetime without a time zone."""
    for value in values:
        if isinstance(value, datetime) and value.utcoffset() is None:
            raise NaiveInstant(f"{value!r} has no time zone")
        if isinstance(value, list | tuple) and not _PLAIN.issuperset(map(type, value)):
            refuse_naive(value)


def refuse_naive_rows(rows: Iterable[Sequence[Any]]) -> None:
    """Do the same for many rows, looking only at the columns that hold more than plain values."""
    for column in zip(*rows, strict=True):
        if not _PLAIN.issuperset(map(type, column)):
            refuse_naive(column)


def zip_lists(params: Sequence[Any], positions: Sequence[int]) -> Sequence[Any]:
    """Return the parameters with these lists zipped into the first of them, as `unnest` reads."""
    lists = [_plain_column(params[position]) for position in positions]
    changed: list[Any] = list(params)
    for position in positions:
        changed[position] = None
    rows = list(zip(*lists, strict=True))
    changed[positions[0]] = json.dumps(rows, ensure_ascii=False)
    return changed


def _plain_column(column: Sequence[Any]) -> Sequence[Any]:
    return column if _PLAIN.issuperset(map(type, column)) else _encode_column(column)


def decode_rows(cursor: sqlite3.Cursor, rows: list[tuple[Any, ...]]) -> list[sqlite3.Row]:
    """Return rows that answer to `row["name"]` and `row[0]`, with Python values in them."""
    plan = decoders(tuple(map(itemgetter(0), cursor.description)))
    if not plan:
        return [sqlite3.Row(cursor, row) for row in rows]
    return [sqlite3.Row(cursor, _decode(row, plan)) for row in rows]


@lru_cache(maxsize=_PLANS_MAX)
def decoders(names: tuple[str, ...]) -> tuple[tuple[int, Decode], ...]:
    """Return which columns of an answer are read back, and how."""
    found = ((at, _decoder(name)) for at, name in enumerate(names))
    return tuple((at, decode) for at, decode in found if decode is not None)


def _decoder(name: str) -> Decode | None:
    if name.endswith(("_at", "_until")):
        return read_instant
    return _known_columns().get(name)


@lru_cache(maxsize=1)
def _known_columns() -> dict[str, Decode]:
    """Return the names that are booleans or dates wherever they stand in the schema."""
    kinds: dict[str, set[Decode | None]] = {}
    for table in SQLModel.metadata.tables.values():
        for column in table.columns:
            kinds.setdefault(column.name, set()).add(_decoder_of_type(column.type))
    return {name: only for name, found in kinds.items() if (only := _single(found)) is not None}


def _decoder_of_type(kind: object) -> Decode | None:
    if isinstance(kind, Boolean):
        return bool
    return date.fromisoformat if isinstance(kind, Date) else None


def _single(found: set[Decode | None]) -> Decode | None:
    return next(iter(found)) if len(found) == 1 else None


def _decode(row: tuple[Any, ...], plan: tuple[tuple[int, Decode], ...]) -> tuple[Any, ...]:
    values = list(row)
    for at, decode in plan:
        if values[at] is not None:
            values[at] = decode(values[at])
    return tuple(values)


@lru_cache(maxsize=_INSTANTS_MAX)
def read_instant(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00")


def _instant_text(value: datetime) -> str:
    if value.utcoffset() is None:
        raise NaiveInstant(f"{value!r} has no time zone")
    return value.astimezone(UTC).isoformat(" ", "microseconds")[:_INSTANT_LENGTH]


def _encode_column(column: Sequence[Any]) -> list[Any]:
    """Encode one column; a run of the very same object, as in a fan-out, is encoded once."""
    encoded: list[Any] = []
    previous: Any = None
    text: Any = None
    for value in column:
        if value is not previous:
            previous, text = value, encode(value)
        encoded.append(text)
    return encoded


def _json_text(values: Iterable[Any]) -> str:
    return json.dumps([encode(value) for value in values], ensure_ascii=False)


def _encode_kind(value: Any) -> Any:
    """Encode a subclass: an enum's word, or a datetime of a library that moves the clock."""
    for kind in (datetime, date, bool, list, tuple):
        if isinstance(value, kind):
            return _ENCODE[kind](value)
    return value


_PLAIN = frozenset((int, str, bytes, float, type(None)))
"""What sqlite3 binds as it is."""

_ENCODE: dict[type, Callable[[Any], Any]] = {
    datetime: _instant_text,
    date: date.isoformat,
    bool: int,
    list: _json_text,
    tuple: _json_text,
}

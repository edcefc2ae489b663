"""A table of a profile, read field by field: a fault says which field, and what to do.

    table = Table(document, place="")
    table.text("title"); table.choice("method", ("GET", "POST")); table.table("send"); table.done()

`done` refuses what nobody asked for, because a misspelt field would otherwise be silently unused.
It knows nothing of gateways; `gateway_reader` does.
"""

import re
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from channels.gateway_template import Template, TemplateFault, instead, read_template

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")
_NOTHING: Any = object()

CHARSETS = ("utf-8", "gbk", "gb18030", "iso-8859-1")
"""What gateways speak: some Chinese ones still take forms in GBK only."""

PATTERN_CHARS_MAX = 500
"""A longer pattern is a mistake, or a trap for whoever has to read it."""


class ProfileFault(ValueError):
    """A profile cannot be used; the text is for whoever wrote it."""


class Table:
    """One table of a TOML document, and where it stands."""

    def __init__(self, values: Mapping[str, Any], place: str = "") -> None:
        self._values = values
        self._place = place
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def fault(self, name: str, what: str) -> ProfileFault:
        """Return a fault about one field of this table."""
        return ProfileFault(f"{self._at(name)}: {what}")

    def done(self) -> None:
        """Refuse fields that nobody has asked for."""
        for name in self._values:
            if name not in self._asked:
                raise self.fault(name, f"there is no such field; {instead(name, self._asked)}")

    def text(self, name: str, default: str = _NOTHING) -> str:
        """Return a text."""
        return str(self._of(name, str, "a text", default))

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        return bool(self._of(name, bool, "true or false", default))

    def whole(self, name: str, default: int) -> int:
        """Return a whole number from 0."""
        found: int = self._of(name, int, "a whole number", default)
        if isinstance(found, bool) or found < 0:
            raise self.fault(name, "must be a whole number from 0")
        return found

    def number(self, name: str, default: float) -> float:
        """Return a number above 0."""
        found = self._of(name, (int, float), "a number", default)
        if isinstance(found, bool) or not found > 0:
            raise self.fault(name, "must be a number above 0")
        return float(found)

    def choice(self, name: str, kind: type[E], default: E = _NOTHING) -> E:
        """Return one word of an enumeration."""
        found = self.text(name, default)
        return self.word(name, found, kind)

    def word(self, name: str, given: str, kind: type[E]) -> E:
        """Return `given` as a word of an enumeration."""
        try:
            return kind(given)
        except ValueError:
            known = [member.value for member in kind]
            hint = instead(given, known)
            raise self.fault(name, f"{given!r} is none of its words; {hint}") from None

    def one_of(self, name: str, known: Collection[str], default: str = _NOTHING) -> str:
        """Return one of these texts."""
        found = self.text(name, default)
        if found not in known:
            raise self.fault(name, f"{found!r} is not possible; {instead(found, known)}")
        return found

    def texts(self, name: str, default: tuple[str, ...] = _NOTHING) -> tuple[str, ...]:
        """Return a list of texts; a single one may stand without brackets."""
        found = self._of(name, (str, list), "a text or a list of texts", default)
        many = (found,) if isinstance(found, str) else tuple(found)
        if not all(isinstance(one, str) for one in many):
            raise self.fault(name, "must be a list of texts; put numbers in quotation marks")
        return many

    def template(self, name: str, names: Collection[str], default: str = _NOTHING) -> Template:
        """Return a template of known names."""
        return self._template(name, self.text(name, default), names)

    def any_template(self, name: str) -> Template | None:
        """Return a template of whatever names a record has; None when there is none."""
        text = self.text(name, "")
        return self._template(name, text, None) if text else None

    def templates(self, name: str, names: Collection[str]) -> dict[str, Any]:
        """Return a table with templates at its leaves; {} when there is none."""
        found = self._of(name, Mapping, "a table", {})
        return {str(k): self._leaf(f"{name}.{k}", v, names) for k, v in found.items()}

    def pattern(self, name: str) -> re.Pattern[str] | None:
        """Return a regular expression; None when there is none."""
        text = self.text(name, "")
        if not text:
            return None
        if len(text) > PATTERN_CHARS_MAX:
            raise self.fault(name, f"has more than {PATTERN_CHARS_MAX} characters")
        try:
            return re.compile(text, re.DOTALL)
        except re.error as error:
            raise self.fault(
                name, f"is no regular expression: {error}; single quotes keep backslashes"
            ) from None

    def meanings(self, name: str, read: Callable[[str, str], T]) -> dict[str, T]:
        """Return a table from the gateway's words to ours; `read(place, our word)`."""
        found = self._of(name, Mapping, "a table", {})
        made: dict[str, T] = {}
        for theirs, ours in found.items():
            if not isinstance(ours, str):
                raise self.fault(f"{name}.{theirs}", "must be one of our words, in quotation marks")
            made[str(theirs)] = read(f"{name}.{theirs}", ours)
        return made

    def zone(self, name: str, default: str) -> ZoneInfo:
        """Return a time zone."""
        found = self.text(name, default)
        try:
            return ZoneInfo(found)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise self.fault(
                name, f"{found!r} is no time zone; write it like Asia/Shanghai"
            ) from None

    def charset(self, name: str) -> str:
        """Return how characters are written as bytes."""
        return self.one_of(name, CHARSETS, "utf-8")

    def table(self, name: str) -> "Table":
        """Return a table that must be there."""
        if name not in self._values:
            raise self.fault(name, f"is missing: the profile needs a table [{self._at(name)}]")
        return self._table(name)

    def maybe(self, name: str) -> "Table | None":
        """Return a table, or None when it is not there."""
        self._asked.add(name)
        return self._table(name) if name in self._values else None

    def tables(self, name: str) -> "dict[str, Table]":
        """Return the tables in a table, by name."""
        found = self.maybe(name)
        if found is None:
            return {}
        return {inner: found._table(inner) for inner in found._values}

    def _table(self, name: str) -> "Table":
        return Table(self._of(name, Mapping, "a table", _NOTHING), self._at(name))

    def _template(self, name: str, text: str, names: Collection[str] | None) -> Template:
        try:
            return read_template(text, names)
        except TemplateFault as fault:
            raise self.fault(name, str(fault)) from None

    def _leaf(self, name: str, value: Any, names: Collection[str]) -> Any:
        if isinstance(value, str):
            return self._template(name, value, names)
        if isinstance(value, Mapping):
            return {str(k): self._leaf(f"{name}.{k}", v, names) for k, v in value.items()}
        if isinstance(value, list):
            return [self._leaf(f"{name}.{n}", v, names) for n, v in enumerate(value)]
        return value

    def _of(self, name: str, kind: Any, called: str, default: Any) -> Any:
        self._asked.add(name)
        if name not in self._values:
            if default is _NOTHING:
                raise self.fault(name, f"is missing; write {called} there")
            return default
        found = self._values[name]
        if not isinstance(found, kind):
            raise self.fault(name, f"must be {called}")
        return found

    def _at(self, name: str) -> str:
        return f"{self._place}.{name}" if self._place else name

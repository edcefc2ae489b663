"""PostgreSQL's spelling to SQLite's, for the statements that are written once.

What it knows, and nothing else:

  $1                                → ?1
  = ANY($1), <> ALL($1)             → IN / NOT IN (SELECT value FROM json_each(?1))
  unnest($1::bigint[], $2::text[])  → a table over one JSON parameter: the lists, zipped
    AS t(id, state)
  expression::type                  → expression
  FOR UPDATE [OF …] [SKIP LOCKED]   → nothing: the one writer already holds everything
  AS [NOT] MATERIALIZED             → kept, as are ON CONFLICT, RETURNING, UPDATE … FROM, FILTER

The database's own clock (`now()`) is refused: an instant is always a parameter. Strings, quoted
names and comments are left alone. It never looks at values.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

STATEMENTS_MAX = 1024
"""Translations kept; statements are constants in modules, some with a few optional clauses."""

_UNTOUCHED = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*)""")
_CLOCK = re.compile(
    r"\b(now\s*\(\s*\)|current_(?:timestamp|date|time)\b|(?:clock|statement|transaction)_timestamp)",
    re.IGNORECASE,
)
_CAST = re.compile(
    r"::\s*(?:double\s+precision|timestamp\s+with\s+time\s+zone|[a-z_]\w*)"
    r"(?:\s*\(\s*\d+(?:\s*,\s*\d+)?\s*\))?(?:\s*\[\s*\])?",
    re.IGNORECASE,
)
_LOCK = re.compile(
    r"\bFOR\s+(?:NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b"
    r"(?:\s+OF\s+\w+(?:\s*,\s*\w+)*)?(?:\s+(?:SKIP\s+LOCKED|NOWAIT)\b)?",
    re.IGNORECASE,
)
_ANY = re.compile(r"=\s*ANY\s*\(\s*\$(\d+)\s*\)", re.IGNORECASE)
_ALL = re.compile(r"(?:<>|!=)\s*ALL\s*\(\s*\$(\d+)\s*\)", re.IGNORECASE)
_UNNEST = re.compile(
    r"\bunnest\s*\(\s*(\$\d+(?:\s*,\s*\$\d+)*)\s*\)\s*(?:AS\s+)?(\w+)\s*\(([\w\s,]+)\)",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"\$(\d+)")
_BOUND = re.compile(r"\?(\d+)")


class Untranslatable(ValueError):
    """A statement that would mean something else on SQLite: a programmer's mistake."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A statement in SQLite's spelling."""

    sql: str
    zipped: tuple[tuple[int, ...], ...]
    """Positions (from 0) of list parameters that travel as one: zipped, in the first of them."""
    used: int
    """How many parameters SQLite counts: the highest number that is left."""


@lru_cache(maxsize=STATEMENTS_MAX)
def translate(sql: str) -> Statement:
    """Return the statement for SQLite. Raises Untranslatable."""
    zipped: list[tuple[int, ...]] = []
    parts = _UNTOUCHED.split(sql)
    parts[::2] = [_translate_code(part, zipped) for part in parts[::2]]
    _refuse_shared(sql, zipped)
    numbers = [int(number) for part in parts[::2] for number in _BOUND.findall(part)]
    return Statement(sql="".join(parts), zipped=tuple(zipped), used=max(numbers, default=0))


def _translate_code(code: str, zipped: list[tuple[int, ...]]) -> str:
    if clock := _CLOCK.search(code):
        raise Untranslatable(f"{clock[0]}: pass the instant as a parameter")
    code = _CAST.sub("", code)
    code = _LOCK.sub("", code)
    code = _ANY.sub(r"IN (SELECT value FROM json_each($\1))", code)
    code = _ALL.sub(r"NOT IN (SELECT value FROM json_each($\1))", code)
    code = _UNNEST.sub(lambda found: _table_of(found, zipped), code)
    if word := re.search(r"\b(ANY|ALL|unnest)\s*\(\s*\$", code, re.IGNORECASE):
        raise Untranslatable(f"{word[0]}…: not in a form that translate() knows")
    return _PARAMETER.sub(r"?\1", code)


def _table_of(found: re.Match[str], zipped: list[tuple[int, ...]]) -> str:
    numbers = [int(number) for number in _PARAMETER.findall(found[1])]
    names = [name.strip() for name in found[3].split(",")]
    if len(names) != len(numbers):
        raise Untranslatable(f"{found[0]}: as many names as lists, please")
    zipped.append(tuple(number - 1 for number in numbers))
    columns = ", ".join(f"value ->> {at} AS {name}" for at, name in enumerate(names))
    return f"(SELECT {columns} FROM json_each(${numbers[0]})) AS {found[2]}"


def _refuse_shared(sql: str, zipped: list[tuple[int, ...]]) -> None:
    code = "".join(_UNTOUCHED.split(sql)[::2])
    used = [int(number) - 1 for number in _PARAMETER.findall(code)]
    for position in (position for positions in zipped for position in positions):
        if used.count(position) > 1:
            raise Untranslatable(f"${position + 1} is unnested and used elsewhere too")

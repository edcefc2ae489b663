"""Regions for the picker and the browser: children, search, the way down, and what a choice holds.

A tree of 16,000 regions is never sent whole; a page asks for the children of one region.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from warnsvc.store.port import Row, Unit

FOUND_MAX = 50
"""Search results shown; whoever gets more types one more character."""
CHILDREN_MAX = 2_000
"""The largest township of Xinjiang has 130 villages, the largest county 60 townships."""
TARGETS_LISTED_MAX = 20

_LINE = """
SELECT r.code, r.parent_code, r.level, r.name, r.kind, r.headcount,
       (SELECT count(*) FROM region c WHERE c.parent_code = r.code) AS children
  FROM region r
"""
_UP = """
WITH RECURSIVE up AS (
  SELECT code AS leaf, code, parent_code, name, 0 AS depth FROM region WHERE code = ANY($1)
  UNION ALL
  SELECT up.leaf, r.code, r.parent_code, r.name, up.depth + 1
    FROM region r JOIN up ON r.code = up.parent_code
   WHERE up.depth < 20
)
SELECT leaf, code, name FROM up ORDER BY leaf, depth DESC
"""
_DOWN = """
WITH RECURSIVE inside AS (
  SELECT code, level, headcount FROM region WHERE code = ANY($1)
  UNION
  SELECT r.code, r.level, r.headcount FROM region r JOIN inside ON r.parent_code = inside.code
), target AS (
  SELECT code, headcount FROM inside i
   WHERE level IN ('village', 'site', 'zone')
      OR NOT EXISTS (SELECT 1 FROM region c WHERE c.parent_code = i.code)
)
SELECT count(*) AS targets, COALESCE(sum(headcount), 0) AS headcount,
       COALESCE(sum(CASE WHEN EXISTS (SELECT 1 FROM assignment a WHERE a.region_code = target.code)
                    THEN 0 ELSE 1 END), 0) AS bare
  FROM target
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionLine:
    """One region in a tree or a list. `path`: names from the top down to itself."""

    code: str
    name: str
    level: str
    kind: str
    headcount: int
    children: int
    path: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """For the scripts of the form."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the chosen regions hold. `bare`: targets without a contact of their own."""

    targets: int = 0
    headcount: int = 0
    bare: int = 0


async def children(view: Unit, parent_code: str | None) -> list[RegionLine]:
    """Return the direct children of a region, or the roots."""
    if parent_code is None:
        rows = await view.fetch(
            f"{_LINE} WHERE r.parent_code IS NULL ORDER BY r.code LIMIT {CHILDREN_MAX}"
        )
    else:
        rows = await view.fetch(
            f"{_LINE} WHERE r.parent_code = $1 ORDER BY r.code LIMIT {CHILDREN_MAX}", parent_code
        )
    return [_line(row) for row in rows]


async def search(view: Unit, text: str) -> list[RegionLine]:
    """Return regions whose name holds the text or whose code begins with it, with their paths."""
    if not text:
        return []
    plain = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = await view.fetch(
        f"{_LINE} WHERE r.name LIKE $1 ESCAPE '\\' OR r.code LIKE $2 ESCAPE '\\'"
        f" ORDER BY length(r.name), r.code LIMIT {FOUND_MAX}",
        f"%{plain}%",
        f"{plain}%",
    )
    paths = await paths_of(view, [row["code"] for row in rows])
    return [_line(row, paths[row["code"]]) for row in rows]


async def lines_of(view: Unit, codes: Sequence[str]) -> list[RegionLine]:
    """Return these regions with their paths, in the order given; unknown codes are left out."""
    rows = await view.fetch(f"{_LINE} WHERE r.code = ANY($1)", list(codes))
    found = {row["code"]: row for row in rows}
    paths = await paths_of(view, list(found))
    return [_line(found[code], paths[code]) for code in codes if code in found]


async def paths_of(view: Unit, codes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return code → names from the top down to the region itself."""
    return {
        code: tuple(name for _, name in steps)
        for code, steps in (await trails_of(view, codes)).items()
    }


async def trails_of(view: Unit, codes: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return code → (code, name) from the top down to the region itself."""
    found: dict[str, list[tuple[str, str]]] = {}
    if codes:
        for row in await view.fetch(_UP, list(codes)):
            found.setdefault(row["leaf"], []).append((row["code"], row["name"]))
    return found


async def choice_of(view: Unit, codes: Sequence[str]) -> Choice:
    """Return what these regions hold, each target once."""
    if not codes:
        return Choice()
    row = await view.fetch_one(_DOWN, list(codes))
    assert row is not None
    return Choice(
        targets=int(row["targets"]), headcount=int(row["headcount"]), bare=int(row["bare"])
    )


def _line(row: Row, path: tuple[str, ...] = ()) -> RegionLine:
    return RegionLine(
        code=row["code"],
        name=row["name"],
        level=row["level"],
        kind=row["kind"],
        headcount=row["headcount"],
        children=row["children"],
        path=path,
    )

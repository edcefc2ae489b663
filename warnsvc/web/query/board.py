"""The board: how every region of one bulletin stands, as small values that can be compared.

A whole bulletin is loaded once and then only what has changed. Deadlines and states are shown as
they are stored; nothing here decides what is late.
"""

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from warnsvc.store.port import Row, Unit
from warnsvc.web.query.bulletin import Progress, progress_name

URGENT_MAX = 8
"""Regions in the list of the most urgent: what fits beside the board."""
TONES = {
    "pending": "idle",
    "calling": "busy",
    "answered": "good",
    "exhausted": "bad",
    "lifted": "off",
    "expired": "bad",
}
_ORDER = {"exhausted": 0, "expired": 0, "calling": 1, "pending": 2, "answered": 3, "lifted": 4}

_TOWN = "CASE WHEN p.level = 'village' THEN g.code ELSE COALESCE(p.code, e.region_code) END"
"""What a region is shown in. A care home lies in a village and is shown in its township."""
_COLUMNS = f"""
SELECT e.id, e.region_name, e.state, e.tier, e.deadline_at, e.late, e.closed_at, e.changed_at,
       {_TOWN} AS town,
       CASE WHEN p.level = 'village' THEN g.name
            ELSE COALESCE(p.name, e.region_name) END AS town_name
  FROM escalation e
  LEFT JOIN region p ON p.code = e.parent_code
  LEFT JOIN region g ON g.code = p.parent_code
 WHERE e.bulletin_id = $1
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One region on the board."""

    id: int
    town: str
    """The code of what it lies in: the group it is shown in."""
    name: str
    town_name: str
    state: str
    tier: int
    deadline: int
    """Milliseconds; 0 when no window runs."""
    late: bool
    closed: int
    """Milliseconds; 0 while it is open."""

    @property
    def open(self) -> bool:
        """Whether nobody has answered yet and somebody still should."""
        return self.state in {"pending", "calling", "exhausted", "expired"}

    @property
    def tone(self) -> str:
        """The tone of its state."""
        return "late" if self.late and self.state == "answered" else TONES[self.state]

    @property
    def order(self) -> tuple[int, int, str, int]:
        """What comes first: nobody answered, then the oldest deadline, then by name."""
        by_time = self.closed if self.state == "exhausted" else self.deadline
        return (_ORDER[self.state], by_time, self.name, self.id)

    def as_json(self) -> list[Any]:
        """For the board's script: as few bytes as fit."""
        return [
            self.id,
            self.town,
            self.name,
            self.state,
            self.tier,
            self.deadline,
            int(self.late),
            self.closed,
            self.town_name,
        ]


@dataclass(slots=True)
class Town:
    """A group of regions and how many of them stand where."""

    code: str
    name: str
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def progress(self) -> Progress:
        """The counts with their names."""
        return Progress(**{name: number for name, number in self.counts.items() if number})


class Board:
    """The regions of one bulletin, in memory."""

    def __init__(self) -> None:
        self.cells: dict[int, Cell] = {}
        self.towns: dict[str, Town] = {}
        self.changed_at: datetime | None = None

    def put(self, rows: Iterable[Row]) -> list[Cell]:
        """Take rows in and return the cells that differ from what was known."""
        fresh: list[Cell] = []
        for row in rows:
            if self.changed_at is None or row["changed_at"] > self.changed_at:
                self.changed_at = row["changed_at"]
            cell = _cell(row)
            known = self.cells.get(cell.id)
            if known == cell:
                continue
            self._count(cell, +1)
            if known is not None:
                self._count(known, -1)
            self.cells[cell.id] = cell
            fresh.append(cell)
        return fresh

    @property
    def progress(self) -> Progress:
        """The counts of the whole bulletin."""
        total: dict[str, int] = {}
        for town in self.towns.values():
            for name, number in town.counts.items():
                total[name] = total.get(name, 0) + number
        return Progress(**total)

    def by_town(self) -> Mapping[str, list[Cell]]:
        """Return every group with its regions, the most urgent first."""
        found: dict[str, list[Cell]] = {code: [] for code in sorted(self.towns)}
        for cell in self.cells.values():
            found[cell.town].append(cell)
        for cells in found.values():
            cells.sort(key=lambda cell: cell.order)
        return found

    def urgent(self) -> list[Cell]:
        """Return the regions that need a human first."""
        waiting = (cell for cell in self.cells.values() if cell.open and cell.state != "pending")
        return heapq.nsmallest(URGENT_MAX, waiting, key=lambda cell: cell.order)

    def _count(self, cell: Cell, step: int) -> None:
        town = self.towns.setdefault(cell.town, Town(cell.town, cell.town_name))
        name = progress_name(cell.state, cell.late)
        town.counts[name] = town.counts.get(name, 0) + step


async def load_board(view: Unit, bulletin_id: int) -> Board:
    """Return the whole board."""
    board = Board()
    board.put(await view.fetch(_COLUMNS, bulletin_id))
    return board


async def load_changes(view: Unit, bulletin_id: int, since: datetime) -> list[Row]:
    """Return the regions that have changed since an instant."""
    return await view.fetch(f"{_COLUMNS} AND e.changed_at >= $2", bulletin_id, since)


async def load_all(view: Unit, bulletin_id: int) -> list[Row]:
    """Return every region of the bulletin."""
    return await view.fetch(_COLUMNS, bulletin_id)


async def load_town(view: Unit, bulletin_id: int, code: str) -> list[Cell]:
    """Return the regions of one group, the most urgent first."""
    rows = await view.fetch(f"{_COLUMNS} AND {_TOWN} = $2", bulletin_id, code)
    return sorted(map(_cell, rows), key=lambda cell: cell.order)


async def count_callouts(view: Unit, bulletin_id: int) -> dict[str, int]:
    """Return state → number of people."""
    rows = await view.fetch(
        "SELECT state, count(*) AS n FROM callout WHERE bulletin_id = $1 GROUP BY state",
        bulletin_id,
    )
    return {row["state"]: int(row["n"]) for row in rows}


async def bulletin_state(view: Unit, bulletin_id: int) -> str:
    """Return the bulletin's state; empty when there is none."""
    row = await view.fetch_one("SELECT state FROM bulletin WHERE id = $1", bulletin_id)
    return "" if row is None else str(row["state"])


def _cell(row: Row) -> Cell:
    return Cell(
        id=row["id"],
        town=row["town"],
        name=row["region_name"],
        town_name=row["town_name"],
        state=row["state"],
        tier=row["tier"],
        deadline=_millis(row["deadline_at"]),
        late=bool(row["late"]),
        closed=_millis(row["closed_at"]),
    )


def _millis(at: datetime | None) -> int:
    return 0 if at is None else int(at.timestamp() * 1000)

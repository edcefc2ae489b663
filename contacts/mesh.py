"""An invented map: cells that tile a county without gaps or overlaps, grouped into townships.

Cells are the hexagons of a lattice, their corners and edges bent at random; neighbours share the
very same bent edge, so every union of cells has an exact boundary. On a hexagon lattice no corner
has more than three cells, so a union never touches itself in a point. Pure Python, seeded.

It knows nothing of regions or people. The county lies in the open Pacific, where no place can be
mistaken for it.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from random import Random

CENTRE_LONGITUDE, CENTRE_LATITUDE = 168.0, 38.0
"""Open ocean, more than a thousand kilometres from any land."""
SIDE_DEGREES = 0.034
"""About 3.8 km: a village then has some 37 km²."""
CORNER_JITTER = 0.2
EDGE_JITTER = 0.11
"""Of a side; together too little for two edges to cross (a test looks)."""
TRIES_MAX = 200
"""A division in which a township encloses another is drawn again; three tries are common."""

Cell = tuple[int, int]
"""The centre in half steps: x in (√3/2) sides, y in half sides."""
Corner = tuple[int, int]
Point = tuple[float, float]
Ring = tuple[Point, ...]

_CORNERS = ((0, -2), (1, -1), (1, 1), (0, 2), (-1, 1), (-1, -1))
_NEIGHBOURS = ((2, 0), (1, 3), (-1, 3), (-2, 0), (-1, -3), (1, -3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Groups of cells, and the bent edges between their corners."""

    groups: tuple[tuple[Cell, ...], ...]
    points: Mapping[Corner, Point]
    bends: Mapping[tuple[Corner, Corner], Ring]
    """Inner points of the edge from the smaller corner to the larger."""

    def ring(self, cells: Iterable[Cell]) -> Ring:
        """Return the closed outer ring of a union of cells, counter-clockwise."""
        loops = _loops(cells)
        assert len(loops) == 1, "the union is in parts or has a hole"
        return self._bent(loops[0])

    def centre(self, cell: Cell) -> Point:
        """Return the middle of a cell."""
        return _place(*cell)

    def _bent(self, loop: list[Corner]) -> Ring:
        points: list[Point] = []
        for start, end in zip(loop, [*loop[1:], loop[0]], strict=True):
            points.append(self.points[start])
            inner = self.bends[min(start, end), max(start, end)]
            points.extend(inner if start < end else reversed(inner))
        return (*points, points[0])


def make_mesh(rng: Random, *, cells: int, groups: int) -> Mesh:
    """Return a connected county of so many cells in so many connected groups."""
    for _ in range(TRIES_MAX):
        area = _grow_area(rng, cells)
        divided = _divide(rng, area, groups)
        if len(_loops(area)) == 1 and all(len(_loops(group)) == 1 for group in divided):
            return _bend(rng, area, divided)
    raise AssertionError("no division without holes was found")


def _grow_area(rng: Random, count: int) -> list[Cell]:
    """Add the best cell beside what is there; the outline wobbles with the angle."""
    waves = [(rng.uniform(0.05, 0.12), rng.uniform(0, math.tau)) for _ in range(4)]
    area: list[Cell] = [(0, 0)]
    edge = set(_beside((0, 0)))
    while len(area) < count:
        best = min(edge, key=lambda cell: (_wobbly_distance(cell, waves), cell))
        area.append(best)
        edge |= set(_beside(best))
        edge -= set(area)
    return area


def _wobbly_distance(cell: Cell, waves: list[tuple[float, float]]) -> float:
    x, y = cell[0] * math.sqrt(3) / 2, cell[1] / 2
    angle = math.atan2(y, x)
    wobble = sum(a * math.sin((n + 2) * angle + phase) for n, (a, phase) in enumerate(waves))
    return math.hypot(x / 1.25, y) * (1 + wobble)


def _divide(rng: Random, area: Collection[Cell], groups: int) -> list[list[Cell]]:
    """Let groups grow from seeds that lie far apart; whoever is furthest behind goes next."""
    free = set(area)
    grown = [[seed] for seed in _far_apart(rng, sorted(area), groups)]
    free -= {group[0] for group in grown}
    shares = [rng.uniform(0.75, 1.3) for _ in grown]
    while free:
        open_groups = [at for at, group in enumerate(grown) if free & _rim(group)]
        at = min(open_groups, key=lambda at: (len(grown[at]) / shares[at], at))
        seed = grown[at][0]
        step = min(free & _rim(grown[at]), key=lambda cell: (_distance(cell, seed), cell))
        grown[at].append(step)
        free.remove(step)
    return grown


def _far_apart(rng: Random, area: list[Cell], count: int) -> list[Cell]:
    seeds = [rng.choice(area)]
    while len(seeds) < count:
        seeds.append(max(area, key=lambda cell: (min(_distance(cell, s) for s in seeds), cell)))
    return seeds


def _bend(rng: Random, area: list[Cell], divided: list[list[Cell]]) -> Mesh:
    edges = sorted({(min(e), max(e)) for cell in area for e in _edges(cell)})
    corners = sorted({corner for edge in edges for corner in edge})
    points = {corner: _jittered(rng, corner, CORNER_JITTER) for corner in corners}
    bends = {edge: _bent_edge(rng, points[edge[0]], points[edge[1]]) for edge in edges}
    return Mesh(groups=tuple(tuple(g) for g in divided), points=points, bends=bends)


def _bent_edge(rng: Random, start: Point, end: Point) -> Ring:
    """Three inner points, moved sideways: the middle one first, as a coast is drawn."""
    middle = _aside(rng, start, end, EDGE_JITTER)
    return (
        _aside(rng, start, middle, EDGE_JITTER / 2),
        middle,
        _aside(rng, middle, end, EDGE_JITTER / 2),
    )


def _aside(rng: Random, start: Point, end: Point, amount: float) -> Point:
    shift = rng.uniform(-amount, amount) * SIDE_DEGREES
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    return _rounded(x - shift * dy / length, y + shift * dx / length)


def _jittered(rng: Random, corner: Corner, amount: float) -> Point:
    longitude, latitude = _place(*corner)
    reach = amount * SIDE_DEGREES
    return _rounded(longitude + rng.uniform(-reach, reach), latitude + rng.uniform(-reach, reach))


def _place(x: int, y: int) -> Point:
    shrink = math.cos(math.radians(CENTRE_LATITUDE))
    longitude = CENTRE_LONGITUDE + x * math.sqrt(3) / 2 * SIDE_DEGREES / shrink
    return _rounded(longitude, CENTRE_LATITUDE + y / 2 * SIDE_DEGREES)


def _rounded(longitude: float, latitude: float) -> Point:
    return round(longitude, 5), round(latitude, 5)


def _loops(cells: Iterable[Cell]) -> list[list[Corner]]:
    """Chain the edges that belong to one cell only into closed loops."""
    edges = {edge for cell in cells for edge in _edges(cell)}
    following = {start: end for start, end in edges if (end, start) not in edges}
    loops = []
    while following:
        first = min(following)
        loop = [first]
        corner = following.pop(first)
        while corner != first:
            loop.append(corner)
            corner = following.pop(corner)
        loops.append(loop)
    return loops


def _edges(cell: Cell) -> list[tuple[Corner, Corner]]:
    corners = [(cell[0] + dx, cell[1] + dy) for dx, dy in _CORNERS]
    return list(zip(corners, [*corners[1:], corners[0]], strict=True))


def _beside(cell: Cell) -> list[Cell]:
    return [(cell[0] + dx, cell[1] + dy) for dx, dy in _NEIGHBOURS]


def _rim(group: Iterable[Cell]) -> set[Cell]:
    return {near for cell in group for near in _beside(cell)}


def _distance(one: Cell, other: Cell) -> float:
    return math.hypot((one[0] - other[0]) * math.sqrt(3) / 2, (one[1] - other[1]) / 2)

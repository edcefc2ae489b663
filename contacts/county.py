"""The invented county of the demo: 云岭县, its places, its map and the people who answer.

Nothing in it is real. The codes begin with 99, which no province has; the map lies in the open
Pacific; names come from syllables, numbers from blocks that no operator holds (`contacts.phone`).
Pure and seeded: the same seed gives the same county, to the last digit.

Its people have what real lists have: villages with landlines only, a village nobody answers for, an
empty second tier, a former secretary still on the list, one cadre for several villages, leaders
whom a robot must not call, three languages, and some numbers that are wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from contacts.county_people import Staff, staff_county
from contacts.mesh import Cell, Mesh, Point, Ring, make_mesh
from contacts.naming import village_names
from contacts.people import People
from contacts.region import Region, RegionKind, RegionLevel

PROVINCE, PREFECTURE, COUNTY = "990000000000", "990100000000", "990102000000"
VILLAGES = 160
SEED = 2026
"""The county of the screenshots and the documentation."""
SPEAKERS_URL = "https://speakers.invalid"
"""Where the loudspeakers' server would be; `.invalid` never resolves."""

TOWNSHIPS = (
    ("云溪镇", "zh", RegionKind.GOV),
    ("苍岩镇", "zh", RegionKind.GOV),
    ("鹿鸣乡", "ug", RegionKind.GOV),
    ("白石滩乡", "ug", RegionKind.GOV),
    ("松涧乡", "kk-Arab", RegionKind.GOV),
    ("雁落乡", "zh", RegionKind.GOV),
    ("赤砂乡", "ug", RegionKind.GOV),
    ("柳荫镇", "zh", RegionKind.GOV),
    ("寒泉乡", "ug", RegionKind.GOV),
    ("风口乡", "zh", RegionKind.GOV),
    ("牧云乡", "kk-Arab", RegionKind.GOV),
    ("云岭团场", "zh", RegionKind.CORPS),
)
"""Name, the language that most people there prefer, and whose administration it is."""

_SITES = (
    (0, "云岭县敬老院", 77),
    (0, "云岭县寄宿中学", 520),
    (1, "苍岩镇中心小学", 310),
    (3, "白石滩水库大坝", 12),
    (4, "松涧夏牧场一号营地", 65),
    (5, "雁落峡谷游客中心", 150),
    (6, "赤砂砂石料场", 27),
    (8, "寒泉乡卫生院", 60),
    (9, "风口公路三标段工地", 86),
    (10, "牧云冬牧场营地", 38),
)
"""Township, name and people: the places that lists by village leave out."""
_ZONES = ((2, "鹿鸣沟沟口危险区", 140), (7, "柳荫镇后山滑坡隐患点", 55))
_TWIN_NAME = "上河湾"
"""Village names repeat in reality (一连生活区 occurs 121 times), so one does here."""
_SITE_RADIUS_DEGREES = 0.004


@dataclass(frozen=True, slots=True, kw_only=True)
class County:
    """Everything about the invented county, as values."""

    regions: tuple[Region, ...]
    """Province and prefecture (in name only), county, townships, villages, sites, zones."""
    rings: Mapping[str, Ring]
    """Code → the closed outer ring, counter-clockwise, longitude and latitude."""
    people: People
    wrong_addresses: tuple[str, ...]
    """Numbers of the list that the simulated carrier should call wrong."""

    def boundaries(self) -> dict[str, Any]:
        """Return the map as a GeoJSON FeatureCollection."""
        names = {region.code: region.name for region in self.regions}
        return {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "properties": {"code": code, "name": names[code]},
                    "geometry": {"type": "Polygon", "coordinates": [[list(p) for p in ring]]},
                }
                for code, ring in self.rings.items()
            ],
        }


def make_county(*, seed: int = SEED, speakers_url: str = SPEAKERS_URL) -> County:
    """Return the invented county. `speakers_url` is where its loudspeakers take web requests."""
    rng = Random(seed)  # noqa: S311 - an invented county, nothing secret
    mesh = make_mesh(rng, cells=VILLAGES, groups=len(TOWNSHIPS))
    land = _Land(rng, mesh)
    staff = Staff(
        villages=tuple(land.villages),
        townships=tuple(land.townships),
        sites=tuple(land.sites),
        languages={township_code(at): row[1] for at, row in enumerate(TOWNSHIPS)},
        county=land.county,
        speakers_url=speakers_url.rstrip("/"),
    )
    people, wrong = staff_county(rng, staff)
    return County(
        regions=(*land.above, land.county, *land.townships, *land.villages, *land.sites),
        rings=land.rings,
        people=people,
        wrong_addresses=wrong,
    )


class _Land:
    """Regions and their rings, made from the mesh."""

    def __init__(self, rng: Random, mesh: Mesh) -> None:
        self._rng = rng
        self._mesh = mesh
        self.above = (
            Region(code=PROVINCE, parent_code=None, level=RegionLevel.PROVINCE, name="虚构省"),
            Region(
                code=PREFECTURE,
                parent_code=PROVINCE,
                level=RegionLevel.PREFECTURE,
                name="虚构地区",
            ),
        )
        self.county = Region(
            code=COUNTY, parent_code=PREFECTURE, level=RegionLevel.COUNTY, name="云岭县"
        )
        self.townships: list[Region] = []
        self.villages: list[Region] = []
        self.sites: list[Region] = []
        every = [cell for group in mesh.groups for cell in group]
        self.rings: dict[str, Ring] = {COUNTY: mesh.ring(every)}
        names = iter(village_names(rng, VILLAGES))
        self._cell_of: dict[str, Cell] = {}
        for at, group in enumerate(mesh.groups):
            self._township(at, group, [next(names) for _ in group])
        self._places(_SITES, RegionLevel.SITE, "S")
        self._places(_ZONES, RegionLevel.ZONE, "Z")

    def _township(self, at: int, group: tuple[Cell, ...], names: list[str]) -> None:
        name, _, kind = TOWNSHIPS[at]
        code = township_code(at)
        self.townships.append(
            Region(code=code, parent_code=COUNTY, level=RegionLevel.TOWNSHIP, name=name, kind=kind)
        )
        self.rings[code] = self._mesh.ring(group)
        if at in {3, 5}:
            names[0] = _TWIN_NAME
        from_north_west = sorted(group, key=lambda cell: (-cell[1], cell[0]))
        for number, (cell, name) in enumerate(zip(from_north_west, names, strict=True), start=1):
            self._village(f"{code[:9]}{200 + number}", code, kind, number, name, cell)

    def _village(
        self, code: str, township: str, kind: RegionKind, number: int, name: str, cell: Cell
    ) -> None:
        corps = kind is RegionKind.CORPS
        self.villages.append(
            Region(
                code=code,
                parent_code=township,
                level=RegionLevel.VILLAGE,
                name=f"{number}连" if corps else f"{name}村",
                kind=kind,
                headcount=self._rng.randint(28, 240) * 10,
            )
        )
        self.rings[code] = self._mesh.ring([cell])
        self._cell_of[code] = cell

    def _places(
        self, places: tuple[tuple[int, str, int], ...], level: RegionLevel, letter: str
    ) -> None:
        """Sites and zones lie in a village of their township, and hang below that village."""
        for number, (at, name, headcount) in enumerate(places, start=1):
            villages = [v for v in self.villages if v.parent_code == township_code(at)]
            village = villages[number % len(villages)]
            code = f"{village.code}-{letter}{number:03d}"
            self.sites.append(
                Region(
                    code=code,
                    parent_code=village.code,
                    level=level,
                    name=name,
                    kind=village.kind,
                    headcount=headcount,
                )
            )
            self.rings[code] = _around(self._mesh.centre(self._cell_of[village.code]))


def township_code(at: int) -> str:
    """Return the code of the n-th township, from 0."""
    return f"{COUNTY[:6]}{100 + at}000"


def _around(centre: Point) -> Ring:
    """Return a small six-sided ring, so that a site can be seen on the map."""
    x, y = centre
    r = _SITE_RADIUS_DEGREES
    steps = ((1.2, 0), (0.6, 0.9), (-0.6, 0.9), (-1.2, 0), (-0.6, -0.9), (0.6, -0.9), (1.2, 0))
    return tuple((round(x + dx * r, 5), round(y + dy * r, 5)) for dx, dy in steps)

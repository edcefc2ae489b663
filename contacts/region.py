"""The region tree: who lies inside whom.

Pure values. Codes are the national 12-digit division codes; a site (care home, school, camp) is a
child of its village or township. The tree never guesses a parent from a code: it uses the parent
that was imported (the cities 6590xx would be wrong otherwise).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class RegionLevel(StrEnum):
    """How deep a region lies in the tree."""

    PROVINCE = "province"
    """省级."""
    PREFECTURE = "prefecture"
    """地级."""
    COUNTY = "county"
    """县级."""
    TOWNSHIP = "township"
    """乡级."""
    VILLAGE = "village"
    """村级."""
    SITE = "site"
    """A place with people of its own: care home, school, camp, works."""
    ZONE = "zone"
    """A hazard zone: gully mouth, slope, river bank."""


class RegionKind(StrEnum):
    """Which of the two administrations of Xinjiang a region belongs to."""

    GOV = "gov"
    """Local government."""
    CORPS = "corps"
    """生产建设兵团: division, regiment, company."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One node of the tree. `headcount` is people at risk, 0 when unknown."""

    code: str
    parent_code: str | None
    level: RegionLevel
    name: str
    kind: RegionKind = RegionKind.GOV
    headcount: int = 0
    valid_from: date | None = None
    valid_to: date | None = None


TARGET_LEVELS = frozenset({RegionLevel.VILLAGE, RegionLevel.SITE, RegionLevel.ZONE})
"""The levels that are called one by one; those above are only selected and stand behind."""


class RegionTree:
    """Regions by code, with their children in code order."""

    def __init__(self, regions: Iterable[Region]) -> None:
        self._by_code: dict[str, Region] = {region.code: region for region in regions}
        self._children: dict[str | None, list[Region]] = {}
        for region in sorted(self._by_code.values(), key=lambda r: r.code):
            parent = region.parent_code if region.parent_code in self._by_code else None
            self._children.setdefault(parent, []).append(region)

    def __len__(self) -> int:
        return len(self._by_code)

    def __contains__(self, code: object) -> bool:
        return code in self._by_code

    def __iter__(self) -> Iterator[Region]:
        return iter(self._by_code.values())

    def __getitem__(self, code: str) -> Region:
        return self._by_code[code]

    def roots(self) -> list[Region]:
        """Regions without a parent in this tree."""
        return list(self._children.get(None, ()))

    def children(self, code: str) -> list[Region]:
        """Direct children in code order."""
        return list(self._children.get(code, ()))

    def path(self, code: str) -> tuple[Region, ...]:
        """From the root down to the region itself. Village names repeat, so show this."""
        steps = [self._by_code[code]]
        while (parent := steps[-1].parent_code) in self._by_code:
            assert parent is not None
            steps.append(self._by_code[parent])
            assert len(steps) < 20, f"the region tree has a ring at {code}"
        return tuple(reversed(steps))

    def descendants(self, code: str) -> Iterator[Region]:
        """The region and everything below it, parents before children."""
        pending = [self._by_code[code]]
        while pending:
            region = pending.pop()
            yield region
            pending.extend(reversed(self._children.get(region.code, ())))

    def targets(self, codes: Iterable[str]) -> tuple[Region, ...]:
        """The villages, sites and zones that lie in `codes`, each once, in code order.

        A selected region with nothing below it is a target itself, whatever its level: a township
        whose villages nobody imported must not vanish from the warning.
        """
        found: dict[str, Region] = {}
        for code in codes:
            for region in self.descendants(code):
                if region.level in TARGET_LEVELS or region.code not in self._children:
                    found[region.code] = region
        return tuple(found[code] for code in sorted(found))

    def common_ancestor(self, codes: Iterable[str]) -> Region:
        """The smallest region that contains all of `codes`."""
        paths = [self.path(code) for code in codes]
        common = None
        for steps in zip(*paths, strict=False):
            if any(step.code != steps[0].code for step in steps):
                break
            common = steps[0]
        return common if common is not None else paths[0][0]

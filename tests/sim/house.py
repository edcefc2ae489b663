"""The small counties that the simulation warns: their rows made once, as bytes of a database.

    seed = county(Shape(villages=(2, 1)))      migrated and filled, with everybody who lives there
    seed.lay(path)                             a fresh copy for one run, in memory

The bytes come from the real migrations and the real tables; a run copies them. It never releases
anything: that is done by the real service, in each run.
"""

import asyncio
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from contacts.directory.table import RegionRow
from tests.fakes.clock import ManualClock
from tests.fakes.county import COUNTY, County, Place, mobile
from warnsvc.store.migrate import upgrade
from warnsvc.store.sqlite import SqliteStore

MEMORY = Path("/dev/shm")
"""A file system in memory where there is one: a run writes a thousand transactions."""
SHARED = 900
"""Number of the phone that several people share."""
LONG_AGO = date(2020, 1, 1)
"""Until when somebody's duty was valid whose tier has nobody now."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a county looks like. `villages`: how many in each township."""

    villages: tuple[int, ...] = (2,)
    tiers: int = 2
    superiors: int = 1
    shared_phone: bool = False
    """The first people of the villages share one phone."""
    second_numbers: bool = False
    """Everybody in a first tier has a second number."""
    by_hand: bool = False
    """No robot may call the second tier of the first village."""
    empty_tier: bool = False
    """The last village has nobody in its second tier, but somebody in its third."""
    endpoint: bool = False
    """A loudspeaker with a web address stands in the first village's first tier."""


@dataclass(frozen=True, slots=True)
class Resident:
    """Somebody who may be called."""

    contact: int
    tier: int
    place: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seeded:
    """A county as bytes, with what is in it."""

    content: bytes
    residents: tuple[Resident, ...]
    villages: tuple[str, ...]

    def lay(self, path: Path) -> None:
        """Put a fresh copy there."""
        for leftover in (f"{path}-wal", f"{path}-shm"):
            Path(leftover).unlink(missing_ok=True)
        path.write_bytes(self.content)


def workshop() -> Path:
    """Return a folder for the databases of this process."""
    base = MEMORY if MEMORY.is_dir() else None
    return Path(tempfile.mkdtemp(prefix="warnsvc-sim-", dir=base))


@lru_cache(maxsize=64)
def county(shape: Shape) -> Seeded:
    """Return the county of this shape."""
    with ThreadPoolExecutor(1) as executor:  # There may be a loop in this thread already.
        return executor.submit(asyncio.run, _built(shape)).result()


async def _built(shape: Shape) -> Seeded:
    folder = workshop()
    path = folder / "county.sqlite3"
    try:
        path.write_bytes(await _migrated())
        store = await SqliteStore.open(path)
        made = County(store, ManualClock())
        await _populate(made, shape)
        await store.close()
        return Seeded(
            content=path.read_bytes(),
            residents=tuple(_residents([*made.villages, *made.townships])),
            villages=tuple(village.code for village in made.villages),
        )
    finally:
        shutil.rmtree(folder)


_template: list[bytes] = []


async def _migrated() -> bytes:
    if not _template:
        folder = workshop()
        await upgrade(f"sqlite:///{folder / 'template.sqlite3'}")
        _template.append((folder / "template.sqlite3").read_bytes())
        shutil.rmtree(folder)
    return _template[0]


async def _populate(made: County, shape: Shape) -> None:
    await made._add(*made._officers(), RegionRow(code=COUNTY, level="county", name="云岭县"))
    for number, many in enumerate(shape.villages, start=1):
        await _add_township(made, number, many)
    for at, village in enumerate(made.villages):
        for tier in range(1, shape.tiers + 1):
            await _appoint(made, shape, village, tier, at)
    for township in made.townships:
        for tier in range(1, shape.superiors + 1):
            await made.appoint(township, tier=tier)
    if shape.endpoint:
        await made.appoint(made.villages[0], tier=1, numbers=["https://horn.example.org/1"])


async def _add_township(made: County, number: int, villages: int) -> None:
    township = Place(f"9901{number:02d}000000", f"{number}号乡")
    places = [
        Place(f"9901{number:02d}{at:06d}", f"{number}乡{at}村", township)
        for at in range(1, villages + 1)
    ]
    made.townships.append(township)
    made.villages.extend(places)
    await made._add(
        RegionRow(code=township.code, parent_code=COUNTY, level="township", name=township.name),
        *(
            RegionRow(code=p.code, parent_code=township.code, level="village", name=p.name)
            for p in places
        ),
    )


async def _appoint(made: County, shape: Shape, village: Place, tier: int, at: int) -> None:
    numbers = None
    last = at == len(made.villages) - 1
    if shape.shared_phone and tier == 1:
        numbers = [mobile(SHARED)]
    elif shape.second_numbers and tier == 1:
        numbers = [mobile(500 + at), mobile(600 + at)]
    if shape.empty_tier and last and tier == 2:
        await made.appoint(village, tier=2, valid_to=LONG_AGO)
    robot_ok = not (shape.by_hand and at == 0 and tier == 2)
    await made.appoint(
        village,
        tier=tier + 1 if shape.empty_tier and last and tier == 2 else tier,
        numbers=numbers,
        robot_ok=robot_ok,
    )


def _residents(places: list[Place]) -> list[Resident]:
    return [
        Resident(person.id, tier, place.code, tuple(phone.address for phone in person.phones))
        for place in places
        for tier, people in sorted(place.tiers.items())
        for person in people
    ]

"""The 16,271 real regions of Xinjiang with their traps, when the file is there. Never committed."""

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from contacts.directory.boundary import import_boundaries, read_boundaries
from contacts.directory.load import load_tree
from contacts.directory.region_import import RegionDraft, import_regions, read_regions
from contacts.people import people_for
from contacts.region import RegionLevel, RegionTree
from warnsvc.store.port import Store

FOLDER = Path("/work/shared/data/regions")
FILE = FOLDER / "xinjiang.csv.gz"
BOUNDARIES = FOLDER / "xinjiang-counties.geojson"
SHA_256 = "c9b96dd89d0cc1f7818f484dc2cb269c450e58c496d2e35887567a4b7c2102d8"

pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason=f"REAL REGIONS NOT TRIED: {FILE} is not here (it is not committed)"
)


@pytest.fixture(scope="module")
def draft() -> RegionDraft:
    data = gzip.decompress(FILE.read_bytes())
    assert hashlib.sha256(data).hexdigest() == SHA_256
    return read_regions(data)


@pytest.fixture(scope="module")
def tree(draft: RegionDraft) -> RegionTree:
    return RegionTree(draft.regions.values())


def test_every_region_is_read_without_a_fault(draft: RegionDraft) -> None:
    levels = Counter(region.level for region in draft.regions.values())

    assert (draft.rows_read, draft.faults.count, draft.warnings.count) == (16_271, 0, 0)
    assert levels == {
        RegionLevel.PROVINCE: 1,
        RegionLevel.PREFECTURE: 15,
        RegionLevel.COUNTY: 110,
        RegionLevel.TOWNSHIP: 1_407,
        RegionLevel.VILLAGE: 14_738,
    }


def test_repeated_village_names_are_told_apart_by_their_path(tree: RegionTree) -> None:
    named = [region for region in tree if region.name == "一连生活区"]
    paths = {"/".join(step.name for step in tree.path(region.code)) for region in named}

    assert len(named) == len(paths) == 121


def test_the_parent_is_the_imported_one_and_not_guessed_from_the_code(tree: RegionTree) -> None:
    cities = [r for r in tree if r.code.startswith("6590") and r.level is RegionLevel.COUNTY]

    assert {city.parent_code for city in cities} == {"659000000000"}
    assert tree["654200000000"].parent_code == "650000000000"


def test_placeholder_counties_without_townships_are_targets_themselves(tree: RegionTree) -> None:
    assert [target.code for target in tree.targets(["650101000000"])] == ["650101000000"]


async def test_the_whole_tree_goes_in_in_one_unit_and_again_without_a_change(
    store: Store, draft: RegionDraft
) -> None:
    async with store.unit() as unit:
        first = await import_regions(unit, draft)
    async with store.unit() as unit:
        again = await import_regions(unit, draft)
        loaded = await load_tree(unit)

    assert (first.added, first.fault_count) == (16_271, 0)
    assert (again.added, again.changed, again.unchanged) == (0, 0, 16_271)
    assert len(loaded) == 16_271


async def test_all_107_county_boundaries_find_their_county(
    store: Store, draft: RegionDraft
) -> None:
    async with store.unit() as unit:
        await import_regions(unit, draft)
        report = await import_boundaries(unit, read_boundaries(BOUNDARIES.read_bytes()))

    assert (report.added, report.warning_count, report.fault_count) == (107, 0, 0)
    assert len(json.loads(BOUNDARIES.read_bytes())["features"]) == 107


def test_three_tiers_for_every_village_are_44_thousand_people(tree: RegionTree) -> None:
    people = people_for(tree, tiers=3)
    numbers = {contact.numbers[0].address for contact in people.contacts}

    assert len(people.contacts) == len(numbers) == 3 * 14_738

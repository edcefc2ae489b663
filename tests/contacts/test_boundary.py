"""Boundaries from GeoJSON: for the regions that exist, in a form that maps can draw."""

import json
from typing import Any

import pytest

from contacts.county import make_county
from contacts.directory.boundary import import_boundaries, load_boundaries, read_boundaries
from contacts.directory.bulk import bulk_load
from contacts.directory.report import ImportReport
from contacts.people import People
from tests.contacts.conftest import NOW
from tests.contacts.files import COUNTY, TOWN
from warnsvc.store.port import Store

SQUARE = [[168.0, 38.0], [168.1, 38.0], [168.1, 38.1], [168.0, 38.1], [168.0, 38.0]]


def feature(code: str = TOWN, kind: str = "Polygon", coordinates: Any = None) -> dict[str, Any]:
    shape = [SQUARE] if coordinates is None else coordinates
    return {
        "type": "Feature",
        "properties": {"code": code},
        "geometry": {"type": kind, "coordinates": shape},
    }


def collection(*features: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


async def run(store: Store, data: bytes) -> ImportReport:
    async with store.unit() as unit:
        return await import_boundaries(unit, read_boundaries(data))


async def test_the_county_gets_its_map_and_the_same_map_changes_nothing(store: Store) -> None:
    county = make_county()
    async with store.unit() as unit:
        await bulk_load(unit, county.regions, People(contacts=(), assignments=()), now=NOW)
    data = json.dumps(county.boundaries()).encode()

    first, again = await run(store, data), await run(store, data)

    assert (first.added, first.changed) == (len(county.rings), 0)
    assert (again.added, again.changed, again.unchanged) == (0, 0, len(county.rings))
    async with store.view() as view:
        stored = await load_boundaries(view, [COUNTY])
    assert json.loads(stored[COUNTY])["coordinates"][0] == [list(p) for p in county.rings[COUNTY]]


async def test_boundaries_of_other_regions_are_skipped_with_a_warning(county: Store) -> None:
    report = await run(county, collection(feature(), feature("650102000000")))

    assert (report.applied, report.added) == (True, 1)
    assert [(w.row, w.code, w.value_excerpt) for w in report.warnings] == [
        (2, "boundary_skipped", "650102000000")
    ]


async def test_a_six_digit_adcode_is_a_county(county: Store) -> None:
    by_adcode = {**feature(), "properties": {"adcode": 990102}}

    assert (await run(county, collection(by_adcode))).added == 1


BROKEN = [
    ("a point", feature(kind="Point", coordinates=[168.0, 38.0])),
    ("open ring", feature(coordinates=[SQUARE[:-1]])),
    ("three points", feature(coordinates=[[SQUARE[0], SQUARE[1], SQUARE[0]]])),
    ("empty", feature(coordinates=[])),
    ("empty parts", feature(kind="MultiPolygon", coordinates=[[]])),
    ("latitude first", feature(coordinates=[[[38.0, 168.0]] * 4])),
    ("text", feature(coordinates=[[["168", "38"]] * 4])),
    ("not finite", feature(coordinates=[[[float("nan"), 38.0]] * 4])),
    ("no geometry", {"properties": {"code": TOWN}, "geometry": None}),
]


@pytest.mark.parametrize("broken", [pytest.param(b, id=n) for n, b in BROKEN])
def test_a_broken_boundary_is_named_by_its_place_in_the_file(broken: dict[str, Any]) -> None:
    draft = read_boundaries(collection(feature(COUNTY), broken))

    assert [(f.row, f.code) for f in draft.faults] == [(2, "bad_geometry")]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"type":"Feature"}', b"\xff\xfe", b"[" * 100_000, b"null"]
)
def test_what_is_not_a_feature_collection_is_refused(data: bytes) -> None:
    assert [f.code for f in read_boundaries(data).faults] == ["broken_boundary_file"]


async def test_one_broken_boundary_keeps_all_of_them_out(county: Store) -> None:
    report = await run(county, collection(feature(), feature("990"), feature()))

    assert not report.applied
    assert [(f.row, f.code) for f in report.faults] == [
        (2, "bad_region_code"),
        (3, "duplicate_region"),
    ]
    async with county.view() as view:
        assert await load_boundaries(view) == {}

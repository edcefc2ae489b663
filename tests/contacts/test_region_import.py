"""Regions from files: any order, kept when unmentioned, and never half a tree."""

import pytest

from contacts.directory.load import load_tree
from contacts.directory.region_import import import_regions, read_regions
from contacts.directory.report import ImportReport
from contacts.region import Region, RegionKind, RegionLevel
from tests.contacts.files import (
    COUNTY,
    OTHER_VILLAGE,
    PROVINCE,
    REGION_HEADINGS,
    REGIONS,
    TOWN,
    VILLAGE,
    as_csv,
    as_xlsx,
    region_csv,
)
from warnsvc.store.port import Store

Named = tuple[int, str, str]

DAMAGE: list[tuple[str, list[list[str]], list[Named]]] = [
    ("no code", [["", TOWN, "村级", "甲村", ""]], [(2, "区划代码", "missing_value")]),
    ("six digits", [["990102", PROVINCE, "县级", "甲县", ""]], [(2, "区划代码", "bad_region_code")]),
    ("rounded code", [["9.90102E+11", PROVINCE, "县级", "甲县", ""]], [(2, "区划代码", "rounded_code")]),
    ("letters in the code", [["99010210020A", TOWN, "村级", "甲村", ""]], [(2, "区划代码", "bad_region_code")]),
    ("suffix of a village", [[f"{VILLAGE}-S001", VILLAGE, "村级", "甲村", ""]], [(2, "区划代码", "suffix_needs_site"), (2, "级别", "level_order")]),
    ("no level", [["990102100203", TOWN, "", "甲村", ""]], [(2, "级别", "missing_value")]),
    ("unknown level", [["990102100203", TOWN, "村庄级", "甲村", ""]], [(2, "级别", "unknown_word")]),
    ("unknown level above a village", [["990102101000", COUNTY, "乡里", "甲乡", ""], ["990102101200", "990102101000", "村级", "甲村", ""]], [(2, "级别", "unknown_word")]),
    ("no name", [["990102100203", TOWN, "村级", "", ""]], [(2, "名称", "missing_value")]),
    ("headcount in words", [["990102100203", TOWN, "村级", "甲村", "约300"]], [(2, "人口", "bad_headcount")]),
    ("headcount below zero", [["990102100203", TOWN, "村级", "甲村", "-3"]], [(2, "人口", "bad_headcount")]),
    ("half a person", [["990102100203", TOWN, "村级", "甲村", "3.5"]], [(2, "人口", "bad_headcount")]),
    ("unknown parent", [["990102100203", "990102109000", "村级", "甲村", ""]], [(2, "上级代码", "unknown_parent")]),
    ("its own parent", [["990102109000", "990102109000", "乡级", "甲乡", ""]], [(2, "上级代码", "parent_ring")]),
    (
        "a ring of three",
        [
            ["990102101000", "990102103000", "乡级", "甲乡", ""],
            ["990102102000", "990102101000", "乡级", "乙乡", ""],
            ["990102103000", "990102102000", "乡级", "丙乡", ""],
        ],
        [(2, "上级代码", "parent_ring"), (3, "上级代码", "parent_ring"), (4, "上级代码", "parent_ring")],
    ),
    ("a ring through what is stored", [[COUNTY, TOWN, "县级", "云岭县", ""]], [(2, "上级代码", "parent_ring")]),
    ("a village above a village", [["990102100203", VILLAGE, "村级", "甲村", ""]], [(2, "级别", "level_order")]),
    ("a county below a township", [["990103000000", TOWN, "县级", "甲县", ""]], [(2, "级别", "level_order")]),
    ("a parent that sinks below its children", [[TOWN, COUNTY, "村级", "云溪", ""]], [(2, "级别", "level_order"), (2, "级别", "level_order")]),
    ("duplicate code", [[VILLAGE, TOWN, "村级", "甲村", ""], [VILLAGE, TOWN, "村级", "乙村", ""]], [(3, "区划代码", "duplicate_region")]),
    ("formula as a name", [["990102100203", TOWN, "村级", "=1+1", ""]], [(2, "名称", "formula")]),
    ("direction override", [["990102100203", TOWN, "村级", "甲\u202e村", ""]], [(2, "名称", "bidi_control")]),
]  # fmt: skip


async def run(store: Store, data: bytes, *, dry_run: bool = False) -> ImportReport:
    draft = read_regions(data)
    async with store.unit() as unit:
        return await import_regions(unit, draft, dry_run=dry_run)


async def stored(store: Store) -> dict[str, Region]:
    async with store.view() as view:
        return {region.code: region for region in await load_tree(view)}


async def test_parents_may_stand_below_their_children(store: Store) -> None:
    report = await run(store, region_csv(*reversed(REGIONS)))

    tree = await stored(store)
    assert (report.added, report.changed, report.unchanged) == (5, 0, 0)
    assert tree[VILLAGE] == Region(
        code=VILLAGE, parent_code=TOWN, level=RegionLevel.VILLAGE, name="上河湾村", headcount=320
    )


async def test_the_same_regions_twice_change_nothing(county: Store) -> None:
    before = await stored(county)

    report = await run(county, region_csv(*REGIONS))

    assert (report.added, report.changed, report.unchanged) == (0, 0, 5)
    assert await stored(county) == before


async def test_changed_regions_are_updated_and_unmentioned_ones_kept(county: Store) -> None:
    site = f"{VILLAGE}-S001"

    report = await run(
        county,
        region_csv(
            [site, VILLAGE, "场所", "敬老院", "77"], [VILLAGE, TOWN, "村级", "上湾村", "300"]
        ),
    )

    tree = await stored(county)
    assert (report.added, report.changed, report.unchanged) == (1, 1, 0)
    assert (tree[VILLAGE].name, tree[VILLAGE].headcount) == ("上湾村", 300)
    assert tree[site].level is RegionLevel.SITE
    assert tree[OTHER_VILLAGE].name == "下河湾村"


async def test_a_column_that_is_not_there_keeps_what_is_stored(county: Store) -> None:
    headings = ["name", "level", "code", "parent_code"]

    report = await run(county, as_csv(headings, ["上河湾村", "village", VILLAGE, TOWN]))

    assert report.unchanged == 1
    assert (await stored(county))[VILLAGE].headcount == 320


async def test_corps_units_and_validity_are_read(county: Store) -> None:
    headings = [*REGION_HEADINGS, "类型", "生效日期", "失效日期"]
    row = ["990102111000", COUNTY, "乡级", "云岭团场", "", "兵团", "2026-01-01", "2030-12-31"]

    await run(county, as_csv(headings, row))

    region = (await stored(county))["990102111000"]
    assert region.kind is RegionKind.CORPS
    assert str(region.valid_to) == "2030-12-31"


async def test_a_county_may_hang_below_a_province_without_a_prefecture(county: Store) -> None:
    """The cities 6590xx do."""
    tree = await stored(county)

    assert tree[COUNTY].parent_code == PROVINCE


@pytest.mark.parametrize("rows", [pytest.param(d, id=n) for n, d, _ in DAMAGE])
def test_damage_never_raises(rows: list[list[str]]) -> None:
    assert read_regions(region_csv(*rows)).rows_read == len(rows)


async def test_no_damaged_region_changes_the_tree(county: Store) -> None:
    before = await stored(county)
    good = ["990102199000", COUNTY, "乡级", "好乡", "1"]

    for label, rows, faults in DAMAGE:
        report = await run(county, region_csv(*rows, good))
        named = [(fault.row, fault.column, fault.code) for fault in report.faults]
        assert sorted(named) == sorted(faults), label
        assert not report.applied, label

    assert await stored(county) == before


async def test_a_dry_run_counts_and_writes_nothing(store: Store) -> None:
    report = await run(store, region_csv(*REGIONS), dry_run=True)

    assert (report.applied, report.added) == (False, 5)
    assert await stored(store) == {}


async def test_codes_that_excel_keeps_as_numbers_are_read(store: Store) -> None:
    rows = [[int(row[0]), int(row[1]) if row[1] else "", *row[2:]] for row in REGIONS]

    report = await run(store, as_xlsx(REGION_HEADINGS, *rows))

    assert report.added == 5, report.faults

"""Forty kinds of damaged contact lists: every faulty row is named, and nothing is imported by half."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from contacts.directory.contact_draft import read_contacts
from contacts.directory.contact_import import import_contacts
from contacts.directory.fault import EXCERPT_CHARS_MAX, FAULTS_LISTED_MAX, Fault
from contacts.directory.region_import import import_regions, read_regions
from contacts.directory.report import ImportReport
from tests.contacts.files import (
    CONTACT_HEADINGS,
    REGIONS,
    as_csv,
    as_xlsx,
    contact,
    contact_csv,
    region_csv,
)
from warnsvc.store.port import Store

NOW = datetime(2026, 7, 1, tzinfo=UTC)
Named = tuple[int, str, str]
"""Row, heading and code of a fault."""


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One damaged row: the cells that are changed, and what must be said about them."""

    label: str
    cells: dict[str, str]
    faults: tuple[tuple[str, str], ...]
    """(heading, code) pairs, all in this row."""


ROW_DAMAGE = [
    Damage(label="missing name", cells={"姓名": " "}, faults=(("姓名", "missing_value"),)),
    Damage(label="name too long", cells={"姓名": "张" * 81}, faults=(("姓名", "text_too_long"),)),
    Damage(label="10 MB cell", cells={"单位": "x" * 10_000_000}, faults=(("单位", "cell_too_long"),)),
    Damage(label="NUL", cells={"姓名": "张\x00三"}, faults=(("姓名", "control_character"),)),
    Damage(label="line break", cells={"单位": "云溪\n镇"}, faults=(("单位", "control_character"),)),
    Damage(label="bidi override", cells={"姓名": "张\u202e三"}, faults=(("姓名", "bidi_control"),)),
    Damage(label="bidi in a phone", cells={"电话": "\u202e00083100831"}, faults=(("电话", "phone_letters"),)),
    Damage(label="formula =", cells={"职务": '=HYPERLINK("x")'}, faults=(("职务", "formula"),)),
    Damage(label="formula +", cells={"单位": "+cmd|' /C calc'!A0"}, faults=(("单位", "formula"),)),
    Damage(label="formula -", cells={"单位": "-2+3+cmd"}, faults=(("单位", "formula"),)),
    Damage(label="formula @", cells={"角色": "@SUM(1)"}, faults=(("角色", "formula"),)),
    Damage(label="formula TAB", cells={"角色": "\t村支书"}, faults=(("角色", "formula"),)),
    Damage(label="formula CR", cells={"角色": "\r村支书"}, faults=(("角色", "formula"),)),
    Damage(label="full-width formula", cells={"单位": "＝1+1"}, faults=(("单位", "formula"),)),
    Damage(label="garbled", cells={"姓名": "张\ufffd"}, faults=(("姓名", "garbled"),)),
    Damage(label="bad key", cells={"编号": "A 1/2"}, faults=(("编号", "bad_key"),)),
    Damage(label="rounded phone", cells={"电话": "1.38E+10"}, faults=(("电话", "phone_float"),)),
    Damage(label="decimal phone", cells={"电话": "13800138000.0"}, faults=(("电话", "phone_float"),)),
    Damage(label="two phones", cells={"电话": "13800138000、13900139000"}, faults=(("电话", "phone_several"),)),
    Damage(label="short phone", cells={"电话": "1380013800"}, faults=(("电话", "phone_too_short"),)),
    Damage(label="long phone", cells={"电话2": "138001380000"}, faults=(("电话2", "phone_too_long"),)),
    Damage(label="no area code", cells={"电话": "6888888"}, faults=(("电话", "phone_area_code_missing"),)),
    Damage(label="extension", cells={"电话": "0990-6888888转801"}, faults=(("电话", "phone_extension"),)),
    Damage(label="hotline", cells={"电话": "4008001234"}, faults=(("电话", "phone_service"),)),
    Damage(label="short number", cells={"电话": "12379"}, faults=(("电话", "phone_short_number"),)),
    Damage(label="no operator", cells={"电话": "19412345678"}, faults=(("电话", "phone_unassigned"),)),
    Damage(label="invented", cells={"电话": "15412345678"}, faults=(("电话", "phone_invented"),)),
    Damage(label="no number at all", cells={"电话": "-", "电话2": "无"}, faults=(("", "no_number"),)),
    Damage(label="webhook http", cells={"回调地址": "http://a.example/"}, faults=(("回调地址", "bad_webhook"),)),
    Damage(label="webhook login", cells={"回调地址": "https://a:b@c.example/"}, faults=(("回调地址", "bad_webhook"),)),
    Damage(label="webhook port", cells={"回调地址": "https://a.example:99999/"}, faults=(("回调地址", "bad_webhook"),)),
    Damage(label="unknown language", cells={"语言": "火星语"}, faults=(("语言", "unknown_word"),)),
    Damage(label="robot flag", cells={"允许机器呼叫": "也许"}, faults=(("允许机器呼叫", "unknown_word"),)),
    Damage(label="rounded code", cells={"区划代码": "9.90102E+11"}, faults=(("区划代码", "rounded_code"),)),
    Damage(label="short code", cells={"区划代码": "990102"}, faults=(("区划代码", "bad_region_code"),)),
    Damage(label="tier 0", cells={"层级": "0"}, faults=(("层级", "bad_tier"),)),
    Damage(label="tier 10", cells={"层级": "10"}, faults=(("层级", "bad_tier"),)),
    Damage(label="tier in words", cells={"层级": "第一"}, faults=(("层级", "bad_tier"),)),
    Damage(label="region without tier", cells={"层级": ""}, faults=(("层级", "half_a_duty"),)),
    Damage(label="tier without region", cells={"区划代码": ""}, faults=(("区划代码", "half_a_duty"),)),
    Damage(label="unknown hazard", cells={"灾种": "11B03，地狱"}, faults=(("灾种", "unknown_hazard"),)),
    Damage(label="no such day", cells={"生效日期": "2026-02-30"}, faults=(("生效日期", "bad_date"),)),
    Damage(label="American date", cells={"生效日期": "5/1/2026"}, faults=(("生效日期", "bad_date"),)),
    Damage(label="date as number", cells={"失效日期": "46143"}, faults=(("失效日期", "date_is_number"),)),
    Damage(
        label="dates reversed",
        cells={"生效日期": "2026年5月1日", "失效日期": "2026-04-30"},
        faults=(("失效日期", "dates_reversed"),),
    ),
    Damage(
        label="several faults in one row",
        cells={"姓名": "", "电话": "880", "层级": "x", "语言": "?"},
        faults=(
            ("姓名", "missing_value"),
            ("电话", "phone_too_short"),
            ("层级", "bad_tier"),
            ("语言", "unknown_word"),
        ),
    ),
]  # fmt: skip


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return packed.getvalue()


def bomb(members: dict[str, bytes]) -> bytes:
    return zipped({"xl/workbook.xml": b"<workbook/>", **members})


def good_xlsx() -> bytes:
    return as_xlsx(CONTACT_HEADINGS, contact())


def with_part(change: Callable[[str, bytes], bytes]) -> bytes:
    """A good workbook whose parts were changed."""
    source = zipfile.ZipFile(io.BytesIO(good_xlsx()))
    return zipped({name: change(name, source.read(name)) for name in source.namelist()})


def in_sheet(old: bytes, new: bytes) -> bytes:
    return with_part(lambda name, body: body.replace(old, new) if "sheet1" in name else body)


def without(*headings: str) -> bytes:
    kept = [at for at, heading in enumerate(CONTACT_HEADINGS) if heading not in headings]
    rows = (CONTACT_HEADINGS, contact())
    return as_csv(*([row[at] for at in kept] for row in rows))


FILE_DAMAGE: list[tuple[str, bytes, list[Named]]] = [
    ("empty file", b"", [(0, "", "empty_file")]),
    ("nothing but spaces", b"\xef\xbb\xbf \r\n \r\n", [(0, "", "empty_file")]),
    ("headings only", contact_csv(), [(0, "", "no_rows")]),
    ("blank rows only", contact_csv([], [" ", ""], []), [(0, "", "no_rows")]),
    ("no headings", as_csv(contact()), [(0, "", "no_header")]),
    ("too large", b"x" * (20 * 1024 * 1024 + 1), [(0, "", "file_too_big")]),
    ("PDF", b"%PDF-1.7 ...", [(0, "", "not_a_table")]),
    ("web page", b"<!DOCTYPE html><html>", [(0, "", "not_a_table")]),
    ("old .xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), [(0, "", "old_excel")]),
    ("Big5", "編號,姓名,電話,區劃代碼,層級\r\n甲,張三豐,1,2,3\r\n".encode("big5"), [(0, "", "wrong_encoding")]),
    ("UTF-8 cut inside a character", contact_csv(contact())[:-3] + "村".encode()[:2], [(0, "", "wrong_encoding")]),
    ("open quotation mark", contact_csv(contact()) + b'A2,"\xe5\xbc\xa0,x\r\nA3,y\r\n', [(3, "", "broken_quotes")]),
    ("ragged: short", contact_csv(contact(), ["A2", "李四"]), [(3, "", "ragged_row")]),
    ("ragged: long", contact_csv(contact(), [*contact(编号="A2"), "多", "余"]), [(3, "", "ragged_row")]),
    ("missing column", without("姓名"), [(0, "姓名", "missing_column")]),
    ("missing columns", without("层级", "区划代码"), [(0, "区划代码", "missing_column"), (0, "层级", "missing_column")]),
    ("no number column", without("电话", "电话2", "回调地址"), [(0, "电话", "missing_column"), (2, "", "no_number")]),
    ("double column", as_csv([*CONTACT_HEADINGS, "phone"], [*contact(), "13900139000"]), [(0, "phone", "duplicate_column")]),
    ("too many columns", as_csv([*CONTACT_HEADINGS, *["备注"] * 60], contact()), [(0, "", "too_many_columns")]),
    ("a line of separators", as_csv(CONTACT_HEADINGS) + b"," * 1_000_000, [(0, "", "too_many_columns")]),
    ("too many rows", as_csv(CONTACT_HEADINGS) + b"\n" * 200_001, [(0, "", "too_many_rows")]),
    ("a zip, not a workbook", zipped({"readme.txt": b"hello"}), [(0, "", "not_a_table")]),
    ("broken workbook", good_xlsx()[:-200], [(0, "", "broken_workbook")]),
    ("flipped bytes in a workbook", good_xlsx()[:700] + b"\x00\xff\x00" + good_xlsx()[703:], [(0, "", "broken_workbook")]),
    ("zip bomb by ratio", bomb({"xl/worksheets/sheet1.xml": bytes(20_000_000)}), [(0, "", "unsafe_workbook")]),
    ("zip bomb by size", bomb({f"{i}.xml": bytes(1_000_000) for i in range(60)}), [(0, "", "unsafe_workbook")]),
    ("zip bomb by count", bomb({f"{i}.xml": b"" for i in range(201)}), [(0, "", "unsafe_workbook")]),
    ("DOCTYPE", in_sheet(b"<worksheet", b'<!DOCTYPE a [<!ENTITY b "c">]><worksheet'), [(0, "", "unsafe_workbook")]),
    ("a cell at the far corner", in_sheet(b'r="A2"', b'r="XFD200001"'), [(0, "", "too_many_columns")]),
    ("a cell at the last row", in_sheet(b'r="A2"', b'r="A1048576"'), [(0, "", "too_many_rows")]),
    ("formula in a workbook", as_xlsx(CONTACT_HEADINGS, contact(单位="=A1")), [(2, "单位", "formula_cell")]),
    ("error value in a workbook", in_sheet(b't="s"><v>16<', b't="e"><v>#REF!<'), [(2, "姓名", "error_cell")]),
    ("decimal phone in a workbook", as_xlsx(CONTACT_HEADINGS, [*contact()[:4], 13800138000.5, *contact()[5:]]), [(2, "电话", "phone_float")]),
    ("merged cells", as_xlsx(CONTACT_HEADINGS, contact(), contact(编号="A2"), merged=["C2:C3"]), [(2, "", "merged_cells")]),
]  # fmt: skip


def named(faults: tuple[Fault, ...]) -> list[Named]:
    return [(fault.row, fault.column, fault.code) for fault in faults]


@pytest.mark.parametrize("damage", ROW_DAMAGE, ids=lambda damage: damage.label)
def test_a_damaged_row_is_named_with_its_column(damage: Damage) -> None:
    damaged = contact(**{"编号": "A2", **damage.cells})

    draft = read_contacts(contact_csv(contact(), damaged, contact(编号="A3", 层级="2")))

    assert sorted(named(draft.faults.listed())) == sorted((3, *fault) for fault in damage.faults)


@pytest.mark.parametrize(
    ("data", "faults"), [(d, f) for _, d, f in FILE_DAMAGE], ids=[n for n, _, _ in FILE_DAMAGE]
)
def test_a_damaged_file_is_refused_by_name(data: bytes, faults: list[Named]) -> None:
    draft = read_contacts(data)

    assert named(draft.faults.listed()) == faults


def test_a_workbook_is_utf_8_whatever_its_parts_declare() -> None:
    """What is checked and what is read must be decoded alike."""
    data = with_part(lambda _, body: body.replace(b"UTF-8", b"cp037"))

    draft = read_contacts(data)

    assert (draft.faults.count, draft.people[0].name) == (0, "张三")


def all_kinds_in_one_file() -> tuple[bytes, list[Named]]:
    rows, expected = [contact()], []
    for number, damage in enumerate(ROW_DAMAGE, start=3):
        rows.append(contact(**{"编号": f"B{number}", "姓名": f"李{number}", **damage.cells}))
        expected += [(number, *fault) for fault in damage.faults]
    last = len(rows) + 1
    rows += [
        contact(),
        contact(姓名="别人", 层级="2"),
        contact(编号="C1", 区划代码="990102109999"),
        ["短"],
        contact(编号="C2", 层级="3"),
    ]
    expected += [
        (last + 1, "区划代码", "duplicate_duty"),
        (last + 2, "姓名", "contact_conflict"),
        (last + 3, "区划代码", "unknown_region"),
        (last + 4, "", "ragged_row"),
    ]
    return contact_csv(*rows), expected


@pytest.mark.parametrize(
    ("column", "other"),
    [("姓名", "别人"), ("电话", "13900139000"), ("语言", "ug"), ("允许机器呼叫", "否")],
)
def test_rows_of_one_person_must_agree_in_what_decides_whether_he_is_reached(
    column: str, other: str
) -> None:
    data = contact_csv(contact(), contact(编号="A9"), contact(层级="2", **{column: other}))

    (fault,) = read_contacts(data).faults

    assert (fault.row, fault.column, fault.code) == (4, column, "contact_conflict")
    assert "第 2 行" in fault.zh
    assert column in fault.zh


async def snapshot(store: Store) -> list[list[tuple[object, ...]]]:
    async with store.view() as view:
        return [
            [tuple(row) for row in await view.fetch(f"SELECT * FROM {table} ORDER BY id")]
            for table in ("contact", "contact_number", "assignment")
        ]


async def attempt(store: Store, data: bytes, *, dry_run: bool = False) -> ImportReport:
    draft = read_contacts(data)
    async with store.unit() as unit:
        return await import_contacts(unit, draft, now=NOW, dry_run=dry_run)


@pytest.fixture
async def county(store: Store) -> Store:
    """A store with regions and one contact."""
    async with store.unit() as unit:
        await import_regions(unit, read_regions(region_csv(*REGIONS)))
    report = await attempt(store, contact_csv(contact(编号="OLD", 电话="13700137000")))
    assert report.applied
    return store


async def test_no_damage_is_imported_by_half(county: Store) -> None:
    """Each damaged row stands between two good ones; neither of those may come in."""
    before = await snapshot(county)

    for damage in ROW_DAMAGE:
        damaged = contact(**{"编号": "A2", **damage.cells})
        report = await attempt(county, contact_csv(contact(), damaged, contact(编号="A3")))
        assert not report.applied, damage.label
        assert report.fault_count == len(damage.faults), damage.label
    for label, data, faults in FILE_DAMAGE:
        report = await attempt(county, data)
        assert not report.applied, label
        assert named(report.faults) == faults, label

    assert await snapshot(county) == before


async def test_one_file_with_every_kind_of_damage_lists_them_all(county: Store) -> None:
    before = await snapshot(county)
    data, expected = all_kinds_in_one_file()

    report = await attempt(county, data)

    assert sorted(named(report.faults)) == sorted(expected)
    assert (report.applied, report.added, report.changed) == (False, 0, 0)
    assert [fault.row for fault in report.faults] == sorted(fault.row for fault in report.faults)
    assert await snapshot(county) == before


async def test_a_dry_run_says_the_same_and_touches_nothing(county: Store) -> None:
    before = await snapshot(county)
    data, _ = all_kinds_in_one_file()
    good = contact_csv(contact(), contact(编号="A2", 姓名="李四", 电话="13900139000"))

    wrong_dry, wrong = await attempt(county, data, dry_run=True), await attempt(county, data)
    good_dry = await attempt(county, good, dry_run=True)

    assert wrong_dry.faults == wrong.faults
    assert (good_dry.dry_run, good_dry.applied, good_dry.added) == (True, False, 2)
    assert await snapshot(county) == before
    assert (await attempt(county, good)).added == 2


def test_five_hundred_faults_are_listed_and_the_rest_counted() -> None:
    rows = [contact(编号=f"K{number}", 层级="x") for number in range(FAULTS_LISTED_MAX + 234)]

    draft = read_contacts(contact_csv(*rows))

    assert len(draft.faults.listed()) == FAULTS_LISTED_MAX
    assert draft.faults.count == FAULTS_LISTED_MAX + 234


def test_faults_say_what_to_do_and_show_no_full_number() -> None:
    data, _ = all_kinds_in_one_file()

    for fault in read_contacts(data).faults:
        assert any("\u4e00" <= char <= "\u9fff" for char in fault.zh)
        assert fault.en.isprintable()
        assert "{" not in fault.zh + fault.en
        assert len(fault.value_excerpt) <= EXCERPT_CHARS_MAX * 6 + 1
        assert fault.value_excerpt.isprintable()
        if fault.column.startswith("电话"):
            assert not any(
                run in fault.value_excerpt for run in ("13800138000", "0990-6888888", "15412345678")
            )


def test_a_fault_of_an_xlsx_names_the_row_that_the_spreadsheet_shows() -> None:
    title = ["云岭县责任人名单"]
    blank: list[str] = []
    data = as_xlsx(title, blank, CONTACT_HEADINGS, contact(), blank, contact(编号="A2", 层级="x"))

    assert named(read_contacts(data).faults.listed()) == [(6, "层级", "bad_tier")]

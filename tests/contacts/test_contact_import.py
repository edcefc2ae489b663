"""Good lists: who is the same person, what changes, what stays."""

from datetime import UTC, date, datetime

from contacts.assignment import Assignment
from contacts.contact import Contact, ContactKind, Number, NumberKind
from contacts.directory.contact_draft import read_contacts
from contacts.directory.contact_import import import_contacts
from contacts.directory.load import load_assignments, load_contacts
from contacts.directory.report import ImportReport
from tests.contacts.conftest import ImportContacts, Roster
from tests.contacts.files import (
    CONTACT_HEADINGS,
    OTHER_VILLAGE,
    TOWN,
    VILLAGE,
    as_csv,
    as_xlsx,
    contact,
    contact_csv,
)
from warnsvc.store.port import Store

LATER = datetime(2026, 7, 2, tzinfo=UTC)
HAZARDS = {"11b03": "11B03", "暴雨": "11B03", "11b37": "11B37", "地质灾害": "11B37"}


async def everybody(store: Store) -> list[Contact]:
    async with store.view() as view:
        return list((await load_contacts(view)).values())


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed


async def test_a_row_becomes_a_contact_with_ranked_numbers_and_a_duty(county: Store) -> None:
    row = contact(
        电话="0990-6888888", 电话2="138 0013 8000", 回调地址="https://speaker.example/1",
        语言="维吾尔语", 允许机器呼叫="否", 灾种="暴雨、地质灾害", 生效日期="2026年5月1日",
        失效日期="2026/9/30",
    )  # fmt: skip
    draft = read_contacts(contact_csv(row), hazards=HAZARDS)

    async with county.unit() as unit:
        await import_contacts(unit, draft, now=LATER)

    (person,) = await everybody(county)
    assert person == Contact(
        id=person.id,
        key="A1",
        name="张三",
        post="村支书",
        unit="上河湾村",
        language="ug",
        robot_ok=False,
        numbers=(
            Number(rank=1, kind=NumberKind.LANDLINE, address="+869906888888"),
            Number(rank=2, kind=NumberKind.MOBILE, address="+8613800138000"),
            Number(rank=3, kind=NumberKind.WEBHOOK, address="https://speaker.example/1"),
        ),
    )
    async with county.view() as view:
        assert await load_assignments(view) == [
            Assignment(
                contact_id=person.id,
                region_code=VILLAGE,
                tier=1,
                role="村支书",
                hazards=frozenset({"11B03", "11B37"}),
                valid_from=date(2026, 5, 1),
                valid_to=date(2026, 9, 30),
            )
        ]


def test_a_national_code_that_no_table_has_is_taken() -> None:
    """Two numberings are in use; a word that is neither code nor name is refused."""
    data = contact_csv(contact(灾种="11a54,暴雨"), contact(编号="A2", 灾种="11B03 大洪水"))

    draft = read_contacts(data, hazards=HAZARDS)

    assert draft.people[0].duties[0].hazards == "11A54,11B03"
    assert [(f.row, f.code) for f in draft.faults] == [(3, "unknown_hazard")]


def test_a_number_without_a_country_code_lies_where_the_caller_says() -> None:
    (person,) = read_contacts(contact_csv(contact(电话="8 701 234 5678")), country="KZ").people

    assert person.numbers == ((NumberKind.MOBILE, "+77012345678"),)


async def test_several_rows_of_one_person_are_one_contact(
    import_list: ImportContacts, county: Store, roster: Roster
) -> None:
    """By key, and without one by name and first number, also beside rows that have it."""
    report = await import_list(
        contact_csv(
            contact(),
            contact(区划代码=OTHER_VILLAGE, 电话="", 语言="", 单位=""),
            contact(编号="", 区划代码=TOWN, 层级="3", 角色="网格员"),
            contact(编号="", 姓名="李　四", 电话="13900139000"),
            contact(编号="", 姓名="李四", 电话="139-0013-9000", 层级="2"),
        )
    )

    assert counts(report) == (2, 0, 0, 0)
    assert {person.name for person in await everybody(county)} == {"张三", "李四"}
    assert await roster() == [
        ("张三", TOWN, 3, "网格员"),
        ("张三", VILLAGE, 1, "村支书"),
        ("张三", OTHER_VILLAGE, 1, "村支书"),
        ("李四", VILLAGE, 1, "村支书"),
        ("李四", VILLAGE, 2, "村支书"),
    ]


async def test_the_same_file_twice_changes_nothing(
    import_list: ImportContacts, county: Store
) -> None:
    data = contact_csv(
        contact(),
        contact(区划代码=OTHER_VILLAGE),
        contact(编号="", 姓名="李四", 电话="0990-6888888"),
    )
    await import_list(data)
    before = await everybody(county)

    again = await import_list(data, now=LATER)

    assert counts(again) == (0, 0, 2, 0)
    assert await everybody(county) == before
    async with county.view() as view:
        rows = await view.fetch("SELECT updated_at FROM contact")
    assert LATER not in {row[0] for row in rows}


async def test_a_changed_row_updates_its_contact_alone(
    import_list: ImportContacts, county: Store
) -> None:
    other = contact(编号="A2", 姓名="李四", 电话="13900139000")
    await import_list(contact_csv(contact(), other))
    ids = {person.key: person.id for person in await everybody(county)}

    report = await import_list(
        contact_csv(contact(姓名="张三丰", 电话="13700137000", 电话2="13800138000"), other),
        now=LATER,
    )

    assert counts(report) == (0, 1, 1, 0)
    people = {person.key: person for person in await everybody(county)}
    assert {key: person.id for key, person in people.items()} == ids
    assert people["A1"].name == "张三丰"
    assert [n.address for n in people["A1"].numbers] == ["+8613700137000", "+8613800138000"]
    async with county.view() as view:
        rows = await view.fetch("SELECT key FROM contact WHERE updated_at = $1", LATER)
    assert [row[0] for row in rows] == ["A1"]


async def test_a_duty_that_changed_makes_its_contact_changed(
    import_list: ImportContacts, roster: Roster, county: Store
) -> None:
    await import_list(contact_csv(contact()))

    dated = await import_list(contact_csv(contact(失效日期="2026-12-31", 灾种="11B03")))
    moved = await import_list(contact_csv(contact(失效日期="2026-12-31", 灾种="11B03", 层级="2")))

    assert counts(dated) == counts(moved) == (0, 1, 0, 0)
    assert await roster() == [("张三", VILLAGE, 1, "村支书"), ("张三", VILLAGE, 2, "村支书")]
    async with county.view() as view:
        duties = await load_assignments(view)
    assert {duty.valid_to for duty in duties} == {date(2026, 12, 31)}


async def test_contacts_and_duties_that_the_file_does_not_mention_stay(
    import_list: ImportContacts, roster: Roster
) -> None:
    await import_list(contact_csv(contact(), contact(编号="A2", 姓名="李四", 电话="13900139000")))

    await import_list(contact_csv(contact(区划代码=OTHER_VILLAGE)))

    assert await roster() == [
        ("张三", VILLAGE, 1, "村支书"),
        ("张三", OTHER_VILLAGE, 1, "村支书"),
        ("李四", VILLAGE, 1, "村支书"),
    ]


async def test_a_complete_list_ends_the_other_duties_of_its_regions_only(
    import_list: ImportContacts, roster: Roster
) -> None:
    """The new secretary must not leave the old one in tier 1 for ever."""
    await import_list(
        contact_csv(
            contact(),
            contact(层级="3", 角色="网格员"),
            contact(编号="A2", 姓名="李四", 电话="13900139000", 区划代码=OTHER_VILLAGE),
        )
    )

    report = await import_list(
        contact_csv(
            contact(编号="A3", 姓名="王五", 电话="13700137000"),
            contact(层级="3", 角色="网格员"),
        ),
        complete=True,
    )

    assert counts(report) == (1, 1, 0, 1)
    assert await roster() == [
        ("张三", VILLAGE, 3, "网格员"),
        ("李四", OTHER_VILLAGE, 1, "村支书"),
        ("王五", VILLAGE, 1, "村支书"),
    ]


async def test_a_column_that_the_file_does_not_have_changes_nothing(
    import_list: ImportContacts, county: Store
) -> None:
    await import_list(
        contact_csv(contact(语言="ug", 允许机器呼叫="否", 灾种="11B03", 失效日期="2026-12-31"))
    )
    before = await everybody(county)

    narrow = as_csv(
        ["姓名", "编号", "电话", "区划代码", "层级"], ["张三", "A1", "13800138000", VILLAGE, "1"]
    )
    report = await import_list(narrow)

    assert counts(report) == (0, 0, 1, 0)
    assert await everybody(county) == before


async def test_an_empty_cell_means_the_default(import_list: ImportContacts, county: Store) -> None:
    await import_list(contact_csv(contact(语言="ug", 允许机器呼叫="否", 职务="村支书")))

    await import_list(contact_csv(contact(语言="", 允许机器呼叫="", 职务="")))

    (person,) = await everybody(county)
    assert (person.language, person.robot_ok, person.post) == ("zh", True, "")


async def test_a_key_that_is_given_later_is_taken_over(
    import_list: ImportContacts, county: Store
) -> None:
    await import_list(contact_csv(contact(编号="")))
    (before,) = await everybody(county)

    named = await import_list(contact_csv(contact(编号="A1")))
    unnamed = await import_list(contact_csv(contact(编号="")))

    (after,) = await everybody(county)
    assert before.key.startswith("auto-")
    assert "138" not in before.key
    assert (after.id, after.key) == (before.id, "A1")
    assert (counts(named), counts(unnamed)) == ((0, 1, 0, 0), (0, 0, 1, 0))


async def test_two_keys_are_two_people_even_with_one_name_and_one_phone(
    import_list: ImportContacts, county: Store
) -> None:
    await import_list(contact_csv(contact()))

    report = await import_list(contact_csv(contact(编号="B9")))

    assert len(await everybody(county)) == 2
    assert [warning.code for warning in report.warnings] == ["shared_number"]
    assert "13800138000" not in str(report.warnings)


async def test_a_number_keeps_its_failure_until_it_is_mended(
    import_list: ImportContacts, county: Store
) -> None:
    await import_list(contact_csv(contact(电话2="13900139000")))
    async with county.unit() as unit:
        await unit.execute("UPDATE contact_number SET failed_at = $1", LATER)

    await import_list(contact_csv(contact(电话="13900139000", 电话2="13700137000")))

    (person,) = await everybody(county)
    assert [(n.address, n.failed) for n in person.numbers] == [
        ("+8613900139000", True),
        ("+8613700137000", False),
    ]


async def test_somebody_who_was_taken_out_of_use_comes_back_with_a_warning(
    import_list: ImportContacts, county: Store
) -> None:
    await import_list(contact_csv(contact()))
    async with county.unit() as unit:
        await unit.execute("UPDATE contact SET active = $1", False)
    assert await everybody(county) == []

    report = await import_list(contact_csv(contact()))

    assert len(await everybody(county)) == 1
    assert [(w.row, w.code) for w in report.warnings] == [(2, "reactivated")]


async def test_an_address_alone_is_an_endpoint(import_list: ImportContacts, county: Store) -> None:
    await import_list(
        contact_csv(contact(姓名="大喇叭", 电话="", 回调地址="https://speaker.example/1"))
    )

    (speaker,) = await everybody(county)
    assert speaker.kind is ContactKind.ENDPOINT


async def test_warnings_do_not_stop_an_import(import_list: ImportContacts, county: Store) -> None:
    data = as_csv(
        [*CONTACT_HEADINGS, "备注"],
        [*contact(电话2="138-0013-8000"), "x"],
        [*contact(区划代码=OTHER_VILLAGE, 职务="包村干部"), ""],
        [*contact(编号="A2", 姓名="李四", 区划代码="", 层级="", 角色=""), ""],
    )

    report = await import_list(data)

    assert report.applied
    assert [(w.row, w.column, w.code) for w in report.warnings] == [
        (0, "备注", "unknown_column"),
        (2, "电话2", "repeated_number"),
        (3, "职务", "first_kept"),
        (4, "", "no_duty"),
        (4, "", "shared_number"),
    ]
    assert {person.post for person in await everybody(county)} == {"村支书"}


async def test_invented_numbers_come_in_only_for_the_demo(county: Store) -> None:
    data = contact_csv(contact(电话="154-0000-0001", 回调地址="http://127.0.0.1:8091/speakers/1"))

    real = read_contacts(data)
    demo = read_contacts(data, demo=True)

    assert [f.code for f in real.faults] == ["phone_invented", "bad_webhook"]
    assert not demo.faults
    assert [w.code for w in demo.warnings] == ["invented_numbers"]


async def test_an_xlsx_with_numbers_and_dates_as_excel_stores_them_is_read(
    import_list: ImportContacts, county: Store
) -> None:
    row: list[object] = [*contact(编号="")]
    row[CONTACT_HEADINGS.index("电话")] = 13800138000
    row[CONTACT_HEADINGS.index("电话2")] = 9906888888
    row[CONTACT_HEADINGS.index("区划代码")] = int(VILLAGE)
    row[CONTACT_HEADINGS.index("层级")] = 2

    report = await import_list(as_xlsx(["云岭县责任人名单"], CONTACT_HEADINGS, row))

    assert report.applied, report.faults
    (person,) = await everybody(county)
    assert [n.address for n in person.numbers] == ["+8613800138000", "+869906888888"]


async def test_progress_is_told_to_the_end(county: Store) -> None:
    seen: list[tuple[int, int]] = []
    rows = [contact(编号=f"K{n}", 电话=str(13800000000 + n)) for n in range(1200)]

    draft = read_contacts(contact_csv(*rows), progress=lambda *at: seen.append(at))
    async with county.unit() as unit:
        await import_contacts(unit, draft, now=LATER, progress=lambda *at: seen.append(at))

    assert seen[:3] == [(500, 1200), (1000, 1200), (1200, 1200)]
    assert seen[3:] == [(step, 5) for step in range(1, 6)]

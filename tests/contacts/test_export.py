"""What is exported can be imported again and changes nothing; no program runs what is in it."""

import io
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from contacts.assignment import Assignment
from contacts.contact import Contact, ContactKind, Number, NumberKind
from contacts.county import make_county
from contacts.directory.contact_draft import read_contacts
from contacts.directory.contact_import import import_contacts
from contacts.directory.export import as_csv, as_xlsx, contact_table, region_table
from contacts.directory.load import load_assignments, load_contacts, load_tree
from contacts.directory.region_import import import_regions, read_regions
from warnsvc.store.port import Store

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_the_county_goes_round_without_a_change(
    store: Store, language: str, form: str
) -> None:
    """The demo loads itself in the same way: through the importer."""
    county = make_county()
    pack = as_csv if form == "csv" else lambda table: as_xlsx(table, sheet="list")
    contacts = {contact.id: contact for contact in county.people.contacts}
    first_regions = read_regions(pack(region_table(county.regions, language=language)))
    first_contacts = read_contacts(
        pack(contact_table(contacts, county.people.assignments, language=language)), demo=True
    )
    async with store.unit() as unit:
        added = await import_regions(unit, first_regions)
        hired = await import_contacts(unit, first_contacts, now=NOW)
    async with store.view() as view:
        tree = await load_tree(view)
        loaded = await load_contacts(view)
        duties = await load_assignments(view)

    again_regions = read_regions(pack(region_table(tree, language=language)))
    again_contacts = read_contacts(
        pack(contact_table(loaded, duties, language=language)), demo=True
    )
    async with store.unit() as unit:
        kept = await import_regions(unit, again_regions)
        stayed = await import_contacts(unit, again_contacts, now=NOW, complete=True)

    assert (added.added, hired.added) == (len(county.regions), len(contacts))
    assert (kept.added, kept.changed, kept.unchanged) == (0, 0, len(county.regions))
    assert (stayed.added, stayed.changed, stayed.removed) == (0, 0, 0)
    assert set(tree) == set(county.regions)
    assert [c.name for c in loaded.values()] == [c.name for c in county.people.contacts]
    assert len(duties) == len(county.people.assignments)


words = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12
) | st.sampled_from(
    ["=1+1", "@x", "+cmd", "-1", "-", "无", "'=1", "''-", '"', "a,b", "＝x", "张三"]
)
numbers = st.lists(
    st.sampled_from(
        [
            (NumberKind.MOBILE, "+8613800138000"),
            (NumberKind.LANDLINE, "+869906888888"),
            (NumberKind.MOBILE, "+85291234567"),
        ]
    ),
    min_size=1,
    max_size=3,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(name=words, unit=words, role=words, ranked=numbers, robot_ok=st.booleans())
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_any_words_survive_the_way_out_and_in(
    form: str, name: str, unit: str, role: str, ranked: list, robot_ok: bool
) -> None:
    import unicodedata

    name, unit, role = (unicodedata.normalize("NFC", text) for text in (name, unit, role))
    person = Contact(
        id=7, key="A1", name=name, unit=unit, robot_ok=robot_ok, language="ug",
        numbers=tuple(Number(rank=i, kind=k, address=a) for i, (k, a) in enumerate(ranked, 1)),
    )  # fmt: skip
    duty = Assignment(
        contact_id=7, region_code="990102100201", tier=2, role=role,
        hazards=frozenset({"11B03", "11A51"}), valid_from=date(2026, 5, 1),
    )  # fmt: skip

    table = contact_table({7: person}, [duty])
    draft = read_contacts(as_csv(table) if form == "csv" else as_xlsx(table, sheet="名单"))

    assert not draft.faults, draft.faults.listed()
    (read,) = draft.people
    assert (read.name, read.unit, read.robot_ok, read.language) == (name, unit, robot_ok, "ug")
    assert read.numbers == tuple(ranked)
    (read_duty,) = read.duties
    assert (read_duty.role, read_duty.hazards, read_duty.valid_from) == (
        role, "11A51,11B03", date(2026, 5, 1),
    )  # fmt: skip


def test_no_cell_of_an_export_runs_as_a_formula() -> None:
    evil = Contact(
        id=1, key="A1", name='=HYPERLINK("http://x")', post="@SUM(A1)", unit="-2+3",
        numbers=(Number(rank=1, kind=NumberKind.MOBILE, address="+85291234567"),),
    )  # fmt: skip

    table = contact_table({1: evil}, [])
    book = CalamineWorkbook.from_filelike(io.BytesIO(as_xlsx(table, sheet="名单")))

    for row in (table[1], book.get_sheet_by_index(0).to_python()[1]):
        assert not any(str(cell).startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
    assert '"=' not in as_csv(table).decode()


def test_a_contact_without_a_duty_is_exported_too() -> None:
    idle = Contact(
        id=1, key="A1", name="张三", kind=ContactKind.PERSON,
        numbers=(Number(rank=1, kind=NumberKind.MOBILE, address="+8613800138000"),),
    )  # fmt: skip

    draft = read_contacts(as_csv(contact_table({1: idle}, [])))

    assert not draft.faults
    assert [w.code for w in draft.warnings] == ["no_duty"]


def test_the_csv_begins_with_the_mark_that_spreadsheets_need() -> None:
    assert as_csv([["名称"]]) == "\ufeff名称\r\n".encode()

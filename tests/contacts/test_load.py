"""The directory out of the database, for the planner."""

from datetime import UTC, date, datetime

import pytest

from contacts.assignment import Assignment
from contacts.county import COUNTY, make_county
from contacts.directory.bulk import bulk_load
from contacts.directory.load import load_assignments, load_contacts, load_tree
from contacts.people import People, people_for
from warnsvc.store.port import Store

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
async def people(store: Store) -> People:
    """The invented county, loaded the fast way; ids are those of the database."""
    county = make_county()
    async with store.unit() as unit:
        ids = await bulk_load(unit, county.regions, county.people, now=NOW)
    assert len(ids) == len(county.people.contacts)
    return county.people


async def test_what_was_loaded_in_bulk_comes_out_as_it_went_in(
    store: Store, people: People
) -> None:
    async with store.view() as view:
        tree = await load_tree(view)
        contacts = await load_contacts(view)
        duties = await load_assignments(view)

    assert set(tree) == set(make_county().regions)
    assert [(c.key, c.name, c.numbers, c.robot_ok) for c in contacts.values()] == [
        (c.key, c.name, c.numbers, c.robot_ok) for c in people.contacts
    ]
    keys = {contact.id: contact.key for contact in contacts.values()}
    sent = {contact.id: contact.key for contact in people.contacts}

    def plain(duty: Assignment, names: dict[int, str]) -> tuple[object, ...]:
        return names[duty.contact_id], duty.region_code, duty.tier, duty.hazards, duty.valid_to

    assert {plain(d, keys) for d in duties} == {plain(d, sent) for d in people.assignments}
    assert date(2020, 12, 31) in {duty.valid_to for duty in duties}


async def test_only_the_duties_of_the_regions_asked_for_come_out(
    store: Store, people: People
) -> None:
    async with store.view() as view:
        duties = await load_assignments(view, [COUNTY, "990102100000"])
        nobody = await load_assignments(view, [])
        contacts = await load_contacts(view, {duty.contact_id for duty in duties})

    assert {duty.region_code for duty in duties} == {COUNTY, "990102100000"}
    assert [duty.tier for duty in duties if duty.region_code == COUNTY] == [1, 1, 2, 2, 3, 3, 3]
    assert nobody == []
    assert contacts.keys() == {duty.contact_id for duty in duties}


async def test_somebody_out_of_use_is_not_handed_out(store: Store, people: People) -> None:
    async with store.unit() as unit:
        await unit.execute("UPDATE contact SET active = $1 WHERE key = $2", False, "YL-0001")

    async with store.view() as view:
        contacts = await load_contacts(view)
        duties = await load_assignments(view, [COUNTY])

    assert "YL-0001" not in {contact.key for contact in contacts.values()}
    assert len(duties) == 6


async def test_a_failed_number_is_marked(store: Store, people: People) -> None:
    async with store.unit() as unit:
        await unit.execute("UPDATE contact_number SET failed_at = $1 WHERE rank = 1", NOW)

    async with store.view() as view:
        contacts = await load_contacts(view)

    for contact in contacts.values():
        assert [n.failed for n in contact.numbers] == [n.rank == 1 for n in contact.numbers]


async def test_generated_people_can_be_added_to_a_county_that_is_there(
    store: Store, people: People
) -> None:
    async with store.unit() as unit:
        tree = await load_tree(unit)
        ids = await bulk_load(unit, [], people_for(tree), now=NOW)

    async with store.view() as view:
        assert len(await load_contacts(view)) == len(people.contacts) + len(ids)

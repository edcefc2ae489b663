"""A store with the few regions of `files`, and the calls that these tests make again and again."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from contacts.directory.contact_draft import read_contacts
from contacts.directory.contact_import import import_contacts
from contacts.directory.load import load_assignments, load_contacts
from contacts.directory.region_import import import_regions, read_regions
from contacts.directory.report import ImportReport
from tests.contacts.files import REGIONS, region_csv
from warnsvc.store.port import Store

NOW = datetime(2026, 7, 1, tzinfo=UTC)

ImportContacts = Callable[..., Awaitable[ImportReport]]
Roster = Callable[[], Awaitable[list[tuple[str, str, int, str]]]]


@pytest.fixture
async def county(store: Store) -> Store:
    """A store with a province, a county, a township and two villages."""
    async with store.unit() as unit:
        report = await import_regions(unit, read_regions(region_csv(*REGIONS)))
    assert report.added == len(REGIONS)
    return store


@pytest.fixture
def import_list(county: Store) -> ImportContacts:
    """Read a file and import it in one unit."""

    async def run(data: bytes, *, complete: bool = False, now: datetime = NOW) -> ImportReport:
        draft = read_contacts(data)
        async with county.unit() as unit:
            return await import_contacts(unit, draft, now=now, complete=complete)

    return run


@pytest.fixture
def roster(county: Store) -> Roster:
    """(name, region, tier, role) of every duty."""

    async def read() -> list[tuple[str, str, int, str]]:
        async with county.view() as view:
            contacts = await load_contacts(view)
            duties = await load_assignments(view)
        return sorted((contacts[d.contact_id].name, d.region_code, d.tier, d.role) for d in duties)

    return read

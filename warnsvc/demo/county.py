"""The invented county, brought into the database the way any county is: through the importers.

The lists are written as files and read back, so that the demo shows what an operator's own import
does. Loading it a second time changes nothing. It also says what stands on each simulated phone.
"""

import json

from contacts.contact import NumberKind
from contacts.county import County
from contacts.directory.boundary import import_boundaries, read_boundaries
from contacts.directory.contact_draft import read_contacts
from contacts.directory.contact_import import import_contacts
from contacts.directory.export import as_csv, contact_table, region_table
from contacts.directory.region_import import import_regions, read_regions
from contacts.directory.report import ImportReport
from contacts.region import RegionTree
from warnsvc.demo.phones import Phone
from warnsvc.service.context import Context

HOOKS_PATH = "/v1/hooks"
"""Where the simulated carrier takes webhooks."""


class CountyFault(Exception):
    """The demo's own county was refused by an importer: a fault of the program."""


async def load_county(ctx: Context, county: County) -> None:
    """Import regions, boundaries and contacts, in one transaction."""
    contacts = {contact.id: contact for contact in county.people.contacts}
    regions = read_regions(as_csv(region_table(county.regions)))
    boundaries = read_boundaries(_geojson(county))
    people = read_contacts(as_csv(contact_table(contacts, county.people.assignments)), demo=True)
    async with ctx.store.unit() as unit:
        _accepted(await import_regions(unit, regions))
        _accepted(await import_boundaries(unit, boundaries))
        _accepted(await import_contacts(unit, people, now=ctx.clock.now()))


def phones_of(county: County) -> tuple[Phone, ...]:
    """Return every phone of the county with the name and the place of whoever holds it."""
    places = _places(county)
    wrong = frozenset(county.wrong_addresses)
    return tuple(
        Phone(
            number=number.address,
            name=" ".join(filter(None, (contact.name, contact.post))),
            place=places.get(contact.id, contact.unit),
            condition=_condition(number.kind, number.address, wrong),
        )
        for contact in county.people.contacts
        for number in contact.numbers
        if number.kind is not NumberKind.WEBHOOK
    )


def hooks_of(county: County) -> tuple[str, ...]:
    """Return the names of the county's webhook endpoints: the last part of their addresses."""
    return tuple(
        number.address.rpartition("/")[2]
        for contact in county.people.contacts
        for number in contact.numbers
        if number.kind is NumberKind.WEBHOOK
    )


def _places(county: County) -> dict[int, str]:
    """Contact → the first place he answers for, with what it lies in."""
    tree = RegionTree(county.regions)
    found: dict[int, str] = {}
    for duty in county.people.assignments:
        path = tree.path(duty.region_code)[-2:]
        found.setdefault(duty.contact_id, "".join(region.name for region in path))
    return found


def _condition(kind: NumberKind, address: str, wrong: frozenset[str]) -> str:
    if address in wrong:
        return "wrong_number"
    return "landline" if kind is NumberKind.LANDLINE else ""


def _geojson(county: County) -> bytes:
    return json.dumps(county.boundaries()).encode()


def _accepted(report: ImportReport) -> None:
    if report.fault_count:
        raise CountyFault("; ".join(fault.en for fault in report.faults[:3]))

"""Regions and contacts as officers keep them: importing files, seeing a number, mending one.

    file ──read (in a thread)──► draft ──import, one transaction──► report: all of it or none of it

Reading a file of 100,000 rows takes seconds of one core and runs beside the event loop. Whoever
sees a whole number is written down; so is every import. It decides nothing about who is called.
"""

import asyncio
from enum import StrEnum

from contacts.contact import Number, NumberKind
from contacts.directory.contact_draft import ContactDraft, read_contacts
from contacts.directory.contact_import import import_contacts
from contacts.directory.region_import import RegionDraft, import_regions, read_regions
from contacts.directory.report import ImportReport as ImportReport  # noqa: PLC0414 - for pages
from contacts.directory.web_address import web_address
from contacts.phone import PhoneError, to_e164
from warnsvc.core.hazard import HAZARDS
from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal
from warnsvc.service.context import Context
from warnsvc.service.officer import actor
from warnsvc.store.case_document import numbers_from_json
from warnsvc.store.ledger import append_lines

HAZARD_WORDS = {
    word.casefold(): hazard.code
    for hazard in HAZARDS.values()
    for word in (hazard.code, hazard.zh, hazard.en)
}


class ImportKind(StrEnum):
    """What a file holds."""

    REGIONS = "regions"
    """The region tree."""
    CONTACTS = "contacts"
    """People with numbers and duties."""


async def import_file(
    ctx: Context,
    *,
    officer: int,
    kind: ImportKind,
    content: bytes,
    dry_run: bool,
    complete: bool = False,
) -> ImportReport:
    """Import a file, or say what that would do. With any fault, nothing is written.

    `complete`: the file of contacts names everybody for the regions in it.
    """
    draft = await asyncio.to_thread(_read, kind, content, demo=ctx.settings.demo)
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        if isinstance(draft, RegionDraft):
            report = await import_regions(unit, draft, dry_run=dry_run)
        else:
            report = await import_contacts(unit, draft, now=now, complete=complete, dry_run=dry_run)
        if report.applied:
            data = {
                "kind": kind.value,
                "rows": report.rows_read,
                "added": report.added,
                "changed": report.changed,
                "removed": report.removed,
            }
            line = Line(act="directory.imported", actor=actor(officer), data=data)
            await append_lines(unit, [line], now=now)
    return report


def _read(kind: ImportKind, content: bytes, *, demo: bool) -> RegionDraft | ContactDraft:
    if kind is ImportKind.REGIONS:
        return read_regions(content)
    return read_contacts(content, hazards=HAZARD_WORDS, demo=demo)


async def reveal_callout(ctx: Context, *, officer: int, callout_id: int) -> tuple[Number, ...]:
    """Return the numbers of somebody who is being called, and write down who looked."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        row = await unit.fetch_one(
            "SELECT bulletin_id, contact_id, numbers_json FROM callout WHERE id = $1", callout_id
        )
        if row is None:
            raise Refusal("callout_unknown", id=callout_id)
        line = Line(
            act="number.revealed",
            actor=actor(officer),
            bulletin_id=row["bulletin_id"],
            callout_id=callout_id,
            data={"contact": row["contact_id"]},
        )
        await append_lines(unit, [line], now=now)
    return numbers_from_json(row["numbers_json"])


async def change_number(
    ctx: Context, *, officer: int, contact_id: int, rank: int, typed: str
) -> None:
    """Put another number in the place of one; it counts from the next warning on.

    A phone stays a phone, and an endpoint an endpoint. Raises Refusal. The line says that it was
    changed, not from what to what: a ledger is for ever.
    """
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        row = await unit.fetch_one(
            "SELECT kind FROM contact_number WHERE contact_id = $1 AND rank = $2", contact_id, rank
        )
        if row is None:
            raise Refusal("number_unknown")
        kind, address = _typed(ctx, typed, NumberKind(row["kind"]))
        await unit.execute(
            "UPDATE contact_number SET address = $1, kind = $2, failed_at = NULL"
            " WHERE contact_id = $3 AND rank = $4",
            address,
            kind.value,
            contact_id,
            rank,
        )
        await unit.execute("UPDATE contact SET updated_at = $1 WHERE id = $2", now, contact_id)
        data = {"contact": contact_id, "rank": rank}
        line = Line(act="number.changed", actor=actor(officer), data=data)
        await append_lines(unit, [line], now=now)


def _typed(ctx: Context, typed: str, kind: NumberKind) -> tuple[NumberKind, str]:
    demo = ctx.settings.demo
    if kind is NumberKind.WEBHOOK:
        try:
            return kind, web_address(typed.strip(), http_too=demo)
        except ValueError as error:
            raise Refusal("web_address_malformed", field="number") from error
    try:
        phone = to_e164(typed, ctx.settings.local_country, allow_invented=demo)
    except PhoneError as error:
        raise Refusal("number_malformed", field="number") from error
    return phone.kind, phone.address

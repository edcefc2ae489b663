"""Contacts: a list to search, and one person with his numbers, duties and past answers."""

from collections.abc import Sequence

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.service.directory import change_number
from warnsvc.service.endpoint_secret import EndpointSecret, reveal_secrets
from warnsvc.service.officer import Role
from warnsvc.web.query.contact import (
    PAGE_ROWS,
    TROUBLES,
    ContactFilter,
    callouts_of,
    list_contacts,
    load_contact,
    opted_out_at,
)
from warnsvc.web.visit import Visit, get, post, see_other

REFUSED_STATUS = 422
TEXT_CHARS_MAX = 60


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/contacts", show_contacts),
        get("/contacts/{id}", show_contact),
        post("/contacts/{id}/number", do_change_number, Role.DUTY, Role.ADMIN),
        post("/contacts/{id}/secret", do_show_secrets, Role.ADMIN),
    ]


async def show_contacts(visit: Visit) -> web.StreamResponse:
    """Show a page of contacts."""
    after = visit.query("after", "0")
    wanted = ContactFilter(
        text=visit.query("q")[:TEXT_CHARS_MAX],
        trouble=visit.query("trouble") if visit.query("trouble") in TROUBLES else "",
        after=int(after) if after.isdigit() and len(after) < 10 else 0,
    )
    async with visit.ctx.store.view() as view:
        lines = await list_contacts(view, wanted)
    return await visit.render(
        "contacts.html", lines=lines, wanted=wanted, troubles=TROUBLES, full=len(lines) == PAGE_ROWS
    )


async def show_contact(visit: Visit) -> web.StreamResponse:
    """Show one contact."""
    return await _page(visit)


async def do_change_number(visit: Visit) -> web.StreamResponse:
    """Put another number in the place of a wrong one."""
    rank = visit.form.text("rank")
    try:
        await change_number(
            visit.ctx,
            officer=visit.officer.id,
            contact_id=visit.number(),
            rank=int(rank) if rank.isdigit() and len(rank) < 4 else 0,
            typed=visit.form.text("number"),
        )
    except Refusal as refusal:
        return await _page(visit, refusal=refusal)
    return see_other(f"/contacts/{visit.number()}?said=number_changed")


async def do_show_secrets(visit: Visit) -> web.StreamResponse:
    """Show the secrets of an endpoint; the page is not kept by any browser."""
    try:
        secrets = await reveal_secrets(
            visit.ctx, officer=visit.officer.id, contact_id=visit.number()
        )
    except Refusal as refusal:
        return await _page(visit, refusal=refusal)
    response = await _page(visit, secrets=secrets)
    response.headers["Cache-Control"] = "no-store"
    return response


async def _page(
    visit: Visit, *, refusal: Refusal | None = None, secrets: Sequence[EndpointSecret] = ()
) -> web.StreamResponse:
    number = visit.number()
    async with visit.ctx.store.view() as view:
        line = await load_contact(view, number)
        callouts = await callouts_of(view, number)
        opted_out = await opted_out_at(view, number)
    if line is None:
        raise Refusal("contact_unknown", id=number)
    return await visit.render(
        "contact.html",
        status=200 if refusal is None else REFUSED_STATUS,
        line=line,
        row=line.row,
        callouts=callouts,
        opted_out=opted_out,
        refusal=refusal,
        secrets=secrets,
        typed=visit.form,
    )

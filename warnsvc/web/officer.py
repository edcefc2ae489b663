"""Accounts, for administrators: add, change roles, disable, set a new password, end logins."""

from aiohttp import web

from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service.officer import (
    Role,
    add_officer,
    change_roles,
    reset_password,
    set_disabled,
)
from warnsvc.service.session import revoke_all
from warnsvc.web.query.officer import all_officers, session_counts
from warnsvc.web.visit import Visit, get, post, see_other

REFUSED_STATUS = 422


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/officers", show_officers, Role.ADMIN),
        post("/officers/add", do_add, Role.ADMIN),
        post("/officers/{id}/roles", do_change_roles, Role.ADMIN),
        post("/officers/{id}/disabled", do_disable, Role.ADMIN),
        post("/officers/{id}/password", do_reset, Role.ADMIN),
        post("/officers/{id}/end-sessions", do_end, Role.ADMIN),
    ]


async def show_officers(visit: Visit) -> web.StreamResponse:
    """Show every account and the form for a new one."""
    return await _page(visit)


async def do_add(visit: Visit) -> web.StreamResponse:
    """Add an account."""
    try:
        await add_officer(
            visit.ctx,
            by=visit.officer.id,
            login=visit.form.text("login"),
            name=visit.form.text("name"),
            post=visit.form.text("post"),
            roles=visit.form.many("roles"),
            password=visit.form.text("password"),
        )
    except Refusals as refusals:
        return await _page(visit, refusals=refusals.by_field())
    except Refusal as refusal:
        return await _page(visit, refusals={refusal.field: refusal})
    return see_other("/officers?said=officer_added")


async def do_change_roles(visit: Visit) -> web.StreamResponse:
    """Give an officer other roles."""
    number = visit.number()
    try:
        await change_roles(
            visit.ctx, by=visit.officer.id, officer_id=number, roles=visit.form.many("roles")
        )
    except Refusal as refusal:
        return await _page(visit, row_refusal=refusal, row_id=number)
    return see_other("/officers?said=officer_changed")


async def do_disable(visit: Visit) -> web.StreamResponse:
    """Shut an officer out, or let him in again."""
    number = visit.number()
    try:
        await set_disabled(
            visit.ctx,
            by=visit.officer.id,
            officer_id=number,
            disabled=visit.form.text("disabled") == "yes",
        )
    except Refusal as refusal:
        return await _page(visit, row_refusal=refusal, row_id=number)
    return see_other("/officers?said=officer_changed")


async def do_reset(visit: Visit) -> web.StreamResponse:
    """Set a new password and end the officer's logins."""
    number = visit.number()
    try:
        await reset_password(
            visit.ctx,
            by=visit.officer.id,
            officer_id=number,
            password=visit.form.text("password"),
        )
    except Refusal as refusal:
        return await _page(visit, row_refusal=refusal, row_id=number)
    return see_other("/officers?said=password_reset")


async def do_end(visit: Visit) -> web.StreamResponse:
    """End every login of an officer."""
    await revoke_all(visit.ctx, by=visit.officer.id, officer_id=visit.number())
    return see_other("/officers?said=sessions_ended")


async def _page(
    visit: Visit,
    *,
    refusals: dict[str, Refusal] | None = None,
    row_refusal: Refusal | None = None,
    row_id: int = 0,
) -> web.StreamResponse:
    rows = await all_officers(visit.ctx)
    counts = await session_counts(visit.ctx, now=visit.now)
    return await visit.render(
        "officers.html",
        status=REFUSED_STATUS if refusals or row_refusal else 200,
        rows=rows,
        counts=counts,
        roles=[role.value for role in Role],
        refusals=refusals or {},
        row_refusal=row_refusal,
        row_id=row_id,
        typed=visit.form,
        adding=visit.request.path.endswith("/add"),
    )

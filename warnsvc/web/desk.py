"""The desk: what to do next. The first page after logging in, and the one to come back to."""

from aiohttp import web

from warnsvc.service.alarm import acknowledge
from warnsvc.service.officer import Role
from warnsvc.web.query.desk import load_desk
from warnsvc.web.visit import Visit, get, post, see_other

ALARMS_MAX = 100
"""Acknowledged at once; as many as a desk shows, thrice over."""


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/", show_desk),
        post("/alarms/acknowledge", do_acknowledge, Role.DUTY),
    ]


async def show_desk(visit: Visit) -> web.StreamResponse:
    """Show what waits."""
    async with visit.ctx.store.view() as view:
        desk = await load_desk(view, visit.officer.id)
    return await visit.render("desk.html", desk=desk)


async def do_acknowledge(visit: Visit) -> web.StreamResponse:
    """Mark alarms as heard."""
    ids = [int(text) for text in visit.form.many("alarm") if text.isdigit() and len(text) < 10]
    await acknowledge(visit.ctx, officer=visit.officer.id, alarm_ids=ids[:ALARMS_MAX])
    return see_other("/?said=acknowledged")

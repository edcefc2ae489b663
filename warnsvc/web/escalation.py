"""One region's call: who stands in which tier, and everything that happened, in order of time."""

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.web.query.escalation import load_escalation
from warnsvc.web.visit import Visit, get


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [get("/escalations/{id}", show_escalation)]


async def show_escalation(visit: Visit) -> web.StreamResponse:
    """Show the region's call."""
    number = visit.number()
    async with visit.ctx.store.view() as view:
        page = await load_escalation(view, number)
    if page is None:
        raise Refusal("escalation_unknown", id=number)
    return await visit.render("escalation.html", page=page, row=page.row)

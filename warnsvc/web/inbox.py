"""Replies that matched nobody or that nobody understood: read, and put away with a result."""

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.service.inbox import settle
from warnsvc.service.officer import Role
from warnsvc.web.query.inbox import open_replies, settled_replies
from warnsvc.web.visit import Visit, get, post, see_other

REFUSED_STATUS = 422


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [get("/inbox", show_inbox), post("/inbox/{id}/settle", do_settle, Role.DUTY)]


async def show_inbox(visit: Visit) -> web.StreamResponse:
    """Show the replies that wait."""
    return await _page(visit)


async def do_settle(visit: Visit) -> web.StreamResponse:
    """Put a reply away with what was done about it."""
    try:
        await settle(
            visit.ctx,
            officer=visit.officer.id,
            inbound_id=visit.number(),
            result=visit.form.text("result"),
        )
    except Refusal as refusal:
        return await _page(visit, refusal=refusal)
    return see_other("/inbox?said=settled")


async def _page(visit: Visit, *, refusal: Refusal | None = None) -> web.StreamResponse:
    async with visit.ctx.store.view() as view:
        replies = await open_replies(view)
        settled = await settled_replies(view)
    return await visit.render(
        "inbox.html",
        status=200 if refusal is None else REFUSED_STATUS,
        replies=replies,
        settled=settled,
        refusal=refusal,
        refused_reply=visit.number() if refusal else 0,
        typed=visit.form,
    )

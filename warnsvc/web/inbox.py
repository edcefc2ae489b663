"""Replies that matched nobody or that nobody understood: read, and put away with a result.

Receipts that nobody could place stand below them, by carrier: they are nobody's word.
"""

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.service.inbox import settle, settle_receipts
from warnsvc.service.officer import Role
from warnsvc.store.retention import WAITED
from warnsvc.web.query.inbox import lost_receipts, open_replies, settled_replies
from warnsvc.web.visit import Visit, get, post, see_other
from warnsvc.words import mark

REFUSED_STATUS = 422
LOST = {
    WAITED: mark("运营商报的编号不是我们发的，等了一天也没有对上。"),
    "no such attempt": mark("回执指的那次呼叫不存在。"),
}
"""Why nobody could place a receipt: note → sentence."""


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/inbox", show_inbox),
        post("/inbox/receipts/settle", do_settle_receipts, Role.DUTY),
        post("/inbox/{id}/settle", do_settle, Role.DUTY),
    ]


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
        return await _page(visit, refusal=refusal, refused=visit.number())
    return see_other("/inbox?said=settled")


async def do_settle_receipts(visit: Visit) -> web.StreamResponse:
    """Put away a carrier's receipts that nobody could place."""
    carrier = visit.form.text("carrier")
    try:
        await settle_receipts(
            visit.ctx,
            officer=visit.officer.id,
            carrier=carrier,
            result=visit.form.text("result"),
        )
    except Refusal as refusal:
        return await _page(visit, refusal=refusal, refused=carrier)
    return see_other("/inbox?said=receipts_settled")


async def _page(
    visit: Visit, *, refusal: Refusal | None = None, refused: int | str = 0
) -> web.StreamResponse:
    """`refused`: the reply, or the carrier, whose form is shown again."""
    async with visit.ctx.store.view() as view:
        replies = await open_replies(view)
        lost = await lost_receipts(view)
        settled = await settled_replies(view)
    return await visit.render(
        "inbox.html",
        status=200 if refusal is None else REFUSED_STATUS,
        replies=replies,
        lost=lost,
        lost_why=LOST,
        settled=settled,
        refusal=refusal,
        refused=refused,
        typed=visit.form,
    )

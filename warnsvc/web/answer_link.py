"""The answer link: whoever holds it reads the warning and answers with one button.

    GET  /a/{token}   the text and the buttons; opening it answers nothing: robots open links
    POST /a/{token}   the answer, as an inbound fact like any other

The token is signed and names one callout; a wrong one gets the same page as an old one. With the
database away the buttons come without the text, which whoever was sent the link has in his hand,
and the answer is kept in the spool: an answer counts more than a page.
"""

import asyncio

import structlog
from aiohttp import web

from warnsvc.core.answer import parse
from warnsvc.render import RIGHT_TO_LEFT
from warnsvc.service.intake import IntakeFull
from warnsvc.store.inbound import Inbound
from warnsvc.store.port import Row, StoreFault
from warnsvc.web.callback import INTAKE
from warnsvc.web.visit import Visit, get, post

log = structlog.get_logger(__name__)

LOOK_SECONDS = 3.0
"""How long the page waits for its text: somebody stands there with a phone in his hand."""
ANSWERS = ("1", "2")
"""What the buttons send: received, cannot."""


def routes() -> list[web.RouteDef]:
    """The routes that callees reach without a login."""
    return [
        get("/a/{token}", show, public=True),
        post("/a/{token}", answer, public=True),
    ]


async def show(visit: Visit) -> web.Response:
    """Show the warning and the buttons."""
    return await _page(visit, await _callout(visit), done=False, kind="")


async def answer(visit: Visit) -> web.Response:
    """Keep the answer; the page says so only once it is on disk."""
    callout = await _callout(visit)
    said = visit.form.text("answer")
    if said not in ANSWERS:
        raise web.HTTPBadRequest
    callout_id = _callout_id(visit)
    fact = Inbound(
        kind="answer",
        carrier="link",
        channel="link",
        dedupe_key=f"{callout_id}:{said}",
        received_at=visit.now,
        callout_id=callout_id,
        text=said,
    )
    try:
        await visit.request.app[INTAKE].accept([fact])
    except (IntakeFull, StoreFault):
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"}) from None
    return await _page(visit, callout, done=True, kind=parse(said).kind.value)


async def _page(visit: Visit, callout: Row | None, *, done: bool, kind: str) -> web.Response:
    return await visit.render(
        "answer.html",
        callout=callout,
        done=done,
        kind=kind,
        right_to_left=callout is not None and callout["language"] in RIGHT_TO_LEFT,
    )


def _callout_id(visit: Visit) -> int:
    callout_id = visit.ctx.read_token("callout", visit.request.match_info["token"])
    if callout_id is None:
        raise web.HTTPNotFound
    return callout_id


async def _callout(visit: Visit) -> Row | None:
    """Return what the link is about; None when the database does not say."""
    callout_id = _callout_id(visit)
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            row = await _row(visit, callout_id)
    except (StoreFault, TimeoutError) as fault:
        log.warning("answer_link.without_text", callout=callout_id, error=repr(fault))
        return None
    if row is None or row["text"] is None:
        raise web.HTTPNotFound
    return row


async def _row(visit: Visit, callout_id: int) -> Row | None:
    async with visit.ctx.store.view() as unit:
        return await unit.fetch_one(
            "SELECT c.id, c.language, c.bulletin_id, b.state, b.status,"
            " (SELECT m.text FROM attempt a JOIN message m ON m.id = a.message_id"
            "  WHERE a.callout_id = c.id AND a.purpose = 'call' ORDER BY a.id DESC LIMIT 1) AS text"
            " FROM callout c JOIN bulletin b ON b.id = c.bulletin_id WHERE c.id = $1",
            callout_id,
        )

"""The whole list of an endpoint's regions, for those to whom a webhook could only tell the first.

    GET /a/{token}/regions   {identifier, regions: [{code, name, silent?}], regions_total}

The token is the answer link's: whoever holds it was sent the beginning of the list. It is as of
now: `silent` goes from a region that has answered since. It shows no person and no number.
"""

import structlog
from aiohttp import web

from warnsvc.document import place_document
from warnsvc.service.endpoint import places_now
from warnsvc.store.port import StoreFault
from warnsvc.web.visit import Visit, get

log = structlog.get_logger(__name__)


def routes() -> list[web.RouteDef]:
    """The route that endpoints reach without a login."""
    return [get("/a/{token}/regions", show_regions, public=True)]


async def show_regions(visit: Visit) -> web.Response:
    """Return the list."""
    callout_id = visit.ctx.read_token("callout", visit.request.match_info["token"])
    if callout_id is None:
        raise web.HTTPNotFound
    try:
        async with visit.ctx.store.view() as view:
            row = await view.fetch_one(
                "SELECT b.identifier FROM callout c JOIN bulletin b ON b.id = c.bulletin_id"
                " WHERE c.id = $1",
                callout_id,
            )
            places = await places_now(view, callout_id)
    except StoreFault as fault:
        log.warning("answer_regions.no_database", callout=callout_id, error=repr(fault))
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"}) from None
    if row is None:
        raise web.HTTPNotFound
    return web.json_response(
        {
            "identifier": row["identifier"],
            "regions": [place_document(place) for place in places],
            "regions_total": len(places),
        }
    )

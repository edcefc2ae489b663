"""Regions: a browser for people, and the two questions of the form's tree."""

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.web.query.contact import duties_in
from warnsvc.web.query.region import children, lines_of, search, trails_of
from warnsvc.web.visit import Visit, get


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/regions", show_regions),
        get("/regions/children", give_children),
        get("/regions/search", give_found),
    ]


async def show_regions(visit: Visit) -> web.StreamResponse:
    """Show one region with what lies in it and who answers for it; or what a search found."""
    code, text = visit.query("of"), visit.query("q")
    async with visit.ctx.store.view() as view:
        found = await search(view, text)
        here = (await lines_of(view, [code])) if code else []
        if code and not here:
            raise Refusal("region_not_found")
        below = await children(view, code or None)
        trail = (await trails_of(view, [code])).get(code, [])
        duties = await duties_in(view, code) if code else []
    return await visit.render(
        "regions.html",
        here=here[0] if here else None,
        below=below,
        trail=trail,
        duties=duties,
        wanted=text,
        found=found,
    )


async def give_children(visit: Visit) -> web.StreamResponse:
    """Return the children of one region, for the tree."""
    async with visit.ctx.store.view() as view:
        lines = await children(view, visit.query("of") or None)
    return web.json_response([line.as_json() for line in lines])


async def give_found(visit: Visit) -> web.StreamResponse:
    """Return what a search found, for the tree."""
    async with visit.ctx.store.view() as view:
        lines = await search(view, visit.query("q")[:60])
    return web.json_response([line.as_json() for line in lines])

"""Where carriers fetch a recording while they make a call.

    GET /recordings/{token}/{language}     the token is signed and names one bulletin

No login and no page: a carrier is no browser. The address is told to carriers only, after the
release, when nothing can be recorded any more; they may keep what they fetched for an hour.
"""

from aiohttp import web

from warnsvc.service.recording import recording_by_token
from warnsvc.web.sound import send_sound
from warnsvc.web.visit import CONTEXT

CACHE = "public, max-age=3600"
"""A call is repeated within minutes; the digest is asked for again after that."""


def routes() -> list[web.RouteDef]:
    """The route that carriers reach without a login."""
    return [web.get("/recordings/{token}/{language}", fetch, allow_head=True)]


async def fetch(request: web.Request) -> web.StreamResponse:
    """Return the sound, or 404 for a token that is not ours and a language without one."""
    ctx, path = request.app[CONTEXT], request.match_info
    known = await recording_by_token(ctx, path["token"], path["language"])
    if known is None:
        return web.Response(status=404)
    return await send_sound(request, ctx, known, cache=CACHE)

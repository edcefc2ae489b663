"""Where carriers fetch a recording while they make a call.

    GET /recordings/{token}/{language}     the token is signed and names one bulletin

No login and no page: a carrier is no browser. The address is told to carriers only, after the
release, when nothing can be recorded any more; they may keep what they fetched for an hour.
"""

from aiohttp import web

from warnsvc.service.recording import sound_by_token
from warnsvc.web.sound import sound_response
from warnsvc.web.visit import CONTEXT

CACHE = "public, max-age=3600"
"""A call is repeated within minutes; the digest is asked for again after that."""


def routes() -> list[web.RouteDef]:
    """The route that carriers reach without a login."""
    return [web.get("/recordings/{token}/{language}", fetch, allow_head=True)]


async def fetch(request: web.Request) -> web.Response:
    """Return the sound, or 404 for a token that is not ours and a language without one."""
    path = request.match_info
    sound = await sound_by_token(request.app[CONTEXT], path["token"], path["language"])
    if sound is None:
        return web.Response(status=404)
    return sound_response(request, sound, cache=CACHE)

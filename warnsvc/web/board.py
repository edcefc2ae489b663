"""The board page of one bulletin, its groups as JSON, and its stream of changes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.service.session import session_by_hash
from warnsvc.web.guard import protection
from warnsvc.web.live import CELLS_AT_ONCE_MAX, FEEDS, event
from warnsvc.web.query.board import count_callouts, load_board, load_town
from warnsvc.web.query.bulletin import count_unknown, load_page
from warnsvc.web.query.region import lines_of
from warnsvc.web.visit import Visit, get

BEAT_SECONDS = 5.0
"""How often a quiet stream shows that it lives, and looks whether the login still holds."""
WRITE_SECONDS = 20.0
"""A browser that takes nothing for so long is gone; it will come back by itself."""
PLACES_NAMED = 3


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/bulletins/{id}/board", show_board),
        get("/bulletins/{id}/board.json", give_town),
        get("/bulletins/{id}/live", stream, quiet=True),
    ]


async def show_board(visit: Visit) -> web.StreamResponse:
    """Show the board as it stands; its script keeps it up to date."""
    number = visit.number()
    async with visit.ctx.store.view() as view:
        page = await load_page(view, number)
        if page is None:
            raise Refusal("bulletin_unknown", id=number)
        board = await load_board(view, number)
        people = await count_callouts(view, number)
        unknown = await count_unknown(view, number)
        regions = await lines_of(view, _codes(page.row["regions_json"]))
    whole = len(board.cells) <= CELLS_AT_ONCE_MAX
    ended = page.row["lifted_at"] or page.row["closed_at"]
    return await visit.render(
        "board.html",
        row=page.row,
        board=board,
        towns=board.by_town() if whole else {code: [] for code in sorted(board.towns)},
        whole=whole,
        urgent=board.urgent(),
        progress=board.progress,
        unknown=unknown,
        people=people,
        places=[region.name for region in regions],
        elapsed=((ended or visit.now) - page.row["released_at"])
        if page.row["released_at"]
        else timedelta(0),
        ended=ended,
    )


async def give_town(visit: Visit) -> web.StreamResponse:
    """Return the regions of one group."""
    async with visit.ctx.store.view() as view:
        cells = await load_town(view, visit.number(), visit.query("town"))
    return web.json_response([cell.as_json() for cell in cells])


async def stream(visit: Visit) -> web.StreamResponse:
    """Send changes until the browser goes, the login ends or the service stops."""
    response = web.StreamResponse(
        headers={
            **protection(visit.request),
            "Content-Type": "text/event-stream; charset=utf-8",
            "X-Accel-Buffering": "no",
        }
    )
    async with visit.request.app[FEEDS].watch(visit.number()) as (feed, watcher):
        # A browser that has gone, or takes nothing, is not a fault of ours.
        with suppress(ConnectionError, TimeoutError):
            await response.prepare(visit.request)
            watcher.take(feed)  # what has gathered so far is in the first message too
            await _write(response, event(feed.hello()))
            async for allowed in _beats(visit, watcher.some):
                if watcher.closed or not allowed:
                    break
                await _write(response, event(watcher.take(feed) or feed.beat()))
    return response


async def _beats(visit: Visit, some: asyncio.Event) -> AsyncIterator[bool]:
    """Yield when there is something to say, and when there has been nothing for a while.

    Whether the login still holds is asked as often as a quiet stream beats, not at every change.
    """
    loop = asyncio.get_running_loop()
    asked = loop.time()
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                await some.wait()
        allowed = True
        if loop.time() - asked >= BEAT_SECONDS:
            asked = loop.time()
            allowed = await _still_allowed(visit)
        yield allowed


async def _write(response: web.StreamResponse, content: bytes) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await response.write(content)


async def _still_allowed(visit: Visit) -> bool:
    """Whether the login still holds: ending it ends the stream within seconds."""
    assert visit.session is not None
    return await session_by_hash(visit.ctx, visit.session.token_hash) is not None


def _codes(regions_json: str) -> list[str]:
    codes: list[str] = json.loads(regions_json)
    return codes[:PLACES_NAMED]

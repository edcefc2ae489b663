"""Live boards: one feed per bulletin that somebody watches, however many watch it.

    store wakes "board" ──► feed reads what has changed ──► every watcher's own heap of changes
                 (or 1 s)       at most every 250 ms            merged by region, taken when written

A slow browser gets fewer, larger messages and holds nobody up. A feed without watchers stops. Every
message carries the server's time, so that countdowns do not trust the desk's clock. It reads; it
never decides and never writes.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from aiohttp import web

from warnsvc.logging import get_logger
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.store.port import StoreFault
from warnsvc.web.query.board import (
    Board,
    Cell,
    bulletin_state,
    count_callouts,
    load_all,
    load_changes,
)

POLL_SECONDS = 1.0
"""Nobody needs to be woken to be seen within a second."""
BATCH_SECONDS = 0.25
"""Eyes do not follow more than four changes a second."""
SHARE = 5
"""A feed rests five times as long as its reading took: at most a sixth of a reader."""
OVERLAP = timedelta(seconds=5)
"""Changes are committed in another order than they were stamped; known ones cost nothing again."""
WHOLE_SECONDS = 20.0
"""A whole reading as often as this finds whatever an overlap missed."""
CELLS_AT_ONCE_MAX = 600
"""Boards up to this size are sent whole; of larger ones, groups are loaded when they are opened."""

_log = get_logger()


class Watcher:
    """One browser's heap of changes."""

    def __init__(self) -> None:
        self.some = asyncio.Event()
        self.closed = False
        self._cells: dict[int, Cell] = {}
        self._towns: set[str] = set()
        self._summary = False

    def put(self, cells: list[Cell], *, summary: bool) -> None:
        """Add changes; a region that changed twice is sent once, as it is now."""
        for cell in cells:
            self._cells[cell.id] = cell
            self._towns.add(cell.town)
        self._summary = self._summary or summary or bool(cells)
        if self._summary:
            self.some.set()

    def take(self, feed: "Feed") -> dict[str, Any] | None:
        """Return what has gathered as one message, and forget it."""
        self.some.clear()
        if not self._summary:
            return None
        message = feed.message(list(self._cells.values()), self._towns)
        self._cells, self._towns, self._summary = {}, set(), False
        return message

    def close(self) -> None:
        """End the stream: the service stops."""
        self.closed = True
        self.some.set()


class Feed:
    """The board of one bulletin, kept up to date while somebody watches."""

    def __init__(self, ctx: Context, bulletin_id: int) -> None:
        self.board = Board()
        self.ready = asyncio.Event()
        self.watchers: set[Watcher] = set()
        self.task: asyncio.Task[None] | None = None
        self.woken = asyncio.Event()
        self.stale = False
        """Whether the last reading failed: what is shown may be old."""
        self._ctx = ctx
        self._bulletin_id = bulletin_id
        self._callouts: dict[str, int] = {}
        self._state = ""
        self._whole_at = 0.0

    async def run(self) -> None:
        """Read and pass on until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self.woken.clear()
            try:
                await self._read(began)
            except Exception:
                # Whatever it was: a board that stands still and looks alive would be worse.
                self.stale = True
                _log.exception("board not read", bulletin=self._bulletin_id)
            else:
                self.stale = False
            await asyncio.sleep(max(BATCH_SECONDS, SHARE * (loop.time() - began)))
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self.woken.wait()

    def message(self, cells: list[Cell], towns: set[str]) -> dict[str, Any]:
        """Return the message that shows these cells and the counts of their groups.

        Of too many cells none are sent: `whole` then tells the browser to fetch what it shows.
        """
        whole = len(cells) <= CELLS_AT_ONCE_MAX
        return {
            "now": self.now(),
            "whole": whole,
            "cells": [cell.as_json() for cell in cells] if whole else [],
            "towns": {code: self._town(code) for code in towns},
            **self._summary(),
        }

    def hello(self) -> dict[str, Any]:
        """Return the first message: all counts, and all cells of a small board."""
        return self.message(list(self.board.cells.values()), set(self.board.towns))

    def beat(self) -> dict[str, Any]:
        """Return what is sent when nothing has changed; `stale` when nothing could be read."""
        return {"now": self.now(), "stale": self.stale}

    def _summary(self) -> dict[str, Any]:
        progress = self.board.progress
        return {
            "state": self._state,
            "sum": {
                "total": progress.total,
                "pending": progress.pending,
                "calling": progress.calling,
                "answered": progress.answered,
                "late": progress.late,
                "exhausted": progress.exhausted,
                "ended": progress.ended,
            },
            "people": self._callouts,
            "urgent": [cell.as_json() for cell in self.board.urgent()],
        }

    def _town(self, code: str) -> dict[str, Any]:
        town = self.board.towns[code]
        return {"name": town.name, **{n: c for n, c in town.counts.items() if c}}

    def now(self) -> int:
        """Return the server's time in milliseconds."""
        return int(self._ctx.clock.now().timestamp() * 1000)

    async def _read(self, at: float) -> None:
        whole = self.board.changed_at is None or at - self._whole_at > WHOLE_SECONDS
        async with self._ctx.store.view() as view:
            if self.board.changed_at is None or whole:
                rows = await load_all(view, self._bulletin_id)
                self._whole_at = at
            else:
                since = self.board.changed_at - OVERLAP
                rows = await load_changes(view, self._bulletin_id, since)
            people = await count_callouts(view, self._bulletin_id)
            state = await bulletin_state(view, self._bulletin_id)
        fresh = self.board.put(rows)
        moved = people != self._callouts or state != self._state
        self._callouts, self._state = people, state
        self.ready.set()
        if fresh or moved:
            for watcher in self.watchers:
                watcher.put(fresh, summary=moved)


class Feeds:
    """The feeds of this process."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._feeds: dict[int, Feed] = {}
        self._listening: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watch(self, bulletin_id: int) -> AsyncIterator[tuple[Feed, Watcher]]:
        """Watch one bulletin; the feed is up to date when the block begins."""
        feed = self._feeds.get(bulletin_id)
        if feed is None:
            feed = self._feeds[bulletin_id] = Feed(self._ctx, bulletin_id)
            feed.task = asyncio.create_task(feed.run())
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        watcher = Watcher()
        feed.watchers.add(watcher)
        try:
            await feed.ready.wait()
            yield feed, watcher
        finally:
            feed.watchers.discard(watcher)
            if not feed.watchers:
                self._stop(bulletin_id, feed)

    @property
    def watching(self) -> dict[int, int]:
        """Bulletin → how many watch it."""
        return {number: len(feed.watchers) for number, feed in self._feeds.items()}

    async def close(self, app: web.Application) -> None:
        """End every stream; called when the service stops."""
        for feed in list(self._feeds.values()):
            for watcher in list(feed.watchers):
                watcher.close()
        if self._listening is not None:
            self._listening.cancel()

    def _stop(self, bulletin_id: int, feed: Feed) -> None:
        if self._feeds.get(bulletin_id) is feed:
            del self._feeds[bulletin_id]
        if feed.task is not None:
            feed.task.cancel()

    async def _listen(self) -> None:
        """Wake the feeds; without it they look once a second."""
        try:
            async with self._ctx.store.listen() as topics:
                async for topic in topics:
                    if topic == WAKE_BOARD:
                        for feed in self._feeds.values():
                            feed.woken.set()
        except StoreFault as fault:
            _log.warning("boards are not woken", fault=str(fault))
            self._listening = None


FEEDS = web.AppKey("feeds", Feeds)


def event(message: dict[str, Any]) -> bytes:
    """Return one server-sent event."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()

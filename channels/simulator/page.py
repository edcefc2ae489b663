"""The phones page: what every simulated phone shows, and buttons to answer on it.

    GET /            the page; ?q= searches, ?show=ringing filters, ?lang=en changes the language
    GET /?part=shelf the phones alone, for the script that keeps the page up to date
    GET /live        server-sent events: a version whenever something moved
    GET /static/…    its style and script

It is rendered on the server in one place; the script only replaces what changed. Without a script
every button still works. It never shows more phones at once than a person can look at.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from channels.simulator.behaviour import Behaviour, OutageKind
from channels.simulator.carrier import Carrier
from channels.simulator.habit import HABITS, Condition
from channels.simulator.handset import Entry, Handset
from channels.simulator.wording import LANGUAGES, templates_folder, translations

PHONES_SHOWN_MAX = 60
"""More than this is found by searching."""

ENTRIES_SHOWN_MAX = 6
"""Newest lines on a phone's screen."""

QUERY_CHARS_MAX = 40
PUSH_SECONDS = 0.3
"""Changes within this time are one event: a county of phones may ring at once."""

KEEP_ALIVE_SECONDS = 15.0
"""A comment this often, so that a dead connection is noticed."""

WATCHERS_MAX = 50
"""Open pages."""

RIGHT_TO_LEFT = frozenset({"ug", "kk-Arab", "ky-Arab", "ar", "fa"})
STATIC = Path(__file__).parent / "static"
COOKIE = "phones_language"
COOKIE_SECONDS = 365 * 86_400

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'self'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The phones to be shown, and how many are not."""

    phones: list[Handset]
    found_count: int
    more: bool
    ringing_count: int
    idle_count: int
    """Phones not shown because nothing has happened on them."""


class PhonesPage:
    """Handlers over one carrier."""

    def __init__(self, carrier: Carrier) -> None:
        folder = templates_folder(carrier.config.templates)
        self._carrier = carrier
        self._zone = ZoneInfo(carrier.config.time_zone)
        self._translations = translations(folder)
        self._watcher_count = 0
        self._environment = Environment(
            loader=FileSystemLoader(folder / "phones"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {"clock": self._clock, "iso": _iso, "percent": _percent}
        self._environment.globals |= {"direction": direction}

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes of the page."""
        return [
            web.get("/", self._page),
            web.get("/live", self._live),
            web.static("/static", STATIC),
        ]

    async def _page(self, request: web.Request) -> web.Response:
        language = _language(request)
        part = request.query.get("part") == "shelf"
        template = self._environment.get_template("shelf.html" if part else "page.html")
        query = request.query.get("q", "").strip()[:QUERY_CHARS_MAX]
        only_ringing = request.query.get("show") == "ringing"
        response = web.Response(
            text=template.render(self._context(language, query, only_ringing=only_ringing)),
            content_type="text/html",
            headers=HEADERS,
        )
        response.set_cookie(COOKIE, language, max_age=COOKIE_SECONDS, samesite="Lax")
        return response

    def _context(self, language: str, query: str, *, only_ringing: bool) -> Mapping[str, Any]:
        carrier = self._carrier
        fault = carrier.fault()
        return {
            "_": self._translations[language],
            "language": language,
            "languages": LANGUAGES,
            "query": query,
            "only_ringing": only_ringing,
            "shelf": self._shelf(query, only_ringing=only_ringing),
            "version": carrier.watch.version,
            "entries_of": lambda phone: list(phone.entries)[-ENTRIES_SHOWN_MAX:],
            "carrier": carrier,
            "counts": carrier.counts,
            "behaviour": carrier.behaviour,
            "defaults": Behaviour(),
            "fault": fault,
            "fault_until": carrier.outage.until if fault is not OutageKind.NONE else 0.0,
            "outages": [kind for kind in OutageKind if kind is not OutageKind.NONE],
            "habits": HABITS,
            "conditions": list(Condition),
        }

    def _shelf(self, query: str, *, only_ringing: bool) -> Shelf:
        phones: list[Handset] = []
        found = ringing = 0
        shelf = self._carrier.shelf
        # Phones on which nothing happened are only of interest to somebody who looks for one.
        for phone in chain(shelf.newest_first(), shelf.idle() if query else ()):
            rings = phone.call is not None and phone.call.status == "ringing"
            ringing += rings
            if (only_ringing and not rings) or (query and not phone.matches(query)):
                continue
            found += 1
            if len(phones) < PHONES_SHOWN_MAX:
                phones.append(phone)
        return Shelf(
            phones=phones,
            found_count=found,
            more=found > len(phones),
            ringing_count=ringing,
            idle_count=0 if query else shelf.idle_count,
        )

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if self._watcher_count >= WATCHERS_MAX:
            return web.Response(status=503, headers={"Retry-After": "10"})
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        self._watcher_count += 1
        try:
            await self._push(response)
        except ConnectionResetError:
            pass  # The page was closed.
        finally:
            self._watcher_count -= 1
        return response

    async def _push(self, response: web.StreamResponse) -> None:
        watch = self._carrier.watch
        version = watch.version
        await response.write(b"retry: 1000\ndata: %d\n\n" % version)
        while not watch.closed:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    version = await watch.newer_than(version)
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            await response.write(b"data: %d\n\n" % version)
            await asyncio.sleep(PUSH_SECONDS)

    def _clock(self, at: float) -> str:
        return datetime.fromtimestamp(at, self._zone).strftime("%H:%M:%S")


def direction(entry: Entry) -> str:
    """Return how a text runs on the screen: by its language, else by its first strong letter."""
    return "rtl" if entry.language in RIGHT_TO_LEFT else "auto"


def _language(request: web.Request) -> str:
    asked = request.query.get("lang") or request.cookies.get(COOKIE, "")
    return asked if asked in LANGUAGES else next(iter(LANGUAGES))


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _percent(share: float) -> str:
    return f"{share * 100:g}"

"""One visit to one page: who is there, in which language, with what in his hands.

    request ──login──► role ──► body ──► CSRF token ──► handler(visit) ──► page

Console pages are routed with `get` and `post` of this module and with nothing else, so that none
can forget to ask who is there. It refuses in words and never calls a service itself.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.logging import get_logger
from warnsvc.service.context import Context
from warnsvc.service.officer import Officer, Role
from warnsvc.service.session import Session, keep_alive, session_of
from warnsvc.store.port import StoreFault
from warnsvc.web.cookie import LANGUAGE_COOKIE, read_token
from warnsvc.web.form import Form, read_form
from warnsvc.web.origin import CSRF_FIELD, CSRF_HEADER, comes_from_here, token_is_right
from warnsvc.web.page import PAGES, Pages
from warnsvc.words import LANGUAGES, Translate, best_language

CONTEXT = web.AppKey("context", Context)
ID_MAX = 2**31 - 1
"""Ids are PostgreSQL integers; a larger number in an address is nobody's."""


@dataclass(slots=True)
class Visit:
    """What a handler is given."""

    request: web.Request
    ctx: Context
    now: datetime
    language: str
    session: Session | None = None
    form: Form = field(default_factory=Form)

    @property
    def officer(self) -> Officer:
        """The officer; only for pages that need a login."""
        assert self.session is not None, "this page is open to everybody"
        return self.session.officer

    @property
    def words(self) -> Translate:
        """The `_` of the reader's language."""
        return self.pages.words.language(self.language)

    @property
    def pages(self) -> Pages:
        """The templates."""
        return self.request.app[PAGES]

    def may(self, *roles: Role) -> bool:
        """Whether the officer holds one of these roles."""
        return self.session is not None and self.session.officer.may(*roles)

    def number(self, name: str = "id") -> int:
        """Return a row id from the path. Raises 404 when it is none."""
        text = self.request.match_info[name]
        if not text.isascii() or not text.isdigit() or int(text[:20]) > ID_MAX:
            raise web.HTTPNotFound
        return int(text)

    def query(self, name: str, default: str = "") -> str:
        """Return a field of the address."""
        return self.request.query.get(name, default).strip()

    async def render(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """Return a page."""
        text = await self.pages.render(self, template, {"status": status, **values})
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


_log = get_logger()

VISIT = web.RequestKey("visit", Visit)

Handler = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may come, and with what."""

    roles: tuple[Role, ...] = ()
    """One of these; none named: every officer."""
    public: bool = False
    """Also without a login, and then without a CSRF token: there is nobody to act for."""
    quiet: bool = False
    """Asked by a script every few seconds: does not count as use of the login."""
    uploads: bool = False


def get(
    path: str, handler: Handler, *roles: Role, public: bool = False, quiet: bool = False
) -> web.RouteDef:
    """Route a page."""
    access = Access(roles=roles, public=public, quiet=quiet)
    return web.get(path, _guarded(handler, access), allow_head=False)


def post(
    path: str, handler: Handler, *roles: Role, public: bool = False, uploads: bool = False
) -> web.RouteDef:
    """Route an act."""
    return web.post(path, _guarded(handler, Access(roles=roles, public=public, uploads=uploads)))


def see_other(path: str) -> web.Response:
    """Send the browser to another page after an act."""
    return web.Response(status=303, headers={"Location": path})


def safe_path(text: str, default: str = "/") -> str:
    """Return a path of our own to go back to, or the default: never another site."""
    if text.startswith("/") and not text.startswith(("//", "/\\")) and "\n" not in text:
        return text
    return default


async def open_visit(request: web.Request) -> Visit:
    """Return the visit with its login, if there is one."""
    ctx = request.app[CONTEXT]
    token = read_token(request, ctx.settings)
    session = None if token is None else await session_of(ctx, token)
    return Visit(
        request=request,
        ctx=ctx,
        now=ctx.clock.now(),
        language=_language(request, session, ctx.settings.language),
        session=session,
    )


def _language(request: web.Request, session: Session | None, default: str) -> str:
    if session is not None:
        return session.language
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return best_language(request.headers.get("Accept-Language", ""), default)


def _guarded(
    handler: Handler, access: Access
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def guarded(request: web.Request) -> web.StreamResponse:
        visit = await open_visit(request)
        request[VISIT] = visit
        if visit.session is None and not access.public:
            return _to_login(request)
        if visit.session is not None and not visit.session.officer.may(*access.roles):
            raise Refusal("role_missing", roles=",".join(access.roles))
        if request.method == "POST":
            _require_own_site(request, visit)
            visit.form = await read_form(request, uploads=access.uploads)
            if not access.public:
                _require_token(request, visit)
        if visit.session is not None and not access.quiet:
            await _note_use(visit.ctx, visit.session)
        return await handler(visit)

    return guarded


async def _note_use(ctx: Context, session: Session) -> None:
    """Write down that the login is in use; a page must not fail because that could not be."""
    try:
        await keep_alive(ctx, session)
    except StoreFault as fault:
        _log.warning("use of a login not noted", fault=str(fault))


def _to_login(request: web.Request) -> web.Response:
    """Ask who is there. A script gets a plain 401, because it cannot fill in a form."""
    if request.headers.get("X-Script"):
        return web.Response(status=401)
    wanted = request.path_qs if request.method == "GET" else _page_of(request)
    return see_other(f"/login?next={quote(wanted, safe='/')}")


def _page_of(request: web.Request) -> str:
    """Return the page that a form stood on, which is where its browser kept what was typed."""
    parts = [part for part in request.path.split("/") if part]
    return "/" + "/".join(parts[:2]) if len(parts) > 1 else request.path


def _require_own_site(request: web.Request, visit: Visit) -> None:
    if not comes_from_here(request, visit.ctx.settings):
        raise Refusal("came_from_elsewhere")


def _require_token(request: web.Request, visit: Visit) -> None:
    if visit.session is None:
        return
    given = request.headers.get(CSRF_HEADER) or visit.form.text(CSRF_FIELD)
    if not token_is_right(visit.session.csrf_token, given):
        raise Refusal("came_from_elsewhere")

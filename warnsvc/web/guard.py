"""What stands around every answer: security headers, and a page that says what to do when it fails.

No answer of the console is kept by a cache, framed by another site, or runs a script that is not
ours. A fault shows the reader a number that is also in the log, never a trace.
"""

import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.logging import get_logger
from warnsvc.store.port import StoreBusy, StoreFault
from warnsvc.web.visit import CONTEXT, VISIT, Visit, open_visit

CONTENT_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
HSTS = "max-age=31536000"
FORBIDDEN = frozenset({"role_missing", "came_from_elsewhere"})
"""Refusals that are about the visitor, not about what he asked for."""
NOT_FOUND = frozenset(
    {
        "bulletin_unknown",
        "callout_unknown",
        "escalation_unknown",
        "task_unknown",
        "inbound_unknown",
        "contact_unknown",
        "region_not_found",
        "no_such_officer",
        "recording_language_unknown",
        "carrier_unknown",
    }
)
_TOLD = frozenset({400, 403, 404, 405, 408, 413, 414, 431})
"""HTTP errors that have a page of their own; others are shown as a plain refusal."""

_log = get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send the security headers with every answer, errors included."""
    if request.path.startswith("/callbacks/"):  # a carrier is no browser, and comes in thousands
        return await handler(request)
    try:
        response = await handler(request)
    except web.HTTPException as error:
        _protect(request, error)
        raise
    _protect(request, response)
    return response


def _protect(request: web.Request, response: web.StreamResponse) -> None:
    if response.prepared:  # a stream has sent its own
        return
    for name, value in protection(request).items():
        response.headers.setdefault(name, value)


def protection(request: web.Request) -> dict[str, str]:
    """Return the security headers of one answer."""
    found = dict(HEADERS)
    if not request.path.startswith("/static/"):
        found["Cache-Control"] = "no-store"
    else:
        found["Cache-Control"] = "no-cache"
    if request.app[CONTEXT].settings.cookie_is_secure:
        found["Strict-Transport-Security"] = HSTS
    return found


@web.middleware
async def faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what goes wrong into a page for a human, or a short word for a machine."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return await _refused(request, refusal)
    except Refusals as refusals:
        return await _refused(request, refusals.refusals[0])
    except web.HTTPException as error:
        if error.status not in _TOLD or not _is_console(request):
            raise
        return await _failed(request, error.status)
    except StoreBusy:
        _log.warning("database busy", path=request.path)
        return await _failed(request, 503)
    except StoreFault:
        return await _failed(request, 503, number=_logged(request))
    except Exception:
        return await _failed(request, 500, number=_logged(request))


def _logged(request: web.Request) -> str:
    """Log the fault with its trace and return the number that is shown for it."""
    number = secrets.token_hex(4)
    _log.exception("page failed", path=request.path, method=request.method, number=number)
    return number


async def _refused(request: web.Request, refusal: Refusal) -> web.StreamResponse:
    status = 409
    if refusal.code in FORBIDDEN:
        status = 403
    elif refusal.code in NOT_FOUND:
        status = 404
    if not _is_console(request):
        return web.json_response({"refused": refusal.code}, status=status)
    visit = await _visit(request)
    return await visit.render("refused.html", status=status, refusal=refusal)


async def _failed(request: web.Request, status: int, *, number: str = "") -> web.StreamResponse:
    if not _is_console(request):
        return web.json_response({"failed": status, "number": number}, status=status)
    try:
        visit = await _visit(request)
        return await visit.render("failed.html", status=status, number=number)
    except StoreFault:
        # Without a database there is nobody to greet by name; the page must come all the same.
        pages_less = f"{status} · 系统暂时不可用，请稍后重试 · Temporarily unavailable. {number}"
        return web.Response(text=pages_less, status=status)


async def _visit(request: web.Request) -> Visit:
    visit = request.get(VISIT)
    return visit if visit is not None else await open_visit(request)


def _is_console(request: web.Request) -> bool:
    """Whether a person reads the answer: carriers and scripts get a word instead of a page."""
    if request.headers.get("X-Script"):
        return False
    return VISIT in request or (
        request.method in {"GET", "HEAD"} and not request.path.startswith(("/api/", "/callback"))
    )

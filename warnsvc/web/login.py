"""Logging in and out, the language switch, and what a waiting page asks for every few seconds.

A login that was there before is replaced, never reused: the token changes at every login.
"""

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.service.session import choose_language, keep_alive, log_in, log_out
from warnsvc.web.cookie import forget_token, set_language, set_token
from warnsvc.web.query.badge import load_badges
from warnsvc.web.visit import Visit, get, post, safe_path, see_other
from warnsvc.words import LANGUAGES

LOGIN_STATUS = 401


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/login", show_login, public=True),
        post("/login", do_log_in, public=True),
        post("/logout", do_log_out),
        post("/language", change_language, public=True),
        get("/now", show_now, quiet=True),
        post("/stay", stay),
    ]


async def show_login(visit: Visit) -> web.StreamResponse:
    """Show the login form, or the desk to somebody who is already logged in."""
    wanted = safe_path(visit.query("next"))
    if visit.session is not None:
        return see_other(wanted)
    return await visit.render("login.html", next=wanted, login="", refusal=None)


async def do_log_in(visit: Visit) -> web.StreamResponse:
    """Check login and password and hand out a token."""
    wanted, login = safe_path(visit.form.text("next")), visit.form.text("login")
    try:
        token, _ = await log_in(
            visit.ctx,
            login=login,
            password=visit.form.text("password"),
            agent=visit.request.headers.get("User-Agent", ""),
            language=visit.language,
        )
    except Refusal as refusal:
        return await visit.render(
            "login.html", status=LOGIN_STATUS, next=wanted, login=login, refusal=refusal
        )
    if visit.session is not None:
        await log_out(visit.ctx, visit.session)
    response = see_other(wanted)
    set_token(response, visit.ctx.settings, token)
    return response


async def do_log_out(visit: Visit) -> web.StreamResponse:
    """End this login."""
    assert visit.session is not None
    await log_out(visit.ctx, visit.session)
    response = see_other("/login?said=logged_out")
    forget_token(response, visit.ctx.settings)
    return response


async def change_language(visit: Visit) -> web.StreamResponse:
    """Show the pages in another language from now on."""
    language = visit.form.text("to")
    response = see_other(safe_path(visit.form.text("back")))
    if language in LANGUAGES:
        set_language(response, visit.ctx.settings, language)
        if visit.session is not None:
            await choose_language(visit.ctx, visit.session, language)
    return response


async def show_now(visit: Visit) -> web.StreamResponse:
    """What a page needs to know while it stands open; asking does not count as use."""
    assert visit.session is not None
    async with visit.ctx.store.view() as view:
        badges = await load_badges(view)
    return web.json_response(
        {
            "now": int(visit.now.timestamp() * 1000),
            "ends": int(visit.session.ends_at.timestamp() * 1000),
            "alarms": badges.alarms,
            "last_alarm": badges.last_alarm,
            "tasks": badges.tasks,
            "inbox": badges.inbox,
            "to_sign": badges.to_sign,
        }
    )


async def stay(visit: Visit) -> web.StreamResponse:
    """The officer has moved the mouse or pressed a key: he is there."""
    assert visit.session is not None
    await keep_alive(visit.ctx, visit.session)
    return web.Response(status=204)

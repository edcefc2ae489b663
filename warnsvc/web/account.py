"""One's own account: open logins that can be ended, and the password."""

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.service.officer import change_password
from warnsvc.service.session import revoke, revoke_all
from warnsvc.web.query.officer import open_sessions
from warnsvc.web.visit import Visit, get, post, see_other

REFUSED_STATUS = 422


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/account", show_account),
        post("/account/password", do_change_password),
        post("/account/sessions/end", end_session),
        post("/account/sessions/end-others", end_others),
    ]


async def show_account(visit: Visit) -> web.StreamResponse:
    """Show the officer's logins and the form for a new password."""
    return await _page(visit)


async def do_change_password(visit: Visit) -> web.StreamResponse:
    """Change the password; every other login ends."""
    assert visit.session is not None
    new = visit.form.text("new")
    try:
        if new != visit.form.text("again"):
            raise Refusal("passwords_differ", field="again")
        await change_password(
            visit.ctx,
            officer_id=visit.officer.id,
            old=visit.form.text("old"),
            new=new,
            keep_session=visit.session.token_hash,
        )
    except Refusal as refusal:
        return await _page(visit, refusal=refusal)
    return see_other("/account?said=password_changed")


async def end_session(visit: Visit) -> web.StreamResponse:
    """End one login; when it is this one, the next page asks for the password."""
    await revoke(visit.ctx, officer_id=visit.officer.id, hashed=visit.form.text("session"))
    return see_other("/account?said=session_ended")


async def end_others(visit: Visit) -> web.StreamResponse:
    """End every login but this one."""
    assert visit.session is not None
    officer_id = visit.officer.id
    await revoke_all(visit.ctx, by=officer_id, officer_id=officer_id, but=visit.session.token_hash)
    return see_other("/account?said=sessions_ended")


async def _page(visit: Visit, *, refusal: Refusal | None = None) -> web.StreamResponse:
    sessions = await open_sessions(visit.ctx, visit.officer.id, now=visit.now)
    return await visit.render(
        "account.html",
        status=200 if refusal is None else REFUSED_STATUS,
        sessions=sessions,
        refusal=refusal,
    )

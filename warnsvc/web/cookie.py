"""The two cookies: the login's token, and the language of somebody who has not logged in.

The login's cookie is HttpOnly and SameSite=Lax: a link from a chat still finds the officer logged
in, and no GET changes anything. Over https its name carries `__Host-`, so that no neighbour on the
same domain can plant one.
"""

from aiohttp import web

from warnsvc.settings import Settings

LANGUAGE_COOKIE = "warnsvc_language"
LANGUAGE_SECONDS = 365 * 86_400
TOKEN_CHARS_MAX = 100
"""Longer is not ours; it is not even hashed."""


def session_cookie(settings: Settings) -> str:
    """Return the name of the login's cookie."""
    return "__Host-warnsvc" if settings.cookie_is_secure else "warnsvc_session"


def read_token(request: web.Request, settings: Settings) -> str | None:
    """Return the login's token as the browser sent it."""
    token = request.cookies.get(session_cookie(settings))
    return token if token and len(token) <= TOKEN_CHARS_MAX else None


def set_token(response: web.StreamResponse, settings: Settings, token: str) -> None:
    """Hand the token to the browser until it is closed or the login ends."""
    response.set_cookie(
        session_cookie(settings),
        token,
        path="/",
        httponly=True,
        secure=settings.cookie_is_secure,
        samesite="Lax",
        max_age=settings.session_absolute_minutes * 60,
    )


def forget_token(response: web.StreamResponse, settings: Settings) -> None:
    """Tell the browser to forget it."""
    response.del_cookie(
        session_cookie(settings),
        path="/",
        httponly=True,
        secure=settings.cookie_is_secure,
        samesite="Lax",
    )


def set_language(response: web.StreamResponse, settings: Settings, language: str) -> None:
    """Remember the language without a login."""
    response.set_cookie(
        LANGUAGE_COOKIE,
        language,
        path="/",
        secure=settings.cookie_is_secure,
        samesite="Lax",
        max_age=LANGUAGE_SECONDS,
    )

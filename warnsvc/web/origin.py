"""Whether a post came from our own page: where it says it comes from, and the token it carries.

A browser says where a post comes from (`Sec-Fetch-Site`, `Origin`); if it says elsewhere, the post
is refused. Every form also carries the login's CSRF token. It never looks at `Referer`.
"""

import hmac
from urllib.parse import urlsplit

from aiohttp import web

from warnsvc.settings import Settings

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF"
_OWN_SITES = frozenset({"same-origin", "none"})
"""`none` is the officer himself: a reload, a bookmark."""


def comes_from_here(request: web.Request, settings: Settings) -> bool:
    """Return False when the browser says that another site made it post."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in _OWN_SITES:
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc in {request.host, urlsplit(settings.public_url).netloc}


def token_is_right(expected: str, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(expected.encode(), given.encode())

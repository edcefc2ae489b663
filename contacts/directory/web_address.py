"""Addresses of endpoints as people type them into lists: https, a host, and nothing secret in it.

What a name leads to is checked when it is connected to (`channels.webhook_address`); here only what
it looks like. It knows no network and no database.
"""

import re
from urllib.parse import urlsplit

CHARS_MAX = 500
"""The width of the table's column."""
_ODD = re.compile(r"[\s<>\"\\\x00-\x1f]")


def web_address(text: str, *, http_too: bool = False) -> str:
    """Return the address. `http_too`: for a demo on this machine. Raises ValueError."""
    parts = urlsplit(text)
    schemes = ("https", "http") if http_too else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.port == 0:
        raise ValueError("not an https address")
    if _ODD.search(text) or "@" in parts.netloc or len(text) > CHARS_MAX:
        raise ValueError("not an address that can be called")
    return text

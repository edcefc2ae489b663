"""Takes secrets out of a carrier's words before anybody sees them.

Some gateways quote our request when they refuse it, and the request holds the password, or the key
in a callback address. Their words go onto pages, into lists and into the ledger, from which nothing
is ever taken out again. A secret is found however it travelled: as it is, quoted for an address,
escaped for JSON or HTML, in base64. It is looked for before a text is cut, because half a secret is
one too. It knows no carrier, and it never touches what decides: only what is shown.
"""

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

SECRET_CHARS_MIN = 6
"""A shorter one stands in ordinary words too, and nothing would be left of them."""
HIDDEN = "…"

_KEY = re.compile(r"(key(?:=|%3D|%253D))[0-9a-f]{32}", re.IGNORECASE)
"""What opens a callback address (`channels.gateway_proof`)."""


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a carrier's words with a mark where a secret was."""
    pattern = _pattern(tuple(secrets))
    shown = _KEY.sub(rf"\1{HIDDEN}", text)
    return pattern.sub(HIDDEN, shown) if pattern is not None else shown


@lru_cache(maxsize=64)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return what finds them in every spelling; the longest first, so that no end is left over."""
    forms = {
        form for secret in secrets if len(secret) >= SECRET_CHARS_MIN for form in _forms(secret)
    }
    if not forms:
        return None
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("|".join(re.escape(form) for form in longest_first), re.IGNORECASE)


def _forms(secret: str) -> Iterator[str]:
    quoted = quote(secret, safe="")
    yield from (secret, quoted, quote(secret), quote_plus(secret), quote(quoted, safe=""))
    yield from (json.dumps(secret, ensure_ascii=plain)[1:-1] for plain in (True, False))
    yield html.escape(secret)
    yield from _in_base64(secret.encode())


def _in_base64(secret: bytes) -> Iterator[str]:
    """Return how it looks inside of what was encoded as a whole, `user:secret` or a document:
    three ways, by where it begins; without the characters that hold bits of its neighbours."""
    for before in range(3):
        coded = b64encode(bytes(before) + secret).decode("ascii")
        begin, end = -(-before * 8 // 6), (before + len(secret)) * 8 // 6
        yield coded[begin:end]

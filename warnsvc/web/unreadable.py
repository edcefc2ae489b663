"""What is kept of a genuine callback that nobody can read: all that a person could make use of.

A gateway that calls by GET says everything in the address, so that is kept beside the body; what
opens our door (a key, a signature) is shown to nobody. It decides nothing and loses nothing.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import unquote_plus

from channels.base import CallbackRequest, Channel
from warnsvc.store.inbound import Inbound

BODY_BYTES_SHOWN = 2_000
"""Enough for a person to know what it is."""
SECRET_FIELDS = frozenset(
    {"key", "k", "seal", "token", "auth", "sign", "signature", "sig", "mac", "apikey", "api_key"}
    | {"secret", "password", "passwd", "pwd", "pswd"}
)
"""Fields of an address that are shown to nobody: with some of them anybody could answer."""

_Query = Sequence[tuple[str, str]]


def unreadable_fact(channel: Channel, callback: CallbackRequest, now: datetime) -> Inbound:
    """Return it as an answer that nobody understood, for the duty queue.

    Its key holds the hour: what comes again and again is shown once, and what the same phone says
    in the same way next week is shown again.
    """
    query = _query_of(callback.url)
    said = "&".join(f"{name}={value}" for name, value in query)
    about = f"{now:%Y%m%d%H}\n{callback.method}\n{callback.token}\n{said}\n"
    digest = hashlib.sha256(about.encode("utf-8", "surrogatepass") + callback.body).hexdigest()
    return Inbound(
        kind="answer",
        carrier=channel.name,
        channel=channel.capabilities.kind.value,
        dedupe_key=f"x:{digest}",
        received_at=now,
        text=_text(callback, query),
    )


def _query_of(url: str) -> list[tuple[str, str]]:
    """Return what stands behind the question mark, without what opens our door."""
    pairs = url.partition("?")[2].partition("#")[0].split("&")
    parted = (pair.partition("=") for pair in pairs if pair)
    return [(name, value) for name, _, value in parted if name.lower() not in SECRET_FIELDS]


def _text(callback: CallbackRequest, query: _Query) -> str:
    body = callback.body[:BODY_BYTES_SHOWN].decode("utf-8", "backslashreplace")
    shown = "&".join(f"{name}={_shown(value)}" for name, value in query)
    address = f"{callback.method} ?{shown}" if shown or not body else ""
    return "\n".join(filter(None, (address, body)))


def _shown(value: str) -> str:
    """Return a value as a person reads it; what is no text stays as it came, so that nothing of it
    is lost to whoever knows its alphabet."""
    try:
        return unquote_plus(value, errors="strict")
    except UnicodeDecodeError:
        return value

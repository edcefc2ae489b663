"""Whose secret is whose: one for each endpoint, derived from the channel's own.

    channel secret ──► HMAC("endpoint:" + mark of the address) ──► the endpoint's whsec_…
    callback address + ?e=<mark>&k=<seal over try and mark> ──► whose answer this may be

Were it one secret for all, each endpoint could answer in another's name. Derived, they need no
table: whoever knows the channel's secret and an address knows that endpoint's.

A callback must be checked with the secret of the endpoint that was asked, and an adapter remembers
nothing. So the callback address says whose it is: `e`, a mark of the endpoint's address, which does
not show the address, because proxies log it and it may hold a password of theirs; and `k`, our own
seal over the try and the mark, so that an endpoint that has learned another's callback address
cannot put its own mark there. In a rotation there is a seal for each of our secrets: a try that was
sent before the old one went is answered after.

It never logs a secret, and keeps none longer than its channel lives.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

from yarl import URL

from channels.base import SignatureInvalid
from channels.signature import SIGNATURES_MAX, WHSEC, webhook_key

MARK_BYTES = 16
"""Of a SHA-256: nobody finds another address with the same mark."""
SEAL_BYTES = 16
"""Of an HMAC: nobody guesses one, and an address stays short enough for any log."""
ENDPOINTS_KEPT = 4_096
"""Keys kept derived; a province has some thousand endpoints."""


def normalised(address: str) -> str:
    """Return an address as everybody would write it who means the same endpoint.

    Case of scheme and host, Chinese or encoded letters, the usual port, an empty path and a
    fragment say nothing. Raises ValueError when it is no web address.
    """
    url = URL(address.strip())
    host = (url.raw_host or "").rstrip(".").lower()
    if url.scheme not in ("https", "http") or not host:
        raise ValueError("an endpoint has an http or https address")
    shown = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{shown}:{url.port}{url.raw_path_qs}"


def mark_of(address: str) -> str:
    """Return what stands for an address in a callback address. Raises ValueError."""
    return _short(hashlib.sha256(normalised(address).encode()).digest()[:MARK_BYTES])


def endpoint_secret(secret: str, address: str) -> str:
    """Return the secret of one endpoint, as its administrator types it in: `whsec_…`.

    `secret`: the channel's. Raises ValueError when one of the two is not usable.
    """
    key = _endpoint_key(webhook_key(secret), mark_of(address))
    return WHSEC + base64.b64encode(key).decode("ascii")


class SecretBook:
    """The secrets of one channel's endpoints. `shared`: they all use the channel's own."""

    def __init__(self, secrets: Sequence[str], *, shared: bool = False) -> None:
        if not secrets:
            raise ValueError("a webhook channel needs a secret")
        if len(secrets) > SIGNATURES_MAX:
            raise ValueError(f"a webhook channel has at most {SIGNATURES_MAX} secrets")
        self._secrets = tuple(secrets)
        self._keys = tuple(webhook_key(secret) for secret in secrets)
        self._shared = shared
        self._of_mark = lru_cache(maxsize=ENDPOINTS_KEPT)(self._derive)

    def secret_of(self, address: str) -> str:
        """Return what an endpoint's administrator must type in. Raises ValueError."""
        if self._shared:
            return WHSEC + base64.b64encode(self._keys[0]).decode("ascii")
        return endpoint_secret(self._secrets[0], address)

    def keys_for(self, address: str) -> tuple[bytes, ...]:
        """Return the keys that sign what is sent to an endpoint: all that are active."""
        return self._keys if self._shared else self._of_mark(mark_of(address))

    def callback_url(self, url: str, token: str, address: str) -> str:
        """Return the callback address with whose it is in it."""
        if self._shared or not url:
            return url
        mark = mark_of(address)
        seals = ".".join(_seal(key, token, mark) for key in self._keys)
        return f"{url}{'&' if '?' in url else '?'}e={mark}&k={seals}"

    def keys_of_callback(self, url: str, token: str) -> tuple[bytes, ...]:
        """Return the keys of the endpoint that was asked. Raises SignatureInvalid."""
        if self._shared:
            return self._keys
        query = parse_qs(urlsplit(url).query)
        mark, seals = query.get("e", [""])[0], query.get("k", [""])[0].split(".")
        if not token or not self._sealed(token, mark, seals[:SIGNATURES_MAX]):
            raise SignatureInvalid("the callback address is not one that we gave out")
        return self._of_mark(mark)

    def _sealed(self, token: str, mark: str, seals: Sequence[str]) -> bool:
        sealed = False
        for key in self._keys:
            wanted = _seal(key, token, mark).encode()
            for seal in seals:
                given = seal.encode("utf-8", "surrogateescape")
                sealed |= hmac.compare_digest(wanted, given)
        return sealed

    def _derive(self, mark: str) -> tuple[bytes, ...]:
        return tuple(_endpoint_key(key, mark) for key in self._keys)


def _endpoint_key(key: bytes, mark: str) -> bytes:
    return hmac.digest(key, f"endpoint:{mark}".encode(), "sha256")


def _seal(key: bytes, token: str, mark: str) -> str:
    """Lengths need no telling: a mark is always as long."""
    signed = f"callback:{mark}:{token}".encode("utf-8", "surrogateescape")
    return _short(hmac.digest(key, signed, "sha256")[:SEAL_BYTES])


def _short(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")

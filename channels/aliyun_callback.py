"""Callbacks that nobody signs: batches of reports, at an address that cannot be guessed.

    POST /callbacks/{name}?key=…      a JSON array: reports, replies, key presses
      the key is one we derived from our secret         else SignatureInvalid
      and the sender's address is on the list, if any    else SignatureInvalid
      ──► the array's objects                            answered {"code":0,"msg":"…"}

The provider checks only that it hears 200 and a number in `code`; then it forgets the batch.
Otherwise it comes again after 1, 5 and 10 minutes and then never. Everybody who knows the address
can post to it, so the address is a secret: it is not logged, and it changes with the secret (two
secrets during a rotation are two addresses that both work). Source: carriers.md §4.1.
"""

import hmac
import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import structlog

from channels.base import CallbackMalformed, CallbackReply, CallbackRequest, SignatureInvalid

log = structlog.get_logger(__name__)

KEY_CHARS: Final = 32
"""128 bits in hex."""
KEY_PARAMETER: Final = "key"
BATCH_MAX: Final = 1_000
"""Reports in one batch; the body's own limit is reached first."""
REPLY: Final = CallbackReply(
    status=200, body='{"code":0,"msg":"接收成功"}', content_type="application/json"
)

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class BatchGate:
    """Who may post batches to one channel."""

    def __init__(self, *, name: str, secrets: Sequence[str], allow_from: str = "") -> None:
        """`allow_from`: networks, spaces or commas between; none: everywhere. Raises ValueError."""
        self._keys = tuple(callback_key(secret, name) for secret in secrets)
        self._allowed = tuple(_network(word) for word in allow_from.replace(",", " ").split())

    @property
    def query(self) -> str:
        """What follows the question mark in the address to give to the provider. A secret."""
        return f"{KEY_PARAMETER}={self._keys[0]}"

    def objects(self, request: CallbackRequest) -> list[Mapping[str, Any]]:
        """Return the objects of a genuine batch. Raises SignatureInvalid, CallbackMalformed."""
        self._admit(request)
        try:
            batch = json.loads(request.body)
        except (ValueError, RecursionError) as error:
            raise CallbackMalformed("the batch is not JSON") from error
        if not isinstance(batch, list):
            raise CallbackMalformed("the batch is no array")
        found: list[Mapping[str, Any]] = [o for o in batch[:BATCH_MAX] if isinstance(o, dict)]
        if not found:
            raise CallbackMalformed("the batch holds no objects")
        if len(found) < len(batch):
            log.warning("parts of a batch cannot be read", parts=len(batch) - len(found))
        return found

    def about(self, request: CallbackRequest, tokens: Iterable[str]) -> None:
        """Raise CallbackMalformed when the address names another try than the batch does.

        A batch has no token in its address; should somebody put one there, it holds.
        """
        if request.token and any(token != request.token for token in tokens):
            raise CallbackMalformed("the callback is about another try than its address says")

    def _admit(self, request: CallbackRequest) -> None:
        """Compare with every key, so that the time taken says nothing."""
        given = parse_qs(urlsplit(request.url).query).get(KEY_PARAMETER, [""])[0].encode()
        known = False
        for key in self._keys:
            known |= hmac.compare_digest(given, key.encode())
        if not known:
            raise SignatureInvalid("the callback's address lacks the right key")
        if self._allowed and not self._comes_from_there(request.remote):
            raise SignatureInvalid("the callback comes from an address that is not on the list")

    def _comes_from_there(self, remote: str) -> bool:
        try:
            address = ipaddress.ip_address(remote.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._allowed)


def callback_key(secret: str, name: str) -> str:
    """Return the key in a channel's callback address."""
    signed = f"warnsvc callback {name}".encode()
    return hmac.digest(secret.encode(), signed, "sha256").hex()[:KEY_CHARS]


def _network(word: str) -> _Network:
    try:
        return ipaddress.ip_network(word, strict=False)
    except ValueError:
        raise ValueError("allow_from is a list of networks such as 203.0.113.0/24") from None

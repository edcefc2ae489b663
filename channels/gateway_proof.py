"""Signatures that gateways ask for and give, and the keys in callback addresses.

A gateway that signs nothing proves itself by knowing the address it was given. The address holds a
key: an HMAC of the account's secret over what the address is for, so that neither the secret nor
anything that opens another address is in a URL, where logs and proxies would keep it. Each message
has a key of its own; replies have one for all. Keys of two secrets are good during a rotation.

It compares in constant time, and never logs a key or a secret.
"""

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

from channels import signature
from channels.base import CallbackRequest, SignatureInvalid
from channels.gateway_account import Account
from channels.gateway_profile import Digest, Proof, ProofRule, Signing, Spelling

KEY_HEX_DIGITS = 32
"""128 bits: nobody guesses them, and an address stays short enough for a gateway's field."""

KEY_PARAMETER = "key"

Networks = tuple[IPv4Network | IPv6Network, ...]

_HASHES: Final[Mapping[Digest, str]] = {
    Digest.MD5: "md5",
    Digest.SHA1: "sha1",
    Digest.SHA256: "sha256",
    Digest.HMAC_MD5: "md5",
    Digest.HMAC_SHA1: "sha1",
    Digest.HMAC_SHA256: "sha256",
}
_UNDER_SECRET: Final = frozenset({Digest.HMAC_MD5, Digest.HMAC_SHA1, Digest.HMAC_SHA256})


def sign(signing: Signing, values: Mapping[str, Any], secret: str, charset: str = "utf-8") -> str:
    """Return the signature over a template's text. Raises UnicodeEncodeError."""
    joined = signing.template.render(values).encode(charset)
    name = _HASHES[signing.digest]
    if signing.digest in _UNDER_SECRET:
        made = hmac.digest(secret.encode(), joined, name)
    else:
        made = hashlib.new(name, joined, usedforsecurity=False).digest()
    match signing.spelling:
        case Spelling.HEX:
            return made.hex()
        case Spelling.HEX_UPPER:
            return made.hex().upper()
        case Spelling.BASE64:
            return b64encode(made).decode("ascii")


def address_key(secret: str, channel: str, token: str) -> str:
    """Return the key in the callback address of one message, or of replies (no token)."""
    about = f"warnsvc callback\n{channel}\n{token}".encode()
    return hmac.digest(secret.encode(), about, "sha256").hex()[:KEY_HEX_DIGITS]


def with_key(url: str, account: Account, token: str) -> str:
    """Return a callback address with the key that opens it."""
    return f"{url}?{KEY_PARAMETER}={address_key(account.secret, account.channel, token)}"


def hidden_words(account: Account) -> tuple[str, ...]:
    """Return what a gateway may quote of our requests and nobody shall see: the secrets, and the
    keys with which anybody could answer."""
    keys = (address_key(secret, account.channel, "") for secret in account.secrets)
    return (*account.secrets, *keys)


def check_callback(
    request: CallbackRequest, rule: ProofRule, account: Account, *, allowed: Networks, now: datetime
) -> None:
    """Raise SignatureInvalid unless a callback is the gateway's."""
    _check_remote(request, allowed)
    if len(request.body) > signature.CALLBACK_BYTES_MAX:
        raise SignatureInvalid("the callback is too long to be the gateway's")
    match rule.by:
        case Proof.KEY:
            _check_key(request, account)
        case Proof.SIGNATURE:
            _check_signature(request, rule, account, now)


_KEY = re.compile(rf"[?&]{KEY_PARAMETER}=([0-9a-f]*)(?:&|$)")


def _check_key(request: CallbackRequest, account: Account) -> None:
    found = _KEY.search(request.url)
    wanted = [address_key(secret, account.channel, request.token) for secret in account.secrets]
    if not _equals_any(found[1] if found else "", wanted):
        raise SignatureInvalid("the key in the callback address is missing or wrong")


def _check_signature(
    request: CallbackRequest, rule: ProofRule, account: Account, now: datetime
) -> None:
    assert rule.signing is not None, "the reader of profiles sees to it"
    stamp = signature.header(request.headers, rule.time_header) if rule.time_header else ""
    if rule.time_header:
        _check_age(stamp, now)
    values = {
        "body": request.body.decode("utf-8", "replace"),
        "timestamp": stamp,
        "url": request.url,
        "token": request.token,
        "user": account.user,
    }
    given = signature.header(request.headers, rule.header)
    wanted = [sign(rule.signing, {**values, "secret": one}, one) for one in account.secrets]
    if rule.signing.spelling is not Spelling.BASE64:
        given, wanted = given.lower(), [one.lower() for one in wanted]
    if not _equals_any(given, wanted):
        raise SignatureInvalid("the gateway's signature is missing or wrong")


def _check_age(stamp: str, now: datetime) -> None:
    """A Unix time, in seconds or milliseconds, must be about now."""
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 13):
        raise SignatureInvalid("the callback has no timestamp")
    seconds = int(stamp) / (1000 if len(stamp) == 13 else 1)
    if abs(now.timestamp() - seconds) > signature.TOLERANCE_SECONDS:
        raise SignatureInvalid("the callback is too old, or from the future")


def read_networks(given: str | Iterable[str]) -> Networks:
    """Return the networks that callbacks may come from. Raises ValueError."""
    words = given.replace(",", " ").split() if isinstance(given, str) else list(given)
    try:
        return tuple(ip_network(word) for word in words)
    except ValueError:
        raise ValueError(
            "allow_from holds addresses or networks, as in 10.1.0.0/16 192.0.2.7"
        ) from None


def _check_remote(request: CallbackRequest, allowed: Networks) -> None:
    if not allowed:
        return
    try:
        remote = ip_address(request.remote.partition("%")[0])
    except ValueError:
        raise SignatureInvalid("nobody knows where the callback came from") from None
    mapped = getattr(remote, "ipv4_mapped", None)
    if not any((mapped or remote) in network for network in allowed):
        raise SignatureInvalid("the callback came from an address that is not the gateway's")


def _equals_any(given: str, wanted: Iterable[str]) -> bool:
    """Compare with all, so that the time taken says nothing about where they differ."""
    equal, offered = False, given.encode("utf-8", "surrogatepass")
    for value in wanted:
        equal |= hmac.compare_digest(offered, value.encode())
    return equal

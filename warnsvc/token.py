"""Tokens that name a row and cannot be guessed: the id in base 36, a point, and a signature.

    1a2b.Zr3kQm0c9Yy1n0pXw5dT7g     id 57,539, HMAC-SHA256 cut to 128 bits

They go into callback addresses and answer links, so they are short, URL-safe and need no look-up to
be checked. `kind` is part of what is signed: the token of an attempt is never good for a callout.
Nothing is stored, nothing expires here, and nothing here knows a table.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache

SIGNATURE_BYTES = 16
"""128 bits: a guess succeeds once in 10³⁸ tries, and an SMS has few characters to spare."""

TOKEN_CHARS_MAX = 40
"""13 digits hold any 64-bit id in base 36; 22 characters of signature; the point."""

CUT_SIGNATURE_CHARS_MIN = 6
"""36 bits: enough against a mistake where somebody else has proved already who is speaking."""

KEYED_MAX = 16
"""A handful of kinds under two secrets."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(high + low for high in _DIGITS for low in _DIGITS)


def sign_token(secret: bytes, kind: str, id: int) -> str:  # noqa: A002 - the word of the house
    """Return the token of row `id` of `kind`. Short and URL-safe; the same every time."""
    assert id >= 0, "an id is never negative"
    code = _keyed(secret, kind).copy()
    code.update(b"%d" % id)
    signature = urlsafe_b64encode(code.digest()[:SIGNATURE_BYTES])[:-2].decode()  # without its "=="
    return f"{_base36(id)}.{signature}"


def read_token(secrets: Sequence[bytes], kind: str, token: str) -> int | None:
    """Return the id that `token` names, or None when none of `secrets` signed it for `kind`.

    While a secret is being replaced there are two: the new one first, then the one before.
    """
    id_text, point, _ = token.partition(".")
    if not point or len(token) > TOKEN_CHARS_MAX or not token.isascii() or not id_text.isalnum():
        return None
    number = int(id_text, 36)
    for secret in secrets:
        # The whole token is compared, not only the signature, so that one row has one spelling.
        if hmac.compare_digest(sign_token(secret, kind, number), token):
            return number
    return None


def read_cut_token(secrets: Sequence[bytes], kind: str, token: str) -> int | None:
    """Return the id of a token that a carrier has cut short, or None.

    Only for callbacks that are genuine without it: some carriers bring back fifteen bytes and no
    more. In an address of ours a cut token is never good.
    """
    id_text, point, signature = token.partition(".")
    if not point or len(signature) < CUT_SIGNATURE_CHARS_MIN or len(token) > TOKEN_CHARS_MAX:
        return None
    if not token.isascii() or not id_text.isalnum():
        return None
    number = int(id_text, 36)
    for secret in secrets:
        if hmac.compare_digest(sign_token(secret, kind, number)[: len(token)], token):
            return number
    return None


@lru_cache(maxsize=KEYED_MAX)
def _keyed(secret: bytes, kind: str) -> hmac.HMAC:
    """Return the code that has taken in secret and kind, ready to be copied: 0.4 µs saved each."""
    return hmac.new(secret, f"warnsvc {kind} ".encode(), "sha256")


def _base36(number: int) -> str:
    """Return the number in base 36. Two digits at a time: every callback address needs one."""
    pairs: list[str] = []
    while number >= 1296:
        number, rest = divmod(number, 1296)
        pairs.append(_PAIRS[rest])
    head = _PAIRS[number] if number >= 36 else _DIGITS[number]
    return head + "".join(reversed(pairs))

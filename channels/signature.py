"""Who sent this: signatures over callbacks and webhooks, made and checked.

    carrier forms   X-Carrier-Timestamp, X-Carrier-Signature: v1=hex HMAC-SHA256 over the
                    timestamp, the public URL and the sorted parameters
    webhooks        Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature: v1,base64

Checks take several secrets, because a rotation needs two for a while. They compare in constant
time and refuse what is older or newer than five minutes, so that a callback that was overheard is
of no use later. A missing header is a refusal, never an error of ours. It never logs a secret.
Source: reliability.md §1 (Standard Webhooks 1.0.0), carriers.md §1.2.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from channels.base import SignatureInvalid

TOLERANCE_SECONDS = 300
"""Clocks differ and callbacks are retried; five minutes is what Stripe and Svix allow."""

CALLBACK_BYTES_MAX = 64 * 1024
"""A receipt is well under one kilobyte; a batch of them fits in this."""

FIELDS_MAX = 100
"""A form with more fields than this is not from our carrier."""

SIGNATURES_MAX = 5
"""A header lists one signature per active secret of the sender."""

WHSEC = "whsec_"
"""Standard Webhooks: before a secret that is written in base64."""

SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64
"""Standard Webhooks: a secret has 24 to 64 bytes."""

CARRIER_TIMESTAMP = "X-Carrier-Timestamp"
CARRIER_SIGNATURE = "X-Carrier-Signature"
WEBHOOK_ID = "webhook-id"
WEBHOOK_TIMESTAMP = "webhook-timestamp"
WEBHOOK_SIGNATURE = "webhook-signature"

Pairs = Sequence[tuple[str, str]]


def header(headers: Mapping[str, str], name: str) -> str:
    """Return a header whatever its case, or "" when it is missing."""
    found = headers.get(name)
    if found is not None:
        return found
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")


# --- forms of the simulated carrier ---------------------------------------------------------------


def form_headers(secret: str, url: str, pairs: Pairs, now: datetime) -> dict[str, str]:
    """Return the headers that sign a form posted to `url`."""
    stamp = str(int(now.timestamp()))
    return {
        CARRIER_TIMESTAMP: stamp,
        CARRIER_SIGNATURE: f"v1={_form_signature(secret, url, pairs, stamp)}",
    }


def read_signed_form(
    *, secrets: Sequence[str], url: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> dict[str, str]:
    """Return the parameters of a form that is really from the carrier. Raises SignatureInvalid."""
    stamp = header(headers, CARRIER_TIMESTAMP)
    given = header(headers, CARRIER_SIGNATURE)
    _check_age(stamp, now)
    pairs = _form_pairs(body)
    wanted = (f"v1={_form_signature(secret, url, pairs, stamp)}" for secret in secrets)
    if not _any_equal([given], wanted):
        raise SignatureInvalid("the carrier's signature is missing or wrong")
    return dict(pairs)


def _form_pairs(body: bytes) -> list[tuple[str, str]]:
    if len(body) > CALLBACK_BYTES_MAX:
        raise SignatureInvalid("the callback is too long to be the carrier's")
    try:
        return form_pairs(body)
    except ValueError as error:
        raise SignatureInvalid("the callback is not a form") from error


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """Return what `parse_qsl` returns of a form, in a third of its time. Raises ValueError.

    Every callback goes through here, forged ones too; most values hold nothing that needs decoding,
    and the others hold runs of it.
    """
    fields = body.decode("ascii").split("&")
    if len(fields) > FIELDS_MAX:
        raise ValueError("too many fields")
    parted = (field.partition("=") for field in fields if field)
    return [(_unquoted(key), _unquoted(value)) for key, _, value in parted]


def _unquoted(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return _QUOTED.sub(_decoded, text) if "%" in text else text


def _decoded(run: re.Match[str]) -> str:
    return bytes.fromhex(run[0].replace("%", "")).decode("utf-8")


_QUOTED = re.compile("(?:%[0-9A-Fa-f]{2})+")
"""Characters that follow each other and are quoted: bytes of one UTF-8 text."""


def _form_signature(secret: str, url: str, pairs: Pairs, stamp: str) -> str:
    """Lengths stand before keys and values, so that no two forms have the same canonical text."""
    fields = "".join(
        f"{len(key)}:{key}{len(value)}:{value}" for key, value in sorted(pairs)
    )
    return hmac.digest(secret.encode(), f"{stamp}\n{url}\n{fields}".encode(), "sha256").hex()


# --- Standard Webhooks ----------------------------------------------------------------------------


def webhook_headers(
    keys: Sequence[bytes], message_id: str, body: bytes, now: datetime
) -> dict[str, str]:
    """Return the headers that sign a webhook: one signature a key, so that a receiver who knows
    either secret of a rotation believes it."""
    stamp = str(int(now.timestamp()))
    signed = [_webhook_signature(key, message_id, stamp, body) for key in keys[:SIGNATURES_MAX]]
    return {
        WEBHOOK_ID: message_id,
        WEBHOOK_TIMESTAMP: stamp,
        WEBHOOK_SIGNATURE: " ".join(signed),
    }


def check_webhook(
    *, keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime
) -> str:
    """Return the id of a webhook that is really from its sender. Raises SignatureInvalid."""
    message_id = header(headers, WEBHOOK_ID)
    stamp = header(headers, WEBHOOK_TIMESTAMP)
    given = header(headers, WEBHOOK_SIGNATURE).split(" ")[:SIGNATURES_MAX]
    _check_age(stamp, now)
    if len(body) > CALLBACK_BYTES_MAX:
        raise SignatureInvalid("the webhook is too long")
    wanted = (_webhook_signature(key, message_id, stamp, body) for key in keys)
    if not message_id or not _any_equal(given, wanted):
        raise SignatureInvalid("the webhook's signature is missing or wrong")
    return message_id


def webhook_key(secret: str) -> bytes:
    """Return the bytes of a secret: `whsec_` + base64, or plain text. Raises ValueError."""
    try:
        key = (
            base64.b64decode(secret.removeprefix(WHSEC), validate=True)
            if secret.startswith(WHSEC)
            else secret.encode()
        )
    except binascii.Error:
        raise ValueError("a webhook secret after whsec_ must be base64") from None
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError("a webhook secret has 24 to 64 bytes")
    return key


def _webhook_signature(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    signed = _as_sent(f"{message_id}.{stamp}.") + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode("ascii")


# --- both -----------------------------------------------------------------------------------------


def _check_age(stamp: str, now: datetime) -> None:
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise SignatureInvalid("the callback has no timestamp")
    if abs(now.timestamp() - int(stamp)) > TOLERANCE_SECONDS:
        raise SignatureInvalid("the callback is too old, or from the future")


def _any_equal(given: Iterable[str], wanted: Iterable[str]) -> bool:
    """Compare every pair, so that the time taken says nothing about where they differ."""
    offered = [_as_sent(value) for value in given]
    equal = False
    for value in wanted:
        for offer in offered:
            equal |= hmac.compare_digest(offer, value.encode())
    return equal


def _as_sent(text: str) -> bytes:
    """Return the bytes of a header: what is not UTF-8 in it must be refused, not raise."""
    return text.encode("utf-8", "surrogateescape")

"""Builds the request that hands a message to a gateway, as its profile says.

    SendRequest ──► values by name ──► fields ──► signature ──► address, headers, body

A profile may put a value anywhere; where it lands it is quoted for that place, so a plus sign, an
ampersand or a line break in a text stays what it is. It sends nothing.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import Any
from urllib.parse import quote

from yarl import URL

from channels import segment
from channels.base import Inquiry, SendRequest
from channels.errors import ErrorClass, PermanentFailure
from channels.gateway_account import Account
from channels.gateway_profile import Authentication, Encoding, Profile, SendRule
from channels.gateway_proof import sign, with_key
from channels.gateway_send_rules import BODY_NAME
from channels.gateway_template import Template

CODING_GSM = 0
CODING_UCS2 = 2
"""The alphabets as Kannel, SMPP and CMPP bridges number them."""

_CONTENT_TYPES: Mapping[Encoding, str] = {
    Encoding.FORM: "application/x-www-form-urlencoded",
    Encoding.JSON: "application/json",
    Encoding.BASE64_JSON: "application/json",
}


@dataclass(frozen=True, slots=True)
class Built:
    """A request that is ready to go."""

    method: str
    url: URL
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    values: dict[str, Any] = field(repr=False)
    """What the names stood for; the answer's reference may be made of them."""


def build_send(
    profile: Profile, account: Account, request: SendRequest, now: datetime, *, keyed: bool
) -> Built:
    """Return the request for one message. Raises PermanentFailure: it can never be sent so."""
    return build(profile.send, account, send_values(profile, account, request, now, keyed=keyed))


def send_values(
    profile: Profile, account: Account, request: SendRequest, now: datetime, *, keyed: bool
) -> dict[str, Any]:
    """Return what the names stand for in one message. Raises PermanentFailure: it is too late.

    `keyed`: callback addresses get their key.
    """
    return {
        **_common(profile, account, request.to, request.text, now),
        **_validity(profile, request.valid_until, now),
        "token": request.token,
        "language": request.language,
        **_addresses(account, request, keyed=keyed),
    }


def build_lookup(
    rule: SendRule, profile: Profile, account: Account, ask: Inquiry, now: datetime
) -> Built:
    """Return the request that asks about one message. Raises PermanentFailure."""
    common = _common(profile, account, ask.to, ask.text, now)
    return build(rule, account, {**common, "token": ask.token, "reference": ask.reference})


def build(rule: SendRule, account: Account, values: dict[str, Any]) -> Built:
    """Return the request that a rule makes of values. Raises PermanentFailure."""
    try:
        return _build(rule, account, values)
    except UnicodeEncodeError as fault:
        raise PermanentFailure(
            f"the text does not fit into {rule.charset}",
            code="charset",
            error_class=ErrorClass.FILTERED,
        ) from fault


def _build(rule: SendRule, account: Account, values: dict[str, Any]) -> Built:
    signing = rule.signing
    over_body = signing is not None and BODY_NAME in signing.template.names
    if signing is not None and not over_body:
        values["signature"] = sign(signing, values, account.secret, rule.charset)
    address = account.base_url.rstrip("/") + _path(rule.path, values)
    fields = filled(rule.fields, values)
    query, body = _encoded(rule, fields)
    if signing is not None and over_body:
        values[BODY_NAME] = (body or query.encode()).decode(rule.charset)
        values["signature"] = sign(signing, values, account.secret, rule.charset)
    if query:
        address += ("&" if "?" in address else "?") + query
    headers = {name: _one_line(t.render(values)) for name, t in rule.headers.items()}
    if body is not None:
        headers.setdefault("Content-Type", _CONTENT_TYPES[rule.encoding])
    return Built(rule.method, URL(address, encoded=True), headers, body, values)


def authorization(rule: SendRule, account: Account) -> dict[str, str]:
    """Return the header that says who we are; it is the same for every request."""
    match rule.authentication:
        case Authentication.NONE:
            return {}
        case Authentication.BASIC:
            pair = b64encode(f"{account.user}:{account.secret}".encode()).decode("ascii")
            return {"Authorization": f"Basic {pair}"}
        case Authentication.BEARER:
            return {"Authorization": f"Bearer {account.secret}"}


# --- values ---------------------------------------------------------------------------------------


def _common(
    profile: Profile, account: Account, to: str, text: str, now: datetime
) -> dict[str, Any]:
    size = segment.count(text)
    return {
        "to": to,
        "to_plain": to.removeprefix("+"),
        "to_national": national(to, profile.country),
        "text": text,
        "text_hex": text.encode("utf-16-be").hex().upper(),
        "coding": CODING_GSM if size.encoding is segment.Encoding.GSM7 else CODING_UCS2,
        "parts": size.parts,
        "sender": account.sender,
        "user": account.user,
        "secret": account.secret,
        "timestamp": int(now.timestamp()),
        "timestamp_ms": int(now.timestamp() * 1000),
        "timestamp_local": now.astimezone(profile.zone).strftime("%Y%m%d%H%M%S"),
        **account.values,
    }


def _validity(profile: Profile, valid_until: datetime, now: datetime) -> dict[str, Any]:
    """Minutes are rounded up: a little late is better than a window that is a minute shorter."""
    remaining = (valid_until - now).total_seconds()
    if remaining <= 0:
        raise PermanentFailure("no longer valid", error_class=ErrorClass.EXPIRED)
    limits = profile.limits
    seconds = max(limits.validity_seconds_min, min(int(remaining), limits.validity_seconds_max))
    return {
        "validity_seconds": seconds,
        "validity_minutes": ceil(seconds / 60),
        "valid_until": valid_until.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "valid_until_unix": int(valid_until.timestamp()),
    }


def _addresses(account: Account, request: SendRequest, *, keyed: bool) -> dict[str, str]:
    receipts = request.callback_url
    inbound = receipts.removesuffix("/" + quote(request.token, safe="~"))
    if not keyed:
        return {"callback_url": receipts, "inbound_url": inbound}
    return {
        "callback_url": with_key(receipts, account, request.token),
        "inbound_url": with_key(inbound, account, ""),
    }


def national(number: str, country: str) -> str:
    """Return a number as it is dialled inside the country; another country's without its plus."""
    return number.removeprefix(f"+{country}").removeprefix("+")


def international(given: str, country: str, national_digits: int) -> str:
    """Return a number with its plus, however a gateway wrote it; what is no number stays as it is.

    Gateways send +8613912345678, 8613912345678, 008613912345678 and 13912345678 for the same phone.
    """
    text = given.strip()
    digits = text.removeprefix("+").replace(" ", "").replace("-", "")
    if not (digits.isascii() and digits.isdecimal()):
        return text
    if text.startswith("+"):
        return f"+{digits}"
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    if len(digits) <= national_digits:
        return f"+{country}{digits.removeprefix('0')}"
    return f"+{digits}"


# --- places ---------------------------------------------------------------------------------------


def filled(fields: Any, values: Mapping[str, Any]) -> Any:
    """Return tables and lists with values in place of their templates."""
    if isinstance(fields, Template):
        return fields.value(values)
    if isinstance(fields, Mapping):
        return {name: filled(inner, values) for name, inner in fields.items()}
    if isinstance(fields, list):
        return [filled(inner, values) for inner in fields]
    return fields


def _encoded(rule: SendRule, fields: Mapping[str, Any]) -> tuple[str, bytes | None]:
    """Return the query and the body that carry the fields."""
    match rule.encoding:
        case Encoding.QUERY:
            return _pairs(fields, rule.charset), None
        case Encoding.FORM:
            return "", _pairs(fields, rule.charset).encode("ascii")
        case Encoding.JSON:
            return "", _json(fields).encode(rule.charset)
        case Encoding.BASE64_JSON:
            return "", b64encode(_json(fields).encode(rule.charset))


def _pairs(fields: Mapping[str, Any], charset: str) -> str:
    return "&".join(
        f"{_quoted(name, charset)}={_quoted(str(value), charset)}" for name, value in fields.items()
    )


@lru_cache(maxsize=2 * segment.CACHED_TEXTS_MAX)
def _quoted(text: str, charset: str) -> str:
    """Quote everything, the plus sign first of all: unquoted it arrives as a space."""
    return quote(text, safe="", encoding=charset, errors="strict")


def _json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _path(path: Template, values: Mapping[str, Any]) -> str:
    quoted = {name: quote(str(values[name]), safe="") for name in path.names}
    return path.render(quoted)


def _one_line(text: str) -> str:
    """Return a header's value without what would begin another header."""
    return "".join(c if c.isprintable() else " " for c in text)

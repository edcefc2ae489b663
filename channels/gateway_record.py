"""Records out of a callback: a query, a form or JSON, and the times and texts in them.

It knows how things are written, not what they mean; `gateway_callback` does. Everything that cannot
be read is a CallbackMalformed.
"""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from channels import signature
from channels.base import CallbackMalformed, CallbackRequest
from channels.gateway_profile import Encoding, RecordRule, TextForm, TimeRule
from channels.gateway_template import find, spelt

REPLACED = "\ufffd"
"""Stands for what is not of the callback's charset."""

RECORDS_MAX = 1_000
"""Records in one callback: far more than any gateway batches, and than 64 kB hold."""

Record = Mapping[str, Any]


def query_of(url: str) -> str:
    """Return what stands behind the question mark."""
    return url.partition("?")[2].partition("#")[0]


def parts_of(rule: RecordRule, request: CallbackRequest) -> list[Any]:
    """Return the parts of a callback: records, and what else a list holds. Raises
    CallbackMalformed."""
    try:
        match rule.encoding:
            case Encoding.QUERY:
                return [_pairs(_bytes_of(query_of(request.url)), rule.charset)]
            case Encoding.FORM:
                return [_pairs(request.body, rule.charset)]
            case Encoding.JSON:
                plain = request.body.decode(rule.charset, "replace")
                return _parts_in(json.loads(plain), rule.items)
            case Encoding.BASE64_JSON:
                plain = b64decode(request.body, validate=True).decode(rule.charset, "replace")
                return _parts_in(json.loads(plain), rule.items)
    except (ValueError, RecursionError) as fault:
        raise CallbackMalformed(f"the callback is no {rule.encoding}") from fault


def records_in(document: Any, items: str) -> list[Record]:
    """Return the records at a place of a JSON value: a list of objects, or one."""
    parts = _parts_in(document, items)
    if not all(isinstance(one, dict) for one in parts):
        raise CallbackMalformed("not all of the list are objects")
    return parts


def _parts_in(document: Any, items: str) -> list[Any]:
    found = find(document, items)
    many = found if isinstance(found, list) else [found]
    if len(many) > RECORDS_MAX or (many and not any(isinstance(one, dict) for one in many)):
        raise CallbackMalformed("the callback holds no list of objects")
    return many


def _bytes_of(url: str) -> bytes:
    """Return a part of an address as it came: what was no UTF-8 in it is half surrogate pairs."""
    return url.encode("utf-8", "surrogateescape")


def _pairs(form: bytes, charset: str) -> Record:
    """Return the fields of a form. What is not of its charset becomes U+FFFD: who sent it and when
    can be read all the same, and a person sees that he wrote something."""
    quoted = _NOT_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], form)
    if charset == "utf-8":
        try:
            return dict(signature.form_pairs(quoted))
        except UnicodeDecodeError:
            pass
    pairs = parse_qsl(
        quoted.decode("ascii"),
        keep_blank_values=True,
        encoding=charset,
        errors="replace",
        max_num_fields=signature.FIELDS_MAX,
    )
    return dict(pairs)


_NOT_ASCII = re.compile(rb"[\x80-\xff]")
"""Some gateways quote nothing."""


def has_all(record: Record, rule: RecordRule | None) -> bool:
    """Whether a record is of this rule's kind."""
    if rule is None:
        return False
    return all(find(record, name) is not None for name in rule.requires)


def instant_of(rule: TimeRule | None, record: Record) -> datetime | None:
    """Return the gateway's time; None when it is not there or is none: what it says counts all the
    same."""
    given = text_of(find(record, rule.field)) if rule is not None else ""
    if rule is None or not given:
        return None
    try:
        match rule.form:
            case "unix":
                return datetime.fromtimestamp(float(given), UTC)
            case "unix-ms":
                return datetime.fromtimestamp(float(given) / 1000, UTC)
            case "iso":
                found = datetime.fromisoformat(given)
            case form:
                found = datetime.strptime(given, form)  # noqa: DTZ007 - the zone is the profile's
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=rule.zone)


def decoded(text: str, form: TextForm) -> str:
    """Return a text however it stands in a callback. Raises CallbackMalformed."""
    try:
        match form:
            case TextForm.PLAIN:
                return text
            case TextForm.UCS2_HEX:
                return bytes.fromhex(text).decode("utf-16-be")
            case TextForm.BASE64:
                return b64decode(text, validate=True).decode("utf-8")
    except ValueError as fault:
        raise CallbackMalformed(f"the text is no {form}") from fault


def text_of(value: Any) -> str:
    """Return a field as text; what is missing, and what is no single value, is empty."""
    return "" if isinstance(value, dict | list) else spelt(value)

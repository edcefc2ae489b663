"""What goes out in a webhook and what comes back, as bytes and values. No connection is made here.

    SendRequest ──► {"type": …, "timestamp": …, "data": {fields…, token, text, language,
                     valid_until, callback_url, answer_url}}            at most 20 kB
    2xx answer  ──► nothing, or {"answer": "1"}; anything else is a bad answer
    callback    ──► {"type": "answer" | "receipt", "timestamp": …, "data": {token, …}}

The fields are whatever the message is made of; they lie beside our own in `data`, and ours win. The
field `topic` is the document's type. Source: Standard Webhooks 1.0.0 (reliability.md §1).
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from channels.base import CallbackMalformed, SendRequest
from channels.errors import ErrorClass, PermanentFailure
from channels.http_client import parse_json

BODY_BYTES_MAX = 20_000
"""Standard Webhooks: payloads stay under 20 kB."""
ANSWER_CHARS_MAX = 200
"""An answer is a digit or a word; the rest is cut."""
TOPIC: Final = "topic"
"""The field that names what kind of message it is, such as `bulletin.call`."""
ANSWER, RECEIPT = "answer", "receipt"
"""What an endpoint may tell us of."""


def body_of(request: SendRequest, now: datetime) -> bytes:
    """Return the body. Raises PermanentFailure when it is too late, or too long."""
    if request.valid_until <= now:
        raise PermanentFailure("no longer valid", error_class=ErrorClass.EXPIRED)
    fields = dict(request.fields)
    document = {
        "type": str(fields.pop(TOPIC, f"message.{request.form}")),
        "timestamp": _instant(now),
        "data": {
            **fields,
            "token": request.token,
            "text": request.text,
            "language": request.language,
            "valid_until": _instant(request.valid_until),
            "callback_url": request.callback_url,
            "answer_url": request.answer_url,
        },
    }
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if len(body) > BODY_BYTES_MAX:
        raise PermanentFailure(
            "longer than 20 kB", code="too_long", error_class=ErrorClass.FILTERED
        )
    return body


def answer_in(body: bytes) -> str:
    """Return what an endpoint answered in its response; "" when it only took the message.

    Raises PermanentFailure for a body that is no answer: a login page with 200 has taken nothing.
    """
    if not body.strip():
        return ""
    document = parse_json(body)
    if not isinstance(document, dict):
        raise PermanentFailure("the answer is no JSON object", code="bad_answer")
    try:
        return answer_text(document.get(ANSWER))
    except ValueError as error:
        raise PermanentFailure(str(error), code="bad_answer") from error


def answer_text(value: object) -> str:
    """Return an answer as text: a string or a whole number. Raises ValueError for others."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("the answer is neither a text nor a number")
    text = str(value)[:ANSWER_CHARS_MAX].strip()
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def read_callback(body: bytes, token: str) -> tuple[str, Mapping[str, Any], datetime | None]:
    """Return a callback's type, data and time. Raises CallbackMalformed."""
    document = parse_json(body)
    if not isinstance(document, dict):
        raise CallbackMalformed("the callback is no JSON object")
    kind, data = document.get("type"), document.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("token"), str) or not data["token"]:
        raise CallbackMalformed("the callback names no token")
    if token and data["token"] != token:
        raise CallbackMalformed("the callback is about another try than its address says")
    if kind not in (ANSWER, RECEIPT):
        raise CallbackMalformed("the callback is neither an answer nor a receipt")
    return kind, data, _time_of(document.get("timestamp"))


def repeat_key(token: str, message_id: str) -> str:
    """Return what repeats of a callback share.

    Endpoints choose their ids themselves: without the try in it, one could use up another's.
    """
    given = message_id.encode("utf-8", "surrogateescape")
    return f"{token}:{hashlib.sha256(given).hexdigest()[:32]}"


def _time_of(stamp: object) -> datetime | None:
    """Return the endpoint's time; None when it has none or it lacks a zone."""
    try:
        happened_at = datetime.fromisoformat(str(stamp))
    except ValueError:
        return None
    return happened_at if happened_at.tzinfo is not None else None


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()

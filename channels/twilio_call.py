"""Twilio's words about a call, and the addresses at which it says them.

    CallStatus, AnsweredBy, SipResponseCode ──► ReceiptEvent, under one key a call and status

The same fields give the same receipt, whether they were posted to us or looked up. It asks nobody.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

import structlog

from channels.base import ReceiptEvent, ReceiptWord, half_key
from channels.errors import ErrorClass
from channels.twilio_channel import RETRIES, instant
from channels.twilio_error import sip_class

log = structlog.get_logger(__name__)

WORDS: Final[Mapping[str, tuple[ReceiptWord, ErrorClass | None]]] = {
    "queued": (ReceiptWord.ACCEPTED, None),
    "initiated": (ReceiptWord.SENT, None),
    "ringing": (ReceiptWord.RINGING, None),
    "in-progress": (ReceiptWord.PICKED_UP, None),
    "completed": (ReceiptWord.CUT_SHORT, None),  # unless it was heard: then this changes nothing
    "busy": (ReceiptWord.UNDELIVERED, ErrorClass.BUSY),
    "no-answer": (ReceiptWord.UNDELIVERED, ErrorClass.NO_ANSWER),
    "failed": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
    "canceled": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
}
"""Twilio's words about a call."""

ENDED: Final = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})

WAITING: Final = frozenset({"queued"})
"""Not dialled yet: nobody's phone has begun to ring."""

MACHINES: Final = frozenset(
    {"machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax"}
)
"""`AnsweredBy` when nobody has heard it. `unknown` is not among them: it may have been a person."""

PERSON: Final = "human"
"""`AnsweredBy` when a person picked up: the only word that says so."""


def address(callback_url: str, **step: object) -> str:
    """Return a callback address with a step of the call in its query."""
    joint = "&" if "?" in callback_url else "?"
    return f"{callback_url}{joint}{urlencode(step)}{RETRIES}"


def bare(url: str) -> str:
    """Return a callback address without its step."""
    return url.partition("?")[0]


def progress(token: str, form: Mapping[str, str], happened_at: datetime | None) -> ReceiptEvent:
    """Return what a status says: that of a callback, or that of a look-up in the same fields."""
    sid, status = form.get("CallSid", ""), form.get("CallStatus", "")
    word, error_class = _word(status)
    code = status if error_class is not None else ""
    heard = None
    if status == "completed" and form.get("AnsweredBy") in MACHINES:
        word, error_class = ReceiptWord.UNDELIVERED, ErrorClass.VOICEMAIL
        code = form["AnsweredBy"]
    elif status == "completed":
        heard = _seconds(form.get("CallDuration", ""))
    elif status == "failed":
        sip = form.get("SipResponseCode", "")
        error_class, code = sip_class(sip), sip or status
    return ReceiptEvent(
        token=token,
        word=word,
        dedupe_key=f"{sid}:{status}",
        reference=sid,
        error_class=error_class,
        code=code,
        happened_at=happened_at,
        heard_seconds=heard,
    )


def receipt(token: str, sid: str, key: str, word: ReceiptWord) -> ReceiptEvent:
    """Return what is known without a word of Twilio's: by the step that the call has reached."""
    return ReceiptEvent(token=token, word=word, dedupe_key=f"{sid}:{key}", reference=sid)


def half(token: str, sid: str, word: ReceiptWord) -> ReceiptEvent:
    """Return one of the two words that together mean that a person heard it all."""
    return ReceiptEvent(token=token, word=word, dedupe_key=half_key(sid, word), reference=sid)


def voicemail(token: str, sid: str, by: str) -> ReceiptEvent:
    """Return that a machine answered; `by` in Twilio's words."""
    return ReceiptEvent(
        token=token,
        word=ReceiptWord.UNDELIVERED,
        dedupe_key=f"{sid}:machine",
        reference=sid,
        error_class=ErrorClass.VOICEMAIL,
        code=by,
    )


def timestamp(form: Mapping[str, str]) -> datetime | None:
    """Return Twilio's time of an event (RFC 2822), or None when it cannot be read."""
    try:
        return instant(parsedate_to_datetime(form.get("Timestamp", "")))
    except (ValueError, TypeError):
        return None


def _seconds(duration: Any) -> float | None:
    text = str(duration)
    return float(text) if text.isdecimal() else None


def _word(status: str) -> tuple[ReceiptWord, ErrorClass | None]:
    known = WORDS.get(status)
    if known is None:
        log.warning("unknown carrier word", carrier="twilio", word=status[:40])
        return ReceiptWord.ACCEPTED, ErrorClass.OTHER
    return known

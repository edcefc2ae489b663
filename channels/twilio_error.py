"""What Twilio's error codes mean in our words, as data. Source: carriers.md §1.1.

    answer to a request   4xx with a code ──► REFUSALS; a code we do not know ──► OTHER
                          429             ──► throttled, for as long as Retry-After says
                          5xx             ──► unknown: it may have been taken (20500)
                          401, 403, 404   ──► config: wrong account, key or address
    later, in a receipt   ErrorCode       ──► FAILURES; a code we do not know ──► OTHER

Twilio asks not to decide by codes, because their meaning may change. So a code is a hint about
what to do sooner; whatever it says, the escalation's clock decides the rest, and OTHER is safe.
It never decides whether to try again.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from channels.errors import (
    ChannelError,
    ErrorClass,
    Misconfigured,
    OutcomeUnknown,
    PermanentFailure,
    Throttled,
)
from channels.http_client import retry_after_seconds
from channels.twilio_http import Refusal

REFUSALS: Final[Mapping[int, ErrorClass]] = {
    21211: ErrorClass.BAD_NUMBER,  # To is no phone number
    21214: ErrorClass.BAD_NUMBER,  # To cannot be reached by a call
    21217: ErrorClass.BAD_NUMBER,  # To is no phone number (call)
    13224: ErrorClass.BAD_NUMBER,  # … in a Dial
    21614: ErrorClass.NOT_CAPABLE,  # To is no mobile number: a landline cannot take SMS
    21635: ErrorClass.NOT_CAPABLE,  # To is a landline
    21610: ErrorClass.OPTED_OUT,  # the person wrote STOP to this sender
    21612: ErrorClass.UNROUTABLE,  # no route from this sender to To
    20429: ErrorClass.THROTTLED,  # too many requests at once; not processed
    21611: ErrorClass.THROTTLED,  # this sender's queue is full
    22005: ErrorClass.THROTTLED,  # the call queue is longer than a day
    14107: ErrorClass.THROTTLED,  # too many messages to one address
    20003: ErrorClass.CONFIG,  # authentication failed, or the account is suspended
    21603: ErrorClass.CONFIG,  # no From
    21606: ErrorClass.CONFIG,  # From is not ours, or cannot send SMS
    21210: ErrorClass.CONFIG,  # From is not a verified caller id
    21212: ErrorClass.CONFIG,  # From is no phone number
    21408: ErrorClass.CONFIG,  # SMS to this country is not permitted in the account
    21215: ErrorClass.CONFIG,  # calls to this country are not permitted in the account
    90007: ErrorClass.CONFIG,  # ValidityPeriod out of range
    # carriers.md lists 21617 under config, unchecked. Twilio's page says the text is longer than
    # 1,600 characters: that is this text's fault, and must not stop all others.
    21617: ErrorClass.FILTERED,
    21658: ErrorClass.FILTERED,  # the same, under its newer code
    20500: ErrorClass.AMBIGUOUS,  # internal error: POST is documented as not idempotent
}
"""Codes in the answer to a request."""

FAILURES: Final[Mapping[int, ErrorClass]] = {
    30001: ErrorClass.THROTTLED,  # the queue of the messaging service overflowed
    30002: ErrorClass.CONFIG,  # the account was suspended
    30003: ErrorClass.HANDSET_OFF,  # unreachable handset
    30004: ErrorClass.OPTED_OUT,  # blocked by the person
    30005: ErrorClass.BAD_NUMBER,  # unknown handset
    30006: ErrorClass.NOT_CAPABLE,  # landline or a carrier that cannot be reached
    30007: ErrorClass.FILTERED,  # the carrier filtered it
    30008: ErrorClass.AMBIGUOUS,  # unknown error: nobody says whether it arrived
    30036: ErrorClass.EXPIRED,  # its validity ended in Twilio's queue
    22005: ErrorClass.THROTTLED,  # a call waited longer than a day
}
"""`ErrorCode` in a receipt or a look-up."""

SIP_FAILURES: Final[Mapping[int, ErrorClass]] = {
    # 404 is not among the bad numbers: networks also say it for "no route", and a number that is
    # called bad is not called again.
    404: ErrorClass.UNROUTABLE,
    408: ErrorClass.NO_ANSWER,
    410: ErrorClass.BAD_NUMBER,  # gone
    480: ErrorClass.HANDSET_OFF,  # temporarily unavailable: subscriber absent
    484: ErrorClass.BAD_NUMBER,  # address incomplete
    486: ErrorClass.BUSY,
    487: ErrorClass.NO_ANSWER,  # we gave up ringing
    600: ErrorClass.BUSY,
    603: ErrorClass.NO_ANSWER,  # declined
    604: ErrorClass.BAD_NUMBER,  # exists nowhere
}
"""`SipResponseCode` of a call that failed (RFC 3261 §21, RFC 3398 §7.2.4)."""

CODE_DIGITS_MAX = 9
"""Twilio's codes have five; what is longer is none."""

_NOT_OUR_ACCOUNT = frozenset({401, 403, 404, 405, 407})
"""Whatever the code says: nothing that we send from here is taken."""


def fault_of_refusal(refused: Refusal, now: datetime) -> ChannelError:
    """Return what an answer that was no success means."""
    code, reason = str(refused.code), refused.reason
    status, known = refused.status, REFUSALS.get(refused.code)
    if status == 429 or known is ErrorClass.THROTTLED:
        pause = retry_after_seconds(refused.headers, now)
        return Throttled(_at_once(refused) or reason or "too fast", code=code, retry_after=pause)
    if status >= 500 or status == 408 or status < 300 or known is ErrorClass.AMBIGUOUS:
        return OutcomeUnknown(reason or "no usable answer", code=code)
    if known is ErrorClass.CONFIG or (known is None and _is_elsewhere(status)):
        return Misconfigured(reason or "not our account", code=code)
    return PermanentFailure(reason or "refused", code=code, error_class=known or ErrorClass.OTHER)


def failure_class(code: int | str | None) -> ErrorClass:
    """Return what the `ErrorCode` of a receipt means; OTHER for none and for unknown ones."""
    return FAILURES.get(_number(str(code or "")), ErrorClass.OTHER)


def sip_class(code: str) -> ErrorClass:
    """Return what the `SipResponseCode` of a failed call means."""
    return SIP_FAILURES.get(_number(code), ErrorClass.OTHER)


def _number(code: str) -> int:
    return int(code) if code.isdecimal() and len(code) <= CODE_DIGITS_MAX else 0


def _is_elsewhere(status: int) -> bool:
    return status < 400 or status in _NOT_OUR_ACCOUNT


def _at_once(refused: Refusal) -> str:
    """Say how many requests the account had under way, where Twilio tells."""
    count = refused.headers.get("Twilio-Concurrent-Requests", "")
    return f"too many requests at once ({count})" if count.isdecimal() else ""

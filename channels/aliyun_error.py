"""Alibaba Cloud's words for what went wrong, in ours.

    an answer to a send ──refusal──► ChannelError     was anything sent, and whose fault is it?
    a receipt's code ──────failure──► ErrorClass      a hint, with a safe default

Three things differ from what a code seems to say:

  - `isv.BUSINESS_LIMIT_CONTROL` is about one callee (1 a minute, 5 an hour, …), not about our pace.
    Were it taken for "too fast", the whole carrier would be slowed down, or stopped for a day,
    because one phone has had its share. It is a refusal: the next carrier or channel is tried.
  - `isp.SYSTEM_ERROR` and every 5xx say nothing of whether a message went out: unknown.
  - A missing or refused *template* concerns one kind of text and does not stop the carrier; a wrong
    signature name, a key or an empty account does.

Source: the API error codes of SMS and Voice Service at help.aliyun.com; the operators' codes of
receipts are lists that resellers publish, contradict each other in places, and are hints only.
"""

from collections.abc import Mapping
from typing import Final

from channels.aliyun_api import Answer
from channels.errors import (
    ChannelError,
    ErrorClass,
    Misconfigured,
    OutcomeUnknown,
    PermanentFailure,
    Throttled,
)

REFUSALS: Final[Mapping[str, ErrorClass]] = {
    # the callee
    "isv.MOBILE_NUMBER_ILLEGAL": ErrorClass.BAD_NUMBER,
    "isv.BUSINESS_LIMIT_CONTROL": ErrorClass.UNROUTABLE,
    "isv.COMPLAINT_REJECT": ErrorClass.UNROUTABLE,
    "ComplaintReject": ErrorClass.UNROUTABLE,
    "isv.VOICE_CALL_PERIOD_ERROR": ErrorClass.UNROUTABLE,
    "isv.VOICE_ROBOT_NOT_PERIOD": ErrorClass.UNROUTABLE,
    # the text, or the template it goes into
    "isv.SMS_CONTENT_ILLEGAL": ErrorClass.FILTERED,
    "isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE": ErrorClass.FILTERED,
    "isv.UNSUPPORTED_CONTENT": ErrorClass.FILTERED,
    "isv.BLACK_KEY_CONTROL_LIMIT": ErrorClass.FILTERED,
    "isv.PARAM_NOT_SUPPORT_URL": ErrorClass.FILTERED,
    "isv.PARAM_LENGTH_LIMIT": ErrorClass.FILTERED,
    "isv.INVALID_PARAMETERS": ErrorClass.FILTERED,
    "isv.INVALID_JSON_PARAM": ErrorClass.FILTERED,
    "isv.TEMPLATE_MISSING_PARAMETERS": ErrorClass.FILTERED,
    "isv.TEMPLATE_PARAMS_ILLEGAL": ErrorClass.FILTERED,
    "isv.SMS_TEMPLATE_ILLEGAL": ErrorClass.FILTERED,
    "isv.TEMPLATE_ILLEGAL": ErrorClass.FILTERED,
    "isv.TTS_TEMPLATE_ILLEGAL": ErrorClass.FILTERED,
    "isv.VOICE_FILE_ILLEGAL": ErrorClass.FILTERED,
    # the account, its money, its name and its rights
    "isv.AMOUNT_NOT_ENOUGH": ErrorClass.CONFIG,
    "isv.AMOUNT_NOT_ENOUG": ErrorClass.CONFIG,  # so it is spelt in the error centre
    "isv.OUT_OF_SERVICE": ErrorClass.CONFIG,  # no money left
    "isv.ACCOUNT_ABNORMAL": ErrorClass.CONFIG,
    "isv.ACCOUNT_NOT_EXISTS": ErrorClass.CONFIG,
    "isv.PRODUCT_UN_SUBSCRIPT": ErrorClass.CONFIG,
    "isv.PRODUCT_UNSUBSCRIBE": ErrorClass.CONFIG,
    "isv.DAY_LIMIT_CONTROL": ErrorClass.CONFIG,  # the account's own ceiling, set in the console
    "isv.MONTH_LIMIT_CONTROL": ErrorClass.CONFIG,
    "isv.SMS_SIGN_ILLEGAL": ErrorClass.CONFIG,
    "isv.SMS_SIGNATURE_ILLEGAL": ErrorClass.CONFIG,
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": ErrorClass.CONFIG,
    "isv.SIGN_STATE_ILLEGAL": ErrorClass.CONFIG,
    "isv.EXTEND_CODE_ERROR": ErrorClass.CONFIG,
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": ErrorClass.CONFIG,
    "isv.DENY_IP_RANGE": ErrorClass.CONFIG,
    "isv.DISPLAY_NUMBER_ILLEGAL": ErrorClass.CONFIG,
    "isv.BILLID_NOT_EXIST": ErrorClass.CONFIG,
    "BillidNotExist": ErrorClass.CONFIG,
    "isp.RAM_PERMISSION_DENY": ErrorClass.CONFIG,
    "SignatureDoesNotMatch": ErrorClass.CONFIG,
    "IncompleteSignature": ErrorClass.CONFIG,
}
"""The carrier's codes on refusing a request: nothing was sent."""

FAMILIES: Final[tuple[tuple[str, ErrorClass], ...]] = (
    ("Throttling", ErrorClass.THROTTLED),
    ("InvalidAccessKeyId", ErrorClass.CONFIG),
    ("InvalidSecurityToken", ErrorClass.CONFIG),
    ("InvalidTimeStamp", ErrorClass.CONFIG),  # our clock is more than fifteen minutes off
    ("Signature", ErrorClass.CONFIG),
    ("Forbidden", ErrorClass.CONFIG),
    ("NoPermission", ErrorClass.CONFIG),
    ("InvalidAction", ErrorClass.CONFIG),
    ("InvalidVersion", ErrorClass.CONFIG),
    ("UnsupportedHTTPMethod", ErrorClass.CONFIG),
    ("Missing", ErrorClass.CONFIG),
)
"""Codes of the gateway in front of the product, by how they begin; what follows says more."""

MAYBE_SENT: Final = frozenset(
    {
        "isp.SYSTEM_ERROR",
        "isp.GATEWAY_ERROR",
        "isp.UNKNOWN",
        "InternalError",
        "ServiceUnavailable",
        "isv.VOICE_CALL_FAIL",  # "see the console for why": the phone may have rung
    }
)
"""Codes after which nobody can say whether a message went out."""

DELIVERED: Final = frozenset({"DELIVERED", "DELIVRD"})

FAILURES: Final[Mapping[str, ErrorClass]] = {
    "MOBILE_NOT_ON_SERVICE": ErrorClass.HANDSET_OFF,
    "MOBILE_SEND_LIMIT": ErrorClass.UNROUTABLE,
    "MOBILE_ACCOUNT_ABNORMAL": ErrorClass.HANDSET_OFF,
    "MOBILE_IN_BLACK": ErrorClass.OPTED_OUT,
    "MOBLLE_TERMINAL_ERROR": ErrorClass.HANDSET_OFF,  # so it is spelt
    "MOBILE_TERMINAL_ERROR": ErrorClass.HANDSET_OFF,
    "USER_REJECT": ErrorClass.OPTED_OUT,
    "CONTENT_KEYWORD": ErrorClass.FILTERED,
    "CONTENT_ERROR": ErrorClass.FILTERED,
    "INVALID_NUMBER": ErrorClass.BAD_NUMBER,
    "NO_ROUTE": ErrorClass.UNROUTABLE,
    "SP_NOT_BY_INTER_SMS": ErrorClass.UNROUTABLE,
    "SIGNATURE_BLACKLIST": ErrorClass.FILTERED,
    "EXPIRED": ErrorClass.EXPIRED,
    "MK:0001": ErrorClass.BAD_NUMBER,
    "MK:0000": ErrorClass.BAD_NUMBER,
    "MK:0005": ErrorClass.HANDSET_OFF,  # suspended for want of payment: it may come back tonight
    "MK:0010": ErrorClass.HANDSET_OFF,
    "MK:0012": ErrorClass.HANDSET_OFF,
    "MK:0013": ErrorClass.HANDSET_OFF,
    "MK:0023": ErrorClass.HANDSET_OFF,
    "MK:0024": ErrorClass.HANDSET_OFF,
    "MI:0013": ErrorClass.HANDSET_OFF,
    "MI:0024": ErrorClass.HANDSET_OFF,
    "MI:0042": ErrorClass.HANDSET_OFF,
    "MI:0076": ErrorClass.HANDSET_OFF,
    "MI:0082": ErrorClass.HANDSET_OFF,
    "MI:0073": ErrorClass.BAD_NUMBER,
    "MI:0210": ErrorClass.BAD_NUMBER,
    "DB:0101": ErrorClass.BAD_NUMBER,
    "DB:0144": ErrorClass.OPTED_OUT,  # the operator's own list of those who complained
    "MBBLACK": ErrorClass.OPTED_OUT,
    "DBBLACK": ErrorClass.OPTED_OUT,
}
"""Codes of receipts for what was taken and did not arrive. A hint: nothing is undone by it."""


def refusal(answer: Answer) -> ChannelError:
    """Return what an answer other than OK means: was anything sent?"""
    code, reason = answer.code or str(answer.status), answer.message or "refused"
    if answer.code in MAYBE_SENT:
        return OutcomeUnknown(reason, code=code)
    error_class = class_of(answer.code)
    if error_class is ErrorClass.THROTTLED or answer.status == 429:
        return Throttled(reason, code=code, retry_after=answer.retry_after)
    if answer.status >= 500 or (answer.status < 300 and not answer.code):
        return OutcomeUnknown(reason, code=code)
    if error_class is ErrorClass.CONFIG or not answer.code:
        return Misconfigured(reason, code=code)
    return PermanentFailure(reason, code=code, error_class=error_class)


def class_of(code: str) -> ErrorClass:
    """Return the class of a refusal's code."""
    known = REFUSALS.get(code)
    if known is not None:
        return known
    return next((c for start, c in FAMILIES if code.startswith(start)), ErrorClass.OTHER)


def failure(code: str) -> ErrorClass:
    """Return the class of a receipt's code: `OTHER` for a word nobody knows."""
    return FAILURES.get(code, ErrorClass.OTHER)

"""Reads what a gateway answers to a send: accepted with an id, or which fault.

    accepted?  status, and what stands at a path or fits a pattern
    else       its code, by the profile's table
    else       its status, by the profile's table
    else       the safe reading: 5xx may have been taken, 429 was not, 401 is our mistake …

The reading that loses nothing is always the default: an answer that nobody understands is unknown,
not refused. It never raises for what a gateway says.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from channels import segment
from channels.base import OutcomeKind, SendOutcome
from channels.errors import (
    ChannelError,
    ErrorClass,
    Misconfigured,
    OutcomeUnknown,
    PermanentFailure,
    Throttled,
)
from channels.gateway_profile import AnswerRule, Finder, Meaning, Means
from channels.gateway_template import find, spelt
from channels.http_client import parse_json, retry_after_seconds
from channels.veil import without_secrets

CODE_CHARS_MAX = 100
REASON_CHARS_MAX = 200
"""Enough for a person to know what it is about; some gateways answer with a page of HTML."""

_NOTHING = ("", "false", "0", "none", "null")


class Answer:
    """One answer, looked at as its rule says."""

    def __init__(
        self,
        rule: AnswerRule,
        status: int,
        body: bytes,
        charset: str,
        secrets: Sequence[str] = (),
    ) -> None:
        self._rule = rule
        self._status = status
        self._text = body.decode(charset, "replace")
        self._secrets = secrets
        self._document: Any = None
        self._read = False

    def found(self, finder: Finder | None) -> str:
        """Return what a finder finds, as text; "" when there is nothing."""
        return self._found(finder, self._where(finder)) if finder is not None else ""

    def shown(self, finder: Finder | None) -> str:
        """Return the same for people to see: without our secrets, should the gateway quote us.

        They go before the pattern looks, which may cut one in half.
        """
        if finder is None:
            return ""
        return self._found(finder, without_secrets(self._where(finder), self._secrets))

    def _where(self, finder: Finder) -> str:
        return spelt(find(self.document, finder.path)) if finder.path else self._text

    def _found(self, finder: Finder, text: str) -> str:
        if finder.pattern is None:
            return text.strip() if finder.path else ""
        match = finder.pattern.search(text)
        if match is None:
            return ""
        groups = [group for group in match.groups() if group is not None]
        return groups[0] if groups else match[0]

    @property
    def accepted(self) -> bool:
        """Whether every condition of the rule holds."""
        rule = self._rule
        if not any(fits(self._status, status) for status in rule.accepted_statuses):
            return False
        if not rule.accepted.path and rule.accepted.pattern is None:
            return True
        found = self.found(rule.accepted)
        if rule.accepted_words:
            return found in rule.accepted_words
        return found.lower() not in _NOTHING

    @property
    def meaning(self) -> Meaning | None:
        """Return what its code or its status means by the tables; None when they do not say."""
        code = self.found(self._rule.code)
        if code in self._rule.codes:
            return self._rule.codes[code]
        exact, hundred = str(self._status), f"{self._status // 100}xx"
        return self._rule.statuses.get(exact, self._rule.statuses.get(hundred))

    @property
    def document(self) -> Any:
        """Return the JSON that was answered; None when it is none."""
        if not self._read:
            self._read = True
            self._document = parse_json(self._text)
        return self._document


def fits(status: int, wanted: str) -> bool:
    """Return whether a status is `202`, or one of `2xx`."""
    return str(status) == wanted or f"{status // 100}xx" == wanted


def read_answer(
    rule: AnswerRule,
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    values: Mapping[str, Any],
    now: datetime,
    charset: str = "utf-8",
    secrets: Sequence[str] = (),
) -> SendOutcome:
    """Return the outcome of an accepted send. Raises ChannelError for any other.

    `secrets`: ours, which must not be among the words of an error.
    """
    answer = Answer(rule, status, body, charset, secrets)
    if not answer.accepted:
        raise _fault(answer, rule, status, headers, now)
    ident = answer.found(rule.reference)
    if rule.reference is not None and not ident:
        raise OutcomeUnknown("accepted without the id that should be there", code=str(status))
    if rule.reference_template is not None:
        ident = rule.reference_template.render({**values, "id": ident})
    return SendOutcome(
        kind=OutcomeKind.ACCEPTED,
        reference=ident or str(values["token"]),
        parts=segment.parts_told(answer.found(rule.parts)) or values["parts"],
    )


def read_records(
    rule: AnswerRule,
    *,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    items: str,
    now: datetime,
    charset: str = "utf-8",
    secrets: Sequence[str] = (),
) -> list[Any]:
    """Return the records of an answer to many messages. Raises ChannelError: they had one fate."""
    answer = Answer(rule, status, body, charset, secrets)
    records = find(answer.document, items)
    if any(fits(status, wanted) for wanted in rule.accepted_statuses) and isinstance(records, list):
        return records
    raise _fault(answer, rule, status, headers, now)


def _fault(
    answer: Answer, rule: AnswerRule, status: int, headers: Mapping[str, str], now: datetime
) -> ChannelError:
    code = answer.shown(rule.code)[:CODE_CHARS_MAX] or str(status)
    reason = answer.shown(rule.reason)[:REASON_CHARS_MAX]
    meaning = answer.meaning
    if meaning is None:
        meaning = _safe(status, understood=code != str(status))
    match meaning:
        case Means.THROTTLED | ErrorClass.THROTTLED:
            pause = _pause(answer, rule, headers, now)
            return Throttled(reason or "too fast", code=code, retry_after=pause)
        case Means.UNKNOWN | Means.ACCEPTED | ErrorClass.AMBIGUOUS:
            return OutcomeUnknown(reason or "no usable answer", code=code)
        case ErrorClass.CONFIG:
            return Misconfigured(reason or "the gateway refuses our set-up", code=code)
        case _:
            return PermanentFailure(reason or "refused", code=code, error_class=meaning)


def _safe(status: int, *, understood: bool) -> Meaning:
    """Return what an answer means that no table speaks of."""
    if status == 429:
        return Means.THROTTLED
    if status >= 500 or status < 200:
        return Means.UNKNOWN
    if status < 300:
        return ErrorClass.OTHER if understood else Means.UNKNOWN
    if status < 400 or status in (401, 403, 404, 405, 415):
        return ErrorClass.CONFIG
    return ErrorClass.OTHER


def _pause(answer: Answer, rule: AnswerRule, headers: Mapping[str, str], now: datetime) -> float:
    said = answer.found(rule.retry)
    if said:
        return retry_after_seconds({"Retry-After": said}, now)
    return retry_after_seconds(headers, now) if "Retry-After" in headers else rule.retry_seconds

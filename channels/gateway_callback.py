"""Reads what a gateway posts to us: records out of a query, a form or JSON, then events of them.

    callback ──► records ──┬─ has the fields of [receipts] ──► ReceiptEvent
                           ├─ has the fields of [inbound]  ──► InboundEvent
                           └─ neither, or damaged          ──► InboundEvent of nobody, for a human
                 one thing, and unreadable                 ──► CallbackMalformed

Whatever a batch holds, the good in it counts and the rest is kept. It checks no proof
(`gateway_proof` does), sorts nothing (`gateway_sort` does) and decides nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    InboundEvent,
    ReceiptEvent,
    ReceiptWord,
)
from channels.clock import Clock
from channels.errors import ErrorClass
from channels.gateway_profile import Profile, ReceiptRule, RecordRule, Said, TimeRule
from channels.gateway_record import (
    REPLACED,
    Record,
    decoded,
    instant_of,
    text_of,
)
from channels.gateway_request import international
from channels.gateway_sort import sort_parts
from channels.gateway_template import find, written
from channels.repeat import fingerprint

log = structlog.get_logger(__name__)

TEXT_CHARS_MAX = 2_000
"""Longer than any reply."""
ANY_WORD = "*"


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one callback says."""

    receipts: list[ReceiptEvent]
    replies: list[InboundEvent]
    damaged: list[Any]
    """Parts that nobody understands."""

    @property
    def is_one_thing(self) -> bool:
        return len(self.receipts) + len(self.replies) + len(self.damaged) == 1


class CallbackReader:
    """Reads callbacks as one profile describes them, for one channel."""

    def __init__(self, profile: Profile, *, channel: str, clock: Clock) -> None:
        self._profile = profile
        self._channel = channel
        self._receipts = profile.receipts
        self._inbound = profile.inbound
        self._clock = clock
        self._timeless: set[str] = set()
        """Fields in which a time was found that is none; each is told once."""

    def receipts(self, request: CallbackRequest) -> list[ReceiptEvent]:
        """Return the receipts in a callback; one with replies alone gives an empty list."""
        return self._read(request).receipts

    def inbound(self, request: CallbackRequest) -> list[InboundEvent]:
        """Return the replies in a callback, and what in it nobody understands; one with good
        receipts alone gives an empty list."""
        reading = self._read(request)
        if reading.damaged:
            count = len(reading.damaged)
            log.error("gateway.parts_unreadable", channel=self._channel, count=count)
        return reading.replies + [self._remains(part) for part in reading.damaged]

    def receipt(self, record: Record, token: str) -> ReceiptEvent:
        """Return what one record says. Raises CallbackMalformed."""
        rule = self._receipts
        assert rule is not None, "only a profile with [receipts] has receipts"
        token = self._token(rule, record, token)
        theirs = self._required(record, rule.word)
        word, error_class = self._word(rule, theirs)
        code = self._code(rule, record)
        if word is ReceiptWord.UNDELIVERED or error_class is not None:
            error_class = rule.codes.get(code, error_class)
        reference = _rendered(rule, record)
        return ReceiptEvent(
            token=token,
            word=word,
            dedupe_key=_key(rule.record, record, token) or f"{token or reference}:{theirs}:{code}",
            reference=reference,
            error_class=error_class,
            code=(code or theirs) if error_class is not None else "",
            happened_at=self._time(rule.record.time, record),
        )

    # ----------------------------------------------------------------------------------- records

    def _read(self, request: CallbackRequest) -> _Reading:
        """Return what a callback says. Raises CallbackMalformed when it is one thing, unreadable:
        the whole of it is kept then."""
        parts = sort_parts(
            request,
            self._receipts.record if self._receipts is not None else None,
            self._inbound.record if self._inbound is not None else None,
        )
        reading = _Reading([], [], list(parts.rest))
        fault: CallbackMalformed | None = None
        for record in parts.receipts:
            try:
                reading.receipts.append(self.receipt(record, request.token))
            except CallbackMalformed as damage:
                fault = damage
                reading.damaged.append(record)
        for record in parts.replies:
            try:
                reading.replies.append(self._reply(record))
            except CallbackMalformed as damage:
                fault = damage
                reading.damaged.append(record)
        if fault is not None and reading.is_one_thing:
            raise fault
        return reading

    def _token(self, rule: ReceiptRule, record: Record, from_path: str) -> str:
        """Return our token. The address and the record must not name two."""
        if not rule.token_field:
            if not from_path and rule.reference is None:
                raise CallbackMalformed("the receipt's address names no message")
            return from_path
        given = self._required(record, rule.token_field)
        if from_path and given != from_path:
            raise CallbackMalformed("the receipt is about another message than its address says")
        return given

    def _word(self, rule: ReceiptRule, theirs: str) -> Said:
        known = rule.words.get(theirs) or rule.words.get(ANY_WORD)
        if known is None:
            log.warning("unknown gateway word", channel=self._channel, word=theirs[:40])
            return ReceiptWord.ACCEPTED, ErrorClass.OTHER
        return known

    def _code(self, rule: ReceiptRule, record: Record) -> str:
        given = text_of(find(record, rule.code)) if rule.code else ""
        if rule.code_pattern is None:
            return given
        match = rule.code_pattern.search(given)
        if match is None:
            return ""
        return next((group for group in match.groups() if group is not None), match[0])

    # ----------------------------------------------------------------------------------- replies

    def _reply(self, record: Record) -> InboundEvent:
        rule = self._inbound
        assert rule is not None, "only a profile with [inbound] has replies"
        sender = self._number(self._required(record, rule.sender))
        recipient = text_of(find(record, rule.recipient)) if rule.recipient else ""
        text = decoded(text_of(find(record, rule.text)), rule.text_form)[:TEXT_CHARS_MAX]
        happened_at = self._time(rule.record.time, record)
        return InboundEvent(
            sender=sender,
            text=text,
            dedupe_key=_key(rule.record, record, "")
            or self._fingerprint(record, sender, recipient, text, at=happened_at),
            token=text_of(find(record, rule.token_field)) if rule.token_field else "",
            recipient=recipient,
            happened_at=happened_at,
        )

    def _fingerprint(self, record: Record, *words: str, at: datetime | None) -> str:
        """A stamp that is no time we can read tells two replies apart all the same: after an
        outage the words of two days may come in one minute."""
        rule = self._inbound.record.time if self._inbound is not None else None
        stamp = text_of(find(record, rule.field)) if rule is not None and at is None else ""
        return fingerprint(*words, stamp, at=at, received_at=self._clock())

    def _remains(self, part: Any) -> InboundEvent:
        """Return a part that nobody understands as a person's word: a human shall look at it."""
        shown = written(part) or "[[…]]"
        return InboundEvent(
            sender="",
            text=shown[:TEXT_CHARS_MAX],
            dedupe_key=fingerprint(shown, at=None, received_at=self._clock()),
        )

    def _time(self, rule: TimeRule | None, record: Record) -> datetime | None:
        at = instant_of(rule, record)
        if rule is None or at is not None or rule.field in self._timeless:
            return at
        if text_of(find(record, rule.field)):
            self._timeless.add(rule.field)
            log.error(
                "gateway.time_unreadable",
                channel=self._channel,
                field=rule.field,
                wanted=rule.form,
            )
        return None

    def _number(self, given: str) -> str:
        return international(given, self._profile.country, self._profile.national_digits)

    def _required(self, record: Record, name: str) -> str:
        found = text_of(find(record, name))
        if not found:
            raise CallbackMalformed(f"the callback lacks {name}")
        if REPLACED in found:
            raise CallbackMalformed(f"{name} is not written in the callback's charset")
        return found


def _key(rule: RecordRule, record: Record, token: str) -> str:
    """Return what tells repeats of an event; "" when the profile or the record does not say all
    of it: half of it may be everybody's."""
    if rule.key is None:
        return ""
    values = {name: text_of(find(record, name)) for name in rule.key.names}
    if "token" in rule.key.names:
        values["token"] = token
    return rule.key.render(values) if all(values.values()) else ""


def _rendered(rule: ReceiptRule, record: Record) -> str:
    if rule.reference is None:
        return ""
    return rule.reference.render(
        {name: text_of(find(record, name)) for name in rule.reference.names}
    )

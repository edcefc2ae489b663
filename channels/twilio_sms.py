"""Text messages through Twilio.

    send            messages.create      validity = what remains of the window
    receipts        StatusCallback       sent, delivered, undelivered …, in any order
    replies         {public}/callbacks/{name} is the number's "a message comes in" address
    look-up         fetch by SID; else the list to this number, by body and time
    after an outage messages.list of what came in, under the same keys as the callbacks

Mainland China (86) can be sent to, under its own rules, and cannot answer (carriers.md §0.1): no
setting makes this adapter say that it can. Twilio's SMS callbacks carry no time; none is invented.
SmartEncoded stays off, so that what the officer signed is what arrives. It never tries again.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import structlog

from channels import segment
from channels.base import (
    CallbackMalformed,
    CallbackReply,
    CallbackRequest,
    Capabilities,
    ChannelKind,
    Estimate,
    Fetched,
    InboundEvent,
    Inquiry,
    PerCalleeLimit,
    ReceiptEvent,
    ReceiptWord,
    SendOutcome,
    SendRequest,
    SignatureInvalid,
)
from channels.clock import Clock, utc_now
from channels.country import codes
from channels.errors import ErrorClass, PermanentFailure
from channels.http_client import TimeLimits
from channels.twilio_channel import (
    BASE_URL,
    LOOKUP_RECORDS_MAX,
    RETRIES,
    NeverSeen,
    TwilioChannel,
    instant,
    sender_pace,
)
from channels.twilio_country import TWO_WAY, replies_from
from channels.twilio_error import failure_class
from channels.twilio_poll import replies_since
from channels.twilio_signature import fields_of

log = structlog.get_logger(__name__)

WORDS: Final[Mapping[str, tuple[ReceiptWord, ErrorClass | None]]] = {
    "accepted": (ReceiptWord.ACCEPTED, None),  # by a messaging service
    "scheduled": (ReceiptWord.ACCEPTED, None),
    "queued": (ReceiptWord.ACCEPTED, None),
    "sending": (ReceiptWord.ACCEPTED, None),
    "sent": (ReceiptWord.SENT, None),  # may be the last word: many networks return no receipt
    "delivered": (ReceiptWord.DELIVERED, None),
    "read": (ReceiptWord.DELIVERED, None),
    "partially_delivered": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),  # half a warning is none
    "undelivered": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
    "failed": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
    "canceled": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
}
"""Twilio's words about a message; `ErrorCode` says more about the last four."""

CAME_IN: Final = frozenset({"receiving", "received"})
"""The words of a message that somebody sent to us."""

STOP: Final = "STOP"
"""`OptOutType` of a message with which somebody opted out, and the word for it."""

TEXT_CHARS_MAX: Final = 1600
VALIDITY_SECONDS_MAX: Final = 36_000
"""Twilio keeps a message for ten hours at most."""

NO_REPLY: Final = CallbackReply(
    status=200, body="<Response/>", content_type="text/xml"
)
"""To a message that came in: we took it, and Twilio is to say nothing back."""


class TwilioSms(TwilioChannel):
    """One number, or one messaging service, of a Twilio account."""

    def __init__(
        self,
        *,
        name: str,
        account_sid: str,
        secrets: Sequence[str],
        api_key_sid: str = "",
        api_key_secret: str = "",
        sender: str = "",
        messaging_service_sid: str = "",
        base_url: str = BASE_URL,
        per_second: float = 1.0,
        sender_per_second: float = 0.0,
        countries: str | Iterable[str] = ("*",),
        inbound_countries: str | Iterable[str] = TWO_WAY,
        per_callee: Sequence[PerCalleeLimit] = (),
        limits: TimeLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """`secrets`: auth tokens, the one in use first. `per_second`: parts; a long code sends one.

        `inbound_countries`: where replies come from. `*` is the operator's claim that his number
        receives from everywhere; it still does not include China.
        """
        if bool(sender) == bool(messaging_service_sid):
            raise ValueError("either sender or messaging_service_sid is needed")
        super().__init__(
            name=name,
            account_sid=account_sid,
            secrets=secrets,
            api_key_sid=api_key_sid,
            api_key_secret=api_key_secret,
            base_url=base_url,
            limits=limits,
            clock=clock,
            capabilities=Capabilities(
                kind=ChannelKind.SMS,
                countries=codes(countries),
                inbound_countries=replies_from(inbound_countries),
                chars_max=TEXT_CHARS_MAX,
                per_second=per_second,
                per_callee=tuple(per_callee),
                paces=sender_pace(sender or messaging_service_sid, sender_per_second),
                validity_seconds_max=VALIDITY_SECONDS_MAX,
                can_cancel=False,  # only what is scheduled for later, which we never do
                can_lookup=True,
                can_poll=True,
            ),
        )
        self._sender = sender
        self._service = messaging_service_sid
        self._from = {"from_": sender} if sender else {"messaging_service_sid": self._service}

    async def handed_over(self, request: SendRequest, seconds: int) -> SendOutcome:
        """Create the message."""
        message = await self.tried(
            self._client.messages.create_async(
                to=request.to,
                body=request.text,
                validity_period=seconds,
                smart_encoded=False,
                status_callback=f"{request.callback_url}{RETRIES}",
                **self._from,
            )
        )
        word, _ = self._word(str(message.status or "queued"))
        if word is ReceiptWord.UNDELIVERED:
            raise PermanentFailure(
                "failed at once",
                code=str(message.error_code or message.status),
                error_class=failure_class(message.error_code),
            )
        # A messaging service says 0 parts until it has chosen a sender.
        parts = segment.parts_told(str(message.num_segments or ""))
        return self.accepted(message.sid, parts or segment.count(request.text).parts)

    async def cancel(self, reference: str, *, live: bool) -> bool:
        """Ask all the same: Twilio cancels what is scheduled, and refuses the rest."""
        message = await self.asked(
            self._client.messages(reference).update_async(status="canceled")
        )
        return message is not None and message.status == "canceled"

    async def lookup(self, inquiry: Inquiry) -> list[ReceiptEvent] | None:
        """Ask what became of a try; only its latest word is known."""
        if inquiry.reference:
            found = await self.asked(self._client.messages(inquiry.reference).fetch_async())
        else:
            try:
                found = await self.found(
                    inquiry,
                    # Not filtered by DateSent: what still waits in Twilio's queue has none, and
                    # would be taken for never seen.
                    self._client.messages.page_async(to=inquiry.to, page_size=LOOKUP_RECORDS_MAX),
                    lambda record: _is_same(record.body or "", inquiry.text),
                )
            except NeverSeen:
                return []
        if found is None or not found.sid or not found.status:
            return None
        return [self._receipt(inquiry.token, found.sid, found.status, found.error_code, found)]

    async def poll_inbound(self, since: datetime) -> Fetched | None:
        """Fetch replies since an instant; None without an answer."""
        since = since.astimezone(UTC).replace(microsecond=0)  # the SDK converts no zone
        to = {"to": self._sender} if self._sender else {}
        read = await replies_since(
            self,
            partial(self._client.messages.page_async, **to),
            lambda record: self._came_in(record, since),
            since=since,
            now=self._clock(),
        )
        if read is None:
            return None
        events = map(_inbound_of, read.replies.values())
        in_order = sorted(events, key=lambda event: event.happened_at or since)
        return Fetched(events=in_order, until=read.until)

    def parse_receipts(self, request: CallbackRequest) -> list[ReceiptEvent]:
        """Read a status callback; a reply gives an empty list."""
        form = self.read(request)
        status = _status(form)
        if status in CAME_IN:
            return []
        if not request.token:
            raise CallbackMalformed("a status callback at an address that names no try")
        sid = self.needed(form, "MessageSid")
        return [self._receipt(request.token, sid, status, form.get("ErrorCode"))]

    def parse_inbound(self, request: CallbackRequest) -> list[InboundEvent]:
        """Read a reply; a status callback gives an empty list.

        Words with which people opt out (STOP, TD) come as what they are, and somebody at the duty
        desk must hear of them: Twilio itself keeps from then on what we send. Where it says so of
        words of the account's own (Advanced Opt-Out), they come as the word that everybody knows.
        """
        form = self.read(request)
        if _status(form) not in CAME_IN:
            return []
        return [
            InboundEvent(
                sender=self.needed(form, "From"),
                text=STOP if form.get("OptOutType") == STOP else form.get("Body", ""),
                dedupe_key=self.needed(form, "MessageSid"),
                token=request.token,
                recipient=form.get("To", ""),
            )
        ]

    def reply(self, request: CallbackRequest, words: SendRequest | None) -> CallbackReply:
        """A message that came in wants a document in which nothing is said."""
        try:
            form = dict(fields_of(request))
        except SignatureInvalid:
            return CallbackReply()
        return NO_REPLY if _status(form) in CAME_IN else CallbackReply()

    def estimate(self, text: str, count: int) -> Estimate:
        """Return parts and the seconds `count` sends take at the sender's pace."""
        parts = segment.count(text).parts
        return Estimate(parts=parts, seconds=parts * count / self.capabilities.per_second)

    # ---------------------------------------------------------------------------------------------

    def _came_in(self, record: Any, since: datetime) -> bool:
        """Whether it is a reply to us. One to a number of our service may name no service."""
        sent_at = instant(record.date_sent)
        return (
            record.direction == "inbound"
            and (not self._service or record.messaging_service_sid in {None, "", self._service})
            and (sent_at is None or sent_at >= since)  # Twilio may filter by the day only
        )

    def _receipt(
        self, token: str, sid: str, status: str, code: str | int | None, record: Any = None
    ) -> ReceiptEvent:
        word, error_class = self._word(status)
        if error_class is not None and code:
            error_class = failure_class(code)
        return ReceiptEvent(
            token=token,
            word=word,
            dedupe_key=f"{sid}:{status}",
            reference=sid,
            error_class=error_class,
            code=str(code or status) if error_class is not None else "",
            happened_at=instant(record.date_updated) if record is not None else None,
        )

    def _word(self, status: str) -> tuple[ReceiptWord, ErrorClass | None]:
        known = WORDS.get(status)
        if known is None:
            log.warning("unknown carrier word", channel=self.name, word=status[:40])
            return ReceiptWord.ACCEPTED, ErrorClass.OTHER
        return known


def _is_same(body: str, text: str) -> bool:
    """Whether a body is our text: spaces may be lost, and a trial account's begin with a sentence
    of Twilio's. Finding a message too often costs nothing; missing it would send it again."""
    return " ".join(body.split()).endswith(" ".join(text.split()))


def _status(form: Mapping[str, str]) -> str:
    return form.get("MessageStatus") or form.get("SmsStatus", "")


def _inbound_of(record: Any) -> InboundEvent:
    return InboundEvent(
        sender=record.from_ or "",
        text=record.body or "",
        dedupe_key=record.sid,
        recipient=record.to or "",
        happened_at=instant(record.date_sent),
    )

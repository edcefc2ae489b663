"""Calls through Twilio that speak, listen for a key and know whether they were heard.

    send ──► calls.create(Twiml)     the message goes with the call: it is said also while our
       │                             database is away; only one over 4,000 characters is fetched
       ├─ ?step=status   initiated, ringing, answered, completed          receipts
       ├─ ?step=amd      a person or a machine                            receipt
       ├─ ?step=said     after the message: a key ──► answer; none ──► it was played to its end
       │      1, 2, 4 ──► ?step=key, which says thanks;   9, other, none ──► the message again
       └─ ?step=fetch    the document of a long message

Nothing is remembered about a call: which step it is, which round and which language stand in the
callback's query, which Twilio signs. A call that ends is `cut_short` whatever came before; receipts
only raise, so one that was heard stays heard (carriers.md §5.5). Only a person can have heard, and
only Twilio's word `human` says that it was one: `unknown`, a word we do not know, and a call that
was not asked about may all be a mailbox that listened to the end (law 1). Twilio tells of that
beside the call, to whichever process answers: `played` and `person` are two receipts, and make one
`heard` where they meet, in the database. The digits mean what the message itself says they mean.
It never tries again.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from channels import twiml
from channels.base import (
    CallbackMalformed,
    CallbackReply,
    CallbackRequest,
    Capabilities,
    ChannelKind,
    Estimate,
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
from channels.errors import ErrorClass, PermanentFailure
from channels.http_client import TimeLimits
from channels.twilio_call import (
    ENDED,
    MACHINES,
    PERSON,
    WAITING,
    address,
    bare,
    half,
    progress,
    receipt,
    timestamp,
    voicemail,
)
from channels.twilio_channel import (
    BASE_URL,
    LOOKUP_RECORDS_MAX,
    NeverSeen,
    TwilioChannel,
    instant,
    sender_pace,
)
from channels.twilio_country import codes
from channels.twilio_signature import fields_of, step_of

EVENTS: Final = ("initiated", "ringing", "answered", "completed")

TWIML_CHARS_MAX: Final = 4_000
"""What Twilio takes along with a call."""

TEXT_CHARS_MAX: Final = 3_000
"""Eleven minutes of speech; a shorter time limit allows less."""

RING_SECONDS: Final = 45
"""Long enough to fetch a phone from the next room; most mailboxes answer sooner."""

RING_SECONDS_MAX: Final = 600
"""Twilio's own."""

TIME_LIMIT_SECONDS: Final = 300
"""A county's longest message three times, and a thank you."""

REPEATS: Final = 3
PLAYS_MAX: Final = 10
"""However often somebody presses 9."""

SPEECH_CHARS_PER_SECOND: Final = 4.5
"""Chinese read aloud calmly (domain.md)."""


class TwilioVoice(TwilioChannel):
    """Calls from one number of a Twilio account."""

    def __init__(
        self,
        *,
        name: str,
        account_sid: str,
        secrets: Sequence[str],
        sender: str,
        api_key_sid: str = "",
        api_key_secret: str = "",
        base_url: str = BASE_URL,
        per_second: float = 1.0,
        sender_per_second: float = 0.0,
        lines: int = 0,
        repeats: int = REPEATS,
        ring_seconds: int = RING_SECONDS,
        time_limit_seconds: int = TIME_LIMIT_SECONDS,
        machine_detection: str = "Enable",
        countries: str | Iterable[str] = ("*",),
        per_callee: Sequence[PerCalleeLimit] = (),
        limits: TimeLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """`lines`: calls at once that the account may have; new accounts have two or three.

        `machine_detection`: Enable, DetectMessageEnd, or empty for none; then no call is heard
        unless a key is pressed. `repeats`: how often the message is said when no key is pressed.
        """
        if machine_detection not in {"", "Enable", "DetectMessageEnd"}:
            raise ValueError("machine_detection is Enable, DetectMessageEnd or empty")
        if not 1 <= repeats <= PLAYS_MAX:
            raise ValueError(f"repeats is 1 to {PLAYS_MAX}")
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
                kind=ChannelKind.VOICE,
                countries=codes(countries),
                inbound_countries=frozenset("*"),  # a key in a call we made comes from anywhere
                dtmf=True,
                amd=bool(machine_detection),
                links_allowed=False,
                # What could not be said to its end before the call is ended is too long.
                chars_max=min(TEXT_CHARS_MAX, int(time_limit_seconds * SPEECH_CHARS_PER_SECOND)),
                per_second=per_second,
                lines=lines,
                languages=frozenset(twiml.SPOKEN),
                plays=True,
                per_callee=tuple(per_callee),
                paces=sender_pace(sender, sender_per_second),
                can_cancel=True,
                can_lookup=True,
            ),
        )
        self._sender = sender
        self._repeats = repeats
        self._ring_seconds = min(ring_seconds, RING_SECONDS_MAX)
        self._time_limit = time_limit_seconds
        self._machine_detection = machine_detection

    async def handed_over(self, request: SendRequest, seconds: int) -> SendOutcome:
        """Start the call. It rings no longer than the message is valid."""
        call = await self.tried(
            self._client.calls.create_async(
                to=request.to,
                from_=self._sender,
                timeout=min(seconds, self._ring_seconds),
                time_limit=self._time_limit,
                status_callback=address(request.callback_url, step="status"),
                status_callback_event=list(EVENTS),
                status_callback_method="POST",
                **self._detection(request.callback_url),
                **self._words(request),
            )
        )
        return self.accepted(call.sid)

    async def cancel(self, reference: str, *, live: bool) -> bool:
        """Take a waiting call out of the queue; `live`: or hang up one that is listened to."""
        call = await self.asked(self._client.calls(reference).fetch_async())
        if call is None or call.status in ENDED or not (live or call.status in WAITING):
            return False
        end = "completed" if call.status == "in-progress" else "canceled"
        told = await self.asked(self._client.calls(reference).update_async(status=end))
        if live and told is not None and end == "canceled" and told.status == "in-progress":
            # Somebody picked up in between: Twilio leaves such a call alone.
            told = await self.asked(self._client.calls(reference).update_async(status="completed"))
        return told is not None and told.status in ENDED

    async def lookup(self, inquiry: Inquiry) -> list[ReceiptEvent] | None:
        """Ask what became of a call. A list of calls knows no words: number and time must do."""
        if inquiry.reference:
            found = await self.asked(self._client.calls(inquiry.reference).fetch_async())
        else:
            page = self._client.calls.page_async(to=inquiry.to, page_size=LOOKUP_RECORDS_MAX)
            try:
                found = await self.found(inquiry, page)
            except NeverSeen:
                return []
        if found is None or not found.sid or not found.status:
            return None
        form = {
            "CallSid": found.sid,
            "CallStatus": found.status,
            "AnsweredBy": found.answered_by or "",
            "CallDuration": found.duration or "",
        }
        return [progress(inquiry.token, form, instant(found.date_updated))]

    def parse_receipts(self, request: CallbackRequest) -> list[ReceiptEvent]:
        """Read what Twilio says of a call; a key gives an empty list."""
        form, step = self._genuine(request)
        sid = self.needed(form, "CallSid")
        match step.get("step"):
            case "said" if form.get("Digits"):
                return []
            case "said":
                return [self._said(request.token, sid, form)]
            case "key":  # somebody answered: the call did its work, heard out or not
                return [receipt(request.token, sid, "key", ReceiptWord.DELIVERED)]
            case "fetch":
                return [receipt(request.token, sid, "in-progress", ReceiptWord.PICKED_UP)]
            case "amd":
                return [self._detected(request.token, sid, form)]
            case "status":
                return [progress(request.token, form, timestamp(form))]
            case _:
                raise CallbackMalformed("the callback's address names no step of ours")

    def parse_inbound(self, request: CallbackRequest) -> list[InboundEvent]:
        """Read a key; anything else gives an empty list, and so does 9.

        9 asks the call to go on and tells the house nothing: as an answer it would be one that
        nobody understands, for a person to read.
        """
        form, step = self._genuine(request)
        key = form.get("Digits", "")
        if step.get("step") != "said" or key in {"", twiml.AGAIN}:
            return []
        sid = self.needed(form, "CallSid")
        return [
            InboundEvent(
                sender=form.get("To", ""),  # we called; the key is the callee's
                text=key,
                dedupe_key=f"{sid}:{key}:{step.get('n', '')}",
                token=request.token,
                recipient=form.get("From", ""),
            )
        ]

    def wants_words(self, request: CallbackRequest) -> bool:
        """Whether the message is to be said (again)."""
        form, step = _unchecked(request)
        return step.get("step") == "fetch" or self._is_to_repeat(form, step)

    def reply(self, request: CallbackRequest, words: SendRequest | None) -> CallbackReply:
        """Tell the call how to go on."""
        form, step = _unchecked(request)
        language, key, url = step.get("l", ""), form.get("Digits", ""), bare(request.url)
        match step.get("step"):
            case "key":
                return _document(twiml.thanks_document(language, step.get("key", "")))
            case "said" if key in twiml.ANSWERS:
                # By a step of its own, so that Twilio tells us that the call has done its work.
                return _document(
                    twiml.redirect_document(address(url, step="key", key=key, l=language))
                )
            case "said" | "fetch" if self.wants_words(request):
                action = address(url, step="said", n=_round(step) + 1, l=language)
                return _document(_message_or_prompt(words, language, action))
            case "said" | "fetch":
                return _document(twiml.end_document())
            case _:
                return CallbackReply()

    def estimate(self, text: str, count: int) -> Estimate:
        """Return the seconds `count` calls take: the slower of starting them and holding lines."""
        held = self._ring_seconds / 3 + len(text) / SPEECH_CHARS_PER_SECOND
        lines = self.capabilities.lines or count or 1
        rounds = -(-count // lines)
        return Estimate(parts=1, seconds=max(count / self.capabilities.per_second, rounds * held))

    # ------------------------------------------------------------------------------- the request

    def _words(self, request: SendRequest) -> dict[str, str]:
        message = _message(request)
        if not message.can_be_said:
            raise PermanentFailure(
                "no voice for this language, and no recording",
                code="no_voice",
                error_class=ErrorClass.UNROUTABLE,
            )
        action = address(request.callback_url, step="said", n=1, l=request.language)
        document = twiml.message_document(message, action=action)
        if len(document) <= TWIML_CHARS_MAX:
            return {"twiml": document}
        url = address(request.callback_url, step="fetch", n=0, l=request.language)
        return {"url": url, "method": "POST"}

    def _detection(self, callback_url: str) -> dict[str, str]:
        if not self._machine_detection:
            return {}
        return {
            "machine_detection": self._machine_detection,
            "async_amd": "true",  # a person would hang up on the silence of a detection that waits
            "async_amd_status_callback": address(callback_url, step="amd"),
            "async_amd_status_callback_method": "POST",
        }

    # ------------------------------------------------------------------------------ the callback

    def _genuine(self, request: CallbackRequest) -> tuple[dict[str, str], dict[str, str]]:
        form = self.read(request)
        if not request.token:
            raise CallbackMalformed("a call's callback at an address that names no try")
        return form, step_of(request)

    def _said(self, token: str, sid: str, form: Mapping[str, str]) -> ReceiptEvent:
        """The message was said and no key came: heard, if by a person on a live line.

        Twilio tells of a machine beside the call and perhaps not in what the call asks next. Then
        it was played, to whoever picked up: a mailbox must not count as having heard.
        """
        by = form.get("AnsweredBy", "")
        if by in MACHINES:
            return voicemail(token, sid, by)
        if form.get("CallStatus") in ENDED:
            return receipt(token, sid, "completed", ReceiptWord.CUT_SHORT)
        if by == PERSON:
            return receipt(token, sid, "said", ReceiptWord.HEARD)
        return half(token, sid, ReceiptWord.PLAYED)

    def _detected(self, token: str, sid: str, form: Mapping[str, str]) -> ReceiptEvent:
        """What is neither a machine nor certainly a person picked up, and that is all we know."""
        by = form.get("AnsweredBy", "")
        if by in MACHINES:
            return voicemail(token, sid, by)
        if by == PERSON:
            return half(token, sid, ReceiptWord.PERSON)
        return receipt(token, sid, "in-progress", ReceiptWord.PICKED_UP)

    def _is_to_repeat(self, form: Mapping[str, str], step: Mapping[str, str]) -> bool:
        """9 and keys that mean nothing repeat the message; silence does a few times."""
        key, played = form.get("Digits", ""), _round(step)
        if step.get("step") != "said" or key in twiml.ANSWERS:
            return False
        if form.get("CallStatus") in ENDED or form.get("AnsweredBy") in MACHINES:
            return False
        return played < (PLAYS_MAX if key else self._repeats)


def _round(step: Mapping[str, str]) -> int:
    played = step.get("n", "")
    return int(played) if played.isdecimal() and len(played) < 4 else PLAYS_MAX


def _unchecked(request: CallbackRequest) -> tuple[dict[str, str], dict[str, str]]:
    """Fields and step of a callback that was found genuine a moment ago."""
    try:
        return dict(fields_of(request)), step_of(request)
    except SignatureInvalid:
        return {}, {}


def _message(request: SendRequest) -> twiml.Message:
    return twiml.Message(
        text=request.text, language=request.language, audio_url=request.audio_url
    )


def _message_or_prompt(words: SendRequest | None, language: str, action: str) -> str:
    """While our database is away there are no words; a key can be asked for all the same."""
    if words is None or not _message(words).can_be_said:
        return twiml.prompt_document(language, action=action)
    return twiml.message_document(_message(words), action=action)


def _document(text: str) -> CallbackReply:
    return CallbackReply(status=200, body=text, content_type=twiml.CONTENT_TYPE)

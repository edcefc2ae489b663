"""The simulated carrier's two channels: SMS and calls, over HTTP like any other carrier's.

    SimulatedSms    POST /v1/messages   GET /v1/messages?Reference=   POST /v1/messages/{sid}/cancel
    SimulatedVoice  POST /v1/calls      GET /v1/calls?Reference=      POST /v1/calls/{sid}/cancel
    both            GET /v1/inbound?Since=&After=

A drill and a benchmark go through the same sockets, time limits and signatures as a real carrier,
so what they show is true of the real path. This module knows the carrier's HTTP interface only;
`channels.simulator` is the other end. It never tries again: that is the caller's decision.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar, Final
from urllib.parse import quote

import structlog
from aiohttp import ClientError, ClientResponse
from yarl import URL

from channels import segment, signature
from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    Capabilities,
    ChannelKind,
    Estimate,
    Fetched,
    InboundEvent,
    Inquiry,
    OutcomeKind,
    PaceLimit,
    PerCalleeLimit,
    PlainChannel,
    ReceiptEvent,
    ReceiptWord,
    SendOutcome,
    SendRequest,
)
from channels.clock import Clock, utc_now
from channels.errors import (
    ChannelError,
    ErrorClass,
    Misconfigured,
    OutcomeUnknown,
    PermanentFailure,
    Throttled,
)
from channels.http_client import (
    HttpClient,
    TimeLimits,
    fault_of,
    outcome_of,
    read_bounded,
    read_json_object,
    retry_after_seconds,
)

log = structlog.get_logger(__name__)

REFUSALS: Final[Mapping[str, ErrorClass]] = {
    "20001": ErrorClass.CONFIG,  # wrong account or secret
    "20003": ErrorClass.CONFIG,  # unknown sender
    "20006": ErrorClass.CONFIG,  # validity out of bounds
    "20008": ErrorClass.CONFIG,  # callback address is no URL
    "21001": ErrorClass.BAD_NUMBER,
    "21002": ErrorClass.NOT_CAPABLE,
    "21003": ErrorClass.OPTED_OUT,
    "21004": ErrorClass.UNROUTABLE,
    "21005": ErrorClass.FILTERED,
    "21007": ErrorClass.FILTERED,  # text empty or too long
    "42900": ErrorClass.THROTTLED,
}
"""The carrier's codes on refusing a request."""

FAILURES: Final[Mapping[str, ErrorClass]] = {
    "30003": ErrorClass.HANDSET_OFF,
    "30004": ErrorClass.OPTED_OUT,
    "30005": ErrorClass.BAD_NUMBER,
    "30006": ErrorClass.NOT_CAPABLE,
    "30007": ErrorClass.FILTERED,
    "30008": ErrorClass.OTHER,
    "30036": ErrorClass.EXPIRED,
}
"""The carrier's codes on a message that it took and could not deliver."""

Words = Mapping[str, tuple[ReceiptWord, ErrorClass | None]]

SMS_WORDS: Final[Words] = {
    "queued": (ReceiptWord.ACCEPTED, None),
    "sent": (ReceiptWord.SENT, None),
    "delivered": (ReceiptWord.DELIVERED, None),
    "undelivered": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
    "expired": (ReceiptWord.UNDELIVERED, ErrorClass.EXPIRED),
    "cancelled": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
}

VOICE_WORDS: Final[Words] = {
    "queued": (ReceiptWord.ACCEPTED, None),
    "dialing": (ReceiptWord.SENT, None),
    "ringing": (ReceiptWord.RINGING, None),
    "answered": (ReceiptWord.PICKED_UP, None),
    "hung_up": (ReceiptWord.CUT_SHORT, None),
    "played": (ReceiptWord.HEARD, None),
    "voicemail": (ReceiptWord.UNDELIVERED, ErrorClass.VOICEMAIL),
    "busy": (ReceiptWord.UNDELIVERED, ErrorClass.BUSY),
    "declined": (ReceiptWord.UNDELIVERED, ErrorClass.NO_ANSWER),
    "no_answer": (ReceiptWord.UNDELIVERED, ErrorClass.NO_ANSWER),
    "switched_off": (ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF),
    "bad_number": (ReceiptWord.UNDELIVERED, ErrorClass.BAD_NUMBER),
    "undelivered": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
    "expired": (ReceiptWord.UNDELIVERED, ErrorClass.EXPIRED),
    "cancelled": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
}

DIGITS = "digits"
"""The call event that is a person's word, not the carrier's."""

VALIDITY_SECONDS_MAX = 36_000
TEXT_CHARS_MAX = 1600

SPEECH_CHARS_PER_SECOND = 4.5
"""Chinese read aloud calmly; the county sample of 90 characters takes 20 seconds (domain.md)."""

RING_SECONDS = 15.0
"""What a call costs a line before somebody picks up, on average."""

ANSWER_BYTES_MAX = 4 * 1024 * 1024
"""A page of inbound messages or a look-up with all its events."""

POLL_PAGES_MAX = 200
"""Pages of inbound messages fetched in one poll; the rest comes with the next one."""

_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9._~-]+")
_URL_SAFE = "/:"
"""Legal in a form value, and plain addresses are then taken over without work."""


class _SimulatedChannel(PlainChannel):
    """What both channels share: the account, the connection, the reading of callbacks."""

    resource: ClassVar[str]
    words: ClassVar[Words]

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        account: str,
        secrets: Sequence[str],
        sender: str,
        capabilities: Capabilities,
        limits: TimeLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        if not secrets:
            raise ValueError("a simulated carrier account needs a secret")
        self.name = name
        self.capabilities = capabilities
        self._sender = sender
        self._secrets = tuple(secrets)
        self._clock = clock
        self._base = URL(base_url)
        self._url = self._base / "v1" / self.resource
        self._headers = _api_headers(account, self._secrets[0])
        self._client = HttpClient(limits=limits, headers=self._headers)
        self._prefix = f"From={quote(sender)}&Validity="

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} at {self._base.host}>"

    async def send(self, request: SendRequest) -> SendOutcome:
        """Hand one message or call over. Never raises for what the carrier or network does."""
        try:
            async with self._client.gate:
                body = self._form(request)
                # Reading to the end gives the connection back; a context manager costs 3 µs more.
                response = await self._client.session().post(
                    self._url, data=body, allow_redirects=False
                )
                return await self._outcome(response)
        except ChannelError as fault:
            return outcome_of(fault)
        except (ClientError, TimeoutError, OSError) as error:
            return outcome_of(fault_of(error))

    async def cancel(self, reference: str, *, live: bool) -> bool:
        """Ask the carrier to stop what it holds; `live`: a call under way too. True when it did."""
        url = self._url / reference / "cancel"
        status, answer = await self._ask("POST", url.with_query(Live="yes" if live else "no"))
        return status == 200 and answer.get("cancelled") is True

    async def lookup(self, inquiry: Inquiry) -> list[ReceiptEvent] | None:
        """Ask what became of a try. An empty list: the carrier has never seen it."""
        token = inquiry.token
        status, answer = await self._ask("GET", self._url.with_query(Reference=token))
        if status != 200:
            return None
        try:
            return [
                self._receipt({"Sid": item["sid"], "Reference": token, **event})
                for item in answer["items"]
                for event in item["events"]
            ]
        except (KeyError, TypeError, CallbackMalformed) as error:
            log.warning("unreadable look-up", channel=self.name, fault=str(error))
            return None

    async def poll_inbound(self, since: datetime) -> Fetched | None:
        """Fetch replies and key presses since an instant, oldest first; None: no answer."""
        events: list[InboundEvent] = []
        url = self._base / "v1" / "inbound"
        query = {"Since": since.astimezone(UTC).isoformat(), "After": "", "Of": self.resource}
        for _ in range(POLL_PAGES_MAX):
            status, answer = await self._ask("GET", url.with_query(query))
            if status != 200 and not events:
                return None
            items = answer.get("items") if status == 200 else None
            if status == 200 and not items:
                return Fetched(events=events)
            if not items:
                break
            events += [_inbound(item) for item in items]
            query["After"] = items[-1]["Id"]
        return Fetched(events=events, until=events[-1].happened_at)

    def parse_receipts(self, request: CallbackRequest) -> list[ReceiptEvent]:
        """Read a status callback; a reply or key press gives an empty list."""
        form = self._signed(request)
        if form.get("Status", DIGITS) == DIGITS:
            return []
        return [self._receipt(form)]

    def parse_inbound(self, request: CallbackRequest) -> list[InboundEvent]:
        """Read a reply or key press; a status callback gives an empty list."""
        form = self._signed(request)
        if form.get("Status", DIGITS) != DIGITS:
            return []
        return [_inbound(form)]

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    # ------------------------------------------------------------------------------ the request

    def _form(self, request: SendRequest) -> bytes:
        remaining = (request.valid_until - self._clock()).total_seconds()
        if remaining <= 0:
            raise PermanentFailure("no longer valid", error_class=ErrorClass.EXPIRED)
        validity = max(
            self.capabilities.validity_seconds_min,
            min(int(remaining), self.capabilities.validity_seconds_max),
        )
        return (
            f"{self._prefix}{validity}&Reference={_quoted_token(request.token)}&To={_quoted_number(request.to)}"
            f"&StatusCallback={_quoted_callback(request.callback_url, request.token)}"
            f"&Language={_quoted_text(request.language)}&Text={_quoted_text(request.text)}"
            f"{self._audio(request)}"
        ).encode("ascii")

    def _audio(self, request: SendRequest) -> str:
        """A recording of the text, where it can be played."""
        if not request.audio_url or not self.capabilities.plays:
            return ""
        return f"&Audio={quote(request.audio_url, safe=_URL_SAFE)}"

    async def _outcome(self, response: ClientResponse) -> SendOutcome:
        answer = read_json_object(await read_bounded(response))
        status = response.status
        if status == 201 and "sid" in answer:
            return SendOutcome(
                kind=OutcomeKind.ACCEPTED, reference=answer["sid"], parts=answer.get("parts", 1)
            )
        raise self._refusal(response, answer)

    def _refusal(self, response: ClientResponse, answer: Mapping[str, Any]) -> ChannelError:
        code, reason = str(answer.get("code", "")), str(answer.get("message", ""))
        if response.status == 429:
            pause = retry_after_seconds(response.headers, self._clock())
            return Throttled(reason or "too fast", code=code, retry_after=pause)
        if response.status >= 500 or response.status < 300:
            return OutcomeUnknown(reason or "no usable answer", code=code or str(response.status))
        if response.status < 400 or response.status in (401, 403, 404):
            return Misconfigured(reason or "not our carrier", code=code or str(response.status))
        return PermanentFailure(
            reason or "refused", code=code, error_class=REFUSALS.get(code, ErrorClass.OTHER)
        )

    async def _ask(self, method: str, url: URL) -> tuple[int, dict[str, Any]]:
        """Return status and answer of a question; status 0 when there is no answer."""
        try:
            async with (
                self._client.gate,
                self._client.session().request(method, url, allow_redirects=False) as response,
            ):
                body = await read_bounded(response, ANSWER_BYTES_MAX)
                return response.status, read_json_object(body)
        except (ClientError, TimeoutError, OSError) as error:
            log.warning("carrier question failed", channel=self.name, fault=type(error).__name__)
            return 0, {}

    # ------------------------------------------------------------------------------- the callback

    def _signed(self, request: CallbackRequest) -> dict[str, str]:
        form = signature.read_signed_form(
            secrets=self._secrets,
            url=request.url,
            headers=request.headers,
            body=request.body,
            now=self._clock(),
        )
        if request.token and form.get("Reference", request.token) != request.token:
            raise CallbackMalformed("the callback is about another try than its address says")
        return form

    def _receipt(self, form: Mapping[str, str]) -> ReceiptEvent:
        status, code = form.get("Status", ""), form.get("Code", "")
        word, error_class = self._word(status)
        if code:
            error_class = FAILURES.get(code, error_class)
        try:
            return ReceiptEvent(
                token=form["Reference"],
                word=word,
                dedupe_key=f"{form['Sid']}:{form['Sequence']}",
                reference=form["Sid"],
                error_class=error_class,
                code=code or (status if error_class is not None else ""),
                happened_at=datetime.fromisoformat(form["Timestamp"]),
                heard_seconds=float(form["HeardSeconds"]) if "HeardSeconds" in form else None,
            )
        except (KeyError, ValueError) as error:
            raise CallbackMalformed(f"the receipt lacks or garbles a field: {error}") from error

    def _word(self, status: str) -> tuple[ReceiptWord, ErrorClass | None]:
        known = self.words.get(status)
        if known is None:
            log.warning("unknown carrier word", channel=self.name, word=status)
            return ReceiptWord.ACCEPTED, ErrorClass.OTHER
        return known


class SimulatedSms(_SimulatedChannel):
    """Text messages through the simulated carrier."""

    resource = "messages"
    words = SMS_WORDS

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        account: str,
        secrets: Sequence[str],
        sender: str,
        per_second: float = 50.0,
        sender_per_second: float = 0.0,
        per_callee: Sequence[PerCalleeLimit] = (),
        inbound_countries: Sequence[str] = ("*",),
        links_allowed: bool = True,
        limits: TimeLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        capabilities = Capabilities(
            kind=ChannelKind.SMS,
            inbound_countries=frozenset(inbound_countries),
            links_allowed=links_allowed,
            chars_max=TEXT_CHARS_MAX,
            per_second=per_second,
            per_callee=tuple(per_callee),
            paces=_sender_pace(sender, sender_per_second),
            validity_seconds_max=VALIDITY_SECONDS_MAX,
            can_cancel=True,
            can_lookup=True,
            can_poll=True,
        )
        super().__init__(
            name=name,
            base_url=base_url,
            account=account,
            secrets=secrets,
            sender=sender,
            capabilities=capabilities,
            limits=limits,
            clock=clock,
        )

    def estimate(self, text: str, count: int) -> Estimate:
        """Return parts and the seconds `count` sends take at the carrier's pace."""
        parts = segment.count(text).parts
        return Estimate(parts=parts, seconds=parts * count / self.capabilities.per_second)


class SimulatedVoice(_SimulatedChannel):
    """Calls through the simulated carrier: it speaks or plays, and listens for one key."""

    resource = "calls"
    words = VOICE_WORDS

    def __init__(
        self,
        *,
        name: str,
        base_url: str,
        account: str,
        secrets: Sequence[str],
        sender: str,
        per_second: float = 10.0,
        sender_per_second: float = 0.0,
        lines: int = 30,
        per_callee: Sequence[PerCalleeLimit] = (),
        limits: TimeLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        capabilities = Capabilities(
            kind=ChannelKind.VOICE,
            inbound_countries=frozenset("*"),
            dtmf=True,
            links_allowed=False,
            chars_max=TEXT_CHARS_MAX,
            per_second=per_second,
            lines=lines,
            plays=True,
            per_callee=tuple(per_callee),
            paces=_sender_pace(sender, sender_per_second),
            validity_seconds_max=VALIDITY_SECONDS_MAX,
            can_cancel=True,
            can_lookup=True,
            can_poll=True,
        )
        super().__init__(
            name=name,
            base_url=base_url,
            account=account,
            secrets=secrets,
            sender=sender,
            capabilities=capabilities,
            limits=limits,
            clock=clock,
        )

    def estimate(self, text: str, count: int) -> Estimate:
        """Return the seconds `count` calls take: the slower of starting them and holding lines."""
        held = RING_SECONDS + len(text) / SPEECH_CHARS_PER_SECOND
        lines = self.capabilities.lines or count or 1
        starting = count / self.capabilities.per_second
        rounds = -(-count // lines)
        return Estimate(parts=1, seconds=max(starting, rounds * held))


@lru_cache(maxsize=segment.CACHED_TEXTS_MAX)
def _quoted_text(text: str) -> str:
    return quote(text, safe="")


def _quoted_token(token: str) -> str:
    return token if _PLAIN_TOKEN.fullmatch(token) else quote(token, safe="")


def _quoted_callback(url: str, token: str) -> str:
    """Quote all but the token at its end, which is made of letters that need none."""
    if url.endswith(token) and _PLAIN_TOKEN.fullmatch(token):
        return _quoted_base(url[: len(url) - len(token)]) + token
    return quote(url, safe=_URL_SAFE)


@lru_cache(maxsize=segment.CACHED_TEXTS_MAX)
def _quoted_base(url: str) -> str:
    return quote(url, safe=_URL_SAFE)


def _quoted_number(number: str) -> str:
    """Quote what is nearly always a plus and digits without looking at each character twice."""
    if number[:1] == "+" and number[1:].isdecimal() and number.isascii():
        return "%2B" + number[1:]
    return quote(number, safe="")


def _inbound(form: Mapping[str, str]) -> InboundEvent:
    """A reply is from a person to our sender; so is a key press in a call we made."""
    try:
        return InboundEvent(
            sender=form["From"],
            text=form.get("Digits", form.get("Text", "")),
            dedupe_key=form["Id"],
            token=form.get("Reference", ""),
            recipient=form.get("To", ""),
            happened_at=datetime.fromisoformat(form["Timestamp"]),
        )
    except (KeyError, ValueError) as error:
        raise CallbackMalformed(f"the reply lacks or garbles a field: {error}") from error


def _sender_pace(sender: str, per_second: float) -> tuple[PaceLimit, ...]:
    """A sender's own pace, which texts and calls share; 0: none."""
    return (PaceLimit(name=f"sender:{sender}", per_second=per_second),) if per_second > 0 else ()


def _api_headers(account: str, secret: str) -> dict[str, str]:
    credentials = b64encode(f"{account}:{secret}".encode()).decode("ascii")
    return {
        "Authorization": f"Basic {credentials}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "warnsvc",
    }

"""A carrier in memory: takes what it is sent, misbehaves by script, calls back when told to.

    sms = FakeChannel(ChannelKind.SMS, clock=clock.now)
    sms.script(Reject(ErrorClass.BAD_NUMBER), to="+8615400000001")
    …
    sms.receipt(sms.taken[-1], ReceiptWord.DELIVERED)     a signed callback lies in sms.mail

It passes the conformance suite of the channels (`test_channel.py`), so a story that runs on it says
something about the real ones. It never sleeps and never opens a socket; whoever holds `mail` decides
when, in which order and how often a callback arrives.
"""

import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from channels import segment, signature
from channels.base import (
    HALVES,
    CallbackMalformed,
    CallbackRequest,
    Capabilities,
    ChannelKind,
    Estimate,
    Fetched,
    InboundEvent,
    Inquiry,
    OutcomeKind,
    PlainChannel,
    ReceiptEvent,
    ReceiptWord,
    SendOutcome,
    SendRequest,
)
from channels.errors import ErrorClass

SECRET = "the-fake-carriers-secret-word"
PUBLIC_URL = "http://127.0.0.1:8080"
_ADDRESS = re.compile(r"\+[1-9][0-9]{6,14}|https://\S+")


@dataclass(frozen=True, slots=True)
class Accept:
    """Take it. `early`: receipts that are posted before `send` returns. `answer`: a webhook's."""

    early: tuple[ReceiptWord, ...] = ()
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse it for good."""

    error_class: ErrorClass = ErrorClass.BAD_NUMBER
    reason: str = "refused"


@dataclass(frozen=True, slots=True)
class Throttle:
    """Not now; nothing was taken."""

    retry_after: float = 2.0
    error_class: ErrorClass = ErrorClass.THROTTLED


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer. `taken`: the carrier has it all the same."""

    taken: bool = False


@dataclass(frozen=True, slots=True)
class Raise:
    """A mistake in the adapter. `taken`: it happened after the carrier had it."""

    error: BaseException = field(default_factory=lambda: RuntimeError("a mistake in the adapter"))
    taken: bool = False


Script = Accept | Reject | Throttle | Unknown | Raise


@dataclass(slots=True, eq=False)
class Taken:
    """A message or call that the carrier took."""

    sid: str
    request: SendRequest
    at: datetime
    events: list[ReceiptEvent] = field(default_factory=list)
    cancelled: bool = False
    read: bool = False
    """Whether a test has looked at it."""

    @property
    def begun(self) -> bool:
        """Whether it waits no longer."""
        return any(event.word is not ReceiptWord.ACCEPTED for event in self.events)

    @property
    def to(self) -> str:
        return self.request.to

    @property
    def text(self) -> str:
        return self.request.text


class FakeChannel(PlainChannel):
    """Implements `channels.base.Channel`."""

    def __init__(self, kind: ChannelKind, *, clock: Callable[[], datetime], name: str = "") -> None:
        self.name = name or f"fake-{kind.value}"
        self.capabilities = Capabilities(
            kind=kind,
            inbound_countries=frozenset("*"),
            dtmf=kind is ChannelKind.VOICE,
            per_second=100_000.0,
            lines=30 if kind is ChannelKind.VOICE else 0,
            can_cancel=True,
            can_lookup=True,
            can_poll=True,
        )
        self.tries: list[SendRequest] = []
        """Everything that was handed over, taken or not."""
        self.batches: list[int] = []
        """How many messages each request of several held."""
        self.taken: list[Taken] = []
        self.asked_back: list[tuple[str, bool]] = []
        """What we were asked to cancel, in order, and whether also a live call."""
        self.mail: deque[CallbackRequest] = deque()
        """Callbacks on their way to us."""
        self.post: Callable[[CallbackRequest], Awaitable[None]] | None = None
        """Brings an early receipt while `send` is still under way."""
        self.answers_lookups = True
        self.group = ""
        """One id that stands for all messages, each of which is known by it and its number."""
        self.before_send: Callable[[SendRequest], Awaitable[None]] | None = None
        """What happens elsewhere while the request is on its way."""
        self._clock = clock
        self._scripts: dict[str, deque[Script]] = {}
        self._always: Script | None = None
        self._inbound: list[InboundEvent] = []

    def __repr__(self) -> str:
        return f"<FakeChannel {self.name}>"

    # What a test decides -----------------------------------------------------------------------

    def script(self, *outcomes: Script, to: str = "*") -> None:
        """Let the next sends to an address (`*`: to anybody) come out like this, one each."""
        self._scripts.setdefault(to, deque()).extend(outcomes)

    def always(self, outcome: Script | None) -> None:
        """Let every send without a script come out like this; None: as it should."""
        self._always = outcome

    def receipt(
        self, taken: Taken, word: ReceiptWord, error_class: ErrorClass | None = None
    ) -> CallbackRequest:
        """Put a receipt into the mail, and return it."""
        sequence = word.value if word in HALVES else str(len(taken.events) + 1)
        event = ReceiptEvent(
            token=taken.request.token,
            word=word,
            dedupe_key=f"{taken.sid}:{sequence}",
            reference=taken.sid,
            error_class=error_class,
            code=error_class.value if error_class else "",
            happened_at=self._clock(),
        )
        taken.events.append(event)
        callback = self._signed(
            taken.request.callback_url,
            {
                "Sid": taken.sid,
                "Sequence": sequence,
                "Reference": taken.request.token,
                "Word": word.value,
                "Class": error_class.value if error_class else "",
                "Timestamp": self._clock().isoformat(),
            },
            token=taken.request.token,
        )
        self.mail.append(callback)
        return callback

    def answer(self, sender: str, text: str, *, to: Taken | None = None) -> CallbackRequest:
        """Put what a person sent into the mail. `to`: he pressed a key in this call."""
        token = to.request.token if to else ""
        event = InboundEvent(
            sender=sender,
            text=text,
            dedupe_key=f"IN1{len(self._inbound)}",
            token=token,
            recipient="1069",
            happened_at=self._clock(),
        )
        self._inbound.append(event)
        callback = self._signed(
            to.request.callback_url if to else f"{PUBLIC_URL}/callbacks/{self.name}",
            {
                "Id": event.dedupe_key,
                "From": sender,
                "To": event.recipient,
                "Text": text,
                "Reference": token,
                "Timestamp": self._clock().isoformat(),
            },
            token=token,
        )
        self.mail.append(callback)
        return callback

    # The port ----------------------------------------------------------------------------------

    async def send(self, request: SendRequest) -> SendOutcome:
        self.tries.append(request)
        if self.before_send is not None:
            await self.before_send(request)
        outcome = self._next(request)
        match outcome:
            case Reject(error_class, reason):
                return SendOutcome(
                    kind=OutcomeKind.REJECTED,
                    error_class=error_class,
                    code=error_class.value,
                    reason=reason,
                )
            case Throttle(retry_after, error_class):
                return SendOutcome(
                    kind=OutcomeKind.THROTTLED, error_class=error_class, retry_after=retry_after
                )
            case Unknown(taken):
                if taken:
                    self._take(request)
                return SendOutcome(kind=OutcomeKind.UNKNOWN, error_class=ErrorClass.AMBIGUOUS)
            case Raise(error, taken):
                if taken:
                    self._take(request)
                raise error
            case Accept(early, answer):
                taken_ = self._take(request)
                await self._post_early(taken_, early)
                return SendOutcome(
                    kind=OutcomeKind.ACCEPTED,
                    reference=taken_.sid,
                    parts=segment.count(request.text).parts,
                    answer=answer,
                )

    async def send_batch(self, requests: Sequence[SendRequest]) -> list[SendOutcome | None]:
        """One that would be refused spoils them all; what else befalls one befalls them all."""
        if len(requests) < 2:
            return await super().send_batch(requests)
        self.batches.append(len(requests))
        scripts = [self._peek(request) for request in requests]
        if any(isinstance(script, Reject) for script in scripts):
            self.tries += requests
            return [None] * len(requests)
        shared = next((s for s in scripts if not isinstance(s, Accept)), None)
        if shared is not None:
            for request in requests:
                self._next(request)
        if isinstance(shared, Raise):
            for request in requests if shared.taken else ():
                self._take(request)
            raise shared.error
        if shared is not None:
            self.script(*[shared] * len(requests))
        return [await self.send(request) for request in requests]

    async def cancel(self, reference: str, *, live: bool) -> bool:
        self.asked_back.append((reference, live))
        for taken in self.taken:
            if taken.sid == reference and not taken.cancelled and (live or not taken.begun):
                taken.cancelled = True
                return True
        return False

    async def lookup(self, inquiry: Inquiry) -> list[ReceiptEvent] | None:
        if not self.answers_lookups:
            return None
        found = [taken for taken in self.taken if taken.request.token == inquiry.token]
        for taken in found:
            if not taken.events:
                self.receipt(taken, ReceiptWord.ACCEPTED)
                self.mail.pop()
        return [event for taken in found for event in taken.events]

    async def poll_inbound(self, since: datetime) -> Fetched | None:
        if not self.answers_lookups:
            return None
        happened = [(e.happened_at, e) for e in self._inbound]
        return Fetched(events=[e for at, e in happened if at is not None and at >= since])

    def parse_receipts(self, request: CallbackRequest) -> list[ReceiptEvent]:
        form = self._form(request)
        if "Word" not in form:
            return []
        return [
            ReceiptEvent(
                token="" if self.capabilities.receipts_by_reference else form["Reference"],
                word=ReceiptWord(form["Word"]),
                dedupe_key=f"{form['Sid']}:{form['Sequence']}",
                reference=form["Sid"],
                error_class=ErrorClass(form["Class"]) if form["Class"] else None,
                code=form["Class"],
                happened_at=datetime.fromisoformat(form["Timestamp"]),
            )
        ]

    def parse_inbound(self, request: CallbackRequest) -> list[InboundEvent]:
        form = self._form(request)
        if "Text" not in form:
            return []
        return [
            InboundEvent(
                sender=form["From"],
                text=form["Text"],
                dedupe_key=form["Id"],
                token=form["Reference"],
                recipient=form["To"],
                happened_at=datetime.fromisoformat(form["Timestamp"]),
            )
        ]

    def estimate(self, text: str, count: int) -> Estimate:
        parts = segment.count(text).parts
        return Estimate(parts=parts, seconds=parts * count / self.capabilities.per_second)

    async def close(self) -> None:
        """Nothing is open."""

    # -------------------------------------------------------------------------------------------

    def _peek(self, request: SendRequest) -> Script:
        """What `_next` would return."""
        kept = {to: deque(scripts) for to, scripts in self._scripts.items()}
        script = self._next(request)
        self._scripts = kept
        return script

    def _next(self, request: SendRequest) -> Script:
        if request.valid_until <= self._clock():
            return Reject(ErrorClass.EXPIRED)
        if not _ADDRESS.fullmatch(request.to):
            return Reject(ErrorClass.BAD_NUMBER)
        for to in (request.to, "*"):
            if self._scripts.get(to):
                return self._scripts[to].popleft()
        return self._always or Accept()

    def _take(self, request: SendRequest) -> Taken:
        sid = f"{self.group}:{request.to}" if self.group else f"FK1{len(self.taken)}"
        taken = Taken(sid, request, self._clock())
        self.taken.append(taken)
        return taken

    async def _post_early(self, taken: Taken, words: tuple[ReceiptWord, ...]) -> None:
        for word in words:
            callback = self.receipt(taken, word)
            assert self.post is not None, "nobody takes early receipts"
            self.mail.remove(callback)
            await self.post(callback)

    def _signed(self, url: str, fields: Mapping[str, str], *, token: str) -> CallbackRequest:
        pairs = list(fields.items())
        return CallbackRequest(
            url=url,
            headers=signature.form_headers(SECRET, url, pairs, self._clock()),
            body=urlencode(pairs).encode(),
            token=token,
        )

    def _form(self, request: CallbackRequest) -> dict[str, str]:
        form = signature.read_signed_form(
            secrets=[SECRET],
            url=request.url,
            headers=request.headers,
            body=request.body,
            now=self._clock(),
        )
        if request.token and form.get("Reference", request.token) != request.token:
            raise CallbackMalformed("the callback is about another try than its address says")
        return form

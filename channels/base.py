"""The channel port: values in, values out.

    check ──► None, or why this text cannot be sent here        when it is written, not at 3 a.m.
    send ──► accepted(reference) | rejected(class) | throttled(retry_after) | unknown(reason)
    send_batch ──► one of these for each, or "not so: fewer at a time"
    carrier ──► parse_receipts / parse_inbound ──► ReceiptEvent / InboundEvent ──► reply

`send` never raises for anything a carrier does; it returns an outcome. Receipts can come before
`send` returns, twice, out of order, or never, so our own token is in every callback address and
nothing is matched by the carrier's id alone, except where a carrier knows nothing else
(`receipts_by_reference`). A channel never decides whether to try again.

Every adapter passes `tests/channels/conformance.py`. Source: carriers.md §5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol, runtime_checkable

from channels.errors import ErrorClass


class ChannelKind(StrEnum):
    """How the address is reached."""

    SMS = "sms"
    """A text message."""
    VOICE = "voice"
    """A call that speaks and listens for a key."""
    WEBHOOK = "webhook"
    """A signed HTTP request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerCalleeLimit:
    """At most `count` sends to one address in any `seconds`.

    A `hard` one is the carrier's own: it would refuse. The others are courtesy.
    """

    count: int
    seconds: int
    hard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceLimit:
    """A pace that several channels may share, such as a sender's: `sender:10690000`."""

    name: str
    per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a carrier can do, as data; the planner reads it and says why it refuses."""

    kind: ChannelKind
    countries: frozenset[str] = frozenset({"*"})
    """Country calling codes (`86`) that it reaches; `*` means all."""
    inbound_countries: frozenset[str] = frozenset()
    """Country calling codes from which replies reach us; `*` means all."""
    dtmf: bool = False
    """It listens for a key during a call."""
    amd: bool = False
    """It tells a person from a machine that picks up."""
    receipts: bool = True
    """It says whether a message arrived."""
    receipts_by_reference: bool = False
    """Its receipts name no token of ours, only its own reference: `SendOutcome.reference` must be
    what they say, down to the number. They are found by (carrier, reference)."""
    free_text: bool = True
    links_allowed: bool = True
    chars_max: int = 1600
    mixed_callbacks: bool = False
    """One callback may hold receipts and answers, about several tries."""
    batch_max: int = 1
    """Messages that it takes in one request. A request without an answer leaves all of them in
    doubt, so a profile may say less than its carrier allows."""
    per_second: float = 10.0
    """SMS parts, call starts or requests per second that the carrier takes."""
    lines: int = 0
    """Simultaneous calls; 0 when it does not apply."""
    validity_seconds_min: int = 1
    validity_seconds_max: int = 36_000
    can_cancel: bool = False
    can_lookup: bool = False
    can_poll: bool = False
    languages: frozenset[str] = frozenset({"*"})
    """What it can carry or speak; `*` means all."""
    plays: bool = False
    """It plays a recording, and so says anything in any language."""
    per_callee: tuple[PerCalleeLimit, ...] = ()
    paces: tuple[PaceLimit, ...] = ()
    """Further paces to keep beside `per_second`, which is the carrier's."""
    many_hosts: bool = False
    """Each address is a host of its own: one that is down says nothing of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """One try. `token` is ours; it comes back in every callback about this try."""

    token: str
    to: str
    text: str
    language: str
    valid_until: datetime
    callback_url: str
    """Where receipts and key presses go; holds the token."""
    answer_url: str = ""
    """A link that answers for the callee, where links are allowed; webhooks always get it."""
    form: str = "call"
    """Which of our message forms the text is: carriers with templates choose by it."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What the text was made of, for carriers that take templates or documents: JSON values."""
    audio_url: str = ""
    """A recording of the text, when somebody has made one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A text that is to be sent some day, for `check`. Its parts mean what SendRequest's mean."""

    text: str
    language: str
    form: str = "call"
    fields: Mapping[str, Any] = field(default_factory=dict)
    recorded: bool = False
    """Whether there is a recording of it."""


class Obstacle(StrEnum):
    """Why a carrier cannot send a text."""

    TOO_LONG = "too_long"
    """More characters than it takes."""
    NO_TEMPLATE = "no_template"
    """It sends approved templates only, and none is set up for this form and language."""
    FIELD_TOO_LONG = "field_too_long"
    """One value of its template is longer than it allows."""
    LINK = "link"
    """The text holds a link or a phone number, which it would block."""
    ALPHABET = "alphabet"
    """It holds characters that this carrier cannot write; `given` says how many."""
    NO_VOICE = "no_voice"
    """It cannot speak this language, and there is no recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsendable:
    """Why a text cannot be sent, before anybody tries. `limit` and `given`: characters."""

    obstacle: Obstacle
    field: str = ""
    """Which value, when it is one of several."""
    limit: int = 0
    given: int = 0


class OutcomeKind(StrEnum):
    """What became of a send."""

    ACCEPTED = "accepted"
    """The carrier took it."""
    REJECTED = "rejected"
    """The carrier will not take it; nothing was sent."""
    THROTTLED = "throttled"
    """Not now; nothing was sent."""
    UNKNOWN = "unknown"
    """No answer: it may have been sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome:
    """The carrier's answer to one send."""

    kind: OutcomeKind
    reference: str = ""
    error_class: ErrorClass | None = None
    code: str = ""
    reason: str = ""
    retry_after: float = 0.0
    parts: int = 1
    answer: str = ""
    """What the callee answered in the same breath; only webhooks can."""


class ReceiptWord(StrEnum):
    """The carrier's word about a try, in ours. Rank rises in this order; it never falls."""

    ACCEPTED = "accepted"
    """Queued at the carrier."""
    SENT = "sent"
    """Handed to the network."""
    RINGING = "ringing"
    """The phone rings."""
    PICKED_UP = "picked_up"
    """Somebody or something answered the call."""
    PERSON = "person"
    """A person picked up, says the carrier's detection of machines."""
    PLAYED = "played"
    """The message was played to the end, to a person or a machine."""
    CUT_SHORT = "cut_short"
    """Hung up before the end of the message."""
    HEARD = "heard"
    """The message was played to the end to a person."""
    DELIVERED = "delivered"
    """On the handset, or taken by the endpoint."""
    UNDELIVERED = "undelivered"
    """Will not arrive; `error_class` says why."""


HALVES: Final[Mapping[ReceiptWord, ReceiptWord]] = {
    ReceiptWord.PERSON: ReceiptWord.PLAYED,
    ReceiptWord.PLAYED: ReceiptWord.PERSON,
}
"""Word → the other one: of one call both together mean HEARD, in whichever order they come and
whichever process is told. So a carrier that tells them apart needs no memory of its own."""


def half_key(reference: str, word: ReceiptWord) -> str:
    """Return the `dedupe_key` that a half must have: who holds one finds the other by it."""
    return f"{reference}:{word.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptEvent:
    """The carrier's word about one try."""

    token: str
    word: ReceiptWord
    dedupe_key: str
    """Equal for repeats of the same event; unique per carrier."""
    reference: str = ""
    error_class: ErrorClass | None = None
    code: str = ""
    happened_at: datetime | None = None
    heard_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundEvent:
    """Something a person sent: a text, a key, a click. `token` is set when it names the try."""

    sender: str
    text: str
    dedupe_key: str
    token: str = ""
    recipient: str = ""
    happened_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What people sent while we were away, as far as a carrier could be asked."""

    events: Sequence[InboundEvent] = ()
    """The oldest first. There may be some from after `until`."""
    until: datetime | None = None
    """Up to when none is missing; None: up to the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequest:
    """A raw callback as it came in, with the address the carrier was told to use."""

    url: str
    """The public URL we configured, path and query included: what signatures are over."""
    headers: Mapping[str, str]
    body: bytes
    token: str = ""
    """From the path, when the callback is about one try."""
    method: str = "POST"
    remote: str = ""
    """The address it came from, as far as our own proxies can be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackReply:
    """What the carrier hears once its callback is on disk."""

    status: int = 204
    body: str = ""
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A try that is looked up. Some carriers find it by our token; others need the rest."""

    token: str
    to: str = ""
    text: str = ""
    sent_at: datetime | None = None
    reference: str = ""


class SignatureInvalid(Exception):
    """The callback is not from the carrier, or is too old."""


class CallbackMalformed(Exception):
    """The callback is signed but cannot be read; it is kept for a human."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What `count` sends of a text need: parts each, and seconds at the carrier's pace."""

    parts: int
    seconds: float


class Channel(Protocol):
    """One carrier account for one kind of channel."""

    name: str
    capabilities: Capabilities

    async def send(self, request: SendRequest) -> SendOutcome:
        """Hand one message over. Never raises for what the carrier or the network does."""
        ...

    async def send_batch(self, requests: Sequence[SendRequest]) -> list[SendOutcome | None]:
        """Hand over up to `batch_max` messages together; returns what came of each, in order.

        None: nothing was taken of it, because a message that went with it was refused, or it was
        itself, and the carrier does not say which: hand it over again among fewer. One alone always
        has an outcome. Never raises for what the carrier or the network does.
        """
        ...

    async def cancel(self, reference: str, *, live: bool) -> bool:
        """Ask the carrier to stop what still waits in its queue. True when it did.

        `live`: a call that rings or is being listened to as well; otherwise that goes on.
        """
        ...

    async def lookup(self, inquiry: Inquiry) -> list[ReceiptEvent] | None:
        """Ask what became of a try. Empty: the carrier has never seen it; None: no answer."""
        ...

    async def poll_inbound(self, since: datetime) -> Fetched | None:
        """Fetch what people sent while we were away; None: no answer.

        The work of one question is bounded. Where that is too little, `until` says how far it went.
        """
        ...

    def parse_receipts(self, request: CallbackRequest) -> list[ReceiptEvent]:
        """Read a status callback. Raises SignatureInvalid, CallbackMalformed."""
        ...

    def parse_inbound(self, request: CallbackRequest) -> list[InboundEvent]:
        """Read a reply or key press. Raises SignatureInvalid, CallbackMalformed."""
        ...

    def wants_words(self, request: CallbackRequest) -> bool:
        """Whether `reply` must say the text of the try once more. Called for genuine ones only."""
        ...

    def reply(self, request: CallbackRequest, words: SendRequest | None) -> CallbackReply:
        """Return what the carrier hears. `words`: the try, if wanted and known. Never raises."""
        ...

    def check(self, words: Words) -> Unsendable | None:
        """Return why a text cannot be sent here, or None. Asks nobody."""
        ...

    def estimate(self, text: str, count: int) -> Estimate:
        """Return parts and time for `count` sends of `text`."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class KnowsEndpoints(Protocol):
    """A channel whose addresses each have a secret, which somebody must type in over there."""

    def endpoint_secret(self, address: str) -> str:
        """Return the secret of one address. Raises ValueError for what is no address."""
        ...


class PlainChannel:
    """What most carriers do where the port lets them differ. Adapters inherit it."""

    capabilities: Capabilities

    async def send(self, request: SendRequest) -> SendOutcome:
        """Every adapter sends in its own way."""
        raise NotImplementedError

    async def send_batch(self, requests: Sequence[SendRequest]) -> list[SendOutcome | None]:
        """One after another."""
        return [await self.send(request) for request in requests]

    async def cancel(self, reference: str, *, live: bool) -> bool:
        """It cannot take anything back."""
        return False

    async def lookup(self, inquiry: Inquiry) -> list[ReceiptEvent] | None:
        """It cannot be asked."""
        return None

    async def poll_inbound(self, since: datetime) -> Fetched | None:
        """It keeps nothing to fetch."""
        return Fetched()

    def wants_words(self, request: CallbackRequest) -> bool:
        """It needs no words of ours."""
        return False

    def reply(self, request: CallbackRequest, words: SendRequest | None) -> CallbackReply:
        """204 is enough."""
        return CallbackReply()

    def check(self, words: Words) -> Unsendable | None:
        """Any text that is short enough, and that it can say."""
        capabilities, given = self.capabilities, len(words.text)
        if given > capabilities.chars_max:
            return Unsendable(
                obstacle=Obstacle.TOO_LONG, limit=capabilities.chars_max, given=given
            )
        if capabilities.kind is ChannelKind.VOICE and not can_say(capabilities, words):
            return Unsendable(obstacle=Obstacle.NO_VOICE)
        return None


def can_say(capabilities: Capabilities, words: Words) -> bool:
    """Return whether a carrier can speak or play these words."""
    if not capabilities.languages.isdisjoint({"*", words.language}):
        return True
    return words.recorded and capabilities.plays


def reaches(capabilities: Capabilities, address: str) -> bool:
    """Return whether a carrier sends to this address's country."""
    return _among(address, capabilities.countries)


def inbound_possible(capabilities: Capabilities, address: str) -> bool:
    """Return whether a reply from this address can reach us. Source: carriers.md §0.1."""
    return _among(address, capabilities.inbound_countries)


def _among(address: str, countries: frozenset[str]) -> bool:
    digits = address.lstrip("+")
    return any(code == "*" or digits.startswith(code) for code in countries)


def registered(channels: Sequence[Channel]) -> dict[str, Channel]:
    """Return channels by name; two of one name are a mistake of set-up."""
    by_name = {channel.name: channel for channel in channels}
    assert len(by_name) == len(channels), "two channels share a name"
    return by_name

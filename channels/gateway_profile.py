"""What a gateway profile says, as values. `gateway_table` reads them from TOML.

    Profile ─┬─ SendRule     where and how a message is handed over
             ├─ AnswerRule   what the gateway's answer means
             ├─ BatchRule    how many messages share a request, when they may
             ├─ ReceiptRule  how its word about a message comes back
             ├─ InboundRule  how people's replies come
             ├─ ProofRule    how we know that a callback is the gateway's
             ├─ ReplyRule    what it hears from us then
             └─ LookupRule   how it can be asked, when it can

These are data: no network, no clock, no secrets. docs/CARRIERS-GATEWAY.md teaches how to write one,
and so do the comments of the three profiles that are shipped.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from channels.base import ReceiptWord
from channels.errors import ErrorClass
from channels.gateway_template import Template


class Encoding(StrEnum):
    """How fields travel to the gateway, and from it."""

    QUERY = "query"
    """In the address."""
    FORM = "form"
    """As a form in the body."""
    JSON = "json"
    """As a JSON object in the body."""
    BASE64_JSON = "base64-json"
    """As JSON in UTF-8, and that in base64."""


LISTS = frozenset({Encoding.JSON, Encoding.BASE64_JSON})
"""Encodings in which one callback can say many things."""


class Authentication(StrEnum):
    """What the Authorization header says."""

    NONE = "none"
    """There is none; a secret may stand in a field or in a signature."""
    BASIC = "basic"
    """User and secret."""
    BEARER = "bearer"
    """The secret."""


class Digest(StrEnum):
    """How a joined text becomes a signature."""

    MD5 = "md5"
    """MD5 of the text: weak, and what many gateways ask for."""
    SHA1 = "sha1"
    """SHA-1 of the text."""
    SHA256 = "sha256"
    """SHA-256 of the text."""
    HMAC_MD5 = "hmac-md5"
    """HMAC under the secret."""
    HMAC_SHA1 = "hmac-sha1"
    """HMAC under the secret."""
    HMAC_SHA256 = "hmac-sha256"
    """HMAC under the secret."""


class Spelling(StrEnum):
    """How the bytes of a signature are written."""

    HEX = "hex"
    """0-9a-f."""
    HEX_UPPER = "hex-upper"
    """0-9A-F."""
    BASE64 = "base64"
    """Base64 with padding."""


class TextForm(StrEnum):
    """How a text stands in a callback."""

    PLAIN = "plain"
    """As it is."""
    UCS2_HEX = "ucs2-hex"
    """UTF-16 big endian in hex digits, as CMPP gateways pass it through."""
    BASE64 = "base64"
    """UTF-8 in base64."""


class Means(StrEnum):
    """What an answer means, beside the error classes."""

    ACCEPTED = "accepted"
    """Taken."""
    THROTTLED = "throttled"
    """Not now; nothing was taken."""
    UNKNOWN = "unknown"
    """It may have been taken."""


class Proof(StrEnum):
    """How a callback proves where it is from."""

    KEY = "key"
    """By a key in its address, which only the gateway was told."""
    SIGNATURE = "signature"
    """By a signature in a header."""


Meaning = Means | ErrorClass
Said = tuple[ReceiptWord, ErrorClass | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """A text joined by a template, and how it is digested and written."""

    template: Template
    digest: Digest
    spelling: Spelling = Spelling.HEX


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRule:
    """Where and how a message is handed over."""

    method: str
    path: Template
    encoding: Encoding
    fields: Mapping[str, Any]
    """Templates at the leaves, in tables and lists; what is no text goes as it is."""
    headers: Mapping[str, Template] = field(default_factory=dict)
    authentication: Authentication = Authentication.NONE
    charset: str = "utf-8"
    signing: Signing | None = None


class Sharing(StrEnum):
    """How many messages share a request."""

    NUMBERS = "numbers"
    """One text to many numbers, which stand joined where one would stand."""
    MESSAGES = "messages"
    """A list of messages, each with what is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRule:
    """How many messages share a request, and how the answer tells them apart."""

    by: Sharing
    size_max: int
    send: SendRule
    separator: str = ","
    """Between numbers."""
    message: Mapping[str, Any] = field(default_factory=dict)
    """What is made of each message; the list of these is `messages` in `send`."""
    items: str = ""
    """Where the answer has one record for each message; `AnswerRule` reads it."""
    token_field: str = ""
    """Where a record holds our token; "": records come in the order of the messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """Where something stands in an answer: a JSON path, a pattern, or a pattern in what is there.

    Of a pattern the first group counts, or all that it matched.
    """

    path: str = ""
    pattern: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRule:
    """What an answer means: accepted if all conditions hold, else its code, else its status."""

    accepted_statuses: tuple[str, ...] = ("2xx",)
    accepted: Finder = field(default_factory=Finder)
    accepted_words: frozenset[str] = frozenset()
    """What `accepted` must find; empty: anything but nothing, false and 0."""
    reference: Finder | None = None
    """None: the gateway gives no id, and the reference is our token."""
    reference_template: Template | None = None
    """Made of `id` and the names of a send, where one id is a whole batch's."""
    code: Finder | None = None
    reason: Finder | None = None
    parts: Finder | None = None
    retry: Finder | None = None
    retry_seconds: float = 1.0
    """Used when neither the answer nor a Retry-After header says how long."""
    codes: Mapping[str, Meaning] = field(default_factory=dict)
    statuses: Mapping[str, Meaning] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRule:
    """Where the gateway's time stands, and in which zone it means it."""

    field: str
    form: str
    """`unix`, `unix-ms`, `iso`, or what strptime reads."""
    zone: ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRule:
    """How callbacks of one kind come."""

    encoding: Encoding
    charset: str
    items: str
    """JSON: the path of the list; "": the whole body is one record or a list of them."""
    requires: tuple[str, ...]
    """Fields by which this kind is known."""
    key: Template | None
    """Equal for repeats of one event; made of the record's fields, and `token`."""
    time: TimeRule | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRule:
    """How the gateway's word about a message comes."""

    record: RecordRule
    token_field: str
    """Where our token stands; "": in the callback address."""
    reference: Template | None
    word: str
    words: Mapping[str, Said]
    """`*`: any other."""
    code: str
    code_pattern: re.Pattern[str] | None
    codes: Mapping[str, ErrorClass]


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundRule:
    """How people's replies come."""

    record: RecordRule
    sender: str
    text: str
    recipient: str
    token_field: str
    text_form: TextForm
    address_suffix: str
    """Goes after the address that the operator gives to the gateway: its own placeholders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRule:
    """How a callback proves where it is from."""

    by: Proof
    header: str = ""
    signing: Signing | None = None
    time_header: str = ""
    """The time that is signed; "": none, and an overheard callback is good for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyRule:
    """What the gateway hears when its callback is on disk."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupRule:
    """How the gateway is asked about a message: it answers with records as in receipts."""

    send: SendRule
    items: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the gateway can do; settings may say otherwise."""

    chars_max: int = 500
    per_second: float = 10.0
    validity_seconds_min: int = 60
    validity_seconds_max: int = 36_000
    links_allowed: bool = True
    countries: frozenset[str] = frozenset("*")
    inbound_countries: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of gateway."""

    name: str
    title: str
    needs: frozenset[str]
    """Which of `user`, `secret` and `sender` must be set."""
    values: Mapping[str, str | None]
    """Further names for templates, with their defaults; None: must be set."""
    country: str
    national_digits: int
    """Numbers of so many digits or fewer are written without the country code."""
    zone: ZoneInfo
    limits: Limits
    send: SendRule
    batch: BatchRule | None
    answer: AnswerRule
    receipts: ReceiptRule | None
    inbound: InboundRule | None
    proof: ProofRule
    reply: ReplyRule
    lookup: LookupRule | None

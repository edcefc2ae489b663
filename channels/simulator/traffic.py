"""What passes through the simulated carrier: accounts, messages and calls, and their events."""

from collections import deque
from dataclasses import dataclass, field

INBOUND_KEPT_MAX = 50_000
"""Replies kept for polling, per account; the oldest go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A customer of the carrier. The first secret signs; all of them open the door."""

    name: str
    secrets: tuple[str, ...] = field(repr=False)
    senders: tuple[str, ...] = ()
    """Numbers the account may send from; empty means any."""
    inbound_callback: str = ""
    """Where replies go; empty means that they wait to be polled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One step in the life of a message or call. `code` says why it failed."""

    sequence: int
    status: str
    at: float
    code: str = ""
    heard: float | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Message:
    """A text message or, when `is_call`, a call."""

    sid: str
    account: "Ledger"
    is_call: bool
    to: str
    sender: str
    text: str
    language: str
    callback: str
    reference: str
    valid_until: float
    parts: int
    accepted_at: float
    nth: int = 0
    """Which message to this number it is; habits are rolled per message."""
    status: str = "queued"
    done: bool = False
    audio: str = ""
    """Where the recording is that is played instead of the text; calls only."""
    answered_at: float = 0.0
    played: bool = False
    events: list[Event] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """Something a person sent to one of our customers."""

    number: int
    at: float
    is_call: bool
    form: tuple[tuple[str, str], ...]


@dataclass(slots=True, kw_only=True, eq=False)
class Ledger:
    """What the carrier remembers of an account: its pace, its lines, its replies."""

    account: Account
    tokens: float = 0.0
    tokens_at: float = 0.0
    free_at: float = 0.0
    """When the network has taken the parts handed over so far."""
    lines_used: int = 0
    waiting: deque[Message] = field(default_factory=deque)
    inbound: deque[Inbound] = field(default_factory=lambda: deque(maxlen=INBOUND_KEPT_MAX))


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A request the carrier does not take."""

    status: int
    code: str
    message: str
    retry_after: float = 0.0

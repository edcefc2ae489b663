"""What can go wrong with a send, as one tree. The caller needs one fact: try again or not.

    ChannelError
    ├── TemporaryFailure   the carrier refused for now; it did not take the message
    │   └── Throttled      … and said how long to wait
    ├── PermanentFailure   it will never take this one (bad number, opted out, refused text)
    ├── Misconfigured      our credentials, sender or set-up are wrong: stop the channel
    └── OutcomeUnknown     sent, no answer: it may have been delivered

Adapters raise these inside; `send` turns them into a `SendOutcome`.
"""

from enum import StrEnum


class ErrorClass(StrEnum):
    """Why a message was not taken or did not arrive, in our words (carriers.md §1.1)."""

    BAD_NUMBER = "bad_number"
    """No such number: stop using it, flag the contact, next number now."""
    NOT_CAPABLE = "not_capable"
    """The line cannot take this channel (a landline and SMS): other channel at once."""
    OPTED_OUT = "opted_out"
    """The person refused messages from this sender: never again on this channel; flag him."""
    UNROUTABLE = "unroutable"
    """This carrier cannot reach it; another might."""
    THROTTLED = "throttled"
    """Too fast: again after a pause."""
    HANDSET_OFF = "handset_off"
    """Switched off or out of coverage: go on now, one later retry."""
    NO_ANSWER = "no_answer"
    """It rang; nobody picked up."""
    BUSY = "busy"
    """Engaged."""
    VOICEMAIL = "voicemail"
    """A machine answered: nobody has heard."""
    FILTERED = "filtered"
    """The text was refused: never the same text again, raise the alarm."""
    EXPIRED = "expired"
    """Its validity ended in the carrier's queue."""
    CONFIG = "config"
    """Our set-up is wrong: stop the channel and tell the officer."""
    DOWN = "down"
    """The carrier did not take the connection: nothing was sent."""
    AMBIGUOUS = "ambiguous"
    """Sent, and no answer came."""
    OTHER = "other"
    """A word we do not know; kept verbatim."""


ADDRESS_IS_DEAD = frozenset({ErrorClass.BAD_NUMBER, ErrorClass.NOT_CAPABLE, ErrorClass.OPTED_OUT})
"""Classes after which this address is useless on this channel."""


class ChannelError(Exception):
    """A send that was not accepted. `code` and `reason` are the carrier's own words."""

    error_class = ErrorClass.OTHER

    def __init__(
        self, reason: str, *, code: str = "", error_class: ErrorClass | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        if error_class is not None:
            self.error_class = error_class


class TemporaryFailure(ChannelError):
    """Not taken, and worth another try: nothing was sent."""

    error_class = ErrorClass.DOWN


class Throttled(TemporaryFailure):
    """Too fast; `retry_after` in seconds, when the carrier said so."""

    error_class = ErrorClass.THROTTLED

    def __init__(self, reason: str, *, code: str = "", retry_after: float = 1.0) -> None:
        super().__init__(reason, code=code)
        self.retry_after = retry_after


class PermanentFailure(ChannelError):
    """This address or this text will never be taken."""


class Misconfigured(ChannelError):
    """Our own credentials, sender or set-up are wrong."""

    error_class = ErrorClass.CONFIG


class OutcomeUnknown(ChannelError):
    """The request was sent and no answer came: it may have been delivered."""

    error_class = ErrorClass.AMBIGUOUS

"""Loads: claimed sends on their way through this process, and what came of them."""

from dataclasses import dataclass
from datetime import datetime

from channels.base import SendOutcome
from warnsvc.service.outgoing import Spoken
from warnsvc.store.attempt import Claimed, Outcome


@dataclass(frozen=True, slots=True)
class Load:
    """One claimed send, with its words and its slot."""

    attempt: Claimed
    spoken: Spoken
    token: str
    slot_at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a load. `outcome` is None when it was no longer ours to send."""

    attempt: Claimed
    outcome: Outcome | None
    carrier: str
    said: SendOutcome | None = None
    """None when the carrier was not asked, or the adapter raised: then it said nothing."""
    echo: bool = False
    """It shared a request with another of which the same was said: of its carrier this tells no
    more than the other does."""

    @property
    def answer(self) -> str:
        """What the callee answered in the same breath."""
        return self.said.answer if self.said is not None else ""

    @classmethod
    def refused(cls, attempt: Claimed, said: SendOutcome, now: datetime) -> "Sent":
        """Refused by ourselves, before any carrier was asked."""
        assert said.error_class is not None
        outcome = Outcome(
            attempt.id,
            attempt.send_count,
            "failed",
            now,
            error_class=said.error_class.value,
            error_text=said.reason,
        )
        return cls(attempt, outcome, "")

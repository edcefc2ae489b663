"""How the simulated carrier behaves: pace, faults, receipts and the crowd, as values.

Every knob can be turned while it runs, through `POST /control` or on the phones page. A chance is
a number from 0 to 1. Nothing here does anything; `carrier.py` reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

SECONDS_MAX = 86_400.0
"""No delay of a simulation is longer than a day."""

SPEED_MAX = 1000.0
"""The crowd may be hurried, not made instant: order still matters."""


class OutageKind(StrEnum):
    """What a request meets while the carrier is out."""

    NONE = "none"
    """The carrier works."""
    UNAVAILABLE = "unavailable"
    """503 to everything."""
    REFUSE = "refuse"
    """No connection is taken; open ones are cut."""
    SILENT = "silent"
    """Connections are taken and nothing is ever answered."""
    STALLED = "stalled"
    """Messages are accepted and stay in the queue until the outage ends or they expire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """All knobs. The defaults are a carrier without faults on a quick network."""

    answer_seconds: float = 0.0
    """Median time until a request is answered."""
    answer_spread: float = 0.0
    sms_seconds: float = 1.5
    """Median time from accepted to sent, and again from sent to delivered."""
    setup_seconds: float = 2.0
    """Median time from dialing to ringing."""
    spread: float = 0.4
    """How far times stray from their median; 0 means never."""
    ring_seconds: float = 45.0
    """How long an unanswered phone rings."""
    parts_per_second: float = 0.0
    """SMS parts per second the network takes from one account; 0 means at once."""
    lines: int = 0
    """Simultaneous calls of one account; 0 means any number."""
    requests_per_second: float = 0.0
    """Above this rate requests get 429; 0 means never."""
    retry_after: float = 1.0
    """What a 429 asks for, in seconds."""

    lose_request: float = 0.0
    """Chance that a request is cut off before it is taken."""
    lose_answer: float = 0.0
    """Chance that a request is taken and its answer is cut off."""
    receipts: bool = True
    """Whether status callbacks are sent at all."""
    lose_receipt: float = 0.0
    """Chance that one receipt is never sent."""
    duplicate_receipt: float = 0.0
    """Chance that one receipt is sent twice."""
    early_receipt: float = 0.0
    """Chance that the first receipts arrive before the request is answered."""
    disorder: float = 0.0
    """Chance that one receipt is held back and so overtaken by the next."""
    disorder_seconds: float = 20.0

    crowd: bool = False
    """Whether people answer by themselves, each by his habit."""
    crowd_share: float = 1.0
    """Share of the handsets that belong to the crowd; the others wait for a hand on the page."""
    crowd_speed: float = 1.0
    """2 means that people take half as long."""
    quiet_words: tuple[str, ...] = ("解除", "无需回复", "不用回复", "no reply needed")
    """A text with one of these asks for nothing, and the crowd lets it be."""

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))


_CHANCES = frozenset(
    {"lose_request", "lose_answer", "lose_receipt", "duplicate_receipt", "early_receipt",
     "disorder", "crowd_share"}
)


def _check(name: str, value: object) -> None:
    if isinstance(value, bool | tuple):
        return
    assert isinstance(value, int | float), name
    upper = 1.0 if name in _CHANCES else SECONDS_MAX
    lower = 1.0 / SPEED_MAX if name == "crowd_speed" else 0.0
    upper = SPEED_MAX if name == "crowd_speed" else upper
    if not lower <= value <= upper:
        raise ValueError(f"{name} must be from {lower:g} to {upper:g}")


def changed(behaviour: Behaviour, changes: Mapping[str, Any]) -> Behaviour:
    """Return the behaviour with some knobs turned. Raises ValueError with a sentence."""
    known = {field.name: getattr(behaviour, field.name) for field in fields(behaviour)}
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"there is no knob {name}")
        values[name] = _same_kind(name, value, known[name])
    return replace(behaviour, **values)


def as_dict(behaviour: Behaviour) -> dict[str, Any]:
    """Return all knobs by name."""
    return {field.name: getattr(behaviour, field.name) for field in fields(behaviour)}


def _same_kind(name: str, value: Any, before: Any) -> Any:
    if isinstance(before, tuple):
        if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
            return tuple(value)
    elif isinstance(before, bool):
        if isinstance(value, bool):
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return type(before)(value)
    raise ValueError(f"{name} must be like {before!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A fault with an end."""

    kind: OutageKind = OutageKind.NONE
    until: float = 0.0

    def at(self, now: float) -> OutageKind:
        """Return what is wrong now."""
        return self.kind if now < self.until else OutageKind.NONE

"""The simulated phones: what is on their screens, and which of them moved last.

Bounded: a phone keeps its newest entries, the shelf its newest phones. It sends nothing itself.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from channels.simulator.habit import Condition, Habit
from channels.simulator.traffic import Message

ENTRIES_KEPT = 30
"""More than anybody scrolls back on a simulated phone."""

HANDSETS_MAX = 200_000
"""Xinjiang has about 100,000 responsible people; twice that fits in a small machine."""


class EntryKind(StrEnum):
    """What one line on a phone is."""

    TEXT = "text"
    """A message that arrived."""
    CALL = "call"
    """A call, missed or taken."""
    REPLY = "reply"
    """A message the person sent."""
    KEY = "key"
    """A key the person pressed in a call."""
    NOTICE = "notice"
    """A webhook that arrived at an endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line on a phone. `status` is the carrier's word for how it ended."""

    kind: EntryKind
    text: str
    at: float
    sender: str = ""
    parts: int = 0
    sid: str = ""
    status: str = ""
    language: str = ""
    audio: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class Handset:
    """One phone, or one webhook endpoint."""

    number: str
    name: str = ""
    place: str = ""
    habit: Habit | None = None
    """Set by hand; None: the one the seed gives."""
    condition: Condition | None = None
    """Set by hand; None: the habit's."""
    call: Message | None = None
    """The call that rings or is being listened to."""
    received_count: int = 0
    last: Message | None = None
    """The newest message or call: replies go back where it came from."""
    touched_at: float = 0.0
    revision: int = 0
    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=ENTRIES_KEPT))

    def matches(self, wanted: str) -> bool:
        """Return whether number, name or place contains what is looked for."""
        return wanted in self.number or wanted in self.name or wanted in self.place


class Shelf:
    """All phones, the one that moved last at the end."""

    def __init__(self) -> None:
        self._active: dict[str, Handset] = {}
        self._idle: dict[str, Handset] = {}

    def __len__(self) -> int:
        return len(self._active) + len(self._idle)

    def find(self, number: str) -> Handset | None:
        """Return a phone if it is on the shelf."""
        return self._active.get(number) or self._idle.get(number)

    def get(self, number: str) -> Handset:
        """Return a phone; takes a new one if need be."""
        found = self.find(number)
        if found is None:
            self._make_room()
            found = self._idle[number] = Handset(number=number)
        return found

    def touch(self, handset: Handset, now: float) -> None:
        """Note that something happened on a phone."""
        handset.touched_at = now
        handset.revision += 1
        self._idle.pop(handset.number, None)
        self._active.pop(handset.number, None)
        self._active[handset.number] = handset

    def newest_first(self) -> Iterator[Handset]:
        """Yield phones on which something happened, the one that moved last first."""
        return reversed(self._active.values())

    def idle(self) -> Iterator[Handset]:
        """Yield phones on which nothing has happened."""
        return iter(self._idle.values())

    @property
    def idle_count(self) -> int:
        """Return on how many phones nothing has happened."""
        return len(self._idle)

    def label(self, number: str, *, name: str, place: str) -> None:
        """Write a name on a phone."""
        handset = self.get(number)
        handset.name, handset.place = name, place
        handset.revision += 1

    def clear(self) -> None:
        """Take all phones away."""
        self._active.clear()
        self._idle.clear()

    def _make_room(self) -> None:
        while len(self) >= HANDSETS_MAX:
            group = self._active or self._idle
            group.pop(next(iter(group)))


def note_status(handset: Handset, sid: str, status: str) -> bool:
    """Write how a message or call stands on its entry. False: the phone does not show it."""
    for place, entry in enumerate(reversed(handset.entries)):
        if entry.sid == sid and entry.kind in (EntryKind.CALL, EntryKind.TEXT):
            handset.entries[len(handset.entries) - 1 - place] = replace(entry, status=status)
            return True
    return False

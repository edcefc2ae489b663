"""What people do with their phones: a few habits, dealt to handsets by the seed.

The shares are ours, not measured: enough of every kind that a county of five hundred shows each
one. The words are those that duty officers really get back (domain.md: 1, １, ١, 收到, and nonsense
that must go to a person). Nothing here knows what the text is about.
"""

from dataclasses import dataclass
from enum import StrEnum

from channels.simulator.dice import Dice


class Condition(StrEnum):
    """The state a handset is in when the network looks for it."""

    ON = "on"
    """Reachable."""
    SWITCHED_OFF = "switched_off"
    """Off, or out of coverage."""
    WRONG_NUMBER = "wrong_number"
    """No such number."""
    LANDLINE = "landline"
    """Takes calls, no messages."""
    VOICEMAIL = "voicemail"
    """A machine takes the calls; messages arrive."""
    BUSY = "busy"
    """Always on the phone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """How one person treats messages and calls. Delays are medians in seconds."""

    name: str
    share: float
    """Weight among the crowd."""
    condition: Condition = Condition.ON
    replies: float = 0.0
    """Chance of answering a message."""
    reply_seconds: float = 60.0
    words: tuple[str, ...] = ("1",)
    picks_up: float = 0.0
    """Chance of taking a call."""
    pick_up_seconds: float = 8.0
    hangs_up_early: bool = False
    keys: str = "1"
    """The key pressed at the end of a call; empty for none."""


HABITS: tuple[Habit, ...] = (
    Habit(name="prompt", share=34, replies=0.97, reply_seconds=40, picks_up=0.95),
    Habit(name="slow", share=14, replies=0.8, reply_seconds=400, picks_up=0.7, pick_up_seconds=15),
    Habit(name="calls_only", share=12, picks_up=0.95),
    Habit(
        name="own_words",
        share=10,
        replies=0.95,
        reply_seconds=70,
        words=("收到", "１", "ok", "知道了", "已收到", "1。", "١", " 1 "),
        picks_up=0.9,
    ),
    Habit(name="refuses", share=5, replies=0.95, words=("2",), picks_up=0.9, keys="2"),
    Habit(
        name="nonsense",
        share=4,
        replies=0.9,
        words=("谁啊", "12", "收到了吗", "？", "打错了吧"),
        picks_up=0.6,
        keys="5",
    ),
    Habit(name="hangs_up", share=5, picks_up=0.95, hangs_up_early=True),
    Habit(name="listens", share=3, picks_up=0.95, keys=""),
    Habit(name="voicemail", share=3, condition=Condition.VOICEMAIL),
    Habit(name="switched_off", share=4, condition=Condition.SWITCHED_OFF),
    Habit(name="wrong_number", share=1, condition=Condition.WRONG_NUMBER),
    Habit(name="busy", share=1, condition=Condition.BUSY),
    Habit(name="silent", share=4),
)
"""The crowd. Names are words of the page and of `POST /control/handsets`."""

BY_NAME = {habit.name: habit for habit in HABITS}

_TOTAL = sum(habit.share for habit in HABITS)


def habit_of(dice: Dice, number: str) -> Habit:
    """Return the habit the seed gave to a number."""
    place = dice.roll("habit", number) * _TOTAL
    for habit in HABITS:
        place -= habit.share
        if place < 0:
            return habit
    return HABITS[-1]


class Ending(StrEnum):
    """Last digits that always mean the same, where a test asked for them (STYLE §27)."""

    DELIVERED = "1"
    """Delivered, and nobody answers."""
    PERMANENT = "2"
    """Refused for good."""
    TEMPORARY = "3"
    """Not now: 429."""
    SILENT = "4"
    """Accepted, and never a receipt."""


def ending_of(number: str) -> Ending | None:
    """Return what a number's last digit asks for."""
    try:
        return Ending(number[-1:])
    except ValueError:
        return None

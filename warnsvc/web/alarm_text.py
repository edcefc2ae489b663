"""What an alarm of the house itself says, in the reader's language.

Its text is stored as words and numbers that belong to no language: `escalation callout`,
`37 180`, `host-a machine +3600`. What does not look like that is shown as it was written.
"""

from collections.abc import Callable
from datetime import timedelta

from warnsvc.localtime import duration
from warnsvc.web.label import CLOCK_OF, LATE_KIND
from warnsvc.words import Translate

_Length = Callable[[str], str]
"""Seconds in words."""


def alarm_text(kind: str, text: str, language: str, words: Translate) -> str:
    """Return what the desk reads beside the alarm's label."""
    say = _SAY.get(kind)
    if say is None:
        return text

    def length(seconds: str) -> str:
        return duration(timedelta(seconds=abs(float(seconds))), language)

    try:
        return say(text.split(" "), length, words)
    except (ValueError, KeyError):
        return text


def _late(parts: list[str], _length: _Length, words: Translate) -> str:
    return words("、").join(words(LATE_KIND[part]) for part in parts)


def _unknown(parts: list[str], length: _Length, words: Translate) -> str:
    count, seconds = parts
    return words("{n} 次，最久的已 {length}", n=int(count), length=length(seconds))


def _clock(parts: list[str], length: _Length, words: Translate) -> str:
    host, whose, seconds = parts
    clock = words(CLOCK_OF[whose])
    if float(seconds) > 0:
        return words("{host}：{clock}快了 {length}", host=host, clock=clock, length=length(seconds))
    return words("{host}：{clock}慢了 {length}", host=host, clock=clock, length=length(seconds))


def _database(parts: list[str], length: _Length, words: Translate) -> str:
    host, seconds = parts
    return words("{host}：断开 {length}", host=host, length=length(seconds))


def _canary(parts: list[str], length: _Length, words: Translate) -> str:
    carrier, seconds = parts
    return words("{carrier}：{length}没有一条试发成功", carrier=carrier, length=length(seconds))


def _opted_out(parts: list[str], _length: _Length, _words: Translate) -> str:
    _id, *name = parts
    return " ".join(name)


_SAY: dict[str, Callable[[list[str], _Length, Translate], str]] = {
    "late": _late,
    "unknown": _unknown,
    "clock": _clock,
    "database": _database,
    "canary": _canary,
    "opted_out": _opted_out,
}

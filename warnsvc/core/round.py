"""A round of calls: which channel and which address come next for one person.

    numbers − dead addresses ──► usable channels ──► the round's channels ──► PlanAttempt
    the latest address turned out dead ──► the next one of that channel, else another channel

Round k is due at `started_at + after_seconds(k)`, and never closer to the round before it than the
rule spaces them, so that a stall is not followed by a volley. It never changes a callout.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from contacts.contact import Number, channels_of
from warnsvc.core.pack import Step, TierRule

ATTEMPTS_PER_CHANNEL_MAX = 12
"""A stop against a loop of failing addresses; three rounds and four numbers need no more."""
FALLBACK_CHANNELS = ("voice", "sms", "webhook")
"""Where to turn when a channel has no address left: what wakes people first."""


class Failure(StrEnum):
    """What a failed attempt says about its address, in the callout's own terms."""

    DEAD = "dead"
    """A wrong address for this channel: the next one now, and somebody must mend it."""
    BLOCKED = "blocked"
    """No carrier takes this for it, which says nothing against the address: the next one now."""
    AWAY = "away"
    """Switched off or out of coverage."""
    MISSED = "missed"
    """Rang, busy, voicemail, expired: try again in the next round."""


USELESS = frozenset({Failure.DEAD, Failure.BLOCKED})
"""After these an address is not tried again on this channel for this bulletin."""


class Tried(NamedTuple):
    """An attempt as the callout sees it. A tuple, because a release makes a hundred thousand."""

    channel: str
    tier: int
    number: int
    address: str
    failure: Failure | None = None
    ended: bool = False
    """Ended without a failure means that it arrived."""


class PlanAttempt(NamedTuple):
    """Send this."""

    channel: str
    tier: int
    number: int
    address: str


def round_due_at(rule: TierRule, started_at: datetime, step: int, now: datetime) -> datetime | None:
    """When the round with this index is due, the round before it being planned `now`."""
    if step >= len(rule.steps):
        return None
    after = rule.steps[step].after_seconds
    spaced = now + timedelta(seconds=after - rule.steps[step - 1].after_seconds)
    return max(started_at + timedelta(seconds=after), spaced)


def usable_addresses(numbers: Sequence[Number], tried: Sequence[Tried]) -> dict[str, list[str]]:
    """Channel → addresses that are not known to be useless on it, best first."""
    dead = {(t.channel, t.address) for t in tried if t.failure in USELESS} if tried else ()
    found: dict[str, list[str]] = {}
    for number in numbers:
        if number.failed:
            continue
        for channel in channels_of(number.kind):
            if (channel, number.address) not in dead:
                found.setdefault(channel, []).append(number.address)
    return found


def round_of(
    tier: int, step: Step, usable: dict[str, list[str]], tried: Sequence[Tried]
) -> tuple[PlanAttempt, ...]:
    """The round's channels that reach him; when none does, any one that does."""
    channels: Iterable[str] = [channel for channel in step.channels if channel in usable]
    return plans(tier, channels or tuple(usable)[:1], usable, tried)


def plans(
    tier: int, channels: Iterable[str], usable: dict[str, list[str]], tried: Sequence[Tried]
) -> tuple[PlanAttempt, ...]:
    if not tried:  # A release plans a hundred thousand of these.
        return tuple([PlanAttempt(channel, tier, 1, usable[channel][0]) for channel in channels])
    planned = [_plan(tier, channel, usable[channel], tried) for channel in channels]
    return tuple([plan for plan in planned if plan is not None])


def _plan(
    tier: int, channel: str, addresses: Sequence[str], tried: Sequence[Tried]
) -> PlanAttempt | None:
    """The next attempt on a channel, turning through his addresses. None at the limit."""
    before = [t for t in tried if t.channel == channel and t.tier == tier]
    if len(before) >= ATTEMPTS_PER_CHANNEL_MAX:
        return None
    alive = sum(1 for t in before if t.failure not in USELESS)
    number = max((t.number for t in before), default=0) + 1
    return PlanAttempt(channel, tier, number, addresses[alive % len(addresses)])


def is_blocked(tried: Sequence[Tried]) -> bool:
    """Whether one of his addresses is useless through no fault of its own: it may be right."""
    return any(t.failure is Failure.BLOCKED for t in tried)


def is_away(address: str, tried: Sequence[Tried]) -> bool:
    """Whether the phone is off: a channel's latest word says so, and none says the opposite.

    A text that was merely taken proves nothing: carriers hold it for hours. A call under way or one
    that rang does, and so does a text that arrived.
    """
    latest = {t.channel: t for t in tried if t.address == address}.values()
    arrived = any(t.ended and t.failure is None for t in latest)
    rang = any(t.channel == "voice" and t.failure in {None, Failure.MISSED} for t in latest)
    return not arrived and not rang and any(t.failure is Failure.AWAY for t in latest)


def instead(tier: int, usable: dict[str, list[str]], tried: Sequence[Tried]) -> list[str]:
    """The channels to use now, because the latest address on one turned out dead.

    The next address of the same channel; when there is none, another channel, unless something else
    was sent since or is under way.
    """
    latest = {t.channel: (place, t) for place, t in enumerate(tried) if t.tier == tier}
    wanted: dict[str, None] = {}
    for place, last in latest.values():
        if last.failure not in USELESS:
            continue
        if last.channel in usable:
            wanted[last.channel] = None
        elif place == len(tried) - 1 and all(t.ended for t in tried):
            wanted[next(channel for channel in FALLBACK_CHANNELS if channel in usable)] = None
    return list(wanted)

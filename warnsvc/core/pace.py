"""How fast may we send: token buckets in time, a carrier's patience, and politeness to a callee.

A bucket is one instant, `next_at`: when the next unit (an SMS part, a call, a request) may start.
Taking units moves it on by their time at the bucket's pace; nothing is saved up while it is idle,
so no second ever holds more than its share. Two workers that take from one bucket share one pace.

    throttled ──► half the pace, and a pause ──► calm ──► a tenth more every few seconds ──► full

No clock, no database, no network.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

AHEAD_SECONDS = 0.5
"""How far ahead slots are given out: enough to keep a worker busy between two claims, and little
that has to be looked up when it dies."""
FACTOR_MIN = 0.05
"""A carrier that always says "too fast" is still asked once in twenty."""
BACK_OFF = 0.5
BACK_OFF_SECONDS = 1.0
"""A burst of refusals that were under way together halves the pace once."""
CALM_SECONDS = 5.0
"""Without a refusal for so long, we dare more again."""
RAMP_PER_SECOND = 0.02
"""From the lowest pace to the full one in under a minute: a window is five."""
UNITS_MAX = 5_000
"""More than any claim takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A shared pace. `per_second` is the full one; `factor` what we dare of it."""

    name: str
    per_second: float
    next_at: datetime
    factor: float = 1.0
    throttled_at: datetime | None = None

    def rate(self, now: datetime) -> float:
        """Units per second that we dare now."""
        return self.per_second * self.factor_at(now)

    def factor_at(self, now: datetime) -> float:
        """The share of the full pace, after so long without a refusal."""
        if self.throttled_at is None or self.factor >= 1.0:
            return 1.0
        calm = (now - self.throttled_at).total_seconds() - CALM_SECONDS
        return min(1.0, self.factor + max(0.0, calm) * RAMP_PER_SECOND)


def open_units(buckets: Iterable[Bucket], now: datetime) -> int:
    """Return how many units may be given slots now; 0: come again when `opens_at` says."""
    return min((_open_of(bucket, now) for bucket in buckets), default=UNITS_MAX)


def _open_of(bucket: Bucket, now: datetime) -> int:
    begins = max(bucket.next_at, now)
    seconds = (now - begins).total_seconds() + AHEAD_SECONDS
    if seconds < 0.0:
        return 0
    return min(UNITS_MAX, int(seconds * bucket.rate(now)) + 1)


def opens_at(buckets: Iterable[Bucket], now: datetime) -> datetime:
    """Return when units may be given slots again."""
    ahead = timedelta(seconds=AHEAD_SECONDS)
    return max((bucket.next_at - ahead for bucket in buckets), default=now)


def take(
    buckets: Sequence[Bucket], units: Sequence[int], now: datetime
) -> tuple[list[datetime], list[Bucket]]:
    """Return when each send may start, and the buckets afterwards.

    `units` are what the sends weigh. With several buckets each start suits the slowest.
    """
    if not buckets or not units:
        return [now] * len(units), list(buckets)
    slowest = min(bucket.rate(now) for bucket in buckets)
    begins = max(now, *(bucket.next_at for bucket in buckets))
    slots, used = [], 0
    for weight in units:
        slots.append(begins + timedelta(seconds=used / slowest))
        used += weight
    last = slots[-1]
    return slots, [
        replace(bucket, next_at=last + timedelta(seconds=units[-1] / bucket.rate(now)))
        for bucket in buckets
    ]


def throttled(bucket: Bucket, now: datetime, retry_after: float) -> Bucket:
    """Return the bucket after the carrier said: too fast."""
    paused = max(bucket.next_at, now + timedelta(seconds=retry_after))
    lately = bucket.throttled_at is not None and (
        (now - bucket.throttled_at).total_seconds() < BACK_OFF_SECONDS
    )
    if lately:
        return replace(bucket, next_at=paused)
    factor = max(FACTOR_MIN, bucket.factor_at(now) * BACK_OFF)
    return replace(bucket, next_at=paused, factor=factor, throttled_at=now)


# Politeness ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CalleeLimit:
    """At most `count` sends to one address in any `seconds`.

    A `hard` one is the carrier's: it would refuse. The others are courtesy, which a red warning
    may pass.
    """

    count: int
    seconds: int
    hard: bool = False


def callee_due(
    starts: Sequence[datetime], limits: Iterable[CalleeLimit], now: datetime, *, urgent: bool
) -> datetime:
    """Return when an address that was sent to at these instants may be sent to again."""
    latest_first = sorted(starts, reverse=True)
    due = now
    for limit in limits:
        if (urgent and not limit.hard) or len(latest_first) < limit.count:
            continue
        due = max(due, latest_first[limit.count - 1] + timedelta(seconds=limit.seconds))
    return due

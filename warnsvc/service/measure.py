"""What the services count while they work, for /metrics.

One `Measures` a process, made with its Context. It is read when somebody asks; nothing is decided
by it and nothing of it is stored.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import Histogram

LATENESS_BOUNDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds. The goals are half a second for 99 of 100 and two for all; beyond ten somebody died."""


def _lateness() -> Histogram:
    return Histogram(
        "warnsvc_lateness_seconds",
        "How long after its instant a window was closed",
        buckets=LATENESS_BOUNDS,
        registry=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The histograms of one process, and what it counts."""

    lateness: Histogram = field(default_factory=_lateness)
    callbacks_refused: Counter[str] = field(default_factory=Counter)
    """By carrier."""

    def windows_closed(self, deadlines: Iterable[datetime], *, now: datetime) -> None:
        """Note that these windows were dealt with now, and it is committed."""
        for deadline_at in deadlines:
            self.lateness.observe((now - deadline_at).total_seconds())

"""What time it is: the one place that asks the machine.

Everything else is handed `now`, or a `Clock`; tests hand in `tests.fakes.clock.ManualClock`, so the
whole engine can run on virtual time. It never returns a naive or a local time.
"""

import asyncio
from datetime import UTC, datetime
from typing import Protocol

SLEEP_SECONDS_MAX = 30.0
"""The longest single nap. The wall clock may be set while we sleep; it is read again after each."""


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...

    async def sleep_until(self, instant: datetime) -> None:
        """Return once `now()` has reached `instant`; at once when it already has."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, instant: datetime) -> None:
        # ruff would have an Event, but nobody sets one when the time has come.
        while (seconds := (instant - self.now()).total_seconds()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(seconds, SLEEP_SECONDS_MAX))

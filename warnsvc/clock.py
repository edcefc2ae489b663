"""What time it is: the one place that asks the machine.

Everything else is handed `now`, or a `Clock`; tests hand in `tests.fakes.clock.ManualClock`, so the
whole engine can run on virtual time. It never returns a naive or a local time, and `now()` never
goes backwards.

    machine's wall clock ─┐ compared with every call            small: followed slowly
                          ├─► how far is our time from it? ──►  more than 2 s: held, and a trouble
    database's clock ─────┘ measured by `service.timekeeper`

Deadlines are stored instants (law 5). A wall clock that is set forward by an hour would close every
window at once, and one that is set back would leave villages waiting. So our time is an anchor and
the time that has passed since, by a clock that nobody can set. Windows that are open keep their
length whatever is done to the machine's clock. What the clock should have said is for a human: the
desk gets an alarm (kind `clock`); a restart takes the new time over, never an earlier one than the
database has seen.

With PostgreSQL, workers on several machines must agree on what is due. There the database's clock
is the one that is followed, and the machine's own is only compared with it.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

SLEEP_SECONDS_MAX = 30.0
"""The longest single nap: time may be slewed while we sleep; it is read again after each."""
STEP_SECONDS_MAX = 2.0
"""A difference up to this is followed, a larger one is held: NTP steps what it cannot slew, and a
window that is two seconds longer or shorter harms nobody."""
SLEW_EVERY_SECONDS = 0.01
"""The other clocks are looked at so often; every send asks what time it is."""
SLEW_SHARE = 0.01
"""How much faster or slower than real our time may run while it follows: two seconds in 200."""


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...

    async def sleep_until(self, instant: datetime) -> None:
        """Return once `now()` has reached `instant`; at once when it already has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockTrouble:
    """Whose clock disagrees with our time, and by how much: positive is ahead of us."""

    whose: str
    """`machine` or `database`."""
    seconds: float


@runtime_checkable
class WatchedClock(Clock, Protocol):
    """A clock that knows when the machine's clock, or the database's, cannot be right."""

    @property
    def differences(self) -> tuple[ClockTrouble, ...]:
        """How the clocks that we know of differ from our time."""
        ...

    @property
    def troubles(self) -> tuple[ClockTrouble, ...]:
        """The differences that are too large to be followed."""
        ...

    def follow(self, at: datetime) -> None:
        """Take a measurement of the clock that all workers share."""
        ...

    def start_at(self, at: datetime) -> None:
        """Take the shared clock's time at once: only before anybody has asked for ours."""
        ...

    def never_before(self, instant: datetime) -> None:
        """Start no earlier than this instant, which the database has already seen."""
        ...


def monotonic() -> float:
    """Return seconds that only ever grow, those included in which the machine was suspended."""
    return time.clock_gettime(_MONOTONIC)


_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A laptop that slept for ten minutes must find ten minutes gone; CLOCK_MONOTONIC would not."""


class SystemClock:
    """The machine's clock, kept steady. `wall` and `steady` return seconds; tests bring theirs."""

    def __init__(
        self, *, wall: Callable[[], float] = time.time, steady: Callable[[], float] = monotonic
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()
        """Our time is the steady clock plus this."""
        self._moved_at = steady()
        self._target: float | None = None
        """The shared clock's offset; None: the machine's own is followed."""
        self._floored = False
        self._last = 0.0

    def now(self) -> datetime:
        steady = self._steady()
        if steady - self._moved_at >= SLEW_EVERY_SECONDS:
            self._slew(steady)
        self._last = max(self._last, steady + self._offset)
        return datetime.fromtimestamp(self._last, UTC)

    async def sleep_until(self, instant: datetime) -> None:
        # ruff would have an Event, but nobody sets one when the time has come.
        while (seconds := (instant - self.now()).total_seconds()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(seconds, SLEEP_SECONDS_MAX))

    @property
    def differences(self) -> tuple[ClockTrouble, ...]:
        found = [ClockTrouble(whose="machine", seconds=self._machine_offset() - self._offset)]
        if self._target is not None:
            ahead = self._target - self._offset
            found.append(ClockTrouble(whose="database", seconds=ahead))
        return tuple(found)

    @property
    def troubles(self) -> tuple[ClockTrouble, ...]:
        return tuple(each for each in self.differences if abs(each.seconds) > STEP_SECONDS_MAX)

    def follow(self, at: datetime) -> None:
        self._target = at.timestamp() - self._steady()

    def start_at(self, at: datetime) -> None:
        self.follow(at)
        assert self._target is not None
        self._offset, self._last = self._target, 0.0

    def never_before(self, instant: datetime) -> None:
        behind = instant.timestamp() - (self._steady() + self._offset)
        if behind > 0:
            self._offset += behind
            self._floored = behind > STEP_SECONDS_MAX

    def _machine_offset(self) -> float:
        return self._wall() - self._steady()

    def _slew(self, steady: float) -> None:
        """Follow what is near, slowly; hold against what is far."""
        most = (steady - self._moved_at) * SLEW_SHARE
        self._moved_at = steady
        target = self._machine_offset() if self._target is None else self._target
        ahead = target - self._offset
        if abs(ahead) <= STEP_SECONDS_MAX:
            self._floored = False
            self._offset += max(-most, min(ahead, most))
        elif self._floored and ahead > 0:
            # We know that the clock was behind when we started; now somebody has set it right.
            self._offset = target
            self._floored = False

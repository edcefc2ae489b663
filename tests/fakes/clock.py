"""A clock that stands still until a test moves it: no test waits, and none is hurried.

    clock = ManualClock()
    await clock.advance(minutes=10)

Sleepers wake in the order of their instants, and each sees exactly its instant as `now()`.
"""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

START = datetime(2026, 7, 5, 6, 30, tzinfo=UTC)
"""14:30 in Beijing on a summer afternoon, when the cloudbursts come."""

SETTLE_ROUNDS = 20
"""Turns of the event loop that a woken task gets to run before time moves on."""


class ManualClock:
    """Implements `warnsvc.clock.Clock`."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, instant: datetime) -> None:
        if instant <= self._now:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (instant, next(self._order), future))
        await future

    async def advance(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move on by a length of time, waking every sleeper on the way."""
        await self.advance_to(self._now + timedelta(hours=hours, minutes=minutes, seconds=seconds))

    async def advance_to(self, instant: datetime) -> None:
        """Move on to an instant, waking every sleeper on the way."""
        assert instant >= self._now, "time does not run backwards"
        await _settle()  # whoever is about to lie down may be due on the way
        while self._sleepers and self._sleepers[0][0] <= instant:
            due, _, future = heapq.heappop(self._sleepers)
            if not future.done():  # a cancelled sleeper needs no waking
                self._now = max(self._now, due)
                future.set_result(None)
                await _settle()
        self._now = instant
        await _settle()

    def move(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
        """Set the time on without waking anybody: for tests that step the engine by hand."""
        self._now += timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return self._now


async def _settle() -> None:
    for _ in range(SETTLE_ROUNDS):
        await asyncio.sleep(0)

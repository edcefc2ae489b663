"""What happens when at the simulated carrier: a heap of due actions and who pumps it.

    RealTimeline    one timer of the event loop, armed for the next due action
    ManualTimeline  a test says `advance(seconds)`; every action in between runs, in order, with
                    the clock standing at its own instant

Nothing in the simulator sleeps in any other way. An action is a plain call; when it returns an
awaitable (a callback to be posted), the real timeline lets it run beside the others and the manual
one waits for it, so that a test sees its consequences.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import structlog

log = structlog.get_logger(__name__)

Action = Callable[[], Coroutine[Any, Any, None] | None]

ACTIONS_PER_PUMP_MAX = 200
"""After so many actions the event loop gets its turn, so that requests are still answered."""


class Timeline:
    """Due actions in order; equal instants run in the order they were asked for."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action]] = []
        self._count = 0
        self._sleepers: set[asyncio.Future[None]] = set()

    def now(self) -> float:
        """Return seconds since 1970."""
        raise NotImplementedError

    def now_at(self) -> datetime:
        """Return the instant as an aware UTC datetime."""
        return datetime.fromtimestamp(self.now(), UTC)

    def at(self, due: float, action: Action) -> None:
        """Run an action at an instant; at once when it has passed."""
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, action))

    def after(self, seconds: float, action: Action) -> None:
        """Run an action in `seconds`."""
        self.at(self.now() + seconds, action)

    def next_due(self) -> float | None:
        """Return when the next action is due."""
        return self._heap[0][0] if self._heap else None

    async def sleep(self, seconds: float) -> None:
        """Wait on this timeline."""
        if seconds <= 0.0:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.add(woken)
        self.after(seconds, lambda: None if woken.done() else woken.set_result(None))
        try:
            await woken
        finally:
            self._sleepers.discard(woken)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work run beside everything else. Only the real timeline can."""
        raise NotImplementedError

    async def close(self) -> None:
        """Forget what was due; whoever sleeps is cancelled."""
        self._heap.clear()
        for sleeper in self._sleepers:
            sleeper.cancel()


class RealTimeline(Timeline):
    """The machine's time, pumped by one timer of the running loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        return self._clock()

    def at(self, due: float, action: Action) -> None:
        super().at(due, action)
        if due < self._armed_for:
            self._arm()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def close(self) -> None:
        await super().close()
        self._disarm()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _arm(self) -> None:
        self._disarm()
        if not self._heap:
            return
        self._armed_for = self._heap[0][0]
        delay = max(0.0, self._armed_for - self.now())
        self._timer = asyncio.get_running_loop().call_later(delay, self._pump)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._armed_for = None, float("inf")

    def _pump(self) -> None:
        now = self.now()
        self._armed_for = float("-inf")  # `at` need not arm while the pump runs.
        for _ in range(ACTIONS_PER_PUMP_MAX):
            if not self._heap or self._heap[0][0] > now:
                break
            self._run(heapq.heappop(self._heap)[2])
        self._arm()

    def _run(self, action: Action) -> None:
        try:
            work = action()
        except Exception:
            # One broken action must not stop every other phone from ringing.
            log.exception("simulated action failed")
            return
        if work is not None:
            self.spawn(work)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("simulated work failed", exc_info=task.exception())


class ManualTimeline(Timeline):
    """Virtual time that stands still until a test moves it.

    `moved` is called with every instant the time passes through, so that a test's own clock can
    follow.
    """

    def __init__(
        self, start: datetime, moved: Callable[[datetime], None] | None = None
    ) -> None:
        super().__init__()
        self._now = start.timestamp()
        self._moved = moved

    def now(self) -> float:
        return self._now

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.at(self._now, lambda: work)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, running whatever falls due on the way."""
        await self.run_until(datetime.fromtimestamp(self._now + seconds, UTC))

    async def run_until(self, instant: datetime) -> None:
        """Let time pass until an instant; an action due exactly then runs too."""
        target = instant.timestamp()
        while self._heap and self._heap[0][0] <= target:
            due, _, action = heapq.heappop(self._heap)
            self._move(max(self._now, due))
            work = action()
            if work is not None:
                await work
        self._move(max(self._now, target))

    def _move(self, to: float) -> None:
        if to != self._now:
            self._now = to
            if self._moved is not None:
                self._moved(self.now_at())

"""An event loop on virtual time: a day of the simulated county passes in milliseconds.

    loop = VirtualLoop(seed=7)
    loop.run(story(loop.clock))           a fresh loop for each run; the same seed, the same order

    ready steps ──► run, in seeded order ──► nothing ready? ──► jump to the next timer
                                                  └── no timer either ──► Deadlock

Only the steps of tasks change places: callbacks of transports and futures keep theirs, because
asyncio relies on their order. Steps that are ready together are first put into the order in which
their tasks were made, then shuffled, so that neither addresses in memory nor PYTHONHASHSEED count.

While something real is under way (`outside`: a statement on its way to a database) time stands
still and only those whose work it is take steps; all others are held back until it is over, so that
it does not matter how long it took. Only then the loop really waits. It never starts a thread.
"""

# asyncio keeps its queue, its timers and its selector under private names, and nothing else says
# when nothing is ready; `test_loop.py` notices should a new Python call them otherwise.
# mypy: disable-error-code="attr-defined, has-type, override"

import asyncio
import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")

START = datetime(2026, 7, 5, 6, 30, tzinfo=UTC)
"""14:30 in Beijing on a summer afternoon, as in `tests.fakes.clock`."""
ROUNDS_PER_INSTANT_MAX = 50_000
"""Rounds of the loop in one instant; the release of a small county takes a few hundred."""
ROUNDS_NAMED = 200
"""How many of the last rounds are looked at to say who keeps the loop busy."""
OUTSIDE_SECONDS_MAX = 20.0
"""How long, in real seconds, nothing may come from outside before we give the run up."""
SILENCE_SECONDS = 0.002
"""How long, in real seconds, an answer from outside may take before `on_silence` is asked."""
END_SECONDS_MAX = 2.0
"""How long, in real seconds, connections may take to end when the run is over."""
_MICROSECONDS = 1_000_000


class Deadlock(Exception):
    """Nothing can ever happen again. Says which tasks wait, and where."""


class Livelock(Exception):
    """Steps follow steps and time stands still. Says whose steps."""


class OutsideStuck(Exception):
    """A database or another process did not answer in real time."""


class VirtualClock:
    """The loop's time as the service sees it; implements `warnsvc.clock.Clock`."""

    def __init__(self, loop: "VirtualLoop", start: datetime) -> None:
        self._loop = loop
        self.start = start

    def now(self) -> datetime:
        return self.start + timedelta(microseconds=self._loop.microseconds)

    async def sleep_until(self, instant: datetime) -> None:
        while (left := (instant - self.now()).total_seconds()) > 0:
            await asyncio.sleep(left)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps instead of sleeping, and shuffles what is ready together."""

    def __init__(self, seed: int = 0, *, start: datetime = START) -> None:
        super().__init__()
        self._clock_resolution = 0.5 / _MICROSECONDS
        self.microseconds = 0
        """Since the start."""
        self.rounds = 0
        """Rounds so far: with `microseconds`, a place in the run."""
        self.clock = VirtualClock(self, start)
        self.before_jump: Callable[[], None] | None = None
        """Called when nothing is ready and time is about to move. May make something ready."""
        self._random = random.Random(seed)
        self._serial = 0
        self.on_silence: Callable[[], None] | None = None
        """Called when work outside has not answered for a while of real time."""
        self._outside: dict[asyncio.Task[Any], None] = {}
        self._held: list[asyncio.Handle] = []
        self._silence = 0.0
        self._ending = False
        self._rounds_here = 0
        self._last_steps: list[list[str]] = []

    def time(self) -> float:
        return self.microseconds / _MICROSECONDS

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run it to its end; cancel the rest, and close. Raises Deadlock, Livelock."""
        try:
            task: asyncio.Task[T] = self.create_task(main, name="main")
            return self.run_until_complete(task)
        finally:
            try:
                self._end()
            finally:
                self.close()

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        """Make a task with a number of its own: names do not depend on other loops."""
        self._serial += 1
        task = asyncio.Task(coro, loop=self, name=name or f"task-{self._serial}", context=context)
        task.serial = self._serial
        return task

    def run_in_executor(self, *_: Any, **__: Any) -> Any:
        """Refuse: a thread's time is real, and its order is nobody's."""
        raise RuntimeError("no threads on virtual time")

    @contextmanager
    def outside(self, *tasks: "asyncio.Task[Any]") -> Iterator[None]:
        """Hold time, and everybody but these tasks (without any: this one), in the block."""
        mine = tasks or (self.this_task(),)
        self.enter_outside(*mine)
        try:
            yield
        finally:
            self.leave_outside(*mine)

    def enter_outside(self, *tasks: "asyncio.Task[Any]") -> None:
        """Hold time and everybody else until these leave."""
        self._outside.update(dict.fromkeys(tasks))
        held, self._held = self._held, []
        for handle in held:
            (self._ready if _task_of(handle) in tasks else self._held).append(handle)

    def leave_outside(self, *tasks: "asyncio.Task[Any]") -> None:
        """They are done outside; with the last, everybody goes on."""
        for task in tasks:
            self._outside.pop(task, None)

    def this_task(self) -> "asyncio.Task[Any]":
        """Return the task that asks."""
        task = asyncio.current_task(self)
        assert task is not None, "asked from outside a task"
        return task

    # One round -------------------------------------------------------------------------------

    def _run_once(self) -> None:
        if self._held and not self._outside:
            self._ready.extendleft(reversed(self._held))
            self._held.clear()
        self._drop_cancelled_timers()
        self._let_happen()
        if not self._outside:
            self._ready_due_timers()
        batch = list(self._ready)
        batch = self._hold_others(batch) if self._outside else self._in_seeded_order(batch)
        self._guard(batch)
        self._ready.clear()
        for place, handle in enumerate(batch):
            if handle._cancelled:
                continue
            try:
                handle._run()
            except BaseException:  # What was ready stays so, for whoever cleans up.
                self._ready.extendleft(reversed(batch[place + 1 :]))
                raise
        del batch

    def _let_happen(self) -> None:
        """See to it that something is ready: what has come, or what time brings."""
        if len(self._selector.get_map()) > 1:  # More than the loop's own.
            self._process_events(self._selector.select(0))
        if self._ready or self._stopping:
            self._silence = 0.0
        elif self._outside:
            self._wait_outside()
        else:
            self._let_time_pass()

    def _wait_outside(self) -> None:
        events = self._selector.select(SILENCE_SECONDS)
        self._process_events(events)
        self._silence = 0.0 if events else self._silence + SILENCE_SECONDS
        if self._silence > OUTSIDE_SECONDS_MAX:
            raise OutsideStuck(f"no answer in {OUTSIDE_SECONDS_MAX} s:\n{_waiting(self._outside)}")
        if not events and self.on_silence is not None:
            self.on_silence()

    def _let_time_pass(self) -> None:
        if self.before_jump is not None:
            self.before_jump()
            self._drop_cancelled_timers()
        if self._ready:
            return
        if self._ending and len(self._selector.get_map()) > 1:
            self._process_events(self._selector.select(END_SECONDS_MAX))
        if self._ready:
            return
        if not self._scheduled:
            raise Deadlock(f"nothing can happen any more:\n{_waiting(self._tasks())}")
        self._jump(self._scheduled[0]._when)

    def _hold_others(self, batch: list[asyncio.Handle]) -> list[asyncio.Handle]:
        """Return what may run while somebody is outside; keep the steps of all others."""
        mine: list[asyncio.Handle] = []
        for handle in batch:
            task = _task_of(handle)
            (mine if task is None or task in self._outside else self._held).append(handle)
        return mine

    def _jump(self, when: float) -> None:
        # A timer's instant is a float; ours is the first whole microsecond that reaches it.
        reached = math.ceil(round(when * _MICROSECONDS, 3))
        if reached > self.microseconds:
            self.microseconds = reached
            self._rounds_here = 0

    def _drop_cancelled_timers(self) -> None:
        while self._scheduled and self._scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(self._scheduled)._scheduled = False

    def _ready_due_timers(self) -> None:
        due = self.time() + self._clock_resolution
        while self._scheduled and self._scheduled[0]._when < due:
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False
            self._ready.append(timer)

    def _in_seeded_order(self, batch: list[asyncio.Handle]) -> list[asyncio.Handle]:
        places = [at for at, handle in enumerate(batch) if _task_of(handle) is not None]
        if len(places) < 2:
            return batch
        steps = sorted((batch[at] for at in places), key=_serial_of)
        self._random.shuffle(steps)
        for at, handle in zip(places, steps, strict=True):
            batch[at] = handle
        return batch

    def _guard(self, batch: list[asyncio.Handle]) -> None:
        if self._outside:  # How many rounds that takes depends on the machine.
            return
        self.rounds += 1
        self._rounds_here += 1
        if self._rounds_here <= ROUNDS_PER_INSTANT_MAX - ROUNDS_NAMED:
            return
        steps = (task for handle in batch if (task := _task_of(handle)) is not None)
        self._last_steps.append([task.get_name() for task in steps])
        if self._rounds_here > ROUNDS_PER_INSTANT_MAX:
            busy = Counter(name for names in self._last_steps[-ROUNDS_NAMED:] for name in names)
            self._rounds_here, self._last_steps = 0, []
            raise Livelock(f"time stands still at {self.clock.now()}: {busy.most_common(5)}")

    # The end ---------------------------------------------------------------------------------

    def _tasks(self) -> list["asyncio.Task[Any]"]:
        """Whoever is not done, oldest first."""
        return sorted(asyncio.all_tasks(self), key=lambda task: int(task.serial))

    def _end(self) -> None:
        self.before_jump = None
        self._outside.clear()
        self._ending = True
        left = self._tasks()
        for task in left:
            task.cancel()
        if left:
            self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.run_until_complete(self.shutdown_asyncgens())


def _task_of(handle: asyncio.Handle) -> "asyncio.Task[Any] | None":
    """Return the task whose step this is."""
    owner = getattr(handle._callback, "__self__", None)
    return owner if isinstance(owner, asyncio.Task) else None


def _serial_of(handle: asyncio.Handle) -> int:
    return int(_task_of(handle).serial)  # type: ignore[union-attr]


def _waiting(tasks: Iterable["asyncio.Task[Any]"]) -> str:
    """Name tasks and the lines they wait in."""
    lines = []
    for task in tasks:
        frames = task.get_stack(limit=1)
        where = f"{frames[0].f_code.co_filename}:{frames[0].f_lineno}" if frames else "its end"
        lines.append(f"  {task.get_name()} waits in {where}")
    return "\n".join(lines) or "  no task at all"

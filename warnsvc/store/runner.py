"""Where blocking SQLite calls run: in a thread of their own, or in place.

A runner executes one call after another, in the order in which they were handed over. It never
knows what a call does, and it never gives up on one: a call that was handed over runs to its end,
even when the task that waits for it is cancelled. The SQLite store relies on that, so that a
cancelled unit of work can be rolled back and a commit is never half noticed.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

_Call = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Runner(Protocol):
    """Executes blocking calls one at a time, in order."""

    def post(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        """Hand over a call. Its place in the order is fixed when this returns."""
        ...

    async def run(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, or raise what it raises."""
        ...

    def close(self) -> None:
        """Finish what was handed over and let go of the thread, if there is one."""
        ...


class ThreadRunner:
    """One thread that owns what its calls touch."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def post(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._calls.put((call, loop, future))
        return future

    async def run(self, call: Callable[[], T]) -> T:
        return await to_the_end(self.post(call))

    def close(self) -> None:
        self._calls.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            call, loop, future = item
            try:
                answer = (future.set_result, call())
            except BaseException as error:  # handed to whoever waits, whatever it is
                answer = (future.set_exception, error)
            _tell(loop, *answer)
            # Nothing of a call is kept while the thread waits for the next one.
            del item, call, loop, future, answer


class InlineRunner:
    """Runs each call in place; a simulation on virtual time has no thread to wait for."""

    def __init__(self, name: str) -> None:
        self.name = name

    def post(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)
        return future

    async def run(self, call: Callable[[], T]) -> T:
        answer = await self.post(call)
        # After the call, so that a cancelled task cannot skip a rollback that it asked for.
        await asyncio.sleep(0)
        return answer

    def close(self) -> None:
        """Nothing is held."""


async def to_the_end(work: "Coroutine[Any, Any, T] | asyncio.Future[T]") -> T:
    """Await `work`; a task that is cancelled meanwhile hears of it when the work is done."""
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await _until_done(future)
        raise


async def _until_done(future: "asyncio.Future[Any]") -> None:
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue  # The first cancellation is raised again by the caller.
    if not future.cancelled():
        future.exception()  # Marked as seen: the cancellation is what the caller hears.


def _tell(loop: asyncio.AbstractEventLoop, act: Callable[[Any], None], answer: object) -> None:
    try:
        loop.call_soon_threadsafe(act, answer)
    except RuntimeError:
        # The loop is closed: the process is going away and nobody waits for this answer.
        return

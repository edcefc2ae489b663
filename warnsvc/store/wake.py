"""Waking listeners inside one process: the hub that both stores use.

A wake says "there may be work about this topic". It carries nothing and may be joined with others
or lost with the process; whoever listens looks into the database. It is never the only clock.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager


class Hub:
    """Passes topics to the listeners of this process. Used from the event loop only."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def wake(self, *topics: str) -> None:
        """Tell every listener; returns at once."""
        for listener in self._listeners:
            listener.put(topics)

    @contextmanager
    def listen(self) -> Iterator[AsyncIterator[str]]:
        """Yield an iterator over what is woken from now on."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)


class Listener:
    """Topics that wait to be heard; one that already waits is not kept twice."""

    def __init__(self) -> None:
        self._topics: dict[str, None] = {}
        self._some = asyncio.Event()

    def put(self, topics: tuple[str, ...]) -> None:
        """Keep these topics until they are heard."""
        self._topics.update(dict.fromkeys(topics))
        if self._topics:
            self._some.set()

    def __aiter__(self) -> "Listener":
        return self

    async def __anext__(self) -> str:
        await self._some.wait()
        topic = next(iter(self._topics))
        del self._topics[topic]
        if not self._topics:
            self._some.clear()
        return topic

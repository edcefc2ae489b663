"""Turns: one holder at a time, first come first served.

Like `asyncio.Lock`, and it can say whether anybody waits: the writer commits when nobody does.
"""

import asyncio
from collections import deque


class Turns:
    """Whose turn it is. Used from one event loop only."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits who has not been cancelled."""
        return any(not future.done() for future in self._waiting)

    def ask(self) -> "asyncio.Future[None]":
        """Return a future that is done when the turn has come; perhaps it is already."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._taken:
            self._waiting.append(future)
        else:
            self._taken = True
            future.set_result(None)
        return future

    def had(self, future: "asyncio.Future[None]") -> bool:
        """Forget who was cancelled while it waited. True: the turn had come and must go on."""
        if future in self._waiting:
            self._waiting.remove(future)
        return future.done() and not future.cancelled()

    def pass_on(self) -> None:
        """Give the turn to who has waited longest, if anybody has."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return
        self._taken = False

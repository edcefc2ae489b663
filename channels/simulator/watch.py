"""Tells the pages that something moved, without saying what: they ask for what they show."""

import asyncio


class Watch:
    """A version that rises, and whoever waits for it."""

    def __init__(self) -> None:
        self.version = 0
        self.closed = False
        self._waiting: set[asyncio.Event] = set()

    def bump(self) -> None:
        """Something moved."""
        self.version += 1
        for event in self._waiting:
            event.set()

    def close(self) -> None:
        """Let everybody go who waits."""
        self.closed = True
        self.bump()

    async def newer_than(self, version: int) -> int:
        """Return the version once it is newer than the one already seen."""
        if self.version > version:
            return self.version
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            await event.wait()
        finally:
            self._waiting.discard(event)
        return self.version

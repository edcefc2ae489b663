"""The reading connections, and the views that borrow them.

Each has a thread of its own, cannot write, and shows one snapshot of what is committed for as long
as a view lasts.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from warnsvc.store.port import StoreFault
from warnsvc.store.runner import Runner

T = TypeVar("T")


class Reader:
    """One connection that reads."""

    def __init__(self, connection: sqlite3.Connection, runner: Runner) -> None:
        self.connection = connection
        self._runner = runner

    async def run(self, call: Callable[[], T]) -> T:
        """Run one call; the first one of a view begins the snapshot."""
        return await self._runner.run(lambda: self._in_snapshot(call))

    async def end(self) -> None:
        """End the snapshot: as long as one is open, the WAL cannot start over."""
        await self._runner.run(self._roll_back)

    async def close(self) -> None:
        """Let go of the connection and the thread."""
        await self._runner.run(self.connection.close)
        self._runner.close()

    def _in_snapshot(self, call: Callable[[], T]) -> T:
        if not self.connection.in_transaction:
            self.connection.execute("BEGIN")
        return call()

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")


class Readers:
    """The connections that views borrow, one view at a time each."""

    def __init__(self, readers: list[Reader]) -> None:
        self._readers = readers
        self._free: asyncio.Queue[Reader] = asyncio.Queue()
        for reader in readers:
            self._free.put_nowait(reader)
        self._closed = False

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator[Reader]:
        """Wait for a connection that is free."""
        reader = await self._free.get()
        try:
            if self._closed:
                raise StoreFault("the store is closed")
            try:
                yield reader
            finally:
                await reader.end()
        finally:
            self._free.put_nowait(reader)

    async def close(self) -> None:
        """Wait for the views that are open; those that wait and later ones are refused."""
        self._closed = True
        borrowed = [await self._free.get() for _ in self._readers]
        for reader in borrowed:
            await reader.close()
            self._free.put_nowait(reader)

"""An SQLite database beside a running service: to look at, never to write.

The service owns the file (`file_lock`). A second process may read what is committed, because a
connection that is opened read-only neither writes nor checkpoints, not even when it is the last to
close. So an officer can list, export and verify while warnings go out.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlmodel.ext.asyncio.session import AsyncSession

from warnsvc.store.port import StoreBusy, StoreFault
from warnsvc.store.runner import ThreadRunner
from warnsvc.store.sqlite import SqliteUnit, no_ids
from warnsvc.store.sqlite_connection import connect_watcher
from warnsvc.store.sqlite_fault import faults
from warnsvc.store.sqlite_reader import Reader, Readers


class SqliteWatch:
    """A store that only reads. Make one with `open`."""

    dialect = "sqlite"

    def __init__(self, readers: Readers, busy: StoreBusy) -> None:
        self._readers = readers
        self.busy = busy

    @classmethod
    async def open(cls, path: Path, busy: StoreBusy) -> "SqliteWatch":
        """Open the file to read. `busy` is what whoever wants to write is told."""
        runner = ThreadRunner("sqlite-watch")
        with faults():
            connection = await runner.run(lambda: connect_watcher(path))
        return cls(Readers([Reader(connection, runner)]), busy)

    @asynccontextmanager
    async def view(self) -> AsyncIterator[SqliteUnit]:
        async with self._readers.borrow() as reader:
            unit = SqliteUnit(reader.connection, reader, no_ids)
            try:
                yield unit
            finally:
                unit.state.over = True

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[SqliteUnit]:
        """Refuse: whoever has the file writes."""
        raise self.busy
        yield

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Refuse: sessions are for pages, and pages belong to the service."""
        raise StoreFault("beside a running service there are only views")
        yield

    async def wake(self, *topics: str) -> None:
        """Nobody listens here."""

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[str]]:
        """Refuse: wake-ups stay in the process of the service."""
        raise StoreFault("wake-ups stay in the process of the service")
        yield

    async def close(self) -> None:
        await self._readers.close()

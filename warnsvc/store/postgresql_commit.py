"""COMMIT, and what becomes of one that is not confirmed in time.

With a synchronous standby, COMMIT returns when the standby has it on disk; while the standby is
gone it does not return at all. Whoever waits is told StoreBusy after a while, so that an answer can
be kept elsewhere. The COMMIT itself must be left alone: cancelling it makes the rows visible on the
primary and on no other machine, a repetition would find them there and be confirmed at once, and a
failover would lose them. So its connection stays where it is until the server speaks, at most
half of a pool is spent on it, and further units are refused without waiting.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from warnsvc.store.port import StoreBusy, StoreFault
from warnsvc.store.postgresql_connection import faults
from warnsvc.store.runner import to_the_end

COMMIT_SECONDS = 5.0
"""How long a unit waits for its COMMIT: fsyncs take milliseconds, a carrier waits 10 s or more."""

FOR_EVER_SECONDS = 7 * 86_400.0
"""The driver's own time limit would cancel the COMMIT at the server."""

GiveBack = Callable[[Any], Awaitable[None]]

_log = structlog.get_logger(__name__)


class Commits:
    """The commits of one pool. `give_back` takes the connection of a late one."""

    def __init__(self, give_back: GiveBack, *, late_max: int) -> None:
        self._give_back = give_back
        self._late_max = late_max
        self._late: set[asyncio.Task[None]] = set()

    @property
    def late(self) -> int:
        """How many wait for the server's word beyond their time."""
        return len(self._late)

    def refuse_more(self) -> None:
        """Raise StoreBusy when so many are late that another one would be, too."""
        if self.late >= self._late_max:
            raise StoreBusy(
                f"{self.late} commits are unconfirmed: is the synchronous standby gone?"
            )

    async def commit(self, connection: Any) -> bool:
        """Commit. False: not confirmed in time, and the connection is no longer the caller's.

        To its end even when the task is cancelled: it must not be half noticed. Raises StoreFault.
        """
        with faults():
            work = asyncio.ensure_future(connection.execute("COMMIT", timeout=FOR_EVER_SECONDS))
        await to_the_end(asyncio.wait({work}, timeout=COMMIT_SECONDS))
        if not work.done():
            late = asyncio.create_task(self._wait(connection, work), name="postgresql-late-commit")
            self._late.add(late)
            late.add_done_callback(self._late.discard)
            return False
        with faults():
            if work.result() != "COMMIT":
                raise StoreFault("the server has rolled the unit back")
        return True

    def close(self) -> None:
        """Stop waiting: the process ends. The server keeps or drops them without us."""
        for late in self._late:
            late.cancel()

    async def _wait(self, connection: Any, work: "asyncio.Future[str]") -> None:
        _log.error("store.commit_late", seconds=COMMIT_SECONDS, late=self.late + 1)
        try:
            with faults():
                await asyncio.shield(work)
        except StoreFault as error:
            _log.warning("store.commit_failed_late", error=str(error))
        else:
            _log.warning("store.commit_confirmed_late")
        finally:
            await self._give_back(connection)

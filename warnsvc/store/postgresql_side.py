"""The connection beside the pool: blocks of ids, NOTIFY and LISTEN.

Its statements commit at once and are short. When the connection is lost it is opened again, and
listeners are woken once, because a notice may have been missed meanwhile. It never takes part in a
unit of work.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Any, TypeVar

import asyncpg
import structlog

from warnsvc.store.id_block import TAKE
from warnsvc.store.port import StoreFault
from warnsvc.store.postgresql_cluster import Cluster
from warnsvc.store.postgresql_connection import COMMAND_SECONDS, faults
from warnsvc.store.wake import Hub

T = TypeVar("T")

CHANNEL = "warnsvc"
"""The NOTIFY channel; the payload is `<process> <topic>`."""

RECONNECT_SECONDS = 1.0
"""Between two tries; the engine's own poll, also one second, carries on without us."""

ANSWER_SECONDS = 5.0
"""How long a statement here may take: it touches one row, or none."""

RECONNECTED = "reconnected"
"""The topic that is woken when notices may have been missed."""

_NOTIFY = "SELECT pg_notify($1, topic) FROM unnest($2::text[]) AS topic"

_log = structlog.get_logger(__name__)


class SideConnection:
    """One connection for short statements of its own, kept open."""

    def __init__(self, cluster: Cluster, hub: Hub) -> None:
        self._cluster = cluster
        self._hub = hub
        self._process = token_hex(8)
        self._connection: Any = None
        self._turn = asyncio.Lock()
        self._unsent: dict[str, None] = {}
        self._lost = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect, and stay connected until `close`."""
        await self._connect()
        self._keeper = asyncio.create_task(self._keep(), name="postgresql-side")

    async def take_ids(self, table: str, count: int) -> int:
        """Return the first of `count` new ids."""
        async with self._turn:
            return int(await self._soon(self._usable().fetchval(TAKE, table, count)))

    async def notify(self, topics: Sequence[str]) -> None:
        """Tell the other processes. A wake that is lost is logged: their poll finds the work."""
        self._unsent.update(dict.fromkeys(topics))
        async with self._turn:
            # Whoever gets here first sends for all that wait, as one statement.
            unsent, self._unsent = list(self._unsent), {}
            if not unsent:
                return
            try:
                with faults():
                    payloads = [f"{self._process} {topic}" for topic in unsent]
                    await self._soon(self._usable().execute(_NOTIFY, CHANNEL, payloads))
            except StoreFault as error:
                _log.warning("wake not sent to other processes", topics=unsent, error=str(error))

    async def close(self) -> None:
        """Hang up."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        if self._connection is not None:
            self._connection.remove_termination_listener(self._on_lost)
            await self._connection.close()

    async def _connect(self) -> None:
        connection = await self._cluster.connect("side", command_timeout=COMMAND_SECONDS)
        try:
            await connection.add_listener(CHANNEL, self._on_notice)
        except BaseException:
            connection.terminate()
            raise
        self._lost.clear()
        connection.add_termination_listener(self._on_lost)
        self._connection = connection

    async def _keep(self) -> None:
        while True:
            await self._lost.wait()
            try:
                with faults():
                    await self._connect()
            except (StoreFault, asyncpg.InterfaceError) as error:
                _log.warning("database connection lost", error=str(error))
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                self._hub.wake(RECONNECTED)

    async def _soon(self, statement: Awaitable[T]) -> T:
        """Await a short statement; a connection that does not answer it is given up."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await statement
        except (TimeoutError, asyncpg.ReadOnlySQLTransactionError):
            # No answer, or from a server that has become a standby: the keeper finds the right one.
            self._connection.terminate()
            raise

    def _usable(self) -> Any:
        if self._lost.is_set():
            raise StoreFault("the connection to the database is lost; trying again")
        return self._connection

    def _on_lost(self, _connection: Any) -> None:
        self._lost.set()

    def _on_notice(self, _connection: Any, _pid: int, _channel: str, payload: str) -> None:
        process, _, topic = payload.partition(" ")
        if process != self._process:  # Our own listeners were told directly.
            self._hub.wake(topic)

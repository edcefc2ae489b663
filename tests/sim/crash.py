"""Processes that die: at every commit, around every carrier call, or at any instant.

    point("commit.before")  the transaction is rolled back
    point("commit.in")      it is durable, and nobody was told
    point("commit.after")   whoever asked for it knows
    point("send.before" | "send.wire" | "send.after")     around a carrier call, look-ups too

A process is a life: a context in which its tasks run, its connections, its fence. When it dies no
step of it runs any more, its connections are closed (what was open is rolled back), and whatever it
still does in the step it is in meets `Dead`, which is no Exception. No shutdown path is used: no
`finally` reaches a database or a carrier. What was on the wire is the world's, and arrives.
"""

# mypy: disable-error-code="attr-defined, override, misc"

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tests.sim.loop import VirtualLoop
from tests.sim.mirror import triggers
from warnsvc.store.port import StoreFault
from warnsvc.store.runner import InlineRunner
from warnsvc.store.sqlite import SqliteStore, SqliteUnit
from warnsvc.store.sqlite_connection import _READER, _WRITER, STATEMENTS_CACHED
from warnsvc.store.sqlite_reader import Reader, Readers
from warnsvc.store.sqlite_writer import Writer

T = TypeVar("T")

CLOSES_MAX = 10
"""How many things a coroutine may want to wait for while it is thrown away."""
TURN_SHARE = 0.2
"""After how many statements of a hundred another task gets its turn in the middle of a unit."""
_LIFE: ContextVar["Life | None"] = ContextVar("life", default=None)


class Dead(BaseException):
    """This process is gone; nothing that keeps a service alive may catch it."""


class Gone(Exception):
    """The process that was asked died before it answered."""


def is_dead() -> bool:
    """Whether whoever asks is a process that is gone already."""
    life = _LIFE.get()
    return life is not None and life.dead


class Host(Protocol):
    """What a life needs of the world it is in."""

    loop: "SimLoop"
    context: Context

    def passes(self, life: "Life", point: str) -> bool:
        """Count a crash point; whether the process dies here."""
        ...

    def committed(self, life: "Life", notes: list[tuple[Any, ...]]) -> None:
        """Somebody made something durable."""
        ...

    def database_fails(self, how: str) -> bool:
        """Whether the database is `away`, fails a `commit`, or leaves one `unsure`, now."""
        ...


class SimLoop(VirtualLoop):
    """A virtual loop on which whole processes can be stopped for a while, or for ever."""

    def __init__(self, seed: int, **more: Any) -> None:
        self._batch: list[asyncio.Handle] = []
        self._buried: list[asyncio.Task[Any]] = []
        super().__init__(seed, **more)
        self.chance = random.Random(f"turns:{seed}")

    def call_soon(
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        life = handle._context.get(_LIFE)
        if life is not None and life.dead:
            handle.cancel()
        else:
            self._ready.append(handle)
        return handle

    def _in_seeded_order(self, batch: list[asyncio.Handle]) -> list[asyncio.Handle]:
        kept = []
        for handle in batch:
            life = handle._context.get(_LIFE)
            if life is not None and life.paused and not life.dead:
                life.held.append(handle)
            else:
                kept.append(handle)
        self._batch = super()._in_seeded_order(kept)
        return self._batch

    def pause(self, life: "Life") -> None:
        """Let no step of a process run until `resume`, as SIGSTOP does; its timers run out."""
        life.paused = True

    def resume(self, life: "Life") -> None:
        """Let it go on: everything that has come due meanwhile comes at once."""
        life.paused = False
        held, life.held = life.held, []
        self._ready.extend(handle for handle in held if not handle._cancelled)

    def kill(self, life: "Life") -> None:
        """Let no step of a process ever run again."""
        life.dead = True
        # Kept, because a task that is collected would be closed in the middle of the run.
        self._buried.extend(asyncio.all_tasks(self))
        for handle in [*self._ready, *self._batch, *self._scheduled, *life.held]:
            if handle._context.get(_LIFE) is life:
                handle.cancel()
        life.held = []

    def _end(self) -> None:
        """Throw away what is left, without a goodbye. All lives are dead by now."""
        self.before_jump = None
        gone: set[asyncio.Task[Any]] = set()
        while left := {*self._buried, *asyncio.all_tasks(self)} - gone:
            for task in left:  # one that is closed may begin another, to tidy up after itself
                task._log_destroy_pending = False
                _close(task.get_coro())
            gone |= left
        self._ready.clear()
        self._scheduled.clear()
        self._batch, self._buried = [], []

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Dead | BaseExceptionGroup | asyncio.CancelledError):
            super().default_exception_handler(context)


def _close(coroutine: Any) -> None:
    """Close a coroutine, also one whose `finally` would rather wait for something first."""
    for _ in range(CLOSES_MAX):
        if coroutine.cr_frame is None:
            return
        with suppress(BaseException):
            coroutine.close()


class Life:
    """One process. Made by the world; everything of it carries it in its context."""

    def __init__(self, host: Host, owner: str) -> None:
        self.host, self.owner = host, owner
        self.dead = self.paused = self.up = False
        self.worker = 0
        self.fuse, self.down = 0, 0.0
        """Crash points left until it dies, and how long nobody takes its place then."""
        self.stood_still = 0.0
        """Seconds, in all."""
        self.ctx: Any = None
        self.intake: Any = None
        self.wires: dict[str, Any] = {}
        self.held: list[asyncio.Handle] = []
        self.context = copy_context()
        self.context.run(_LIFE.set, self)
        self.connections: list[SimConnection] = []
        self._asked: dict[asyncio.Future[Any], None] = {}

    def now(self) -> datetime:
        """The clock of this process."""
        self.fence()
        return self.host.loop.clock.now()

    async def sleep_until(self, instant: datetime) -> None:
        """Implements `warnsvc.clock.Clock`."""
        self.fence()
        await self.host.loop.clock.sleep_until(instant)

    def monotonic(self) -> float:
        """Seconds that only grow."""
        self.fence()
        return self.host.loop.time()

    def fence(self) -> None:
        """Raise Dead if we are."""
        if self.dead:
            raise Dead

    def point(self, name: str) -> None:
        """A place where a process may die. Raises Dead."""
        self.fence()
        if self.host.passes(self, name):
            raise Dead

    def die(self) -> None:
        """Stop at once; open transactions are rolled back, callers hear nothing but that."""
        self.host.loop.kill(self)
        for connection in self.connections:
            connection.drop()
        for answer in list(self._asked):
            if not answer.done():
                answer.set_exception(Gone())
        self._asked.clear()

    def spawn(self, work: Any, name: str = "") -> "asyncio.Task[Any]":
        """Start a task of this process."""
        return self.host.loop.create_task(work, name=name or None, context=self.context)

    async def ask(self, work: Callable[[], Awaitable[T]]) -> T:
        """Let this process do something for somebody outside. Raises Gone when it dies first."""
        if self.dead:
            raise Gone
        answer: asyncio.Future[T] = self.host.loop.create_future()
        self._asked[answer] = None
        self.spawn(self._serve(work, answer), "asked")
        try:
            return await answer
        finally:
            self._asked.pop(answer, None)

    @staticmethod
    async def _serve(work: Callable[[], Awaitable[T]], answer: "asyncio.Future[T]") -> None:
        try:
            result = await work()
        except Exception as error:
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)


class SimConnection(sqlite3.Connection):
    """A connection that belongs to a life, notes what it writes, and may die at its commits."""

    life: Life
    notes: list[tuple[Any, ...]]
    _mark = 0

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if self.life.dead:
            raise Dead
        control = _CONTROL.get(sql)
        return super().execute(sql, *args) if control is None else control(self, sql)

    def executemany(self, sql: str, rows: Iterable[Any]) -> sqlite3.Cursor:
        if self.life.dead:
            raise Dead
        return super().executemany(sql, rows)

    @property
    def in_transaction(self) -> bool:
        if self.life.dead:
            raise Dead
        return bool(super().in_transaction)

    def drop(self) -> None:
        """Close it; SQLite rolls back what is open."""
        super().close()

    def plainly(self, sql: str) -> sqlite3.Cursor:
        """Execute without looking."""
        return super().execute(sql)

    def note(self, *values: Any) -> None:
        """Called by the triggers, once a row."""
        self.notes.append(values)


def _commit(self: SimConnection, sql: str) -> sqlite3.Cursor:
    if not self.notes:
        return self.plainly(sql)
    life = self.life
    life.point("commit.before")
    if life.host.database_fails("commit"):
        raise _disk_fault("the simulated disk failed")
    cursor = self.plainly(sql)
    notes, self.notes = self.notes, []
    life.host.committed(life, notes)
    life.point("commit.in")
    if life.host.database_fails("unsure"):
        raise _disk_fault("the simulated database went away while it committed")
    return cursor


def _disk_fault(words: str) -> sqlite3.OperationalError:
    fault = sqlite3.OperationalError(words)
    fault.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return fault


def _savepoint(self: SimConnection, sql: str) -> sqlite3.Cursor:
    self._mark = len(self.notes)
    return self.plainly(sql)


def _to_savepoint(self: SimConnection, sql: str) -> sqlite3.Cursor:
    del self.notes[self._mark :]
    return self.plainly(sql)


def _rollback(self: SimConnection, sql: str) -> sqlite3.Cursor:
    self.notes = []
    return self.plainly(sql)


_CONTROL: dict[str, Callable[[SimConnection, str], sqlite3.Cursor]] = {
    "COMMIT": _commit,
    "SAVEPOINT unit": _savepoint,
    "ROLLBACK TO unit": _to_savepoint,
    "ROLLBACK": _rollback,
}


class Writing:
    """Whose turn it is to write, when several processes share one database, as PostgreSQL's locks
    would have it. A life that dies or has died holds nothing."""

    def __init__(self) -> None:
        self.holder: Life | None = None
        self._last: Life | None = None
        self._queue: list[tuple[Life, asyncio.Future[None]]] = []

    async def take(self, life: Life) -> bool:
        """Wait for the turn; whether another life had it in between."""
        if self.holder is not None and not self.holder.dead:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append((life, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.free(life)
                raise
        self.holder = life
        changed, self._last = self._last is not life, life
        return changed

    def free(self, life: Life) -> None:
        """Let the next one have it."""
        if self.holder is not life:
            return
        self.holder = None
        while self._queue:
            following, turn = self._queue.pop(0)
            if not following.dead and not turn.done():
                self.holder = following
                turn.set_result(None)
                return


class SimStore(SqliteStore):
    """The real SQLite store, run in place, on connections that can die."""

    life: Life
    writing: Writing | None
    """None: this process has the database to itself, and its units may share commits."""

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[SqliteUnit]:
        life, writing = self.life, self.writing
        if life.host.database_fails("away"):
            raise StoreFault("the simulated database is away")
        if writing is not None and await writing.take(life):
            # Ids are kept in memory, because one process owns the file. Here several share it.
            self._writer._next_ids.clear()
        try:
            async with super().unit() as unit:
                yield unit
                wrote = bool(self._connection.notes)
        finally:
            if writing is not None and not life.dead:
                writing.free(life)
        if wrote:
            life.point("commit.after")

    @asynccontextmanager
    async def view(self) -> AsyncIterator[SqliteUnit]:
        if self.life.host.database_fails("away"):
            raise StoreFault("the simulated database is away")
        async with super().view() as unit:
            yield unit


class SimRunner(InlineRunner):
    """Runs calls in place. Others get a turn after some of them, by chance, not after each."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__("sim")
        self._chance = chance.random

    async def run(self, call: Callable[[], T]) -> T:
        answer = call()
        if self._chance() < TURN_SHARE:
            await asyncio.sleep(0)
        return answer


class SimReader(Reader):
    """Reads in place and gives nobody a turn in between: so a view is one snapshot by itself."""

    async def run(self, call: Callable[[], T]) -> T:
        return call()

    async def end(self) -> None:
        """No snapshot is held."""


class _NoLock:
    def release(self) -> None:
        """Nothing is held."""


class _NoEngine:
    async def dispose(self) -> None:
        """Nothing is open."""


def open_store(
    life: Life, path: Path, writing: Writing | None, *, readers: int = 2
) -> SimStore:
    """Open the database for a life, inside the running loop."""
    connection = connect(life, path, _WRITER)
    connection.plainly("PRAGMA synchronous=OFF")  # Nothing here outlives this process.
    connection.create_function("note", -1, connection.note)
    for trigger in triggers():
        connection.plainly(trigger)
    runner = SimRunner(life.host.loop.chance)
    store = SimStore(
        lock=_NoLock(),  # type: ignore[arg-type]
        connection=connection,
        writer=Writer(connection, runner),
        readers=Readers([SimReader(connect(life, path, _READER), runner) for _ in range(readers)]),
        engine=_NoEngine(),  # type: ignore[arg-type]
    )
    store.life, store.writing = life, writing
    return store


def connect(life: Life, path: Path, pragmas: tuple[str, ...]) -> SimConnection:
    """Return a connection of a life; it never waits for a lock in real time."""
    connection = sqlite3.connect(
        path,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_CACHED,
        factory=SimConnection,
    )
    connection.life, connection.notes = life, []
    for pragma in pragmas:
        connection.plainly(f"PRAGMA {pragma}")
    life.connections.append(connection)
    return connection

"""The simulation against a real PostgreSQL: one statement on the wire, and time waits for it.

    with gated() as gate:                                  asyncpg goes through the gate
        loop.run(story())
    async def story():
        await gate.open(dsn)                               a connection of its own, to look at locks
        store = await gate.open_store(dsn)
        …
        await gate.cut_off(store)                          as a killed process: rolled back, no locks

    statement ──► its turn ──► on the wire, everybody held ──► answer ──► parked ones that it freed
                                         └── silent: waits for a lock? ──► parked, others go on

Every statement settles (answered, or waiting for a lock that pg_blocking_pids shows) before anybody
takes another step, so a run is the same twice, whatever the machine does meanwhile. A lock is
waited for in virtual time; whoever waits too long is cancelled as `lock_timeout` would. Who waits
for a bulletin waits here, in line, because PostgreSQL lets several who wait for one row race for
it; of other rows at most one may wait at a time for the run to be the same twice. Wakes go
from store to store inside the loop, because nobody can say when a NOTIFY arrives: LISTEN itself is
not tested here. Neither is anything about durability. It never runs two statements at once.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg
from asyncpg import connect_utils

from tests.sim.loop import VirtualLoop
from warnsvc.store.postgresql import _LOCK_BULLETINS, PostgresqlStore
from warnsvc.store.postgresql_connection import LOCK_SECONDS
from warnsvc.store.runner import to_the_end

T = TypeVar("T")

_ON_THE_WIRE = frozenset(
    {
        "prepare",
        "query",
        "bind",
        "bind_execute",
        "bind_execute_many",
        "execute",
        "copy_in",
        "copy_out",
        "close_statement",
        "close",
    }
)
"""What of asyncpg's protocol waits for the server."""
_PATIENCE = re.compile(r"SET LOCAL lock_timeout = '([0-9]+)s'")
DEADLOCK_SECONDS = 60
"""PostgreSQL's own look for deadlocks comes too late on purpose: who is refused would be chance."""
_BLOCKERS = "SELECT pg_blocking_pids($1)"
_CANCEL = "SELECT pg_cancel_backend($1)"
_CUT_OFF = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = ANY($1)"


@dataclass(eq=False)
class _Ticket:
    """A statement on its way. `answer` is what its caller awaits."""

    pid: int
    work: "asyncio.Task[Any]"
    answer: "asyncio.Future[Any]"
    patience: float = LOCK_SECONDS
    timer: asyncio.TimerHandle | None = None
    refused: BaseException | None = None
    """Why it was cancelled."""

    def deliver(self) -> None:
        """Hand over what the server said, or did not."""
        if self.timer is not None:
            self.timer.cancel()
        error = self.work.exception() and (self.refused or self.work.exception())
        if self.answer.done():  # Its caller has gone.
            return
        if error is not None:
            self.answer.set_exception(error)
            self.answer.exception()  # Its caller may be dead.
        else:
            self.answer.set_result(self.work.result())


@dataclass(eq=False)
class _Asked:
    """Somebody who waits for the wire."""

    whose: Any
    turn: "asyncio.Future[None]"


@dataclass(eq=False)
class _Place:
    """A place in the line for a bulletin. The first one has it."""

    pid: int
    turn: "asyncio.Future[None]"


@dataclass(eq=False)
class Gate:
    """Lets one statement after another through, and knows who waits for whose lock."""

    statements: int = 0
    waits: int = 0
    """Statements that had to wait for somebody's lock."""
    deadlocks: int = 0
    _monitor: Any = None
    whose: Callable[[], Any] = lambda: None
    """Which process asks."""
    stands_still: Callable[[Any], bool] = lambda _: False
    """Whether a process cannot take its turn: it is paused, or dead."""
    _asked: "list[_Asked]" = field(default_factory=list)
    _granted: "_Asked | None" = None
    _busy: bool = False
    _context: Context = field(default_factory=copy_context)
    _burials: "list[asyncio.Task[None]]" = field(default_factory=list)
    _connections: list[tuple[Any, Any]] = field(default_factory=list)
    _parked: list[_Ticket] = field(default_factory=list)
    _lines: dict[int, list[_Place]] = field(default_factory=dict)
    _heard: "asyncio.Future[None] | None" = None
    _stores: dict[PostgresqlStore, None] = field(default_factory=dict)

    async def open(self, dsn: str) -> None:
        """Connect the one who looks at locks; first of all in a loop."""
        loop = _loop()
        loop.on_silence = self._on_silence
        with loop.outside():
            self._monitor = await _real_connect_to(dsn)

    async def close(self) -> None:
        """Hang up."""
        if self._monitor is not None:
            await asyncio.gather(*self._burials)
            await self._alone(self._monitor.close())
            _loop().on_silence = None

    # Stores ----------------------------------------------------------------------------------

    async def open_store(self, dsn: str) -> PostgresqlStore:
        """Open a store as one more process would."""
        store = await PostgresqlStore.open(dsn)
        self.adopt(store)
        return store

    def adopt(self, store: PostgresqlStore) -> None:
        """Let a store's wakes reach the others."""
        self._stores[store] = None
        store._side.notify = lambda topics: self._notify(store, topics)  # type: ignore[method-assign]

    async def _notify(self, sender: PostgresqlStore, topics: Any) -> None:
        for store in self._stores:
            if store is not sender:
                _loop().call_soon(store._hub.wake, *topics, context=self._context)

    async def cut_off(self, store: PostgresqlStore) -> None:
        """End every connection of a store as the kernel does for a process that was killed.

        When this returns, the server has rolled back and let go of every lock.
        """
        self._stores.pop(store, None)
        store._closed = True
        connections = [h._con for h in store._pool._holders if h._con is not None]
        connections.append(store._side._connection)
        if store._side._keeper is not None:
            store._side._keeper.cancel()
        await self._alone(self._cut(connections))

    def bury(self, whose: Any) -> None:
        """End every connection of a process, as soon as nobody is on the wire."""
        self.look_again()
        connections = [c for owner, c in self._connections if owner is whose]
        self._connections = [(o, c) for o, c in self._connections if o is not whose]
        for store in [s for s in self._stores if getattr(s, "life", None) is whose]:
            del self._stores[store]
        work = self._alone(self._cut(connections))
        task = _loop().create_task(work, name="undertaker", context=self._context)
        self._burials.append(task)

    def in_transaction(self, whose: Any) -> bool:
        """Whether a process holds a transaction open."""
        mine = [c for owner, c in self._connections if owner is whose and not c.is_closed()]
        return any(c.is_in_transaction() for c in mine)

    async def _cut(self, connections: Sequence[Any]) -> None:
        living = [c for c in connections if not c.is_closed()]
        pids = [c.get_server_pid() for c in living]
        await self._monitor.fetch(_CUT_OFF, pids)
        for connection, pid in zip(living, pids, strict=True):
            connection.terminate()
            self.forget(pid)
        self._asked = [a for a in self._asked if not getattr(a.whose, "dead", False)]
        await self._free()

    # One statement ---------------------------------------------------------------------------

    async def send(
        self, pid: int, make: Callable[[], Awaitable[T]], patience: float = LOCK_SECONDS
    ) -> T:
        """Let a statement through when its turn comes; returns what the server answers."""
        await self._turn()
        loop = _loop()
        self.statements += 1
        # In our own context: a process may die, and what is on the wire must not.
        work = loop.create_task(make(), context=self._context)
        ticket = _Ticket(pid, work, loop.create_future(), patience)
        driver = loop.create_task(self._drive(ticket), context=self._context)
        loop.enter_outside(ticket.work, driver)
        try:
            answer: T = await ticket.answer
        except asyncio.CancelledError:
            if ticket in self._parked:
                await to_the_end(self._withdraw(ticket))
            raise
        return answer

    async def _turn(self) -> None:
        """Wait until the wire is ours. Who stands still loses his turn, and asks again."""
        asked = _Asked(self.whose(), _loop().create_future())
        while self._granted is not asked:
            if asked.turn.done():
                asked.turn = _loop().create_future()
            if asked not in self._asked:
                self._asked.append(asked)
            self._grant()
            try:
                await asked.turn
            except asyncio.CancelledError:
                self._forget_asked(asked)
                raise
        self._granted, self._busy = None, True

    def _forget_asked(self, asked: "_Asked") -> None:
        if asked in self._asked:
            self._asked.remove(asked)
        if self._granted is asked:
            self._granted = None
            self._grant()

    def _grant(self) -> None:
        """Give the wire to who has waited longest and can take it."""
        if self._busy or self._granted is not None:
            return
        for asked in self._asked:
            if not self.stands_still(asked.whose):
                self._asked.remove(asked)
                self._granted = asked
                if not asked.turn.done():
                    asked.turn.set_result(None)
                return

    def _pass_on(self) -> None:
        self._busy = False
        self._grant()

    def look_again(self) -> None:
        """Somebody has stopped, or goes on, or is dead: the turn may be another's now."""
        if self._granted is not None and self.stands_still(self._granted.whose):
            self._granted = None
        self._grant()

    async def _drive(self, ticket: _Ticket) -> None:
        """See a statement to its answer, or to where it waits; then those that it set free."""
        loop = _loop()
        try:
            if await self._settled(ticket):
                ticket.deliver()
            else:
                self._park(ticket)
            await self._free()
        finally:
            loop.leave_outside(ticket.work, loop.this_task())
            self._pass_on()

    async def _settled(self, ticket: _Ticket) -> bool:
        """Return whether it is answered; False once it waits for a lock."""
        while not ticket.work.done():
            self._heard = _loop().create_future()
            await asyncio.wait({ticket.work, self._heard}, return_when=asyncio.FIRST_COMPLETED)
            if not ticket.work.done() and ticket.pid and await self._waits(ticket):
                return False
        return True

    async def _waits(self, ticket: _Ticket) -> bool:
        """Whether a lock keeps it. Who closes a circle is refused, as PostgreSQL would do later."""
        seen: dict[int, None] = {}
        asked = [ticket.pid]
        while asked:
            for pid in await self._monitor.fetchval(_BLOCKERS, asked.pop(0)):
                if pid == ticket.pid:
                    await self._refuse(ticket, asyncpg.DeadlockDetectedError("deadlock detected"))
                    self.deadlocks += 1
                    return False
                if pid not in seen:
                    seen[pid] = None
                    asked.append(pid)
        return bool(seen) and not ticket.work.done()

    async def _refuse(self, ticket: _Ticket, why: BaseException) -> None:
        """Cancel a statement that waits for a lock. Its caller will hear why."""
        ticket.refused = why
        await self._monitor.fetchval(_CANCEL, ticket.pid)
        await asyncio.wait({ticket.work})

    def _on_silence(self) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    # Bulletins -------------------------------------------------------------------------------

    async def queue_for(self, pid: int, bulletins: Sequence[int], patience: float) -> None:
        """Wait until nobody else holds these bulletins; first come, first served.

        When a row was changed, PostgreSQL lets those who waited for it race for its new version.
        """
        for bulletin in bulletins:
            line = self._lines.setdefault(bulletin, [])
            if any(place.pid == pid for place in line):
                continue
            place = _Place(pid, _loop().create_future())
            line.append(place)
            if line[0] is place:
                continue
            self.waits += 1
            try:
                async with asyncio.timeout(patience):
                    await place.turn
            except TimeoutError:
                raise _too_long() from None

    def forget(self, pid: int) -> None:
        """A transaction is over: whoever is next may have its bulletins."""
        for line in self._lines.values():
            line[:] = [place for place in line if place.pid != pid]
            if line and not line[0].turn.done():
                line[0].turn.set_result(None)

    # Waiting for locks -----------------------------------------------------------------------

    def _park(self, ticket: _Ticket) -> None:
        self.waits += 1
        self._parked.append(ticket)
        loop = _loop()
        ticket.timer = loop.call_later(
            ticket.patience, lambda: loop.create_task(self._withdraw(ticket), name="lock-timeout")
        )

    async def _free(self) -> None:
        """Let those go on, oldest first, who wait no longer; and whom these set free."""
        moved = True
        while moved and self._parked:
            moved = False
            for ticket in list(self._parked):
                _loop().enter_outside(ticket.work)
                if not await self._waits(ticket) and await self._settled(ticket):
                    self._parked.remove(ticket)
                    ticket.deliver()
                    moved = True
                _loop().leave_outside(ticket.work)

    async def _withdraw(self, ticket: _Ticket) -> None:
        """Cancel a statement that waits for a lock, as its time limit or its caller asks."""
        await self._alone(self._cancel(ticket))

    async def _cancel(self, ticket: _Ticket) -> None:
        if ticket not in self._parked:
            return
        self._parked.remove(ticket)
        _loop().enter_outside(ticket.work)
        await self._refuse(ticket, _too_long())
        _loop().leave_outside(ticket.work)
        ticket.deliver()
        await self._free()

    async def _alone(self, work: Awaitable[None]) -> None:
        """Do something outside when its turn comes."""
        await self._turn()
        try:
            with _loop().outside():
                await work
        finally:
            self._pass_on()


class _Protocol:
    """asyncpg's protocol, with what waits for the server sent through the gate."""

    def __init__(self, protocol: Any, gate: Gate) -> None:
        self._protocol, self._gate = protocol, gate
        self._patience: float = LOCK_SECONDS
        self.committed: Callable[[], None] | None = None
        """Called when the server has committed, before anybody takes another step."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._protocol, name)
        if name not in _ON_THE_WIRE:
            return found

        async def send(*args: Any, **kwargs: Any) -> Any:
            pid = self._protocol.backend_pid
            if name == "bind_execute" and kwargs["state"].query == _LOCK_BULLETINS:
                await self._gate.queue_for(pid, kwargs["args"][0], self._patience)
            try:
                sql = args[0] if name == "query" else ""
                return await self._gate.send(
                    pid, lambda: self._then_told(found(*args, **kwargs), sql), self._patience
                )
            finally:
                if name == "query":
                    self._note(args[0], pid)

        return send

    async def _then_told(self, work: Awaitable[Any], sql: str) -> Any:
        answer = await work
        if sql == "COMMIT" and self.committed is not None:
            self.committed()
        return answer

    def _note(self, sql: str, pid: int) -> None:
        """Hear how long this transaction is willing to wait for a lock, and when it is over."""
        if said := _PATIENCE.search(sql):
            self._patience = float(said[1])
        elif sql.startswith(("COMMIT", "ROLLBACK")):
            self._patience = LOCK_SECONDS
            self._gate.forget(pid)


_real_connect = connect_utils._connect


async def _real_connect_to(dsn: str) -> Any:
    with _patched(_real_connect):
        return await asyncpg.connect(dsn)


@contextmanager
def _patched(connect: Any) -> Iterator[None]:
    before = connect_utils._connect
    connect_utils._connect = connect
    try:
        yield
    finally:
        connect_utils._connect = before


@contextmanager
def gated(connection_class: type[Any] | None = None) -> Iterator[Gate]:
    """Send whatever asyncpg does in the block, on virtual loops, through a gate."""
    gate = Gate()

    async def connect(*, server_settings: Any = None, **kwargs: Any) -> Any:
        settings = {**(server_settings or {}), "deadlock_timeout": f"{DEADLOCK_SECONDS}s"}
        kwargs["connection_class"] = connection_class or kwargs["connection_class"]
        whose = gate.whose()

        async def work() -> Any:
            made = await _real_connect(server_settings=settings, **kwargs)
            made._protocol = _Protocol(made._protocol, gate)
            gate._connections.append((whose, made))
            return made

        return await gate.send(0, work)

    with _patched(connect):
        yield gate


def _too_long() -> asyncpg.LockNotAvailableError:
    return asyncpg.LockNotAvailableError("canceling statement due to lock timeout")


def _loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop), "the gate works on virtual time only"
    return loop

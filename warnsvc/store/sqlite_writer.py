"""The one connection that writes: whose turn it is, and which units share a commit.

Units take turns. A unit that ends while others wait does not commit by itself: the next one joins
the same transaction behind a savepoint, and one COMMIT, one fsync, makes the whole group durable.
Nobody in the group is told "done" before that, so a crash loses only what nobody was promised. A
member that fails is rolled back to its savepoint; the others stay.

    enter ─▶ calls … ─▶ leave ─▶ somebody waits, and the group is small and young?
      ▲                           │ yes: pass the turn on and wait for the group's commit
      └─────────── turn ◀─────────┤ no:  COMMIT (in the thread, in order), pass the turn on

A unit that does nothing for too long is rolled back and loses its turn, as PostgreSQL does it:
one forgotten `await` must not stop the service. It never looks at a statement.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from warnsvc.store.port import StoreBusy, StoreFault
from warnsvc.store.runner import Runner, to_the_end
from warnsvc.store.sqlite_fault import faults
from warnsvc.store.turn import Turns
from warnsvc.store.unit import UnitState

T = TypeVar("T")

GROUP_MAX = 64
"""Units that share a commit: by then the fsync is spread thin, and the first one waits."""

GROUP_SECONDS = 0.005
"""How long the first of a group lets others join; about one fsync of a slow disk."""

IDLE_SECONDS = 10.0
"""How long a unit may do nothing, as PostgreSQL's `idle_in_transaction_session_timeout`."""

_WRITE_NEXT_ID = """
    INSERT INTO id_block (name, next) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET next = excluded.next
"""


class _Group:
    """Units that wait for one commit."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.members = 0
        self.since = 0.0
        self.begun = False
        self.done: asyncio.Future[None] = loop.create_future()

    def join(self, *, begun: bool, now: float) -> None:
        """Take in one more unit."""
        self.since = self.since if self.members else now
        self.members += 1
        self.begun = self.begun or begun

    def settle(self, commit: "asyncio.Future[None]") -> None:
        """Tell the members how the commit went."""
        if error := commit.exception():
            self.done.set_exception(error)
            self.done.exception()  # Marked as seen: perhaps every member was cancelled.
        else:
            self.done.set_result(None)

    @property
    def committed(self) -> bool:
        """Whether it is known to be durable."""
        return self.done.done() and self.done.exception() is None


class Writer:
    """Turns, groups and ids of the writing connection. Used from one event loop only."""

    def __init__(self, connection: sqlite3.Connection, runner: Runner) -> None:
        self._loop = asyncio.get_running_loop()
        self._runner = runner
        self._turns = Turns()
        self._transaction = _Transaction(connection)
        self._group = _Group(self._loop)
        self._holder: UnitState | None = None
        self._begun = False
        self._running = 0
        self._last_act = 0.0
        self._guard: asyncio.TimerHandle | None = None
        self._next_ids: dict[str, int] = {}
        self._unwritten: set[str] = set()
        self._closed = False

    async def enter(self, state: UnitState) -> None:
        """Wait for the turn. The transaction begins with the unit's first call."""
        await self._take_turn()
        if self._closed:
            self._turns.pass_on()
            raise StoreFault("the store is closed")
        self._holder, self._begun, self._last_act = state, False, self._loop.time()
        self._guard = self._loop.call_later(IDLE_SECONDS, self._look_at_holder)

    async def run(self, call: Callable[[], T]) -> T:
        """Run one call of the unit whose turn it is."""
        self._running += 1
        try:
            return await self._runner.run(call if self._begun else self._with_begin(call))
        finally:
            self._running -= 1
            self._last_act = self._loop.time()

    async def new_ids(self, table: str, count: int) -> range:
        """Return the next ids, dense. What was taken is written with the next commit."""
        if table not in self._next_ids:
            known = await self.run(lambda: self._transaction.read_next_id(table))
            self._next_ids.setdefault(table, known)
        first = self._next_ids[table]
        self._next_ids[table] = first + count
        self._unwritten.add(table)
        return range(first, first + count)

    async def leave(self, state: UnitState) -> None:
        """End the unit. It is durable when this returns; StoreFault if it is not."""
        if self._holder is not state:
            raise StoreBusy(f"this unit did nothing for {IDLE_SECONDS:.0f} s and was rolled back")
        if state.spent:
            await self.abandon(state)
            raise StoreFault("this unit of work met a fault that was not raised; nothing is kept")
        state.over = True
        group = self._group
        group.join(begun=self._begun, now=self._loop.time())
        self._let_go()
        try:
            with faults():
                await to_the_end(group.done)
        finally:
            # Also when the task was cancelled while it waited: the unit may be durable.
            if group.committed:
                state.run_hooks()

    async def abandon(self, state: UnitState) -> None:
        """Roll the unit back."""
        state.over = True
        if self._holder is state:
            await to_the_end(self._undo())

    async def close(self) -> None:
        """Wait for the unit that is open, then close the connection and the runner."""
        await self._take_turn()
        self._closed = True
        if self._group.members:
            self._commit()
        await self._runner.run(self._transaction.close)
        self._turns.pass_on()
        self._runner.close()

    async def _take_turn(self) -> None:
        turn = self._turns.ask()
        try:
            await turn
        except asyncio.CancelledError:
            if self._turns.had(turn):
                self._pass_on()
            raise

    def _with_begin(self, call: Callable[[], T]) -> Callable[[], T]:
        self._begun = True
        joins = self._group.begun

        def begin_and_call() -> T:
            self._transaction.begin(joins=joins)
            return call()

        return begin_and_call

    def _undo(self) -> "asyncio.Future[None]":
        begun, joins = self._begun, self._group.begun
        undone = self._runner.post(lambda: self._transaction.undo(begun=begun, joins=joins))
        self._let_go()
        return undone

    def _let_go(self) -> None:
        self._holder = None
        if self._guard is not None:
            self._guard.cancel()
        self._pass_on()

    def _pass_on(self) -> None:
        group = self._group
        young = self._loop.time() - group.since < GROUP_SECONDS
        if group.members and not (self._turns.wanted and young and group.members < GROUP_MAX):
            self._commit()
        self._turns.pass_on()

    def _commit(self) -> None:
        group, self._group = self._group, _Group(self._loop)
        ids = {table: self._next_ids[table] for table in self._unwritten}
        self._unwritten.clear()
        commit = self._runner.post(lambda: self._transaction.commit(begun=group.begun, ids=ids))
        commit.add_done_callback(group.settle)
        commit.add_done_callback(lambda done: self._keep_unwritten(done, ids))

    def _keep_unwritten(self, commit: "asyncio.Future[None]", ids: dict[str, int]) -> None:
        if commit.exception() is not None:
            self._unwritten.update(ids)

    def _look_at_holder(self) -> None:
        idle = self._loop.time() - self._last_act
        if self._running or idle < IDLE_SECONDS:
            wait = IDLE_SECONDS if self._running else IDLE_SECONDS - idle
            self._guard = self._loop.call_later(wait, self._look_at_holder)
        elif self._holder is not None:
            self._holder.spent = True
            self._undo()


class _Transaction:
    """What happens on the connection. Every method runs in the runner."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._savepoint = False

    def begin(self, *, joins: bool) -> None:
        """Begin, or join the group's transaction behind a savepoint."""
        if not joins:
            self._roll_back()  # Left by a rollback that failed; otherwise there is nothing.
            self._connection.execute("BEGIN IMMEDIATE")
            return
        previous, self._savepoint = self._savepoint, False
        self._demand_transaction()
        if previous:
            self._connection.execute("RELEASE unit")
        self._connection.execute("SAVEPOINT unit")
        self._savepoint = True

    def undo(self, *, begun: bool, joins: bool) -> None:
        """Take back what this unit did, and only that."""
        if begun and not joins:
            self._roll_back()
        elif begun and self._savepoint and self._connection.in_transaction:
            self._connection.execute("ROLLBACK TO unit")

    def commit(self, *, begun: bool, ids: dict[str, int]) -> None:
        """Make the group durable; take all of it back if that fails."""
        try:
            if begun:
                self._demand_transaction()
            elif ids:
                self._connection.execute("BEGIN IMMEDIATE")
            if ids:
                self._connection.executemany(_WRITE_NEXT_ID, ids.items())
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
        finally:
            self._roll_back()

    def read_next_id(self, table: str) -> int:
        """Return the next free id of a table."""
        found = self._connection.execute("SELECT next FROM id_block WHERE name = ?", (table,))
        row = found.fetchone()
        return 1 if row is None else int(row[0])

    def close(self) -> None:
        """Fold the WAL into the file, as the last connection does, and let go of it."""
        self._connection.close()

    def _demand_transaction(self) -> None:
        """SQLite rolls everything back by itself when the disk is full or fails."""
        if not self._connection.in_transaction:
            raise StoreFault("SQLite gave the transaction up; nothing of this group was kept")

    def _roll_back(self) -> None:
        self._savepoint = False
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

"""Leader duties: a lease row says who runs a periodic duty, and its fence only grows.

    hold ──► fence 7 ──► paused for a minute ──► somebody else holds: fence 8 ──► commit refused

A lease alone does not stop a leader that was paused: it wakes up and goes on where it was. So every
unit that a duty writes asks first, in its own transaction, whether its fence is still the newest,
and keeps the row so that nobody can take the duty before the unit has ended. A leader whose lease
is over but whose duty nobody has taken may go on. It decides nothing about what a duty does.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from warnsvc.service.context import Context
from warnsvc.store.port import Store, StoreFault, Unit

LEASE_SECONDS = 4.0
"""How long a duty waits for a leader that was killed. With the second in which its workers look,
the six after which a process counts as dead and the tick of the reaper, another process has taken
its sends over within ten."""


class Fenced(StoreFault):
    """This process was the leader and is not any more; what it wanted to write is not written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """A duty as one process holds it."""

    name: str
    number: int

    async def check(self, unit: Unit) -> None:
        """Keep the duty until this unit ends. Raises Fenced when somebody else has taken it."""
        row = await unit.fetch_one("SELECT fence FROM duty WHERE name = $1 FOR SHARE", self.name)
        if row is None or row["fence"] != self.number:
            newest = row["fence"] if row else None
            raise Fenced(f"{self.name}: our fence is {self.number}, the newest is {newest}")


async def hold(ctx: Context, name: str, *, owner: str, seconds: float) -> int:
    """Take or keep a duty for so long; returns the fence, or 0 while somebody else has it."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        row = await unit.fetch_one(
            "INSERT INTO duty (name, owner, fence, lease_until) VALUES ($1, $2, 1, $3)"
            " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner,"
            " lease_until = excluded.lease_until,"
            " fence = duty.fence + CASE WHEN duty.owner = excluded.owner THEN 0 ELSE 1 END"
            " WHERE duty.owner = excluded.owner OR duty.lease_until <= $4 RETURNING fence",
            name, owner, now + timedelta(seconds=seconds), now,
        )  # fmt: skip
    return int(row["fence"]) if row else 0


def fenced(ctx: Context, fence: Fence) -> Context:
    """Return the context of a duty: every unit it opens checks the fence first."""
    return replace(ctx, store=FencedStore(ctx.store, fence))


class FencedStore:
    """A store whose units are refused once somebody else holds the duty."""

    def __init__(self, store: Store, fence: Fence) -> None:
        self._store = store
        self._fence = fence
        self.dialect = store.dialect

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        async with self._store.unit() as unit:
            await self._fence.check(unit)
            yield unit

    def read(self) -> AbstractAsyncContextManager[AsyncSession]:
        return self._store.read()

    def view(self) -> AbstractAsyncContextManager[Unit]:
        return self._store.view()

    async def wake(self, *topics: str) -> None:
        await self._store.wake(*topics)

    def listen(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        return self._store.listen()

    async def close(self) -> None:
        """The store is not ours to close."""


class Leader:
    """The duties that one process holds. It renews a lease when half of it is over."""

    def __init__(self, ctx: Context, *, owner: str) -> None:
        self._ctx = ctx
        self._owner = owner
        self._held: dict[str, tuple[Fence, datetime]] = {}

    async def take(self, name: str) -> Fence | None:
        """Return the fence of a duty, or None while somebody else has it. Raises StoreFault."""
        now = self._ctx.clock.now()
        if (held := self._held.get(name)) and now < held[1]:
            return held[0]
        number = await hold(self._ctx, name, owner=self._owner, seconds=LEASE_SECONDS)
        if not number:
            self._held.pop(name, None)
            return None
        fence = Fence(name=name, number=number)
        self._held[name] = (fence, now + timedelta(seconds=LEASE_SECONDS / 2))
        return fence

"""Processes: who is alive, and what becomes of the work of one that is not.

    every process ──beat, each second──► a row ──silent for six seconds──► its sends are unknowns

A process that ends in order gives back what it could not finish and takes its row away. One that
was killed leaves it; one that was paused finds its sends taken and must not send them (the outbox
asks before each send). A process of an older version has no row: its leases end by themselves.
It never ends a process.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from warnsvc import __version__
from warnsvc.core.ledger import Line
from warnsvc.service.context import WAKE_WORK, Context
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit
from warnsvc.store.worker import (
    release_others,
    release_own,
    release_silent,
    remove_other_workers,
    remove_worker,
    remove_workers_before,
    save_worker,
)

log = structlog.get_logger(__name__)

BEAT_SECONDS = 1.0
"""How often a process says that it lives."""
DEAD_SECONDS = 6.0
"""Silent for so long, a process counts as dead: five beats lost, and still within the ten seconds
in which its work must have been taken over. A false alarm costs a look-up for each of its sends."""
LOOK_UP_SECONDS = 3.0
"""What was handed over in the last moment of a process shows in a carrier's list only after a
while; looked up at once, it would be sent a second time."""
FORGOTTEN_DAYS = 1
"""So long the row of a process that was killed is kept for whoever wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """This process, as the others see it."""

    owner: str
    role: str
    """`worker`, `web`, or `all`."""


async def beat(ctx: Context, process: Process, *, passed_at: datetime | None) -> datetime:
    """Say that this process lives; returns the instant that was written. Raises StoreFault."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        await save_worker(
            unit,
            owner=process.owner,
            role=process.role,
            version=__version__,
            now=now,
            passed_at=passed_at,
        )
    return now


async def settle_in(ctx: Context, process: Process) -> None:
    """Take over what cannot be anybody's any more, once, after the first beat."""
    now = ctx.clock.now()
    taken: list[int] = []
    async with ctx.store.unit() as unit:
        await remove_workers_before(unit, now - timedelta(days=FORGOTTEN_DAYS))
        if ctx.store.dialect == "sqlite":
            # The file lock says that we are alone: every other lease is of a process that is gone.
            look_up_at = now + timedelta(seconds=LOOK_UP_SECONDS)
            taken = await release_others(unit, owner=process.owner, look_up_at=look_up_at, now=now)
            await remove_other_workers(unit, process.owner)
        await _tell(unit, taken, now)
    await _woken(ctx, taken)


async def leave(ctx: Context, process: Process) -> None:
    """Give back what we could not finish, and go home. Nothing of ours is under way any more."""
    await give_back(ctx, process)
    async with ctx.store.unit() as unit:
        await remove_worker(unit, process.owner)


async def give_back(ctx: Context, process: Process) -> None:
    """Make unknowns of what we have claimed and have not recorded."""
    now = ctx.clock.now()
    look_up_at = now + timedelta(seconds=LOOK_UP_SECONDS)
    async with ctx.store.unit() as unit:
        given = await release_own(unit, owner=process.owner, look_up_at=look_up_at, now=now)
        await _tell(unit, given, now)
    await _woken(ctx, given)


async def take_from_the_silent(unit: Unit, *, owner: str, now: datetime) -> list[int]:
    """Make unknowns of the sends of processes that are silent; returns which."""
    silent_since = now - timedelta(seconds=DEAD_SECONDS)
    return await release_silent(unit, owner=owner, silent_since=silent_since, now=now)


async def _tell(unit: Unit, attempts: list[int], now: datetime) -> None:
    if attempts:
        line = Line(act="attempt.leases_ended", data={"attempts": attempts})
        await append_lines(unit, [line], now=now)


async def _woken(ctx: Context, attempts: list[int]) -> None:
    if attempts:
        log.warning("worker.sends_released", count=len(attempts))
        await ctx.store.wake(WAKE_WORK)

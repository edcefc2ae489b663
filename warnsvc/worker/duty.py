"""The periodic duties, ticked by APScheduler.

It only ticks: jobs are in memory, late ones run once (`misfire_grace_time=None, coalesce=True,
max_instances=1`), and nothing that has a deadline of its own is here (law 5).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import structlog
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from warnsvc.service.context import Context
from warnsvc.service.duty import hold
from warnsvc.service.sweep import reap, sequence_ledger
from warnsvc.store.port import StoreFault

log = structlog.get_logger(__name__)

SEQUENCE_SECONDS = 0.5
"""How long a ledger line may be without a place in the tree."""
REAP_SECONDS = 5.0
"""How much longer than its lease a dead worker's send may wait."""
LEASE_TICKS = 6
"""A duty's lease lasts so many of its ticks: one slow tick does not hand it over."""


async def run_duties(ctx: Context, *, owner: str) -> None:
    """Tick until cancelled."""
    # "Skipped, still running" is what max_instances=1 is for; a duty logs its own faults.
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    scheduler = AsyncIOScheduler(
        jobstores={"default": MemoryJobStore()},
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        timezone="UTC",
    )
    for name, seconds, act in (
        ("ledger", SEQUENCE_SECONDS, sequence_ledger),
        ("reaper", REAP_SECONDS, reap),
    ):
        scheduler.add_job(
            _tick, "interval", seconds=seconds, args=(ctx, name, owner, seconds, act), id=name
        )
    scheduler.start()
    try:
        await asyncio.Event().wait()
    finally:
        scheduler.shutdown(wait=False)


async def _tick(
    ctx: Context, name: str, owner: str, seconds: float, act: Callable[[Context], Awaitable[int]]
) -> None:
    try:
        if await hold(ctx, name, owner=owner, seconds=seconds * LEASE_TICKS):
            await act(ctx)
    except StoreFault as fault:
        log.error("duty.failed", duty=name, error=str(fault))

"""The periodic duties, ticked by APScheduler.

It only ticks: jobs are in memory, late ones run once (`misfire_grace_time=None, coalesce=True,
max_instances=1`), and nothing that has a deadline of its own is here (law 5). A duty is done by one
process at a time, and whatever it writes is fenced.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from warnsvc.service.canary import tend_canaries
from warnsvc.service.context import Context
from warnsvc.service.duty import Fenced, Leader, fenced
from warnsvc.service.poll import poll_carriers
from warnsvc.service.retention import retain
from warnsvc.service.sweep import reap, sequence_ledger
from warnsvc.store.port import StoreFault

log = structlog.get_logger(__name__)

SEQUENCE_SECONDS = 0.5
"""How long a ledger line may be without a place in the tree."""
REAP_SECONDS = 1.0
"""How much longer than it must a dead worker's send may wait."""
CANARY_SECONDS = 30.0
"""How late a canary may be. Who is due says the last row, so that a restart repeats none."""
INBOUND_SECONDS = 20.0
"""How late a poll for replies may be; each carrier is asked once a minute (`service.poll`)."""
RETAIN_SECONDS = 3_600.0
"""How much longer than it must something may be kept."""
FIRST_SECONDS_MAX = 60.0
"""A process that is restarted more often than a duty ticks does it all the same."""

Act = Callable[[Context], Awaitable[int]]


async def run_duties(ctx: Context, *, owner: str) -> None:
    """Tick until cancelled."""
    # "Skipped, still running" is what max_instances=1 is for; a duty logs its own faults.
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    scheduler = AsyncIOScheduler(
        jobstores={"default": MemoryJobStore()},
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        timezone="UTC",
    )
    leader = Leader(ctx, owner=owner)
    for name, seconds, act in duties(ctx, owner=owner):
        scheduler.add_job(
            do_duty,
            "interval",
            seconds=seconds,
            args=(ctx, leader, name, act),
            id=name,
            **_first(ctx, seconds),
        )
    scheduler.start()
    try:
        await asyncio.Event().wait()
    finally:
        scheduler.shutdown(wait=False)


def duties(ctx: Context, *, owner: str) -> list[tuple[str, float, Act]]:
    """Return every duty: its name, how often it ticks, and what is done."""
    return [
        ("ledger", SEQUENCE_SECONDS, sequence_ledger),
        ("reaper", REAP_SECONDS, partial(reap, owner=owner)),
        ("canary", CANARY_SECONDS, partial(tend_canaries, own=ctx)),
        ("inbound", INBOUND_SECONDS, partial(poll_carriers, own=ctx)),
        ("retention", RETAIN_SECONDS, retain),
    ]


def _first(ctx: Context, seconds: float) -> dict[str, datetime]:
    """When a duty ticks first, if that is sooner than its own interval."""
    if seconds <= FIRST_SECONDS_MAX:
        return {}
    return {"next_run_time": ctx.clock.now() + timedelta(seconds=FIRST_SECONDS_MAX)}


async def do_duty(ctx: Context, leader: Leader, name: str, act: Act) -> None:
    """Do a duty once, if it is ours. What goes wrong is logged: the next tick comes anyway."""
    try:
        if fence := await leader.take(name):
            await act(fenced(ctx, fence))
    except Fenced as fault:
        log.warning("duty.fenced", duty=name, error=str(fault))
    except StoreFault as fault:
        log.error("duty.failed", duty=name, error=str(fault))
    except Exception:  # a mistake of ours; APScheduler's own word of it is switched off above
        log.exception("duty.broke", duty=name)

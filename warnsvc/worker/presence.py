"""Presence: this process says that it lives, and keeps its time by the clock that all share.

    beat ──► settle in ──► beat, each second ──► … ──► leave, when asked to stop
                 └ late by five seconds: the others may have taken what we had claimed

A beat is a commit, so it also proves that the database takes writes. While it does not, that is
logged once and tried again, and the desk reads of it afterwards. It never ends by itself and takes
nothing down with it.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from warnsvc.service.alarm import tell_of_past
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.service.timekeeper import keep_time
from warnsvc.service.worker import (
    BEAT_SECONDS,
    DEAD_SECONDS,
    Process,
    beat,
    give_back,
    leave,
    settle_in,
)
from warnsvc.store.port import StoreFault
from warnsvc.worker.pulse import Pulse

log = structlog.get_logger(__name__)

MEASURE_BEATS = 10
"""The shared clock is measured with every tenth beat: quartz drifts 0.1 ms meanwhile."""
COUNTED_ON_SECONDS = DEAD_SECONDS - 1.0
"""We stop sending a second before the others begin to take over: a send takes its time."""
ALWAYS = datetime.min.replace(tzinfo=UTC)
"""Before our first beat there was no row, so nobody could take us for dead."""
OUTAGE_SECONDS = 5.0
"""A shorter one is a restart of the database or a hiccup, and no alarm."""


class Presence:
    """Keeps one process's row, and `pulse`, up to date."""

    def __init__(self, ctx: Context, process: Process, pulse: Pulse) -> None:
        self._ctx = ctx
        self._process = process
        self._pulse = pulse
        self._beats = 0
        self._settled_in = False
        self._owes = False
        """Whether we have claimed something that we may not send any more, and not said so yet."""

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self.try_step()

    async def try_step(self) -> None:
        """Beat once if the database lets us. An engine begins after the first one: what a process
        claims and leaves behind without ever having had a row is missed by nobody for a minute."""
        began_at = self._ctx.clock.now()
        try:
            await self.step()
        except StoreFault as fault:
            if self._pulse.away_since is None:
                self._pulse.away_since = began_at
                log.error("presence.database_away", error=str(fault))
        except Exception:  # whoever is silent here is missed by the others, and restarted
            log.exception("presence.failed")

    async def step(self) -> None:
        """Beat once. Raises StoreFault."""
        ctx, pulse = self._ctx, self._pulse
        seen_at = await beat(ctx, self._process, passed_at=pulse.passed_at)
        now = ctx.clock.now()
        if pulse.seen_at is not None and not _recent(pulse.seen_at, now):
            pulse.unbroken_since = now
            self._owes = ctx.store.dialect != "sqlite"
        pulse.unbroken_since = pulse.unbroken_since or ALWAYS
        pulse.seen_at = seen_at
        if not self._settled_in:
            await settle_in(ctx, self._process)
            self._settled_in = True
        if self._owes:
            # It is not sent any more, whether or not somebody has taken it.
            await give_back(ctx, self._process)
            self._owes = False
        if self._beats % MEASURE_BEATS == 0:
            await keep_time(ctx.store, ctx.clock)
        self._beats += 1
        await self._tell_of_outage(now)

    async def _tell_of_outage(self, now: datetime) -> None:
        """While it lasted nothing could be written down; now it can."""
        began_at = self._pulse.away_since
        if began_at is None:
            return
        seconds = (now - began_at).total_seconds()
        log.warning("presence.database_back", seconds=seconds)
        if seconds >= OUTAGE_SECONDS:
            async with self._ctx.store.unit() as unit:
                text = f"{self._process.owner.partition(':')[0]} {seconds:.0f}"
                await tell_of_past(unit, "database", text, began_at=began_at, now=now)
            await self._ctx.store.wake(WAKE_BOARD)
        self._pulse.away_since = None

    async def say_goodbye(self) -> None:
        """Leave in order; without a database the others will find out by themselves."""
        try:
            await leave(self._ctx, self._process)
        except StoreFault as fault:
            log.error("presence.goodbye_failed", error=str(fault))


def is_counted_on(ctx: Context, pulse: Pulse, claimed_at: datetime) -> bool:
    """Whether the others have counted on this process ever since it claimed something.

    If not, they may have made an unknown of it, and sending it would be a second copy. An SQLite
    file has no others.
    """
    if ctx.store.dialect == "sqlite" or pulse.seen_at is None or pulse.unbroken_since is None:
        return True
    return _recent(pulse.seen_at, ctx.clock.now()) and claimed_at >= pulse.unbroken_since


def _recent(seen_at: datetime, now: datetime) -> bool:
    return now - seen_at < timedelta(seconds=COUNTED_ON_SECONDS)

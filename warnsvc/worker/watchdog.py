"""The watchdog of one process: looks, remembers, and tells.

    every two seconds: audit ──► pulse (readyz, metrics)
                          └ leader: alarms for the desk, and the heartbeat to somewhere else

Every process looks for itself, so that a web process tells of workers that are all dead, but only
one of them writes the alarms. What is seen once may be on its way; what is seen twice running is
late. An audit that fails leaves `watched_at` where it was, and that is seen too. It never ends by
itself and takes nothing down with it.
"""

import asyncio
from collections.abc import Sequence

import structlog

from warnsvc.service.context import Context
from warnsvc.service.duty import Fenced, Leader, fenced
from warnsvc.service.watch import Finding, audit, clock_is_wrong, tell_desk, tell_of_clock
from warnsvc.store.port import StoreFault
from warnsvc.worker.pulse import Pulse

log = structlog.get_logger(__name__)

AUDIT_SECONDS = 2.0
"""Two looks and a commit are within the five seconds in which the desk must hear of it."""
DUTY = "watch"


class Watchdog:
    """Watches over one database, as one of several."""

    def __init__(self, ctx: Context, pulse: Pulse, *, owner: str) -> None:
        self._ctx = ctx
        self._pulse = pulse
        self._host = owner.partition(":")[0]
        self._leader = Leader(ctx, owner=owner)
        self._seen: frozenset[str] = frozenset()
        self._clock_told: bool | None = None
        """Whether the alarm about the clock is up; None: an earlier process may have left one."""
        self.leads = False
        """Whether this process is the one that tells the desk and the outside."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except StoreFault as fault:
                self.leads = False
                log.error("watchdog.cannot_look", error=str(fault))
            except Exception:  # a mistake here must not stop the calls, nor the next look
                self.leads = False
                log.exception("watchdog.failed")
            await asyncio.sleep(AUDIT_SECONDS)

    async def look(self) -> Sequence[Finding]:
        """Look once; returns what is late. Raises StoreFault."""
        seen = await audit(self._ctx)
        late = tuple(each for each in seen if each.what in self._seen)
        self._log_changes(late)
        self._seen = frozenset(each.what for each in seen)
        self._pulse.findings = late
        self._pulse.watched_at = self._ctx.clock.now()
        if clock_is_wrong(self._ctx) or self._clock_told is not False:
            self._clock_told = await tell_of_clock(self._ctx, self._host)
        await self._lead(late)
        return late

    async def _lead(self, late: Sequence[Finding]) -> None:
        try:
            fence = await self._leader.take(DUTY)
            self.leads = fence is not None
            if fence is not None:
                await tell_desk(fenced(self._ctx, fence), late)
        except Fenced as fault:
            self.leads = False
            log.warning("duty.fenced", duty=DUTY, error=str(fault))

    def _log_changes(self, late: Sequence[Finding]) -> None:
        known = {each.what for each in self._pulse.findings}
        for each in late:
            if each.what not in known:
                log.error("watchdog.late", what=each.what, count=each.count, seconds=each.seconds)
        for what in known - {each.what for each in late}:
            log.warning("watchdog.caught_up", what=what)

"""The engine loop: apply what came in, do what is due, sleep until the next due row or a wake.

    wake (this process, NOTIFY) ─┐
    next due row ────────────────┼─► pass: inbound facts ► deadlines, rounds ► outbox wakes
    one second ──────────────────┘

Deadlines live in columns; the loop holds nothing that a restart could lose. A database that is away
is waited for. `Pulse.passed_at` moves only when a whole pass has been completed.
"""

import asyncio
import contextlib
from datetime import datetime

import structlog

from warnsvc.outbox import Outbox
from warnsvc.service.context import WAKE_BOARD, WAKE_FACTS, WAKE_WORK, Context
from warnsvc.service.inbound import apply_inbound
from warnsvc.service.sweep import sweep
from warnsvc.store.due import next_decision
from warnsvc.store.port import StoreFault
from warnsvc.worker.duty import run_duties
from warnsvc.worker.pulse import Pulse

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
"""The clock behind the wake-ups: a lost NOTIFY delays by so much at the most."""
GATHER_SECONDS = 0.03
"""A pass waits so long after one that had work: facts that arrive together are applied together,
and an answer still stops a call within a tenth of a second."""
DRAIN_SECONDS = 10.0
"""How long sends that are under way may take when we are asked to stop."""


class Engine:
    """One process's share of the work."""

    def __init__(self, ctx: Context, outbox: Outbox, *, owner: str, pulse: Pulse) -> None:
        self._ctx = ctx
        self._outbox = outbox
        self._owner = owner
        self._pulse = pulse
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled; then let sends that are under way end."""
        running = asyncio.create_task(self._outbox.run(), name="outbox")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(), name="engine-listen")
                group.create_task(self._decide(), name="engine-decide")
                group.create_task(run_duties(self._ctx, owner=self._owner), name="engine-duties")
                group.create_task(_watch(running), name="engine-outbox")
        finally:
            await self._outbox.drain(DRAIN_SECONDS)
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def _listen(self) -> None:
        while True:
            try:
                async with self._ctx.store.listen() as topics:
                    async for topic in topics:
                        if topic in {WAKE_WORK, WAKE_FACTS}:
                            self._wake.set()
                        if topic not in {WAKE_FACTS, WAKE_BOARD}:
                            self._outbox.wake()
            except StoreFault as fault:
                log.error("engine.listen_failed", error=str(fault))
            await asyncio.sleep(POLL_SECONDS)

    async def _decide(self) -> None:
        while True:
            self._wake.clear()
            began_at = self._ctx.clock.now()
            try:
                done = await self.one_pass()
                if done:
                    await asyncio.sleep(GATHER_SECONDS)
                    continue
                pause = await self._pause(began_at)
            except StoreFault as fault:
                log.error("engine.pass_failed", error=str(fault))
                pause = POLL_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    async def one_pass(self) -> int:
        """Apply a batch of facts and everything that is due; returns how much there was."""
        done = await apply_inbound(self._ctx) + await sweep(self._ctx)
        self._pulse.passed_at = self._ctx.clock.now()
        return done

    async def _pause(self, began_at: datetime) -> float:
        """How long nothing will be due.

        What was due before this pass and is so still cannot be hurried, and hides nothing that is
        due later: a bulletin that cannot be swept.
        """
        async with self._ctx.store.view() as unit:
            due_at = await next_decision(unit, after=began_at)
        if due_at is None:
            return POLL_SECONDS
        seconds = (due_at - self._ctx.clock.now()).total_seconds()
        return max(0.001, min(seconds, POLL_SECONDS))


async def _watch(outbox: asyncio.Task[None]) -> None:
    """Fail the engine when the outbox fails: half an engine must not look alive."""
    await asyncio.shield(outbox)

"""One process's outbox: the tasks that claim, send, record and look up."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import count

import structlog

from channels.base import Channel, Inquiry, ReceiptEvent
from warnsvc.outbox.claim import Claimer
from warnsvc.outbox.lane import Lane
from warnsvc.outbox.recall import recall_lifted, recall_overdue
from warnsvc.outbox.record import RECORD_EVERY_SECONDS, Recorder
from warnsvc.service.context import Context
from warnsvc.service.unknown import LookedUp, resolve_unknowns
from warnsvc.store.attempt import due_unknowns
from warnsvc.store.port import Row, StoreFault

log = structlog.get_logger(__name__)

IDLE_SECONDS = 1.0
"""The poll behind the wake-ups."""
NAP_SECONDS = 0.005
"""The shortest wait for a slot: shorter ones cost more than they save."""
RESOLVE_BATCH = 100
RECALL_SECONDS = 2.0
"""How often it is looked whether something was lifted whose calls wait at a carrier."""
OVERDUE_TURNS = 5
"""In each so many turns calls that come too late are looked for: with 100,000 people for 0.2 s."""


def _always(_claimed_at: datetime) -> bool:
    return True


class Outbox:
    """Sends what is due through the channels of this process."""

    def __init__(
        self,
        ctx: Context,
        channels: Mapping[str, Channel],
        *,
        owner: str,
        alive: Callable[[datetime], bool] = _always,
    ) -> None:
        """`channels`: the carriers, by whatever keys. `alive`: whether the others have counted on
        us since an instant."""
        self._ctx = ctx
        self._channels = {channel.name: channel for channel in channels.values()}
        self._recorder = Recorder(ctx, self._channels, owner=owner, recorded=self._off_hands)
        self._lanes = {
            name: Lane(
                ctx,
                channel,
                concurrency=ctx.settings.dispatch_concurrency,
                alive=alive,
                done=self._recorder.add,
                hungry=self.wake,
            )
            for name, channel in self._channels.items()
        }
        self._claimer = Claimer(ctx, self._lanes, owner=owner, done=self._recorder.add)
        self._wake = asyncio.Event()
        self._in_flight = 0
        self._stopping = False

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    @property
    def in_flight(self) -> int:
        """Claimed and not yet recorded."""
        return self._in_flight

    async def drain(self, seconds: float) -> None:
        """Claim no more, and wait so long for what is under way to be recorded."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._in_flight:  # noqa: ASYNC110 - many tasks lower it
                    await asyncio.sleep(RECORD_EVERY_SECONDS)

    async def run(self) -> None:
        """Claim, send and record until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._claim_forever(), name="outbox-claim")
            group.create_task(self._recorder.run(), name="outbox-record")
            group.create_task(self._resolve_forever(), name="outbox-resolve")
            group.create_task(self._recall_forever(), name="outbox-recall")
            for lane in self._lanes.values():
                for n in range(lane.concurrency):
                    group.create_task(lane.send_forever(), name=f"outbox-{lane.name}-{n}")

    async def step(self) -> int:
        """Claim one batch, send it in its order, record it; returns how many were claimed.

        What `run` does with many tasks at once, in one: for tests and for virtual time. An outcome
        that cannot be recorded is kept for the next step. Raises StoreFault.
        """
        taken = await self.claim()
        await self.send()
        await self.record()
        return taken

    async def send(self) -> None:
        """Send what is claimed, one after another."""
        for lane in self._lanes.values():
            await lane.send_all()

    async def record(self) -> None:
        """Write what has gathered. Raises StoreFault."""
        await self._recorder.flush()

    async def claim(self) -> int:
        """Claim what every lane has room for; returns how many. Raises StoreFault."""
        if self._stopping:
            return 0
        taken = await self._claimer.claim()
        self._in_flight += taken
        return taken

    def _off_hands(self, count: int) -> None:
        self._in_flight -= count
        self._wake.set()

    async def _claim_forever(self) -> None:
        while True:
            self._wake.clear()
            try:
                taken = await self.claim()
            except StoreFault as fault:
                log.error("outbox.claim_failed", error=str(fault))
                taken = 0
            if not taken:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._pause())

    def _pause(self) -> float:
        """How long nothing can be claimed, unless somebody wakes us."""
        at = self._claimer.opens_at
        if at is None:
            return IDLE_SECONDS
        seconds = (at - self._ctx.clock.now()).total_seconds()
        return min(IDLE_SECONDS, max(NAP_SECONDS, seconds))

    # Unknown ---------------------------------------------------------------------------------

    async def _resolve_forever(self) -> None:
        while True:
            await asyncio.sleep(IDLE_SECONDS)
            try:
                await self.resolve()
            except StoreFault as fault:
                log.error("outbox.resolve_failed", error=str(fault))

    async def _recall_forever(self) -> None:
        for turn in count(1):
            await asyncio.sleep(RECALL_SECONDS)
            try:
                await self.recall()
                if turn % OVERDUE_TURNS == 0:
                    await self.recall_overdue()
            except StoreFault as fault:
                log.error("outbox.recall_failed", error=str(fault))

    async def recall(self) -> int:
        """Take back calls about what was lifted; returns how many. Raises StoreFault."""
        return await recall_lifted(self._ctx, self._channels)

    async def recall_overdue(self) -> int:
        """Take back calls that come too late; returns how many. Raises StoreFault."""
        return await recall_overdue(self._ctx, self._channels)

    async def resolve(self) -> int:
        """Look up the unknowns that are due; returns how many."""
        async with self._ctx.store.view() as unit:
            rows = await due_unknowns(unit, now=self._ctx.clock.now(), limit=RESOLVE_BATCH)
        channels = [self._asked_about(row) for row in rows]
        answers = await asyncio.gather(
            *(self._look_up(c, row) for c, row in zip(channels, rows, strict=True))
        )
        looked_up = [
            LookedUp(
                attempt_id=row["id"],
                send_count=row["send_count"],
                bulletin_id=row["bulletin_id"],
                channel=channel,
                seen=seen,
            )
            for row, channel, seen in zip(rows, channels, answers, strict=True)
        ]
        await resolve_unknowns(self._ctx, looked_up)
        return len(rows)

    def _asked_about(self, row: Row) -> Channel | None:
        """The carrier that has it; that of its kind, when its sender died before he wrote it."""
        if row["carrier"]:  # nobody else knows of it: he would say that it was never seen
            return self._channels.get(row["carrier"])
        kind = row["channel"]
        same = (c for c in self._channels.values() if c.capabilities.kind == kind)
        return next(same, None)

    async def _look_up(self, channel: Channel | None, row: Row) -> list[ReceiptEvent] | None:
        """Return what the carrier knows of a try; None when it does not say."""
        if channel is None or not channel.capabilities.can_lookup:
            return None
        try:
            return await channel.lookup(self._inquiry(row))
        except Exception:  # a mistake in an adapter must not stop the others
            log.exception("outbox.lookup_raised", attempt=row["id"], channel=channel.name)
            return None

    def _inquiry(self, row: Row) -> Inquiry:
        return Inquiry(
            token=self._ctx.token("attempt", row["id"]),
            to=row["address"],
            text=row["text"],
            sent_at=row["sent_at"],
            reference=row["reference"] or "",
        )

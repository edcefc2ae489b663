"""Intake: a verified callback becomes a row on disk before the carrier hears 2xx (law 4).

Requests that arrive together share one commit: the first opens a unit, and whoever comes while it
is being written goes into the next. It applies nothing; `warnsvc.service.inbound` does.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime

from channels.base import Channel, ReceiptEvent
from warnsvc.service.context import WAKE_FACTS, Context
from warnsvc.store.inbound import Inbound, clean, insert_inbound

BATCH_MAX = 1_000
"""Facts in one commit: what a writer takes in about 50 ms."""
WAITING_MAX = 20_000
"""Facts that may wait for the disk; beyond that the carrier is told to come again."""


def receipt_fact(ctx: Context, channel: Channel, event: ReceiptEvent, now: datetime) -> Inbound:
    """Return a carrier's word as a fact; the same, whether it was posted to us or looked up."""
    said: dict[str, object] = {"word": event.word.value, "reference": clean(event.reference)}
    if event.error_class is not None:
        said["error_class"] = event.error_class.value
    if event.code:
        said["code"] = clean(event.code)
    if event.heard_seconds is not None:
        said["heard_ms"] = int(event.heard_seconds * 1000)
    return Inbound(
        kind="receipt",
        carrier=channel.name,
        channel=channel.capabilities.kind.value,
        dedupe_key=f"r:{event.dedupe_key}",
        received_at=now,
        attempt_id=ctx.read_token("attempt", event.token),
        fact_json=json.dumps(said, ensure_ascii=False, separators=(",", ":")),
    )


class IntakeFull(Exception):
    """The disk does not keep up. Answer 503: the carrier repeats itself."""


class Intake:
    """Collects facts and commits them together."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._waiting: list[tuple[Sequence[Inbound], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def accept(self, facts: Sequence[Inbound]) -> None:
        """Return once the facts are durable. Raises IntakeFull, StoreFault: none was accepted."""
        if not facts:
            return
        if len(self._waiting) >= WAITING_MAX:
            raise IntakeFull
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((facts, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="intake")
        await done

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            try:
                async with self._ctx.store.unit() as unit:
                    await insert_inbound(unit, [fact for facts, _ in batch for fact in facts])
            except Exception as fault:  # every request that waits must hear of it
                for _, done in batch:
                    if not done.done():
                        done.set_exception(fault)
                continue
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
            await self._ctx.store.wake(WAKE_FACTS)

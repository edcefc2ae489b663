"""Intake: a verified callback becomes a row on disk before the carrier hears 2xx (law 4).

Requests that arrive together share one commit: the first opens a unit, and whoever comes while it
is being written goes into the next. When the database does not take them, or says nothing for too
long, they go into the spool (`warnsvc.service.backlog`), and 2xx is as true as before. It applies
nothing; `warnsvc.service.inbound` does.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime

import structlog

from channels.base import Channel, InboundEvent, ReceiptEvent
from warnsvc.service.backlog import Backlog
from warnsvc.service.context import WAKE_FACTS, Context
from warnsvc.service.reference import BY_REFERENCE
from warnsvc.service.test_word import TOKEN as TEST
from warnsvc.spool_file import SpoolFault
from warnsvc.store.inbound import Inbound, clean, insert_inbound
from warnsvc.store.port import StoreBusy, StoreFault
from warnsvc.token import read_cut_token

log = structlog.get_logger(__name__)

BATCH_MAX = 1_000
"""Facts in one commit: what a writer takes in about 50 ms."""
WAITING_MAX = 20_000
"""Facts that may wait for the disk; beyond that the carrier is told to come again."""
SPOOL_AFTER_SECONDS = 3.0
"""A commit that takes longer waits for something that may not come, such as a synchronous standby.
Carriers give up after 15 s (Twilio), and some after 5."""
HEARD_SECONDS_MAX = 86_400.0
"""No call lasts longer, whatever its carrier counts."""
ATTEMPT = "attempt"


def receipt_fact(ctx: Context, channel: Channel, event: ReceiptEvent, now: datetime) -> Inbound:
    """Return a carrier's word as a fact; the same, whether it was posted to us or looked up."""
    said: dict[str, object] = {"word": event.word.value, "reference": clean(event.reference)}
    if event.reference and not event.token and channel.capabilities.receipts_by_reference:
        said[BY_REFERENCE] = True
    if event.error_class is not None:
        said["error_class"] = event.error_class.value
    if event.code:
        said["code"] = clean(event.code)
    if event.heard_seconds is not None:
        said["heard_ms"] = int(min(event.heard_seconds, HEARD_SECONDS_MAX) * 1000)
    return Inbound(
        kind="receipt",
        carrier=channel.name,
        channel=channel.capabilities.kind.value,
        dedupe_key=receipt_key(channel.name, event.dedupe_key),
        received_at=now,
        attempt_id=named_attempt(ctx, event.token),
        fact_json=json.dumps(said, ensure_ascii=False, separators=(",", ":")),
    )


def receipt_key(carrier: str, key: str) -> str:
    """Return the key of a receipt's fact: that of the event, among all of that carrier's."""
    return f"r:{carrier}:{key}"


def answer_fact(ctx: Context, channel: Channel, event: InboundEvent, now: datetime) -> Inbound:
    """Return a person's word as a fact; the same, whether it was posted to us or fetched."""
    return Inbound(
        kind="answer",
        carrier=channel.name,
        channel=channel.capabilities.kind.value,
        dedupe_key=f"a:{channel.name}:{event.dedupe_key}",
        received_at=now,
        attempt_id=named_attempt(ctx, event.token) if event.token else None,
        sender=event.sender,
        text=event.text,
    )


def named_attempt(ctx: Context, token: str) -> int | None:
    """Return the attempt that a genuine event names, though its carrier cut the token short."""
    return _named(ctx, ATTEMPT, token)


def named_test(ctx: Context, token: str) -> int | None:
    """Return the test that a genuine event names: nothing of it goes among the facts."""
    return _named(ctx, TEST, token)


def _named(ctx: Context, kind: str, token: str) -> int | None:
    row_id = ctx.read_token(kind, token)
    return row_id if row_id is not None else read_cut_token(ctx.keys, kind, token)


class IntakeFull(Exception):
    """The disk does not keep up. Answer 503: the carrier repeats itself."""


class NotKept(StoreFault):
    """Neither the database nor the spool could keep it. Answer 503: the carrier comes again."""


_Waiting = list[tuple[Sequence[Inbound], "asyncio.Future[None]"]]


class Intake:
    """Collects facts and commits them together. Without a backlog a fault is told at once."""

    def __init__(self, ctx: Context, *, backlog: Backlog | None = None) -> None:
        self._ctx = ctx
        self._backlog = backlog
        self._waiting: _Waiting = []
        self._writer: asyncio.Task[None] | None = None
        self._waker: asyncio.Task[None] | None = None
        self._unheard = False
        self._hanging: set[asyncio.Task[None]] = set()

    @property
    def spooled(self) -> int:
        """How many facts wait in the spool for the database."""
        return 0 if self._backlog is None else self._backlog.waiting

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

    async def open(self) -> None:
        """Begin with what an earlier process left in the spool: it came first."""
        if self._backlog is not None:
            await self._backlog.open()

    async def close(self) -> None:
        """Finish what waits and let go of the spool."""
        tasks = [task for task in (self._writer, self._waker) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._backlog is not None:
            await self._backlog.close()

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            facts = [fact for some, _ in batch for fact in some]
            try:
                if self._backlog is None:
                    await self._commit(facts)
                else:
                    await self._keep(self._backlog, facts)
            except Exception as fault:  # every request that waits must hear of it
                for _, done in batch:
                    if not done.done():
                        done.set_exception(fault)
                continue
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    async def _commit(self, facts: Sequence[Inbound]) -> None:
        async with self._ctx.store.unit() as unit:
            await insert_inbound(unit, facts)
        self._wake()

    async def _keep(self, backlog: Backlog, facts: Sequence[Inbound]) -> None:
        """Put them into the database, or behind what waits for it already."""
        fault: BaseException | None = None
        if not backlog.holds:
            fault = await self._fault_of_commit(facts)
            if fault is None:
                return
            log.error("intake.not_committed", facts=len(facts), error=repr(fault))
        try:
            await backlog.keep(facts)
        except SpoolFault as full:
            log.error("intake.not_kept", facts=len(facts), error=str(full))
            raise NotKept(str(full)) from fault

    async def _fault_of_commit(self, facts: Sequence[Inbound]) -> BaseException | None:
        """Commit; return what went wrong. A commit that hangs is left to itself: if it succeeds
        after all, the same facts come out of the spool as repeats."""
        commit = asyncio.create_task(self._commit(facts), name="intake-commit")
        done, _ = await asyncio.wait({commit}, timeout=SPOOL_AFTER_SECONDS)
        if done:
            return commit.exception()
        self._hanging.add(commit)
        commit.add_done_callback(self._has_ended)
        return StoreBusy(f"the database said nothing for {SPOOL_AFTER_SECONDS:.0f} s")

    def _has_ended(self, commit: "asyncio.Task[None]") -> None:
        self._hanging.discard(commit)
        if not commit.cancelled():
            log.warning("intake.commit_ended_late", error=repr(commit.exception()))

    def _wake(self) -> None:
        """Wake the engine without waiting for it: the next batch must not wait behind a NOTIFY."""
        self._unheard = True
        if self._waker is None or self._waker.done():
            self._waker = asyncio.create_task(self._wake_engine(), name="intake-wake")

    async def _wake_engine(self) -> None:
        while self._unheard:
            self._unheard = False
            await self._ctx.store.wake(WAKE_FACTS)

"""The backlog: facts that the database could not take, spooled, and brought in when it can.

    fact ──► database                        as ever
      └ it is away, full, or silent ──► spool ──► 2xx ──► database, when it is back ──► engine

What the carrier heard 2xx for is on a disk of ours in both cases (law 4). While anything waits in
the spool, whatever comes after it goes through the spool too. So one web process brings its facts
in the order in which it took them; between several processes there is no order, and there never
was. A fact that was spooled and had reached the database all the same changes nothing: it has its
key.

The database hears of it too: an alarm that is raised with the first facts and ends with the last.
That row is written in every unit of the backlog, also where all facts are repeats, because a commit
that writes nothing does not wait for a synchronous standby, and the spool must not be let go of
before the standby has it. A record that the database refuses for its own sake is set aside for a
human, so that the others go on.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TypeVar

import structlog

from warnsvc.service.context import WAKE_BOARD, WAKE_FACTS, Context
from warnsvc.service.fault import is_databases_own
from warnsvc.spool import Portion, Spool
from warnsvc.spool_file import SpoolFault
from warnsvc.store.inbound import Inbound, insert_inbound, tidy
from warnsvc.store.port import Unit
from warnsvc.store.runner import Runner, ThreadRunner

log = structlog.get_logger(__name__)

T = TypeVar("T")

RETRY_SECONDS = 1.0
"""Between two tries at a database that is away; the engine polls at the same pace."""
PORTION_MAX = 1_000
"""Facts brought in by one unit, as the intake commits them."""


class Backlog:
    """The facts of one web process that wait in its spool. Used from the event loop only."""

    def __init__(
        self, ctx: Context, spool: Spool, *, runner: Callable[[str], Runner] = ThreadRunner
    ) -> None:
        self._ctx = ctx
        self._spool = spool
        self._make_runner = runner
        self._runner: Runner | None = None
        self._drain: asyncio.Task[None] | None = None
        self._appending = 0
        self._appended = asyncio.Event()
        self._alarm_id: int | None = None
        self._raised_at: datetime | None = None
        self._brought = 0

    @property
    def waiting(self) -> int:
        """How many facts are in the spool and not in the database."""
        return self._spool.waiting

    @property
    def holds(self) -> bool:
        """Whether something waits, so that whatever comes must wait behind it."""
        return self._appending > 0 or self._drain is not None

    async def open(self) -> None:
        """Take the folder, and bring in what an earlier process left.

        A spool that cannot be used is told and not raised: calling people goes before it.
        """
        try:
            waiting = await self._run(self._spool.open)
        except SpoolFault as fault:
            log.error("spool.unusable", error=str(fault))
            return
        if waiting or self._spool.damaged:
            log.error("spool.found", waiting=waiting, damaged=self._spool.damaged)
            self._begin()

    async def keep(self, facts: Sequence[Inbound]) -> None:
        """Return when these facts are in the spool. Raises SpoolFault: they are nowhere."""
        self._appending += 1
        try:
            records = [record_of(fact) for fact in facts]
            await self._run(lambda: self._spool.append(records))
        finally:
            self._appending -= 1
            self._appended.set()
        if self._drain is None:
            log.error("spool.began", facts=len(facts))
            self._raised_at = facts[0].received_at
            self._begin()

    async def close(self) -> None:
        """Stop bringing in; what waits stays in the spool."""
        if self._drain is not None:
            self._drain.cancel()
            await asyncio.gather(self._drain, return_exceptions=True)
        if self._runner is not None:
            await self._runner.run(self._spool.close)
            self._runner.close()
            self._runner = None

    async def drained(self) -> None:
        """Return when nothing waits any more."""
        while self._drain is not None:
            await asyncio.wait({self._drain})

    def _begin(self) -> None:
        self._drain = asyncio.create_task(self._bring_in(), name="backlog")

    async def _run(self, call: Callable[[], T]) -> T:
        if self._runner is None:
            self._runner = self._make_runner("spool")
        return await self._runner.run(call)

    # Bringing in -----------------------------------------------------------------------------

    async def _bring_in(self) -> None:
        """Try until nothing waits. Only then do facts go to the database directly again."""
        told = False
        while self._appending or self._spool.waiting or self._spool.damaged:
            try:
                await self._bring_portion()
            except Exception as fault:  # whatever it is, the facts wait and the next try comes
                if not (told and is_databases_own(fault)):
                    log.error("spool.waits", waiting=self.waiting, error=repr(fault))
                told = True
                await asyncio.sleep(RETRY_SECONDS)
        log.warning("spool.drained", facts=self._brought)
        self._drain, self._alarm_id, self._raised_at, self._brought = None, None, None, 0

    async def _bring_portion(self) -> None:
        self._appended.clear()
        portion = await self._run(lambda: self._spool.read(PORTION_MAX))
        if not portion.records and not self._spool.damaged:
            if self._appending:
                await self._appended.wait()
            return
        facts = [fact for record in portion.records if (fact := fact_of(record)) is not None]
        try:
            await self._commit(facts, portion)
            refused = [record for record in portion.records if fact_of(record) is None]
        except Exception as fault:
            if is_databases_own(fault) or isinstance(fault, SpoolFault):
                raise
            log.exception("spool.portion_failed")
            refused = await self._commit_singly(portion)
        if refused:
            log.error("spool.refused", records=len(refused))
            await self._run(lambda: self._spool.refuse(refused))
        if portion.records:
            await self._run(lambda: self._spool.drop(portion))
        await self._ctx.store.wake(WAKE_FACTS, WAKE_BOARD)

    async def _commit(self, facts: Sequence[Inbound], portion: Portion) -> None:
        damaged = list(self._spool.damaged)
        last = not self._appending and self._spool.waiting == len(portion.records)
        now = self._ctx.clock.now()
        async with self._ctx.store.unit() as unit:
            if facts:
                await insert_inbound(unit, facts)
            for name in damaged:
                await _raise(unit, f"{self._owner} {name}", now, None)
            alarm_id = await self._tell(unit, facts, now, now if last else None)
        self._alarm_id = alarm_id
        self._brought += len(facts)
        del self._spool.damaged[: len(damaged)]

    async def _commit_singly(self, portion: Portion) -> list[bytes]:
        """Find the records that spoil the portion; every other one is brought in."""
        refused: list[bytes] = []
        for record in portion.records:
            fact = fact_of(record)
            try:
                if fact is None:
                    raise ValueError("a record that is no fact")
                await self._commit([fact], portion)
            except Exception as fault:
                if is_databases_own(fault):
                    raise
                refused.append(record)
        return refused

    # Telling the desk ------------------------------------------------------------------------

    async def _tell(
        self, unit: Unit, facts: Sequence[Inbound], now: datetime, ended_at: datetime | None
    ) -> int | None:
        """Keep the alarm: since when, how many, and whether it is over."""
        alarm_id = self._alarm_id or await self._left_open(unit)
        if alarm_id is None and not facts:
            return None
        text = f"{self._owner}: {self._brought + len(facts)}"
        if alarm_id is None:
            raised_at = self._raised_at or facts[0].received_at
            return await _raise(unit, text, raised_at, ended_at)
        await unit.execute(
            "UPDATE alarm SET text = $2, ended_at = $3 WHERE id = $1", alarm_id, text, ended_at
        )
        return alarm_id

    async def _left_open(self, unit: Unit) -> int | None:
        """Return the alarm of an earlier process that had this spool."""
        row = await unit.fetch_one(
            "SELECT id FROM alarm WHERE kind = 'spool' AND ended_at IS NULL AND text LIKE $1"
            " ORDER BY id LIMIT 1",
            f"{self._owner}: %",
        )
        return None if row is None else int(row["id"])

    @property
    def _owner(self) -> str:
        """Where the spool is, as the desk reads it: this host, and which of its folders."""
        return f"{socket.gethostname()}/{self._spool.slot}"


async def _raise(unit: Unit, text: str, raised_at: datetime, ended_at: datetime | None) -> int:
    (alarm_id,) = await unit.new_ids("alarm", 1)
    await unit.insert_rows(
        "alarm",
        ("id", "kind", "text", "raised_at", "ended_at"),
        [(alarm_id, "spool", text, raised_at, ended_at)],
    )
    return int(alarm_id)


def record_of(fact: Inbound) -> bytes:
    """Return a fact as the spool keeps it: one line of JSON."""
    fields = asdict(tidy(fact))
    fields["received_at"] = fact.received_at.isoformat()
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def fact_of(record: bytes) -> Inbound | None:
    """Return the fact again, or None when it is none that we know."""
    try:
        fields = json.loads(record)
        fields["received_at"] = datetime.fromisoformat(fields["received_at"])
        return Inbound(**fields)
    except (ValueError, TypeError, KeyError):
        return None

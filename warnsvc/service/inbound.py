"""Applying inbound facts: receipts raise attempts, answers move callouts, in order, exactly once.

    new facts ─┬─ answers  (`inbound_answer`)  ─► callouts ─┬─► one case a bulletin ─► rows, lines
               └─ receipts (`inbound_receipt`) ─► attempts ─┘   (`inbound_work`)

Facts are taken in batches; should a batch fail, its facts are applied one by one, and one that
keeps failing is set aside with an alarm so that the others go on.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog

from warnsvc.core.ledger import Line
from warnsvc.service.circuit import tell_of_account
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.service.fault import is_databases_own
from warnsvc.service.inbound_answer import sort_answers
from warnsvc.service.inbound_half import with_heard
from warnsvc.service.inbound_receipt import (
    decided_by,
    named,
    read_receipt,
    refusing_us,
    sort_receipts,
)
from warnsvc.service.inbound_work import States, Work, apply_to_bulletin
from warnsvc.store.bulletin import load_bulletins
from warnsvc.store.inbound import count_try, mark, take_new
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Row, RowBusy, Unit

log = structlog.get_logger(__name__)

BATCH = 1_000
"""Facts in one unit: about 0.2 s of work, so that a deadline never waits longer behind it."""


async def apply_inbound(ctx: Context) -> int:
    """Apply the next batch; returns how many facts were taken. Call again while it is full.

    Raises StoreFault when the database is at fault: that is no fact's doing, and none is blamed.
    """
    try:
        return await _apply_batch(ctx)
    except RowBusy as busy:
        # Somebody holds a bulletin for long, as a worker does that was cut off: windows go on.
        log.warning("inbound.bulletin_held", error=str(busy))
        return 0
    except Exception as fault:
        if is_databases_own(fault):
            raise
        log.exception("inbound.batch_failed")
        return await _apply_singly(ctx)


async def _apply_singly(ctx: Context) -> int:
    """Find the fact that spoils the batch; every other one is applied."""
    async with ctx.store.view() as unit:
        rows = await unit.fetch(
            "SELECT id FROM inbound WHERE state = 'new' ORDER BY id LIMIT $1", BATCH
        )
    for row in rows:
        try:
            await _apply_batch(ctx, only=row["id"])
        except Exception as fault:
            if is_databases_own(fault):
                raise
            log.exception("inbound.fact_failed", inbound=row["id"])
            await _count_try(ctx, row["id"])
    return len(rows)


async def _count_try(ctx: Context, inbound_id: int) -> None:
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        if await count_try(unit, inbound_id):
            await _set_aside(unit, inbound_id, now)


async def _set_aside(unit: Unit, inbound_id: int, now: datetime) -> None:
    """Tell the desk of a fact that keeps failing; the others go on without it."""
    (alarm_id,) = await unit.new_ids("alarm", 1)
    await unit.insert_rows(
        "alarm",
        ("id", "kind", "text", "raised_at"),
        [(alarm_id, "poison", str(inbound_id), now)],
    )
    line = Line(act="inbound.poison", data={"inbound": inbound_id})
    await append_lines(unit, [line], now=now)


async def _apply_batch(ctx: Context, *, only: int | None = None) -> int:
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        facts = await take_new(unit, BATCH, only=only)
        if not facts:
            return 0
        states: States = []
        work = await _sorted(ctx, unit, facts, states, now)
        planned = await _apply_work(ctx, unit, work, now)
        await mark(unit, states)
    for carrier, code in refusing_us(facts).items():
        await tell_of_account(ctx, carrier, code)
    # The outbox is woken only when there is something new to send: facts come by the thousand.
    await ctx.store.wake(WAKE_BOARD, *((WAKE_WORK,) if planned else ()))
    return len(facts)


async def _sorted(
    ctx: Context, unit: Unit, facts: Sequence[Row], states: States, now: datetime
) -> dict[int, Work]:
    """Return what facts mean, by bulletin: held, because something is decided about them."""
    work: dict[int, Work] = {}
    said = [read_receipt(fact) for fact in facts if fact["kind"] == "receipt"]
    receipts = await with_heard(unit, await named(unit, said, states, now))
    await sort_answers(unit, [f for f in facts if f["kind"] == "answer"], work, states, now)
    # Bulletins before attempts, as everybody who decides takes them.
    await unit.lock_bulletins({*work, *await decided_by(unit, receipts)})
    await sort_receipts(ctx, unit, receipts, work, states, now)
    return work


async def _apply_work(ctx: Context, unit: Unit, work: dict[int, Work], now: datetime) -> bool:
    """Let each bulletin's case decide. Returns whether there is something to send."""
    bulletins = await load_bulletins(unit, sorted(work))
    planned = [
        await apply_to_bulletin(ctx, unit, *bulletins[bulletin_id], item, now)
        for bulletin_id, item in sorted(work.items())
    ]
    return any(planned)

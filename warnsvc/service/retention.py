"""Retention: what is kept for how long, and what is taken away when nobody reads it any more.

    a parked receipt  24 hours ──► unmatched: a human sees it among what nobody could place
    a reference       while its receipt may come, and 30 days more ──► deleted
    a test            the days of `tests_kept_days` ──► deleted, but for those that are still read
    everything else: bulletins, attempts, receipts, answers, the ledger ──► for ever

A duty that ticks seldom. Each portion is a unit of its own, so that no decision and no send waits
for long behind it; what is too much for one tick is left to the next. Deleting twice changes
nothing, and raises no alarm. It never touches what belongs to a warning.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Protocol

import structlog

from warnsvc.core.ledger import Line
from warnsvc.service.canary_silence import load_judged
from warnsvc.service.carrier_view import LAST_TESTS
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit
from warnsvc.store.reference import PARKED_FOR, Key
from warnsvc.store.retention import (
    awaited_references,
    carriers_with_tests,
    delete_awaited,
    delete_spent,
    delete_tests,
    give_up_parked,
    spent_references,
)
from warnsvc.store.test_send import last_of_carriers

log = structlog.get_logger(__name__)

PORTION = 500
"""Rows in one unit: less than a tenth of a second on either database, most of it the commit."""
PORTIONS_MAX = 40
"""Units of a kind in one tick. A hundred thousand texts are forgotten within five of them."""
REFERENCE_KEPT = timedelta(days=30)
"""After the send, and after its time was over. SMS centres try for three days as a rule, and then
report; the rest is for a carrier that clears its backlog after an outage of weeks."""


class _Find(Protocol):
    """Finds references from before an instant."""

    async def __call__(self, view: Unit, *, before: datetime, limit: int) -> list[Key]: ...


class _Delete(Protocol):
    """Deletes them, and says how many."""

    async def __call__(self, unit: Unit, keys: Sequence[Key], *, before: datetime) -> int: ...


async def retain(ctx: Context) -> int:
    """Take away what is over; returns how many rows. Raises StoreFault: the next tick goes on."""
    now = ctx.clock.now()
    parked = await _give_up_parked(ctx, now - PARKED_FOR)
    awaited = await _forget(ctx, awaited_references, delete_awaited, now - PARKED_FOR)
    spent = await _forget(ctx, spent_references, delete_spent, now - REFERENCE_KEPT)
    tests = await _delete_tests(ctx, kept_since(ctx, now), now)
    if parked:
        await ctx.store.wake(WAKE_BOARD)
    if done := parked + awaited + spent + tests:
        log.info("retention.done", receipts=parked, references=awaited + spent, tests=tests)
    return done


def kept_since(ctx: Context, now: datetime) -> datetime:
    """Return the beginning of the first day whose tests are kept.

    Whole days of the desk go at once, so that the ledger has a line a day and not one an hour.
    """
    day = ctx.local_day(now) - timedelta(days=ctx.settings.tests_kept_days)
    return datetime.combine(day, time.min, tzinfo=ctx.settings.zone).astimezone(UTC)


async def _give_up_parked(ctx: Context, before: datetime) -> int:
    async def portion(unit: Unit) -> int:
        return await give_up_parked(unit, before=before, limit=PORTION)

    return await _in_portions(ctx, portion)


async def _forget(ctx: Context, find: _Find, delete: _Delete, before: datetime) -> int:
    """Find references beside everything else (it reads the whole table), and delete them."""
    async with ctx.store.view() as view:
        keys = await find(view, before=before, limit=PORTION * PORTIONS_MAX)
    done = 0
    for start in range(0, len(keys), PORTION):
        async with ctx.store.unit() as unit:
            done += await delete(unit, keys[start : start + PORTION], before=before)
        await asyncio.sleep(0)
    return done


async def _delete_tests(ctx: Context, before: datetime, now: datetime) -> int:
    async with ctx.store.view() as view:
        carriers = await carriers_with_tests(view, before=before)
    done = 0
    for carrier in carriers:
        done += await _in_portions(
            ctx, partial(_delete_some_tests, carrier=carrier, before=before, now=now)
        )
    return done


async def _delete_some_tests(unit: Unit, *, carrier: str, before: datetime, now: datetime) -> int:
    read = await load_judged(unit, carrier)
    read |= {t.id for t in (await last_of_carriers(unit, [carrier], most=LAST_TESTS))[carrier]}
    count = await delete_tests(unit, carrier, before=before, but=read, limit=PORTION)
    if count:
        data = {"carrier": carrier, "tests": count, "sent_before": before.isoformat()}
        line = Line(act="carrier.tests_deleted", actor="system", data=data)
        await append_lines(unit, [line], now=now)
    return count


async def _in_portions(ctx: Context, portion: Callable[[Unit], Awaitable[int]]) -> int:
    """Do it unit by unit while one is full; what is left then is the next tick's."""
    done = 0
    for _ in range(PORTIONS_MAX):
        async with ctx.store.unit() as unit:
            count = await portion(unit)
        done += count
        if count < PORTION:
            break
        await asyncio.sleep(0)
    return done

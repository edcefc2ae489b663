"""Windows that have closed and rounds that are due, in sets.

    due rows, oldest first ──► their bulletins ──► one unit for each two thousand:
        hold the bulletin ─► which are still due? ─► load ─► core decides ─► save

Several workers share the work: a bulletin that another one holds is left for last, and what he did
meanwhile is not done again. A bulletin that cannot be swept raises an alarm and the others go on.
A pass ends after half a second, so that answers that came in meanwhile are applied between passes.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from warnsvc.service.collector import collector_paused
from warnsvc.service.context import Context
from warnsvc.service.fault import is_databases_own
from warnsvc.service.step import Texts, save_case, save_portion
from warnsvc.store.bulletin import load_bulletins
from warnsvc.store.case import load_case_for_callouts, load_portions
from warnsvc.store.port import RowBusy, Unit
from warnsvc.store.stream import streamed

log = structlog.get_logger(__name__)

UNIT_ROWS = 2_000
"""Escalations or callouts in one unit: about a quarter second, so that answers need not wait."""
PASS_ROWS = 30_000
"""How many due rows a pass looks at: several bulletins of a province, so that two workers find
different ones to do."""
PASS_SECONDS = 0.5
"""How long a pass goes on to the next unit; half of what an answer may wait."""

_Decide = Callable[[Context, Unit, int, list[int], datetime], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One kind of thing that falls due."""

    found: str
    """All that are due at $1, oldest first, at most $2 of them: id and bulletin_id."""
    still: str
    """Those of $1 that are due at $2."""
    decide: _Decide


async def _close_windows(
    ctx: Context, unit: Unit, bulletin_id: int, ids: list[int], now: datetime
) -> None:
    """Let these escalations decide, and write each portion while the next is being decided."""
    bulletin, rule = (await load_bulletins(unit, [bulletin_id]))[bulletin_id]
    texts: Texts = {}
    async with streamed(unit) as stream:
        portions = load_portions(stream, ids, bulletin_id=bulletin_id, rule=rule, now=now)
        async for portion in portions:
            portion.case.look(portion.escalation_ids)
            await save_portion(
                ctx, stream, portion, bulletin=bulletin, rule=rule, now=now, texts=texts
            )


async def _call_again(
    ctx: Context, unit: Unit, bulletin_id: int, ids: list[int], now: datetime
) -> None:
    bulletin, rule = (await load_bulletins(unit, [bulletin_id]))[bulletin_id]
    case = await load_case_for_callouts(unit, ids, bulletin_id=bulletin_id, rule=rule, now=now)
    case.steps_due(ids)
    await save_case(ctx, unit, case, bulletin=bulletin, rule=rule, now=now)


WINDOWS = Due(
    found="SELECT id, bulletin_id FROM escalation WHERE state = 'calling' AND deadline_at <= $1"
    " ORDER BY deadline_at, id LIMIT $2",
    still="SELECT id, deadline_at FROM escalation WHERE id = ANY($1) AND state = 'calling'"
    " AND deadline_at <= $2 ORDER BY id",
    decide=_close_windows,
)
ROUNDS = Due(
    found="SELECT id, bulletin_id FROM callout WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2",
    still="SELECT id FROM callout WHERE id = ANY($1) AND due_at <= $2 ORDER BY id",
    decide=_call_again,
)


async def do_due(ctx: Context, due: Due) -> int:
    """Do what is due now, for a while; returns how many things were done.

    Raises StoreFault when the database itself is at fault.
    """
    until = ctx.clock.now() + timedelta(seconds=PASS_SECONDS)
    held_by_others: list[tuple[int, list[int]]] = []
    done = 0
    for bulletin_id, ids in await _found(ctx, due):
        taken = await _what_can_be(ctx, due, bulletin_id, ids, wait=False)
        if taken is None:
            held_by_others.append((bulletin_id, ids))
        else:
            done += taken
        if ctx.clock.now() >= until:
            return done
    if held_by_others and not done:
        # He takes from the front; what he is doing now will be done when he lets go.
        bulletin_id, ids = held_by_others[-1]
        with others_first(bulletin_id):
            done += await _what_can_be(ctx, due, bulletin_id, ids, wait=True) or 0
    return done


@contextmanager
def others_first(bulletin_id: int) -> Iterator[None]:
    """Come back to a bulletin that somebody holds for long, as a worker does that was cut off."""
    try:
        yield
    except RowBusy as busy:
        log.warning("sweep.bulletin_held", bulletin=bulletin_id, error=str(busy))


async def _found(ctx: Context, due: Due) -> list[tuple[int, list[int]]]:
    """Return what is due in portions of one unit each, the oldest first."""
    async with ctx.store.view() as unit:
        rows = await unit.fetch(due.found, ctx.clock.now(), PASS_ROWS)
    by_bulletin: dict[int, list[int]] = {}
    for row_id, bulletin_id in rows:
        by_bulletin.setdefault(bulletin_id, []).append(row_id)
    return [
        (bulletin_id, ids[start : start + UNIT_ROWS])
        for bulletin_id, ids in by_bulletin.items()
        for start in range(0, len(ids), UNIT_ROWS)
    ]


async def _what_can_be(
    ctx: Context, due: Due, bulletin_id: int, ids: list[int], *, wait: bool
) -> int | None:
    """Do these, or their halves where one row spoils them: it keeps no other village waiting."""
    if len(ids) == 1:
        return await guarded(ctx, bulletin_id, _one_unit(ctx, due, bulletin_id, ids, wait=wait))
    try:
        return await _one_unit(ctx, due, bulletin_id, ids, wait=wait)
    except Exception as fault:
        if is_databases_own(fault):
            raise
        log.warning("sweep.halved", bulletin=bulletin_id, rows=len(ids), error=repr(fault)[:200])
    half = len(ids) // 2
    parts = (ids[:half], ids[half:])
    done = [await _what_can_be(ctx, due, bulletin_id, part, wait=wait) for part in parts]
    return None if None in done else sum(filter(None, done))


async def _one_unit(
    ctx: Context, due: Due, bulletin_id: int, ids: list[int], *, wait: bool
) -> int | None:
    """Do these. Returns None when another worker holds the bulletin and we need not wait."""
    with collector_paused():
        async with ctx.store.unit() as unit:
            if not await _hold(unit, bulletin_id, wait=wait):
                return None
            now = ctx.clock.now()
            still = await unit.fetch(due.still, ids, now)
            if still:
                await due.decide(ctx, unit, bulletin_id, [row[0] for row in still], now)
    if due is WINDOWS:
        ctx.measures.windows_closed((row[1] for row in still), now=ctx.clock.now())
    return len(still)


async def _hold(unit: Unit, bulletin_id: int, *, wait: bool) -> bool:
    if wait:
        await unit.lock_bulletins([bulletin_id])
        return True
    held = await unit.fetch(
        "SELECT id FROM bulletin WHERE id = $1 FOR UPDATE SKIP LOCKED", bulletin_id
    )
    return bool(held)


async def guarded(ctx: Context, bulletin_id: int, work: Awaitable[int | None]) -> int | None:
    """Await the work; if it fails, raise an alarm about its bulletin instead, and do nothing."""
    try:
        return await work
    except Exception as fault:
        if is_databases_own(fault):
            raise
        log.exception("sweep.bulletin_failed", bulletin=bulletin_id)
        await _alarm_stuck(ctx, bulletin_id)
        return 0


async def _alarm_stuck(ctx: Context, bulletin_id: int) -> None:
    """One alarm while an earlier one is open: it is tried again with every pass."""
    async with ctx.store.unit() as unit:
        await unit.lock_bulletins([bulletin_id])
        open_ = await unit.fetch_one(
            "SELECT id FROM alarm WHERE kind = 'poison' AND bulletin_id = $1"
            " AND acknowledged_at IS NULL",
            bulletin_id,
        )
        if open_ is None:
            (alarm_id,) = await unit.new_ids("alarm", 1)
            await unit.insert_rows(
                "alarm",
                ("id", "kind", "bulletin_id", "text", "raised_at"),
                [(alarm_id, "poison", bulletin_id, "sweep", ctx.clock.now())],
            )

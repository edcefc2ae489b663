"""What is due: windows that have closed, rounds to call again, bulletins that have run out.

Deadlines are stored instants (law 5). A sweep takes what is due now, in sets, one unit per
bulletin; running it twice, or in two processes, changes nothing the second time. A bulletin that
cannot be swept raises an alarm and the others go on.
"""

import asyncio
from datetime import datetime

import structlog

from warnsvc.core import bulletin as rules
from warnsvc.core.bulletin import BulletinState
from warnsvc.core.ledger import Line
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.service.due import ROUNDS, WINDOWS, do_due, guarded, others_first
from warnsvc.service.reroute import reroute_missing
from warnsvc.service.step import save_portion
from warnsvc.service.worker import take_from_the_silent
from warnsvc.store.attempt import expire_planned, next_due, reap_leases
from warnsvc.store.bulletin import load_bulletins, save_bulletin
from warnsvc.store.case import load_portions
from warnsvc.store.ledger import append_lines, sequence
from warnsvc.store.port import Unit

log = structlog.get_logger(__name__)

SWEEP_BATCH = 5_000
"""Escalations or callouts in one unit: under a second of work, so that answers need not wait."""


async def sweep(ctx: Context) -> int:
    """Do everything that is due now; returns how many things were."""
    done = await _expire_bulletins(ctx)
    done += await do_due(ctx, ROUNDS)
    done += await do_due(ctx, WINDOWS)
    done += await reroute_missing(ctx)
    if done:
        await ctx.store.wake(WAKE_WORK, WAKE_BOARD)
    return done


async def when_due(ctx: Context) -> datetime | None:
    """Return when something is due next."""
    async with ctx.store.view() as unit:
        return await next_due(unit)


async def _expire_bulletins(ctx: Context) -> int:
    async with ctx.store.view() as unit:
        rows = await unit.fetch(
            "SELECT id FROM bulletin WHERE state = 'released' AND expires_at <= $1 ORDER BY id",
            ctx.clock.now(),
        )
    done = 0
    for row in rows:
        with others_first(row[0]):
            done += await guarded(ctx, row[0], _expire(ctx, row[0])) or 0
    return done


async def _expire(ctx: Context, bulletin_id: int) -> int:
    async with ctx.store.unit() as unit:
        now = ctx.clock.now()
        await unit.lock_bulletins([bulletin_id])
        before, _ = (await load_bulletins(unit, [bulletin_id]))[bulletin_id]
        if before.state is not BulletinState.RELEASED:
            return 0
        after = rules.expire(before, now=now)
        await end_escalations(ctx, unit, bulletin_id, expired=True, now=now)
        await save_bulletin(unit, after, now=now)
        await append_lines(
            unit,
            [
                Line(
                    act="bulletin.expired",
                    bulletin_id=bulletin_id,
                    from_state=before.state.value,
                    to_state=after.state.value,
                )
            ],
            now=now,
        )
    return 1


async def end_escalations(
    ctx: Context, unit: Unit, bulletin_id: int, *, expired: bool, now: datetime
) -> None:
    """Close whatever is open in a bulletin, and stop everybody who is being called."""
    bulletin, rule = (await load_bulletins(unit, [bulletin_id]))[bulletin_id]
    states = "('pending','calling')" if expired else "('pending','calling','exhausted')"
    rows = await unit.fetch(
        f"SELECT id FROM escalation WHERE bulletin_id = $1 AND state IN {states} ORDER BY id",
        bulletin_id,
    )
    for start in range(0, len(rows), SWEEP_BATCH):
        ids = [row["id"] for row in rows[start : start + SWEEP_BATCH]]
        portions = load_portions(unit, ids, bulletin_id=bulletin_id, rule=rule, now=now)
        async for portion in portions:
            portion.case.lift(expired=expired)
            await save_portion(ctx, unit, portion, bulletin=bulletin, rule=rule, now=now)
    if not expired:
        await unit.execute(
            "UPDATE alarm SET ended_at = $2 WHERE bulletin_id = $1 AND ended_at IS NULL"
            " AND kind IN ('exhausted','expired','no_contact','poison')",
            bulletin_id,
            now,
        )
    await unit.execute(
        "UPDATE attempt SET state = 'cancelled', ended_at = $2 WHERE bulletin_id = $1"
        " AND state = 'planned'",
        bulletin_id,
        now,
    )
    await unit.execute(
        "UPDATE callout SET due_at = NULL, changed_at = $2,"
        " state = CASE WHEN state = 'unreachable' THEN state ELSE 'stopped' END"
        " WHERE bulletin_id = $1 AND state IN ('waiting','calling','unreachable')",
        bulletin_id,
        now,
    )


# Attempts ------------------------------------------------------------------------------------


async def reap(ctx: Context, *, owner: str = "") -> int:
    """Make unknowns of sends whose worker is gone, and end what is no longer worth sending.

    `owner` is the process that does it: it knows that it lives, however late its own beat is.
    """
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        reaped = await reap_leases(unit, now=now)
        reaped += await take_from_the_silent(unit, owner=owner, now=now)
        expired = await expire_planned(unit, now=now, limit=SWEEP_BATCH)
        if reaped or expired:
            await append_lines(unit, _reap_lines(reaped, [row["id"] for row in expired]), now=now)
    if reaped:
        log.warning("outbox.leases_reaped", count=len(reaped))
        await ctx.store.wake(WAKE_WORK)
    return len(reaped) + len(expired)


def _reap_lines(reaped: list[int], expired: list[int]) -> list[Line]:
    lines = []
    if reaped:
        lines.append(Line(act="attempt.leases_ended", data={"attempts": reaped}))
    if expired:
        lines.append(Line(act="attempt.expired", data={"attempts": expired}))
    return lines


# Ledger --------------------------------------------------------------------------------------


async def sequence_ledger(ctx: Context) -> int:
    """Give every pending line its place in the tree."""
    total = 0
    while True:
        async with ctx.store.unit() as unit:
            taken = await sequence(unit, now=ctx.clock.now())
        total += taken
        if taken == 0:
            return total
        await asyncio.sleep(0)

"""Alarms: raised by the engine, acknowledged by an officer."""

from collections.abc import Sequence

from warnsvc.core.ledger import Line
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.store.ledger import append_lines


async def acknowledge(ctx: Context, *, officer: int, alarm_ids: Sequence[int]) -> int:
    """Mark alarms as heard; returns how many were open."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        rows = await unit.fetch(
            "UPDATE alarm SET acknowledged_at = $2, acknowledged_by = $3"
            " WHERE id = ANY($1) AND acknowledged_at IS NULL"
            " RETURNING id, bulletin_id, escalation_id, kind",
            list(alarm_ids),
            now,
            officer,
        )
        await append_lines(
            unit,
            [
                Line(
                    act="alarm.acknowledged",
                    actor=f"officer:{officer}",
                    bulletin_id=row["bulletin_id"],
                    escalation_id=row["escalation_id"],
                    data={"alarm": row["id"], "kind": row["kind"]},
                )
                for row in rows
            ],
            now=now,
        )
    await ctx.store.wake(WAKE_BOARD)
    return len(rows)

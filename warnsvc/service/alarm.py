"""Alarms: raised by the engine, acknowledged by an officer, ended when their cause is over.

    raised ──► acknowledged: somebody has heard it
       └─────► ended: its cause is over by itself; it stays on the desk until somebody has heard it

Alarms about a place or a person are raised with the step that needs a human (`service.step`). Those
of the house itself (late, unknown, clock, database) are raised here, one while its cause lasts.
"""

from collections.abc import Sequence
from datetime import datetime

from warnsvc.core.ledger import Line
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Row, Unit


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


# Of the house itself -------------------------------------------------------------------------


async def raise_alarm(
    unit: Unit, kind: str, text: str, *, now: datetime, subject: str = ""
) -> bool:
    """Raise an alarm unless its cause is known already; returns whether anything changed.

    Alarms of a kind whose text begins with the word `subject` are about the same thing; with none,
    all of a kind are.
    """
    if await _open(unit, kind, subject):
        return False
    await _insert(unit, kind, text, raised_at=now, ended_at=None)
    await append_lines(unit, [_line("alarm.raised", kind, text)], now=now)
    return True


async def end_alarm(unit: Unit, kind: str, *, now: datetime, subject: str = "") -> bool:
    """Say that the cause is over; returns whether anything changed."""
    open_ = await _open(unit, kind, subject)
    if not open_:
        return False
    ids = [row["id"] for row in open_]
    await unit.execute("UPDATE alarm SET ended_at = $2 WHERE id = ANY($1)", ids, now)
    lines = [_line("alarm.ended", kind, row["text"]) for row in open_]
    await append_lines(unit, lines, now=now)
    return True


async def say_more(unit: Unit, kind: str, text: str) -> bool:
    """Bring an open alarm up to date; returns whether anything changed."""
    changed = await unit.execute(
        "UPDATE alarm SET text = $2 WHERE kind = $1 AND ended_at IS NULL AND text <> $2",
        kind,
        text,
    )
    return changed > 0


async def tell_of_past(
    unit: Unit, kind: str, text: str, *, began_at: datetime, now: datetime
) -> None:
    """Leave word of what could not be written down while it lasted, and is over."""
    await _insert(unit, kind, text, raised_at=began_at, ended_at=now)
    await append_lines(
        unit, [_line("alarm.raised", kind, text), _line("alarm.ended", kind, text)], now=now
    )


async def _open(unit: Unit, kind: str, subject: str) -> list[Row]:
    """Return the alarms of this kind whose cause lasts; there are a handful at the most."""
    rows = await unit.fetch(
        "SELECT id, text FROM alarm WHERE kind = $1 AND ended_at IS NULL AND bulletin_id IS NULL"
        " ORDER BY id",
        kind,
    )
    return [row for row in rows if not subject or row["text"].split(" ")[0] == subject]


async def _insert(
    unit: Unit, kind: str, text: str, *, raised_at: datetime, ended_at: datetime | None
) -> None:
    (alarm_id,) = await unit.new_ids("alarm", 1)
    await unit.insert_rows(
        "alarm",
        ("id", "kind", "text", "raised_at", "ended_at"),
        [(alarm_id, kind, text, raised_at, ended_at)],
    )


def _line(act: str, kind: str, text: str) -> Line:
    return Line(act=act, data={"kind": kind, "text": text})

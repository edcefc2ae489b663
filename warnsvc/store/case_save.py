"""Saving cases: the states of a step, whole sets at a time. What is written, `core` decided."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from warnsvc.core.callout import Callout
from warnsvc.core.change import Changes
from warnsvc.core.escalation import OPEN, Escalation
from warnsvc.store.port import Unit

_ESCALATION = (
    "UPDATE escalation SET state = {state}, tier = {tier}, deadline_at = {deadline_at},"
    " late = {late}, closed_at = {closed_at}, opened_at = COALESCE(escalation.opened_at, {now}),"
    " changed_at = {now}{source} WHERE escalation.id = {id}"
)
_ESCALATION_COLUMNS = {
    "state": "text",
    "tier": "int",
    "deadline_at": "timestamptz",
    "late": "boolean",
    "closed_at": "timestamptz",
    "now": "timestamptz",
    "id": "bigint",
}
_CALLOUT = (
    "UPDATE callout SET state = {state}, tier = {tier}, step = {step}, rung = {rung},"
    " started_at = {started_at}, due_at = {due_at}, answered_at = {answered_at}, late = {late},"
    " changed_at = {now}{source} WHERE callout.id = {id}"
)
_CALLOUT_COLUMNS = {
    "state": "text",
    "tier": "int",
    "step": "int",
    "rung": "int",
    "started_at": "timestamptz",
    "due_at": "timestamptz",
    "answered_at": "timestamptz",
    "late": "boolean",
    "now": "timestamptz",
    "id": "bigint",
}


async def save_states(unit: Unit, changes: Changes, *, now: datetime) -> None:
    """Write the new states of escalations and callouts, and cancel what is no longer needed."""
    if changes.escalations:
        await _save_escalations(unit, changes.escalations.values(), now)
    if changes.callouts:
        await _save_callouts(unit, changes.callouts.values(), now)
    if changes.cancel_unsent:
        await unit.execute(
            "UPDATE attempt SET state = 'cancelled', ended_at = $2 WHERE callout_id = ANY($1)"
            " AND state = 'planned' AND purpose = 'call'",
            list(changes.cancel_unsent),
            now,
        )


async def _save_escalations(unit: Unit, moved: Iterable[Escalation], now: datetime) -> None:
    rows = [
        (e.state.value, e.tier, e.deadline_at, e.late, None if e.state in OPEN else now, now, e.id)
        for e in moved
    ]
    await _update(unit, _ESCALATION, _ESCALATION_COLUMNS, rows)


async def _save_callouts(unit: Unit, moved: Iterable[Callout], now: datetime) -> None:
    rows = [
        (
            c.state.value,
            c.tier,
            c.step,
            c.rung,
            c.started_at,
            c.due_at,
            c.answered_at,
            c.late,
            now,
            c.id,
        )
        for c in moved
    ]
    await _update(unit, _CALLOUT, _CALLOUT_COLUMNS, rows)


async def _update(
    unit: Unit, statement: str, columns: dict[str, str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Update the rows, in the spelling that is quicker.

    PostgreSQL takes one statement for all three times as fast as one a row; SQLite reads JSON more
    slowly than it binds, so it gets one a row, prepared once. Measured with 5,000 rows: 80 against
    230 ms, and 53 against 75 ms.
    """
    if unit.dialect == "sqlite":
        marks = {name: f"${at}" for at, name in enumerate(columns, start=1)}
        await unit.execute_many(statement.format(source="", **marks), rows)
        return
    lists = ", ".join(f"${at}::{kind}[]" for at, kind in enumerate(columns.values(), start=1))
    source = f" FROM unnest({lists}) AS t({', '.join(columns)})"
    named = {name: f"t.{name}" for name in columns}
    await unit.execute(
        statement.format(source=source, **named), *map(list, zip(*rows, strict=True))
    )

"""Tasks: claimed by one officer, timed, finished with a result (domain.md (h) 15)."""

from datetime import datetime, timedelta

from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Row, Unit

CLAIM_MINUTES = 3
"""After that somebody else may take it (domain.md (h) 15)."""
RESULT_CHARS_MAX = 500


async def claim(ctx: Context, *, officer: int, task_id: int) -> None:
    """Take a task. Raises Refusal(`task_claimed`) with who has it."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        row = await _open_task(unit, task_id)
        held = row["state"] == "claimed" and row["claimed_until"] > now
        if held and row["claimed_by"] != officer:
            raise Refusal("task_claimed", officer=row["claimed_by"])
        await unit.execute(
            "UPDATE task SET state = 'claimed', claimed_by = $2, claimed_until = $3 WHERE id = $1",
            task_id,
            officer,
            now + timedelta(minutes=CLAIM_MINUTES),
        )
        await _line(unit, "task.claimed", row, "claimed", officer, now)
    await ctx.store.wake(WAKE_BOARD)


async def finish(ctx: Context, *, officer: int, task_id: int, result: str) -> None:
    """End a task with what came of it."""
    now = ctx.clock.now()
    result = result.strip()
    if not result:
        raise Refusal("result_missing", field="result")
    if len(result) > RESULT_CHARS_MAX:
        raise Refusal("result_too_long", field="result", most=RESULT_CHARS_MAX)
    async with ctx.store.unit() as unit:
        row = await _open_task(unit, task_id)
        await unit.execute(
            "UPDATE task SET state = 'done', claimed_by = $2, claimed_until = NULL, result = $3,"
            " ended_at = $4 WHERE id = $1",
            task_id,
            officer,
            result,
            now,
        )
        await _line(unit, "task.done", row, "done", officer, now, why=result)
    await ctx.store.wake(WAKE_BOARD)


async def _open_task(unit: Unit, task_id: int) -> Row:
    row = await unit.fetch_one("SELECT * FROM task WHERE id = $1 FOR UPDATE", task_id)
    if row is None:
        raise Refusal("task_unknown", id=task_id)
    if row["state"] not in {"open", "claimed"}:
        raise Refusal("task_ended", state=row["state"])
    return row


async def _line(
    unit: Unit, act: str, row: Row, to_state: str, officer: int, now: datetime, why: str = ""
) -> None:
    line = Line(
        act=act,
        actor=f"officer:{officer}",
        bulletin_id=row["bulletin_id"],
        escalation_id=row["escalation_id"],
        callout_id=row["callout_id"],
        from_state=row["state"],
        to_state=to_state,
        why=why,
        data={"task": row["id"], "kind": row["kind"]},
    )
    await append_lines(unit, [line], now=now)

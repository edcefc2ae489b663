"""An answer entered by hand: an officer called, or somebody came to the door.

`happened_at` and `entered_at` are kept apart, and the ledger names who entered it
(domain.md (h) 14).
"""

from datetime import datetime, timedelta

from warnsvc.core.answer import NO_ANSWER, AnswerKind, answer
from warnsvc.core.refusal import Refusal
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.service.step import save_case
from warnsvc.store.bulletin import load_bulletins
from warnsvc.store.case import load_case_for_callouts
from warnsvc.store.port import Unit

NOTE_CHARS_MAX = 500
CLOCKS_DIFFER = timedelta(minutes=2)
"""How far in the future "it happened just now" may lie: desk clocks differ."""


async def by_hand(
    ctx: Context,
    *,
    officer: int,
    callout_id: int,
    kind: AnswerKind,
    happened_at: datetime,
    note: str,
) -> bool:
    """Record what a person said to an officer; returns whether it came late. Raises Refusal."""
    now = ctx.clock.now()
    if happened_at > now + CLOCKS_DIFFER:
        raise Refusal("happens_in_the_future", field="happened_at")
    if len(note) > NOTE_CHARS_MAX:
        raise Refusal("note_too_long", field="note", most=NOTE_CHARS_MAX)
    if kind in NO_ANSWER or kind is AnswerKind.HEARD:
        raise Refusal("answer_kind_unknown", field="kind")
    async with ctx.store.unit() as unit:
        bulletin_id = await _bulletin_of(unit, callout_id, happened_at)
        await unit.lock_bulletins([bulletin_id], patient=True)
        bulletin, rule = (await load_bulletins(unit, [bulletin_id]))[bulletin_id]
        case = await load_case_for_callouts(
            unit, [callout_id], bulletin_id=bulletin_id, rule=rule, now=now
        )
        said = answer(kind)
        late = case.answered(
            callout_id,
            kind,
            said.rung,
            happened_at=happened_at,
            actor=f"officer:{officer}",
            channel="hand",
        )
        (answer_id,) = await unit.new_ids("answer", 1)
        await unit.insert_rows(
            "answer",
            (
                "id",
                "bulletin_id",
                "callout_id",
                "kind",
                "rung",
                "channel",
                "text",
                "late",
                "happened_at",
                "entered_at",
                "entered_by",
            ),
            [
                (
                    answer_id,
                    bulletin_id,
                    callout_id,
                    kind.value,
                    said.rung,
                    "hand",
                    note.strip(),
                    late,
                    happened_at,
                    now,
                    officer,
                )
            ],
        )
        await save_case(ctx, unit, case, bulletin=bulletin, rule=rule, now=now)
    await ctx.store.wake(WAKE_WORK, WAKE_BOARD)
    return late


async def _bulletin_of(unit: Unit, callout_id: int, happened_at: datetime) -> int:
    row = await unit.fetch_one(
        "SELECT c.bulletin_id, b.released_at FROM callout c JOIN bulletin b ON b.id = c.bulletin_id"
        " WHERE c.id = $1",
        callout_id,
    )
    if row is None:
        raise Refusal("callout_unknown", id=callout_id)
    if happened_at < row["released_at"] - CLOCKS_DIFFER:
        raise Refusal("happened_before_release", field="happened_at")
    return int(row["bulletin_id"])

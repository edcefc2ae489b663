"""Replies for a human: what nobody could match or understand, until an officer deals with it.

It never counts a reply as an answer: that is `warnsvc.service.answer.by_hand`.
"""

from datetime import datetime

from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.service.officer import actor
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit

RESULT_CHARS_MAX = 500
RECEIPTS_MAX = 5_000
"""Put away at once: under half a second of work. The page shows what is left."""


async def settle(ctx: Context, *, officer: int, inbound_id: int, result: str) -> None:
    """Put a reply away with what was done about it. Raises Refusal."""
    result = _checked(result)
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        settled = await unit.execute(
            "UPDATE inbound SET state = 'settled', note = $1"
            " WHERE id = $2 AND state IN ('unmatched', 'poison')",
            result,
            inbound_id,
        )
        if not settled:
            raise Refusal("inbound_unknown")
        data = {"inbound": inbound_id}
        line = Line(act="inbound.settled", actor=actor(officer), why=result, data=data)
        await append_lines(unit, [line], now=now)
        await _end_alarms(unit, inbound_id, now)
    await ctx.store.wake(WAKE_BOARD)


async def settle_receipts(ctx: Context, *, officer: int, carrier: str, result: str) -> None:
    """Put away a carrier's receipts that nobody could place. Raises Refusal.

    None of them is an answer, and none rang: there is nothing about one that is not about all.
    """
    result = _checked(result)
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        settled = await unit.execute(
            "UPDATE inbound SET state = 'settled', note = $1 WHERE id IN (SELECT id FROM inbound"
            " WHERE state = 'unmatched' AND kind = 'receipt' AND carrier = $2"
            " ORDER BY received_at, id LIMIT $3)",
            result,
            carrier,
            RECEIPTS_MAX,
        )
        if not settled:
            raise Refusal("inbound_unknown")
        data = {"carrier": carrier, "receipts": settled}
        line = Line(act="inbound.settled", actor=actor(officer), why=result, data=data)
        await append_lines(unit, [line], now=now)
    await ctx.store.wake(WAKE_BOARD)


def _checked(result: str) -> str:
    result = result.strip()
    if not result:
        raise Refusal("result_missing", field="result")
    if len(result) > RESULT_CHARS_MAX:
        raise Refusal("result_too_long", field="result", most=RESULT_CHARS_MAX)
    return result


async def _end_alarms(unit: Unit, inbound_id: int, now: datetime) -> None:
    """The alarm about this one is over; that about unmatched ones with the last reply of them."""
    await unit.execute(
        "UPDATE alarm SET ended_at = $1 WHERE ended_at IS NULL"
        " AND (kind = 'poison' AND bulletin_id IS NULL AND text = $2 OR kind = 'unmatched'"
        " AND NOT EXISTS (SELECT 1 FROM inbound WHERE state = 'unmatched' AND kind = 'answer'))",
        now,
        str(inbound_id),
    )

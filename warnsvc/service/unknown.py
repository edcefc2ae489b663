"""Unknowns: sends of which nobody can say whether they arrived (law 3).

    unknown ──look-up──► seen ──► accepted, and what the carrier says of it becomes receipts
               │        └ never seen ──► planned again, while it is still wanted and worth it
               └ no answer ──► looked up again; a rule may allow one more copy; then failed

It never calls a carrier; the outbox looks up and brings the answer.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from channels.base import Channel, ReceiptEvent
from warnsvc.core.ledger import Line
from warnsvc.service.context import WAKE_WORK, Context
from warnsvc.service.intake import receipt_fact
from warnsvc.service.step import still_wanted
from warnsvc.store.attempt import load_reasons, settle_unknown
from warnsvc.store.bulletin import load_bulletins
from warnsvc.store.inbound import insert_inbound
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit

RESEND_MAX = 2
"""Without any word of it, a red one is sent once more and no oftener (DESIGN law 3)."""
LOOK_AGAIN_SECONDS = 5.0
"""After a look-up that got no answer."""


async def resolve_unknown(
    ctx: Context,
    *,
    attempt_id: int,
    bulletin_id: int,
    send_count: int,
    valid_until: datetime,
    channel: Channel | None,
    seen: Sequence[ReceiptEvent] | None,
) -> None:
    """Settle an unknown by what the look-up said: `None` no answer, empty: never seen."""
    async with ctx.store.unit() as unit:
        now = ctx.clock.now()
        await unit.lock_bulletins([bulletin_id])
        _, rule = (await load_bulletins(unit, [bulletin_id]))[bulletin_id]
        state, why = _settled(
            seen,
            wanted=await _wanted(unit, attempt_id),
            over=valid_until <= now,
            may_resend=rule.unknown_resend and send_count < RESEND_MAX,
        )
        due_at = {"planned": now, "unknown": now + timedelta(seconds=LOOK_AGAIN_SECONDS)}.get(state)
        moved = await settle_unknown(
            unit,
            attempt_id=attempt_id,
            state=state,
            now=now,
            due_at=due_at,
            error_text=why or None,
            reference=seen[0].reference if seen else None,
        )
        if moved and state != "unknown":
            await append_lines(unit, [_line(attempt_id, bulletin_id, state, why)], now=now)
        if moved and seen and channel is not None:
            # The same facts as the callbacks that we missed: whichever comes second is a repeat.
            await insert_inbound(unit, [receipt_fact(ctx, channel, e, now) for e in seen])
    await ctx.store.wake(WAKE_WORK)


def _settled(
    seen: Sequence[ReceiptEvent] | None, *, wanted: bool, over: bool, may_resend: bool
) -> tuple[str, str]:
    """Return where it goes, and why."""
    if seen:
        return "accepted", "found by look-up"
    if seen is not None:
        if over:
            return "expired", "the carrier has never seen it, and its time is over"
        if not wanted:
            return "cancelled", "the carrier has never seen it, and nobody needs it any more"
        return "planned", "the carrier has never seen it: sent again"
    if over:
        return "failed", "outcome never known"
    if may_resend and wanted:
        return "planned", "no word of it: sent once more"
    return "unknown", ""


async def _wanted(unit: Unit, attempt_id: int) -> bool:
    (row,) = await load_reasons(unit, [attempt_id])
    return still_wanted(row["purpose"], row["bulletin_state"], row["callout_state"])


def _line(attempt_id: int, bulletin_id: int, state: str, why: str) -> Line:
    return Line(
        act="attempt.unknown_settled",
        bulletin_id=bulletin_id,
        from_state="unknown",
        to_state=state,
        why=why,
        data={"attempt": attempt_id},
    )

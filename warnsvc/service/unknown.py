"""Unknowns: sends of which nobody can say whether they arrived (law 3).

    unknown ──receipt──► what it says (service.inbound_receipt), at any time
       └─ after 10 s: look-up ─► seen ──► accepted, and what the carrier says of it becomes receipts
                │             └ never seen ──► planned again, while it is still wanted and worth it
                └ no answer ──► red and live: sent once more, and marked
                             └► asked again, ever more seldom; when its time is over: failed

What ends without having reached anybody is told to its callout like any other failure, so that the
next number is called. Windows do not wait for it: they close at their instant. It never calls a
carrier; the outbox looks up and brings the answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from channels.base import Channel, ReceiptEvent
from channels.errors import ErrorClass
from warnsvc.core.bulletin import Bulletin
from warnsvc.core.ledger import Line
from warnsvc.core.pack import Rule
from warnsvc.core.route import TAKES_A_COPY, next_after, with_refusal
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.service.intake import receipt_fact
from warnsvc.service.reference import of_look_up
from warnsvc.service.reroute import PassedOn, rerouted_lines
from warnsvc.service.step import save_case, still_wanted
from warnsvc.store.bulletin import load_bulletins
from warnsvc.store.case import load_case_for_callouts
from warnsvc.store.inbound import Inbound, insert_inbound
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Row, RowBusy, Unit
from warnsvc.store.reference import Key, Subject, keep_references
from warnsvc.store.unknown import Settled, hold_unknowns, settle_unknowns

log = structlog.get_logger(__name__)

RESEND_MAX = 2
"""Without any word of it, a red one is sent once more and no oftener (DESIGN law 3)."""
NO_WORD_SECONDS = 10.0
"""A callback often answers an unknown by itself; nothing is sent a second time before that."""
LOOK_AGAIN_SECONDS = 5.0
"""After the first look-up that got no answer."""
LOOK_AGAIN_SECONDS_MAX = 30.0
"""And after later ones: a carrier in trouble is not helped by ten thousand questions."""

NEVER_SEEN = "the carrier has never seen it"
SENT_AGAIN = "no word of it: sent once more"
"""The mark: a second copy may arrive. It stands in the ledger and on the person's page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """What a carrier said of an unknown. `seen`: None without an answer, empty if it knows none."""

    attempt_id: int
    send_count: int
    """Which send was asked about: by a receipt the next carrier may have it by now."""
    bulletin_id: int
    channel: Channel | None
    seen: Sequence[ReceiptEvent] | None


async def resolve_unknowns(ctx: Context, looked_up: Iterable[LookedUp]) -> None:
    """Settle unknowns by what the look-ups said, one unit a bulletin. Raises StoreFault.

    Those of a bulletin that somebody holds are looked up again; they keep no other's waiting.
    """
    by_bulletin: dict[int, dict[int, LookedUp]] = {}
    for one in looked_up:
        by_bulletin.setdefault(one.bulletin_id, {})[one.attempt_id] = one
    for bulletin_id, some in sorted(by_bulletin.items()):
        try:
            await _resolve(ctx, bulletin_id, some)
        except RowBusy:
            log.info("unknown.bulletin_held", bulletin=bulletin_id, count=len(some))
    if by_bulletin:
        await ctx.store.wake(WAKE_WORK, WAKE_BOARD)


async def _resolve(ctx: Context, bulletin_id: int, some: Mapping[int, LookedUp]) -> None:
    async with ctx.store.unit() as unit:
        now = ctx.clock.now()
        await keep_references(unit, _references(some.values()), now=now)
        await unit.lock_bulletins([bulletin_id])
        bulletin, rule = (await load_bulletins(unit, [bulletin_id]))[bulletin_id]
        held = await hold_unknowns(unit, sorted(some))
        rows = [row for row in held if row["send_count"] == some[row["id"]].send_count]
        if not rows:
            return
        may_resend = rule.unknown_resend and not bulletin.is_drill
        since = bulletin.released_at or now
        settled = [
            _otherwise(
                ctx,
                row,
                _settled(row, some[row["id"]].seen, now, since=since, may_resend=may_resend),
            )
            for row in rows
        ]
        await settle_unknowns(unit, settled)
        moved = [one for one in settled if one.state != "unknown"]
        lines = [_line(bulletin_id, one) for one in moved]
        lines += rerouted_lines(
            _onward(bulletin_id, row)
            for row, one in zip(rows, settled, strict=True)
            if one.refused_by is not None
        )
        await append_lines(unit, lines, now=now)
        await insert_inbound(unit, [f for row in rows for f in _facts(ctx, some[row["id"]], now)])
        failed = _failed_calls(rows, moved)
        if failed:
            await _tell(ctx, unit, bulletin, rule, failed, now)


def _settled(
    row: Row,
    seen: Sequence[ReceiptEvent] | None,
    now: datetime,
    *,
    since: datetime,
    may_resend: bool,
) -> Settled:
    """Return where one goes, and why.

    What is sent again is due since the release: it has had its turn, and goes before those of its
    rank that still wait for theirs. Behind a long fan-out it waited a quarter of an hour.
    """
    attempt_id, over = row["id"], row["valid_until"] <= now
    if seen:
        return Settled(attempt_id, "accepted", "found by look-up", reference=seen[0].reference)
    wanted = still_wanted(row["purpose"], row["bulletin_state"], row["callout_state"])
    if seen is not None:
        if over:
            return Settled(attempt_id, "expired", f"{NEVER_SEEN}, and its time is over", None, now)
        if not wanted:
            why = f"{NEVER_SEEN}, and nobody needs it any more"
            return Settled(attempt_id, "cancelled", why, None, now)
        return Settled(attempt_id, "planned", f"{NEVER_SEEN}: sent again", since)
    if over:
        return Settled(attempt_id, "failed", "outcome never known", None, now)
    age = now - (row["sent_at"] or now)
    if age < timedelta(seconds=NO_WORD_SECONDS):
        return Settled(attempt_id, "unknown", "", now + timedelta(seconds=NO_WORD_SECONDS) - age)
    if may_resend and wanted and row["send_count"] < RESEND_MAX:
        return Settled(attempt_id, "planned", SENT_AGAIN, since)
    return Settled(attempt_id, "unknown", "", _ask_again(age, now, row["valid_until"]))


def _otherwise(ctx: Context, row: Row, settled: Settled) -> Settled:
    """What is sent once more goes by another carrier, where there is one: it may have a better day.

    A call does not: were both to ring, nobody would believe the second.
    """
    if settled.why != SENT_AGAIN or row["channel"] not in TAKES_A_COPY or not row["carrier"]:
        return settled
    route = ctx.fleet.route(row["channel"], row["address"], row["language"], row["purpose"])
    if next_after(route, row["refused_by"], row["carrier"]) is None:
        return settled
    return settled._replace(refused_by=with_refusal(row["refused_by"], row["carrier"]))


def _ask_again(age: timedelta, now: datetime, valid_until: datetime) -> datetime:
    """Ever more seldom, and at the instant at which its time is over."""
    seconds = min(max(age.total_seconds() / 2, LOOK_AGAIN_SECONDS), LOOK_AGAIN_SECONDS_MAX)
    return min(now + timedelta(seconds=seconds), valid_until)


def _facts(ctx: Context, one: LookedUp, now: datetime) -> list[Inbound]:
    """The same facts as the callbacks that we missed: whichever comes second is a repeat."""
    if one.seen and one.channel is not None:
        return [receipt_fact(ctx, one.channel, event, now) for event in one.seen]
    return []


def _references(looked_up: Iterable[LookedUp]) -> dict[Key, Subject]:
    """What a carrier's own references are about, where its receipts name nothing else."""
    found: dict[Key, Subject] = {}
    for one in looked_up:
        if one.seen and one.channel and one.channel.capabilities.receipts_by_reference:
            found |= of_look_up(one.channel.name, one.seen, one.attempt_id)
    return found


def _failed_calls(rows: Iterable[Row], moved: Iterable[Settled]) -> list[int]:
    """Return the callouts of the calls that ended without having reached anybody."""
    ended = {one.attempt_id for one in moved if one.state in {"failed", "expired"}}
    calls = {row["callout_id"] for row in rows if row["id"] in ended and row["purpose"] == "call"}
    return sorted(calls)


async def _tell(
    ctx: Context,
    unit: Unit,
    bulletin: Bulletin,
    rule: Rule,
    callout_ids: Sequence[int],
    now: datetime,
) -> None:
    case = await load_case_for_callouts(
        unit, callout_ids, bulletin_id=bulletin.id, rule=rule, now=now
    )
    case.attempts_failed(callout_ids)
    await save_case(ctx, unit, case, bulletin=bulletin, rule=rule, now=now)


def _onward(bulletin_id: int, row: Row) -> PassedOn:
    """Say whose silence it was that the next carrier is tried for."""
    why = ErrorClass.AMBIGUOUS.value
    return PassedOn(bulletin_id, row["id"], row["callout_id"], row["carrier"], why)


def _line(bulletin_id: int, one: Settled) -> Line:
    return Line(
        act="attempt.unknown_settled",
        bulletin_id=bulletin_id,
        from_state="unknown",
        to_state=one.state,
        why=one.why,
        data={"attempt": one.attempt_id},
    )

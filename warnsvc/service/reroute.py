"""Rerouting: what one carrier did not bring home goes to the next one of its route.

    accepted ── no receipt within the rule's seconds ──► planned again, by the next carrier
    accepted ── "undelivered", for a reason of the carrier's own ──► the same
    sending, unknown ── "undelivered", before our own record of the send (carriers.md §0.4) ──► the
             same: the lease ends, so what is still recorded of that send changes nothing
    … and whatever the first carrier still says: only that it arrived counts
    whoever passes something on, here or elsewhere, says so in the ledger (`rerouted_lines`)

It is the same try, for the same person on the same channel: no round is used up and no window
moves. Calls are never placed twice for want of a receipt. A receipt names the try and not the send;
it is taken to be about the last one, because its carrier is written down before it is asked. It
never sends.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from warnsvc.core.ledger import Line
from warnsvc.core.route import ELSEWHERE, next_after, refused_of, with_refusal
from warnsvc.service.context import WAKE_WORK, Context
from warnsvc.service.step import still_wanted
from warnsvc.store.attempt import load_reasons
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Row, RowBusy, Unit
from warnsvc.store.reroute import (
    Rerouted,
    await_receipts,
    bulletins_with_missing,
    hold_missing,
    languages_of,
    reroute,
)

log = structlog.get_logger(__name__)

BATCH = 1_000
"""Sends in one unit."""
LOOK_AGAIN = timedelta(seconds=10)
"""When what its carrier may not even have taken is looked at again."""
_OPEN = frozenset({"sending", "unknown"})
_UNDER_WAY = _OPEN | {"accepted", "planned"}
"""From where it goes on. `planned`: to be sent once more by the carrier that has now refused it."""
NO_RECEIPT = "no_receipt"
"""Why, in the ledger: nobody said that it arrived."""


class PassedOn(NamedTuple):
    """A try that the next carrier gets: from whom it was taken, and why."""

    bulletin_id: int
    attempt_id: int
    callout_id: int
    carrier: str
    why: str


def rerouted_lines(passed: Iterable[PassedOn], *, actor: str = "") -> list[Line]:
    """Say who was passed on from and why: a line for each bulletin, carrier and reason.

    For the unit in which it happens, whoever does it.
    """
    told: dict[tuple[int, str, str], list[list[int]]] = {}
    for one in passed:
        key = one.bulletin_id, one.carrier, one.why
        told.setdefault(key, []).append([one.attempt_id, one.callout_id])
    return [
        Line(
            act="attempt.rerouted",
            actor=actor,
            bulletin_id=bulletin_id,
            why=why,
            data={"carrier": carrier, "attempts": attempts},
        )
        for (bulletin_id, carrier, why), attempts in sorted(told.items())
    ]


def next_carrier(ctx: Context, attempt: Row, language: str) -> str | None:
    """Return who sends an attempt when the carrier that has it does not bring it home."""
    if not attempt["carrier"] or ctx.fleet.is_plain(attempt["channel"]):
        return None
    route = ctx.fleet.route(
        attempt["channel"], attempt["address"], language, attempt["purpose"]
    )
    return next_after(route, attempt["refused_by"], attempt["carrier"])


def is_from_before(attempt: Row, carrier: str, state: str) -> bool:
    """Whether a receipt is a former carrier's, and says nothing that still matters.

    One that has refused may get it again when nobody else is left; then it is no former one.
    """
    if state == "delivered":
        return False
    if attempt["state"] == "planned":
        return carrier in refused_of(attempt["refused_by"])
    return bool(attempt["carrier"]) and attempt["carrier"] != carrier


async def reroute_refused(
    ctx: Context, unit: Unit, refused: Mapping[int, tuple[Row, str]], now: datetime
) -> set[int]:
    """Send again what a carrier took and then would not bring, if another may: return which.

    `refused`: attempt → its row, held, and the class of the error. Our own record of the send may
    still be to come; the carrier's name was written before it was asked.
    """
    may = {i: row for i, (row, error) in refused.items() if error in ELSEWHERE}
    may = {i: row for i, row in may.items() if not ctx.fleet.is_plain(row["channel"])}
    if not may:
        return set()
    languages = await languages_of(unit, [row["message_id"] for row in may.values()])
    wanted = {
        row["id"]
        for row in await load_reasons(unit, sorted(may))
        if still_wanted(row["purpose"], row["bulletin_state"], row["callout_state"])
    }
    going = {
        i: row
        for i, row in may.items()
        if row["state"] in _UNDER_WAY
        and row["valid_until"] > now
        and i in wanted
        and next_carrier(ctx, row, languages[row["message_id"]]) is not None
    }
    await _send_on(unit, [(row, refused[i][1]) for i, row in going.items()], now)
    return set(going)


async def reroute_missing(ctx: Context) -> int:
    """Send again what nobody said the arrival of in time; returns how many were looked at."""
    done = 0
    if not any(rule.receipt_seconds for rule in ctx.fleet.routes):
        return done
    async with ctx.store.view() as view:
        bulletins = await bulletins_with_missing(view, now=ctx.clock.now())
    for bulletin_id in bulletins:
        try:
            done += await _missing_of(ctx, bulletin_id)
        except RowBusy:
            log.info("reroute.bulletin_held", bulletin=bulletin_id)
    if done:
        await ctx.store.wake(WAKE_WORK)
    return done


async def _missing_of(ctx: Context, bulletin_id: int) -> int:
    async with ctx.store.unit() as unit:
        now = ctx.clock.now()
        await unit.lock_bulletins([bulletin_id])
        rows = await hold_missing(unit, bulletin_id, now=now, limit=BATCH)
        going = [row for row in rows if _is_missed(ctx, row, now)]
        gone = {row["id"] for row in going}
        open_ = {row["id"] for row in rows if row["state"] in _OPEN}
        await await_receipts(unit, sorted(open_), now + LOOK_AGAIN)
        over = [row["id"] for row in rows if row["id"] not in gone | open_]
        await await_receipts(unit, over, None)
        await _send_on(unit, [(row, NO_RECEIPT) for row in going], now)
    return len(rows)


def _is_missed(ctx: Context, row: Row, now: datetime) -> bool:
    return (
        row["state"] == "accepted"
        and row["valid_until"] > now
        and still_wanted(row["purpose"], row["bulletin_state"], row["callout_state"])
        and next_carrier(ctx, row, row["language"]) is not None
    )


async def _send_on(unit: Unit, going: Sequence[tuple[Row, str]], now: datetime) -> None:
    if not going:
        return
    await reroute(
        unit,
        [
            Rerouted(
                row["id"], now, with_refusal(row["refused_by"], row["carrier"], why=why), why
            )
            for row, why in going
        ],
    )
    passed = [
        PassedOn(row["bulletin_id"], row["id"], row["callout_id"], row["carrier"], why)
        for row, why in going
    ]
    await append_lines(unit, rerouted_lines(passed), now=now)

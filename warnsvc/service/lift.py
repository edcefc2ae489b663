"""Lifting: the bulletin ends, nothing new is sent, and exactly those who were called are told.

One transaction: open escalations close, unsent attempts are cancelled, a cancelling bulletin that
refers to the first is filed, and one message is planned for everybody to whom anything was sent.
Source: domain.md (h) 10.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from contacts.contact import channels_of
from warnsvc.core import bulletin as rules
from warnsvc.core.bulletin import Bulletin, BulletinState, BulletinType
from warnsvc.core.ledger import Line
from warnsvc.core.pack import Rule
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.service.endpoint import WEBHOOK, places_told
from warnsvc.service.priority import priority_of
from warnsvc.service.step import NOTICE_MINUTES
from warnsvc.service.sweep import end_escalations
from warnsvc.service.voice import message_of
from warnsvc.store.attempt import insert_attempts
from warnsvc.store.bulletin import insert_bulletin, load_bulletin, load_bulletins, save_bulletin
from warnsvc.store.case import dead_addresses
from warnsvc.store.case_document import numbers_from_json
from warnsvc.store.ledger import append_lines
from warnsvc.store.message import keep_messages, message_digest
from warnsvc.store.port import Row, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftResult:
    """How many people will be told."""

    told: int


async def lift(ctx: Context, *, officer: int, bulletin_id: int, reason: str) -> LiftResult:
    """End a released bulletin. Raises Refusal."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        await unit.lock_bulletins([bulletin_id], patient=True)
        before = await load_bulletin(unit, bulletin_id)
        after = rules.lift(before, officer=officer, reason=reason, now=now)
        _, rule = (await load_bulletins(unit, [bulletin_id]))[bulletin_id]
        await end_escalations(ctx, unit, bulletin_id, expired=False, now=now)
        await save_bulletin(unit, after, now=now)
        await _file_cancel(unit, after, rule, now)
        told = await _tell(ctx, unit, after, now)
        await append_lines(
            unit,
            [
                Line(
                    act="bulletin.lifted",
                    actor=f"officer:{officer}",
                    bulletin_id=bulletin_id,
                    from_state=before.state.value,
                    to_state=after.state.value,
                    why=reason.strip(),
                    data={"told": told},
                )
            ],
            now=now,
        )
    await ctx.store.wake(WAKE_WORK, WAKE_BOARD)
    return LiftResult(told=told)


async def _file_cancel(unit: Unit, lifted: Bulletin, rule: Rule, now: datetime) -> None:
    """File the bulletin of type cancel: what other systems are told, by reference to the first."""
    (new_id,) = await unit.new_ids("bulletin", 1)
    assert lifted.lifted_by is not None, "lifted by an officer"
    cancel = replace(
        lifted,
        id=new_id,
        identifier=f"{lifted.identifier}-C{new_id}",
        type=BulletinType.CANCEL,
        state=BulletinState.CLOSED,
        drafted_by=lifted.lifted_by,
        released_at=now,
        released_by=lifted.lifted_by,
        references_id=lifted.id,
    )
    await insert_bulletin(unit, cancel, now=now, rule=rule)


async def _tell(ctx: Context, unit: Unit, bulletin: Bulletin, now: datetime) -> int:
    called = await unit.fetch(
        "SELECT id, contact_id, tier, language, numbers_json FROM callout WHERE bulletin_id = $1"
        " AND id IN (SELECT callout_id FROM attempt WHERE bulletin_id = $1 AND purpose = 'call'"
        " AND send_count > 0 AND state NOT IN ('failed','expired','cancelled','planned'))"
        " ORDER BY id",
        bulletin.id,
    )
    dead = await dead_addresses(unit, bulletin.id)
    chosen = [(row, found) for row in called if (found := _address(row, dead)) is not None]
    told = await places_told(unit, [r["id"] for r, (channel, _) in chosen if channel == WEBHOOK])
    keys = [(row["language"], channel, told.get(row["id"], ())) for row, (channel, _) in chosen]
    messages = {
        key: message_of(
            ctx, bulletin, language=key[0], channel=key[1], purpose="lift", places=key[2]
        )
        for key in sorted(set(keys))
    }
    ids = await keep_messages(unit, bulletin.id, messages.values())
    message_ids = {key: ids[message_digest(message)] for key, message in messages.items()}
    attempt_ids = await unit.new_ids("attempt", len(chosen)) if chosen else []
    valid_until = now + timedelta(minutes=NOTICE_MINUTES)
    rows: list[tuple[Any, ...]] = []
    for attempt_id, (row, (channel, address)), key in zip(attempt_ids, chosen, keys, strict=True):
        tier = max(row["tier"], 1)
        rows.append(
            (
                attempt_id,
                bulletin.id,
                row["contact_id"],
                row["id"],
                tier,
                channel,
                1,
                "lift",
                address,
                message_ids[key],
                priority_of(bulletin, tier, "lift"),
                "planned",
                now,
                valid_until,
                0,
            )
        )
    await insert_attempts(unit, rows)
    return len(rows)


def _address(row: Row, dead: Collection[tuple[int, str, str]]) -> tuple[str, str] | None:
    """Where the lifting text goes: one a person, by the quietest channel that reaches him."""
    numbers = numbers_from_json(row["numbers_json"])
    for channel in ("sms", "webhook", "voice"):
        for number in numbers:
            if number.failed or channel not in channels_of(number.kind):
                continue
            if (row["id"], channel, number.address) not in dead:
                return channel, number.address
    return None

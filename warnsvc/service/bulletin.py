"""Writing a bulletin and having it signed by a second person."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from warnsvc.core import bulletin as rules
from warnsvc.core.bulletin import (
    REASON_CHARS_MAX,
    Bulletin,
    BulletinState,
    BulletinStatus,
    BulletinType,
    Colour,
)
from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.service.recording import drop_outdated
from warnsvc.service.sendable import text_refusals
from warnsvc.store.bulletin import insert_bulletin, load_bulletin, save_bulletin
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class BulletinDraft:
    """What an officer fills in."""

    status: BulletinStatus
    hazard: str
    colour: Colour
    region_codes: tuple[str, ...]
    texts: Mapping[str, str]
    onset_at: datetime
    expires_at: datetime


async def draft(ctx: Context, *, officer: int, draft: BulletinDraft) -> int:
    """Write a new bulletin and return its id. Raises Refusals with every wrong field."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        (new_id,) = await unit.new_ids("bulletin", 1)
        local = now.astimezone(ctx.settings.zone)
        written = Bulletin(
            id=new_id,
            identifier=f"{local:%Y%m%d%H%M%S}-{new_id}",
            event_id=new_id,
            status=draft.status,
            type=BulletinType.ALERT,
            hazard=draft.hazard,
            colour=draft.colour,
            region_codes=draft.region_codes,
            texts=_texts(draft),
            onset_at=draft.onset_at,
            expires_at=draft.expires_at,
            drafted_by=officer,
        )
        await _check(ctx, unit, written, now)
        await insert_bulletin(unit, written, now=now)
        await _line(unit, "bulletin.drafted", None, written, officer, now)
    return new_id


async def edit(ctx: Context, *, officer: int, bulletin_id: int, draft: BulletinDraft) -> None:
    """Change a bulletin that is not released; a signature on it is void.

    A recording of a text that is changed goes with the old text.
    """
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        await unit.lock_bulletins([bulletin_id], patient=True)
        before = await load_bulletin(unit, bulletin_id)
        changed = replace(
            before,
            status=draft.status,
            hazard=draft.hazard,
            colour=draft.colour,
            region_codes=draft.region_codes,
            texts=_texts(draft),
            onset_at=draft.onset_at,
            expires_at=draft.expires_at,
            drafted_by=officer,
        )
        after = rules.edit(before, changed)
        await _check(ctx, unit, after, now)
        after = await drop_outdated(unit, before, after, officer=officer, now=now)
        await save_bulletin(unit, after, now=now)
        await _line(unit, "bulletin.edited", before, after, officer, now)


def _texts(draft: BulletinDraft) -> dict[str, str]:
    return {language: text.strip() for language, text in draft.texts.items() if text.strip()}


async def _check(ctx: Context, unit: Unit, bulletin: Bulletin, now: datetime) -> None:
    """Raise every refusal of the core, what no carrier can send, and unknown regions."""
    refusals: tuple[Refusal, ...] = ()
    try:
        rules.check(bulletin, now=now)
    except Refusals as found:
        refusals = found.refusals
    refusals += tuple(text_refusals(ctx, bulletin))
    rows = await unit.fetch(
        "SELECT code FROM region WHERE code = ANY($1)", list(bulletin.region_codes)
    )
    known = {row["code"] for row in rows}
    unknown = [code for code in bulletin.region_codes if code not in known]
    if unknown:
        refusals += (Refusal("region_unknown", field="regions", codes=", ".join(unknown[:5])),)
    if refusals:
        raise Refusals(refusals)


async def submit(ctx: Context, *, officer: int, bulletin_id: int) -> None:
    """Hand the draft to a second person."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        before = await _held(unit, bulletin_id)
        after = rules.submit(before, now=now)
        if unsendable := tuple(text_refusals(ctx, before)):
            raise Refusals(unsendable)  # carriers have changed since it was saved
        await _saved(ctx, unit, "bulletin.submitted", before, after, officer, now)


async def sign(ctx: Context, *, officer: int, bulletin_id: int, digest: str | None = None) -> None:
    """Sign what was read; `digest` is what the page showed, so that nobody signs a changed text."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        before = await _held(unit, bulletin_id)
        if digest is not None and digest != rules.digest(before):
            raise Refusal("changed_while_reading")
        two_person = ctx.rule(before, now).two_person
        after = rules.sign(before, officer=officer, two_person=two_person, now=now)
        await _saved(ctx, unit, "bulletin.signed", before, after, officer, now)


async def send_back(ctx: Context, *, officer: int, bulletin_id: int, reason: str) -> None:
    """Return it to its author with a reason."""
    now = ctx.clock.now()
    reason = reason.strip()
    if not reason:
        raise Refusal("reason_missing", field="reason")
    if len(reason) > REASON_CHARS_MAX:
        raise Refusal("reason_too_long", field="reason", most=REASON_CHARS_MAX)
    async with ctx.store.unit() as unit:
        before = await _held(unit, bulletin_id)
        if before.state is BulletinState.DRAFT:
            raise Refusal("wrong_state", state=before.state.value)
        after = rules.send_back(before)
        await _saved(ctx, unit, "bulletin.sent_back", before, after, officer, now, why=reason)


async def discard(ctx: Context, *, officer: int, bulletin_id: int) -> None:
    """Throw a draft away; its row and its lines stay."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        before = await _held(unit, bulletin_id)
        after = rules.discard(before)
        await _saved(ctx, unit, "bulletin.discarded", before, after, officer, now)


async def get(ctx: Context, bulletin_id: int) -> Bulletin:
    """Return a bulletin. Raises Refusal(`bulletin_unknown`)."""
    async with ctx.store.view() as unit:
        return await load_bulletin(unit, bulletin_id)


async def _held(unit: Unit, bulletin_id: int) -> Bulletin:
    await unit.lock_bulletins([bulletin_id], patient=True)
    return await load_bulletin(unit, bulletin_id)


async def _saved(
    ctx: Context,
    unit: Unit,
    act: str,
    before: Bulletin,
    after: Bulletin,
    officer: int,
    now: datetime,
    why: str = "",
) -> None:
    await save_bulletin(unit, after, now=now)
    await _line(unit, act, before, after, officer, now, why)
    await ctx.store.wake(WAKE_BOARD)


async def _line(
    unit: Unit,
    act: str,
    before: Bulletin | None,
    after: Bulletin,
    officer: int,
    now: datetime,
    why: str = "",
) -> None:
    line = Line(
        act=act,
        actor=f"officer:{officer}",
        bulletin_id=after.id,
        from_state=before.state.value if before else "",
        to_state=after.state.value,
        why=why,
        data={
            "digest": rules.digest(after),
            "status": after.status.value,
            "colour": after.colour.value,
            "hazard": after.hazard,
        },
    )
    await append_lines(unit, [line], now=now)

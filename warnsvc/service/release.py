"""Before and at release: who will be called, and then calling them, in one transaction.

    preview   plan + estimate + gaps + the texts as phones show them; writes nothing
    release   typed phrase ──► escalations, callouts, members, first attempts, lines: all or nothing

A release of 44,000 people is one transaction: what is computed is inserted in its final state, set
by set, so that no row is written twice.
"""

import gc
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from channels.segment import count
from contacts.contact import Contact, addresses_for
from contacts.directory.load import load_assignments, load_contacts, load_tree
from contacts.region import Region, RegionTree
from warnsvc.core import bulletin as rules
from warnsvc.core.bulletin import Bulletin, BulletinState
from warnsvc.core.callout import Callout, CalloutState
from warnsvc.core.case import Case, NewAlarm
from warnsvc.core.escalation import Escalation, EscalationState, Member, Tier
from warnsvc.core.ledger import Line
from warnsvc.core.pack import Rule
from warnsvc.core.plan import (
    CHANNELS,
    Gap,
    GapKind,
    Pace,
    Plan,
    PlanEstimate,
    estimate,
    first_channels,
    plan,
)
from warnsvc.core.refusal import Refusal
from warnsvc.service.bulletin import BulletinDraft
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.service.step import save_case
from warnsvc.store.bulletin import load_bulletin, save_bulletin
from warnsvc.store.case_document import numbers_to_json, tiers_to_json
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit

_ESCALATION_COLUMNS = (
    "id",
    "bulletin_id",
    "region_code",
    "region_name",
    "parent_code",
    "parent_name",
    "state",
    "tier",
    "tiers_json",
    "opened_at",
    "deadline_at",
    "closed_at",
    "late",
    "reason",
    "changed_at",
)
_CALLOUT_COLUMNS = (
    "id",
    "bulletin_id",
    "contact_id",
    "contact_name",
    "language",
    "robot_ok",
    "numbers_json",
    "state",
    "tier",
    "step",
    "rung",
    "started_at",
    "due_at",
    "late",
    "reason",
    "changed_at",
)
_MEMBER_COLUMNS = ("escalation_id", "callout_id", "tier", "rank", "role", "own")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewMessage:
    """One text as phones will show or say it. `people`: how many of the planned get it."""

    language: str
    channel: str
    text: str
    characters: int
    parts: int
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a signer sees before signing, and a releaser before typing the phrase."""

    bulletin: Bulletin
    place: Region
    phrase: str
    digest: str
    rule: Rule
    estimate: PlanEstimate
    gaps: tuple[Gap, ...]
    contacts: Mapping[int, Contact]
    messages: tuple[PreviewMessage, ...]
    warnings: tuple[str, ...]
    """Codes such as `channel_missing:voice` or `language_missing:ug:37`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseResult:
    """How much was set going."""

    escalations: int
    callouts: int
    attempts: int


async def preview(ctx: Context, bulletin_id: int) -> Preview:
    """Return what releasing this bulletin now would do."""
    now = ctx.clock.now()
    async with ctx.store.view() as unit:
        bulletin = await load_bulletin(unit, bulletin_id)
        rule = ctx.rule(bulletin, now)
        tree = await load_tree(unit)
        planned = await _plan(ctx, unit, bulletin, rule, tree, now)
    place = tree.common_ancestor(bulletin.region_codes)
    messages = tuple(_messages(ctx, bulletin, planned.contacts.values(), rule))
    parts = {m.language: m.parts for m in messages if m.channel == "sms"}
    return Preview(
        bulletin=bulletin,
        place=place,
        phrase=rules.confirmation_phrase(bulletin, place.name),
        digest=rules.digest(bulletin),
        rule=rule,
        estimate=estimate(planned, rule=rule, parts=parts, paces=paces(ctx)),
        gaps=planned.gaps,
        contacts=planned.contacts,
        messages=messages,
        warnings=tuple(_warnings(ctx, bulletin, planned)),
    )


async def preview_texts(ctx: Context, draft: BulletinDraft) -> tuple[PreviewMessage, ...]:
    """Return what phones would show of a bulletin that is still being written."""
    bulletin = Bulletin(
        id=0,
        identifier="",
        event_id=0,
        status=draft.status,
        type=rules.BulletinType.ALERT,
        hazard=draft.hazard,
        colour=draft.colour,
        region_codes=draft.region_codes,
        texts=draft.texts,
        onset_at=draft.onset_at,
        expires_at=draft.expires_at,
        drafted_by=0,
    )
    return tuple(
        _message(ctx, bulletin, language, channel, 0)
        for language, text in draft.texts.items()
        if text.strip()
        for channel in ("sms", "voice")
    )


def paces(ctx: Context) -> dict[str, Pace]:
    """Return each channel's pace."""
    return {
        kind: Pace(per_second=c.per_second, lines=c.lines) for kind, c in ctx.capabilities.items()
    }


async def _plan(
    ctx: Context, unit: Unit, bulletin: Bulletin, rule: Rule, tree: RegionTree, now: datetime
) -> Plan:
    selected = [code for code in bulletin.region_codes if code in tree]
    if not selected:
        raise Refusal("region_unknown", field="regions", codes=", ".join(bulletin.region_codes[:5]))
    targets = tree.targets(selected)
    codes = {region.code for target in targets for region in tree.path(target.code)}
    assignments = await load_assignments(unit, sorted(codes))
    wanted = sorted({a.contact_id for a in assignments})
    return plan(
        tree=tree,
        selected=selected,
        assignments=assignments,
        contacts=await load_contacts(unit, wanted),
        rule=rule,
        hazard=bulletin.hazard,
        on=ctx.local_day(now),
    )


def _messages(
    ctx: Context, bulletin: Bulletin, contacts: Iterable[Contact], rule: Rule
) -> Iterable[PreviewMessage]:
    people = Counter(
        (contact.language, channel)
        for contact in contacts
        if contact.robot_ok
        for channel in first_channels(rule, contact)
    )
    merged: Counter[tuple[str, str]] = Counter()
    for (language, channel), many in people.items():
        shown = ctx.renderer.message(bulletin, language=language, channel=channel).language
        merged[shown, channel] += many
    for (language, channel), many in sorted(
        merged.items(), key=lambda item: (item[0][1], -item[1])
    ):
        yield _message(ctx, bulletin, language, channel, many)


def _message(
    ctx: Context, bulletin: Bulletin, language: str, channel: str, people: int
) -> PreviewMessage:
    message = ctx.renderer.message(bulletin, language=language, channel=channel)
    return PreviewMessage(
        language=message.language,
        channel=channel,
        text=message.text,
        people=people,
        characters=count(message.text).characters,
        parts=message.parts,
    )


def _warnings(ctx: Context, bulletin: Bulletin, planned: Plan) -> Iterable[str]:
    needed = {
        channel
        for contact in planned.contacts.values()
        for channel in CHANNELS
        if addresses_for(contact, channel)
    }
    for channel in sorted(needed - set(ctx.capabilities)):
        yield f"channel_missing:{channel}"
    languages = Counter(contact.language for contact in planned.contacts.values())
    for language, many in sorted(languages.items()):
        if not bulletin.texts.get(language, "").strip():
            yield f"language_missing:{language}:{many}"


async def release(ctx: Context, *, officer: int, bulletin_id: int, typed: str) -> ReleaseResult:
    """Release a signed bulletin. Raises Refusal; then nothing at all has happened."""
    with _collector_paused():
        return await _release(ctx, officer=officer, bulletin_id=bulletin_id, typed=typed)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking a million values that all stay alive: a quarter of
    the time of a large release. What is dropped meanwhile is freed by its count as ever."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


async def _release(ctx: Context, *, officer: int, bulletin_id: int, typed: str) -> ReleaseResult:
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        await unit.lock_bulletins([bulletin_id], patient=True)
        before = await load_bulletin(unit, bulletin_id)
        tree = await load_tree(unit)
        place = tree.common_ancestor([c for c in before.region_codes if c in tree]).name
        after = rules.release(
            before,
            officer=officer,
            typed=typed,
            phrase=rules.confirmation_phrase(before, place),
            now=now,
        )
        _require_carriers(ctx, after)
        rule = ctx.rule(after, now)
        planned = await _plan(ctx, unit, after, rule, tree, now)
        case, contact_of = await _insert(unit, after, rule, planned, tree, now)
        await save_bulletin(
            unit, after, now=now, rule=rule, estimate_json=_estimate(ctx, after, rule, planned)
        )
        await _line(unit, before, after, officer, planned, case, now)
        languages = {
            c: planned.contacts[contact_id].language for c, contact_id in contact_of.items()
        }
        await save_case(
            ctx,
            unit,
            case,
            bulletin=after,
            rule=rule,
            now=now,
            languages=languages,
            contacts=contact_of,
        )
        attempts = len(case.changes.attempts)
    await ctx.store.wake(WAKE_WORK, WAKE_BOARD)
    return ReleaseResult(
        escalations=len(planned.escalations), callouts=len(contact_of), attempts=attempts
    )


def _require_carriers(ctx: Context, bulletin: Bulletin) -> None:
    """A warning that nothing carries, or that only invented phones get, is not released."""
    if not ctx.capabilities:
        raise Refusal("no_carrier")
    simulated = {c.kind.value for c in ctx.settings.carriers if c.adapter.startswith("simulated")}
    if bulletin.status is rules.BulletinStatus.ACTUAL and simulated and not ctx.settings.demo:
        raise Refusal("carrier_simulated", channels=", ".join(sorted(simulated)))


def _estimate(ctx: Context, bulletin: Bulletin, rule: Rule, planned: Plan) -> str:
    messages = _messages(ctx, bulletin, planned.contacts.values(), rule)
    parts = {m.language: m.parts for m in messages if m.channel == "sms"}
    return json.dumps(asdict(estimate(planned, rule=rule, parts=parts, paces=paces(ctx))))


async def _insert(
    unit: Unit, bulletin: Bulletin, rule: Rule, planned: Plan, tree: RegionTree, now: datetime
) -> tuple[Case, dict[int, int]]:
    """Open the case and insert its rows in the state that follows. Returns callout → contact."""
    callout_ids = await unit.new_ids("callout", len(planned.contacts))
    callout_of = dict(zip(planned.contacts, callout_ids, strict=True))
    escalation_ids = await unit.new_ids("escalation", len(planned.escalations))
    escalations = _escalations(planned, escalation_ids, callout_of, rule)
    callouts = [
        Callout(
            id=callout_of[contact.id],
            contact_id=contact.id,
            state=CalloutState.WAITING,
            tier=0,
            step=0,
            rung=0,
            numbers=contact.numbers,
            robot_ok=contact.robot_ok,
            started_at=None,
            due_at=None,
        )
        for contact in planned.contacts.values()
    ]
    names = {i: e.region.name for i, e in zip(escalation_ids, planned.escalations, strict=True)}
    case = Case(
        bulletin_id=bulletin.id,
        rule=rule,
        now=now,
        escalations=escalations,
        callouts={c.id: c for c in callouts},
        region_names=names,
    )
    case.open_all()
    escalation_of = {e.region_code: e.id for e in escalations}
    case.changes.alarms.extend(
        NewAlarm("no_contact", escalation_id=escalation_of[gap.region_code])
        for gap in planned.gaps
        if gap.kind is GapKind.EMPTY_TIER and gap.region_code in escalation_of
    )
    await _insert_escalations(unit, bulletin, planned, escalations, case, tree, now)
    await _insert_callouts(unit, bulletin, planned, callouts, case, now)
    await _insert_members(unit, planned, escalation_ids, callout_of)
    case.changes.escalations.clear()
    case.changes.callouts = {
        i: c for i, c in case.changes.callouts.items() if c.state is not CalloutState.CALLING
    }
    case.changes.cancel_unsent.clear()
    return case, {callout: contact for contact, callout in callout_of.items()}


def _escalations(
    planned: Plan, ids: Sequence[int], callout_of: Mapping[int, int], rule: Rule
) -> list[Escalation]:
    return [
        Escalation(
            id=escalation_id,
            region_code=item.region.code,
            state=EscalationState.PENDING,
            tier=0,
            deadline_at=None,
            closing_rung=rule.closing_rung,
            tiers=tuple(
                Tier(
                    tier.ordinal,
                    rule.tier(tier.ordinal).window_seconds,
                    rule.tier(tier.ordinal).quorum,
                    tuple(Member(callout_of[m.contact_id]) for m in tier.members),
                    tier.source_code,
                )
                for tier in item.tiers
            ),
        )
        for escalation_id, item in zip(ids, planned.escalations, strict=True)
    ]


async def _insert_escalations(
    unit: Unit,
    bulletin: Bulletin,
    planned: Plan,
    escalations: Sequence[Escalation],
    case: Case,
    tree: RegionTree,
    now: datetime,
) -> None:
    rows: list[tuple[Any, ...]] = []
    for opened, item in zip(escalations, planned.escalations, strict=True):
        state = case.changes.escalations.get(opened.id, opened)
        region = item.region
        steps = tree.path(region.code)
        parent = steps[-2] if len(steps) > 1 else None
        closed_at = None if state.state is EscalationState.CALLING else now
        rows.append(
            (
                opened.id,
                bulletin.id,
                region.code,
                region.name,
                region.parent_code,
                parent.name if parent else "",
                state.state.value,
                state.tier,
                tiers_to_json(opened.tiers, region.code),
                now,
                state.deadline_at,
                closed_at,
                False,
                "",
                now,
            )
        )
    await unit.insert_rows("escalation", _ESCALATION_COLUMNS, rows)


async def _insert_callouts(
    unit: Unit,
    bulletin: Bulletin,
    planned: Plan,
    callouts: Sequence[Callout],
    case: Case,
    now: datetime,
) -> None:
    rows: list[tuple[Any, ...]] = []
    for waiting in callouts:
        state = case.changes.callouts.get(waiting.id, waiting)
        contact = planned.contacts[waiting.contact_id]
        rows.append(
            (
                state.id,
                bulletin.id,
                contact.id,
                contact.name,
                contact.language,
                contact.robot_ok,
                numbers_to_json(contact.numbers),
                state.state.value,
                state.tier,
                state.step,
                state.rung,
                state.started_at,
                state.due_at,
                False,
                "",
                now,
            )
        )
    await unit.insert_rows("callout", _CALLOUT_COLUMNS, rows)


async def _insert_members(
    unit: Unit, planned: Plan, escalation_ids: Sequence[int], callout_of: Mapping[int, int]
) -> None:
    await unit.insert_rows(
        "member",
        _MEMBER_COLUMNS,
        [
            (
                escalation_id,
                callout_of[member.contact_id],
                tier.ordinal,
                member.rank,
                member.role,
                tier.source_code == item.region.code,
            )
            for escalation_id, item in zip(escalation_ids, planned.escalations, strict=True)
            for tier in item.tiers
            for member in tier.members
        ],
    )


async def _line(
    unit: Unit,
    before: Bulletin,
    after: Bulletin,
    officer: int,
    planned: Plan,
    case: Case,
    now: datetime,
) -> None:
    assert before.state is BulletinState.SIGNED
    line = Line(
        act="bulletin.released",
        actor=f"officer:{officer}",
        bulletin_id=after.id,
        from_state=before.state.value,
        to_state=after.state.value,
        data={
            "digest": after.signed_digest,
            "status": after.status.value,
            "escalations": len(planned.escalations),
            "people": len(planned.contacts),
            "attempts": len(case.changes.attempts),
        },
    )
    empty = [
        Line(
            act="plan.tier_empty",
            bulletin_id=after.id,
            why="nobody in it can be called",
            data={"region": gap.region_code, "tier": gap.tier},
        )
        for gap in planned.gaps
        if gap.kind is GapKind.EMPTY_TIER
    ]
    await append_lines(unit, [line, *empty], now=now)

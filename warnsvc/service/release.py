"""The release: calling begins, in one transaction.

    typed phrase ──► plan ──► escalations, callouts, members, first attempts, lines: all or nothing

What is planned before it, for the signer to see, is `warnsvc.service.preview`'s.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from contacts.directory.load import load_tree
from warnsvc.core import bulletin as rules
from warnsvc.core.bulletin import Bulletin, BulletinState
from warnsvc.core.case import Case
from warnsvc.core.estimate import estimate, reach
from warnsvc.core.ledger import Line
from warnsvc.core.pack import Rule
from warnsvc.core.plan import GapKind, Plan
from warnsvc.core.refusal import Refusal
from warnsvc.service.collector import collector_paused
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.service.opening import open_case
from warnsvc.service.preview import (
    Preview,
    PreviewMessage,
    messages_of,
    paces,
    plan_release,
    preview,
    preview_texts,
    sms_parts,
)
from warnsvc.service.step import save_case
from warnsvc.store.bulletin import load_bulletin, save_bulletin
from warnsvc.store.carrier import load_added_rows
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit
from warnsvc.store.stream import streamed

__all__ = ["Preview", "PreviewMessage", "ReleaseResult", "preview", "preview_texts", "release"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseResult:
    """How much was set going."""

    escalations: int
    callouts: int
    attempts: int


async def release(ctx: Context, *, officer: int, bulletin_id: int, typed: str) -> ReleaseResult:
    """Release a signed bulletin. Raises Refusal; then nothing at all has happened."""
    with collector_paused():
        return await _release(ctx, officer=officer, bulletin_id=bulletin_id, typed=typed)


async def _release(ctx: Context, *, officer: int, bulletin_id: int, typed: str) -> ReleaseResult:
    now = ctx.clock.now()
    async with ctx.store.unit() as unit, streamed(unit) as stream:
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
        await _require_carriers(ctx, unit, after)
        rule = ctx.rule(after, now)
        planned = await plan_release(ctx, unit, after, rule, tree, now)
        opened = await open_case(stream, after, rule, planned, tree, now)
        document = _estimate(ctx, after, rule, planned)
        await save_bulletin(stream, after, now=now, rule=rule, estimate_json=document)
        await _line(stream, before, after, officer, planned, opened.case, now)
        await save_case(
            ctx,
            stream,
            opened.case,
            bulletin=after,
            rule=rule,
            now=now,
            languages=opened.languages,
            contacts=opened.contacts,
        )
        attempts = len(opened.case.changes.attempts)
    await ctx.store.wake(WAKE_WORK, WAKE_BOARD)
    return ReleaseResult(
        escalations=len(planned.escalations), callouts=len(planned.contacts), attempts=attempts
    )


async def _require_carriers(ctx: Context, unit: Unit, bulletin: Bulletin) -> None:
    """A warning that nothing carries, or that only invented phones get, is not released."""
    if not ctx.capabilities:
        raise Refusal("no_carrier")
    named = [(carrier.adapter, carrier.kind.value) for carrier in ctx.settings.carriers]
    added = [row for row in await load_added_rows(unit) if row["name"] in ctx.fleet.channels]
    named += [(row["adapter"], row["kind"]) for row in added]
    simulated = {kind for adapter, kind in named if adapter.startswith("simulated")}
    if bulletin.status is rules.BulletinStatus.ACTUAL and simulated and not ctx.settings.demo:
        raise Refusal("carrier_simulated", channels=", ".join(sorted(simulated)))


def _estimate(ctx: Context, bulletin: Bulletin, rule: Rule, planned: Plan) -> str:
    people = reach(planned.contacts.values(), rule)
    parts = sms_parts(messages_of(ctx, bulletin, people))
    found = estimate(planned, rule=rule, parts=parts, paces=paces(ctx), everyone=people)
    return json.dumps(asdict(found))


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

"""Carriers as an operator keeps them: those of the settings, and those added beside them.

    draft ──► checked, built once, closed again ──► row + ledger line ──► serves from the next start
    added ──► enabled / disabled ──► removed

What is added by command or page stands in the table `carrier`, behind those of the settings, which
only the settings change. Secrets stay in files: the database holds their paths, and nothing here
returns, logs or writes what is in them. It sends nothing.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from channels.base import Channel
from channels.registry import ChannelMisconfigured
from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.logging import mask_numbers
from warnsvc.service.adapter_form import AdapterForm, Parameter, adapters
from warnsvc.service.carrier_account import (
    load_accounts,
    load_added,
    spec_of,
    whole_address,
)
from warnsvc.service.carrier_draft import CarrierDraft, check_draft
from warnsvc.service.carrier_view import PROBLEMS, CarrierView, list_carriers
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.service.officer import actor
from warnsvc.store.carrier import add_row, delete_row, set_row_enabled
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import IntegrityFault, Unit
from warnsvc.store.table import CarrierRow

__all__ = [
    "PROBLEMS",
    "AdapterForm",
    "CarrierDraft",
    "CarrierView",
    "Parameter",
    "adapters",
    "add_carrier",
    "carrier_address",
    "list_carriers",
    "load_added",
    "open_channel",
    "remove_carrier",
    "set_enabled",
    "spec_of",
]


async def add_carrier(ctx: Context, officer_id: int | None, draft: CarrierDraft) -> None:
    """Add a carrier; None: by the command. Raises Refusals, one for each wrong field."""
    checked = await check_draft(ctx, draft)
    now = ctx.clock.now()
    row = CarrierRow(
        name=draft.name,
        kind=checked.kind,
        adapter=draft.adapter,
        params_json=_to_json(checked.params),
        secret_files_json=_to_json(checked.secret_files),
        created_at=now,
        created_by=officer_id,
        changed_at=now,
    )
    try:
        async with ctx.store.unit() as unit:
            if await unit.fetch_one("SELECT name FROM carrier WHERE name = $1", row.name):
                raise Refusals((Refusal("carrier_name_taken", field="name"),))
            await add_row(unit, row)
            data = {"carrier": row.name, "adapter": row.adapter, "params": sorted(checked.params)}
            await _write_line(ctx, unit, "carrier.added", officer_id, data)
    except IntegrityFault as fault:
        raise Refusals((Refusal("carrier_name_taken", field="name"),)) from fault
    await ctx.store.wake(WAKE_BOARD)


async def set_enabled(ctx: Context, officer_id: int | None, name: str, enabled: bool) -> None:
    """Let an added carrier serve, or not, from the next start. Raises Refusal."""
    async with ctx.store.unit() as unit:
        if not await set_row_enabled(unit, name, enabled=enabled, now=ctx.clock.now()):
            raise _not_added(ctx, name)
        act = "carrier.enabled" if enabled else "carrier.disabled"
        await _write_line(ctx, unit, act, officer_id, {"carrier": name})
    await ctx.store.wake(WAKE_BOARD)


async def remove_carrier(ctx: Context, officer_id: int | None, name: str) -> None:
    """Take an added carrier away. Raises Refusal."""
    async with ctx.store.unit() as unit:
        if not await delete_row(unit, name):
            raise _not_added(ctx, name)
        await _write_line(ctx, unit, "carrier.removed", officer_id, {"carrier": name})
    await ctx.store.wake(WAKE_BOARD)


@asynccontextmanager
async def open_channel(ctx: Context, name: str) -> AsyncIterator[Channel]:
    """Lend a carrier's channel: the running one, or one built for the moment. Raises Refusal."""
    if running := ctx.fleet.channels.get(name):
        yield running
        return
    async with ctx.store.view() as view:
        accounts = {account.name: account for account in await load_accounts(ctx, view)}
    if name not in accounts:
        raise Refusal("carrier_unknown", name=name)
    try:
        built = accounts[name].build(ctx.clock)
    except ChannelMisconfigured as fault:
        raise Refusal("carrier_misconfigured", why=mask_numbers(str(fault))) from None
    try:
        yield built
    finally:
        await built.close()


async def carrier_address(ctx: Context, name: str) -> str:
    """Return the whole address that a carrier posts to: a key in it is a secret. Raises Refusal."""
    async with open_channel(ctx, name) as channel:
        return whole_address(channel, ctx.settings.public_url)


def _not_added(ctx: Context, name: str) -> Refusal:
    if any(carrier.name == name for carrier in ctx.settings.carriers):
        return Refusal("carrier_of_settings", name=name)
    return Refusal("carrier_unknown", name=name)


async def _write_line(
    ctx: Context, unit: Unit, act: str, officer_id: int | None, data: Mapping[str, object]
) -> None:
    who = actor(officer_id) if officer_id is not None else "system"
    await append_lines(unit, [Line(act=act, actor=who, data=dict(data))], now=ctx.clock.now())


def _to_json(values: Mapping[str, object]) -> str:
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

"""Carriers as an operator keeps them: those of the settings, and those added beside them.

    draft ──► checked, built once, closed again ──► row + ledger line ──► serves from the next start
    added ──► enabled / disabled ──► removed

What is added by command or page stands in the table `carrier`, behind those of the settings, which
only the settings change. Secrets stay in files: the database holds their paths, and nothing here
returns, logs or writes what is in them. It sends nothing.
"""

import json
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from channels.base import Channel
from channels.registry import ADAPTERS, ChannelMisconfigured
from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.logging import mask_numbers
from warnsvc.secret import read_secret
from warnsvc.service.adapter_form import CANARY_TO, AdapterForm, Parameter, adapters, form_of
from warnsvc.service.carrier_account import (
    KeepsAddressSecret,
    build_account,
    inbound_path,
    load_accounts,
    load_added,
    settings_from,
    spec_of,
)
from warnsvc.service.carrier_view import PROBLEMS, CarrierView, list_carriers
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.service.officer import actor
from warnsvc.service.test_send import check_address
from warnsvc.settings import CONFIG_VARIABLE, SECRET_SETTINGS
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

_NAME = re.compile(r"(?!add$)[a-z][a-z0-9_-]{0,39}")
"""`/carriers/add` is the page that adds one."""
VALUE_CHARS_MAX = 500
"""Longer than any address or account."""
_KERNELS_OWN = ("/proc", "/sys", "/dev")
"""What looks like a file and is not: `/proc/self/environ` would hand over every secret at once."""

Values = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierDraft:
    """A carrier that somebody wants to add."""

    name: str
    adapter: str
    params: Values = field(default_factory=dict)
    """Values may be texts as they were typed; with `canary_to` and `canary_minutes`."""
    secret_files: Mapping[str, str] = field(default_factory=dict)
    """Secret → the path of the file that holds it."""


async def add_carrier(ctx: Context, officer_id: int | None, draft: CarrierDraft) -> None:
    """Add a carrier; None: by the command. Raises Refusals, one for each wrong field."""
    adapter = ADAPTERS.get(draft.adapter)
    wrong = [] if _NAME.fullmatch(draft.name) else [Refusal("carrier_name_malformed", field="name")]
    if adapter is None:
        raise Refusals((*wrong, Refusal("adapter_unknown", field="adapter")))
    form = form_of(draft.adapter, adapter)
    params = _read_params(form, draft, wrong)
    files = _read_files(ctx, form, draft, wrong)
    if any(carrier.name == draft.name for carrier in ctx.settings.carriers):
        wrong.append(Refusal("carrier_name_taken", field="name"))
    if wrong:
        raise Refusals(tuple(wrong))
    await _try_to_build(ctx, form, draft.name, params, files)
    now = ctx.clock.now()
    row = CarrierRow(
        name=draft.name,
        kind=form.kind,
        adapter=form.name,
        params_json=_to_json(params),
        secret_files_json=_to_json(files),
        created_at=now,
        created_by=officer_id,
        changed_at=now,
    )
    try:
        async with ctx.store.unit() as unit:
            if await unit.fetch_one("SELECT name FROM carrier WHERE name = $1", row.name):
                raise Refusals((Refusal("carrier_name_taken", field="name"),))
            await add_row(unit, row)
            data = {"carrier": row.name, "adapter": row.adapter, "params": sorted(params)}
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
        query = channel.callback_query if isinstance(channel, KeepsAddressSecret) else ""
    return ctx.settings.public_url + inbound_path(name, query)


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


# The draft -------------------------------------------------------------------------------------


def _read_params(form: AdapterForm, draft: CarrierDraft, wrong: list[Refusal]) -> Values:
    """Return the parameters as values; empty ones that are not needed are left out."""
    read: dict[str, str | int | float | bool] = {}
    for name, typed in draft.params.items():
        known = form.parameter(name)
        if (known and known.secret) or name in {"secrets", "secret_file", "secret_files"}:
            wrong.append(Refusal("parameter_is_secret", field=name, name=name))
        elif known is None:
            wrong.append(Refusal("parameter_unknown", field=name, name=name))
        elif typed == "" and not known.required:
            continue
        elif len(str(typed)) > VALUE_CHARS_MAX:
            wrong.append(Refusal("parameter_malformed", field=name, name=name))
        else:
            try:
                read[name] = known.read(typed)
            except ValueError:
                wrong.append(Refusal("parameter_malformed", field=name, name=name))
    wrong += _missing([p for p in form.parameters if not p.secret], draft.params)
    if canary_to := read.get(CANARY_TO):
        try:
            check_address(form.kind, str(canary_to), field=CANARY_TO)
        except Refusal as refusal:
            wrong.append(refusal)
    return read


def _read_files(
    ctx: Context, form: AdapterForm, draft: CarrierDraft, wrong: list[Refusal]
) -> Mapping[str, str]:
    files = {name: path.strip() for name, path in draft.secret_files.items() if path.strip()}
    for name, path in files.items():
        known = form.parameter(name)
        if known is None or not known.secret:
            wrong.append(Refusal("parameter_unknown", field=name, name=name))
        elif not Path(path).is_absolute() or _is_our_own(ctx, Path(path)):
            wrong.append(Refusal("secret_file_forbidden", field=name, path=path))
        else:
            try:
                read_secret(Path(path))
            except ValueError:
                wrong.append(Refusal("secret_file_unreadable", field=name, path=path))
    wrong += _missing([p for p in form.parameters if p.secret], files)
    return files


def _missing(parameters: list[Parameter], given: Mapping[str, object]) -> list[Refusal]:
    return [
        Refusal("parameter_missing", field=each.name, name=each.name)
        for each in parameters
        if each.required and str(given.get(each.name, "")).strip() == ""
    ]


def _is_our_own(ctx: Context, path: Path) -> bool:
    """Whether a file is none of a carrier's: a page must not send our own secrets anywhere.

    An address and a file is all that somebody needs who wants to read what he may not.
    """
    settings, real = ctx.settings, path.resolve()
    named = [getattr(settings, f"{name}_file", None) for name in SECRET_SETTINGS]
    named.append(os.environ.get(CONFIG_VARIABLE))
    own = {Path(each).resolve() for each in named if each}
    folders = [settings.data_dir.resolve(), *(Path(each) for each in _KERNELS_OWN)]
    return real in own or any(real.is_relative_to(folder) for folder in folders)


async def _try_to_build(
    ctx: Context, form: AdapterForm, name: str, params: Values, files: Mapping[str, str]
) -> None:
    """Build it once: what it says against itself is the refusal."""
    try:
        settings = settings_from(
            name=name, kind=form.kind, adapter=form.name, params=params, secret_files=files
        )
        channel = build_account(settings, ctx.clock)
    except ChannelMisconfigured as fault:
        why = mask_numbers(str(fault))
        raise Refusals((Refusal("carrier_misconfigured", why=why),)) from None
    await channel.close()

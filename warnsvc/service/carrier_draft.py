"""A carrier that somebody wants to add: what he typed, read and checked field by field.

    typed ──► values of the adapter's types · paths of secret files ──► built once, closed again
                          └─ every wrong field is named at once

No secret is returned, and none of our own files may be named: an address and a file is all that
somebody needs who wants to read what he may not. It writes nothing.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from channels.registry import ADAPTERS, ChannelMisconfigured
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.logging import mask_numbers
from warnsvc.secret import read_secret
from warnsvc.service.adapter_form import CANARY_TO, AdapterForm, Parameter, form_of
from warnsvc.service.carrier_account import build_account, settings_from
from warnsvc.service.context import Context
from warnsvc.service.test_send import check_address
from warnsvc.settings import CONFIG_VARIABLE, SECRET_SETTINGS

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A draft that can be kept."""

    kind: str
    params: Values
    secret_files: Mapping[str, str]


async def check_draft(ctx: Context, draft: CarrierDraft) -> Checked:
    """Read a draft and build it once. Raises Refusals, one for each wrong field."""
    adapter = ADAPTERS.get(draft.adapter)
    wrong = [] if _NAME.fullmatch(draft.name) else [Refusal("carrier_name_malformed", field="name")]
    if adapter is None:
        raise Refusals((*wrong, Refusal("adapter_unknown", field="adapter")))
    form = form_of(draft.adapter, adapter)
    params = _read_params(ctx, form, draft, wrong)
    files = _read_files(ctx, form, draft, wrong)
    if any(carrier.name == draft.name for carrier in ctx.settings.carriers):
        wrong.append(Refusal("carrier_name_taken", field="name"))
    if wrong:
        raise Refusals(tuple(wrong))
    await _try_to_build(ctx, form, draft.name, params, files)
    return Checked(kind=form.kind, params=params, secret_files=files)


def _read_params(
    ctx: Context, form: AdapterForm, draft: CarrierDraft, wrong: list[Refusal]
) -> Values:
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
        elif str(typed).startswith("/") and _is_our_own(ctx, Path(str(typed))):
            wrong.append(Refusal("secret_file_forbidden", field=name, path=str(typed)))
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
    """Whether a file is none of a carrier's: a page must not send our own secrets anywhere."""
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

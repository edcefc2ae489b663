"""Builds channels from plain configuration: one table per channel, in TOML or JSON.

    [[channels]]
    name = "sms-main"
    adapter = "simulated-sms"
    base_url = "http://127.0.0.1:8081"
    account = "warnsvc"
    secret_files = ["/run/secrets/carrier"]
    sender = "106900000001"

A mistake stops the start with a sentence that names the channel and the parameter, never a value:
values may be secrets. Adding an adapter is one line in `ADAPTERS`.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from channels.aliyun_sms import AliyunSms
from channels.aliyun_voice import AliyunVoice
from channels.base import Channel, ChannelKind, PerCalleeLimit, registered
from channels.clock import Clock, utc_now
from channels.gateway import HttpGateway
from channels.http_client import TimeLimits
from channels.simulated import SimulatedSms, SimulatedVoice
from channels.twilio_sms import TwilioSms
from channels.twilio_voice import TwilioVoice
from channels.webhook import WebhookChannel

PER_SECOND_MIN, PER_SECOND_MAX = 0.001, 100_000.0
"""Slower than three an hour, or faster than any carrier: a slip of the finger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A kind of channel that can be built."""

    kind: ChannelKind
    build: Callable[..., Channel]


ADAPTERS: dict[str, Adapter] = {
    "http-gateway": Adapter(kind=ChannelKind.SMS, build=HttpGateway),
    "aliyun-sms": Adapter(kind=ChannelKind.SMS, build=AliyunSms),
    "aliyun-voice": Adapter(kind=ChannelKind.VOICE, build=AliyunVoice),
    "simulated-sms": Adapter(kind=ChannelKind.SMS, build=SimulatedSms),
    "simulated-voice": Adapter(kind=ChannelKind.VOICE, build=SimulatedVoice),
    "twilio-sms": Adapter(kind=ChannelKind.SMS, build=TwilioSms),
    "twilio-voice": Adapter(kind=ChannelKind.VOICE, build=TwilioVoice),
    "webhook": Adapter(kind=ChannelKind.WEBHOOK, build=WebhookChannel),
}


class ChannelMisconfigured(Exception):
    """A channel's configuration cannot be used; the text is for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpec:
    """The configuration of one channel."""

    name: str
    adapter: str
    kind: str = ""
    """Checked against the adapter's when given."""
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)


def build_channels(
    specs: Iterable[ChannelSpec | Mapping[str, Any]], *, clock: Clock = utc_now
) -> dict[str, Channel]:
    """Return channels by name. Raises ChannelMisconfigured."""
    read = [spec if isinstance(spec, ChannelSpec) else spec_from(spec) for spec in specs]
    names = [spec.name for spec in read]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ChannelMisconfigured(f"two channels are named {twice}")
    return registered([build_channel(spec, clock=clock) for spec in read])


def spec_from(table: Mapping[str, Any]) -> ChannelSpec:
    """Return the spec in a table: `name`, `adapter`, perhaps `kind`; the rest are parameters."""
    missing = [key for key in ("name", "adapter") if not table.get(key)]
    if missing:
        raise ChannelMisconfigured(f"a channel needs {' and '.join(missing)}")
    nested = table.get("params", {})
    flat = {k: v for k, v in table.items() if k not in ("name", "adapter", "kind", "params")}
    return ChannelSpec(
        name=str(table["name"]),
        adapter=str(table["adapter"]),
        kind=str(table.get("kind", "")),
        params={**nested, **flat},
    )


def build_channel(spec: ChannelSpec, *, clock: Clock = utc_now) -> Channel:
    """Return one channel. Raises ChannelMisconfigured."""
    adapter = ADAPTERS.get(spec.adapter)
    if adapter is None:
        known = ", ".join(sorted(ADAPTERS))
        raise ChannelMisconfigured(
            f"channel {spec.name}: there is no adapter {spec.adapter!r}; there are {known}"
        )
    if spec.kind and spec.kind != adapter.kind:
        raise ChannelMisconfigured(
            f"channel {spec.name}: {spec.adapter} is for {adapter.kind}, not {spec.kind}"
        )
    params = _values(spec)
    _check_names(spec, adapter, params)
    _check_numbers(spec, params)
    try:
        channel = adapter.build(name=spec.name, clock=clock, **params)
    except (ValueError, TypeError) as error:
        raise ChannelMisconfigured(f"channel {spec.name}: {error}") from error
    _check_paces(spec, channel)
    return channel


def _check_numbers(spec: ChannelSpec, params: Mapping[str, Any]) -> None:
    """Nothing that is counted or measured here can be less than nothing, or no number."""
    for name, value in params.items():
        if isinstance(value, int | float) and not (isfinite(value) and value >= 0):
            raise ChannelMisconfigured(f"channel {spec.name}: {name} is a number from 0")


def _check_paces(spec: ChannelSpec, channel: Channel) -> None:
    """A pace that is none would stop its process, and with it every other carrier."""
    capabilities = channel.capabilities
    for pace in (capabilities.per_second, *(limit.per_second for limit in capabilities.paces)):
        if not PER_SECOND_MIN <= pace <= PER_SECOND_MAX:
            raise ChannelMisconfigured(
                f"channel {spec.name}: a pace is {PER_SECOND_MIN:g} to {PER_SECOND_MAX:g} a second"
            )


def _values(spec: ChannelSpec) -> dict[str, Any]:
    """Turn what TOML can say into what adapters take."""
    params = dict(spec.params)
    if "secret" in params:
        params["secrets"] = (params.pop("secret"),)
    if "secret_file" in params:
        params["secret_files"] = (params.pop("secret_file"),)
    if "secret_files" in params:
        params["secrets"] = tuple(_secret(spec, path) for path in params.pop("secret_files"))
    if isinstance(params.get("secrets"), str):
        raise ChannelMisconfigured(f"channel {spec.name}: secrets is a list")
    if "limits" in params:
        params["limits"] = _table(spec, "limits", TimeLimits, params["limits"])
    if isinstance(params.get("per_callee"), str):
        params["per_callee"] = _per_callee(spec, params["per_callee"])
    elif "per_callee" in params:
        params["per_callee"] = tuple(
            _table(spec, "per_callee", PerCalleeLimit, limit) for limit in params["per_callee"]
        )
    return params


_LIMIT = re.compile(r"(\d+)/(\d+)(!?)")


def _per_callee(spec: ChannelSpec, text: str) -> tuple[PerCalleeLimit, ...]:
    """Read `1/60 5/3600 20/86400!`: sends per seconds to one callee; `!`: the carrier's own."""
    found = [_LIMIT.fullmatch(word) for word in text.split()]
    if not all(found):
        raise ChannelMisconfigured(
            f"channel {spec.name}: per_callee is written like '1/60 5/3600 20/86400!'"
        )
    return tuple(
        PerCalleeLimit(count=int(m[1]), seconds=int(m[2]), hard=bool(m[3])) for m in found if m
    )


def _secret(spec: ChannelSpec, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ChannelMisconfigured(
            f"channel {spec.name}: cannot read a secret file: {error.strerror}"
        ) from error


def _table(spec: ChannelSpec, name: str, make: Callable[..., Any], value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    try:
        return make(**value)
    except TypeError as error:
        raise ChannelMisconfigured(f"channel {spec.name}: {name} is not right") from error


def _check_names(spec: ChannelSpec, adapter: Adapter, params: Mapping[str, Any]) -> None:
    """Compare parameter names with what the adapter takes, before a value can reach an error."""
    taken = {
        name: parameter
        for name, parameter in inspect.signature(adapter.build).parameters.items()
        if name not in ("name", "clock")
    }
    unknown = sorted(set(params) - set(taken))
    if unknown:
        raise ChannelMisconfigured(
            f"channel {spec.name}: {spec.adapter} does not know {', '.join(unknown)}"
        )
    missing = sorted(
        name
        for name, parameter in taken.items()
        if parameter.default is inspect.Parameter.empty and name not in params
    )
    if missing:
        raise ChannelMisconfigured(
            f"channel {spec.name}: {spec.adapter} needs {', '.join(missing)}"
        )

"""A carrier's account, wherever it was written down, and how a channel is built from it.

    settings [[carriers]] ─┐
    table `carrier` ───────┴─► Account ──► ChannelSpec ──► channel

Secrets are read from their files when they are needed and go into the channel, nowhere else: no
error here holds a value. It connects to nobody.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import structlog
from pydantic import ValidationError

from channels.base import Channel, ChannelKind
from channels.registry import ChannelMisconfigured, ChannelSpec, build_channel
from warnsvc.clock import Clock
from warnsvc.service.adapter_form import CANARY_MINUTES, CANARY_TO
from warnsvc.service.context import Context
from warnsvc.settings import CarrierSettings, Settings
from warnsvc.store.carrier import load_added_rows
from warnsvc.store.port import Row, Store, Unit

log = structlog.get_logger(__name__)

SETTINGS, ADDED = "settings", "added"
HIDDEN = "key=…"
"""In place of a key in an address that is shown."""
_KEY = re.compile(r"key=[^&]*")
REDACTED = "[redacted]"


@runtime_checkable
class PostsToOneAddress(Protocol):
    """A channel whose carrier signs nothing and posts everything to one address with a key."""

    @property
    def callback_query(self) -> str:
        """What follows the question mark. A secret."""
        ...


@runtime_checkable
class KnowsItsAddress(Protocol):
    """A channel that knows how the address for replies is written at its carrier."""

    def inbound_address(self, public_url: str) -> str:
        """Return it whole. A key in it is a secret."""
        ...


def whole_address(channel: Channel, public_url: str) -> str:
    """Return where a carrier posts what people send: a key in it is a secret."""
    if isinstance(channel, KnowsItsAddress):
        return channel.inbound_address(public_url)
    plain = plain_address(channel.name, public_url)
    if isinstance(channel, PostsToOneAddress):
        return f"{plain}?{channel.callback_query}"
    return plain


def plain_address(name: str, public_url: str) -> str:
    """Return where our callbacks of a carrier are."""
    return f"{public_url}/callbacks/{name}"


def without_key(address: str) -> str:
    """Return an address as a page may show it."""
    return _KEY.sub(HIDDEN, address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What somebody wrote down about a carrier."""

    name: str
    kind: str
    adapter: str
    source: str
    enabled: bool
    canary_to: str
    canary_minutes: int
    settings: CarrierSettings | None
    """None when it cannot be read; `fault` says why."""
    fault: str = ""

    @property
    def has_canary(self) -> bool:
        """Whether one is to be sent."""
        return bool(self.enabled and self.canary_to and self.canary_minutes)

    def build(self, clock: Clock) -> Channel:
        """Return its channel; the caller closes it. Raises ChannelMisconfigured."""
        if self.settings is None:
            raise ChannelMisconfigured(self.fault)
        return build_account(self.settings, clock)


def build_account(carrier: CarrierSettings, clock: Clock) -> Channel:
    """Return a carrier's channel. Raises ChannelMisconfigured, with no secret in it."""
    try:
        return build_channel(spec_of(carrier), clock=clock.now)
    except ChannelMisconfigured as fault:
        said = str(fault)
        for secret in carrier.secrets.values():
            said = said.replace(secret.get_secret_value(), REDACTED)
        raise ChannelMisconfigured(said) from None


def spec_of(carrier: CarrierSettings) -> ChannelSpec:
    """A carrier's secrets: `secret`, and `previous_secret` while it is being replaced."""
    plain = {name: secret.get_secret_value() for name, secret in carrier.secrets.items()}
    params: dict[str, object] = dict(carrier.params)
    rotating = [plain.pop(name) for name in ("secret", "previous_secret") if name in plain]
    if rotating:
        params["secrets"] = tuple(rotating)
    return ChannelSpec(
        name=carrier.name,
        adapter=carrier.adapter,
        kind=carrier.kind.value,
        params={**params, **plain},
    )


def settings_from(
    *,
    name: str,
    kind: str,
    adapter: str,
    params: Mapping[str, str | int | float | bool],
    secret_files: Mapping[str, str],
) -> CarrierSettings:
    """Return an added carrier as if it stood in the settings. Raises ChannelMisconfigured."""
    plain = dict(params)
    canary = {key: plain.pop(key) for key in (CANARY_TO, CANARY_MINUTES) if key in plain}
    document = {
        "name": name,
        "kind": ChannelKind(kind),
        "adapter": adapter,
        "params": plain,
        "secret_files": {each: Path(path) for each, path in secret_files.items()},
        **canary,
    }
    try:
        return CarrierSettings.model_validate(document)
    except ValidationError as fault:
        told = [
            f"{'.'.join(str(step) for step in error['loc'])}: ".removeprefix(": ")
            + error["msg"].removeprefix("Value error, ")
            for error in fault.errors(include_input=False, include_url=False)
        ]
        raise ChannelMisconfigured(f"channel {name}: {'; '.join(told)}") from None


def accounts_of(settings: Settings, added: Sequence[Row]) -> list[Account]:
    """Return every account, those of the settings first."""
    taken = {carrier.name for carrier in settings.carriers}
    return [
        *(_of_settings(carrier) for carrier in settings.carriers),
        *(_of_row(row) for row in added if row["name"] not in taken),
    ]


async def load_accounts(ctx: Context, unit: Unit) -> list[Account]:
    """Return every account, those of the settings first."""
    return accounts_of(ctx.settings, await load_added_rows(unit))


async def load_added(
    store: Store, clock: Clock, *, taken: Collection[str] = ()
) -> list[ChannelSpec]:
    """Return the added carriers that are enabled and can be built, in their order.

    `taken`: names of the settings, which go before.

    One that cannot be built any more is left out and logged: the page that would mend it must come
    up. It stands there as broken, and its canary's silence is an alarm.
    """
    async with store.view() as view:
        rows = await load_added_rows(view)
    specs = []
    for account in map(_of_row, rows):
        if not account.enabled or account.name in taken:
            continue
        try:
            channel = account.build(clock)
        except ChannelMisconfigured as fault:
            log.error("carrier.left_out", carrier=account.name, error=str(fault))
            continue
        await channel.close()
        assert account.settings is not None
        specs.append(spec_of(account.settings))
    return specs


def _of_settings(carrier: CarrierSettings) -> Account:
    return Account(
        name=carrier.name,
        kind=carrier.kind.value,
        adapter=carrier.adapter,
        source=SETTINGS,
        enabled=True,
        canary_to=carrier.canary_to,
        canary_minutes=carrier.canary_minutes,
        settings=carrier,
    )


def _of_row(row: Row) -> Account:
    params = json.loads(row["params_json"])
    settings, fault = None, ""
    try:
        settings = settings_from(
            name=row["name"],
            kind=row["kind"],
            adapter=row["adapter"],
            params=params,
            secret_files=json.loads(row["secret_files_json"]),
        )
    except ChannelMisconfigured as wrong:
        fault = str(wrong)
    return Account(
        name=row["name"],
        kind=row["kind"],
        adapter=row["adapter"],
        source=ADDED,
        enabled=bool(row["enabled"]),
        canary_to=str(params.get(CANARY_TO, "")),
        canary_minutes=int(params.get(CANARY_MINUTES, 60)),
        settings=settings,
        fault=fault,
    )

"""How carriers stand: what each can do, how it did, what is wrong with it. It only looks.

    accounts + circuits + paces + attempts + tests ──► CarrierView ──► pages, command, doctor

A carrier that this process does not have (added since it started, or misconfigured) is built for
the moment, so that its page can say what it could do, or why it cannot be used. It connects to
nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import phonenumbers

from channels.base import Capabilities, ChannelKind, inbound_possible
from channels.registry import ChannelMisconfigured
from contacts.phone import mask
from warnsvc.core.circuit import Circuit, CircuitState
from warnsvc.core.pace import Bucket, opens_at
from warnsvc.core.route import RouteRule
from warnsvc.logging import mask_numbers
from warnsvc.service.canary_silence import Heard, load_heard
from warnsvc.service.carrier_account import (
    Account,
    PostsToOneAddress,
    load_accounts,
    plain_address,
    whole_address,
    without_key,
)
from warnsvc.service.context import Context
from warnsvc.store.carrier import Sends, count_sends, count_waiting, load_paces
from warnsvc.store.pace import load_circuits
from warnsvc.store.port import Row
from warnsvc.store.test_send import TestSend, last_of_carriers
from warnsvc.words import mark

LAST_TESTS = 10
"""On a carrier's page: an evening of trying."""
TOKEN_PLACE = "{token}"  # noqa: S105 - stands for one

PROBLEMS: Mapping[str, str] = {
    "misconfigured": mark("配置有误，用不了：{fault}"),
    "not_running": mark("服务下次启动后才会使用。"),
    "circuit_open": mark("通道连不上或拒绝了我们，暂停使用，正在试探。"),
    "throttled": mark("运营商嫌发得太快，已放慢。"),
    "no_canary": mark("没有设定定时试发：通道坏了，要到用时才知道。"),
    "canary_silent": mark("定时试发很久没有成功。"),
    "cannot_receive": mark("收不到回复：请对方应答的预警不会走这个通道。"),
    "no_receipts": mark("运营商不给回执：不知道有没有送达。"),
    "no_route": mark("没有路由用到它。"),
}
"""Code → what is wrong, in Chinese; translated where it is shown. `{fault}`: the view's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierView:
    """A carrier and how it stands."""

    name: str
    kind: str
    adapter: str
    source: str
    """`settings` or `added`."""
    enabled: bool
    running: bool
    """Whether this process has it."""
    capabilities: Capabilities | None
    """None when it cannot be built; `fault` says why."""
    fault: str
    """Why it cannot be built, in the registry's words; never a value."""
    per_second: float
    circuit_state: str
    """`closed`, `half_open` or `open`."""
    circuit_failures: int
    probe_at: datetime | None
    last_ok_at: datetime | None
    last_failed_at: datetime | None
    last_error: str
    """The carrier's words, numbers masked."""
    pace_factor: float
    """The share of its pace that we dare now."""
    throttled_at: datetime | None
    open_slots_at: datetime | None
    """When its next slot opens, if that is not now."""
    waiting: int
    """Planned sends of its kind."""
    sent_last_hour: int
    refused_last_hour: int
    canary_minutes: int
    """0: no canary is sent."""
    canary_address_masked: str
    last_canary: TestSend | None
    last_canary_ok_at: datetime | None
    """When a canary last came through."""
    last_tests: tuple[TestSend, ...]
    """Newest first, canaries too."""
    routes: tuple[str, ...]
    """The rules of the routes in which it stands, such as `sms 86 * → a, b`."""
    callback_address: str
    """Where receipts go; `{token}` stands for the part that differs with each send. Carriers that
    sign nothing post everything to the inbound address."""
    inbound_address: str
    """What is entered at the carrier for replies; a key in it is hidden (`carrier_address`)."""
    problems: tuple[str, ...]
    """Codes of `PROBLEMS`, the worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known of all carriers, by name; `waiting` by kind."""

    able: Mapping[str, "_Able"]
    circuits: Mapping[str, Circuit]
    paces: Mapping[str, Row]
    waiting: Mapping[str, int]
    sends: Mapping[str, Sends]
    tests: Mapping[str, Sequence[TestSend]]
    heard: Mapping[str, Heard]


async def list_carriers(ctx: Context) -> list[CarrierView]:
    """Return all carriers, those of the settings first."""
    now = ctx.clock.now()
    async with ctx.store.view() as view:
        accounts = await load_accounts(ctx, view)
    able = {account.name: await _able(ctx, account) for account in accounts}
    async with ctx.store.view() as view:
        known = _Known(
            able=able,
            circuits=await load_circuits(view),
            paces=await load_paces(view),
            waiting=await count_waiting(view),
            sends=await count_sends(view, since=now - timedelta(hours=1)),
            tests=await last_of_carriers(view, list(able), most=LAST_TESTS),
            heard={n: await load_heard(view, n, receipts=can.tells) for n, can in able.items()},
        )
    rules = _rules(ctx, accounts)
    return [_view(ctx, account, known, rules, now) for account in accounts]


def _rules(ctx: Context, accounts: Sequence[Account]) -> list[RouteRule]:
    """Return the rules of the routes; where there is none for a kind, all its carriers."""
    rules = list(ctx.fleet.routes)
    for kind in dict.fromkeys(account.kind for account in accounts):
        if all(rule.kind != kind for rule in rules):
            names = tuple(a.name for a in accounts if a.kind == kind and a.enabled)
            rules.append(RouteRule(kind=kind, carriers=names))
    return rules


def _view(
    ctx: Context, account: Account, known: _Known, rules: Sequence[RouteRule], now: datetime
) -> CarrierView:
    able = known.able[account.name]
    capabilities = able.capabilities
    per_second = capabilities.per_second if capabilities else 0.0
    circuit = known.circuits.get(account.name) or Circuit(name=account.name, changed_at=now)
    bucket = _bucket(account.name, known.paces.get(account.name), per_second, now)
    slot_at = opens_at([bucket], now)
    sends = known.sends.get(account.name, Sends())
    heard = known.heard.get(account.name, Heard())
    routes = tuple(_told(rule) for rule in rules if account.name in rule.carriers)
    plain = plain_address(account.name, ctx.settings.public_url)
    inbound = able.inbound or plain
    view = CarrierView(
        name=account.name,
        kind=account.kind,
        adapter=account.adapter,
        source=account.source,
        enabled=account.enabled,
        running=account.name in ctx.fleet.channels,
        capabilities=capabilities,
        fault=able.fault,
        per_second=per_second,
        circuit_state=circuit.state.value,
        circuit_failures=circuit.failures,
        probe_at=circuit.probe_at,
        last_ok_at=circuit.last_ok_at,
        last_failed_at=circuit.last_failed_at,
        last_error=mask_numbers(circuit.last_error),
        pace_factor=bucket.factor_at(now),
        throttled_at=bucket.throttled_at,
        open_slots_at=slot_at if slot_at > now else None,
        waiting=known.waiting.get(account.kind, 0),
        sent_last_hour=sends.sent,
        refused_last_hour=sends.refused,
        canary_minutes=account.canary_minutes if account.canary_to else 0,
        canary_address_masked=mask(account.canary_to) if account.canary_to else "",
        last_canary=heard.last,
        last_canary_ok_at=heard.through_at,
        last_tests=tuple(known.tests.get(account.name, ())),
        routes=routes,
        callback_address=inbound if able.one_address else f"{plain}/{TOKEN_PLACE}",
        inbound_address=inbound,
        problems=(),
    )
    silent = account.has_canary and heard.is_silent(account.canary_minutes, now)
    return replace(view, problems=tuple(_problems(ctx, view, silent=silent)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Able:
    """What a carrier can do, or why it cannot be built."""

    capabilities: Capabilities | None = None
    fault: str = ""
    inbound: str = ""
    """Where its carrier posts, the key in it hidden."""
    one_address: bool = False
    """Receipts go there as well."""

    @property
    def tells(self) -> bool:
        """Whether it tells of receipts, for all that is known."""
        return self.capabilities is None or self.capabilities.receipts


async def _able(ctx: Context, account: Account) -> _Able:
    channel = ctx.fleet.channels.get(account.name)
    if channel is None:
        try:
            channel = account.build(ctx.clock)
        except ChannelMisconfigured as fault:
            return _Able(fault=mask_numbers(str(fault)))
        await channel.close()
    return _Able(
        capabilities=channel.capabilities,
        inbound=without_key(whole_address(channel, ctx.settings.public_url)),
        one_address=isinstance(channel, PostsToOneAddress),
    )


def _bucket(name: str, row: Row | None, per_second: float, now: datetime) -> Bucket:
    if row is None:
        return Bucket(name=name, per_second=per_second, next_at=now)
    return Bucket(
        name=name,
        per_second=per_second,
        next_at=row["next_at"],
        factor=float(row["factor"]),
        throttled_at=row["throttled_at"],
    )


def _told(rule: RouteRule) -> str:
    places = ",".join(sorted(rule.countries))
    spoken = ",".join(sorted(rule.languages))
    return f"{rule.kind} {places} {spoken} → {', '.join(rule.carriers)}"


def _problems(ctx: Context, view: CarrierView, *, silent: bool) -> list[str]:
    wrong = {
        "misconfigured": bool(view.fault),
        "not_running": view.enabled and not view.fault and not view.running,
        "circuit_open": view.circuit_state != CircuitState.CLOSED,
        "canary_silent": silent,
        "throttled": view.pace_factor < 1.0,
        "no_route": view.enabled and not view.routes and (view.running or not ctx.fleet.channels),
        "cannot_receive": view.capabilities is not None and not _receives(ctx, view.capabilities),
        "no_receipts": view.capabilities is not None and not view.capabilities.receipts,
        "no_canary": not view.canary_minutes and not ctx.settings.demo,
    }
    return [code for code, is_so in wrong.items() if is_so]


def _receives(ctx: Context, capabilities: Capabilities) -> bool:
    """Whether an answer from our own country can reach us through it."""
    if capabilities.kind is ChannelKind.WEBHOOK or capabilities.dtmf:
        return True
    code = phonenumbers.country_code_for_region(ctx.settings.local_country)
    return inbound_possible(capabilities, f"+{code}")

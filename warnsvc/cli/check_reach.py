"""The checks of `warnsvc doctor` that reach out: the database and the carriers.

Nothing is repaired and nothing is sent; a carrier is only asked whether it takes a connection.
"""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from channels.registry import ADAPTERS, ChannelMisconfigured
from warnsvc.cli.check import Check, Level
from warnsvc.clock import SystemClock
from warnsvc.logging import mask_numbers
from warnsvc.service.adapter_form import form_of
from warnsvc.service.carrier_account import Account, accounts_of
from warnsvc.service.officer import Role, officer_of
from warnsvc.settings import Settings
from warnsvc.store import migrate
from warnsvc.store.carrier import load_added_rows
from warnsvc.store.durability import weak_settings
from warnsvc.store.open import open_reading, parse_url, sqlite_path
from warnsvc.store.port import Store, StoreFault
from warnsvc.store.sqlite_watch import SqliteWatch
from warnsvc.words import Translate

CONNECT_SECONDS_MAX = 3.0
"""A carrier that takes longer is as good as away."""


async def database(_: Translate, settings: Settings) -> AsyncIterator[Check]:
    """Whether it is there, at which revision, and who has it."""
    parsed = parse_url(settings.database_address)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and not sqlite_path(parsed).exists():
        yield Check(
            name="database",
            level=Level.BAD,
            said=_("还没有数据库：{url}", url=settings.database_shown),
            advice=_("请运行 warnsvc db init。"),
        )
        return
    try:
        store = await open_reading(settings.database_address)
    except (StoreFault, OSError) as fault:
        yield Check(
            name="database",
            level=Level.BAD,
            said=_("数据库打不开：{detail}", detail=fault),
            advice=_("请检查地址、密码和网络。"),
        )
        return
    try:
        async for check in _inside(_, settings, store):
            yield check
    finally:
        await store.close()


async def _inside(_: Translate, settings: Settings, store: Store) -> AsyncIterator[Check]:
    if isinstance(store, SqliteWatch):
        yield Check(name="lock", said=_("服务正在运行：{detail}", detail=store.busy))
    try:
        await migrate.require_head_of(store)
    except StoreFault as fault:
        yield Check(
            name="database",
            level=Level.BAD,
            said=str(fault),
            advice=_("新库请运行 warnsvc db init；旧库先备份，再运行 warnsvc db upgrade。"),
        )
        return
    yield Check(name="database", said=f"{settings.database_shown} ({migrate.head()})")
    if weak := await weak_settings(store):
        yield Check(
            name="durability",
            level=Level.NOTE if settings.demo or settings.allow_weak_database else Level.BAD,
            said=_("断电会丢失已确认的应答：{settings}", settings=", ".join(weak)),
            advice=_("请在 PostgreSQL 里把这些设置改成 on。"),
        )
    yield await _people(_, store)
    yield await _officers(_, store)


async def _people(_: Translate, store: Store) -> Check:
    async with store.view() as view:
        regions = await view.fetch_one("SELECT count(*) AS n FROM region")
        contacts = await view.fetch_one("SELECT count(*) AS n FROM contact WHERE active")
    assert regions is not None
    assert contacts is not None
    empty = not (regions["n"] and contacts["n"])
    return Check(
        name="directory",
        level=Level.NOTE if empty else Level.OK,
        said=_(
            "区域 {regions} 个，联系人 {contacts} 个", regions=regions["n"], contacts=contacts["n"]
        ),
        advice=_("请导入：warnsvc regions import，再 warnsvc contacts import。") if empty else "",
    )


async def _officers(_: Translate, store: Store) -> Check:
    """Two people are needed before anything can go out."""
    async with store.view() as view:
        rows = await view.fetch("SELECT * FROM officer WHERE NOT disabled")
    officers = [officer_of(row) for row in rows]
    duty = [each for each in officers if each.may(Role.DUTY)]
    signer = [each for each in officers if each.may(Role.SIGNER)]
    two = any(one.id != other.id for one in duty for other in signer)
    return Check(
        name="officers",
        level=Level.OK if two else Level.NOTE,
        said=_("值班 {duty} 人，签发 {signer} 人", duty=len(duty), signer=len(signer)),
        advice="" if two else _("写和签须是两个人，请添加：warnsvc officers add"),
    )


async def carriers(_: Translate, settings: Settings) -> AsyncIterator[Check]:
    """Whether each, of the settings or added, is configured rightly and takes a connection."""
    accounts = [account for account in await _accounts(settings) if account.enabled]
    if not accounts:
        yield Check(
            name="carriers",
            level=Level.NOTE,
            said=_("没有配置任何通道"),
            advice=_("预警发不出去。通道怎样配置，见 docs/SETTINGS.md。"),
        )
        return
    for account in accounts:
        yield await _carrier(_, account)
    yield _routes(_, settings, {account.name for account in accounts})
    silent = [a.name for a in accounts if not a.has_canary]
    if silent and not settings.demo:
        yield Check(
            name="canary",
            level=Level.NOTE,
            said=_("没有定时试发：{carriers}", carriers=_("、").join(silent)),
            advice=_("请给它们设 canary_to：一个自己的号码，坏了的通道当天就知道。"),
        )


async def _accounts(settings: Settings) -> list[Account]:
    """Return those of the settings, and the added ones when the database can be read."""
    try:
        store = await open_reading(settings.database_address)
    except (StoreFault, OSError):  # told by the check of the database
        return accounts_of(settings, [])
    try:
        async with store.view() as view:
            return accounts_of(settings, await load_added_rows(view))
    except StoreFault:  # of an older revision: told as well
        return accounts_of(settings, [])
    finally:
        await store.close()


def _routes(_: Translate, settings: Settings, known: set[str]) -> Check:
    named = {name for route in settings.routes for name in route.carriers}
    missing = sorted(named - known)
    if missing:
        return Check(
            name="routes",
            level=Level.BAD,
            said=_("路由里有不存在的通道：{carriers}", carriers=_("、").join(missing)),
            advice=_("请改 [[routes]]，或添加这些通道。"),
        )
    return Check(name="routes", said=_("路由 {n} 条", n=len(settings.routes)))


async def _carrier(_: Translate, account: Account) -> Check:
    name = f"carrier {account.name}"
    shown = f"{account.name} ({account.kind}, {account.adapter})"
    try:
        channel = account.build(SystemClock())
    except ChannelMisconfigured as fault:
        return Check(
            name=name,
            level=Level.BAD,
            said=mask_numbers(str(fault)),
            advice=_("请改 [[carriers]] 里的这一项；命令或页面添加的，请移除后重新添加。"),
        )
    await channel.close()
    parts = urlsplit(_address(account))
    if not parts.hostname:
        return Check(name=name, said=shown)  # an endpoint's address is in the contact
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            _reader, writer = await asyncio.open_connection(parts.hostname, port)
            writer.close()
    except (OSError, TimeoutError) as fault:
        return Check(
            name=name,
            level=Level.BAD,
            said=_("{carrier}：{host}:{port} 连不上（{why}）", carrier=shown, host=parts.hostname,
                   port=port, why=fault or type(fault).__name__),
            advice=_("请检查网络、防火墙和 base_url。"),
        )  # fmt: skip
    return Check(name=name, said=_("{carrier}：可以连上 {host}", carrier=shown, host=parts.netloc))


def _address(account: Account) -> str:
    """Return where its carrier is, as somebody wrote it or as the adapter knows it."""
    given = account.settings.params.get("base_url") if account.settings else None
    known = form_of(account.adapter, ADAPTERS[account.adapter]).parameter("base_url")
    return str(given or (known.default if known else ""))

"""The checks of `warnsvc doctor` that reach out: the database and the carriers.

Nothing is repaired and nothing is sent; a carrier is only asked whether it takes a connection.
"""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from channels.registry import ChannelMisconfigured
from warnsvc.app import channels_of
from warnsvc.cli.check import Check, Level
from warnsvc.clock import SystemClock
from warnsvc.service.officer import Role, officer_of
from warnsvc.settings import CarrierSettings, Settings
from warnsvc.store import migrate
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
    """Whether each is configured rightly and takes a connection."""
    if not settings.carriers:
        yield Check(
            name="carriers",
            level=Level.NOTE,
            said=_("没有配置任何通道"),
            advice=_("预警发不出去。通道怎样配置，见 docs/SETTINGS.md。"),
        )
        return
    try:
        built = channels_of(settings, SystemClock())
    except ChannelMisconfigured as fault:
        yield Check(
            name="carriers",
            level=Level.BAD,
            said=str(fault),
            advice=_("请改 [[carriers]] 里的这一项。"),
        )
        return
    for channel in built.values():
        await channel.close()
    for carrier in settings.carriers:
        yield await _carrier(_, carrier)


async def _carrier(_: Translate, carrier: CarrierSettings) -> Check:
    name, shown = f"carrier {carrier.name}", f"{carrier.name} ({carrier.kind}, {carrier.adapter})"
    parts = urlsplit(str(carrier.params.get("base_url", "")))
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

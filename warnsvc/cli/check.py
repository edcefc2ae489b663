"""The checks of `warnsvc doctor`, one function each: look, and say what to do.

Nothing is repaired and nothing is sent; a carrier is only asked whether it takes a connection.
"""

import asyncio
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from channels.registry import ChannelMisconfigured
from warnsvc.app import channels_of
from warnsvc.clock import SystemClock
from warnsvc.localtime import LocalTime
from warnsvc.resource import (
    ForeignPackage,
    ResourceMissing,
    check_packages,
    locale_dir,
    migrations_dir,
    static_dir,
    templates_dir,
)
from warnsvc.secret import SettingsFault, signing_secrets
from warnsvc.service.officer import Role, officer_of
from warnsvc.settings import CarrierSettings, Settings, unknown_variables
from warnsvc.store import migrate
from warnsvc.store.open import open_reading, parse_url, sqlite_path
from warnsvc.store.port import Store, StoreFault
from warnsvc.store.sqlite_watch import SqliteWatch
from warnsvc.words import Translate

WAL_MENDED = (3, 51, 3)
"""From here on SQLite cannot corrupt a WAL that two connections reset at once (stack.md §2.5)."""
DISK_BYTES_MIN = 1 << 30
"""A large release with its ledger takes some hundred megabytes; a full disk stops every answer."""
CONNECT_SECONDS_MAX = 3.0
BUILT_YEAR = 2026
"""A clock that shows an earlier year is wrong, and every deadline with it."""


class Level(StrEnum):
    """How a check ended."""

    OK = "ok"
    """Nothing to do."""
    NOTE = "note"
    """Works, and somebody should know."""
    BAD = "bad"
    """Does not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the doctor. `name` is stable, for programs."""

    name: str
    level: Level = Level.OK
    said: str
    advice: str = ""


def program(_: Translate) -> Iterator[Check]:
    """The interpreter, SQLite, our packages and files."""
    yield Check(name="python", said=f"Python {platform.python_version()} ({sys.executable})")
    old = sqlite3.sqlite_version_info < WAL_MENDED
    yield Check(
        name="sqlite",
        level=Level.NOTE if old else Level.OK,
        said=f"SQLite {sqlite3.sqlite_version}",
        advice=_("3.51.3 以前的 WAL 有缺陷；本程序只用一个写者并加锁来避开。别让其他程序写这个库。")
        if old
        else "",
    )
    try:
        check_packages()
        yield Check(name="packages", said=_("channels 和 contacts 是本程序的"))
    except ForeignPackage as fault:
        yield Check(
            name="packages", level=Level.BAD, said=str(fault),
            advice=_("请把 warnsvc 装进单独的虚拟环境。"),
        )  # fmt: skip
    try:
        for folder in (templates_dir, locale_dir, static_dir, migrations_dir):
            folder()
        yield Check(name="files", said=_("模板、译文、网页文件都在：{path}", path=templates_dir()))
    except ResourceMissing as fault:
        yield Check(
            name="files", level=Level.BAD, said=str(fault), advice=_("请重新安装 warnsvc。")
        )


def configuration(_: Translate, language: str, settings: Settings) -> Iterator[Check]:
    """Settings, the key, the clock."""
    stray = unknown_variables(os.environ)
    yield Check(
        name="settings",
        level=Level.NOTE if stray else Level.OK,
        said=_("设置可用；数据目录 {path}", path=settings.data_dir.absolute()),
        advice=_("不认识的环境变量：{names}", names=", ".join(stray)) if stray else "",
    )
    if not settings.public_base_url and not settings.demo:
        yield Check(
            name="public_url",
            level=Level.NOTE,
            said=_("运营商要回调的地址是 {url}", url=settings.public_url),
            advice=_("别的机器到不了这个地址：请设 WARNSVC_PUBLIC_BASE_URL。"),
        )
    try:
        signing_secrets(settings)
        yield Check(name="secret_key", said=_("签名密钥在"))
    except SettingsFault as fault:
        yield Check(
            name="secret_key",
            level=Level.BAD,
            said=str(fault),
            advice=_("请运行 warnsvc db init。"),
        )
    now = SystemClock().now()
    early = now.year < BUILT_YEAR
    yield Check(
        name="clock",
        level=Level.BAD if early else Level.OK,
        said=LocalTime(settings.zone).full(now, language),
        advice=_("时钟不对，所有时限都会错。请启用网络校时。") if early else "",
    )
    yield disk(_, settings)


def disk(_: Translate, settings: Settings) -> Check:
    """Whether there is room where the data is kept."""
    folder = settings.data_dir.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return Check(
        name="disk",
        level=Level.BAD if free < DISK_BYTES_MIN else Level.OK,
        said=_("磁盘剩余 {gigabytes} GB", gigabytes=f"{free / 2**30:.1f}"),
        advice=_("不足 1 GB：磁盘满了，应答就存不下来。请清理。") if free < DISK_BYTES_MIN else "",
    )


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

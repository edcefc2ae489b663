"""The checks of `warnsvc doctor` that need nobody: the program, its settings, the clock, the disk.

Each looks, and says what to do; nothing is repaired. See `warnsvc.cli.check_reach` for the others.
"""

import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

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
from warnsvc.settings import Settings, unknown_variables
from warnsvc.words import Translate

WAL_MENDED = (3, 51, 3)
"""From here on SQLite cannot corrupt a WAL that two connections reset at once (stack.md §2.5)."""
DISK_BYTES_MIN = 1 << 30
"""A large release with its ledger takes some hundred megabytes; a full disk stops every answer."""
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

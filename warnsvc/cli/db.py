"""`warnsvc db`: the database's schema, and the key that is made beside it."""

import asyncio
from pathlib import Path

import typer

from warnsvc.cli.house import start_logging
from warnsvc.cli.options import AsJson, noun
from warnsvc.cli.ui import Failed, Ui
from warnsvc.secret import make_secret_key
from warnsvc.settings import Settings, load_settings
from warnsvc.store import migrate
from warnsvc.store.open import parse_url, sqlite_path
from warnsvc.words import mark


def register(app: typer.Typer) -> None:
    """Add the noun and its verbs."""
    group = noun(app, "db", mark("数据库：建表、升级、检查版本。"))
    group.command(help=mark("建表或升级到本程序的版本，并生成签名密钥。可重复运行。"))(init)
    group.command(help=mark("升级到本程序的版本。先备份。"))(upgrade)
    group.command(help=mark("显示数据库的版本。"))(current)
    group.command(help=mark("数据库的版本不对时，以 1 结束。"))(check)


def init(ctx: typer.Context) -> None:
    """Make the key and the tables."""
    ui: Ui = ctx.obj
    settings = _settings()
    if made := make_secret_key(settings):
        ui.done(ui.words("已生成签名密钥 {path}，请和数据库一起备份。", path=made))
    _upgrade(ui, settings)


def upgrade(ctx: typer.Context) -> None:
    """Bring the tables to this program's revision."""
    _upgrade(ctx.obj, _settings())


def current(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the revision."""
    ui: Ui = ctx.obj
    settings = _settings()
    found, head = revision(settings), migrate.head()
    if as_json:
        ui.json({"database": settings.database_shown, "revision": found, "head": head})
        return
    ui.say(ui.words("数据库  {url}", url=settings.database_shown))
    ui.say(ui.words("版本    {revision}（程序需要 {head}）", revision=found or "–", head=head))


def check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """End with 1 unless the database is at this program's revision."""
    ui: Ui = ctx.obj
    settings = _settings()
    found, head = revision(settings), migrate.head()
    if as_json:
        ui.json({"ok": found == head, "revision": found, "head": head})
        if found != head:
            raise Failed
        return
    migrate.check_revision(found)
    ui.done(ui.words("数据库是本程序的版本：{revision}", revision=found))


def revision(settings: Settings) -> str | None:
    """Return the database's revision; None when it is empty or not there yet."""
    path = sqlite_file(settings)
    if path is not None and not path.exists():
        return None  # asking would make an empty file
    return asyncio.run(migrate.current(settings.database_address))


def sqlite_file(settings: Settings) -> Path | None:
    """Return the SQLite file, or None on PostgreSQL."""
    parsed = parse_url(settings.database_address)
    return sqlite_path(parsed) if parsed.get_backend_name() == "sqlite" else None


def _settings() -> Settings:
    settings = load_settings()
    start_logging(settings, quiet=True)
    return settings


def _upgrade(ui: Ui, settings: Settings) -> None:
    path = sqlite_file(settings)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    before = revision(settings)
    with ui.steps() as step:
        step(ui.words("升级数据库"))
        asyncio.run(migrate.upgrade(settings.database_address))
    url = settings.database_shown
    if before == migrate.head():
        ui.done(ui.words("数据库已是最新：{url}", url=url))
    elif before is None:
        ui.done(ui.words("数据库已建好：{url}（版本 {head}）", url=url, head=migrate.head()))
    else:
        ui.done(
            ui.words(
                "数据库已从 {before} 升级到 {head}：{url}",
                before=before,
                head=migrate.head(),
                url=url,
            )
        )

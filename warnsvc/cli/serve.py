"""`warnsvc serve` and `warnsvc worker`: the service, whole or in parts."""

import asyncio
from typing import Annotated

import typer

from warnsvc.app import serve as serve_house
from warnsvc.cli.house import start_logging
from warnsvc.cli.ui import Failed, Ui
from warnsvc.secret import make_secret_key
from warnsvc.settings import load_settings
from warnsvc.words import mark


def register(app: typer.Typer) -> None:
    """Add both commands."""
    app.command(help=mark("运行服务：控制台、回执接口和叫应引擎。"))(serve)
    app.command(help=mark("只运行叫应引擎（PostgreSQL）：另有进程提供网页时用。"))(worker)


def serve(
    ctx: typer.Context,
    engine: Annotated[
        bool, typer.Option(help=mark("是否在本进程里叫应；PostgreSQL 可另开 worker。"))
    ] = True,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help=mark("端口；也可设 WARNSVC_PORT。"))
    ] = None,
    host: Annotated[str | None, typer.Option(help=mark("监听地址；也可设 WARNSVC_HOST。"))] = None,
) -> None:
    """Serve until SIGTERM or SIGINT."""
    ui: Ui = ctx.obj
    given = {name: value for name, value in (("port", port), ("host", host)) if value is not None}
    settings = load_settings(**given)
    start_logging(settings)
    if not engine and settings.database_address.startswith("sqlite:"):
        ui.note(ui.words("SQLite 只有一个进程：不带引擎运行时，没有人叫应。"))
    if made := make_secret_key(settings):
        ui.note(ui.words("已生成签名密钥 {path}，请和数据库一起备份。", path=made))
    asyncio.run(serve_house(settings, engine=engine))


def worker(ctx: typer.Context) -> None:
    """Work until SIGTERM or SIGINT."""
    ui: Ui = ctx.obj
    settings = load_settings()
    if settings.database_address.startswith("sqlite:"):
        ui.complain(
            ui.words("SQLite 只能有一个进程，不能另开 worker。"),
            ui.words("请运行 warnsvc serve，它自带引擎；要多个进程，请改用 PostgreSQL。"),
        )
        raise Failed
    start_logging(settings)
    asyncio.run(serve_house(settings, web_pages=False))

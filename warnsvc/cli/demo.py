"""`warnsvc demo`: an invented county, simulated phones, everything on this machine."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.panel import Panel

from warnsvc.cli.house import start_logging
from warnsvc.cli.ui import Ui
from warnsvc.demo.run import (
    WINDOW_SECONDS,
    WINDOW_SECONDS_MAX,
    WINDOW_SECONDS_MIN,
    DemoWish,
    Opening,
    run_demo,
)
from warnsvc.resource import locale_dir
from warnsvc.settings import load_settings
from warnsvc.words import LANGUAGES, Translate, Words, mark

TITLE = mark("warnsvc 演示 · 云岭县（虚构）")
STEPS = {
    "folder": mark("准备数据目录"),
    "phones": mark("启动模拟电话"),
    "county": mark("导入虚构的云岭县"),
    "officers": mark("添加账号，写好一条演练"),
    "pages": mark("打开页面"),
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=mark("在本机演示：虚构的县、模拟的电话、完整的服务。"))(demo)


def demo(
    ctx: typer.Context,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help=mark("控制台的端口；默认 8080。"))
    ] = None,
    phones_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help=mark("模拟电话的端口；默认 8081。"))
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help=mark("决定每个人接电话的习惯。"))] = 7,
    data: Annotated[
        Path | None,
        typer.Option(file_okay=False, help=mark("数据目录，结束后保留；默认用临时目录。")),
    ] = None,
    window_seconds: Annotated[
        int,
        typer.Option(
            min=WINDOW_SECONDS_MIN,
            max=WINDOW_SECONDS_MAX,
            help=mark("叫应窗口最长多少秒；真实的红色预警是 300 秒。"),
        ),
    ] = WINDOW_SECONDS,
) -> None:
    """Run the demo until SIGTERM or SIGINT."""
    ui: Ui = ctx.obj
    wish = DemoWish(
        port=port, phones_port=phones_port, seed=seed, data=data, window_seconds=window_seconds
    )
    start_logging(load_settings(demo=True), quiet=True)
    with ExitStack() as stack:
        show = stack.enter_context(ui.steps())

        def opened(opening: Opening) -> None:
            stack.close()
            welcome(ui, opening)

        asyncio.run(run_demo(wish, step=lambda name: show(ui.words(STEPS[name])), opened=opened))
    ui.say(ui.words("演示结束。"))


def welcome(ui: Ui, opening: Opening) -> None:
    """Say where to look, how to log in and what to try, in every language, the reader's first."""
    every = Words.load(locale_dir())
    for language in sorted(LANGUAGES, key=lambda each: each != ui.language):
        lines = _lines(every.language(language), opening)
        if ui.out.is_terminal:
            title = every.language(language)(TITLE)
            text = "\n".join(escape(line) for line in lines)
            ui.out.print(Panel(text, title=f"[bold]{title}[/]", border_style="green", expand=False))
        else:
            ui.say("\n".join([*lines, ""]))


def _lines(_: Translate, opening: Opening) -> list[str]:
    """Return the lines of the first screen."""
    lines = [
        _("控制台    {url}", url=opening.url),
        _("模拟电话  {url}", url=opening.phones_url),
        "",
        _("登录（虚构的账号，密码都是 {password}）：", password=opening.players[0].password),
        *(f"  {player.login:<8} {_(player.does)}" for player in opening.players),
        "",
        *_to_try(_, opening),
        "",
        _(
            "演示窗口 {seconds} 秒：无人应答，{seconds} 秒后叫下一级（真实红色预警是 5 分钟）。",
            seconds=opening.window_seconds,
        ),
    ]
    if not opening.local:
        lines.append(_("注意：别的机器也能打开这个演示，模拟电话没有密码。"))
    lines.append(_kept(_, opening))
    return lines


def _to_try(_: Translate, opening: Opening) -> list[str]:
    if not opening.drill_waits:
        return [_("上次的数据还在，接着用即可。")]
    return [
        _("先试这个：一条暴雨红色预警【演练】已写好，等人签发。"),
        _("  1. 用 signer 登录，读一遍，签发；"),
        _("  2. 用 duty 登录（另开一个浏览器窗口），发布，照提示输入“演练”；"),
        _("  3. 到模拟电话页面，点一下应答，或打开“人群”让大家按习惯应答；"),
        _("  4. 看控制台的叫应看板：谁应答了，谁没有，轮到谁了。"),
    ]


def _kept(_: Translate, opening: Opening) -> str:
    if opening.data is None:
        return _("人和号码都是虚构的，不会发出任何真实消息。按 Ctrl-C 结束，数据随之删除。")
    return _(
        "人和号码都是虚构的，不会发出任何真实消息。按 Ctrl-C 结束，数据留在 {path}。",
        path=opening.data,
    )

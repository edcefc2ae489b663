"""`warnsvc doctor`: everything that must be right before a warning can go out, line by line.

It looks and advises; it repairs nothing. Ends with 1 when something does not work.
"""

import asyncio
from dataclasses import asdict

import typer
from rich.markup import escape

from warnsvc.cli.check import Check, Level, configuration, program
from warnsvc.cli.check_reach import carriers, database
from warnsvc.cli.house import start_logging
from warnsvc.cli.options import AsJson
from warnsvc.cli.ui import Failed, Ui
from warnsvc.secret import SettingsFault
from warnsvc.settings import Settings, load_settings
from warnsvc.words import mark

_SIGNS = {
    Level.OK: "[green]✓[/]",
    Level.NOTE: "[yellow]![/]",
    Level.BAD: "[bold red]✗[/]",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(help=mark("逐项检查：程序、设置、数据库、通道；每项说明怎么办。"))(doctor)


def doctor(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Check everything and say what to do."""
    ui: Ui = ctx.obj
    found = [*program(ui.words), *_configured(ui)]
    if as_json:
        ui.json({"ok": not _bad(found), "checks": [asdict(check) for check in found]})
    else:
        tell_checks(ui, found)
    if _bad(found):
        raise Failed


def _configured(ui: Ui) -> list[Check]:
    """Return what can only be checked with settings."""
    try:
        settings = load_settings()
    except SettingsFault as fault:
        advice = ui.words("每项设置的意思见 docs/SETTINGS.md。")
        return [Check(name="settings", level=Level.BAD, said=str(fault), advice=advice)]
    start_logging(settings, quiet=True)
    return [*configuration(ui.words, ui.language, settings), *asyncio.run(_reached(ui, settings))]


async def _reached(ui: Ui, settings: Settings) -> list[Check]:
    found = [check async for check in database(ui.words, settings)]
    return [*found, *[check async for check in carriers(ui.words, settings)]]


def _bad(found: list[Check]) -> bool:
    return any(check.level is Level.BAD for check in found)


def tell_checks(ui: Ui, found: list[Check]) -> None:
    """Say each line and what to do about it."""
    for check in found:
        ui.out.print(f"{_SIGNS[check.level]} {check.name:<12} {escape(check.said)}")
        if check.advice:
            ui.out.print(f"  {'':<12} → {escape(check.advice)}")
    if _bad(found):
        ui.complain(ui.words("有不能用的地方，请照箭头后面的做。"))
    elif any(check.level is Level.NOTE for check in found):
        ui.note(ui.words("没有故障；带叹号的请看一看。"))
    else:
        ui.done(ui.words("一切正常。"))

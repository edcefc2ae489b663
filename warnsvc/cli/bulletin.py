"""`warnsvc bulletin`: what has been written and released, how far the calling is, and lifting.

Nothing is written or released here: that takes two people in front of a screen. Lifting needs an
officer's password, because the ledger says who did it.
"""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape

from warnsvc.cli import board
from warnsvc.cli.house import at_the_desk
from warnsvc.cli.officers import ask, old_password
from warnsvc.cli.options import AsJson, BulletinId, PasswordStdin, noun
from warnsvc.cli.shown import heading_of, show_of, title_of
from warnsvc.cli.ui import Ui
from warnsvc.core.bulletin import Bulletin
from warnsvc.core.refusal import Refusal
from warnsvc.service import bulletin as bulletins
from warnsvc.service import lift as lifting
from warnsvc.service import release, session
from warnsvc.service.context import Context
from warnsvc.service.officer import Role
from warnsvc.service.release import Preview
from warnsvc.web.label import BULLETIN, GAP, STATUS
from warnsvc.web.query.bulletin import BulletinLine, list_bulletins
from warnsvc.web.show import Show
from warnsvc.words import mark

LISTED = 20
LISTED_MAX = 200
AGENT = "warnsvc command"
"""What the list of logins shows for one made here."""


def register(app: typer.Typer) -> None:
    """Add the noun and its verbs."""
    group = noun(app, "bulletin", mark("预警：查看、预览、看板、解除。写和发布在控制台。"))
    group.command("list", help=mark("列出预警，新的在前。"))(list_)
    group.command("show", help=mark("显示一条预警。"))(show)
    group.command("preview", help=mark("现在发布会怎样：叫多少人，多久叫完，手机上什么样。"))(
        preview
    )
    group.command("board", help=mark("叫应看板：按乡镇看谁应答了。"))(board.board)
    group.command("lift", help=mark("解除一条预警，通知叫过的人。"))(lift)


def list_(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help=mark("最多多少条。"))] = LISTED,
    as_json: AsJson = False,
) -> None:
    """List bulletins, the newest first."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> tuple[list[BulletinLine], Show]:
        async with desk.store.view() as view:
            return await list_bulletins(view, limit=limit), show_of(ui, desk)

    lines, shown = at_the_desk(work, reading=True)
    if as_json:
        ui.json([_line(line) for line in lines])
        return
    ui.table(
        [
            ui.words("号"),
            ui.words("性质"),
            ui.words("预警"),
            ui.words("区域"),
            ui.words("状态"),
            ui.words("应答"),
            ui.words("发布时间"),
        ],
        [
            (
                line.id,
                ui.words(STATUS[line.status].words),
                title_of(ui, shown, line.hazard, line.colour),
                _places(line),
                ui.words(BULLETIN[line.state].words),
                f"{line.progress.done}/{line.progress.total}" if line.progress.total else "–",
                shown.time(line.released_at) if line.released_at else "–",
            )
            for line in lines
        ],
    )


def _places(line: BulletinLine) -> str:
    more = "…" if line.place_count > len(line.places) else ""
    return "、".join(line.places) + more


def _line(line: BulletinLine) -> dict[str, Any]:
    document = asdict(line)
    for name in (
        "onset_at",
        "expires_at",
        "created_at",
        "submitted_at",
        "released_at",
        "lifted_at",
    ):
        document[name] = document[name].isoformat() if document[name] else None
    return document


def show(ctx: typer.Context, bulletin_id: BulletinId, as_json: AsJson = False) -> None:
    """Show one bulletin."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> tuple[Bulletin, Show]:
        return await bulletins.get(desk, bulletin_id), show_of(ui, desk)

    found, shown = at_the_desk(work, reading=True)
    if as_json:
        ui.json(_document(found))
        return
    ui.out.print(heading_of(ui, shown, found))
    ui.say(f"{shown.full(found.onset_at)} – {shown.full(found.expires_at)}")
    ui.say(ui.words("区域 {codes}", codes=" ".join(found.region_codes)))
    for language, text in found.texts.items():
        ui.say(f"[{language}] {text}")
    if found.lift_reason:
        ui.say(ui.words("解除原因：{reason}", reason=found.lift_reason))


def _document(found: Bulletin) -> dict[str, Any]:
    document = asdict(found)
    document["texts"] = dict(found.texts)
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in document.items()
    }


def preview(ctx: typer.Context, bulletin_id: BulletinId, as_json: AsJson = False) -> None:
    """Say what releasing it now would do; releases nothing."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> tuple[Preview, Show]:
        with ui.steps() as step:
            step(ui.words("计算叫应名单"))
            return await release.preview(desk, bulletin_id), show_of(ui, desk)

    found, shown = at_the_desk(work, carriers=True, reading=True)
    if as_json:
        ui.json(_preview_document(found))
        return
    _show_preview(ui, shown, found)


def _preview_document(found: Preview) -> dict[str, Any]:
    gaps: dict[str, int] = {}
    for gap in found.gaps:
        gaps[gap.kind.value] = gaps.get(gap.kind.value, 0) + 1
    return {
        "bulletin": found.bulletin.id,
        "digest": found.digest,
        "place": found.place.name,
        "estimate": asdict(found.estimate),
        "gaps": gaps,
        "messages": [asdict(message) for message in found.messages],
        "warnings": list(found.warnings),
    }


def _show_preview(ui: Ui, shown: Show, found: Preview) -> None:
    size = found.estimate
    ui.out.print(heading_of(ui, shown, found.bulletin))
    ui.say(
        ui.words(
            "{place}：{regions} 个区域，{people} 人，第一层 {first} 人；"
            "短信 {parts} 条，电话 {calls} 个",
            place=found.place.name,
            regions=size.regions,
            people=size.people,
            first=size.first_tier_people,
            parts=size.sms_parts,
            calls=size.calls,
        )
    )
    ui.say(
        ui.words(
            "第一层叫完约 {first}，全部叫一遍约 {all}",
            first=shown.minutes(size.first_tier_seconds),
            all=shown.minutes(size.everyone_seconds),
        )
    )
    for kind, count in _preview_document(found)["gaps"].items():
        ui.note(f"{count} × {ui.words(GAP[kind].words)}")
    for warning in found.warnings:
        ui.note(warning)
    for message in found.messages:
        head = ui.words(
            "{language} {channel}，{people} 人，{characters} 字，{parts} 条",
            language=message.language,
            channel=shown.word("channel", message.channel),
            people=message.people,
            characters=message.characters,
            parts=message.parts,
        )
        ui.out.print(f"[bold]{escape(head)}[/]\n{escape(message.text)}")


def lift(
    ctx: typer.Context,
    bulletin_id: BulletinId,
    officer: Annotated[str, typer.Option(metavar="LOGIN", help=mark("谁来解除：用户名。"))] = "",
    reason: Annotated[str, typer.Option(help=mark("原因，会发给叫过的人。"))] = "",
    password_stdin: PasswordStdin = False,
) -> None:
    """End a released bulletin in an officer's name."""
    ui: Ui = ctx.obj
    login = officer or ask(ui, ui.words("用户名"), option="--officer")
    why = reason or ask(ui, ui.words("原因"), option="--reason")
    secret = old_password(ui, from_stdin=password_stdin)

    async def work(desk: Context) -> int:
        _, entered = await session.log_in(
            desk, login=login, password=secret, agent=AGENT, language=ui.language
        )
        try:
            if not entered.officer.may(Role.DUTY):
                raise Refusal("role_missing", roles=Role.DUTY.value)
            done = await lifting.lift(
                desk, officer=entered.officer.id, bulletin_id=bulletin_id, reason=why
            )
        finally:
            await session.log_out(desk, entered)
        return done.told

    told = at_the_desk(work)
    ui.done(ui.words("已解除，将通知 {count} 人；服务运行时发出。", count=told))

"""`warnsvc carriers`: the accounts that messages go through: look, add, test, switch off, check.

Carriers are opened by no more than the one that is tested; a broken one keeps nobody from mending
it. What writes or sends needs the database to itself on SQLite: beside a running service it is
refused with the owner's pid, and the console's page does the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from typing import Annotated, TypeVar

import typer

from warnsvc.app import rules_of
from warnsvc.cli.carrier_shown import (
    became,
    carrier_document,
    lines_of,
    parameter_row,
    problems,
    standing,
    test_document,
    test_line,
)
from warnsvc.cli.check import Check, Level
from warnsvc.cli.check_reach import carriers as check_carriers
from warnsvc.cli.doctor import tell_checks
from warnsvc.cli.house import at_the_desk, start_logging
from warnsvc.cli.options import AsJson, noun
from warnsvc.cli.ui import Failed, Ui
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service.carrier import (
    CarrierDraft,
    CarrierView,
    adapters,
    add_carrier,
    carrier_address,
    list_carriers,
    open_channel,
    remove_carrier,
    set_enabled,
)
from warnsvc.service.context import Context
from warnsvc.service.fleet import Fleet
from warnsvc.service.test_send import send_test
from warnsvc.settings import Settings, load_settings
from warnsvc.store.test_send import TestSend, load_test
from warnsvc.web.label import CHANNEL
from warnsvc.web.sentence import sentence
from warnsvc.words import mark

T = TypeVar("T")

WAIT_SECONDS_MAX = 600
Name = Annotated[str, typer.Argument(help=mark("通道的名称。"), metavar="NAME")]


def register(app: typer.Typer) -> None:
    """Add the noun and its verbs."""
    group = noun(app, "carriers", mark("通道：查看、添加、测试、停用、检查。"))
    group.command("list", help=mark("列出通道和它们的状况。"))(list_)
    group.command("show", help=mark("一条通道的能力、速度、近况，和要填给运营商的地址。"))(show)
    group.command("address", help=mark("填给运营商的完整地址，含密钥：不要给别人看。"))(address)
    group.command("adapters", help=mark("有哪些种类的通道，各要哪些参数。"))(adapters_)
    group.command("add", help=mark("添加通道；密钥只写文件的路径。"))(add)
    group.command("enable", help=mark("启用添加的通道，下次启动生效。"))(enable)
    group.command("disable", help=mark("停用添加的通道，下次启动生效。"))(disable)
    group.command("remove", help=mark("移除添加的通道，下次启动生效。"))(remove)
    group.command("test", help=mark("发一条测试到自己的手机；这不是预警。"))(try_)
    group.command("check", help=mark("逐个装载通道，看配置对不对、连不连得上。"))(check)


def at_the_carriers(work: Callable[[Context], Awaitable[T]], *, reading: bool = False) -> T:
    """Do one piece of work with the accounts known and no carrier opened."""
    settings = load_settings()

    async def known(desk: Context) -> T:
        return await work(replace(desk, settings=settings, fleet=Fleet({}, rules_of(settings))))

    return at_the_desk(known, reading=reading)


# Looking ---------------------------------------------------------------------------------------


def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List carriers in their order."""
    ui: Ui = ctx.obj
    found = at_the_carriers(list_carriers, reading=True)
    if as_json:
        ui.json([carrier_document(view) for view in found])
        return
    ui.table(
        [
            ui.words("名称"),
            ui.words("类型"),
            ui.words("种类"),
            ui.words("状况"),
            ui.words("一小时发出"),
            ui.words("一小时拒收"),
            ui.words("要注意"),
        ],
        [
            (
                view.name,
                ui.words(CHANNEL[view.kind]),
                view.adapter,
                standing(ui, view),
                view.sent_last_hour,
                view.refused_last_hour,
                " ".join(problems(ui, view)),
            )
            for view in found
        ],
    )
    if not found:
        ui.note(ui.words("还没有通道。添加：warnsvc carriers add，或写进配置文件。"))


def show(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Show one carrier; secrets stay in their files."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> tuple[Context, CarrierView]:
        found = {view.name: view for view in await list_carriers(desk)}
        if name not in found:
            raise Refusal("carrier_unknown", name=name)
        return desk, found[name]

    desk, view = at_the_carriers(work, reading=True)
    if as_json:
        ui.json(carrier_document(view))
        return
    ui.say(f"{view.name}  {ui.words(CHANNEL[view.kind])}  {view.adapter}  {standing(ui, view)}")
    for problem in problems(ui, view):
        ui.note(problem)
    for title, said in lines_of(ui, desk, view):
        ui.say(f"  {title}{ui.words('：')}{said}")
    for each in view.last_tests:
        ui.say(f"    {test_line(ui, desk, each)}")


def address(ctx: typer.Context, name: Name) -> None:
    """Print the address for the carrier's set-up, whole."""
    ui: Ui = ctx.obj
    ui.say(at_the_carriers(lambda desk: carrier_address(desk, name), reading=True))


def adapters_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help=mark("只看这一种。"), metavar="[ADAPTER]")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what can be added, and what it needs."""
    ui: Ui = ctx.obj
    found = [form for form in adapters() if name in ("", form.name)]
    if not found:
        raise Refusal("adapter_unknown")
    if as_json:
        ui.json([asdict(form) for form in found])
        return
    for form in found:
        ui.say(f"{form.name}  {ui.words(CHANNEL[form.kind])}")
        ui.table(
            [ui.words("参数"), "", ui.words("默认"), ui.words("说明")],
            [parameter_row(ui, parameter) for parameter in form.parameters],
        )


# Changing --------------------------------------------------------------------------------------


def add(
    ctx: typer.Context,
    name: Name,
    adapter: Annotated[
        str, typer.Argument(help=mark("种类，见 carriers adapters。"), metavar="ADAPTER")
    ],
    param: Annotated[
        list[str] | None, typer.Option(help=mark("参数，写成 名称=值，可写几次。"))
    ] = None,
    secret_file: Annotated[
        list[str] | None,
        typer.Option(help=mark("密钥文件，写成 名称=完整路径，可写几次。")),
    ] = None,
) -> None:
    """Add a carrier."""
    ui: Ui = ctx.obj
    draft = CarrierDraft(
        name=name,
        adapter=adapter,
        params=_pairs(ui, param, "--param"),
        secret_files=_pairs(ui, secret_file, "--secret-file"),
    )

    async def work(desk: Context) -> None:
        await add_carrier(desk, None, draft)

    _with_fields(ui, lambda: at_the_carriers(work))
    ui.done(ui.words("已添加 {name}，服务下次启动后使用。", name=name))
    ui.say(ui.words("请发一条测试：warnsvc carriers test {name} 号码", name=name))


def _pairs(ui: Ui, given: Sequence[str] | None, option: str) -> dict[str, str]:
    """Read `name=value`. The value may hold further signs."""
    pairs = {}
    for each in given or ():
        key, sign, value = each.partition("=")
        if not sign or not key.strip():
            ui.complain(ui.words("{option} 要写成 名称=值。", option=option))
            raise Failed(2)
        pairs[key.strip()] = value
    return pairs


def _with_fields(ui: Ui, act: Callable[[], None]) -> None:
    """Say what is wrong with its parameter: a sentence alone does not name it."""
    try:
        act()
    except Refusals as fault:
        for refusal in fault.refusals:
            told = sentence(refusal, ui.words)
            ui.complain(f"{refusal.field}{ui.words('：')}{told}" if refusal.field else told)
        raise Failed from None


def enable(ctx: typer.Context, name: Name) -> None:
    """Let an added carrier serve."""
    ui: Ui = ctx.obj
    at_the_carriers(lambda desk: set_enabled(desk, None, name, True))
    ui.done(ui.words("已启用 {name}，下次启动生效。", name=name))


def disable(ctx: typer.Context, name: Name) -> None:
    """Let an added carrier serve no more."""
    ui: Ui = ctx.obj
    at_the_carriers(lambda desk: set_enabled(desk, None, name, False))
    ui.done(ui.words("已停用 {name}，下次启动生效。", name=name))


def remove(ctx: typer.Context, name: Name) -> None:
    """Take an added carrier away."""
    ui: Ui = ctx.obj
    at_the_carriers(lambda desk: remove_carrier(desk, None, name))
    ui.done(ui.words("已移除 {name}，下次启动生效。", name=name))


# Trying ----------------------------------------------------------------------------------------


def try_(
    ctx: typer.Context,
    name: Name,
    to: Annotated[str, typer.Argument(help=mark("号码或 https 地址。"), metavar="TO")],
    wait: Annotated[
        int,
        typer.Option(
            min=0,
            max=WAIT_SECONDS_MAX,
            help=mark("等回执和应答几秒；只有服务也在运行（PostgreSQL）时才收得到。"),
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Send a test and say what became of it."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> TestSend:
        async with open_channel(desk, name) as channel:
            sent = await send_test(desk, channel, address=to, officer_id=None, language=ui.language)
        return await _awaited(desk, sent, wait)

    done = at_the_carriers(work)
    if as_json:
        ui.json(test_document(done))
    else:
        _tell_test(ui, done)
    if done.state in {"failed", "undelivered"}:
        raise Failed


async def _awaited(desk: Context, sent: TestSend, seconds: int) -> TestSend:
    """Look once a second whether the service has heard something."""
    for _ in range(seconds):
        if sent.answered_at or sent.state in {"failed", "undelivered"}:
            break
        await asyncio.sleep(1.0)
        async with desk.store.view() as view:
            sent = await load_test(view, sent.id) or sent
    return sent


def _tell_test(ui: Ui, done: TestSend) -> None:
    said = ui.words("{to}：{state}", to=done.masked, state=became(ui, done))
    if done.state in {"failed", "undelivered"}:
        ui.complain(said)
        return
    ui.done(said)
    if done.answered_at:
        ui.done(ui.words("已应答：{answer}", answer=done.answer))
    elif done.state == "accepted":
        ui.note(ui.words("收下不等于送达：请看手机，或在控制台的通道页看回执。"))


def check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Build every carrier and say what is wrong."""
    ui: Ui = ctx.obj
    settings = load_settings()
    start_logging(settings, quiet=True)
    found = asyncio.run(_checked(ui, settings))
    if as_json:
        bad = any(each.level is Level.BAD for each in found)
        ui.json({"ok": not bad, "checks": [asdict(each) for each in found]})
    else:
        tell_checks(ui, found)
    if any(each.level is Level.BAD for each in found):
        raise Failed


async def _checked(ui: Ui, settings: Settings) -> list[Check]:
    return [each async for each in check_carriers(ui.words, settings)]

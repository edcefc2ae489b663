"""`warnsvc officers`: who can log in. A password is typed or piped, never an argument.

Whoever has the shell needs no login: in the ledger these acts are the system's.
"""

import sys
from typing import Annotated

import typer

from warnsvc.cli.house import at_the_desk
from warnsvc.cli.options import AsJson, PasswordStdin, noun
from warnsvc.cli.ui import Failed, Ui
from warnsvc.core.refusal import Refusal
from warnsvc.service.context import Context
from warnsvc.service.officer import (
    Officer,
    Role,
    add_officer,
    change_roles,
    find_officer,
    officer_of,
    reset_password,
    set_disabled,
)
from warnsvc.service.password import check_password
from warnsvc.web.label import ROLE
from warnsvc.words import mark

Login = Annotated[str, typer.Argument(help=mark("用户名。"), metavar="LOGIN")]
Roles = Annotated[list[Role], typer.Argument(help=mark("职责，可写几个。"))]


def register(app: typer.Typer) -> None:
    """Add the noun and its verbs."""
    group = noun(app, "officers", mark("账号：谁能登录，能做什么。"))
    group.command("add", help=mark("添加账号；没写的逐项询问。"))(add)
    group.command("list", help=mark("列出账号。"))(list_)
    group.command("password", help=mark("重置密码，并结束此人的全部登录。"))(password)
    group.command("disable", help=mark("停用账号，立即结束其登录。"))(disable)
    group.command("enable", help=mark("恢复账号。"))(enable)
    group.command("roles", help=mark("改为这些职责，别的去掉。"))(roles)


def add(
    ctx: typer.Context,
    login: Annotated[str, typer.Argument(help=mark("用户名。"), metavar="[LOGIN]")] = "",
    name: Annotated[str, typer.Option(help=mark("姓名。"))] = "",
    post: Annotated[str, typer.Option(help=mark("职务。"))] = "",
    role: Annotated[list[Role] | None, typer.Option(help=mark("职责，可写几次。"))] = None,
    password_stdin: PasswordStdin = False,
) -> None:
    """Add an officer."""
    ui: Ui = ctx.obj
    login = login or ask(ui, ui.words("用户名"), option="LOGIN")
    name = name or ask(ui, ui.words("姓名"), option="--name")
    roles = role or _ask_roles(ui)
    secret = new_password(ui, login=login, from_stdin=password_stdin)

    async def work(desk: Context) -> int:
        return await add_officer(
            desk, by=None, login=login, name=name, post=post, roles=roles, password=secret
        )

    at_the_desk(work)
    ui.done(ui.words("已添加 {name}（{login}）。", name=name, login=login))


def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List officers by login."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> list[Officer]:
        async with desk.store.view() as view:
            rows = await view.fetch("SELECT * FROM officer ORDER BY login")
        return [officer_of(row) for row in rows]

    found = at_the_desk(work, reading=True)
    if as_json:
        ui.json([_document(officer) for officer in found])
        return
    ui.table(
        [
            ui.words("用户名"),
            ui.words("姓名"),
            ui.words("职务"),
            ui.words("职责"),
            ui.words("状态"),
        ],
        [
            (
                officer.login,
                officer.name,
                officer.post,
                "、".join(ui.words(ROLE[each.value]) for each in Role if each in officer.roles),
                ui.words("已停用") if officer.disabled else ui.words("可登录"),
            )
            for officer in found
        ],
    )
    if not found:
        ui.note(ui.words("还没有账号。添加：warnsvc officers add"))


def _document(officer: Officer) -> dict[str, object]:
    return {
        "id": officer.id,
        "login": officer.login,
        "name": officer.name,
        "post": officer.post,
        "roles": sorted(officer.roles),
        "disabled": officer.disabled,
        "locked_until": officer.locked_until,
    }


def password(ctx: typer.Context, login: Login, password_stdin: PasswordStdin = False) -> None:
    """Give an officer a new password."""
    ui: Ui = ctx.obj
    secret = new_password(ui, login=login, from_stdin=password_stdin)

    async def work(desk: Context) -> None:
        officer = await known(desk, login)
        await reset_password(desk, by=None, officer_id=officer.id, password=secret)

    at_the_desk(work)
    ui.done(ui.words("密码已重置，{login} 的登录已全部结束。", login=login))


def disable(ctx: typer.Context, login: Login) -> None:
    """Shut an officer out."""
    ui: Ui = ctx.obj
    _set_disabled(login, disabled=True)
    ui.done(ui.words("已停用 {login}。", login=login))


def enable(ctx: typer.Context, login: Login) -> None:
    """Let an officer in again."""
    ui: Ui = ctx.obj
    _set_disabled(login, disabled=False)
    ui.done(ui.words("已恢复 {login}。", login=login))


def _set_disabled(login: str, *, disabled: bool) -> None:
    async def work(desk: Context) -> None:
        officer = await known(desk, login)
        await set_disabled(desk, by=None, officer_id=officer.id, disabled=disabled)

    at_the_desk(work)


def roles(ctx: typer.Context, login: Login, roles: Roles) -> None:
    """Give an officer these roles and no others."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> None:
        officer = await known(desk, login)
        await change_roles(desk, by=None, officer_id=officer.id, roles=roles)

    at_the_desk(work)
    words = "、".join(ui.words(ROLE[each.value]) for each in Role if each in roles)
    ui.done(ui.words("{login} 的职责：{roles}", login=login, roles=words))


async def known(desk: Context, login: str) -> Officer:
    """Return the officer with this login. Raises Refusal."""
    officer = await find_officer(desk, login)
    if officer is None:
        raise Refusal("no_such_officer")
    return officer


def new_password(ui: Ui, *, login: str, from_stdin: bool) -> str:
    """Return a new password that is good enough: one line of stdin, or typed twice unseen."""
    if from_stdin:
        secret = sys.stdin.readline().rstrip("\r\n")
        check_password(secret, login=login)
        return secret
    _require_terminal(ui, "--password-stdin")
    secret = str(typer.prompt(ui.words("新密码"), hide_input=True))
    check_password(secret, login=login)
    if typer.prompt(ui.words("再输一遍"), hide_input=True) != secret:
        raise Refusal("passwords_differ")
    return secret


def old_password(ui: Ui, *, from_stdin: bool) -> str:
    """Return the password of somebody who shows who he is."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    _require_terminal(ui, "--password-stdin")
    return str(typer.prompt(ui.words("密码"), hide_input=True))


def ask(ui: Ui, question: str, *, option: str) -> str:
    """Ask for one line. `option` says how a script would give it."""
    _require_terminal(ui, option)
    return str(typer.prompt(question))


def _ask_roles(ui: Ui) -> list[Role]:
    told = "  ".join(f"{role.value}={ui.words(ROLE[role.value])}" for role in Role)
    typed = ask(ui, ui.words("职责（{roles}；几个用逗号分开）", roles=told), option="--role")
    wanted = {word.strip() for word in typed.replace("，", ",").split(",")}
    return [role for role in Role if role.value in wanted]


def _require_terminal(ui: Ui, option: str) -> None:
    if not sys.stdin.isatty():
        ui.complain(
            ui.words("这里不能询问：不是终端。"), ui.words("请写 {option}。", option=option)
        )
        raise Failed(2)

"""The tree of commands, in the reader's language.

    argv ─► language ─► tree with translated help ─► command ─► code

Sentences in the declarations are Chinese and marked; they are translated when the tree is built, so
that `--help` and errors speak one language. An error never shows a traceback unless it is a fault
of the program itself.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from typer import rich_utils
from typer.exceptions import TyperException
from typer.main import get_command

from warnsvc import __version__
from warnsvc.cli import (
    bulletin,
    carriers,
    contacts,
    db,
    demo,
    doctor,
    ledger,
    officers,
    regions,
    serve,
)
from warnsvc.cli.fault import tell, tell_usage
from warnsvc.cli.ui import Failed, Ui
from warnsvc.resource import locale_dir
from warnsvc.words import LANGUAGES, SOURCE_LANGUAGE, Translate, Words, mark

LANGUAGE_VARIABLE = "WARNSVC_LANGUAGE"
LANGUAGE_OPTION = "--language"
ENGLISH_HELP = ("Show this message and exit.",)
HELP_HELP = mark("显示这段说明。")
HELP_OPTIONS = ["--help", "-h"]
INTERRUPTED = 130
"""What a shell calls a command that Ctrl-C ended."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    language, rest = take_language(given, os.environ)
    words = Words.load(locale_dir()).language(language)
    ui = Ui(language=language, words=words)
    command = translated(build(), words)
    try:
        code = command.main(args=rest, prog_name="warnsvc", standalone_mode=False, obj=ui)
    except Failed as failed:
        return failed.code
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except TyperException as wrong:
        return tell_usage(ui, wrong)
    except Exception as fault:
        return tell(ui, fault)
    return code if isinstance(code, int) else 0


def build() -> typer.Typer:
    """Return the tree, its sentences still in Chinese."""
    app = typer.Typer(
        name="warnsvc",
        help=mark("warnsvc 预警叫应：把预警发到每个村，直到有人应答。"),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None if not sys.stdout.isatty() else "rich",
        context_settings={"help_option_names": HELP_OPTIONS},
    )
    app.callback()(_root)
    for module in (
        *(demo, serve, db, regions, contacts, officers),
        *(carriers, bulletin, ledger, doctor),
    ):
        module.register(app)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"warnsvc {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help=mark("显示版本。")),
    ] = False,
    language: Annotated[
        str, typer.Option(metavar="zh|en", help=mark("说哪种语言；也可设 WARNSVC_LANGUAGE。"))
    ] = SOURCE_LANGUAGE,
) -> None:
    """Options before the noun. The language was taken out long before (`take_language`)."""


def take_language(
    arguments: Iterable[str], environment: Mapping[str, str]
) -> tuple[str, list[str]]:
    """Return the language, and the arguments without it: it may stand anywhere before a `--`.

    The option, then WARNSVC_LANGUAGE, then Chinese: LANG is C on most servers and says nothing.
    """
    rest: list[str] = []
    chosen: str | None = None
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument == LANGUAGE_OPTION:
            chosen = next(waiting, "")
        elif argument.startswith(f"{LANGUAGE_OPTION}="):
            chosen = argument.partition("=")[2]
        else:
            rest.append(argument)
    wanted = chosen if chosen is not None else environment.get(LANGUAGE_VARIABLE, "")
    return wanted if wanted in LANGUAGES else SOURCE_LANGUAGE, rest


def translated(app: typer.Typer, words: Translate) -> Any:
    """Return the command with every help text in the reader's language."""
    for name, title in (
        ("ARGUMENTS_PANEL_TITLE", mark("参数")),
        ("OPTIONS_PANEL_TITLE", mark("选项")),
        ("COMMANDS_PANEL_TITLE", mark("命令")),
        ("REQUIRED_LONG_STRING", mark("[必填]")),
        ("DEFAULT_STRING", mark("[默认 {}]")),
    ):
        setattr(rich_utils, name, words(title))
    root = get_command(app)
    _translate(root, words)
    return root


def _translate(command: Any, words: Translate) -> None:
    if command.help:
        command.help = words(command.help)
    context = typer.Context(command, help_option_names=HELP_OPTIONS)
    for param in (*command.params, command.get_help_option(context)):
        if getattr(param, "help", None):
            param.help = words(HELP_HELP if param.help in ENGLISH_HELP else param.help)
    for child in getattr(command, "commands", {}).values():
        _translate(child, words)

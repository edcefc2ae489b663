"""The tree of commands: its languages, its help, and what a slip of the fingers is told."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from warnsvc import __version__
from warnsvc.cli.main import build, take_language, translated
from warnsvc.resource import locale_dir
from warnsvc.words import Words

CHINESE = re.compile(r"[\u3400-\u9fff]")

NOUNS = {
    *("demo", "serve", "worker", "db", "regions", "contacts", "officers", "bulletin"),
    *("carriers", "ledger", "doctor"),
}


def every(command: Any, path: str = "warnsvc") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from every(child, f"{path} {name}")


def test_every_noun_of_the_design_is_there() -> None:
    tree = translated(build(), Words.load(locale_dir()).language("zh"))

    assert set(tree.commands) == NOUNS


@pytest.mark.parametrize("language", ["zh", "en"])
def test_help_speaks_one_language_down_to_the_last_option(language: str) -> None:
    tree = translated(build(), Words.load(locale_dir()).language(language))

    for path, command in every(tree):
        told = [command.help, *(param.help for param in command.params)]
        assert all(told), f"{path} has something without help"
        assert all((language == "zh") == bool(CHINESE.search(text)) for text in told), path


def test_help_is_chinese_unless_english_is_asked_for(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "把预警发到每个村" in command("--help").out
    assert "every village" in command("--help", "--language", "en").out
    monkeypatch.setenv("WARNSVC_LANGUAGE", "en")
    assert "every village" in command("--help").out
    assert "把预警发到每个村" in command("--language=zh", "--help").out


@pytest.mark.parametrize(
    ("arguments", "language", "rest"),
    [
        (["demo", "--language", "en", "--port", "1"], "en", ["demo", "--port", "1"]),
        (["--language=en", "demo"], "en", ["demo"]),
        (["demo"], "zh", ["demo"]),
        (["demo", "--language", "fr"], "zh", ["demo"]),
        (["demo", "--", "--language", "en"], "zh", ["demo", "--", "--language", "en"]),
    ],
)
def test_the_language_may_stand_anywhere(
    arguments: list[str], language: str, rest: list[str]
) -> None:
    assert take_language(arguments, {}) == (language, rest)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["demo", "--prot", "1"], "没有这个选项：--prot"),
        (["demo", "--port", "no"], "--port 的值不对"),
        (["demo", "--port", "99999"], "--port 的值不对"),
        (["demo", "--window-seconds", "1"], "--window-seconds 的值不对"),
        (["regions", "show"], "缺少：CODE"),
        (["regions", "import", "/no/such/file"], "FILE 的值不对"),
        (["nonsense"], "命令写得不对"),
    ],
)
def test_a_slip_is_told_in_chinese_with_where_help_is(
    command: Command, arguments: list[str], complaint: str
) -> None:
    said = command(*arguments)

    assert said.code == 2
    assert complaint in said.err
    assert "--help" in said.err


def test_without_a_verb_there_is_help(command: Command) -> None:
    said = command("regions")

    assert said.code == 2
    assert "import" in said.out


def test_the_version_is_said(command: Command) -> None:
    said = command("--version")

    assert (said.code, said.out.strip()) == (0, f"warnsvc {__version__}")


def test_settings_that_are_wrong_are_named_and_nothing_starts(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARNSVC_PORT", "many")

    said = command("serve")

    assert said.code == 1
    assert "WARNSVC_PORT" in said.err
    assert "docs/SETTINGS.md" in said.err


def test_a_worker_is_refused_on_sqlite_and_told_what_to_run(command: Command) -> None:
    said = command("worker")

    assert said.code == 1
    assert "warnsvc serve" in said.err


def test_a_taken_port_is_told_with_the_setting_that_changes_it(
    command: Command, empty: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        said = command("serve", "--port", str(taken.getsockname()[1]))

    assert said.code == 1
    assert "WARNSVC_PORT" in said.err

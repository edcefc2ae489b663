"""The ledger by command: whole, changed, cut off, or no ledger at all."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import DATABASE, Command

Lines = list[str]


@pytest.fixture
def export(command: Command, furnished: Path, tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    assert command("ledger", "export", str(path)).code == 0
    return path


def change_body(lines: Lines) -> Lines:
    line = json.loads(lines[3])
    line["body"] = line["body"].replace("officer", "0fficer")
    return [*lines[:3], json.dumps(line), *lines[4:]]


CASES: list[tuple[str, Callable[[Lines], Lines], int, str]] = [
    ("as it was", lambda lines: lines, 0, "台账完整"),
    ("a word changed", change_body, 1, "第 3 条（文件第 4 行）"),
    ("a line taken out", lambda lines: [*lines[:3], *lines[4:]], 1, "第 3 条"),
    ("two lines swapped", lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], 1, "第 2 条"),
    ("the end cut off", lambda lines: lines[:-2], 3, "条数不对"),
    ("the last line cut in two", lambda lines: [*lines[:-1], lines[-1][:40]], 3, "不是完整的"),
    ("another file", lambda lines: ["hello", "world"], 3, "不是完整的"),
    ("nothing", lambda lines: [], 3, "不是完整的"),
    ("a head without a root", lambda lines: ['{"format":"warnsvc-ledger","v":1}'], 3, "line 1"),
]


@pytest.mark.parametrize(("label", "damage", "code", "told"), CASES, ids=[c[0] for c in CASES])
def test_a_file_is_verified_and_its_first_bad_line_named(
    command: Command,
    export: Path,
    label: str,
    damage: Callable[[Lines], Lines],
    code: int,
    told: str,
) -> None:
    lines = damage(export.read_text(encoding="utf-8").splitlines())
    export.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    said = command("ledger", "verify", str(export))

    assert said.code == code
    assert told in said.out + said.err


def test_programs_get_the_first_bad_place(command: Command, export: Path) -> None:
    lines = change_body(export.read_text(encoding="utf-8").splitlines())
    export.write_text("\n".join(lines), encoding="utf-8")

    said = command("ledger", "verify", str(export), "--json")

    assert said.code == 1
    assert (said.json["ok"], said.json["fault"], said.json["bad_seq"]) == (False, "content", 2)


def test_a_file_that_is_not_even_text_is_no_export(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(b"\x89PNG\xff\xfe")

    assert command("ledger", "verify", str(path)).code == 3


def test_a_file_is_verified_without_database_or_settings(
    command: Command, export: Path, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (furnished / DATABASE).unlink()
    monkeypatch.setenv("WARNSVC_PORT", "nonsense")

    assert command("ledger", "verify", str(export)).code == 0


def test_a_line_changed_in_the_database_is_found(command: Command, furnished: Path) -> None:
    assert command("ledger", "verify").code == 0
    with sqlite3.connect(furnished / DATABASE) as database:
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger_line'"
        ).fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE ledger_line SET body = x'7b7d' WHERE id = 2")

    said = command("ledger", "verify")

    assert said.code == 1
    assert "第 2 条" in said.err


def test_the_tail_tells_acts_and_names_in_the_readers_language(
    command: Command, furnished: Path
) -> None:
    zh = command("ledger", "tail", "-n", "100")
    en = command("ledger", "tail", "-n", "100", "--language", "en")

    assert "周岚" in zh.out
    assert "发布" in zh.out
    assert "周岚" in en.out
    assert "发布" not in en.out


def test_the_tail_can_be_narrowed_to_one_bulletin(command: Command, furnished: Path) -> None:
    lines = command("ledger", "tail", "--bulletin", "1", "--json").json

    assert {line["bulletin"] for line in lines} == {1}

"""The database's schema and the key beside it."""

from pathlib import Path

from tests.cli.conftest import DATABASE, Command
from warnsvc.store.migrate import head


def test_init_makes_tables_and_key_once_and_says_so(command: Command, data: Path) -> None:
    first = command("db", "init")
    key = (data / "secret.key").read_text()
    second = command("db", "init")

    assert (first.code, second.code) == (0, 0)
    assert str(data / "secret.key") in first.out
    assert "secret.key" not in second.out
    assert (data / "secret.key").read_text() == key
    assert (data / "secret.key").stat().st_mode & 0o077 == 0
    assert key.strip() not in first.out + first.err


def test_check_ends_with_one_until_the_tables_are_there(command: Command, data: Path) -> None:
    before = command("db", "check")
    command("db", "init")
    after = command("db", "check", "--json")

    assert before.code == 1
    assert "warnsvc db init" in before.err
    assert after.code == 0
    assert after.json == {"ok": True, "revision": head(), "head": head()}


def test_looking_at_a_database_that_is_not_there_does_not_make_one(
    command: Command, data: Path
) -> None:
    current = command("db", "current", "--json")
    listed = command("bulletin", "list")

    assert current.json["revision"] is None
    assert listed.code == 1
    assert "warnsvc db init" in listed.err
    assert not (data / DATABASE).exists()


def test_an_upgrade_of_what_is_new_changes_nothing(command: Command, empty: Path) -> None:
    said = command("db", "upgrade")

    assert said.code == 0
    assert "已是最新" in said.out

"""Officers: a password is piped or typed, never an argument, and never shown."""

from pathlib import Path

from tests.cli.conftest import Command

PASSWORD = "long-enough-7"


def add(command: Command, login: str, *roles: str) -> int:
    given = [part for role in roles for part in ("--role", role)]
    said = command(
        *("officers", "add", login, "--name", "周岚", *given, "--password-stdin"),
        typed=f"{PASSWORD}\n",
    )
    assert PASSWORD not in said.out + said.err
    return said.code


def test_an_officer_is_added_with_a_piped_password(command: Command, empty: Path) -> None:
    code = add(command, "zhou", "duty", "admin")

    assert code == 0
    (found,) = command("officers", "list", "--json").json
    assert (found["login"], found["roles"]) == ("zhou", ["admin", "duty"])
    assert "周岚" in command("officers", "list").out


def test_a_password_as_an_argument_is_no_option(command: Command, empty: Path) -> None:
    said = command("officers", "add", "zhou", "--password", PASSWORD)

    assert said.code == 2


def test_a_weak_password_and_a_taken_login_are_refused_with_words(
    command: Command, empty: Path
) -> None:
    weak = command(
        *("officers", "add", "zhou", "--name", "周岚", "--role", "duty", "--password-stdin"),
        typed="short\n",
    )
    add(command, "zhou", "duty")
    taken = command(
        *("officers", "add", "zhou", "--name", "又一个", "--role", "duty", "--password-stdin"),
        typed=f"{PASSWORD}\n",
    )

    assert (weak.code, taken.code) == (1, 1)
    assert "密码至少 8 个字符" in weak.err
    assert "已经有人用了" in taken.err


def test_without_a_terminal_nothing_is_asked(command: Command, empty: Path) -> None:
    said = command("officers", "add")

    assert said.code == 2
    assert "LOGIN" in said.err


def test_somebody_is_shut_out_and_let_in_again(command: Command, empty: Path) -> None:
    add(command, "zhou", "duty")

    assert command("officers", "disable", "zhou").code == 0
    assert command("officers", "list", "--json").json[0]["disabled"] is True
    assert command("officers", "enable", "zhou").code == 0
    assert command("officers", "list", "--json").json[0]["disabled"] is False


def test_the_last_administrator_stays(command: Command, empty: Path) -> None:
    add(command, "shen", "admin")

    disabled = command("officers", "disable", "shen")
    changed = command("officers", "roles", "shen", "auditor")

    assert (disabled.code, changed.code) == (1, 1)
    assert "最后一位管理员" in disabled.err


def test_roles_are_replaced_and_a_password_is_reset(command: Command, empty: Path) -> None:
    add(command, "zhou", "duty")

    roles = command("officers", "roles", "zhou", "signer", "auditor")
    reset = command("officers", "password", "zhou", "--password-stdin", typed="another-one-9\n")

    assert (roles.code, reset.code) == (0, 0)
    assert command("officers", "list", "--json").json[0]["roles"] == ["auditor", "signer"]
    acts = [line["act"] for line in command("ledger", "tail", "--json").json]
    assert acts == ["officer.added", "officer.roles_changed", "officer.password_reset"]


def test_somebody_unknown_is_said_to_be_unknown(command: Command, empty: Path) -> None:
    said = command("officers", "disable", "nobody")

    assert said.code == 1
    assert "没有这个账号" in said.err

"""The commands that keep an installation, on SQLite and on PostgreSQL alike."""

from pathlib import Path

import pytest

from contacts.county import make_county
from contacts.directory.export import as_csv, region_table
from tests.cli.conftest import Command
from warnsvc.store.migrate import head

PASSWORD = "long-enough-7"


@pytest.fixture
def installed(data: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WARNSVC_DATABASE_URL", store_url)
    monkeypatch.setenv("WARNSVC_SECRET_KEY", "k" * 40)
    # The tests' PostgreSQL is quick and would forget: a doctor must say so anywhere else.
    monkeypatch.setenv("WARNSVC_ALLOW_WEAK_DATABASE", "true")
    return store_url


def test_an_installation_is_set_up_from_nothing_to_two_officers(
    command: Command, installed: str, tmp_path: Path
) -> None:
    regions = tmp_path / "regions.csv"
    regions.write_bytes(as_csv(region_table(make_county().regions)))

    assert command("db", "init").code == 0
    assert command("db", "check", "--json").json["revision"] == head()
    assert command("regions", "import", str(regions), "--dry-run").code == 0
    assert command("regions", "import", str(regions), "--json").json["added"] == 187
    for login, role in (("duty", "duty"), ("signer", "signer")):
        added = command(
            *("officers", "add", login, "--name", "某人", "--role", role, "--password-stdin"),
            typed=f"{PASSWORD}\n",
        )
        assert added.code == 0
    assert command("ledger", "verify", "--json").json["ok"] is True
    assert [line["act"] for line in command("ledger", "tail", "--json").json] == [
        *("directory.imported", "officer.added", "officer.added"),
    ]
    doctor = command("doctor", "--json")
    assert doctor.code == 0
    assert PASSWORD not in doctor.out


def test_a_database_that_is_away_is_said_to_be_away(
    command: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARNSVC_DATABASE_URL", "postgresql://nobody:hidden-word@127.0.0.1:1/none")
    monkeypatch.setenv("WARNSVC_SECRET_KEY", "k" * 40)

    for arguments in (("officers", "list"), ("db", "current"), ("db", "upgrade"), ("doctor",)):
        said = command(*arguments)

        assert said.code == 1, arguments
        assert "数据库" in said.out + said.err, arguments
        assert "hidden-word" not in said.out + said.err

"""The doctor: every line says what is, and what to do about it."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DATABASE, Command, Said
from warnsvc.store.file_lock import FileLock


def line(said: Said, name: str) -> dict[str, Any]:
    (found,) = [check for check in said.json["checks"] if check["name"] == name]
    return found


def test_without_a_database_it_says_what_to_run(command: Command, data: Path) -> None:
    said = command("doctor", "--json")

    assert said.code == 1
    assert line(said, "database")["level"] == "bad"
    assert "warnsvc db init" in line(said, "database")["advice"]
    assert not data.exists()


def test_a_whole_installation_has_nothing_bad(command: Command, furnished: Path) -> None:
    said = command("doctor", "--json")
    told = command("doctor")

    assert (said.code, told.code) == (0, 0)
    assert {check["level"] for check in said.json["checks"]} <= {"ok", "note"}
    assert line(said, "officers")["level"] == "ok"
    assert line(said, "carriers")["level"] == "note"
    assert "✓ database" in told.out


def test_english_is_whole_too(command: Command, furnished: Path) -> None:
    told = command("doctor", "--language", "en")

    assert "The signing key is there" in told.out
    assert "北京" not in told.out


def test_a_carrier_that_cannot_be_reached_is_named(
    command: Command, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "WARNSVC_CARRIERS",
        '[{"name": "county-sms", "kind": "sms", "adapter": "simulated-sms", "params":'
        ' {"base_url": "http://127.0.0.1:1", "account": "a", "sender": "s"},'
        ' "secrets": {"secret": "not-to-be-shown-anywhere"}}]',
    )

    said = command("doctor", "--json")

    assert said.code == 1
    assert "127.0.0.1:1" in line(said, "carrier county-sms")["said"]
    assert "not-to-be-shown-anywhere" not in said.out + said.err


def test_a_carrier_that_is_misspelt_is_named(
    command: Command, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARNSVC_CARRIERS", '[{"name": "x", "kind": "sms", "adapter": "pigeon"}]')

    said = command("doctor", "--json")

    assert said.code == 1
    assert "pigeon" in line(said, "carrier x")["said"]


def test_a_running_service_is_no_fault(command: Command, furnished: Path) -> None:
    service = FileLock(furnished / DATABASE)
    service.take()
    try:
        said = command("doctor", "--json")
    finally:
        service.release()

    assert said.code == 0
    assert "pid" in line(said, "lock")["said"]


def test_settings_that_are_wrong_are_one_line_and_no_traceback(
    command: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARNSVC_TIME_ZONE", "Mars/Olympus")

    said = command("doctor", "--json")

    assert said.code == 1
    assert "WARNSVC_TIME_ZONE" in line(said, "settings")["said"]


def test_a_variable_that_is_no_setting_is_remarked_on(
    command: Command, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARNSVC_PROT", "9000")

    assert "WARNSVC_PROT" in line(command("doctor", "--json"), "settings")["advice"]

"""`warnsvc carriers`: an administrator adds one, tries it, looks at it; no secret is ever shown."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from channels.base import ChannelKind
from channels.errors import ErrorClass
from channels.registry import ADAPTERS, Adapter
from tests.cli.conftest import DATABASE, Command, Said
from tests.fakes.channel import FakeChannel, Reject
from warnsvc.store.file_lock import FileLock

SECRET = "nobody-must-ever-read-this-word"
PHONE = "+8615400009999"

made: list[FakeChannel] = []


def build(
    *, name: str, base_url: str, secrets: Sequence[str], clock: Callable[[], datetime]
) -> FakeChannel:
    assert secrets == (SECRET,)
    channel = FakeChannel(ChannelKind.SMS, clock=clock, name=name)
    if base_url.endswith("refuses"):
        channel.always(Reject(ErrorClass.CONFIG, "20003 the account of 13800138000"))
    made.append(channel)
    return channel


@pytest.fixture(autouse=True)
def pigeon(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter whose carrier is in memory."""
    monkeypatch.setitem(ADAPTERS, "pigeon", Adapter(kind=ChannelKind.SMS, build=build))
    made.clear()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "carrier_secret"
    path.write_text(SECRET)
    return path


def added(command: Command, secret: Path, *, url: str = "http://127.0.0.1:1", name: str) -> Said:
    return command(
        *("carriers", "add", name, "pigeon", "--param", f"base_url={url}"),
        *("--param", f"canary_to={PHONE}", "--secret-file", f"secret={secret}"),
    )


def test_a_carrier_is_added_and_listed_and_shown_without_its_secret(
    command: Command, empty: Path, secret: Path
) -> None:
    assert added(command, secret, name="loft").code == 0

    listed = command("carriers", "list")
    shown = command("carriers", "show", "loft")
    document = command("carriers", "show", "loft", "--json").json

    assert "loft" in listed.out
    assert "/callbacks/loft/{token}" in shown.out
    assert "154****9999" in shown.out
    assert document["source"] == "added"
    assert document["inbound_address"].endswith("/callbacks/loft")
    assert document["problems"] == []
    for said in (listed, shown):
        assert SECRET not in said.out + said.err
        assert PHONE not in said.out
    assert SECRET not in json.dumps(document)


def test_english_is_whole_too(command: Command, empty: Path, secret: Path) -> None:
    said = added(command, secret, name="loft")
    shown = command("carriers", "show", "loft", "--language", "en")
    kinds = command("carriers", "adapters", "--language", "en")

    assert said.code == 0
    for told in (shown, kinds):
        assert told.code == 0
        assert not any("\u4e00" <= sign <= "\u9fff" for sign in told.out), told.out


def test_what_is_wrong_names_its_parameter(command: Command, empty: Path, tmp_path: Path) -> None:
    said = command(
        *("carriers", "add", "Loft", "pigeon", "--param", "colour=grey"),
        *("--secret-file", f"secret={tmp_path / 'gone'}"),
    )

    assert said.code == 1
    assert "base_url：请填写这一项。" in said.err
    assert "colour" in said.err
    assert "secret：" in said.err
    assert "name：" in said.err
    assert command("carriers", "list", "--json").json == []


def test_a_parameter_is_written_with_a_sign(command: Command, empty: Path) -> None:
    assert command("carriers", "add", "loft", "pigeon", "--param", "base_url").code == 2


def test_a_test_says_what_became_of_it(command: Command, empty: Path, secret: Path) -> None:
    added(command, secret, name="loft")

    said = command("carriers", "test", "loft", "154 0000 9999")
    document = command("carriers", "test", "loft", PHONE, "--json").json

    assert said.code == 0
    assert "154****9999" in said.out
    assert [channel.taken[0].to for channel in made if channel.taken] == [PHONE, PHONE]
    assert (document["state"], document["address"]) == ("accepted", "154****9999")
    assert len(command("carriers", "show", "loft", "--json").json["last_tests"]) == 2


def test_a_test_that_failed_is_an_error_with_the_carriers_words(
    command: Command, empty: Path, secret: Path
) -> None:
    added(command, secret, name="loft", url="http://127.0.0.1:1/refuses")

    said = command("carriers", "test", "loft", PHONE)

    assert said.code == 1
    assert "20003" in said.err
    assert "13800138000" not in said.err


def test_nobody_is_tried_that_is_not_there_or_cannot_be_called(
    command: Command, empty: Path, secret: Path
) -> None:
    added(command, secret, name="loft")

    assert "hawk" in command("carriers", "test", "hawk", PHONE).err
    assert command("carriers", "test", "loft", "12379").code == 1
    assert all(channel.tries == [] for channel in made)


def test_beside_a_running_service_it_looks_but_does_not_send(
    command: Command, empty: Path, secret: Path
) -> None:
    added(command, secret, name="loft")
    service = FileLock(empty / DATABASE)
    service.take()
    try:
        looked = command("carriers", "list", "--json")
        tried = command("carriers", "test", "loft", PHONE)
    finally:
        service.release()

    assert [each["name"] for each in looked.json] == ["loft"]
    assert tried.code == 1
    assert "控制台" in tried.err
    assert all(channel.tries == [] for channel in made)


def test_the_whole_address_is_printed_on_request(
    command: Command, empty: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeChannel, "callback_query", "key=for-the-carrier", raising=False)
    added(command, secret, name="loft")

    shown, address = command("carriers", "show", "loft"), command("carriers", "address", "loft")

    assert "key=…" in shown.out
    assert "for-the-carrier" not in shown.out
    assert address.out.strip().endswith("/callbacks/loft?key=for-the-carrier")


def test_one_is_switched_off_and_on_and_taken_away(
    command: Command, empty: Path, secret: Path
) -> None:
    added(command, secret, name="loft")

    assert command("carriers", "disable", "loft").code == 0
    assert not command("carriers", "show", "loft", "--json").json["enabled"]
    assert command("carriers", "enable", "loft").code == 0
    assert command("carriers", "show", "loft", "--json").json["enabled"]
    assert command("carriers", "remove", "loft").code == 0

    assert command("carriers", "show", "loft").code == 1
    assert command("carriers", "remove", "loft").code == 1


def test_one_of_the_settings_is_changed_in_the_settings(
    command: Command, empty: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = {
        "name": "dovecote",
        "kind": "sms",
        "adapter": "pigeon",
        "params": {"base_url": "http://127.0.0.1:1"},
        "secrets": {"secret": SECRET},
    }
    monkeypatch.setenv("WARNSVC_CARRIERS", json.dumps([carrier]))

    shown = command("carriers", "show", "dovecote", "--json")
    removed = command("carriers", "remove", "dovecote")

    assert shown.json["source"] == "settings"
    assert SECRET not in shown.out + shown.err
    assert removed.code == 1
    assert "配置文件" in removed.err


def test_a_route_is_shown_and_missed_by_no_command(
    command: Command, empty: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = {"kind": "sms", "countries": ["86"], "carriers": ["loft"]}
    monkeypatch.setenv("WARNSVC_ROUTES", json.dumps([route]))
    added(command, secret, name="loft")

    shown = command("carriers", "show", "loft", "--json")

    assert shown.json["routes"] == ["sms 86 * → loft"]
    assert "carrier_missing" not in shown.err


def test_a_check_builds_each_and_says_what_is_wrong(
    command: Command, empty: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(command, secret, name="loft")
    secret.unlink()
    route = {"kind": "sms", "carriers": ["loft", "hawk"]}
    monkeypatch.setenv("WARNSVC_ROUTES", json.dumps([route]))

    said = command("carriers", "check", "--json")

    lines = {check["name"]: check for check in said.json["checks"]}
    assert said.code == 1
    assert "cannot be read" in lines["carrier loft"]["said"]
    assert "hawk" in lines["routes"]["said"]


def test_the_doctor_looks_at_added_ones_too(
    command: Command, furnished: Path, secret: Path
) -> None:
    added(command, secret, name="loft")

    checks = {check["name"]: check for check in command("doctor", "--json").json["checks"]}

    assert "127.0.0.1:1" in checks["carrier loft"]["said"]
    assert checks["carrier loft"]["level"] == "bad"


def test_the_kinds_are_told_with_what_they_need(command: Command, empty: Path) -> None:
    forms = {form["name"]: form for form in command("carriers", "adapters", "--json").json}

    assert set(forms) == set(ADAPTERS)
    needed = {p["name"] for p in forms["simulated-sms"]["parameters"] if p["required"]}
    assert needed == {"base_url", "account", "sender", "secret"}
    assert command("carriers", "adapters", "no-such").code == 1
    assert "--secret-file secret=" in command("carriers", "adapters", "simulated-sms").out

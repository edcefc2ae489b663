"""Bulletins by command: what was released, how far the calling is, and lifting it."""

from pathlib import Path

from tests.cli.conftest import DATABASE, Command
from warnsvc.demo.cast import EASY_PASSWORD
from warnsvc.store.file_lock import FileLock


def test_the_list_tells_drill_places_and_state(command: Command, furnished: Path) -> None:
    said = command("bulletin", "list")
    (line,) = command("bulletin", "list", "--json").json

    assert "演练" in said.out
    assert "云溪镇、鹿鸣乡" in said.out
    assert (line["status"], line["state"], line["colour"]) == ("exercise", "released", "red")


def test_one_bulletin_is_shown_with_its_texts(command: Command, furnished: Path) -> None:
    said = command("bulletin", "show", "1")
    found = command("bulletin", "show", "1", "--json").json

    assert "演练：" in said.out
    assert found["texts"]["zh"].startswith("演练")
    assert found["hazard"] == "11B03"


def test_a_bulletin_that_is_not_there_is_said_to_be_unknown(
    command: Command, furnished: Path
) -> None:
    said = command("bulletin", "show", "77")

    assert said.code == 1
    assert "没有第 77 号预警" in said.err


def test_a_preview_counts_people_and_warns_of_missing_carriers(
    command: Command, furnished: Path
) -> None:
    found = command("bulletin", "preview", "1", "--json").json
    said = command("bulletin", "preview", "1")

    assert found["estimate"]["people"] > 50
    assert "channel_missing:sms" in found["warnings"]
    assert "没有通道" in said.out


def test_the_board_counts_every_region_once(command: Command, furnished: Path) -> None:
    board = command("bulletin", "board", "1", "--json").json
    said = command("bulletin", "board", "1")

    regions = [region for town in board["towns"] for region in town["regions"]]
    assert {town["name"] for town in board["towns"]} == {"云溪镇", "鹿鸣乡"}
    assert board["progress"]["calling"] == len(regions)
    assert "云溪镇" in said.out


def test_lifting_needs_the_password_of_an_officer_on_duty(
    command: Command, furnished: Path
) -> None:
    given = ("bulletin", "lift", "1", "--reason", "雨停了", "--password-stdin", "--officer")

    wrong = command(*given, "duty", typed="wrong-password\n")
    signer = command(*given, "signer", typed=f"{EASY_PASSWORD}\n")
    done = command(*given, "duty", typed=f"{EASY_PASSWORD}\n")
    again = command(*given, "duty", typed=f"{EASY_PASSWORD}\n")

    assert [wrong.code, signer.code, done.code, again.code] == [1, 1, 0, 1]
    assert "密码不对" in wrong.err
    assert command("bulletin", "show", "1", "--json").json["state"] == "lifted"
    assert {region["state"] for town in _towns(command) for region in town} == {"lifted"}


def _towns(command: Command) -> list[list[dict[str, str]]]:
    board = command("bulletin", "board", "1", "--json").json
    return [town["regions"] for town in board["towns"]]


def test_beside_a_running_service_one_may_look_but_not_write(
    command: Command, furnished: Path
) -> None:
    service = FileLock(furnished / DATABASE)
    service.take()
    try:
        listed = command("bulletin", "list", "--json")
        verified = command("ledger", "verify")
        disabled = command("officers", "disable", "duty")
    finally:
        service.release()

    assert (listed.code, len(listed.json)) == (0, 1)
    assert verified.code == 0
    assert "服务正在运行" in verified.err
    assert disabled.code == 1
    assert "正被占用" in disabled.err

"""Regions and contacts through the command: imported whole or not at all, numbers masked."""

import csv
import io
from pathlib import Path

import pytest

from contacts.county import make_county
from contacts.directory.export import as_csv, contact_table, region_table
from tests.cli.conftest import Command


@pytest.fixture
def regions(tmp_path: Path) -> Path:
    path = tmp_path / "regions.csv"
    path.write_bytes(as_csv(region_table(make_county().regions)))
    return path


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """The county's list with three rows that nobody should import."""
    county = make_county()
    table = region_table(county.regions)
    table[5][0] = "9.90102E+11"
    table[6][2] = "星系"
    table[7][1] = "990199999999"
    path = tmp_path / "damaged.csv"
    path.write_bytes(as_csv(table))
    return path


def count(command: Command) -> int:
    return len(command("regions", "list", "--json").json)


def test_a_damaged_file_imports_nothing_and_lists_every_row(
    command: Command, empty: Path, damaged: Path
) -> None:
    said = command("regions", "import", str(damaged))

    assert said.code == 1
    assert {"6", "7", "8"} <= {line.split()[0] for line in said.out.splitlines()}
    assert "什么都没有导入" in said.err
    assert count(command) == 0


def test_the_faults_are_there_as_json_in_both_languages(
    command: Command, empty: Path, damaged: Path
) -> None:
    said = command("regions", "import", str(damaged), "--json")

    assert said.code == 1
    assert said.json["applied"] is False
    assert said.json["fault_count"] >= 3
    assert all(fault["zh"] and fault["en"] for fault in said.json["faults"])


def test_a_dry_run_checks_and_writes_nothing(command: Command, empty: Path, regions: Path) -> None:
    checked = command("regions", "import", str(regions), "--dry-run", "--json")
    between = count(command)
    written = command("regions", "import", str(regions), "--json")

    assert between == 0
    assert (checked.json["added"], checked.json["applied"]) == (187, False)
    assert (written.json["added"], written.json["applied"]) == (187, True)
    assert count(command) == 187


def test_an_import_is_in_the_ledger_and_a_second_one_changes_nothing(
    command: Command, empty: Path, regions: Path
) -> None:
    command("regions", "import", str(regions))
    again = command("regions", "import", str(regions), "--json").json

    acts = [line["act"] for line in command("ledger", "tail", "--json").json]
    assert acts == ["directory.imported", "directory.imported"]
    assert (again["added"], again["changed"], again["unchanged"]) == (0, 0, 187)


def test_invented_numbers_are_refused_outside_a_demo(
    command: Command, empty: Path, regions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = make_county().people
    path = tmp_path / "contacts.csv"
    by_id = {contact.id: contact for contact in people.contacts}
    path.write_bytes(as_csv(contact_table(by_id, people.assignments)))
    command("regions", "import", str(regions))

    real = command("contacts", "import", str(path))
    monkeypatch.setenv("WARNSVC_DEMO", "true")
    demo = command("contacts", "import", str(path), "--json")

    assert real.code == 1
    assert "虚构号码" in real.out
    assert (demo.code, demo.json["added"]) == (0, len(people.contacts))


def test_one_region_shows_its_path_and_who_answers(command: Command, furnished: Path) -> None:
    township = next(r for r in make_county().regions if r.name == "云溪镇")

    said = command("regions", "show", township.code)
    found = command("regions", "show", township.code, "--json").json
    unknown = command("regions", "show", "110000000000")

    assert "云岭县 / 云溪镇" in said.out
    assert "值班室" in said.out
    assert found["duties"][0]["tier"] == 1
    assert unknown.code == 1


def test_a_list_can_be_narrowed_by_level_and_place(command: Command, furnished: Path) -> None:
    township = next(r for r in make_county().regions if r.name == "云溪镇")

    villages = command("regions", "list", "--under", township.code, "--level", "village", "--json")

    assert {region["parent_code"] for region in villages.json} == {township.code}
    assert {region["level"] for region in villages.json} == {"village"}


def test_no_number_is_shown_or_exported_in_full_unless_asked_for(
    command: Command, furnished: Path, tmp_path: Path
) -> None:
    shown = command("contacts", "show", "云溪镇", "--json")
    told = command("contacts", "show", "云溪镇").out
    masked = command("contacts", "export", "-")

    phones = {
        number.address.removeprefix("+86")
        for contact in make_county().people.contacts
        for number in contact.numbers
    }
    for text in (shown.out, told, masked.out):
        assert "****" in text
        assert not [phone for phone in phones if phone in text]
    assert "--full-numbers" in masked.err


def test_a_full_export_is_written_down_and_imports_again_unchanged(
    command: Command, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "contacts.csv"

    exported = command("contacts", "export", str(path), "--full-numbers")
    monkeypatch.setenv("WARNSVC_DEMO", "true")
    again = command("contacts", "import", str(path), "--dry-run", "--json").json

    assert exported.code == 0
    assert path.stat().st_mode & 0o077 == 0
    assert (again["added"], again["changed"]) == (0, 0)
    last = command("ledger", "tail", "-n", "1", "--json").json
    assert last[0]["act"] == "directory.exported"


def test_regions_come_out_as_a_file_that_can_be_read(
    command: Command, furnished: Path, tmp_path: Path
) -> None:
    book = tmp_path / "regions.xlsx"

    said = command("regions", "export", str(book))
    rows = list(csv.reader(io.StringIO(command("regions", "export", "-").out)))

    assert said.code == 0
    assert book.read_bytes().startswith(b"PK")
    assert len(rows) == 188


def test_a_file_that_cannot_be_written_is_named(
    command: Command, furnished: Path, tmp_path: Path
) -> None:
    said = command("regions", "export", str(tmp_path / "no" / "such" / "folder.csv"))

    assert said.code == 1
    assert "文件读写不了" in said.err

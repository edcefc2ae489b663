"""What was appended is on disk, comes back in order, and survives what disks and power do."""

import errno
import os
import stat
from pathlib import Path

import pytest

from warnsvc import spool as spools
from warnsvc.spool import Spool, SpoolFull
from warnsvc.spool_file import Disk, SpoolFault


class BadDisk(Disk):
    """Fails when it is told to."""

    def __init__(self) -> None:
        self.full = self.syncs_fail = False
        self.torn_at: int | None = None
        self.syncs = self.folder_syncs = 0

    def write(self, file: int, data: bytes, at: int) -> None:
        if self.full:
            half = len(data) // 2
            super().write(file, data[:half], at)
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(file, data, at)

    def sync(self, file: int) -> None:
        self.syncs += 1
        if self.syncs_fail:
            raise OSError(errno.EIO, "Input/output error")
        super().sync(file)

    def sync_folder(self, folder: Path) -> None:
        self.folder_syncs += 1
        super().sync_folder(folder)

    def allocate(self, file: int, length: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().allocate(file, length)


def records(*names: int | str) -> list[bytes]:
    return [f'{{"n":"{name}"}}'.encode() for name in names]


def drain(spool: Spool, limit: int = 1_000) -> list[bytes]:
    """Read and drop everything."""
    found: list[bytes] = []
    while (portion := spool.read(limit)).records:
        found += portion.records
        spool.drop(portion)
    return found


def files(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in (folder / "0").glob(pattern))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_what_was_appended_comes_back_in_order(folder: Path) -> None:
    spool = Spool(folder)

    spool.append(records(1, 2))
    spool.append(records(3))

    assert spool.waiting == 3
    assert drain(spool) == records(1, 2, 3)
    assert spool.waiting == 0
    assert files(folder) == ["lock", "reserve"]


def test_many_that_wait_together_cost_one_sync(folder: Path) -> None:
    disk = BadDisk()
    spool = Spool(folder, disk=disk)

    spool.append(records(*range(500)))

    assert disk.syncs == 1


def test_a_new_file_is_made_durable_together_with_its_name(folder: Path) -> None:
    disk = BadDisk()

    Spool(folder, disk=disk).append(records(1))

    assert disk.folder_syncs >= 1


def test_only_the_owner_may_read_whose_phones_these_are(folder: Path) -> None:
    Spool(folder).append(records(1))

    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_folder_that_was_open_to_others_is_closed(folder: Path) -> None:
    folder.mkdir(mode=0o755)

    Spool(folder).open()

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_new_process_goes_on_where_the_last_one_died(folder: Path) -> None:
    first = Spool(folder)
    first.append(records(1, 2, 3))
    first.drop(first.read(2))
    first.close()  # as the kernel does it for a process that was killed

    second = Spool(folder)

    # The two that were committed come again: whoever takes them knows their keys.
    assert second.open() == 3
    second.append(records(4))
    assert drain(second) == records(1, 2, 3, 4)


@pytest.mark.parametrize("cut", [1, 5, 9, 12, 20])
def test_a_file_that_breaks_off_is_read_as_far_as_it_is_whole(folder: Path, cut: int) -> None:
    first = Spool(folder)
    first.append(records(1, 2, 3))
    first.close()
    (path,) = (folder / "0").glob("*.records")
    whole = path.read_bytes().rstrip(b"\0")
    path.write_bytes(whole[: len(whole) - cut])

    second = Spool(folder)

    assert second.open() == 2
    assert drain(second) == records(1, 2)
    assert second.damaged == ["spool-00000001.damaged"]
    assert files(folder, "*.damaged") == ["spool-00000001.damaged"]


def test_the_room_behind_the_last_record_is_no_damage(folder: Path) -> None:
    first = Spool(folder)
    first.append(records(1))
    first.close()
    (path,) = (folder / "0").glob("*.records")
    with path.open("ab") as file:
        file.write(b"\0" * 3_000_000)

    second = Spool(folder)

    assert second.open() == 1
    assert drain(second) == records(1)
    assert second.damaged == []


def test_one_bad_sector_costs_only_its_own_record_and_the_file_is_kept(folder: Path) -> None:
    first = Spool(folder)
    first.append(records("one", "two", "three"))
    first.close()
    (path,) = (folder / "0").glob("*.records")
    path.write_bytes(path.read_bytes().replace(b"two", b"twq"))

    second = Spool(folder)

    assert second.open() == 2
    assert drain(second) == records("one", "three")
    assert second.waiting == 0
    assert files(folder, "*.damaged") == second.damaged != []


def test_a_record_that_is_missing_between_two_is_noticed(folder: Path) -> None:
    first = Spool(folder)
    first.append(records(1, 2, 3))
    first.close()
    (path,) = (folder / "0").glob("*.records")
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], *lines[2:]]))

    second = Spool(folder)

    assert drain(second) == records(1, 3)
    assert second.damaged == ["spool-00000001.damaged"]


def test_nothing_but_damage_is_set_aside_at_once(folder: Path) -> None:
    first = Spool(folder)
    first.append(records(1))
    first.close()
    (path,) = (folder / "0").glob("*.records")
    path.write_bytes(b"\xff" * 2_000_000)

    second = Spool(folder)

    assert second.open() == 0
    assert second.damaged == ["spool-00000001.damaged"]
    second.append(records(2))
    assert drain(second) == records(2)


def test_damage_longer_than_what_is_read_at_once_hides_nothing_behind_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "READ_BYTES", 64)
    first = Spool(folder)
    first.append(records(1, 2, 3))
    first.close()
    (path,) = (folder / "0").glob("*.records")
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"#" * 300, *lines[1:]]))

    second = Spool(folder)

    assert second.open() == 3
    assert drain(second) == records(1, 2, 3)
    assert second.waiting == 0
    assert second.damaged == ["spool-00000001.damaged"]


def test_a_full_disk_takes_nothing_and_spoils_nothing(folder: Path) -> None:
    disk = BadDisk()
    spool = Spool(folder, disk=disk)
    spool.append(records(1))
    disk.full = True

    with pytest.raises(SpoolFault, match="No space left"):
        spool.append(records(2))
    with pytest.raises(SpoolFault, match="No space left"):
        spool.append(records(3))

    disk.full = False
    spool.append(records(4))
    assert spool.waiting == 2
    spool.close()
    again = Spool(folder)
    assert drain(again) == records(1, 4)
    assert again.damaged == []


def test_the_room_held_in_reserve_is_taken_when_the_disk_is_full(folder: Path) -> None:
    spool = Spool(folder)
    spool.open()
    reserve = folder / "0" / "reserve"
    before = reserve.stat()
    assert before.st_blocks * 512 >= spools.SEGMENT_BYTES

    spool.append(records(1))

    (path,) = (folder / "0").glob("*.records")
    assert path.stat().st_ino == before.st_ino


def test_after_a_failed_sync_the_file_is_not_trusted_again(folder: Path) -> None:
    disk = BadDisk()
    spool = Spool(folder, disk=disk)
    spool.append(records(1))
    disk.syncs_fail = True

    with pytest.raises(SpoolFault, match="Input/output error"):
        spool.append(records(2))

    disk.syncs_fail = False
    spool.append(records(3))
    assert len(files(folder, "*.records")) == 2
    assert drain(spool) == records(1, 3)


def test_one_failed_sync_costs_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class OnceBad(Disk):
        failed = False

        def sync(self, file: int) -> None:
            if not self.failed:
                self.failed = True
                raise OSError(errno.EIO, "Input/output error")
            super().sync(file)

    spool = Spool(folder, disk=OnceBad())

    spool.append(records(1))

    assert drain(spool) == records(1)


def test_it_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "BYTES_MAX", 200)
    spool = Spool(folder)
    spool.append(records(1, 2))

    with pytest.raises(SpoolFull):
        spool.append(records(*range(20)))

    assert drain(spool) == records(1, 2)
    spool.append(records(3))


def test_a_long_backlog_lies_in_many_files_and_keeps_its_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 4_096)
    spool = Spool(folder)
    for start in range(0, 1_000, 10):
        spool.append(records(*range(start, start + 10)))

    assert len(files(folder, "*.records")) > 5
    found = drain(spool, limit=7)
    assert found == records(*range(1_000))
    assert files(folder, "*.records") == []


def test_what_comes_while_it_is_read_comes_after(folder: Path) -> None:
    spool = Spool(folder)
    spool.append(records(1, 2))
    portion = spool.read(10)

    spool.append(records(3))
    spool.drop(portion)

    assert drain(spool) == records(3)


def test_two_processes_on_one_disk_keep_apart(folder: Path) -> None:
    one, other = Spool(folder), Spool(folder)
    one.append(records(1))
    other.append(records(2))

    assert (one.slot, other.slot) == (0, 1)
    assert drain(one) == records(1)
    assert drain(other) == records(2)


def test_what_a_neighbour_left_who_never_came_back_is_taken_over(folder: Path) -> None:
    one, other = Spool(folder), Spool(folder)
    one.append(records(1))
    other.append(records(2))
    one.close()
    other.close()

    heir = Spool(folder)

    assert heir.open() == 2
    assert sorted(drain(heir)) == records(1, 2)
    assert list((folder / "1").glob("*.records")) == []


def test_a_neighbour_who_lives_is_left_alone(folder: Path) -> None:
    first, neighbour = Spool(folder), Spool(folder)
    first.open()
    neighbour.append(records(2))
    first.close()

    assert Spool(folder).open() == 0
    assert drain(neighbour) == records(2)


def test_a_folder_that_cannot_be_made_is_a_fault_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file is in the way")
    spool = Spool(tmp_path / "spool")

    with pytest.raises(SpoolFault, match="spool"):
        spool.append(records(1))

    os.unlink(tmp_path / "spool")
    spool.append(records(1))
    assert drain(spool) == records(1)


def test_what_is_refused_is_kept_for_a_human(folder: Path) -> None:
    spool = Spool(folder)
    spool.append(records(1, 2))
    portion = spool.read(10)

    spool.refuse(portion.records[:1])
    spool.drop(portion)

    assert b'{"n":"1"}' in (folder / "0" / "refused.records").read_bytes()
    assert spool.damaged == ["refused.records"]
    assert spool.open() == 0

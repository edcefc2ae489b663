"""The spool: verified facts in a synced local file, for when the database cannot take them.

    data_dir/spool/0/lock                    held by the one process that uses this folder
                     spool-00000007.records  records in order, one a line: checksum, index, payload
                     reserve                 room that is already ours when the disk is full
                     spool-00000003.damaged  was not whole when it was read: kept for a human
                     refused.records         what the database will never take: kept for a human

`append` returns when its records are on disk; many that wait together cost one sync. They are read
back in the order of appending, and a file goes only after all of it was committed elsewhere. So a
crash means at worst that records are read twice, and whoever takes them must not mind: facts have a
key by which a repeat changes nothing. A file that breaks off, as after a power cut, is read as far
as it is whole; nothing is ever deleted that was not read to its end.

The records name people and their phones: files are 0600 and folders 0700. It blocks, so it runs in
a thread of its own, one call at a time; it knows nothing of facts, databases or event loops.
"""

import os
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from warnsvc.spool_file import (
    LINE_BYTES,
    Disk,
    SpoolFault,
    line_of,
    lines_in,
    make_folder,
    named,
    number_of,
    read_at,
    try_lock,
)

SEGMENT_BYTES = 8 * 1024 * 1024
"""One file, and the room held in reserve: about 25,000 answers that fit on a disk that is full."""
BYTES_MAX = 256 * 1024 * 1024
"""All files together, about 800,000 facts: a day without a database in the worst week of a year."""
READ_BYTES = 1024 * 1024
"""Read at once; more than the longest record."""
SLOTS_MAX = 64
"""Web processes that share one data folder."""

SUFFIX, DAMAGED = ".records", ".damaged"
REFUSED = "refused.records"


class SpoolFull(SpoolFault):
    """There are BYTES_MAX in the spool."""


@dataclass(slots=True)
class _Segment:
    """One file of records. `end`: up to where it is known to be on disk."""

    number: int
    path: Path
    end: int = 0
    records: int = 0
    read: int = 0
    """Bytes that were committed elsewhere."""
    left: int = 0
    """Records that were not committed elsewhere."""
    next: int = 0
    """The index that the next record to be read must have."""
    damaged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """Records to be committed elsewhere, oldest first. Given back with `Spool.drop`."""

    records: Sequence[bytes]
    number: int = 0
    end: int = 0
    next: int = 0


class Spool:
    """A folder of records. Used by one thread at a time."""

    def __init__(self, folder: Path, *, disk: Disk | None = None) -> None:
        self._root = folder
        self._disk = disk or Disk()
        self._folder = folder
        self._lock: int | None = None
        self._segments: deque[_Segment] = deque()
        self._file: int | None = None
        """The last segment, while it is written."""
        self._last = 0
        self.slot = 0
        self.waiting = 0
        """Records that are on disk here and were not committed elsewhere."""
        self.damaged: list[str] = []
        """Files that were set aside and that nobody has been told of."""

    # Opening ---------------------------------------------------------------------------------

    def open(self) -> int:
        """Take a folder, find what an earlier process left; returns how many records wait."""
        if self._lock is not None:
            return self.waiting
        try:
            with named(self._root):
                make_folder(self._root)
                self.slot, self._lock = self._take_slot()
                self._folder = self._root / str(self.slot)
                self._adopt()
                for path in sorted(self._folder.glob(f"spool-*{SUFFIX}")):
                    self._find(path)
        except SpoolFault:
            self.close()
            raise
        self._hold_reserve()
        return self.waiting

    def close(self) -> None:
        """Let go of the folder. What waits stays for the next process."""
        self._let_go_of_file()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._segments.clear()
        self.waiting = 0

    def _take_slot(self) -> tuple[int, int]:
        for slot in range(SLOTS_MAX):
            folder = self._root / str(slot)
            make_folder(folder)
            if (lock := try_lock(folder)) is not None:
                return slot, lock
        raise SpoolFault(f"{self._root}: {SLOTS_MAX} processes hold all of it")

    def _adopt(self) -> None:
        """Take over what a process left that shared our disk and has not come back."""
        self._last = max([0, *map(number_of, self._folder.glob("spool-*"))])
        for folder in sorted(self._root.glob("[0-9]*")):
            if folder == self._folder or (lock := try_lock(folder)) is None:
                continue
            try:
                for path in sorted(folder.glob(f"spool-*{SUFFIX}")):
                    self._last += 1
                    path.rename(self._path(self._last))
                self._disk.sync_folder(self._folder)
            finally:
                os.close(lock)

    def _find(self, path: Path) -> None:
        """Count what is whole in a file of an earlier process."""
        segment = _Segment(number=number_of(path), path=path)
        for found in lines_in(path.read_bytes()):
            if found.payload is None:
                segment.damaged = True
            else:
                segment.records += 1
                segment.end = found.end
        segment.left = segment.records
        if segment.records:
            self._segments.append(segment)
            self.waiting += segment.records
        else:
            self._remove(segment)

    # Appending -------------------------------------------------------------------------------

    def append(self, payloads: Sequence[bytes]) -> None:
        """Return when these records are on disk. Raises SpoolFault: none of them counts."""
        self.open()
        room = sum(len(payload) + LINE_BYTES for payload in payloads)
        if sum(s.end - s.read for s in self._segments) + room > BYTES_MAX:
            raise SpoolFull(f"{self._folder}: {BYTES_MAX} bytes wait already")
        try:
            self._append(payloads, room)
        except SpoolFault:
            # In another file, which may lie in the room that was held in reserve.
            self._append(payloads, room)

    def _append(self, payloads: Sequence[bytes], room: int) -> None:
        segment, file = self._writable(room)
        data = b"".join(
            line_of(payload, segment.records + at) for at, payload in enumerate(payloads)
        )
        try:
            with named(segment.path):
                self._disk.write(file, data, segment.end)
                self._disk.sync(file)
        except SpoolFault:
            # After a failed sync nobody knows what is on disk: the file is not written again.
            self._seal(segment)
            raise
        segment.end += len(data)
        segment.records += len(payloads)
        segment.left += len(payloads)
        self.waiting += len(payloads)

    def _writable(self, room: int) -> tuple[_Segment, int]:
        if self._file is not None and self._segments[-1].end + room <= SEGMENT_BYTES:
            return self._segments[-1], self._file
        self._let_go_of_file()
        number = self._last + 1
        path = self._path(number)
        with named(path):
            with suppress(FileNotFoundError):
                (self._folder / "reserve").rename(path)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._disk.sync_folder(self._folder)
            except OSError:
                os.close(file)
                raise
        self._last, self._file = number, file
        self._segments.append(_Segment(number=number, path=path))
        self._hold_reserve()
        return self._segments[-1], file

    def _seal(self, segment: _Segment) -> None:
        """Write no more into this file; what was synced before stays good."""
        with suppress(OSError):
            # So that a record that was refused is not taken for damage, or for a fact.
            os.truncate(segment.path, segment.end)
        self._let_go_of_file()
        if not segment.end:
            self._segments.remove(segment)
            with suppress(OSError):
                segment.path.unlink()

    def _let_go_of_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _hold_reserve(self) -> None:
        """Keep room for one file. Without it appending still works while there is room."""
        path = self._folder / "reserve"
        if path.exists():
            return
        with suppress(OSError):
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._disk.allocate(file, SEGMENT_BYTES)
            except OSError:
                path.unlink()
                raise
            finally:
                os.close(file)

    def _path(self, number: int) -> Path:
        return self._folder / f"spool-{number:08d}{SUFFIX}"

    # Reading ---------------------------------------------------------------------------------

    def read(self, limit: int) -> Portion:
        """Return the oldest records, at most `limit` and out of one file; none: it is empty."""
        self.open()
        self._remove_read()
        while self._segments:
            segment = self._segments[0]
            portion = self._portion(segment, limit)
            if portion.records:
                return portion
            segment.damaged = True
            segment.read, segment.next = portion.end, portion.next
            self._remove_read()
        return Portion(records=())

    def _portion(self, segment: _Segment, limit: int) -> Portion:
        with named(segment.path):
            data = read_at(segment.path, segment.read, min(READ_BYTES, segment.end - segment.read))
        kept: list[bytes] = []
        end, index = 0, segment.next
        for found in lines_in(data):
            if len(kept) == limit or (found.payload is None and found.end == len(data)):
                break
            if found.index != index:  # not whole, or one before it is missing
                segment.damaged = True
            if found.payload is not None:
                kept.append(found.payload)
                index = found.index + 1
            end = found.end
        # When there is no line in so much, it is no line of ours.
        end = end or len(data) or segment.end - segment.read
        return Portion(records=kept, number=segment.number, end=segment.read + end, next=index)

    def drop(self, portion: Portion) -> None:
        """These records are committed elsewhere. A file that is done with is removed."""
        segment = self._segments[0]
        assert segment.number == portion.number, "portions are dropped in order"
        segment.read, segment.next = portion.end, portion.next
        segment.left -= len(portion.records)
        self.waiting -= len(portion.records)
        self._remove_read()

    def refuse(self, records: Sequence[bytes]) -> None:
        """Keep records that the database will never take, beside the spool, for a human."""
        path = self._folder / REFUSED
        with named(path):
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, b"".join(line_of(record, at) for at, record in enumerate(records)))
                self._disk.sync(file)
            finally:
                os.close(file)
            self._disk.sync_folder(self._folder)
        self.damaged.append(REFUSED)

    def _remove_read(self) -> None:
        while self._segments and self._segments[0].read >= self._segments[0].end:
            segment = self._segments[0]
            if segment is self._segments[-1]:
                self._let_go_of_file()
            self._remove(segment)
            self._segments.popleft()
            self.waiting -= segment.left  # what was there at first and can no longer be read
            self._hold_reserve()

    def _remove(self, segment: _Segment) -> None:
        """Remove a file that was read to its end; set it aside when it was not whole."""
        with named(segment.path):
            if not segment.damaged:
                segment.path.unlink()
                return
            aside = segment.path.with_suffix(DAMAGED)
            segment.path.rename(aside)
            self.damaged.append(aside.name)

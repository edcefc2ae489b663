"""What the spool asks of the operating system, and how its records are written down.

    9d1c3f02 17 {"kind":"answer", ...}     checksum of what follows, index in the file, record

It knows nothing of which file comes when; `warnsvc.spool` does. It never deletes anything.
"""

import errno
import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RECORD_BYTES_MAX = 64 * 1024
"""A fact with the longest text that is kept, every character of it escaped, fits."""
LINE_BYTES = 32
"""What a line has beside its record, at most: checksum, index, two spaces, the line's end."""


class SpoolFault(Exception):
    """The spool could not keep or read it; the message names the file and the reason."""


class Disk:
    """What is asked of the operating system; a test puts one in its place that fails."""

    def write(self, file: int, data: bytes, at: int) -> None:
        """Write all of it."""
        rest = memoryview(data)
        while rest:
            wrote = os.pwrite(file, rest, at)
            rest, at = rest[wrote:], at + wrote

    def sync(self, file: int) -> None:
        """Return when what was written is on disk, and so is the way to find it."""
        os.fdatasync(file)

    def sync_folder(self, folder: Path) -> None:
        """Return when names that were made or changed are on disk."""
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)

    def allocate(self, file: int, length: int) -> None:
        """Take room for a file before it is needed."""
        os.posix_fallocate(file, 0, length)


@dataclass(frozen=True, slots=True)
class Found:
    """A line. `payload`: None when it is not whole."""

    index: int
    payload: bytes | None
    end: int


def line_of(payload: bytes, index: int) -> bytes:
    """Return a record as it is written. Raises SpoolFault for what could not be read back."""
    if len(payload) > RECORD_BYTES_MAX or b"\n" in payload or b"\0" in payload:
        raise SpoolFault("a record is one line of text, and a fact fits into it")
    body = b"%d %s" % (index, payload)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def lines_in(data: bytes) -> Iterator[Found]:
    """Yield the lines, and what is left when it is more than empty room."""
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        yield _parsed(data[at:end], end + 1)
        at = end + 1
    if data[at:].strip(b"\0"):
        yield Found(-1, None, len(data))


def _parsed(line: bytes, end: int) -> Found:
    body = line[9:]
    index, _, payload = body.partition(b" ")
    if line[:9] != b"%08x " % zlib.crc32(body) or not index.isdigit():
        return Found(-1, None, end)
    return Found(int(index), payload, end)


def read_at(path: Path, at: int, length: int) -> bytes:
    """Return so many bytes of a file."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(file, length, at)
    finally:
        os.close(file)


def number_of(path: Path) -> int:
    """Return the 7 of `spool-00000007.records`; 0 for a name that is none of ours."""
    digits = path.name.partition("-")[2].partition(".")[0]
    return int(digits) if digits.isdigit() else 0


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may look into, or make it so."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def try_lock(folder: Path) -> int | None:
    """Return the lock of a folder, or None when another process holds it."""
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return None
        raise
    return file


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Turn an operating system's error into a SpoolFault that names the file."""
    try:
        yield
    except OSError as error:
        raise SpoolFault(f"{path}: {error.strerror or error}") from error

"""A lock file beside an SQLite database: one process at a time, said clearly.

SQLite 3.7.0–3.51.2 can corrupt a WAL database that two connections write or checkpoint at once
(reference/stack.md §2.5), and the one-writer design assumes that nobody else writes. So a second
process is refused. The lock is `flock`: it goes with the process, however that ends.
"""

import fcntl
import os
from pathlib import Path

from warnsvc.store.port import StoreBusy, StoreFault

_PID_LENGTH_MAX = 20
"""Bytes read back for the message; a process id has at most ten digits."""


class FileLock:
    """Holds `<path>.lock` from `take` until `release`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> None:
        """Take the lock at once. Raises StoreBusy, or StoreFault when the folder is not usable."""
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(file, _PID_LENGTH_MAX).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise StoreBusy(
                f"The database {self._path} is open in another process (pid {owner}). "
                "An SQLite file belongs to one process; run several processes on PostgreSQL."
            ) from error
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        self._file = file

    def _open(self) -> int:
        path = self._path.with_name(self._path.name + ".lock")
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreFault(f"cannot open {path}: {error.strerror}") from error

    def release(self) -> None:
        """Let go. The file stays: removing it would open a race between two newcomers."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

"""How SQLite connections are set up: the writer, the readers, and the engine of `read()`.

Reliability comes from the pragmas here (reference/reliability.md, end of §6): WAL, FULL, one
writer. Readers cannot write and never checkpoint, because two connections that checkpoint at once
are what the WAL-reset fault of SQLite before 3.51.3 needs.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from warnsvc.store.port import StoreFault

BUSY_SECONDS = 5.0
"""How long to wait for a lock that something outside holds, such as a backup tool."""

STATEMENTS_CACHED = 512
"""Compiled statements kept per connection; more than the statement modules hold."""

_COMMON = ("foreign_keys=ON", "case_sensitive_like=ON", "temp_store=MEMORY", "mmap_size=0")
"""LIKE compares as PostgreSQL's does; no memory map, so that an I/O error is an error."""

_WRITER = ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", *_COMMON)
_DURABLE: dict[str, str | int] = {"journal_mode": "wal", "synchronous": 2}
"""What SQLite must say of the writer; 2 is FULL."""
_READER = ("query_only=ON", "wal_autocheckpoint=0", *_COMMON)


def connect_writer(path: Path) -> sqlite3.Connection:
    """Return the one connection that writes. Creates the file, readable by its owner only."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = _connect(path, _WRITER)
    kept = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in _DURABLE]
    if kept != list(_DURABLE.values()):
        connection.close()
        # WAL needs shared memory: SQLite stays with another journal on a network's file system.
        raise StoreFault(f"SQLite refuses WAL or synchronous=FULL on {path}: use a local disk")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that sees what is committed and cannot write."""
    return _connect(path, _READER)


def connect_watcher(path: Path) -> sqlite3.Connection:
    """Return a connection for another process than the owner's. The file must be there.

    Opened read-only, SQLite cannot take the lock that a checkpoint at closing needs.
    """
    return _connect(path.absolute().as_uri() + "?mode=ro", _READER)


def reader_engine(path: Path) -> AsyncEngine:
    """Return the SQLAlchemy engine behind `read()`."""
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", connect_args={"timeout": BUSY_SECONDS}
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in _READER:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _connect(place: Path | str, pragmas: tuple[str, ...]) -> sqlite3.Connection:
    connection = sqlite3.connect(
        place,
        uri=isinstance(place, str),
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_CACHED,
    )
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")
    return connection

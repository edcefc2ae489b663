"""What SQLite's errors mean to us."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from warnsvc.store.constraint import sqlite_constraint
from warnsvc.store.port import IntegrityFault, StoreBusy, StoreFault

_PRIMARY = 0xFF
"""The low byte of an extended result code is the primary one."""


@contextmanager
def faults() -> Iterator[None]:
    """Turn SQLite's errors into the store's. A wrong statement stays what it is: a mistake."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise IntegrityFault(str(error), sqlite_constraint(str(error))) from error
    except sqlite3.DatabaseError as error:
        match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY:
            case sqlite3.SQLITE_ERROR | sqlite3.SQLITE_RANGE | sqlite3.SQLITE_MISUSE:
                raise
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                raise StoreBusy(str(error)) from error
            case _:
                raise StoreFault(str(error)) from error

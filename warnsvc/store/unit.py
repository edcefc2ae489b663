"""What a unit of work is on either database: when it counts, and when it is over.

A unit that met a fault is spent. PostgreSQL refuses every further statement of a failed
transaction and quietly turns its COMMIT into a ROLLBACK; SQLite would carry on. So both behave the
same here: after a fault further calls are refused, and a block that ends as if nothing had happened
raises instead of losing its rows in silence.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from sqlmodel import SQLModel

from warnsvc.store.port import StoreFault


class UnitState:
    """Whether a unit is open, spent or over, and what follows its commit."""

    def __init__(self) -> None:
        self.spent = False
        self.over = False
        self.committed = False
        self._hooks: list[Callable[[], None]] = []

    def after_commit(self, call: Callable[[], None]) -> None:
        """Keep `call` for the moment when the unit is durable."""
        self._hooks.append(call)

    def run_hooks(self) -> None:
        """Run them all; the first error is raised when all had their turn."""
        errors: list[Exception] = []
        for call in self._hooks:
            try:
                call()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    @contextmanager
    def statement(self) -> Iterator[None]:
        """Refuse what comes too late; a fault in the block spends the unit."""
        if self.over:
            raise StoreFault("this unit of work is over")
        if self.spent:
            raise StoreFault("this unit of work has failed and can only be rolled back")
        try:
            yield
        except BaseException:
            self.spent = True
            raise


class OneUnitPerTask:
    """Refuses a unit inside a unit: on SQLite it would wait for itself for ever."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any] | None] = set()

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Hold this task's only place."""
        task = asyncio.current_task()
        if task in self._tasks:
            raise RuntimeError("a unit of work inside a unit of work")
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)


def insert_statement(table: str, columns: Sequence[str]) -> str:
    """Return the INSERT of one row, with `$n` for its values."""
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join(f"${at}" for at in range(1, len(columns) + 1))
    return f'INSERT INTO "{table}" ({names}) VALUES ({marks})'


def model_batches(
    models: Sequence[SQLModel],
) -> Iterator[tuple[str, list[str], list[tuple[Any, ...]]]]:
    """Yield table, columns and rows for each run of models of one kind, in the order given."""
    for kind, run in groupby(models, type):
        table = kind.__table__  # type: ignore[attr-defined]
        columns = [column.name for column in table.columns]
        keys = [column.name for column in table.primary_key]
        rows = []
        for model in run:
            if any(getattr(model, key) is None for key in keys):
                raise ValueError(f"a row of {table.name} without its key: take one from new_ids")
            rows.append(tuple(getattr(model, column) for column in columns))
        yield table.name, columns, rows

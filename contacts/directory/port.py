"""What the directory asks of a database: a part of the store's unit of work.

The directory must not know the shell, so it names here the few calls that it makes;
`warnsvc.store.port.Unit` has them all (structural typing, nothing is registered). Statements are
written in PostgreSQL's spelling; the store translates them. Whoever opens the unit ends it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Row(Protocol):
    """A fetched row: by name, by position, or unpacked."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def keys(self) -> Any: ...


class DirectoryUnit(Protocol):
    """One transaction, all or nothing."""

    async def fetch(self, sql: str, *params: Any) -> Sequence[Row]:
        """Return all rows. A list parameter stands for the array in `= ANY($n)`."""
        ...

    async def execute(self, sql: str, *params: Any) -> int:
        """Run one statement and return how many rows it touched."""
        ...

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement once per row, as one batch."""
        ...

    async def insert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert many rows the fastest way there is."""
        ...

    async def new_ids(self, table: str, count: int) -> Sequence[int]:
        """Return `count` ids of a table that nobody else will get, rising."""
        ...

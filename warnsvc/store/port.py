"""The store port: what the service asks of a database, the same on SQLite and PostgreSQL.

Two ways in. `Store.unit()` is a unit of work: one transaction, all or nothing, the only way to
write. `Store.read()` is an SQLModel session for lists and forms; it cannot write.

Inside a unit, statements are written once, in PostgreSQL's spelling (`$1`, `= ANY($1)`,
`FOR UPDATE SKIP LOCKED`, `ON CONFLICT`, `RETURNING`); the SQLite implementation translates them
(`warnsvc.store.sqlite.translate` lists what it knows). Python values in and out are the same on
both: aware UTC datetimes for every column that ends in `_at` or `_until`, `date` for columns that
end in `_from` or `_to` of the directory, bool for booleans, bytes for blobs, str for documents.

  SQLite       one writer thread owns one connection (WAL, synchronous=FULL, BEGIN IMMEDIATE);
               units queue for it; a file lock refuses a second process.
  PostgreSQL   asyncpg pool; read committed; `lock_bulletins` keeps two deciders of one bulletin
               apart; `LISTEN/NOTIFY` wakes other processes.

It never calls a carrier and never keeps a unit open while somebody else does (law 6).
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession


class Row(Protocol):
    """A fetched row: `row["name"]` and `row[0]` both work, as do unpacking and `len`."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def keys(self) -> Any: ...


class Unit(Protocol):
    """One transaction. Commits when its block ends, rolls back when the block raises."""

    dialect: str
    """`sqlite` or `postgresql`."""

    async def fetch(self, sql: str, *params: Any) -> list[Row]:
        """Return all rows. A list parameter stands for the array in `= ANY($n)`."""
        ...

    async def fetch_one(self, sql: str, *params: Any) -> Row | None:
        """Return the first row, or None."""
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
        """Insert many rows the fastest way there is (executemany, COPY). Raises IntegrityFault."""
        ...

    async def add(self, *rows: SQLModel) -> None:
        """Insert table models, one kind or several, in the order given."""
        ...

    async def new_ids(self, table: str, count: int) -> Sequence[int]:
        """Return `count` ids of a table that nobody else will get, rising."""
        ...

    async def lock_bulletins(self, ids: Iterable[int], *, patient: bool = False) -> None:
        """Hold these bulletins until the unit ends: whoever decides about one holds it.

        Raises RowBusy when somebody else holds one for long. `patient`: a person waits for the act
        and must not be told to try again because a release of thousands is being written.
        """
        ...

    def after_commit(self, call: Callable[[], None]) -> None:
        """Run `call` once the unit is durable; never if it is rolled back."""
        ...


class Store(Protocol):
    """A database that is open."""

    dialect: str

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """Begin a unit of work. SQLite: waits for the writer. Never call a carrier inside."""
        ...

    def read(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Return a read-only SQLModel session over what is committed."""
        ...

    def view(self) -> AbstractAsyncContextManager[Unit]:
        """Return a read-only unit over what is committed, for hand-written queries."""
        ...

    async def wake(self, *topics: str) -> None:
        """Tell every listener, in this process and the others, that there is work."""
        ...

    def listen(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Yield topics as they are woken. May repeat or join them; never the only clock."""
        ...

    async def close(self) -> None:
        """Finish open units and let go of the database."""
        ...


class StoreFault(Exception):
    """Something is wrong with the database itself; the caller may try again later."""


class IntegrityFault(StoreFault):
    """A unique key, foreign key or CHECK constraint refused the rows. `constraint` names it."""

    def __init__(self, message: str, constraint: str = "") -> None:
        super().__init__(message)
        self.constraint = constraint


class StoreBusy(StoreFault):
    """Another process owns the SQLite file, or the database did not answer in time."""


class RowBusy(StoreBusy):
    """Somebody else decides about these rows and did not finish in time; nothing else is wrong.

    Only on PostgreSQL. Whoever does many things goes on with the next and comes back to this one.
    """

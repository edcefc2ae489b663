"""Open the store that a database address names."""

from pathlib import Path

from sqlalchemy import URL, make_url

from warnsvc.store.port import Store
from warnsvc.store.postgresql import PostgresqlStore
from warnsvc.store.sqlite import SqliteStore


class UnknownDatabase(ValueError):
    """The address names neither an SQLite file nor a PostgreSQL database."""


async def open_store(url: str) -> Store:
    """Open `sqlite:///path` or `postgresql://…`. Raises UnknownDatabase, StoreBusy, StoreFault."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return await SqliteStore.open(sqlite_path(parsed))
    return await PostgresqlStore.open(postgresql_dsn(parsed))


def parse_url(url: str) -> URL:
    """Return the parsed address of a database that we know."""
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise UnknownDatabase(f"{parsed.get_backend_name()}: use sqlite:/// or postgresql://")
    return parsed


def sqlite_path(url: URL) -> Path:
    """Return the file. A database in memory is refused: readers could not see it."""
    if not url.database or url.database == ":memory:":
        raise UnknownDatabase(
            "sqlite: name a file, as in sqlite:////var/lib/warnsvc/warnsvc.sqlite3"
        )
    return Path(url.database)


def postgresql_dsn(url: URL) -> str:
    """Return the address as asyncpg reads it, password included: do not log it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)

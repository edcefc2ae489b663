"""Open the store that a database address names."""

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from sqlalchemy import URL, make_url

from warnsvc.store.port import Store, StoreBusy
from warnsvc.store.postgresql import PostgresqlStore
from warnsvc.store.sqlite import SqliteStore
from warnsvc.store.sqlite_watch import SqliteWatch


class UnknownDatabase(ValueError):
    """The address names neither an SQLite file nor a PostgreSQL database."""


async def open_store(url: str) -> Store:
    """Open `sqlite:///path` or `postgresql://…`. Raises UnknownDatabase, StoreBusy, StoreFault."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return await SqliteStore.open(sqlite_path(parsed))
    return await PostgresqlStore.open(postgresql_dsn(parsed))


async def open_reading(url: str) -> Store:
    """Open a database to read, also beside the service that owns an SQLite file.

    Where nobody else has it, it is opened as ever; units are refused only beside a service.
    """
    try:
        return await open_store(url)
    except StoreBusy as busy:
        parsed = parse_url(url)
        if parsed.get_backend_name() != "sqlite":
            raise
        return await SqliteWatch.open(sqlite_path(parsed), busy)


def parse_url(url: str) -> URL:
    """Return the parsed address of a database that we know."""
    parsed = make_url(_hosts_aside(url))
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise UnknownDatabase(f"{parsed.get_backend_name()}: use sqlite:/// or postgresql://")
    return parsed


def _hosts_aside(url: str) -> str:
    """Move several hosts into the query, where SQLAlchemy does not look for one port."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return url
    query = "&".join(part for part in (f"host={quote(hosts, safe='')}", parts.query) if part)
    return urlunsplit(parts._replace(netloc=f"{user}{at}", query=query))


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

"""The servers that one address names, and which of them answered last.

`postgresql://user@a:5432,b:5432/db` names a primary and its standby. asyncpg tries the hosts one
after the other inside one time limit, so that a dead machine that says nothing uses it up and the
standby that was promoted is never asked; here each has a time limit of its own, and one that failed
goes to the end of the line. Unless the address says otherwise (`target_session_attrs`), only a
server that takes writes will do. It never promotes a server and never decides which one is right.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from warnsvc.store.postgresql_connection import CONNECT_SECONDS, notice_partitions, server_settings

PORT = 5432
READ_WRITE = "read-write"

Connect = Callable[..., Awaitable[Any]]


class Place(NamedTuple):
    """Where one server listens: a host or the folder of a socket, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Cluster:
    """One address; connects to whichever of its servers takes writes."""

    def __init__(self, dsn: str, *, connect: Connect = asyncpg.connect) -> None:
        self._dsn = dsn
        self._connect = connect
        self._places = places_of(dsn)
        self._wanted = {} if _wants(dsn) else {"target_session_attrs": READ_WRITE}

    @property
    def places(self) -> tuple[Place, ...]:
        """The servers, the one that is asked first in front; empty: asyncpg's own default."""
        return tuple(self._places)

    async def connect(self, role: str, *, command_timeout: float | None, **more: str) -> Any:
        """Open one connection, set up for what `role` does. Raises what asyncpg raises."""
        connection = await self.reach(
            command_timeout=command_timeout, server_settings=server_settings(role, **more)
        )
        await notice_partitions(connection)
        return connection

    async def for_pool(self, _dsn: str, **options: Any) -> Any:
        """Open one connection with the options of a pool, which asks for it by itself."""
        return await self.reach(**options)

    async def reach(self, **options: Any) -> Any:
        """Return a connection to the first server that will do. Raises OSError when none will."""
        options = {"timeout": CONNECT_SECONDS, **options, **self._wanted}
        if len(self._places) < 2:
            return await self._connect(self._dsn, **options)
        refusals = []
        for place in tuple(self._places):
            try:
                return await self._ask(place, options)
            except _NEXT as error:
                refusals.append(f"{place}: {str(error) or type(error).__name__}")
        raise ConnectionError("; ".join(refusals))

    async def _ask(self, place: Place, options: dict[str, Any]) -> Any:
        try:
            return await self._connect(self._dsn, host=place.host, port=place.port, **options)
        except BaseException:
            # Also when whoever waits has lost patience: the next one begins with another server.
            if self._places[0] == place:
                self._places.append(self._places.pop(0))
            raise


def places_of(dsn: str) -> list[Place]:
    """Return the servers of an address, in its order; none when it leaves them to the system."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    hosts = parts.netloc.rpartition("@")[2] or query.get("host", [""])[-1]
    ports = query.get("port", [""])[-1].split(",")
    return list(_places(hosts.split(","), ports)) if hosts else []


def _places(hosts: list[str], ports: list[str]) -> Iterator[Place]:
    for at, host in enumerate(hosts):
        shared = ports[at if len(ports) > 1 and at < len(ports) else 0]
        name, port = _split(unquote(host))
        yield Place(name, int(port or shared or PORT))


def _split(host: str) -> tuple[str, str]:
    """Split `host:port`, `[::1]:port` or `/folder`."""
    if host.startswith("/"):
        return host, ""
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = host.partition(":")
    return name, port


def _wants(dsn: str) -> bool:
    return "target_session_attrs" in parse_qs(urlsplit(dsn).query)


_NEXT = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What says nothing about the other servers. TimeoutError is an OSError."""

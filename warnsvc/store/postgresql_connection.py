"""How PostgreSQL connections are set up, and what their errors mean to us.

The settings are those of reference/reliability.md, end of §6, with a statement time that leaves
room for a release to a hundred thousand people. A wrong statement or value stays what it is, a
programmer's mistake; everything that may pass becomes a StoreFault.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from warnsvc.store.constraint import FOREIGN_KEY, NOT_NULL
from warnsvc.store.port import IntegrityFault, RowBusy, StoreBusy, StoreFault

STATEMENT_SECONDS = 60
"""The longest statement: the fan-out of a nation-wide release took 20 times a province's 0.5 s."""

COMMAND_SECONDS = STATEMENT_SECONDS + 5
"""The client gives up after the server, so that the server's word is the one that is heard."""

LOCK_SECONDS = 2
"""How long a statement waits for rows that somebody else holds; the engine comes back to them, and
until then it does what can be done. A worker cut off from us may hold them for 9 s."""

PATIENT_LOCK_SECONDS = 10
"""The same for an officer's act: a person who presses a button waits behind a release of thousands,
or until the server has given up a worker that is gone, and is not told to press it again."""

IDLE_SECONDS = 10
"""How long a unit may do nothing; nobody thinks or calls a carrier inside one."""

ACQUIRE_SECONDS = 10.0
"""How long a unit waits for a connection before it is told that the database is busy."""

SILENCE_SECONDS = 8
"""How long either side may leave what the other sent unacknowledged (TCP_USER_TIMEOUT)."""

KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_COUNT = 5, 1, 3
"""When nothing is under way: probes after 5, 6 and 7 s, and 8 s are the silence above. With two
seconds between them a worker that was cut off held its locks for 9.1 s of the 10 s R8 allows."""

CONNECT_SECONDS = 3.0
"""How long to try to reach one server; two fit into the wait for a connection of the pool."""

CLOSE_SECONDS = 10.0
"""How long open units are waited for at the end."""


def server_settings(role: str, **more: str) -> dict[str, str]:
    """Return the session settings; `role` is what a database administrator sees us as."""
    return {
        "application_name": f"warnsvc {role}",
        "timezone": "UTC",
        "synchronous_commit": "on",
        "statement_timeout": f"{STATEMENT_SECONDS}s",
        "lock_timeout": f"{LOCK_SECONDS}s",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
        "tcp_keepalives_idle": str(KEEPALIVE_IDLE_SECONDS),
        "tcp_keepalives_interval": str(KEEPALIVE_INTERVAL_SECONDS),
        "tcp_keepalives_count": str(KEEPALIVE_COUNT),
        "tcp_user_timeout": f"{SILENCE_SECONDS}s",
        # Compiling a plan costs more than our short statements take.
        "jit": "off",
        **more,
    }


async def notice_partitions(connection: Any) -> None:
    """Let the kernel give a connection up that a partition has cut, long before a command does.

    asyncpg has no setting for it; where its transport is not to be had, or the system has no such
    option, the command's own time limit remains.
    """
    transport = getattr(connection, "_transport", None)
    found = transport.get_extra_info("socket") if transport is not None else None
    if found is None or found.family == socket.AF_UNIX or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_SECONDS * 1000)


class StandbyFault(StoreFault):
    """The server that we speak to takes no writes: it is, or has become, a standby."""


@contextmanager
def faults() -> Iterator[None]:
    """Turn what asyncpg raises into the store's faults."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        raise IntegrityFault(str(error), _constraint(error)) from error
    except asyncpg.ReadOnlySQLTransactionError as error:
        raise StandbyFault(str(error)) from error
    except _HELD as error:
        raise RowBusy(str(error)) from error
    except _BUSY as error:
        raise StoreBusy(str(error) or "the database did not answer in time") from error
    except _PASSING as error:
        raise StoreFault(str(error)) from error
    except asyncpg.InterfaceError as error:
        if not _GONE.search(str(error)):
            raise
        raise StoreFault(str(error)) from error


def _constraint(error: Any) -> str:
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return FOREIGN_KEY
    if isinstance(error, asyncpg.NotNullViolationError):
        return NOT_NULL
    return error.constraint_name or ""


_GONE = re.compile(r"is closed|been released back to the pool|pool is clos")
"""asyncpg has one class for its user's mistakes and for a connection that is gone."""

_HELD = (
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,  # serialization failure, deadlock
)

_BUSY = (
    TimeoutError,
    asyncpg.QueryCanceledError,
    asyncpg.TooManyConnectionsError,
)

_PASSING = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.InternalServerError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    # What asyncpg says between the server's word that it goes and the connection's end.
    asyncpg.InternalClientError,
)

"""One HTTP client for all adapters: its limits, and what its faults mean.

The one question after a fault is whether the request can have arrived. A connection that was
never made sent nothing; anything later is unknown. To keep these two apart, a `Gate` waits for a
free connection *before* the clock of a request starts, so that a limit that runs out while
connecting is never confused with one that runs out while waiting for the answer.

It never retries, never follows a redirect, never keeps cookies and never reads proxy settings from
the environment. Source: carriers.md §5.9, stack.md §2.6.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import isnan
from socket import socket
from typing import Any

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    InvalidURL,
    ServerDisconnectedError,
    TCPConnector,
)

from channels.base import OutcomeKind, SendOutcome
from channels.errors import (
    ChannelError,
    ErrorClass,
    Misconfigured,
    OutcomeUnknown,
    PermanentFailure,
    TemporaryFailure,
    Throttled,
)

CONNECT_SECONDS = 5.0
"""A carrier that cannot be reached in this time is down; the next one can still be tried."""

TOTAL_SECONDS = 15.0
"""Carriers answer well within this; later than that the outcome is unknown."""

CONNECTIONS_MAX = 100
"""More connections are slower on two cores (stack.md §2.6)."""

KEEP_ALIVE_SECONDS = 10.0
"""Shorter than any carrier's: a reused connection that the carrier has just closed would cost an
unknown outcome."""

REPLY_BYTES_MAX = 64 * 1024
"""No answer to a send is longer; a longer one is not read."""

DOWN_RETRY_SECONDS = 2.0
"""Pause after a connection that was not taken."""

RETRY_AFTER_SECONDS = 1.0
"""Pause when a carrier throttles without saying how long."""

RETRY_AFTER_SECONDS_MAX = 3600.0
"""A carrier that asks for more is treated as asking for this; the escalation clock decides."""

SocketFactory = Callable[[Any], socket]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """How long one request may take, in seconds."""

    connect: float = CONNECT_SECONDS
    total: float = TOTAL_SECONDS


class HttpClient:
    """A lazily opened session and the gate in front of it. Lives as long as its adapter."""

    def __init__(
        self,
        *,
        limits: TimeLimits | None = None,
        connections_max: int = CONNECTIONS_MAX,
        socket_factory: SocketFactory | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`headers` go with every request: merged once, not each time."""
        limits = limits or TimeLimits()
        self._timeout = ClientTimeout(total=limits.total, connect=limits.connect)
        self._connections_max = connections_max
        self._socket_factory = socket_factory
        self._headers = headers
        self._session: ClientSession | None = None
        self.gate = asyncio.Semaphore(connections_max)
        """Hold it around a request: a connection is then free."""

    def session(self) -> ClientSession:
        """Return the open session; opens it on first use, inside the running loop."""
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(
                    limit=self._connections_max,
                    keepalive_timeout=KEEP_ALIVE_SECONDS,
                    socket_factory=self._socket_factory,
                ),
                cookie_jar=DummyCookieJar(),
                headers=self._headers,
                timeout=self._timeout,
                trust_env=False,
                middlewares=(_once,),
            )
        return self._session

    async def close(self) -> None:
        """Close the connections. A later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


class ConnectionLost(ClientError):
    """The connection ended after the request was sent, and before its answer."""


async def _once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send a request once. aiohttp repeats a GET whose connection ends: for it that is harmless,
    and to a gateway that takes messages by GET it is a second SMS."""
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (ClientOSError, ServerDisconnectedError) as error:
        raise ConnectionLost("the connection ended before the answer") from error


class ReplyTooLong(ClientError):
    """The answer is longer than any answer should be."""


async def read_bounded(response: ClientResponse, limit: int = REPLY_BYTES_MAX) -> bytes:
    """Return the body, or raise ReplyTooLong without reading the rest."""
    length = response.content_length
    if length is not None and length <= limit and "Content-Encoding" not in response.headers:
        return await response.read()
    body = await response.content.read(limit + 1) if length is None or length <= limit else None
    while body is not None and len(body) <= limit:
        more = await response.content.read(limit + 1 - len(body))
        if not more:
            return body
        body += more
    response.close()
    raise ReplyTooLong("the answer is too long")


def read_json_object(body: bytes) -> dict[str, Any]:
    """Return a JSON object, or an empty one when the body is something else."""
    value = parse_json(body)
    return value if isinstance(value, dict) else {}


def parse_json(body: bytes | str) -> Any:
    """Return what JSON says, or None when it is none, or is nested to bring us down."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def fault_of(error: BaseException) -> ChannelError:
    """Return what a client fault means: was anything sent?"""
    match error:
        case ClientSSLError():
            return Misconfigured("the secure connection was refused", code="tls")
        case ClientConnectorError() | ConnectionTimeoutError():
            return TemporaryFailure("no connection", code=type(error).__name__)
        case InvalidURL():
            return PermanentFailure(
                "the address is no URL", code="invalid_url", error_class=ErrorClass.BAD_NUMBER
            )
        case _:
            return OutcomeUnknown("sent, and no answer came", code=type(error).__name__)


def outcome_of(fault: ChannelError) -> SendOutcome:
    """Return the outcome a fault stands for."""
    match fault:
        case Throttled(retry_after=pause):
            kind = OutcomeKind.THROTTLED
        case TemporaryFailure():
            kind, pause = OutcomeKind.THROTTLED, DOWN_RETRY_SECONDS
        case OutcomeUnknown():
            kind, pause = OutcomeKind.UNKNOWN, 0.0
        case _:
            kind, pause = OutcomeKind.REJECTED, 0.0
    return SendOutcome(
        kind=kind,
        error_class=fault.error_class,
        code=fault.code,
        reason=fault.reason,
        retry_after=pause,
    )


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float:
    """Return the pause a carrier asks for: seconds or an HTTP date, within bounds."""
    given = headers.get("Retry-After", "").strip()
    try:
        pause = float(given)
    except ValueError:
        pause = _seconds_until(given, now)
    if isnan(pause) or pause < 0.0:
        return RETRY_AFTER_SECONDS
    return min(pause, RETRY_AFTER_SECONDS_MAX)


def _seconds_until(http_date: str, now: datetime) -> float:
    try:
        return max(0.0, (parsedate_to_datetime(http_date) - now).total_seconds())
    except (ValueError, TypeError):
        return RETRY_AFTER_SECONDS

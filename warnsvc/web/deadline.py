"""Who may keep a connection, and for how long: aiohttp alone waits for ever.

    connected ──► first request's headers  ── HEADER_SECONDS ──► closed
    request under way                      its handler's own limit (callbacks 10 s, forms 20 s …)
    idle between requests                  ── IDLE_SECONDS ──► closed
    part of the next headers               ── HEADER_SECONDS ──► closed

A peer that has too many connections, or that comes when the process has no file left to open, is
told 503 and hung up on. So somebody who opens thousands of connections and whispers down each of
them costs little, and carriers are answered meanwhile. It reads no request.

Source: reliability.md F17, §0.9. aiohttp's `RequestHandler` is its public protocol class; whether
it is idle it says only by names with an underscore, which the tests over real sockets watch.
"""

import asyncio
import ipaddress
import resource
from collections import Counter
from typing import Any

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

HEADER_SECONDS = 10.0
"""Headers come in one packet or two; nobody honest needs so long, on a satellite link either."""
IDLE_SECONDS = 75.0
"""Longer than a proxy keeps its own idle connections (nginx 60 s): whoever closes first may lose
the request that the other was about to send, and carriers do not always send it again."""
LINGER_SECONDS = 2.0
"""How long the rest of a body is read that nobody wants, so that the answer is not lost."""
PER_PEER_MAX = 200
"""Connections of one address: a carrier has a few dozen, a browser six and a live stream each."""
FILES_KEPT = 128
"""Files that connections leave to the database, the spool, carriers and the log."""
CONNECTIONS_MAX = 10_000
"""Where files are not the limit: about 200 MB of buffers."""

FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


class Doorkeeper:
    """Counts connections. `per_peer` 0: no limit, for a proxy that all peers come through.

    This machine's own addresses are not limited either: a proxy beside us, or the demo.
    """

    def __init__(
        self,
        *,
        per_peer: int = PER_PEER_MAX,
        header_seconds: float = HEADER_SECONDS,
        connections_max: int | None = None,
    ) -> None:
        self.header_seconds = header_seconds
        self._per_peer = per_peer
        self._most = connections_max or _connections_max()
        self._open: Counter[str] = Counter()
        self._total = 0
        self._told = False

    @property
    def connections(self) -> int:
        """How many are open."""
        return self._total

    def admit(self, peer: str) -> bool:
        """Count a connection, or say that there is no room for it."""
        many = self._total >= self._most
        if many or (0 < self._per_peer <= self._open[peer] and not _is_ours(peer)):
            if not self._told:
                self._told = True  # once until there is room again: a flood must not fill the log
                log.warning("web.connections_full", total=self._total, of_peer=self._open[peer])
            return False
        self._open[peer] += 1
        self._total += 1
        return True

    def leave(self, peer: str) -> None:
        """Forget a connection that was admitted."""
        self._open[peer] -= 1
        self._total -= 1
        self._told = False
        if not self._open[peer]:
            del self._open[peer]


class Door(web.RequestHandler):
    """One connection, with a deadline on what is not yet a request."""

    __slots__ = ("_keeper", "_peer", "_seconds", "_timer")

    def __init__(self, server: web.Server, keeper: Doorkeeper, **options: Any) -> None:
        super().__init__(server, **options)
        self._keeper = keeper
        self._seconds = keeper.header_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._peer: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the peer, or tell it to come again."""
        peer = _peer_of(transport)
        if not self._keeper.admit(peer):
            assert isinstance(transport, asyncio.Transport)
            transport.write(FULL)
            transport.close()
            return
        self._peer = peer
        super().connection_made(transport)
        self._timer = self._loop.call_later(self._seconds, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Read on; a request that is complete stops the clock, a part of one starts it."""
        if self._peer is None:
            return
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self._stop_clock()
        elif self._timer is None and self._is_idle():
            self._timer = self._loop.call_later(self._seconds, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the peer."""
        self._stop_clock()
        if self._peer is not None:
            self._keeper.leave(self._peer)
            self._peer = None
        super().connection_lost(exc)

    def _is_idle(self) -> bool:
        """Whether it waits for a request: what has come is then a part of its headers."""
        return self._waiter is not None and not self._waiter.done()

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        self.force_close()


class Runner(web.AppRunner):
    """Runs an application behind such doors. Sites take its `server` to make connections."""

    def __init__(self, app: web.Application, keeper: Doorkeeper, **options: Any) -> None:
        handler: dict[str, Any] = {
            "access_log": None,
            "keepalive_timeout": IDLE_SECONDS,
            "lingering_time": LINGER_SECONDS,
        }
        super().__init__(app, **handler, **options)
        self._keeper = keeper
        self._handler = handler

    @property
    def server(self) -> Any:
        """What makes the protocol of a new connection."""
        server = super().server
        if server is None:
            return None
        return lambda: Door(server, self._keeper, loop=asyncio.get_running_loop(), **self._handler)


def _connections_max() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(1, min(CONNECTIONS_MAX, files - FILES_KEPT))


def _peer_of(transport: asyncio.BaseTransport) -> str:
    """The address it comes from; a socket file has none."""
    peer = transport.get_extra_info("peername")
    return peer[0] if isinstance(peer, tuple) else ""


def _is_ours(peer: str) -> bool:
    try:
        return not peer or ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return False

"""Puts the simulated carrier on a port: the application, and a server whose door can be shut.

`create_carrier` is enough for most; `CarrierServer` adds an outage in which connections are really
refused, by closing the listening socket and opening it again at the end.
"""

import asyncio

from aiohttp import web

from channels.simulator.api import CARRIER, CarrierApi
from channels.simulator.behaviour import OutageKind
from channels.simulator.carrier import Carrier, CarrierConfig
from channels.simulator.control import Control
from channels.simulator.page import PhonesPage
from channels.simulator.timeline import RealTimeline, Timeline

REQUEST_BYTES_MAX = 8 * 1024 * 1024
"""A directory of 100,000 names fits; no message comes near."""

GOODBYE_SECONDS = 0.5
"""How long open requests may take when the carrier is stopped: it is only a simulation."""


def create_carrier(config: CarrierConfig, *, timeline: Timeline | None = None) -> web.Application:
    """Return the carrier's application; the carrier itself is `app[CARRIER]`."""
    carrier = Carrier(config, timeline or RealTimeline())
    app = web.Application(client_max_size=REQUEST_BYTES_MAX)
    app[CARRIER] = carrier
    app.add_routes(CarrierApi(carrier).routes())
    app.add_routes(Control(carrier).routes())
    app.add_routes(PhonesPage(carrier).routes())
    app.on_shutdown.append(_close)
    return app


async def _close(app: web.Application) -> None:
    await app[CARRIER].close()


class CarrierServer:
    """A carrier listening on a port of its own."""

    def __init__(
        self,
        config: CarrierConfig,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        timeline: Timeline | None = None,
    ) -> None:
        self.app = create_carrier(config, timeline=timeline)
        self.carrier = self.app[CARRIER]
        self.carrier.door = self._swing
        self.host, self.port = host, port
        self._runner = web.AppRunner(
            self.app, access_log=None, shutdown_timeout=GOODBYE_SECONDS
        )
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen; port 0 takes any free port and keeps it."""
        await self._runner.setup()
        await self._open()

    async def close(self) -> None:
        """Stop listening and end open requests."""
        self.carrier.door = None
        self._shut()
        await self._runner.cleanup()

    def _swing(self, fault: OutageKind) -> None:
        if fault is OutageKind.REFUSE:
            self._shut()
        elif self._listener is None:
            self.carrier.timeline.after(0.0, self._open)

    async def _open(self) -> None:
        if self._listener is not None:
            return
        server = self._runner.server
        assert server is not None, "the runner is set up"
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(server, self.host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    def _shut(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

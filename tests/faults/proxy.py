"""A TCP proxy that misbehaves: what stands between us and a carrier or a database.

    async with FaultProxy("127.0.0.1", 8081) as proxy:
        proxy.latency = 0.2          each piece waits so long in each direction
        proxy.accept_then_reset = 1.0  share of new connections that are reset once they have spoken
        proxy.cut_after = 300        the answer is cut after so many bytes
        proxy.half_open = True       nothing passes in either direction, and nobody is told
        await proxy.down(100)        connections are refused, open ones are reset

It runs in the test's own loop. It understands no protocol; its chance is seeded.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Self

PIECE_BYTES = 65_536
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of nothing: closing sends a reset instead of an end."""


class FaultProxy:
    """Listens on a port of its own and passes on to one target."""

    def __init__(self, host: str, port: int, *, seed: int = 1) -> None:
        self._target = (host, port)
        self._random = Random(seed)
        self._server: asyncio.Server | None = None
        self._pairs: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.latency = 0.0
        self.accept_then_reset = 0.0
        self.cut_after = 0
        self.half_open = False
        self.connections = 0
        """How many were taken."""
        self.harmed = 0
        """How many of them were reset or cut."""

    @property
    def address(self) -> str:
        """`host:port`, as a carrier's base address takes it."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.shut()

    async def up(self) -> None:
        """Take connections, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuse new connections and reset open ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.reset_open()
        for pair in list(self._pairs):
            pair.cancel()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    async def down(self, seconds: float) -> None:
        """Be away for a while."""
        await self.shut()
        await asyncio.sleep(seconds)
        await self.up()

    def reset_open(self) -> None:
        """Reset every open connection, both sides."""
        for writer in list(self._writers):
            _reset(writer)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pairs.add(task)
        self.connections += 1
        opened = [writer]
        self._writers.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                there, onward = await asyncio.open_connection(*self._target)
                opened.append(onward)
                self._writers.add(onward)
                doomed = self._random.random() < self.accept_then_reset
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass(reader, onward, writer if doomed else None))
                    group.create_task(self._answer(there, writer))
        except* (OSError, asyncio.CancelledError):
            pass  # either side is gone, or the proxy is
        finally:
            for end in opened:
                self._writers.discard(end)
                end.close()
            self._pairs.discard(task)

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        onward: asyncio.StreamWriter,
        doomed: asyncio.StreamWriter | None,
    ) -> None:
        """Carry requests; a doomed connection is reset when its first one has been passed on."""
        while piece := await reader.read(PIECE_BYTES):
            await self._hold()
            onward.write(piece)
            await onward.drain()
            if doomed is not None:
                self.harmed += 1
                _reset(doomed)
                await asyncio.sleep(0.05)  # the target shall still read it
                onward.close()
                return
        onward.close()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while piece := await there.read(PIECE_BYTES):
            await self._hold()
            if self.cut_after and passed + len(piece) > self.cut_after:
                writer.write(piece[: self.cut_after - passed])
                with suppress(OSError):
                    await writer.drain()
                self.harmed += 1
                _reset(writer)
                return
            passed += len(piece)
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def _hold(self) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)
        while self.half_open:  # until the test says otherwise
            await asyncio.sleep(0.02)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a machine does that knows nothing of the connection."""
    found = writer.get_extra_info("socket")
    if found is not None:
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()

"""Whoever whispers is hung up on, and whoever speaks is answered meanwhile: over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from aiohttp import web

from warnsvc.web import deadline
from warnsvc.web.deadline import Doorkeeper, Runner

SHORT = 0.2
"""A header deadline that a test can wait for."""
WHOLE = b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n"


class Door(NamedTuple):
    keeper: Doorkeeper
    port: int

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def door(**limits: float) -> AsyncIterator[Door]:
    async def ok(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(SHORT * 3)
        return web.Response(text="slow")

    app = web.Application()
    app.router.add_get("/ok", ok)
    app.router.add_get("/slow", slow)
    app.router.add_post("/read", _read)
    keeper = Doorkeeper(**{"header_seconds": SHORT, **limits})  # type: ignore[arg-type]
    runner = Runner(app, keeper, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Door(keeper, runner.addresses[0][1])
    finally:
        await runner.cleanup()
    assert keeper.connections == 0


async def _read(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    return head.partition(b"\r")[0] + b" " + await reader.readexactly(length)


async def test_two_hundred_who_whisper_are_hung_up_on_while_others_are_answered() -> None:
    async with door() as opened:
        whispers = await asyncio.gather(*(opened.open() for _ in range(200)))
        for _, writer in whispers:
            writer.write(b"POST /callbacks/sim-sms HTTP/1.1\r\nHost: x\r\nX-Slow: ")

        reader, writer = await opened.open()
        answers = 0
        while opened.keeper.connections > 1:
            for _, whisper in whispers:
                if not whisper.is_closing():
                    whisper.write(b"a")  # to keep it going, as a slow-loris does
            writer.write(WHOLE)
            answers += await _answer(reader) == b"HTTP/1.1 200 OK ok"
            await asyncio.sleep(0.01)

        assert answers > 0
        ends = await asyncio.gather(*(r.read() for r, _ in whispers), return_exceptions=True)
        assert all(end == b"" or isinstance(end, ConnectionError) for end in ends)
        writer.close()


async def test_whoever_says_nothing_at_all_is_hung_up_on() -> None:
    async with door() as opened:
        reader, _ = await opened.open()

        assert await reader.read() == b""


async def test_a_part_of_the_second_headers_starts_the_clock_again() -> None:
    async with door() as opened:
        reader, writer = await opened.open()
        writer.write(WHOLE)
        assert await _answer(reader) == b"HTTP/1.1 200 OK ok"

        writer.write(b"GET /ok HT")

        assert await reader.read() == b""


async def test_an_idle_connection_outlives_the_header_deadline() -> None:
    async with door() as opened:
        reader, writer = await opened.open()
        writer.write(WHOLE)
        await _answer(reader)

        await asyncio.sleep(SHORT * 2)

        writer.write(WHOLE)
        assert await _answer(reader) == b"HTTP/1.1 200 OK ok"
        writer.close()


async def test_an_idle_connection_is_closed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "IDLE_SECONDS", SHORT)
    async with door(header_seconds=60) as opened:
        reader, writer = await opened.open()
        writer.write(WHOLE)
        await _answer(reader)

        assert await reader.read() == b""


async def test_a_request_that_takes_its_time_is_not_cut_off() -> None:
    async with door() as opened:
        reader, writer = await opened.open()
        writer.write(WHOLE.replace(b"/ok", b"/slow"))

        assert await _answer(reader) == b"HTTP/1.1 200 OK slow"
        writer.close()


async def test_a_body_in_several_packets_is_no_part_of_headers() -> None:
    async with door() as opened:
        reader, writer = await opened.open()
        writer.write(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        await asyncio.sleep(SHORT * 2)
        writer.write(b"cd")

        assert await _answer(reader) == b"HTTP/1.1 200 OK 4"
        await asyncio.sleep(SHORT * 2)
        writer.write(WHOLE)
        assert await _answer(reader) == b"HTTP/1.1 200 OK ok"
        writer.close()


async def test_headers_in_many_packets_are_read_while_there_is_time() -> None:
    async with door(header_seconds=60) as opened:
        reader, writer = await opened.open()
        for byte in WHOLE:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)

        assert await _answer(reader) == b"HTTP/1.1 200 OK ok"
        writer.close()


async def test_when_there_is_no_room_a_newcomer_is_told_so_and_the_others_stay() -> None:
    async with door(connections_max=2, header_seconds=60) as opened:
        inside = [await opened.open() for _ in range(2)]
        late, _ = await opened.open()

        assert (await late.read()).startswith(b"HTTP/1.1 503")
        for reader, writer in inside:
            writer.write(WHOLE)
            assert await _answer(reader) == b"HTTP/1.1 200 OK ok"
            writer.close()


def test_one_peer_has_no_more_than_its_share() -> None:
    keeper = Doorkeeper(per_peer=2, connections_max=10)

    assert [keeper.admit("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert keeper.admit("192.0.2.2")
    keeper.leave("192.0.2.1")
    assert keeper.admit("192.0.2.1")


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", ""])
def test_a_proxy_on_this_machine_speaks_for_many(peer: str) -> None:
    keeper = Doorkeeper(per_peer=1, connections_max=10)

    assert [keeper.admit(peer) for _ in range(3)] == [True, True, True]


def test_behind_a_proxy_elsewhere_the_share_can_be_lifted() -> None:
    keeper = Doorkeeper(per_peer=0, connections_max=3)

    assert [keeper.admit("192.0.2.1") for _ in range(4)] == [True, True, True, False]

"""A request is sent once, whatever aiohttp would do for a GET: to a gateway it may be an SMS."""

import pytest
from aiohttp import web

from channels.base import OutcomeKind
from channels.http_client import ConnectionLost, HttpClient, fault_of, outcome_of


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_a_connection_that_ends_before_the_answer_costs_no_second_request(method: str) -> None:
    seen: list[str] = []

    async def take(request: web.Request) -> web.Response:
        seen.append(request.query["n"])
        if request.query["n"] == "2":
            assert request.transport is not None
            request.transport.abort()
        return web.Response(text="taken")

    app = web.Application()
    app.router.add_route("*", "/", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    client, url = HttpClient(), f"http://127.0.0.1:{site.port}/"
    try:
        async with client.session().request(method, url, params={"n": "1"}) as answer:
            await answer.read()  # the connection is kept: aiohttp repeats on kept ones

        with pytest.raises(ConnectionLost) as caught:
            await client.session().request(method, url, params={"n": "2"})
    finally:
        await client.close()
        await runner.cleanup()

    assert seen == ["1", "2"]
    assert outcome_of(fault_of(caught.value)).kind is OutcomeKind.UNKNOWN

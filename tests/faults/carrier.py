"""The simulated carrier with a record of its own: what really reached it, whatever we believe.

    python -m tests.faults.carrier --port … --secret-file …      as `python -m channels.simulator`

    GET    /record   {"requests": [[at, host, method, path, reference, status], …],
                      "texts": [[at, host, reference, to, is_call], …], "hooks": [[at, name, id], …]}
    DELETE /record   forgets it
    POST   /fault    {"path": "/v1/messages", "status": 401, "seconds": 10}: answers so meanwhile

A request is one that arrived, answered or not (status 0: it is still open or was cut). A text is
one that the carrier took: it does not fold two of one reference into one, so two are a duplicate.
`host` is the Host header: every process of a rig has a loopback address of its own for the carrier,
so the record says which one spoke. It decides nothing and changes nothing of how the carrier acts.
"""

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

from aiohttp import web

from channels.simulator import CarrierServer
from channels.simulator.__main__ import _arguments, config_from
from channels.simulator.traffic import Ledger, Message, Refusal

_host: ContextVar[str] = ContextVar("host", default="")


class Record:
    """What arrived, in the order of arrival."""

    def __init__(self) -> None:
        self.requests: list[list[Any]] = []
        self.texts: list[list[Any]] = []
        self.hooks: list[list[Any]] = []
        self.fault = ("", 0, 0.0)
        """Path, status and end of a fault that the carrier itself does not know."""

    def refuses(self, path: str) -> int:
        """Return the status that a request meets now; 0: none."""
        under, status, until = self.fault
        return status if under and path.startswith(under) and time.time() < until else 0

    def forget(self) -> None:
        """Begin anew."""
        for part in (self.requests, self.texts, self.hooks):
            part.clear()


def recorded(server: CarrierServer) -> Record:
    """Let a carrier that has not started yet keep a record."""
    record, app, carrier = Record(), server.app, server.carrier
    accept = carrier.accept

    def watched(ledger: Ledger, form: Mapping[str, str], *, is_call: bool) -> Message | Refusal:
        taken = accept(ledger, form, is_call=is_call)
        if isinstance(taken, Message):
            entry = [time.time(), _host.get(), taken.reference, taken.to, is_call]
            record.texts.append(entry)
        return taken

    carrier.accept = watched  # type: ignore[method-assign]
    app.middlewares.append(_notes(record))
    app.router.add_get("/record", _shown(record))
    app.router.add_delete("/record", _forgotten(record))
    app.router.add_post("/fault", _broken(record))
    return record


def _notes(record: Record) -> Any:
    @web.middleware
    async def note(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not request.path.startswith("/v1/"):
            return await handler(request)
        _host.set(request.host.partition(":")[0])
        entry = [time.time(), _host.get(), request.method, request.path, "", 0]
        record.requests.append(entry)
        if request.path.startswith("/v1/hooks/"):
            name, ident = request.match_info["name"], request.headers.get("webhook-id", "")
            record.hooks.append([entry[0], name, ident])
        elif request.method == "POST":
            entry[4] = str((await request.post()).get("Reference", ""))
        else:
            entry[4] = request.query.get("Reference", "")
        if status := record.refuses(request.path):
            entry[5] = status
            return web.json_response({"code": f"{status}00", "message": "fault"}, status=status)
        response = await handler(request)
        entry[5] = response.status
        return response

    return note


def _broken(record: Record) -> Any:
    async def break_down(request: web.Request) -> web.Response:
        wanted = await request.json()
        until = time.time() + float(wanted["seconds"])
        record.fault = (str(wanted["path"]), int(wanted["status"]), until)
        return web.Response(status=204)

    return break_down


def _shown(record: Record) -> Any:
    async def show(request: web.Request) -> web.Response:
        names = request.query.get("parts", "requests,texts,hooks").split(",")
        parts = {name: getattr(record, name) for name in names}
        return web.Response(body=json.dumps(parts).encode(), content_type="application/json")

    return show


def _forgotten(record: Record) -> Any:
    async def forget(_request: web.Request) -> web.Response:
        record.forget()
        return web.Response(status=204)

    return forget


async def _serve() -> None:
    given = _arguments().parse_args()
    server = CarrierServer(config_from(given), host=given.host, port=given.port)
    recorded(server)
    await server.start()
    print(f"recording carrier on {server.url}", flush=True)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stopped.set)
    await stopped.wait()
    await server.close()


if __name__ == "__main__":
    asyncio.run(_serve())

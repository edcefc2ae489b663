"""`warnsvc serve` and `warnsvc worker` that kill themselves at a named point, for crash tests.

    FAULT_AT='before_commit:2:INSERT INTO escalation' python -m tests.faults.process serve

    before_commit:n[:words]  in the n-th unit that ran a statement with these words, before COMMIT
    after_commit:n[:words]   … when it is durable, before anybody has heard of it
    before_send:n            when the n-th request to a carrier is about to be made
    after_send:n             when the carrier has answered it, before anything remembers that
    before_lookup:n          when an unknown is about to be looked up
    before_answer:n[:path]   when the n-th answer under a path is about to be written to a client
    raise_send:n[:words]     no death: sending a text with these words to a number raises, n times
    raise_unit:n[:words]     no death: a statement with these words raises, n times

Several are parted by `;`. `FAULT_PACK=quick` (or `sms_only`) releases by that pack of the rig. Everything else is the service as it is: the same settings, the same
composition root; only store, channels and the outermost middleware are wrapped. Death is SIGKILL by
our own hand, so nothing is finished and nothing is said.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

import warnsvc.app as composition
from channels.base import SendOutcome, SendRequest
from tests.faults import rig
from warnsvc.app import House, open_house, run
from warnsvc.cli.house import start_logging
from warnsvc.core.pack import DEFAULT_PACK, Pack
from warnsvc.settings import load_settings
from warnsvc.store.port import Row

FAULT_AT = "FAULT_AT"
FAULT_PACK = "FAULT_PACK"


class Injected(Exception):
    """What a test put into an adapter or a statement."""


@dataclass(slots=True)
class Point:
    """One named point and how often it is passed before it bites."""

    name: str
    left: int
    words: str = ""

    def passes(self, name: str, said: Iterable[str] = ("",)) -> bool:
        """Count one passage; True when this is the one."""
        if name != self.name or self.left <= 0 or not any(self.words in part for part in said):
            return False
        self.left -= 1
        return self.left == 0 or name.startswith("raise_")


def points_of(text: str) -> list[Point]:
    """Read `name:n[:words];…`."""
    found = []
    for part in filter(None, text.split(";")):
        name, _, rest = part.partition(":")
        count, _, words = rest.partition(":")
        found.append(Point(name=name.strip(), left=int(count or 1), words=words))
    return found


POINTS = points_of(os.environ.get(FAULT_AT, ""))


def passed(name: str, *said: str) -> bool:
    """Whether a point bites now."""
    bitten = [point.passes(name, said or ("",)) for point in POINTS]  # every one of them counts
    return any(bitten)


def maybe_die(name: str, *said: str) -> None:
    """End this process when the point bites."""
    if passed(name, *said):
        print(f"dies at {name} {said[:1]!r:.80}", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


class WatchedUnit:
    """A unit that remembers its statements."""

    def __init__(self, unit: Any) -> None:
        self._unit = unit
        self.said: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)

    def _note(self, sql: str) -> None:
        self.said.append(sql)
        if passed("raise_unit", sql):
            raise Injected(sql[:60])

    async def fetch(self, sql: str, *params: Any) -> list[Row]:
        self._note(sql)
        return await self._unit.fetch(sql, *params)  # type: ignore[no-any-return]

    async def fetch_one(self, sql: str, *params: Any) -> Row | None:
        self._note(sql)
        return await self._unit.fetch_one(sql, *params)  # type: ignore[no-any-return]

    async def execute(self, sql: str, *params: Any) -> int:
        self._note(sql)
        return await self._unit.execute(sql, *params)  # type: ignore[no-any-return]

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._note(sql)
        await self._unit.execute_many(sql, rows)

    async def insert_rows(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        self._note(f"INSERT INTO {table} ")
        await self._unit.insert_rows(table, columns, rows)


class WatchedStore:
    """The real store with a hand on its commits."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[WatchedUnit]:
        async with self._store.unit() as unit:
            watched = WatchedUnit(unit)
            yield watched
            maybe_die("before_commit", *watched.said)
        maybe_die("after_commit", *watched.said)


class WatchedChannel:
    """A real channel with a hand on its requests."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    async def send(self, request: SendRequest) -> SendOutcome:
        maybe_die("before_send")
        if passed("raise_send", request.to):
            raise Injected("this number breaks the adapter")
        outcome: SendOutcome = await self._channel.send(request)
        maybe_die("after_send")
        return outcome

    async def lookup(self, inquiry: Any) -> Any:
        maybe_die("before_lookup")
        return await self._channel.lookup(inquiry)


def watched(house: House) -> House:
    """Return the house with hands on its store and its channels."""
    return replace(
        house,
        ctx=replace(house.ctx, store=WatchedStore(house.ctx.store)),
        channels={name: WatchedChannel(c) for name, c in house.channels.items()},
    )


@web.middleware
async def _before_answer(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    response = await handler(request)
    maybe_die("before_answer", request.path)
    return response


def _build_web(house: House, *rest: Any, **more: Any) -> web.Application:
    app = _real_build_web(house, *rest, **more)
    app.middlewares.insert(0, _before_answer)
    return app


_real_build_web = composition.build_web


async def main(arguments: Sequence[str]) -> None:
    """Serve or work until killed, by whomever."""
    composition.build_web = _build_web
    settings = load_settings()
    start_logging(settings)
    async with open_house(settings, pack=_pack()) as house:
        await run(
            watched(house),
            engine="--no-engine" not in arguments,
            web_pages="serve" in arguments,
        )


def _pack() -> Pack:
    match os.environ.get(FAULT_PACK, ""):
        case "quick":
            return rig.quick()
        case "sms_only":
            return rig.sms_only()
        case _:
            return DEFAULT_PACK


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))

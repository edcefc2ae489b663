"""Carriers whose callbacks we refuse: told to the desk, because their key presses are lost.

    refused, at an address that holds a token of ours ──► an alarm, one a carrier while it lasts
    refused otherwise                                 ──► counted, no more: anybody can post that
    verified                                          ──► that alarm is over

A wrong public address, or an auth token that was changed at the carrier alone, makes us refuse all
that it says: calls go out and their answers are lost. Only whom we gave an address to knows a token
of ours, so nobody else can ring the desk; whoever got hold of one rings it once a minute at most.
Endpoints of webhooks are many and have a secret each: one whose secret is wrong says nothing of the
others, and is counted only. It refuses nothing itself, and no callback waits for it.
"""

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Final

import structlog
from aiohttp import web

from channels.base import Channel
from warnsvc.service.alarm import end_alarm, raise_alarm
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.store.port import StoreFault

log = structlog.get_logger(__name__)

KIND: Final = "callback"
AGAIN: Final = timedelta(minutes=1)
"""How soon the same is written, or looked for, again. Another process may have raised the alarm
that a callback here has ended."""


class CallbackWatch:
    """What one web process knows of callbacks that it refused."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._raised_at: dict[str, datetime] = {}
        self._looked_at: dict[str, datetime] = {}
        self._rings: set[str] = set()
        """Carriers whose alarm we have raised and not ended."""
        self._turn = asyncio.Lock()
        self._under_way: set[asyncio.Task[None]] = set()

    def refused(self, channel: Channel, *, named: bool) -> None:
        """Note that a callback was not genuine. `named`: its address holds a token of ours."""
        self._ctx.measures.callbacks_refused[channel.name] += 1
        log.warning("callback.refused", carrier=channel.name, named=named)
        if not named or channel.capabilities.many_hosts:
            return
        if self._is_time(self._raised_at, channel.name):
            self._rings.add(channel.name)
            self._start(self._write(channel.name, begins=True))

    def verified(self, channel: Channel) -> None:
        """Note that a callback was genuine."""
        if channel.name in self._rings or self._is_time(self._looked_at, channel.name):
            self._rings.discard(channel.name)
            self._start(self._write(channel.name, begins=False))

    async def settled(self) -> None:
        """Return when everything is written down that has been noted."""
        await asyncio.gather(*self._under_way)

    async def close(self, _: web.Application) -> None:
        """Stop writing; the next callback says it again."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _is_time(self, times: dict[str, datetime], carrier: str) -> bool:
        now = self._ctx.clock.now()
        last = times.get(carrier)
        if last is not None and now - last < AGAIN:
            return False
        times[carrier] = now
        return True

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="callback-watch")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _write(self, carrier: str, *, begins: bool) -> None:
        """One after the other, in the order in which it was noted."""
        now = self._ctx.clock.now()
        try:
            async with self._turn, self._ctx.store.unit() as unit:
                if begins:
                    changed = await raise_alarm(unit, KIND, carrier, now=now, subject=carrier)
                else:
                    changed = await end_alarm(unit, KIND, now=now, subject=carrier)
        except StoreFault as fault:
            log.error("callback.alarm_not_kept", carrier=carrier, error=str(fault))
            self._raised_at.pop(carrier, None)
            self._looked_at.pop(carrier, None)
            return
        if changed:
            await self._ctx.store.wake(WAKE_BOARD)


WATCH: web.AppKey[CallbackWatch] = web.AppKey("callback_watch", CallbackWatch)


def add_watch(app: web.Application, ctx: Context) -> None:
    """Give the application a watch that lives as long as it."""
    app[WATCH] = CallbackWatch(ctx)
    app.on_cleanup.append(app[WATCH].close)

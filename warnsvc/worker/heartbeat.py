"""The outbound heartbeat: a word to somewhere else while nothing is late.

    watchdog content ──► GET heartbeat_url, every 30 s ──► a dead man's switch at somebody else's
    late, or dead    ──► silence, and that rings there

Whatever could stop us from raising an alarm also stops this: a database that is away, an engine
that hangs, a machine without power. It follows no redirect, waits ten seconds at the most and tries
once a turn. The address is a secret: whoever has it can speak for us, so it is never logged.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import structlog
from pydantic import SecretStr

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 10.0
"""Longer than any such service takes; shorter than the shortest turn would let two overlap."""
LOOK_SECONDS = 2.0
"""While there is nothing good to say, whether there is: as often as the watchdog looks."""


@dataclass(slots=True)
class Heard:
    """How many words were taken and how many were not."""

    taken: int = 0
    failed: int = 0


class Heartbeat:
    """Says that all is well, while it is."""

    def __init__(self, url: SecretStr, *, seconds: float, content: Callable[[], bool]) -> None:
        """`content`: whether this process leads, and nothing is late."""
        self._url = url
        self._seconds = seconds
        self._content = content
        self._silent = False
        self.heard = Heard()

    async def run(self) -> None:
        """Say it every turn until cancelled."""
        timeout = aiohttp.ClientTimeout(total=min(ANSWER_SECONDS, self._seconds))
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                said = await self.turn(session)
                await asyncio.sleep(self._seconds if said else LOOK_SECONDS)

    async def turn(self, session: aiohttp.ClientSession) -> bool:
        """Say it once, if it is true; returns whether it was. What goes wrong is logged once, until
        it is right again, and not repeated before the next turn."""
        if not self._content():
            return False
        failure = await self._say(session)
        if not failure:
            self.heard.taken += 1
            self._silent = False
            return True
        self.heard.failed += 1
        if not self._silent:
            log.error("heartbeat.not_taken", reason=failure)
        self._silent = True
        return True

    async def _say(self, session: aiohttp.ClientSession) -> str:
        """Return why it was not taken, in words without the address; empty: it was."""
        try:
            async with session.get(self._url.get_secret_value(), allow_redirects=False) as response:
                return "" if response.status < 300 else f"status {response.status}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as fault:
            return type(fault).__name__  # its words hold the address

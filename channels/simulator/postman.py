"""Carries the simulated carrier's signed callbacks to its customers, and tries again on failure.

At most a few tries, soon after one another: a real carrier gives up too, and then the customer's
reconcile is what saves the receipt. It never reorders; disorder is the carrier's doing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from aiohttp import ClientError
from yarl import URL

from channels.http_client import HttpClient, TimeLimits
from channels.simulator.timeline import Timeline

RETRY_SECONDS = (1.0, 5.0, 15.0)
"""Pauses before the second, third and fourth try."""

POSTS_AT_ONCE_MAX = 64
"""Callbacks under way; the others wait their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One callback. `headers` signs it for the instant at which it is posted."""

    url: str
    body: bytes
    headers: Callable[[datetime], Mapping[str, str]]


@dataclass(slots=True)
class PostCounts:
    """How many callbacks went well, failed a try, and were given up."""

    posted: int = 0
    failed: int = 0
    given_up: int = 0


class Postman:
    """Posts callbacks over one shared connection pool."""

    def __init__(self, timeline: Timeline, limits: TimeLimits | None = None) -> None:
        self._timeline = timeline
        self._client = HttpClient(limits=limits, connections_max=POSTS_AT_ONCE_MAX)
        self.counts = PostCounts()

    async def deliver(self, callback: Callback, failures: int = 0) -> None:
        """Post a callback; on failure put it on the timeline again."""
        if await self._post(callback):
            self.counts.posted += 1
            return
        self.counts.failed += 1
        if failures >= len(RETRY_SECONDS):
            self.counts.given_up += 1
            return
        self._timeline.after(
            RETRY_SECONDS[failures], lambda: self.deliver(callback, failures + 1)
        )

    async def _post(self, callback: Callback) -> bool:
        headers = callback.headers(self._timeline.now_at())
        try:
            async with self._client.gate, self._client.session().post(
                URL(callback.url, encoded=True),
                data=callback.body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                await response.read()
                return 200 <= response.status < 300
        except (ClientError, TimeoutError, OSError, ValueError):
            # A customer that cannot be reached is counted and tried again, nothing more.
            return False

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

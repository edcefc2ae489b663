"""A carrier that delivers people's answers, and remembers which ones it was told we have.

    async with answering(rig, per_second=200) as answers:
        ...                                    # break something
    lost = await answers.lost()                # accepted by 2xx and not in the database: must be empty

Each answer is posted again, a moment later, until it is answered 2xx, as carriers do. It looks at
the database only at the end, by the answers' own ids.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import aiohttp

from tests.faults.hand import REFUSED, callback, reply_form
from tests.faults.rig import Rig

AGAIN_SECONDS = 0.2
POST_SECONDS = 15.0
"""What Twilio gives us, and then hangs up."""
CONNECTIONS = 64


@dataclass(slots=True)
class Answers:
    """What was posted and what came back."""

    rig: Rig
    senders: Sequence[str] = ()
    """The phones that answer, in turn; none: invented ones that nobody called."""
    posted: int = 0
    accepted: dict[str, float] = field(default_factory=dict)
    """Id → when it was answered 2xx (monotonic)."""
    statuses: dict[int, int] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    """Seconds of each request that was answered 2xx."""
    stopping: bool = False

    async def deliver(self, session: aiohttp.ClientSession, number: int) -> None:
        """Post one answer until it is taken, or until the test is over."""
        ident = f"AN{number:08d}"
        sender = self.senders[number % len(self.senders)] if self.senders else _phone(number)
        while not self.stopping:
            status, seconds = await self._post(session, ident, sender)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if 200 <= status < 300:
                self.accepted[ident] = time.monotonic()
                self.took.append(seconds)
                return
            await asyncio.sleep(AGAIN_SECONDS)

    async def _post(
        self, session: aiohttp.ClientSession, ident: str, sender: str
    ) -> tuple[int, float]:
        wanted = callback(self.rig, reply_form(ident, sender))
        began = time.monotonic()
        try:
            async with session.post(
                self.rig.web_url + wanted.path, data=wanted.body, headers=dict(wanted.headers)
            ) as answer:
                await answer.read()
                return answer.status, time.monotonic() - began
        except (aiohttp.ClientError, OSError, TimeoutError):
            return REFUSED, time.monotonic() - began

    async def stored(self) -> set[str]:
        """Return the ids of the answers that are in the database."""
        rows = await self.rig.fetch(
            "SELECT dedupe_key FROM inbound WHERE kind = 'answer' AND dedupe_key LIKE '%:a:%'"
        )
        return {row["dedupe_key"].rpartition(":")[2] for row in rows}

    async def lost(self) -> set[str]:
        """Return what we said we have and have not."""
        return self.accepted.keys() - await self.stored()

    def longest_silence(self, since: float) -> float:
        """Return the longest time after `since` in which nothing was accepted."""
        times = [since, *sorted(at for at in self.accepted.values() if at > since)]
        return max((b - a for a, b in pairwise(times)), default=0.0)

    def told(self) -> str:
        """Return a line about it."""
        return f"{len(self.accepted)} of {self.posted} accepted, by status {self.statuses}"


@asynccontextmanager
async def answering(
    rig: Rig, *, per_second: float, senders: Sequence[str] = (), count: int = 1_000_000
) -> AsyncIterator[Answers]:
    """Deliver answers at a steady rate while the block runs (at most `count`); then let the rest
    of them be taken, for a while."""
    answers = Answers(rig=rig, senders=senders)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=POST_SECONDS),
    ) as session:
        posting = asyncio.create_task(_post_all(answers, session, per_second, count))
        try:
            yield answers
        finally:
            posting.cancel()
            delivered = await asyncio.gather(posting, return_exceptions=True)
            answers.stopping = True
            assert isinstance(delivered[0], asyncio.CancelledError | None), delivered


async def _post_all(
    answers: Answers, session: aiohttp.ClientSession, per_second: float, count: int
) -> None:
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        while answers.posted < count:
            due = min(count, int((time.monotonic() - began) * per_second))
            while answers.posted < due:
                group.create_task(answers.deliver(session, answers.posted))
                answers.posted += 1
            await asyncio.sleep(0.01)


async def until_all_taken(rig: Rig, answers: Answers, seconds: float) -> float:
    """Wait until everything that was posted so far is accepted; return how long it took."""

    async def taken() -> bool:
        return len(answers.accepted) >= answers.posted

    return await rig.until(taken, seconds, f"all answers are taken: {answers.told()}")


def _phone(number: int) -> str:
    return f"+861990{number % 10_000_000:07d}"

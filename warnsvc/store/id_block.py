"""Ids in blocks: small numbers, given out once.

The table `id_block` holds the next free id of each table. On SQLite a unit takes exactly what it
asks for, so that ids stay dense. On PostgreSQL a process takes a block ahead on a connection of its
own, so that units never wait for each other's ids; what a process has left when it ends is lost,
which leaves a gap and nothing else.
"""

import asyncio
from collections.abc import Awaitable, Callable

TAKE = """
    INSERT INTO id_block (name, next) VALUES ($1, 1 + $2)
    ON CONFLICT (name) DO UPDATE SET next = id_block.next + $2
    RETURNING next - $2 AS first
"""

BLOCK_LENGTH = 100
"""Ids taken ahead on PostgreSQL: a restart skips at most this many, which keeps 叫应单 numbers
short enough to say on the phone."""
LONG_BLOCKS = {"inbound": 2_000}
"""Nobody says these numbers, and facts come by the thousand: a refill is a commit that they wait
for. A restart skips at most so many of two billion."""

Take = Callable[[str, int], Awaitable[int]]
"""Takes `count` ids of a table and returns the first."""


class IdBlocks:
    """The ids that this process has taken ahead. Used from one event loop only."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._left: dict[str, range] = {}
        self._refill = asyncio.Lock()

    async def take(self, table: str, count: int) -> list[int]:
        """Return `count` ids, rising, that no process gets again."""
        async with self._refill:
            ids = self._cut(table, count)
            if missing := count - len(ids):
                length = max(missing, LONG_BLOCKS.get(table, BLOCK_LENGTH))
                first = await self._take(table, length)
                self._left[table] = range(first, first + length)
                ids += self._cut(table, missing)
            return ids

    def _cut(self, table: str, count: int) -> list[int]:
        left = self._left.get(table, range(0))
        self._left[table] = left[count:]
        return list(left[:count])

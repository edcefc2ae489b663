"""Timekeeping: whose clock our time follows, and what was seen when we started.

On PostgreSQL the database's clock is measured at start and every few seconds, so that workers on
several machines agree on what is due. On both databases the newest instant in the ledger is the
floor at start: time never runs backwards across a restart, even if the machine's clock does.
It never sets a machine's clock.
"""

from datetime import datetime, timedelta

import structlog

from warnsvc.clock import STEP_SECONDS_MAX, Clock, WatchedClock, monotonic
from warnsvc.store.port import Store

log = structlog.get_logger(__name__)

MEASURES = 3
"""Each is half its round trip wrong at the most; the quickest of a few is the best."""
LINES_LOOKED_AT = 100
"""Ids come in blocks, so that the newest line is not always the one with the highest id."""


async def start_time(store: Store, clock: Clock) -> None:
    """Give the clock its first time. Before anybody asks what time it is. Raises StoreFault."""
    if not isinstance(clock, WatchedClock):
        return
    if (at := await measure(store)) is not None:
        clock.start_at(at)
    newest = await newest_instant(store)
    if newest is None:
        return
    behind = (newest - clock.now()).total_seconds()
    if behind > STEP_SECONDS_MAX:
        log.error("clock.behind_the_database", seconds=round(behind, 1), newest=newest.isoformat())
    clock.never_before(newest)


async def keep_time(store: Store, clock: Clock) -> None:
    """Measure the shared clock once more. Raises StoreFault."""
    if isinstance(clock, WatchedClock) and (at := await measure(store)) is not None:
        clock.follow(at)


async def measure(store: Store) -> datetime | None:
    """Return the database's time as of now; None on SQLite, which has no clock of its own."""
    if store.dialect != "postgresql":
        return None
    best: tuple[float, datetime, float] | None = None
    async with store.view() as unit:
        for _ in range(MEASURES):
            asked = monotonic()
            row = await unit.fetch_one("SELECT clock_timestamp() AS now_at")
            answered = monotonic()
            assert row is not None
            trip = answered - asked
            if best is None or trip < best[0]:
                best = (trip, row["now_at"], answered)
    assert best is not None
    trip, at, answered = best
    return at + timedelta(seconds=trip / 2 + monotonic() - answered)


async def newest_instant(store: Store) -> datetime | None:
    """Return the latest instant at which anything was entered into the ledger."""
    async with store.view() as unit:
        rows = await unit.fetch(
            f"SELECT entered_at FROM ledger_line ORDER BY id DESC LIMIT {LINES_LOOKED_AT}"
        )
    return max((row["entered_at"] for row in rows), default=None)

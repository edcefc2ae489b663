"""The watch: proof, every few seconds, that nothing which is due is older than its bound.

    audit ──► findings ──► the desk's alarm (kind `late`), /readyz, metrics, the outbound heartbeat

Each check is one statement over an index of what is open, so that the watch costs nothing while all
is well. It looks at the database only and trusts nobody's word that work is being done. It changes
nothing but its own alarms: what is late is done by the sweep, the outbox and the duties.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from channels.base import ChannelKind
from warnsvc.clock import WatchedClock
from warnsvc.service.alarm import end_alarm, raise_alarm, say_more
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.service.worker import DEAD_SECONDS
from warnsvc.store.port import Unit
from warnsvc.store.watch import (
    Overdue,
    count_planned,
    count_unknown,
    last_engine_beat,
    oldest_planned,
    overdue,
    paces_and_circuits,
)

log = structlog.get_logger(__name__)

BOUNDS = {
    "bulletin": 2.0,
    "escalation": 2.0,
    "callout": 2.0,
    "inbound": 5.0,
    "lease": 5.0,
    "ledger": 10.0,
    "attempt": 10.0,
    "unknown": 15.0,
    "worker": 10.0,
}
"""What may be due → how many seconds longer than it should. The engine passes once a second and
goals are a second for windows; the others allow for a leader that was killed (LEASE_SECONDS) and
for the batches in which unknowns are looked up."""
PROGRESS_SECONDS = 5.0
"""A carrier's pace row moves with every claim; while it does, what waits behind is only waiting its
turn."""
UNKNOWN_COUNT_MAX = 100
"""So many sends of which nobody knows whether they arrived are for a human to hear of."""
UNKNOWN_SECONDS_MAX = 120.0
"""And so is one that neither a receipt nor a look-up has settled for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something is late. `what` is a key of BOUNDS."""

    what: str
    count: int
    seconds: float
    """How long ago the oldest was due."""


async def audit(ctx: Context) -> list[Finding]:
    """Return what is due and older than its bound, in the order of BOUNDS. Raises StoreFault."""
    async with ctx.store.view() as unit:
        now = ctx.clock.now()
        found = [
            _finding(what, await overdue(unit, what, before=_before(what, now)), now)
            for what in BOUNDS
            if what not in {"attempt", "worker"}
        ]
        found.append(await _unsent(ctx, unit, now))
        found.append(await _unmanned(unit, now))
    return [each for each in found if each is not None]


def _before(what: str, now: datetime) -> datetime:
    return now - timedelta(seconds=BOUNDS[what])


def _finding(what: str, late: Overdue, now: datetime) -> Finding | None:
    if late.oldest_at is None:
        return None
    age = (now - late.oldest_at).total_seconds()
    return Finding(what=what, count=late.count, seconds=age)


async def _unsent(ctx: Context, unit: Unit, now: datetime) -> Finding | None:
    """Look for sends that nobody claims although their carrier could take them."""
    before = _before("attempt", now)
    oldest = {kind.value: await oldest_planned(unit, kind.value) for kind in ChannelKind}
    late = {channel: at for channel, at in oldest.items() if at is not None and at <= before}
    if not late:
        return None
    paces, circuits = await paces_and_circuits(unit)
    moving_since = now - timedelta(seconds=PROGRESS_SECONDS)
    excused = {name for name, next_at in paces.items() if next_at > moving_since}
    excused |= {f"carrier:{name}" for name, state in circuits.items() if state != "closed"}
    stuck = [channel for channel in late if not _names(ctx, channel, excused)]
    if not stuck:
        return None
    count = sum([await count_planned(unit, channel, before=before) for channel in stuck])
    oldest_at = min(late[channel] for channel in stuck)
    return _finding("attempt", Overdue(count=count, oldest_at=oldest_at), now)


def _names(ctx: Context, channel: str, names: set[str]) -> bool:
    """Whether one of these paces is a channel's. Without carriers in the settings any may be."""
    own = {f"carrier:{c.name}" for c in ctx.settings.carriers if c.kind.value == channel}
    return bool(names & own) if own else bool(names)


async def _unmanned(unit: Unit, now: datetime) -> Finding | None:
    """Look for a live engine: without one nothing would be done, also if nothing is due yet."""
    seen_at = await last_engine_beat(unit)
    if seen_at is None:
        return Finding(what="worker", count=1, seconds=BOUNDS["worker"])
    age = (now - seen_at).total_seconds()
    return None if age < BOUNDS["worker"] else Finding(what="worker", count=1, seconds=age)


# Alarms --------------------------------------------------------------------------------------


async def tell_desk(ctx: Context, findings: Sequence[Finding]) -> None:
    """Raise the alarms about what is late and what is unknown, or end them. Raises StoreFault."""
    now = ctx.clock.now()
    late = " ".join(each.what for each in findings)
    async with ctx.store.unit() as unit:
        changed = await _keep(unit, "late", late, now)
        if late and not changed:
            changed = await say_more(unit, "late", late)
        changed |= await _keep(unit, "unknown", _too_many(await count_unknown(unit), now), now)
    if changed:
        await ctx.store.wake(WAKE_BOARD)


def clock_is_wrong(ctx: Context) -> bool:
    """Whether the machine's clock, or the database's, disagrees with our time."""
    return isinstance(ctx.clock, WatchedClock) and bool(ctx.clock.troubles)


async def tell_of_clock(ctx: Context, host: str) -> bool:
    """Raise or end the alarm about this machine's clock; returns whether one is up now."""
    troubles = ctx.clock.troubles if isinstance(ctx.clock, WatchedClock) else ()
    worst = max(troubles, key=lambda trouble: abs(trouble.seconds), default=None)
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        if worst is None:
            changed = await end_alarm(unit, "clock", now=now, subject=host)
        else:
            text = f"{host} {worst.whose} {worst.seconds:+.0f}"
            changed = await raise_alarm(unit, "clock", text, now=now, subject=host)
    if changed:
        log.error("clock.wrong" if worst else "clock.right_again", host=host, clock=worst)
        await ctx.store.wake(WAKE_BOARD)
    return worst is not None


async def _keep(unit: Unit, kind: str, text: str, now: datetime) -> bool:
    if text:
        return await raise_alarm(unit, kind, text, now=now)
    return await end_alarm(unit, kind, now=now)


def _too_many(unknown: Overdue, now: datetime) -> str:
    """Return `count seconds` when a human should hear of it, else nothing."""
    if unknown.oldest_at is None:
        return ""
    age = (now - unknown.oldest_at).total_seconds()
    if unknown.count <= UNKNOWN_COUNT_MAX and age <= UNKNOWN_SECONDS_MAX:
        return ""
    return f"{unknown.count} {int(age)}"


assert BOUNDS["worker"] > DEAD_SECONDS, "a process is not missed before it counts as dead"

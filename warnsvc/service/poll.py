"""What people sent while we were away: carriers that keep replies are asked for them.

    every minute: poll_inbound(since = polled until, less two minutes) ──► the same facts as
    callbacks, the same keys ──► repeats fall together, what was lost is applied

A carrier whose callback met a closed door "logs an error and nothing more is done" (carriers.md
§1.1), so an answer that was given during our outage comes in only this way. No unit is open while a
carrier is asked (law 6), and how far it was asked is written after what it said.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from channels.base import Channel, Fetched, InboundEvent
from warnsvc.service.alarm import end_alarm, raise_alarm
from warnsvc.service.context import WAKE_BOARD, WAKE_FACTS, Context
from warnsvc.service.intake import BATCH_MAX, answer_fact, named_test
from warnsvc.service.test_word import take_words
from warnsvc.store.carrier import Polled, load_polled, save_polled
from warnsvc.store.inbound import insert_inbound, without_known

log = structlog.get_logger(__name__)

POLL_SECONDS = 60
"""A fifth of a window: what callbacks lost still counts in time."""
OVERLAP = timedelta(minutes=2)
"""Carriers' clocks differ from ours, and their lists lag behind their callbacks."""
FIRST = timedelta(hours=1)
"""How far back a carrier is asked that was never asked before."""
ALARM = "poll"
"""The kind of alarm about replies that a carrier has and cannot be asked for."""


async def poll_carriers(ctx: Context, *, own: Context | None = None) -> int:
    """Ask every carrier whose turn it is; returns how many events they told.

    `ctx` may be fenced. `own` writes what was told: an answer that we hold is an answer, whoever
    leads by then. Two who ask at once are told the same facts, which fall together.
    """
    told = 0
    for name, channel in ctx.fleet.channels.items():
        if not channel.capabilities.can_poll:
            continue
        async with ctx.store.view() as view:
            before = (await load_polled(view, [name])).get(name)
        now = ctx.clock.now()
        if before is None or now - before.asked_at >= timedelta(seconds=POLL_SECONDS):
            told += await _poll(own or ctx, channel, before, now)
    return told


async def _poll(ctx: Context, channel: Channel, before: Polled | None, now: datetime) -> int:
    """Ask one carrier. One that does not answer is asked again from the same instant."""
    since = before.until - OVERLAP if before else now - FIRST
    try:
        fetched = await channel.poll_inbound(since)
    except Exception:
        log.exception("poll.adapter_failed", carrier=channel.name)
        return 0
    if fetched is None:
        log.warning("poll.no_answer", carrier=channel.name)
        return 0
    await _keep(ctx, channel, fetched.events, now)
    await _note(ctx, channel, fetched, before.until if before else since, now)
    return len(fetched.events)


async def _note(
    ctx: Context, channel: Channel, fetched: Fetched, known: datetime, now: datetime
) -> None:
    """Write down up to when nothing is missing: never further than the carrier could tell.

    Where it came no further than we were, replies stay where they are: somebody must look.
    """
    until = now if fetched.until is None else min(fetched.until, now)
    came_further = until > known or fetched.until is None
    async with ctx.store.unit() as unit:
        polled = Polled(carrier=channel.name, until=max(until, known), asked_at=now)
        await save_polled(unit, polled)
        if came_further:
            changed = await end_alarm(unit, ALARM, now=now, subject=channel.name)
        else:
            log.error("poll.too_much_to_read", carrier=channel.name)
            changed = await raise_alarm(unit, ALARM, channel.name, now=now, subject=channel.name)
    if changed:
        await ctx.store.wake(WAKE_BOARD)


async def _keep(
    ctx: Context, channel: Channel, events: Sequence[InboundEvent], now: datetime
) -> None:
    tests = [(i, e) for e in events if (i := named_test(ctx, e.token)) is not None]
    about_tests = {id(event) for _, event in tests}
    facts = [answer_fact(ctx, channel, e, now) for e in events if id(e) not in about_tests]
    if tests:
        await take_words(ctx, channel, tests)
    async with ctx.store.view() as view:
        news = await without_known(view, facts)
    for first in range(0, len(news), BATCH_MAX):
        async with ctx.store.unit() as unit:
            await insert_inbound(unit, news[first : first + BATCH_MAX])
        await ctx.store.wake(WAKE_FACTS)
    if news:
        log.warning("poll.fetched_what_was_lost", carrier=channel.name, facts=len(news))

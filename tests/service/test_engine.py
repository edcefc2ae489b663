"""The engine as it really runs: its loops, its wake-ups, its end."""

import asyncio

import pytest
from structlog.typing import EventDict

from channels.base import SendRequest
from tests.fakes.county import County
from warnsvc.service.context import WAKE_FACTS

SECONDS_MAX = 20.0
"""After that nothing will happen any more."""


async def test_a_warning_is_sent_answered_and_closed_by_wake_ups_alone(county: County) -> None:
    one, other = county.villages
    both_sent = asyncio.Event()

    async def count(_: SendRequest) -> None:
        if len(county.sms.tries) == 2:
            both_sent.set()

    county.sms.before_send = count
    running = asyncio.create_task(county.engine.run())
    try:
        async with asyncio.timeout(SECONDS_MAX), county.store.listen() as topics:
            warning = await county.release(await county.signed())
            await both_sent.wait()
            one.expects_sms().replies("1")
            other.expects_sms().replies("1")
            await county.take_mail()
            await county.store.wake(WAKE_FACTS)
            while await warning.states() != {"answered": 2}:
                await anext(topics)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert county.outbox.in_flight == 0
    await county.finish()


async def test_it_ends_when_its_outbox_fails(
    county: County, monkeypatch: pytest.MonkeyPatch, logs: list[EventDict]
) -> None:
    """Half an engine must not look alive."""

    async def broken() -> int:
        raise RuntimeError("a mistake in the outbox")

    monkeypatch.setattr(county.outbox, "claim", broken)

    async with asyncio.timeout(SECONDS_MAX):
        with pytest.raises(ExceptionGroup, match="unhandled errors"):
            await county.engine.run()


async def test_what_stays_due_does_not_hurry_it(county: County) -> None:
    """An unknown that is being looked up is due all the while."""
    await county.red_warning()
    async with county.store.unit() as unit:
        await unit.execute("UPDATE attempt SET state = 'unknown', due_at = $1", county.clock.now())
    began_at = county.clock.now()

    assert await county.engine._pause(began_at) == 1.0
    county.clock.move(seconds=-1)
    assert await county.engine._pause(county.clock.now()) == 1.0


async def test_it_sleeps_until_the_next_deadline(county: County) -> None:
    await county.red_warning()
    county.clock.move(seconds=99.75)

    assert await county.engine._pause(county.clock.now()) == 0.25


async def test_a_send_that_waits_to_be_looked_up_hides_no_round(county: County) -> None:
    """Found by `python -m tests.sim --seeds 62:63 --scenario long_outage`: a second late."""
    await county.red_warning()
    async with county.store.unit() as unit:
        await unit.execute("UPDATE attempt SET state = 'unknown', due_at = $1", county.clock.now())
    county.clock.move(seconds=99.75)

    assert await county.engine._pause(county.clock.now()) == 0.25

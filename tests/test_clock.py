"""The machine's clock and the one that tests move."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.fakes.clock import START, ManualClock
from warnsvc.clock import Clock, SystemClock


def test_the_system_clock_tells_aware_utc() -> None:
    now = SystemClock().now()

    assert now.tzinfo is UTC


async def test_the_system_clock_returns_at_once_when_the_instant_has_passed() -> None:
    clock = SystemClock()

    await clock.sleep_until(clock.now() - timedelta(hours=1))

    assert clock.now() > START


async def test_sleepers_wake_in_order_and_see_their_own_instant() -> None:
    clock = ManualClock()
    seen: list[tuple[str, datetime]] = []

    async def sleep(name: str, minutes: int) -> None:
        await clock.sleep_until(START + timedelta(minutes=minutes))
        seen.append((name, clock.now()))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleep("second tier", 10))
        tasks.create_task(sleep("first tier", 5))
        tasks.create_task(sleep("tomorrow", 24 * 60))
        await clock.advance(minutes=15)
        woken = list(seen)
        await clock.advance(hours=24)

    assert woken == [
        ("first tier", START + timedelta(minutes=5)),
        ("second tier", START + timedelta(minutes=10)),
    ]
    assert [name for name, _ in seen] == ["first tier", "second tier", "tomorrow"]


async def test_a_sleeper_that_lies_down_again_is_woken_twice_in_one_advance() -> None:
    clock = ManualClock()
    ticks: list[datetime] = []

    async def tick() -> None:
        for minute in (1, 2, 3):
            await clock.sleep_until(START + timedelta(minutes=minute))
            ticks.append(clock.now())

    task = asyncio.create_task(tick())
    await clock.advance(minutes=3)
    await task

    assert ticks == [START + timedelta(minutes=minute) for minute in (1, 2, 3)]


async def test_a_cancelled_sleeper_does_not_stop_the_clock() -> None:
    clock: ManualClock = ManualClock()
    task = asyncio.create_task(clock.sleep_until(START + timedelta(minutes=1)))
    await asyncio.sleep(0)
    task.cancel()

    await clock.advance(minutes=2)

    assert clock.now() == START + timedelta(minutes=2)
    assert task.cancelled()


def test_both_clocks_are_clocks() -> None:
    clocks: list[Clock] = [SystemClock(), ManualClock()]

    assert all(clock.now().utcoffset() == timedelta(0) for clock in clocks)

"""The virtual loop: time jumps, order is seeded, and standing still is an error."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from tests.sim.loop import START, Deadlock, Livelock, VirtualLoop

_ORDER = "from tests.sim.test_loop import order_of_seed; print(order_of_seed(7))"


def order_of_seed(seed: int) -> list[str]:
    """Return the order in which eight tasks took their turns, and when."""
    loop, seen = VirtualLoop(seed), []

    async def walker(name: str) -> None:
        for step in range(3):
            await asyncio.sleep(step % 2)
            seen.append(f"{name}{step}@{loop.time()}")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for name in "abcdefgh":
                group.create_task(walker(name))

    loop.run(main())
    return seen


def test_a_day_passes_at_once() -> None:
    loop = VirtualLoop()

    async def main() -> None:
        await asyncio.sleep(86_400)

    began = time.process_time()
    loop.run(main())

    assert loop.microseconds == 86_400_000_000
    assert time.process_time() - began < 5  # An hour would do as well: it did not wait.


def test_the_clock_is_exact_and_aware() -> None:
    loop = VirtualLoop()
    instant = START + timedelta(hours=3, microseconds=7)

    async def main() -> None:
        for _ in range(30):
            await asyncio.sleep(0.1)
        assert loop.clock.now() == START + timedelta(seconds=3)
        await loop.clock.sleep_until(instant)
        assert loop.clock.now() == instant
        await loop.clock.sleep_until(START)
        assert loop.clock.now() == instant

    loop.run(main())


def test_a_seed_is_an_order() -> None:
    orders = {seed: order_of_seed(seed) for seed in range(5)}

    assert order_of_seed(3) == orders[3]
    assert len({tuple(order) for order in orders.values()}) == 5


def test_the_order_depends_on_neither_process_nor_hash_seed() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", _ORDER],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("0", "1", "4711")
    }

    assert said == {str(order_of_seed(7))}


def test_steps_of_one_task_keep_their_order() -> None:
    for seed in range(20):
        order = [name.partition("@")[0] for name in order_of_seed(seed)]

        for name in "abcdefgh":
            assert [s for s in order if s[0] == name] == [f"{name}{n}" for n in range(3)]


def test_waiting_for_nothing_is_a_deadlock_that_names_who_waits() -> None:
    loop = VirtualLoop()

    async def lost() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.create_task(lost(), name="the lost one")

    with pytest.raises(Deadlock, match=r"the lost one waits in .*test_loop\.py"):
        loop.run(main())
    assert loop.is_closed()


def test_turning_in_circles_is_a_livelock_that_names_who_turns() -> None:
    loop = VirtualLoop()

    async def circle() -> None:
        while True:
            await asyncio.sleep(0)

    async def main() -> None:
        asyncio.create_task(circle(), name="the dancer")  # noqa: RUF006 - the loop cancels it
        await asyncio.sleep(1)

    with pytest.raises(Livelock, match="the dancer"):
        loop.run(main())


def test_what_is_left_is_cancelled_and_heard_out() -> None:
    loop, heard = VirtualLoop(), []

    async def left() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(1)
            heard.append(loop.time())

    async def main() -> str:
        asyncio.create_task(left())  # noqa: RUF006 - that it is left is the point
        await asyncio.sleep(5)
        return "done"

    assert loop.run(main()) == "done"
    assert heard == [6.0]
    assert loop.is_closed()


def test_timeouts_and_cancelled_timers_do_not_move_time() -> None:
    loop = VirtualLoop()

    async def main() -> None:
        for _ in range(1000):
            await asyncio.wait_for(asyncio.sleep(0), 60)
        assert loop.time() == 0
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 60)
        assert loop.time() == 60

    loop.run(main())


def test_threads_are_refused() -> None:
    async def main() -> None:
        await asyncio.to_thread(print)

    with pytest.raises(RuntimeError, match="no threads"):
        VirtualLoop().run(main())


def test_time_stands_still_while_something_real_is_under_way() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = VirtualLoop()

    async def main() -> None:
        alarm = asyncio.create_task(asyncio.sleep(10))
        with loop.outside():
            loop.call_soon(theirs.send, b"x")
            assert await loop.sock_recv(ours, 1) == b"x"
            assert loop.time() == 0
            assert not alarm.done()
        await alarm
        assert loop.time() == 10

    loop.run(main())
    ours.close()
    theirs.close()

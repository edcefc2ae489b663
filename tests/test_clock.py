"""The machine's clock, kept steady, and the one that tests move."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import START, ManualClock
from warnsvc.clock import (
    SLEW_EVERY_SECONDS,
    SLEW_SHARE,
    Clock,
    ClockTrouble,
    SystemClock,
    WatchedClock,
)

NOON = START.timestamp()
HOUR = 3600.0


class Machine:
    """A machine whose wall clock can be set."""

    def __init__(self) -> None:
        self.wall = NOON
        self.steady = 1000.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def clock(self) -> SystemClock:
        return SystemClock(wall=lambda: self.wall, steady=lambda: self.steady)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def seconds(clock: Clock) -> float:
    """How long after noon it is."""
    return (clock.now() - START).total_seconds()


def test_the_system_clock_tells_aware_utc() -> None:
    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=2)


@pytest.mark.parametrize("step", [HOUR, -2 * HOUR, -NOON, 2.5])
def test_a_clock_that_is_set_does_not_move_our_time(machine: Machine, step: float) -> None:
    clock = machine.clock()
    machine.pass_(10)

    machine.wall += step

    assert seconds(clock) == 10
    assert clock.troubles == (ClockTrouble(whose="machine", seconds=step),)
    machine.pass_(300)
    assert seconds(clock) == 310
    assert clock.troubles == (ClockTrouble(whose="machine", seconds=step),)


def test_a_clock_that_is_set_right_again_is_no_trouble(machine: Machine) -> None:
    clock = machine.clock()
    machine.wall += HOUR
    assert clock.troubles

    machine.wall -= HOUR

    assert clock.troubles == ()


def test_a_small_correction_is_followed_slowly(machine: Machine) -> None:
    clock = machine.clock()
    machine.wall += 1.0

    machine.pass_(50)
    assert seconds(clock) == pytest.approx(50.5)
    machine.pass_(50)
    assert seconds(clock) == pytest.approx(101)
    machine.pass_(50)

    assert seconds(clock) == pytest.approx(151)
    assert clock.troubles == ()


def test_a_machine_that_slept_finds_the_time_gone(machine: Machine) -> None:
    """The steady clock counts what was slept through, so nothing has been set."""
    clock = machine.clock()

    machine.pass_(8 * HOUR)

    assert seconds(clock) == 8 * HOUR
    assert clock.troubles == ()


@given(
    moves=st.lists(
        st.tuples(st.floats(0, 100), st.floats(-10_000, 10_000), st.floats(-3, 3)), max_size=20
    )
)
def test_time_never_goes_back_and_never_runs(moves: list[tuple[float, float, float]]) -> None:
    machine = Machine()
    clock = machine.clock()
    clock.start_at(START)
    before = clock.now()

    for passed, step, drift in moves:
        machine.pass_(passed)
        machine.wall += step
        clock.follow(before + timedelta(seconds=passed + drift))
        now = clock.now()

        most = passed * (1 + SLEW_SHARE) + SLEW_EVERY_SECONDS * SLEW_SHARE
        assert timedelta(0) <= now - before <= timedelta(seconds=most + 1e-5)
        before = now


def test_workers_on_two_machines_agree_with_the_database(machine: Machine) -> None:
    """One machine is ten minutes slow, the other a second fast."""
    slow, fast = Machine(), Machine()
    slow.wall -= 600
    fast.wall += 1
    clocks = [slow.clock(), fast.clock()]

    for clock in clocks:
        clock.start_at(START)

    assert [seconds(clock) for clock in clocks] == [0, 0]
    (trouble,) = clocks[0].troubles
    assert (trouble.whose, trouble.seconds) == ("machine", -600)
    assert clocks[1].troubles == ()


def test_the_databases_drift_is_followed_and_its_step_is_not(machine: Machine) -> None:
    clock = machine.clock()
    clock.start_at(START)
    machine.pass_(10)
    clock.follow(START + timedelta(seconds=10.1))
    machine.pass_(10)
    assert seconds(clock) == pytest.approx(20.1)

    clock.follow(START + timedelta(hours=1))
    machine.pass_(10)

    assert seconds(clock) == pytest.approx(30.1)
    (trouble,) = clock.troubles
    assert trouble.whose == "database"
    assert trouble.seconds == pytest.approx(HOUR - 20.1)


def test_time_does_not_run_backwards_across_a_restart(machine: Machine) -> None:
    """The clock was set back while we were down: time goes on where the database left it."""
    machine.wall -= HOUR
    clock = machine.clock()

    clock.never_before(START)

    assert seconds(clock) == 0
    machine.pass_(60)
    assert seconds(clock) == 60
    (trouble,) = clock.troubles
    assert trouble.seconds == -HOUR


def test_a_clock_that_was_behind_at_start_is_believed_when_it_is_set_right(
    machine: Machine,
) -> None:
    """A board without a battery wakes in 1970 and hears of NTP a minute later."""
    machine.wall = 0.0
    clock = machine.clock()
    clock.never_before(START)
    machine.pass_(60)

    machine.wall = NOON + 8 * HOUR

    assert seconds(clock) == 8 * HOUR
    assert clock.troubles == ()
    machine.wall += HOUR
    assert seconds(clock) == 8 * HOUR  # once it is right, it is held like any other


def test_an_older_ledger_moves_nothing(machine: Machine) -> None:
    clock = machine.clock()

    clock.never_before(START - timedelta(days=1))

    assert seconds(clock) == 0
    assert clock.troubles == ()


def test_a_ledger_a_moment_ahead_is_no_trouble(machine: Machine) -> None:
    clock = machine.clock()

    clock.never_before(START + timedelta(seconds=1))

    assert seconds(clock) == 1
    assert clock.troubles == ()


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


def test_only_the_systems_clock_can_be_wrong() -> None:
    assert isinstance(SystemClock(), WatchedClock)
    assert not isinstance(ManualClock(), WatchedClock)

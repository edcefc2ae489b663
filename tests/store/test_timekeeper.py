"""Whose clock our time follows, on both databases."""

from datetime import UTC, datetime, timedelta

from tests.fakes.clock import START, ManualClock
from warnsvc.clock import SystemClock
from warnsvc.core.ledger import Line
from warnsvc.service.timekeeper import keep_time, measure, start_time
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Store


def _clock(wall: datetime) -> SystemClock:
    return SystemClock(wall=lambda: wall.timestamp())


async def test_the_databases_clock_is_the_one_that_is_followed(store: Store, backend: str) -> None:
    """This machine is an hour fast, and on PostgreSQL that is no matter."""
    machine = datetime.now(UTC) + timedelta(hours=1)
    clock = _clock(machine)

    await start_time(store, clock)

    ahead = clock.now() - datetime.now(UTC)
    if backend == "postgresql":
        assert abs(ahead) < timedelta(seconds=2)
        assert [trouble.whose for trouble in clock.troubles] == ["machine"]
    else:
        assert ahead > timedelta(minutes=59)


async def test_a_measurement_is_the_databases_time(store: Store, backend: str) -> None:
    before = datetime.now(UTC)

    at = await measure(store)

    if backend == "sqlite":
        assert at is None
    else:
        assert at is not None
        slack = timedelta(milliseconds=500)
        assert before - slack <= at <= datetime.now(UTC) + slack


async def test_time_starts_no_earlier_than_the_ledger(store: Store) -> None:
    newest = datetime.now(UTC) + timedelta(minutes=30)
    async with store.unit() as unit:
        await append_lines(unit, [Line(act="bulletin.released")], now=newest)
        await append_lines(unit, [Line(act="bulletin.lifted")], now=START)
    clock = _clock(datetime.now(UTC))

    await start_time(store, clock)

    assert newest <= clock.now() < newest + timedelta(seconds=5)
    assert clock.troubles


async def test_a_clock_that_tests_move_is_left_alone(store: Store) -> None:
    clock = ManualClock()

    await start_time(store, clock)
    await keep_time(store, clock)

    assert clock.now() == START

"""Pace: no second ever holds more than its share, however the takers take turns."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from warnsvc.core.pace import (
    AHEAD_SECONDS,
    CALM_SECONDS,
    FACTOR_MIN,
    Bucket,
    CalleeLimit,
    callee_due,
    open_units,
    opens_at,
    take,
    throttled,
)

NOW = datetime(2026, 7, 5, 6, 30, tzinfo=UTC)


def bucket(per_second: float = 10.0, name: str = "carrier:sms") -> Bucket:
    return Bucket(name=name, per_second=per_second, next_at=NOW)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_full_bucket_gives_half_a_second_and_no_more() -> None:
    assert open_units([bucket()], NOW) == 6

    _, (used,) = take([bucket()], [1] * 6, NOW)

    assert open_units([used], NOW) == 0
    assert opens_at([used], NOW) == after(0.1)
    assert open_units([used], after(0.1)) == 1


def test_slots_are_a_tenth_of_a_second_apart_at_ten_a_second() -> None:
    slots, (used,) = take([bucket()], [1, 1, 1], NOW)

    assert slots == [NOW, after(0.1), after(0.2)]
    assert used.next_at == after(0.3)


def test_a_long_text_takes_the_time_of_its_parts() -> None:
    slots, (used,) = take([bucket()], [3, 1], NOW)

    assert slots == [NOW, after(0.3)]
    assert used.next_at == after(0.4)


def test_an_idle_bucket_saves_nothing_up() -> None:
    slots, _ = take([bucket()], [1, 1], after(3600))

    assert slots == [after(3600), after(3600.1)]


def test_of_two_paces_the_slower_one_counts() -> None:
    slots, used = take([bucket(10), bucket(2, "sender:1")], [1, 1], NOW)

    assert slots == [NOW, after(0.5)]
    assert {b.name: b.next_at for b in used} == {"carrier:sms": after(0.6), "sender:1": after(1)}
    assert open_units([bucket(10), bucket(2, "sender:1")], NOW) == 2


@given(
    rate=st.sampled_from([0.5, 1.0, 7.0, 50.0, 400.0]),
    turns=st.lists(st.tuples(st.floats(0.0, 2.0), st.integers(1, 60)), min_size=1, max_size=25),
    weight=st.integers(1, 4),
)
def test_no_second_holds_more_than_its_share(
    rate: float, turns: list[tuple[float, int]], weight: int
) -> None:
    held, now, starts = bucket(rate), NOW, []
    for pause, wanted in turns:
        now += timedelta(seconds=pause)
        units = min(open_units([held], now), wanted)
        if not units:
            continue
        slots, (held,) = take([held], [weight] * units, now)
        starts += slots

    assert starts == sorted(starts)
    for n, first in enumerate(starts):
        inside = [s for s in starts[n:] if s < first + timedelta(seconds=1)]
        assert (len(inside) - 1) * weight <= rate + 1e-3


@given(rate=st.floats(0.1, 5000.0), seconds=st.floats(0.0, 10.0))
def test_when_it_says_it_opens_it_is_open(rate: float, seconds: float) -> None:
    held = replace(bucket(rate), next_at=after(seconds))

    at = opens_at([held], NOW)

    assert open_units([held], max(at, NOW)) >= 1
    assert at <= after(seconds) - timedelta(seconds=AHEAD_SECONDS) + timedelta(microseconds=1)


def test_too_fast_halves_the_pace_and_pauses_as_long_as_was_asked() -> None:
    slower = throttled(bucket(), NOW, retry_after=4.0)

    assert slower.next_at == after(4)
    assert slower.rate(NOW) == 5.0
    assert open_units([slower], after(1)) == 0


def test_a_burst_of_refusals_halves_it_once() -> None:
    held = bucket()
    for n in range(20):
        held = throttled(held, after(n * 0.01), retry_after=1.0)

    assert held.factor == 0.5


def test_it_never_gives_up_and_dares_more_when_it_is_calm() -> None:
    held = bucket()
    for n in range(20):
        held = throttled(held, after(2 * n), retry_after=0.0)
    last = after(38)

    assert held.factor_at(last) == FACTOR_MIN
    assert held.factor_at(last + timedelta(seconds=CALM_SECONDS)) == FACTOR_MIN
    assert FACTOR_MIN < held.factor_at(last + timedelta(seconds=20)) < 1.0
    assert held.factor_at(last + timedelta(seconds=60)) == 1.0


VOICE = (
    CalleeLimit(count=1, seconds=60),
    CalleeLimit(count=5, seconds=3600),
    CalleeLimit(count=20, seconds=86_400, hard=True),
)


def test_one_call_a_minute_and_five_an_hour() -> None:
    assert callee_due([], VOICE, NOW, urgent=False) == NOW
    assert callee_due([after(-30)], VOICE, NOW, urgent=False) == after(30)
    five = [after(-60 * n) for n in range(1, 6)]
    assert callee_due(five, VOICE, NOW, urgent=False) == after(3300)


def test_a_red_warning_passes_courtesy_but_not_what_the_carrier_would_refuse() -> None:
    twenty = [after(-600 * n) for n in range(1, 21)]

    assert callee_due(twenty[:19], VOICE, NOW, urgent=True) == NOW
    assert callee_due(twenty, VOICE, NOW, urgent=True) == after(86_400 - 12_000)

"""The circuit: a carrier that does not answer is left alone, and asked again soon."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from warnsvc.core.circuit import (
    FAILURES_MAX,
    FULL_SECONDS,
    PAUSE_SECONDS,
    PAUSE_SECONDS_MAX,
    PROBE_SECONDS,
    PROBES,
    Circuit,
    CircuitState,
    Told,
    decide,
    probing,
)

NOW = datetime(2026, 7, 5, 6, 30, tzinfo=UTC)
CLOSED = Circuit(name="sms", changed_at=NOW)
OK = (Told.ANSWERED, "")
DOWN = (Told.FAILED, "no connection")


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_few_failures_among_answers_leave_it_closed() -> None:
    told = ([DOWN] * (FAILURES_MAX - 1) + [OK]) * 3

    assert decide(CLOSED, told, NOW).state is CircuitState.CLOSED


def test_five_in_a_row_open_it_and_nothing_may_be_sent() -> None:
    opened = decide(CLOSED, [DOWN] * FAILURES_MAX, NOW)

    assert opened.state is CircuitState.OPEN
    assert opened.last_error == "no connection"
    assert opened.may_send(NOW) == 0
    assert opened.may_send(after(PAUSE_SECONDS)) == PROBES


FULL = (Told.TOO_FAST, "429 too fast")


def test_one_that_is_too_busy_for_a_moment_is_waited_for() -> None:
    busy = decide(decide(CLOSED, [OK], NOW), [FULL] * 50, after(1))

    assert busy.state is CircuitState.CLOSED
    assert decide(busy, [OK, FULL], after(1 + FULL_SECONDS)).state is CircuitState.CLOSED
    assert decide(busy, [FULL], after(1 + FULL_SECONDS)).state is CircuitState.OPEN


def test_one_that_has_room_for_nobody_for_long_does_not_work() -> None:
    busy = CLOSED
    for second in range(int(FULL_SECONDS)):
        busy = decide(busy, [FULL], after(second))
        assert busy.state is CircuitState.CLOSED

    full = decide(busy, [FULL], after(FULL_SECONDS))

    assert full.state is CircuitState.OPEN
    assert full.last_error == "429 too fast"


def test_an_idle_hour_is_no_time_without_room() -> None:
    idle = decide(CLOSED, [OK], NOW)

    assert decide(idle, [FULL] * 20, after(3_600)).state is CircuitState.CLOSED


def test_a_probe_that_finds_no_room_leaves_it_open() -> None:
    opened = decide(CLOSED, [DOWN] * FAILURES_MAX, NOW)

    again = decide(probing(opened, after(2)), [FULL], after(3))

    assert again.state is CircuitState.OPEN
    assert again.may_send(after(3 + PAUSE_SECONDS * 2)) == PROBES


def test_a_refused_account_opens_it_at_once() -> None:
    opened = decide(CLOSED, [(Told.REFUSED_US, "401 bad secret")], NOW)

    assert opened.state is CircuitState.OPEN


def test_only_one_probe_is_under_way_and_a_lost_one_is_repeated() -> None:
    probe = probing(decide(CLOSED, [DOWN] * FAILURES_MAX, NOW), after(2))

    assert probe.may_send(after(3)) == 0
    assert probe.may_send(after(2 + PROBE_SECONDS)) == PROBES


def test_an_answered_probe_closes_it_and_forgets() -> None:
    opened = decide(CLOSED, [DOWN] * FAILURES_MAX, NOW)

    closed = decide(probing(opened, after(2)), [OK], after(3))

    assert closed.state is CircuitState.CLOSED
    assert (closed.failures, closed.openings, closed.probe_at) == (0, 0, None)
    assert closed.may_send(after(3)) is None


def test_each_failed_probe_waits_longer_up_to_a_bound() -> None:
    circuit, now, pauses = decide(CLOSED, [DOWN] * FAILURES_MAX, NOW), NOW, []
    for _ in range(8):
        assert circuit.probe_at is not None
        pauses.append((circuit.probe_at - now).total_seconds())
        now = circuit.probe_at
        circuit = decide(probing(circuit, now), [DOWN], now)

    assert pauses[:4] == [2.0, 4.0, 8.0, 16.0]
    assert set(pauses[4:]) == {PAUSE_SECONDS_MAX}


def test_what_was_sent_before_it_opened_does_not_prolong_it() -> None:
    opened = decide(CLOSED, [DOWN] * FAILURES_MAX, NOW)

    later = decide(opened, [DOWN] * 100, after(1))

    assert later.probe_at == opened.probe_at


@given(st.lists(st.sampled_from([OK, DOWN, (Told.REFUSED_US, "401")]), max_size=60))
def test_it_is_never_shut_for_good(told: list[tuple[Told, str]]) -> None:
    circuit = decide(CLOSED, told, NOW)

    assert (circuit.probe_at is None) == (circuit.state is CircuitState.CLOSED)
    assert circuit.may_send(after(PAUSE_SECONDS_MAX)) != 0

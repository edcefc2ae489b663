"""The small parts of the simulator: time, chance, knobs, shelves, the command line."""

import asyncio
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.simulator.__main__ import _arguments, config_from
from channels.simulator.behaviour import Behaviour, as_dict, changed
from channels.simulator.dice import Dice
from channels.simulator.habit import HABITS, habit_of
from channels.simulator.handset import HANDSETS_MAX, Shelf
from channels.simulator.hook import AnswersBy
from channels.simulator.timeline import ManualTimeline, RealTimeline

START = datetime(2025, 7, 11, 6, 0, tzinfo=UTC)


async def test_virtual_time_runs_what_is_due_in_order_at_its_own_instant() -> None:
    passed: list[datetime] = []
    timeline = ManualTimeline(START, moved=passed.append)
    seen: list[tuple[str, float]] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: seen.append((name, timeline.now() - START.timestamp()))

    timeline.after(5, note("b"))
    timeline.after(2, note("a"))
    timeline.after(5, note("c"))
    timeline.after(11, note("later"))
    await timeline.advance(10)

    assert seen == [("a", 2), ("b", 5), ("c", 5)]
    assert passed == [START + timedelta(seconds=s) for s in (2, 5, 10)]
    assert timeline.next_due() == START.timestamp() + 11


async def test_virtual_time_runs_what_falls_due_because_of_something_else() -> None:
    timeline = ManualTimeline(START)
    seen: list[int] = []

    def again(depth: int) -> None:
        seen.append(depth)
        timeline.after(1, lambda: again(depth + 1))

    timeline.after(1, lambda: again(1))
    await timeline.advance(4)

    assert seen == [1, 2, 3, 4]


async def test_real_time_is_pumped_by_one_timer() -> None:
    now = 1000.0
    timeline = RealTimeline(clock=lambda: now)
    done = asyncio.Event()
    seen: list[str] = []

    async def work() -> None:
        seen.append("work")
        done.set()

    def broken() -> None:
        seen.append("broken")
        raise ValueError("on purpose")

    timeline.at(1000.0, broken)
    timeline.at(999.0, lambda: seen.append("late"))
    timeline.at(1000.0, work)
    timeline.at(5000.0, lambda: seen.append("never"))
    async with asyncio.timeout(5):
        await done.wait()
    await timeline.close()

    assert seen == ["late", "broken", "work"]


async def test_closing_wakes_whoever_sleeps() -> None:
    timeline = ManualTimeline(START)
    sleeper = asyncio.create_task(timeline.sleep(3600))
    await asyncio.sleep(0)

    await timeline.close()

    with pytest.raises(asyncio.CancelledError):
        await sleeper


@given(st.integers(min_value=-(2**60), max_value=2**60), st.text())
def test_a_roll_depends_on_the_seed_and_the_question_alone(seed: int, question: str) -> None:
    question = question.encode("utf-8", "ignore").decode()
    assert Dice(seed).roll(question) == Dice(seed).roll(question)
    assert 0.0 <= Dice(seed).roll(question) < 1.0


def test_chance_and_durations_are_what_they_say() -> None:
    dice = Dice(7)
    happened = sum(dice.happens(0.3, "x", n) for n in range(10_000))
    seconds = sorted(dice.duration(10.0, 0.4, "y", n) for n in range(10_000))

    assert 2_800 < happened < 3_200
    assert seconds[5_000] == pytest.approx(10.0, rel=0.05)
    assert not dice.happens(0.0, "x")
    assert dice.happens(1.0, "x")
    assert dice.duration(10.0, 0.0, "z") == 10.0


def test_the_seed_deals_every_habit_by_its_share() -> None:
    dealt = [habit_of(Dice(7), f"+86139{n:08d}").name for n in range(20_000)]

    total = sum(habit.share for habit in HABITS)
    for habit in HABITS:
        assert dealt.count(habit.name) / 20_000 == pytest.approx(habit.share / total, abs=0.01)
    assert dealt != [habit_of(Dice(8), f"+86139{n:08d}").name for n in range(20_000)]


def test_knobs_keep_their_kind_and_their_bounds() -> None:
    assert changed(Behaviour(), {"lines": 5, "crowd": True, "quiet_words": ["x"]}) == Behaviour(
        lines=5, crowd=True, quiet_words=("x",)
    )
    for nonsense in (
        {"lines": -1},
        {"lines": True},
        {"lines": "5"},
        {"crowd": 1},
        {"quiet_words": "解除"},
        {"lose_request": 1.5},
        {"lose_request": float("nan")},
        {"crowd_speed": 0},
        {"no_such_knob": 1},
    ):
        with pytest.raises(ValueError, match=r"."):
            changed(Behaviour(), nonsense)


def test_every_knob_can_be_read_and_set_to_what_it_is() -> None:
    assert changed(Behaviour(), as_dict(Behaviour())) == Behaviour()


def test_the_shelf_lets_the_oldest_phones_go(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HANDSETS_MAX >= 100_000
    monkeypatch.setattr("channels.simulator.handset.HANDSETS_MAX", 3)
    shelf = Shelf()

    for number in "abcde":
        shelf.touch(shelf.get(number), 1.0)

    assert [handset.number for handset in shelf.newest_first()] == ["e", "d", "c"]


def test_the_command_line_makes_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("new\nold\n")
    file = str(tmp_path / "secret")
    given: Namespace = _arguments().parse_args(
        [
            *("--secret-file", file, "--hook-secret-file", file, "--hook", "siren=callback"),
            *("--sender", "1069", "--seed", "11", "--no-receipts"),
        ]
    )

    config = config_from(given)

    assert config.accounts[0].secrets == ("new", "old")
    assert config.accounts[0].senders == ("1069",)
    assert (config.hooks[0].name, config.hooks[0].answers_by) == ("siren", AnswersBy.CALLBACK)
    assert (config.seed, config.behaviour.receipts) == (11, False)
    assert "new" not in repr(config)


def test_a_secret_file_without_a_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n \n")

    with pytest.raises(SystemExit, match="no secret"):
        config_from(_arguments().parse_args(["--secret-file", str(tmp_path / "secret")]))

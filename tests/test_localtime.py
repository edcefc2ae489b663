"""Instants as the desk reads and writes them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from warnsvc.localtime import LocalTime, duration

AFTERNOON = datetime(2026, 7, 5, 6, 30, 9, tzinfo=UTC)


def test_beijing_time_is_named_in_both_languages() -> None:
    local = LocalTime(ZoneInfo("Asia/Shanghai"))

    assert local.full(AFTERNOON) == "2026年7月5日 14:30（北京时间）"
    assert local.full(AFTERNOON, "en") == "5 Jul 2026, 14:30 (Beijing time)"


def test_in_urumqi_it_is_two_hours_earlier_and_says_so() -> None:
    local = LocalTime(ZoneInfo("Asia/Urumqi"))

    assert local.full(AFTERNOON) == "2026年7月5日 12:30（新疆时间）"
    assert local.full(AFTERNOON, "en") == "5 Jul 2026, 12:30 (Xinjiang time)"


def test_any_other_zone_is_named_by_its_distance_from_utc() -> None:
    local = LocalTime(ZoneInfo("Asia/Kathmandu"))

    assert local.full(AFTERNOON, "en") == "5 Jul 2026, 12:15 (UTC+05:45)"


def test_lists_and_timelines_are_shorter() -> None:
    local = LocalTime(ZoneInfo("Asia/Shanghai"))

    assert local.short(AFTERNOON) == "7月5日 14:30"
    assert local.short(AFTERNOON, "en") == "5 Jul, 14:30"
    assert local.date_time(AFTERNOON) == "2026年7月5日 14:30"
    assert local.clock(AFTERNOON) == "14:30:09"


def test_a_form_gives_back_what_it_was_filled_with() -> None:
    local = LocalTime(ZoneInfo("Asia/Shanghai"))

    assert local.form(AFTERNOON) == "2026-07-05T14:30"
    assert local.read_local("2026-07-05T14:30") == AFTERNOON.replace(second=0)
    assert local.read_local("2026-07-05T06:30:09+00:00") == AFTERNOON


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01T00:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid|month"):
        LocalTime(ZoneInfo("Asia/Shanghai")).read_local(text)


@pytest.mark.parametrize(
    ("length", "zh", "en"),
    [
        (timedelta(), "0 秒", "0 s"),
        (timedelta(seconds=59), "59 秒", "59 s"),
        (timedelta(minutes=5), "5 分", "5 min"),
        (timedelta(minutes=5, seconds=7), "5 分 7 秒", "5 min 7 s"),
        (timedelta(hours=1, minutes=5, seconds=7), "1 小时 5 分", "1 h 5 min"),
        (timedelta(days=1, minutes=5), "1 天", "1 d"),
        (timedelta(days=2, hours=3), "2 天 3 小时", "2 d 3 h"),
        (timedelta(seconds=-3), "0 秒", "0 s"),
    ],
)
def test_a_length_of_time_is_said_in_its_two_largest_units(
    length: timedelta, zh: str, en: str
) -> None:
    assert duration(length) == zh
    assert duration(length, "en") == en

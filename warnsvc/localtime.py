"""Instants as a person at the desk reads them: in the zone of the installation, in his language.

    2026年7月5日 14:30（北京时间）        5 Jul 2026, 14:30 (Beijing time)

Everything else in the program is aware UTC; this is where it becomes local, and `read_local` is
where a form's local time becomes UTC again.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

_LOCALES = {"zh": "zh_Hans_CN", "en": "en_GB"}
_FULL = {"zh": "y年M月d日 HH:mm", "en": "d MMM y, HH:mm"}
_SHORT = {"zh": "M月d日 HH:mm", "en": "d MMM, HH:mm"}
_ZONE_NAMES = {
    "Asia/Shanghai": {"zh": "北京时间", "en": "Beijing time"},
    "Asia/Urumqi": {"zh": "新疆时间", "en": "Xinjiang time"},
}
_BRACKETS = {"zh": "（{}）", "en": " ({})"}


class LocalTime:
    """Writes instants in one zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def full(self, instant: datetime, language: str = "zh") -> str:
        """Return date, time and the zone's name: for anything that leaves the screen."""
        zone_name = _BRACKETS[_known(language)].format(self.zone_name(instant, language))
        return self._written(instant, _FULL, language) + zone_name

    def date_time(self, instant: datetime, language: str = "zh") -> str:
        """Return date with year, and time."""
        return self._written(instant, _FULL, language)

    def short(self, instant: datetime, language: str = "zh") -> str:
        """Return date without year, and time: for lists."""
        return self._written(instant, _SHORT, language)

    def clock(self, instant: datetime) -> str:
        """Return hours, minutes and seconds: for timelines."""
        return instant.astimezone(self.zone).strftime("%H:%M:%S")

    def form(self, instant: datetime) -> str:
        """Return what a `datetime-local` field holds."""
        return instant.astimezone(self.zone).strftime("%Y-%m-%dT%H:%M")

    def zone_name(self, instant: datetime, language: str = "zh") -> str:
        """Return what people call the zone, or its distance from UTC."""
        if names := _ZONE_NAMES.get(self.zone.key):
            return names[_known(language)]
        offset = instant.astimezone(self.zone).strftime("%z")
        return f"UTC{offset[:3]}:{offset[3:]}"

    def read_local(self, text: str) -> datetime:
        """Return the instant of a `datetime-local` field. Raises ValueError."""
        local = datetime.fromisoformat(text.strip())
        if local.tzinfo is None:
            local = local.replace(tzinfo=self.zone)
        return local.astimezone(UTC)

    def _written(self, instant: datetime, patterns: dict[str, str], language: str) -> str:
        known = _known(language)
        local = instant.astimezone(self.zone)
        return format_datetime(local, patterns[known], tzinfo=self.zone, locale=_LOCALES[known])


def duration(length: timedelta, language: str = "zh") -> str:
    """Return a length of time in its two largest units: `1 小时 5 分`, `1 h 5 min`."""
    units = (("天", "d"), ("小时", "h"), ("分", "min"), ("秒", "s"))
    seconds = max(0, int(length.total_seconds()))
    counts = (seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
    first = next((place for place, count in enumerate(counts) if count), len(counts) - 1)
    shown = [place for place in range(first, min(first + 2, 4)) if counts[place] or place == first]
    name = 0 if _known(language) == "zh" else 1
    return " ".join(f"{counts[place]} {units[place][name]}" for place in shown)


def _known(language: str) -> str:
    return language if language in _LOCALES else "zh"

"""The words of a cell that stand for one of our values: levels, kinds, languages, flags, dates.

Tables and three small parsers; each raises CellRefused and says what may be written instead.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import TypeVar

from contacts.contact import ContactKind
from contacts.directory.fault import CellRefused
from contacts.region import RegionKind, RegionLevel

LEVEL_WORDS: Mapping[str, RegionLevel] = {
    **{level.value: level for level in RegionLevel},
    "省": RegionLevel.PROVINCE, "省级": RegionLevel.PROVINCE, "自治区": RegionLevel.PROVINCE,
    "地": RegionLevel.PREFECTURE, "地级": RegionLevel.PREFECTURE, "地州": RegionLevel.PREFECTURE,
    "市级": RegionLevel.PREFECTURE, "地市级": RegionLevel.PREFECTURE,
    "县": RegionLevel.COUNTY, "县级": RegionLevel.COUNTY, "区县": RegionLevel.COUNTY,
    "乡": RegionLevel.TOWNSHIP, "镇": RegionLevel.TOWNSHIP, "乡级": RegionLevel.TOWNSHIP,
    "乡镇": RegionLevel.TOWNSHIP, "街道": RegionLevel.TOWNSHIP, "乡镇级": RegionLevel.TOWNSHIP,
    "村": RegionLevel.VILLAGE, "村级": RegionLevel.VILLAGE, "社区": RegionLevel.VILLAGE,
    "连队": RegionLevel.VILLAGE,
    "场所": RegionLevel.SITE, "点位": RegionLevel.SITE,
    "隐患点": RegionLevel.ZONE, "风险区": RegionLevel.ZONE, "危险区": RegionLevel.ZONE,
}  # fmt: skip
LEVEL_ZH: Mapping[RegionLevel, str] = {
    RegionLevel.PROVINCE: "省级",
    RegionLevel.PREFECTURE: "地级",
    RegionLevel.COUNTY: "县级",
    RegionLevel.TOWNSHIP: "乡级",
    RegionLevel.VILLAGE: "村级",
    RegionLevel.SITE: "场所",
    RegionLevel.ZONE: "隐患点",
}
REGION_KIND_WORDS: Mapping[str, RegionKind] = {
    "gov": RegionKind.GOV, "地方": RegionKind.GOV,
    "corps": RegionKind.CORPS, "兵团": RegionKind.CORPS,
}  # fmt: skip
CONTACT_KIND_WORDS: Mapping[str, ContactKind] = {
    "person": ContactKind.PERSON, "人": ContactKind.PERSON, "人员": ContactKind.PERSON,
    "endpoint": ContactKind.ENDPOINT, "设备": ContactKind.ENDPOINT, "系统": ContactKind.ENDPOINT,
}  # fmt: skip
LANGUAGE_WORDS: Mapping[str, str] = {
    "zh": "zh", "zh-cn": "zh", "zh-hans": "zh", "汉语": "zh", "中文": "zh", "普通话": "zh",
    "ug": "ug", "ug-arab": "ug", "维吾尔语": "ug", "维语": "ug", "维吾尔文": "ug",
    "kk-arab": "kk-Arab", "kk": "kk-Arab", "哈萨克语": "kk-Arab", "哈语": "kk-Arab",
    "哈萨克文": "kk-Arab",
    "ky-arab": "ky-Arab", "柯尔克孜语": "ky-Arab", "柯语": "ky-Arab",
    "mn-mong": "mn-Mong", "蒙古语": "mn-Mong", "蒙语": "mn-Mong",
    "en": "en", "英语": "en", "英文": "en",
}  # fmt: skip
"""Kazakh in China is written in Arabic script, so `kk` alone means that. Source: domain.md (e)."""
FLAG_WORDS: Mapping[str, bool] = {
    "1": True, "是": True, "允许": True, "可以": True, "y": True, "yes": True, "true": True,
    "0": False, "否": False, "不允许": False, "不可以": False, "n": False, "no": False,
    "false": False,
}  # fmt: skip

Value = TypeVar("Value")

_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[ T]0{1,2}:00(?::00)?)?")
_DATE_DIGITS = re.compile(r"((?:19|20|21)\d\d)(\d\d)(\d\d)")


def as_date(text: str) -> date:
    """Read a date as it is written in China or in ISO."""
    found = _DATE.fullmatch(text) or _DATE_DIGITS.fullmatch(text)
    if found is None:
        raise CellRefused("date_is_number" if re.fullmatch(r"\d{5}(\.\d+)?", text) else "bad_date")
    try:
        return date(*map(int, found.groups()))
    except ValueError as impossible:
        raise CellRefused("bad_date") from impossible


def as_whole(text: str, *, lowest: int, highest: int, code: str) -> int:
    """Read a whole number; `1.0` is one, `1.5` and `约300` are refused with `code`."""
    found = re.fullmatch(r"\+?(\d{1,12})(?:\.0+)?", text)
    if found is None or not lowest <= int(found.group(1)) <= highest:
        raise CellRefused(code, limit=highest)
    return int(found.group(1))


def one_of(text: str, words: Mapping[str, Value]) -> Value:
    """Look a word up, whatever its case."""
    try:
        return words[text.casefold()]
    except KeyError as unknown:
        raise CellRefused("unknown_word", words="、".join(words)) from unknown

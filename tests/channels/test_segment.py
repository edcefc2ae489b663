"""What a text costs on the air, case by case (3GPP TS 23.038)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.segment import PARTS_MAX, Encoding, SmsSize, count, parts_told

GSM, UCS = Encoding.GSM7, Encoding.UCS2

CASES = [
    # label, text, encoding, units, parts, left
    ("empty", "", GSM, 0, 1, 160),
    ("one letter", "a", GSM, 1, 1, 159),
    ("full single", "a" * 160, GSM, 160, 1, 0),
    ("one over", "a" * 161, GSM, 161, 2, 306 - 161),
    ("two full parts", "a" * 306, GSM, 306, 2, 0),
    ("three parts", "a" * 307, GSM, 307, 3, 459 - 307),
    ("sms limit of most carriers", "a" * 1600, GSM, 1600, 11, 11 * 153 - 1600),
    ("greek and nordic", "ΔΦΓΛΩΠΨΣΘΞ æøåÆØÅ ñÑ ¿¡ §¤", GSM, 26, 1, 134),
    ("line ends", "a\r\nb", GSM, 4, 1, 156),
    ("extended counts two", "€", GSM, 2, 1, 158),
    ("every extended one", "\f^{}\\[~]|€", GSM, 20, 1, 140),
    ("extended fills a single", "€" * 80, GSM, 160, 1, 0),
    ("extended over a single", "€" * 81, GSM, 162, 2, 153 - 10),
    ("extended not split", "a" * 152 + "€" + "a" * 10, GSM, 164, 2, 153 - 12),
    ("backtick is not gsm", "`", UCS, 1, 1, 69),
    ("c with cedilla is not gsm", "ç", UCS, 1, 1, 69),
    ("tab is not gsm", "\t", UCS, 1, 1, 69),
    ("curly quote makes all of it ucs", "a" * 70 + "’", UCS, 71, 2, 134 - 71),
    ("Chinese single", "水" * 70, UCS, 70, 1, 0),
    ("Chinese one over", "水" * 71, UCS, 71, 2, 134 - 71),
    ("Chinese two full", "水" * 134, UCS, 134, 2, 0),
    ("Chinese three", "水" * 135, UCS, 135, 3, 201 - 135),
    ("emoji counts two", "😀", UCS, 2, 1, 68),
    ("emoji fills a single", "😀" * 35, UCS, 70, 1, 0),
    ("emoji over a single", "😀" * 36, UCS, 72, 2, 67 - 6),
    ("emoji not split", "水" * 66 + "😀" + "水" * 10, UCS, 78, 2, 67 - 12),
    ("emoji just fits", "水" * 65 + "😀" + "水" * 10, UCS, 77, 2, 67 - 10),
    ("rare character outside the plane", "𠀀" * 3, UCS, 6, 1, 64),
    ("family joined by ZWJ", "👨‍👩‍👧", UCS, 8, 1, 62),
    ("Uyghur", "سەل ئاگاھلاندۇرۇشى", UCS, 18, 1, 52),
    ("Uyghur two parts", "ئا" * 40, UCS, 80, 2, 134 - 80),
    ("Kazakh in Arabic script", "سەل جۇرەدى", UCS, 10, 1, 60),
    ("Kazakh in Cyrillic", "сел жүреді", UCS, 10, 1, 60),
    ("full-width digit", "１", UCS, 1, 1, 69),
    ("non-breaking space", "a\u00a0b", UCS, 3, 1, 67),
    ("the call-out sample of domain.md", "【某县应急局】山洪橙色预警：11日14-20时硫磺沟镇有强降雨，请立即上岗组织转移，收到回1，无法到岗回2。", UCS, 54, 1, 16),
]


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts", "left"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_text_is_sized_as_the_air_interface_does(
    text: str, encoding: Encoding, units: int, parts: int, left: int
) -> None:
    assert count(text) == SmsSize(
        encoding=encoding, characters=len(text), units=units, parts=parts, left_in_part=left
    )


@pytest.mark.parametrize("character", "^{}\\[~]|€\f")
def test_each_extended_character_costs_two(character: str) -> None:
    assert count(character).units == 2
    assert count(character).encoding is GSM


@given(st.text())
def test_parts_hold_all_units_and_no_part_more_is_used_than_needed(text: str) -> None:
    size = count(text)
    single, multi = (160, 153) if size.encoding is GSM else (70, 67)
    if size.parts == 1:
        assert size.units + size.left_in_part == single
    else:
        assert size.units > single
        assert size.units <= size.parts * multi - size.left_in_part
        # A gap of one unit is left at most once per part, before what costs two.
        assert size.parts * multi - size.left_in_part - size.units < size.parts


@given(st.text(), st.text(min_size=1, max_size=3))
def test_a_longer_text_never_needs_fewer_parts(text: str, more: str) -> None:
    assert count(text + more).parts >= count(text).parts


@given(st.text())
def test_ucs2_units_are_utf16_code_units(text: str) -> None:
    size = count("水" + text)
    assert size.units == len(("水" + text).encode("utf-16-le", "surrogatepass")) // 2


def test_a_carriers_count_of_parts_is_believed_where_it_can_be_one() -> None:
    assert [parts_told(said) for said in ("1", "7", str(PARTS_MAX))] == [1, 7, PARTS_MAX]

    for said in ("", "0", "-1", "2.0", "many", "３", str(PARTS_MAX + 1), "1" + "0" * 30, "9" * 5_000):
        assert parts_told(said) == 0

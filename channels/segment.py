"""How many parts a text needs on the air: what an SMS costs in money and in time.

    GSM-7   160 septets in one part, 153 in each of several; ^ { } [ ] ~ | \\ € and form feed
            cost two and are not split over parts
    UCS-2   70 code units in one part, 67 in each of several; a surrogate pair costs two and is
            not split over parts

One character outside GSM-7 turns the whole text into UCS-2, so Chinese, Uyghur and Kazakh texts
always are. It never changes a text to make it cheaper. Source: carriers.md §1.1, 3GPP TS 23.038.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
_GSM = _BASIC | _EXTENDED

PARTS_MAX = 255
"""The header that joins parts has one byte for how many there are (3GPP TS 23.040)."""

CACHED_TEXTS_MAX = 512
"""One warning has few texts and many readers; more than this are counted again."""


class Encoding(StrEnum):
    """The alphabet a text travels in."""

    GSM7 = "gsm7"
    """Seven bits: Latin, some Greek."""
    UCS2 = "ucs2"
    """Sixteen bits: everything."""


_SINGLE = {Encoding.GSM7: 160, Encoding.UCS2: 70}
_MULTI = {Encoding.GSM7: 153, Encoding.UCS2: 67}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSize:
    """The size of one text. `units` are septets or code units; an empty text is still a part."""

    encoding: Encoding
    characters: int
    units: int
    parts: int
    left_in_part: int
    """Units that still fit before one more part is needed."""


@lru_cache(maxsize=CACHED_TEXTS_MAX)
def count(text: str) -> SmsSize:
    """Return how a text is encoded and how many parts it needs."""
    encoding = Encoding.GSM7 if _GSM.issuperset(text) else Encoding.UCS2
    costs = [_cost(character, encoding) for character in text]
    units = sum(costs)
    if units <= _SINGLE[encoding]:
        parts, left = 1, _SINGLE[encoding] - units
    else:
        parts, left = _pack(costs, _MULTI[encoding])
    return SmsSize(
        encoding=encoding, characters=len(text), units=units, parts=parts, left_in_part=left
    )


def parts_told(said: str) -> int:
    """Return the parts that a carrier says it counted; 0 for what can be no count of parts."""
    if not (said.isascii() and said.isdecimal() and len(said) <= len(str(PARTS_MAX))):
        return 0
    return int(said) if int(said) <= PARTS_MAX else 0


def _cost(character: str, encoding: Encoding) -> int:
    if encoding is Encoding.GSM7:
        return 2 if character in _EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1


def _pack(costs: list[int], capacity: int) -> tuple[int, int]:
    """Fill parts in order; what costs two and does not fit goes whole into the next part."""
    parts, left = 1, capacity
    for cost in costs:
        if cost > left:
            parts, left = parts + 1, capacity
        left -= cost
    return parts, left

"""To which countries Twilio sends and from which replies come back, as data.

Country calling codes are beginnings of numbers (`44`). Mainland China can be sent to and cannot
answer (carriers.md §0.1): no setting says otherwise, because a text that asks for a reply that
cannot come is worse than none. It looks at no single number.
"""

from collections.abc import Iterable
from typing import Final

from channels.country import codes

__all__ = ["ALL_BUT_CHINA", "CHINA", "TWO_WAY", "codes", "replies_from"]

CHINA: Final = "86"

TWO_WAY: Final = frozenset(
    {"1", "31", "32", "36", "41", "43", "44", "45", "46", "47", "48", "49"}
    | {"61", "351", "353", "358", "370", "371", "372", "420", "852", "972"}
)
"""Countries in which Twilio commonly sells numbers that also receive. Not checked for any one
number: name yours in `inbound_countries`."""

ALL_BUT_CHINA: Final = frozenset(
    {"1", "2", "3", "4", "5", "6", "7", "9"} | {f"8{digit}" for digit in "012345789"}
)
"""What `*` means for replies, as beginnings of numbers: everything that is not 86."""


def replies_from(given: str | Iterable[str]) -> frozenset[str]:
    """Return where replies come from. Raises ValueError for mainland China."""
    found = codes(given)
    if any(code.startswith(CHINA) or CHINA.startswith(code) for code in found):
        raise ValueError("replies from mainland China (86) do not reach Twilio")
    return (found - {"*"}) | ALL_BUT_CHINA if "*" in found else found

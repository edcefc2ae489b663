"""Phone numbers as Alibaba Cloud writes them, and back.

    +8613912345678 ──► 13912345678        mobile
    +869915551234  ──► 09915551234        a desk phone: calls only
    12345          ──► 12345              left as it is: the carrier knows what it is not

It never asks whether a number exists.
"""

import re
from typing import Final

from channels.errors import ErrorClass, PermanentFailure

HOME: Final = "+86"
_MOBILE = re.compile(r"1[3-9]\d{9}")
_DESK = re.compile(r"[2-9]\d{8,10}|10\d{8}")
"""Area code without its zero, and seven or eight digits."""


def domestic(address: str) -> str:
    """Return the number without its country. Raises PermanentFailure for another country's."""
    if address.startswith("+") and not address.startswith(HOME):
        raise PermanentFailure(
            "not a number of mainland China",
            code="country",
            error_class=ErrorClass.UNROUTABLE,
        )
    return address.removeprefix(HOME)


def for_text(address: str) -> str:
    """Return whom to send a text. Raises PermanentFailure: a desk phone takes none."""
    number = domestic(address)
    if address.startswith(HOME) and _DESK.fullmatch(number):
        raise PermanentFailure(
            "a desk phone takes no text", code="landline", error_class=ErrorClass.NOT_CAPABLE
        )
    return number


def for_call(address: str) -> str:
    """Return whom to call."""
    number = domestic(address)
    return f"0{number}" if address.startswith(HOME) and _DESK.fullmatch(number) else number


def international(number: object) -> str:
    """Return a number in a report in the house's form; "" when there is none."""
    digits = "".join(character for character in str(number or "") if character in "0123456789")
    bare = digits.removeprefix("0086") if digits.startswith("0086") else digits
    if len(bare) == len("8613912345678") and bare.startswith("86"):
        bare = bare[2:]
    if _MOBILE.fullmatch(bare):
        return HOME + bare
    if bare.startswith("0") and _DESK.fullmatch(bare[1:]):
        return HOME + bare[1:]
    return digits

"""Phone numbers as people type them into lists, turned into E.164 or refused with a reason.

A wrong number is the commonest cause of a village that nobody woke (domain.md, finding 8), so a
number is never guessed into shape: what a spreadsheet has rounded, two numbers in one cell, or an
extension that a robot can't dial is refused, and the reason says what to do about it.

It knows no carrier and no database, and it never says whether somebody answers at a number.

The invented blocks. China has no range set aside for examples, so the demo needs one that reaches
nobody. `154` is a mobile prefix and `0904` an area code that no operator in China holds;
libphonenumber calls both invalid, and a test fails the day that changes. They are accepted only
where the caller says so, because in a real list such a number is a slip of the finger.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberType

from contacts.contact import NumberKind

INVENTED_MOBILE_PREFIX = "+86154"
"""Eight more digits make an invented mobile number."""
INVENTED_LANDLINE_PREFIX = "+86904"
"""Seven more digits make an invented landline."""
RAW_CHARS_MAX = 60
"""A longer text is a sentence, not a number; it is refused before it is parsed."""

_INVENTED = re.compile(r"\+86(154\d{8}|904\d{7})")


class PhoneReason(StrEnum):
    """Why a text is not a number that can be called."""

    EMPTY = "empty"
    """Nothing but spaces."""
    LETTERS = "letters"
    """Something that is neither a digit nor a usual separator."""
    FLOAT = "float"
    """A spreadsheet's number: digits may have been rounded away."""
    SEVERAL = "several"
    """More than one number in the cell."""
    EXTENSION = "extension"
    """An extension, which a robot can't dial."""
    AREA_CODE_MISSING = "area_code_missing"
    """A local number without its area code."""
    TOO_SHORT = "too_short"
    """Digits are missing."""
    TOO_LONG = "too_long"
    """There are more digits than any number has."""
    SHORT_NUMBER = "short_number"
    """A service such as 110 or 12379."""
    SERVICE = "service"
    """A hotline (400, 800, 95…) and not one person's phone."""
    UNASSIGNED = "unassigned"
    """The length is right, but no operator has this block."""
    INVENTED = "invented"
    """From the blocks of the demo: reaches nobody."""


class PhoneError(ValueError):
    """The text is not a number that can be called; `reason` says why. Never holds the number."""

    def __init__(self, reason: PhoneReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """A number in E.164 and what can be done with it."""

    address: str
    kind: NumberKind


def to_e164(raw: str, country: str = "CN", *, allow_invented: bool = False) -> Phone:
    """Read a number as typed. `country` is where it lies if it has no country code.

    Raises PhoneError.
    """
    text = _tidy(raw)
    _refuse_what_is_not_one_number(text)
    digits = re.sub(r"[^\d+]", "", text)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if (mobile := _CHINESE_MOBILE.fullmatch(digits)) and country == "CN":
        phone = Phone(address=f"+86{mobile.group(1)}", kind=NumberKind.MOBILE)
        if is_invented(phone.address) or _is_chinese_mobile(mobile.group(1)[:7]):
            return _admit(phone, allow_invented=allow_invented)
    parsed = _parse(digits, country)
    address = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    kind = _invented_kind(address) or _kind(parsed)
    return _admit(Phone(address=address, kind=kind), allow_invented=allow_invented)


def _admit(phone: Phone, *, allow_invented: bool) -> Phone:
    if not allow_invented and is_invented(phone.address):
        raise PhoneError(PhoneReason.INVENTED)
    return phone


def _invented_kind(address: str) -> NumberKind | None:
    if not is_invented(address):
        return None
    mobile = address.startswith(INVENTED_MOBILE_PREFIX)
    return NumberKind.MOBILE if mobile else NumberKind.LANDLINE


def is_invented(address: str) -> bool:
    """Return whether an E.164 number lies in the blocks that reach nobody."""
    return _INVENTED.fullmatch(address) is not None


def mask(address: str) -> str:
    """Return the address as logs and lists show it: `138****8000`; of a web address, the host."""
    if "://" in address:
        return address.split("://", 1)[1].split("/", 1)[0].rsplit("@", 1)[-1]
    digits = address.removeprefix("+86")
    if len(digits) < 9:
        return "****"
    return f"{digits[:3]}****{digits[-4:]}"


def as_typed_in_china(address: str) -> str:
    """Return E.164 as a list in China has it: `13800138000`, `0990-6888888`; others unchanged."""
    national = address.removeprefix("+86")
    if national == address:
        return address
    if national.startswith("1") and len(national) == 11:
        return national
    area = national[:2] if national[0] in "12" else national[:3]
    return f"0{area}-{national[len(area) :]}"


_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a\u202c\u2060\u2066\u2069\ufeff]")
"""What phones and chat programs put around a number that is copied. Overrides are not here."""
_DASHES = re.compile("[\u2010-\u2015\u2212\u30fc_~]")
_FLOAT = re.compile(r"\d+(\.\d+)?[eE][+-]?\d+|\d{5,}\.\d*")
_SEVERAL = re.compile(r"\d\D*[/,;、|或和及].*\d|\d{7,}\s+\+?\d{7,}")
_EXTENSION = re.compile(
    r"\d{5}\s*(转|分机|ext\.?|x|#)\s*\d{1,6}$|0\d{2,3}-\d{7,8}-\d{1,6}$", re.IGNORECASE
)
_CHINESE_MOBILE = re.compile(r"(?:\+86)?(1\d{10})")
_SHAPE = re.compile(r"\+?[\d \-()]+")


def _tidy(raw: str) -> str:
    if len(raw) > RAW_CHARS_MAX:
        raise PhoneError(PhoneReason.TOO_LONG)
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", raw))
    text = "".join(_ascii_digit(char) for char in text)
    return re.sub(r"\s+", " ", _DASHES.sub("-", text)).strip()


def _ascii_digit(char: str) -> str:
    """Arabic-Indic and Persian digits are typed on Uyghur and Kazakh keyboards."""
    return str(unicodedata.decimal(char)) if char.isdecimal() else char


def _refuse_what_is_not_one_number(text: str) -> None:
    if not text:
        raise PhoneError(PhoneReason.EMPTY)
    if _FLOAT.fullmatch(text):
        raise PhoneError(PhoneReason.FLOAT)
    if _SEVERAL.search(text):
        raise PhoneError(PhoneReason.SEVERAL)
    if _EXTENSION.search(text):
        raise PhoneError(PhoneReason.EXTENSION)
    if not _SHAPE.fullmatch(text) or not any(char.isdigit() for char in text):
        raise PhoneError(PhoneReason.LETTERS)


def _parse(digits: str, country: str) -> phonenumbers.PhoneNumber:
    national = digits.removeprefix("+")
    if len(national) < 7:
        raise PhoneError(_why_short(digits))
    if len(national) > 18:
        raise PhoneError(PhoneReason.TOO_LONG)
    try:
        return phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException as refused:
        too_long = refused.error_type == phonenumbers.NumberParseException.TOO_LONG
        raise PhoneError(PhoneReason.TOO_LONG if too_long else PhoneReason.UNASSIGNED) from refused


def _why_short(digits: str) -> PhoneReason:
    return PhoneReason.SHORT_NUMBER if digits[:1] in "19" else PhoneReason.TOO_SHORT


_KIND_OF = {
    PhoneNumberType.MOBILE: NumberKind.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: NumberKind.MOBILE,
    PhoneNumberType.FIXED_LINE: NumberKind.LANDLINE,
    PhoneNumberType.VOIP: NumberKind.LANDLINE,
    PhoneNumberType.PERSONAL_NUMBER: NumberKind.LANDLINE,
}


def _kind(parsed: phonenumbers.PhoneNumber) -> NumberKind:
    number_type = phonenumbers.number_type(parsed)
    if number_type in _KIND_OF:
        return _KIND_OF[number_type]
    if number_type != PhoneNumberType.UNKNOWN:
        raise PhoneError(PhoneReason.SERVICE)
    raise PhoneError(_why_invalid(parsed))


@lru_cache(maxsize=16_384)
def _is_chinese_mobile(block: str) -> bool:
    """Mobile numbers are handed out by their first seven digits; the last four decide nothing."""
    number = phonenumbers.parse(f"+86{block}0000", None)
    return phonenumbers.number_type(number) == PhoneNumberType.MOBILE


def _why_invalid(parsed: phonenumbers.PhoneNumber) -> PhoneReason:
    national = phonenumbers.national_significant_number(parsed)
    possible = phonenumbers.is_possible_number_with_reason(parsed)
    if possible == phonenumbers.ValidationResult.TOO_LONG:
        return PhoneReason.TOO_LONG
    if parsed.country_code == 86:
        return _why_invalid_in_china(national)
    if possible == phonenumbers.ValidationResult.TOO_SHORT:
        return PhoneReason.TOO_SHORT
    return PhoneReason.UNASSIGNED


def _why_invalid_in_china(national: str) -> PhoneReason:
    """A mobile has 11 digits from 1; a landline 9 to 11 with its area code."""
    if national.startswith(("400", "800", "95", "96")) and len(national) <= 10:
        return PhoneReason.SERVICE
    if len(national) in {7, 8} and national[0] in "2345678":
        return PhoneReason.AREA_CODE_MISSING
    if national.startswith("1") and len(national) != 11:
        return PhoneReason.TOO_SHORT if len(national) < 11 else PhoneReason.TOO_LONG
    if len(national) < 9:
        return PhoneReason.TOO_SHORT
    return PhoneReason.TOO_LONG if len(national) > 11 else PhoneReason.UNASSIGNED

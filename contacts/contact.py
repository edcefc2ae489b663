"""Contacts: the people and endpoints that are called, and their numbers.

Pure values. A number's kind says which channels can use it; nothing here knows a carrier.
"""

from dataclasses import dataclass
from enum import StrEnum


class ContactKind(StrEnum):
    """What kind of thing answers."""

    PERSON = "person"
    """Somebody with a phone."""
    ENDPOINT = "endpoint"
    """A machine with an address: a loudspeaker server, a neighbour's system."""


class NumberKind(StrEnum):
    """What can be done with a number."""

    MOBILE = "mobile"
    """Takes SMS and voice."""
    LANDLINE = "landline"
    """Takes voice only."""
    WEBHOOK = "webhook"
    """Takes signed HTTP requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One address; rank 1 is tried first. `failed` means a carrier called it wrong."""

    rank: int
    kind: NumberKind
    address: str
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A person or endpoint with ranked numbers. Language: BCP 47 (`zh`, `ug`, `kk-Arab`, `en`)."""

    id: int
    key: str
    name: str
    post: str = ""
    unit: str = ""
    kind: ContactKind = ContactKind.PERSON
    language: str = "zh"
    robot_ok: bool = True
    numbers: tuple[Number, ...] = ()


_CHANNELS_OF = {
    NumberKind.MOBILE: ("sms", "voice"),
    NumberKind.LANDLINE: ("voice",),
    NumberKind.WEBHOOK: ("webhook",),
}


def channels_of(kind: NumberKind) -> tuple[str, ...]:
    """Return the channels a kind of number can be reached by."""
    return _CHANNELS_OF[kind]


def addresses_for(contact: Contact, channel: str) -> tuple[str, ...]:
    """Return the contact's usable addresses on a channel, best first."""
    return tuple(
        number.address
        for number in contact.numbers
        if not number.failed and channel in _CHANNELS_OF[number.kind]
    )

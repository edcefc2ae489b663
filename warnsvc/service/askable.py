"""Who can be asked by text: a question is not planned where no answer could come back.

    mobile number, and a carrier of its route brings replies from that country ──► text and call
    mobile number, and none does                                                ──► call only

The plan freezes such a number as one that takes calls only, which every program reads alike, and
the signing page says how many people that is about. Notices that ask nothing lose little by it:
who was called by phone is told by phone. Source: carriers.md §0.1.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import phonenumbers

from contacts.contact import Contact, Number, NumberKind
from warnsvc.service.context import Context
from warnsvc.service.fleet import Fleet

SMS, VOICE = "sms", "voice"
NO_REPLY = "no_reply"
"""Code of the warning: no_reply:<country calling code>:<people>."""


def askable(ctx: Context, contacts: Mapping[int, Contact]) -> Mapping[int, Contact]:
    """Return the contacts with only those numbers as mobile that a question may be sent to."""
    fleet = ctx.fleet
    if not fleet.of_kind(SMS) or fleet.is_plain(SMS):
        return contacts
    return {i: _asked(fleet, contact) for i, contact in contacts.items()}


def _asked(fleet: Fleet, contact: Contact) -> Contact:
    numbers = tuple([_asked_at(fleet, n, contact.language) for n in contact.numbers])
    return contact if numbers == contact.numbers else replace(contact, numbers=numbers)


def _asked_at(fleet: Fleet, number: Number, language: str) -> Number:
    if number.kind is NumberKind.MOBILE and not fleet.answerable(SMS, number.address, language):
        return replace(number, kind=NumberKind.LANDLINE)
    return number


def reply_warnings(
    contacts: Mapping[int, Contact], planned: Mapping[int, Contact]
) -> Iterator[str]:
    """Yield `no_reply:<country>:<people>` for those who are planned otherwise than they stand."""
    lost = Counter(
        country
        for i, contact in planned.items()
        for country in _countries(contacts[i].numbers, contact.numbers)
    )
    for country, people in sorted(lost.items()):
        yield f"{NO_REPLY}:{country}:{people}"


def _countries(before: Iterable[Number], after: Iterable[Number]) -> set[str]:
    return {
        _country(old.address)
        for old, new in zip(before, after, strict=True)
        if old.kind is not new.kind
    }


@lru_cache(maxsize=4096)
def _country(address: str) -> str:
    """Return the country calling code of an E.164 address."""
    try:
        return str(phonenumbers.parse(address, None).country_code)
    except phonenumbers.NumberParseException:
        return "?"

"""Sorts what stands in a callback by kind: receipts, replies, and what is neither.

    callback ──► parts ──┬─ has the fields of [receipts] ──► a receipt
                         ├─ has the fields of [inbound]  ──► a reply
                         └─ neither                      ──► the rest, for a human

A batch may hold all three. What has the fields of both is a receipt at the address of one message,
and a reply at the address of all: nobody's word is taken for a receipt by mistake. It reads no
field's meaning; `gateway_callback` does.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from channels.base import CallbackMalformed, CallbackRequest
from channels.gateway_profile import LISTS, Encoding, RecordRule
from channels.gateway_record import Record, has_all, parts_of


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one callback."""

    receipts: list[Record]
    replies: list[Record]
    rest: list[Any]
    """More than one, or beside what is ours."""


def sort_parts(
    request: CallbackRequest, receipts: RecordRule | None, inbound: RecordRule | None
) -> Parts:
    """Return the parts of a callback by kind. Raises CallbackMalformed: it has none of ours."""
    rules = [rule for rule in (receipts, inbound) if rule is not None]
    kinds: dict[int, list[Record]] = {id(rule): [] for rule in rules}
    places, rest = _places(request, rules), []
    for place, parts in places.items():
        for part in parts:
            rule = _kind_of(part, rules if request.token else rules[::-1])
            if rule is None:
                rest.append((place, part))
            elif _place(rule) == place:  # else it is read where its own kind is looked for
                kinds[id(rule)].append(part)
    found = Parts(kinds.get(id(receipts), []), kinds.get(id(inbound), []), _loose(rest, places))
    if rest and not (found.receipts or found.replies or len(found.rest) > 1):
        lacks = " or ".join(name for rule in rules for name in rule.requires)
        raise CallbackMalformed(f"the callback lacks {lacks}")
    return found


_Place = tuple[Encoding, str, str]


def _place(rule: RecordRule) -> _Place:
    return rule.encoding, rule.charset, rule.items


def _places(request: CallbackRequest, rules: Sequence[RecordRule]) -> dict[_Place, list[Any]]:
    """Return the parts that stand at each place where one of the kinds may."""
    found: dict[_Place, list[Any]] = {}
    damage: CallbackMalformed | None = None
    for rule in rules:
        try:
            found[_place(rule)] = parts_of(rule, request)
        except CallbackMalformed as fault:
            damage = fault
    if not found and damage is not None:
        raise damage
    return found


def _kind_of(part: Any, rules: Sequence[RecordRule]) -> RecordRule | None:
    """Return the first kind whose fields a part has."""
    if not isinstance(part, Mapping):
        return None
    return next((rule for rule in rules if has_all(part, rule)), None)


def _loose(rest: Sequence[tuple[_Place, Any]], places: Collection[_Place]) -> list[Any]:
    """Return what says something itself: not an address beside a body, and not the object around
    a list that was read."""
    return [part for place, part in rest if not any(_holds(place, other) for other in places)]


def _holds(place: _Place, other: _Place) -> bool:
    (encoding, _, items), (_, _, inner) = place, other
    if encoding not in LISTS:
        return True
    return inner != items and (not items or inner.startswith(f"{items}."))

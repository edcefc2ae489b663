"""The plan: who will be called for which region, in which order.

    selected regions ──tree──► targets (villages, sites)
    target's own assignments by tier, then its superiors' (township, county) ──► ordered tiers
    a person in several tiers of one target ──► his first only
    a person in several targets             ──► one callout, many memberships

Nothing is left out in silence: a target without anybody, a tier nobody stands in and a person
without a usable number are all `Gap`s that the signing screen shows.
Source: domain.md (b), (h) 6, 13.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from contacts.assignment import Assignment, applies
from contacts.contact import Contact, addresses_for
from contacts.region import Region, RegionTree
from warnsvc.core.pack import Rule

CHANNELS = ("sms", "voice", "webhook")


class GapKind(StrEnum):
    """What is missing in a plan."""

    NO_CONTACT = "no_contact"
    """Nobody stands in any tier of this region: it goes to the duty desk at once."""
    EMPTY_TIER = "empty_tier"
    """A tier was named but nobody holds it now; the next is called instead. `region_code` is the
    region whose tier it is, which may be a superior's."""
    UNREACHABLE = "unreachable"
    """A person without a usable number."""
    BY_HAND = "by_hand"
    """A person whom no robot may call: an officer calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One thing that is missing. `tier`: the number of an empty tier, else the person's ordinal."""

    kind: GapKind
    region_code: str
    tier: int = 0
    contact_id: int = 0


class PlannedMember(NamedTuple):
    """A person's place in a tier; rank 0 is first. Tuples: a release makes 44,000 of them."""

    contact_id: int
    rank: int
    role: str = ""


class PlannedTier(NamedTuple):
    """One tier, with the region it comes from: its own, or a superior's."""

    ordinal: int
    source_code: str
    source_name: str
    members: tuple[PlannedMember, ...]


class PlannedEscalation(NamedTuple):
    """One target with its tiers in the order they will be called."""

    region: Region
    tiers: tuple[PlannedTier, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who will be called. `contacts` holds everybody who stands in any tier, once."""

    escalations: tuple[PlannedEscalation, ...]
    contacts: Mapping[int, Contact]
    gaps: tuple[Gap, ...] = field(default=())


def plan(
    *,
    tree: RegionTree,
    selected: Iterable[str],
    assignments: Iterable[Assignment],
    contacts: Mapping[int, Contact],
    rule: Rule,
    hazard: str,
    on: date,
) -> Plan:
    """Return who is called for every target in `selected`. `on` is the local day of release."""
    duties = _duties_by_region(assignments, contacts, hazard=hazard, on=on)
    gaps: dict[Gap, None] = {}
    used: dict[int, Contact] = {}
    escalations: list[PlannedEscalation] = []
    superiors: dict[str | None, list[tuple[Region, list[list[Assignment]]]]] = {}
    for target in tree.targets(selected):
        if target.parent_code not in superiors:
            superiors[target.parent_code] = _superiors(tree, target, duties, rule.levels_up)
        standing = [(target, duties.get(target.code, [])), *superiors[target.parent_code]]
        tiers = _tiers(target, standing, gaps)
        for tier in tiers:
            for member in tier.members:
                used[member.contact_id] = contacts[member.contact_id]
        if not tiers:
            gaps[Gap(kind=GapKind.NO_CONTACT, region_code=target.code)] = None
        escalations.append(PlannedEscalation(region=target, tiers=tiers))
    gaps.update(dict.fromkeys(_gaps_of_people(escalations, used)))
    return Plan(escalations=tuple(escalations), contacts=used, gaps=tuple(gaps))


def _duties_by_region(
    assignments: Iterable[Assignment], contacts: Mapping[int, Contact], *, hazard: str, on: date
) -> dict[str, list[list[Assignment]]]:
    """Group the duties that hold now by region, then by tier in tier order; empty tiers stay."""
    by_tier: dict[str, dict[int, list[Assignment]]] = {}
    for duty in assignments:
        tiers = by_tier.setdefault(duty.region_code, {})
        tier = tiers.setdefault(duty.tier, [])
        if duty.contact_id in contacts and applies(duty, hazard=hazard, on=on):
            tier.append(duty)
    return {code: [tiers[n] for n in sorted(tiers)] for code, tiers in by_tier.items()}


def _superiors(
    tree: RegionTree, target: Region, duties: Mapping[str, list[list[Assignment]]], levels_up: int
) -> list[tuple[Region, list[list[Assignment]]]]:
    above = list(reversed(tree.path(target.code)[:-1]))[:levels_up]
    return [(region, duties.get(region.code, [])) for region in above]


def _tiers(
    target: Region, standing: Sequence[tuple[Region, list[list[Assignment]]]], gaps: dict[Gap, None]
) -> tuple[PlannedTier, ...]:
    tiers: list[PlannedTier] = []
    seen: set[int] = set()
    for region, ladder in standing:
        for number, duties in enumerate(ladder, start=1):
            members: list[PlannedMember] = []
            for duty in duties:
                if duty.contact_id not in seen:
                    seen.add(duty.contact_id)
                    members.append(PlannedMember(duty.contact_id, len(members), duty.role))
            if not members:
                if not duties:  # Otherwise all of them stand in an earlier tier.
                    gaps[Gap(kind=GapKind.EMPTY_TIER, region_code=region.code, tier=number)] = None
                continue
            tiers.append(PlannedTier(len(tiers) + 1, region.code, region.name, tuple(members)))
    return tuple(tiers)


def _gaps_of_people(
    escalations: Iterable[PlannedEscalation], contacts: Mapping[int, Contact]
) -> list[Gap]:
    wanting: dict[int, GapKind] = {}
    for contact in contacts.values():
        if not contact.robot_ok:
            wanting[contact.id] = GapKind.BY_HAND
        elif not any(addresses_for(contact, channel) for channel in CHANNELS):
            wanting[contact.id] = GapKind.UNREACHABLE
    if not wanting:
        return []
    return [
        Gap(
            kind=wanting[member.contact_id],
            region_code=escalation.region.code,
            tier=tier.ordinal,
            contact_id=member.contact_id,
        )
        for escalation in escalations
        for tier in escalation.tiers
        for member in tier.members
        if member.contact_id in wanting
    ]

"""What a plan costs: how many are reached on which channel, in which language, in what time.

    contacts ──► Reach: (language, channel) → people ──► parts, calls, requests ──► seconds

"Everyone" is what the carriers need for the first round of every tier, were all silent.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from contacts.contact import Contact, NumberKind, channels_of
from warnsvc.core.pack import Rule
from warnsvc.core.plan import CHANNELS, Plan

VOICE_SECONDS = 32
"""A 20-second message and about 12 seconds of ringing (domain.md §0.9)."""

Reach = Mapping[tuple[str, str], int]
"""(Language, channel) → how many people the first round reaches so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a carrier takes: SMS parts, call starts or requests per second, and lines for calls."""

    per_second: float
    lines: int = 0

    def seconds(self, count: int, seconds_each: float = 0.0) -> float:
        """Return how long `count` take."""
        per_second = self.per_second
        if self.lines and seconds_each:
            per_second = min(per_second, self.lines / seconds_each)
        return count / per_second if per_second > 0 else float("inf") if count else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEstimate:
    """What the signing screen shows. Seconds are at the carriers' pace, channels in parallel."""

    regions: int
    headcount: int
    people: int
    first_tier_people: int
    messages: int
    sms_parts: int
    calls: int
    webhooks: int
    first_tier_seconds: int
    everyone_seconds: int


def estimate(
    plan_: Plan,
    *,
    rule: Rule,
    parts: Mapping[str, int],
    paces: Mapping[str, Pace],
    everyone: Reach | None = None,
) -> PlanEstimate:
    """Return sizes and times. `parts`: language → SMS parts; `paces`: channel → pace.

    `everyone`: what `reach` says of the plan's contacts, if it was asked already. Seconds are -1
    where a channel that is needed has no pace at all.
    """
    first_ids = {
        member.contact_id
        for escalation in plan_.escalations
        if escalation.tiers
        for member in escalation.tiers[0].members
    }
    first_load = _load(reach([plan_.contacts[i] for i in first_ids], rule), parts)
    all_load = _load(reach(plan_.contacts.values(), rule) if everyone is None else everyone, parts)
    return PlanEstimate(
        regions=len(plan_.escalations),
        headcount=sum([escalation.region.headcount for escalation in plan_.escalations]),
        people=len(plan_.contacts),
        first_tier_people=len(first_ids),
        messages=first_load["sms"] + first_load["voice"] + first_load["webhook"],
        sms_parts=first_load["parts"],
        calls=first_load["voice"],
        webhooks=first_load["webhook"],
        first_tier_seconds=_seconds(first_load, paces),
        everyone_seconds=_seconds(all_load, paces),
    )


def reach(contacts: Iterable[Contact], rule: Rule) -> Counter[tuple[str, str]]:
    """Return how many people the first round reaches in which language on which channel.

    Whom no robot may call is not among them. Forty thousand people have a handful of kinds of
    numbers and languages between them, so these are counted first.
    """
    alike = Counter(
        [
            (contact.language, tuple([n.kind for n in contact.numbers if not n.failed]))
            for contact in contacts
            if contact.robot_ok
        ]
    )
    found: Counter[tuple[str, str]] = Counter()
    step = rule.tier(1).steps[0].channels
    for (language, kinds), people in alike.items():
        for channel in _first_channels(step, kinds):
            found[language, channel] += people
    return found


def _load(reached: Reach, parts: Mapping[str, int]) -> dict[str, int]:
    load = {"sms": 0, "parts": 0, "voice": 0, "webhook": 0}
    for (language, channel), people in reached.items():
        load[channel] += people
        if channel == "sms":
            load["parts"] += people * parts.get(language, parts.get("zh", 1))
    return load


def first_channels(rule: Rule, contact: Contact) -> tuple[str, ...]:
    """Return the channels of the first round that reach this contact; any that does, if none."""
    kinds = tuple(number.kind for number in contact.numbers if not number.failed)
    return _first_channels(rule.tier(1).steps[0].channels, kinds)


@lru_cache(maxsize=256)
def _first_channels(step: tuple[str, ...], kinds: tuple[NumberKind, ...]) -> tuple[str, ...]:
    """Forty thousand people have a handful of kinds of numbers between them."""
    reached = {channel for kind in kinds for channel in channels_of(kind)}
    usable = [channel for channel in CHANNELS if channel in reached]
    wanted = [channel for channel in step if channel in usable]
    return tuple(wanted or usable[:1])


def _seconds(load: Mapping[str, int], paces: Mapping[str, Pace]) -> int:
    none = Pace(per_second=0.0)
    times = (
        paces.get("sms", none).seconds(load["parts"]),
        paces.get("voice", none).seconds(load["voice"], VOICE_SECONDS),
        paces.get("webhook", none).seconds(load["webhook"]),
    )
    return math.ceil(max(times)) if max(times) != float("inf") else -1

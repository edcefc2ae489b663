"""Rule packs (叫应规则): who is called how, by hazard, colour and hour.

A pack is data with a version. At release the one `Rule` that applies is frozen into the bulletin,
so that a later edit never changes a warning under way. Source of the defaults: domain.md (b).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from warnsvc.core.bulletin import Colour
from warnsvc.core.hazard import hazard_of

CLOSING_RUNG_MIN = 5
"""Heard in full. Below it stand receipts, and a receipt is not an answer (law 1)."""
CLOSING_RUNG_MAX = 7
"""On post: what lies above is told in reports, not by a key."""
NIGHT_BEGINS = 22
NIGHT_ENDS = 7
"""Local hours between which a text alone wakes nobody, so voice goes first."""


class QuorumKind(StrEnum):
    """How many of a tier must answer."""

    ANY = "any"
    """One is enough."""
    N = "n"
    """A named number, or all when the tier has fewer."""
    ALL = "all"
    """Every one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """The number of answers that closes a tier."""

    kind: QuorumKind = QuorumKind.ANY
    n: int = 1

    def need(self, size: int) -> int:
        """Return how many answers a tier of `size` members needs."""
        match self.kind:
            case QuorumKind.ANY:
                return min(1, size)
            case QuorumKind.N:
                return min(self.n, size)
            case QuorumKind.ALL:
                return size


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One round of the calling sequence, so many seconds after the callout began."""

    after_seconds: int
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRule:
    """How one tier is called."""

    window_seconds: int
    steps: tuple[Step, ...]
    quorum: Quorum = Quorum()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What holds for one bulletin."""

    pack: str
    version: int
    tiers: tuple[TierRule, ...]
    """For tier 1, 2, …; the last one holds for all that follow, superiors included."""
    levels_up: int
    """How many levels of superiors stand behind a region's own tiers."""
    closing_rung: int
    two_person: bool
    unknown_resend: bool
    """Send once more when nobody can say whether the first arrived."""

    def tier(self, ordinal: int) -> TierRule:
        """Return the rule of the tier with this ordinal, from 1."""
        return self.tiers[min(ordinal, len(self.tiers)) - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A named, versioned set of rules by colour, by day and by night."""

    name: str
    version: int
    day: Mapping[Colour, Rule]
    night: Mapping[Colour, Rule]


def rule_for(pack: Pack, *, hazard: str, colour: Colour, local_hour: int) -> Rule:
    """Return the rule that applies. Grave hazards take the colour above. Source: domain.md (b)."""
    if hazard_of(hazard).grave:
        colour = colour.above()
    night = local_hour >= NIGHT_BEGINS or local_hour < NIGHT_ENDS
    return (pack.night if night else pack.day)[colour]


def shortened(pack: Pack, *, window_seconds: int) -> Pack:
    """Return a pack in which no window is longer, with its rounds moved in proportion: for demos.

    Its name says so, because the rule is frozen into every bulletin. Raises ValueError when the
    rounds no longer fit one after another.
    """
    name = f"{pack.name}（缩短至{window_seconds}秒）"

    def short(rule: Rule) -> Rule:
        cut = replace(
            rule, pack=name, tiers=tuple(_cut(tier, window_seconds) for tier in rule.tiers)
        )
        check_rule(cut)
        return cut

    return replace(
        pack,
        name=name,
        day={colour: short(rule) for colour, rule in pack.day.items()},
        night={colour: short(rule) for colour, rule in pack.night.items()},
    )


def _cut(tier: TierRule, window_seconds: int) -> TierRule:
    whole = tier.window_seconds
    if whole <= window_seconds:
        return tier
    steps = (
        replace(step, after_seconds=step.after_seconds * window_seconds // whole)
        for step in tier.steps
    )
    return replace(tier, window_seconds=window_seconds, steps=tuple(steps))


def _steps(*rounds: tuple[int, str]) -> tuple[Step, ...]:
    return tuple(
        Step(after_seconds=after, channels=tuple(channels.split("+"))) for after, channels in rounds
    )


def _rule(
    *,
    minutes: int,
    steps: tuple[Step, ...],
    levels_up: int,
    closing_rung: int,
    two_person: bool,
    unknown_resend: bool = False,
) -> Rule:
    tier = TierRule(window_seconds=minutes * 60, steps=steps)
    return Rule(
        pack="县级默认",
        version=1,
        tiers=(tier,),
        levels_up=levels_up,
        closing_rung=closing_rung,
        two_person=two_person,
        unknown_resend=unknown_resend,
    )


_BLUE = _rule(
    minutes=60, steps=_steps((0, "sms+webhook")), levels_up=1, closing_rung=5, two_person=False
)
_YELLOW = _rule(
    minutes=30,
    steps=_steps((0, "sms+webhook"), (900, "voice")),
    levels_up=1,
    closing_rung=5,
    two_person=True,
)
_ORANGE = _rule(
    minutes=5,
    steps=_steps((0, "sms+webhook"), (180, "voice"), (240, "voice")),
    levels_up=2,
    closing_rung=6,
    two_person=True,
)
_ORANGE_NIGHT = _rule(
    minutes=5,
    steps=_steps((0, "sms+voice+webhook"), (120, "voice"), (240, "voice")),
    levels_up=2,
    closing_rung=6,
    two_person=True,
)
_RED = _rule(
    minutes=5,
    steps=_steps((0, "sms+voice+webhook"), (100, "voice"), (200, "voice")),
    levels_up=2,
    closing_rung=6,
    two_person=True,
    unknown_resend=True,
)

DEFAULT_PACK = Pack(
    name="县级默认",
    version=1,
    day={Colour.BLUE: _BLUE, Colour.YELLOW: _YELLOW, Colour.ORANGE: _ORANGE, Colour.RED: _RED},
    night={
        Colour.BLUE: _BLUE,
        Colour.YELLOW: _YELLOW,
        Colour.ORANGE: _ORANGE_NIGHT,
        Colour.RED: _RED,
    },
)


def rule_to_json(rule: Rule) -> str:
    """Return the rule as the document that is frozen into a bulletin."""
    return json.dumps(
        {
            "pack": rule.pack,
            "version": rule.version,
            "levels_up": rule.levels_up,
            "closing_rung": rule.closing_rung,
            "two_person": rule.two_person,
            "unknown_resend": rule.unknown_resend,
            "tiers": [
                {
                    "window_seconds": tier.window_seconds,
                    "quorum": {"kind": tier.quorum.kind.value, "n": tier.quorum.n},
                    "steps": [
                        {"after_seconds": step.after_seconds, "channels": list(step.channels)}
                        for step in tier.steps
                    ],
                }
                for tier in rule.tiers
            ],
        },
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )


def rule_from_json(text: str) -> Rule:
    """Read a frozen rule. Raises KeyError, TypeError or ValueError when it is not one."""
    document: dict[str, Any] = json.loads(text)
    rule = Rule(
        pack=document["pack"],
        version=document["version"],
        levels_up=document["levels_up"],
        closing_rung=document["closing_rung"],
        two_person=document["two_person"],
        unknown_resend=document["unknown_resend"],
        tiers=tuple(_tier_from(tier) for tier in document["tiers"]),
    )
    check_rule(rule)
    return rule


def check_rule(rule: Rule) -> None:
    """Raise ValueError when nobody could be called, or nothing closed, by this rule."""
    if not rule.tiers:
        raise ValueError("a rule needs a tier")
    if not CLOSING_RUNG_MIN <= rule.closing_rung <= CLOSING_RUNG_MAX:
        raise ValueError(f"no answer reaches rung {rule.closing_rung} and no other")
    if rule.levels_up < 0:
        raise ValueError("superiors are counted from 0")
    for tier in rule.tiers:
        _check_tier(tier)


def _check_tier(tier: TierRule) -> None:
    seconds = [step.after_seconds for step in tier.steps]
    if not seconds or seconds[0] != 0 or seconds != sorted(set(seconds)):
        raise ValueError("the first step comes at 0 seconds, and each later than the one before")
    if not all(step.channels for step in tier.steps):
        raise ValueError("a step needs a channel")
    if tier.window_seconds <= seconds[-1]:
        raise ValueError("the window closes before the last step")
    if tier.quorum.n < 1:
        raise ValueError("a quorum of nobody is never met")


def _tier_from(document: dict[str, Any]) -> TierRule:
    quorum = document["quorum"]
    return TierRule(
        window_seconds=document["window_seconds"],
        quorum=Quorum(kind=QuorumKind(quorum["kind"]), n=quorum["n"]),
        steps=tuple(
            Step(after_seconds=step["after_seconds"], channels=tuple(step["channels"]))
            for step in document["steps"]
        ),
    )

"""The fleet: this installation's carriers by name, and the routes among them.

Made once, by the composition root; carriers that a rule names and nobody has built are passed over
and told by `warnsvc doctor`. It never sends.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from channels.base import Capabilities, Channel, ChannelKind, inbound_possible, reaches
from warnsvc.core.route import ANY, RouteRule, rule_of

ROUTES_KEPT = 4_096
"""Answers kept in memory: one for each country code and language in use, and then some."""
CODE_DIGITS = 4
"""No country calling code is longer; what follows does not change a route."""


class Fleet:
    """Carriers in the order of the settings, and which of them are tried for what."""

    def __init__(self, channels: Mapping[str, Channel], rules: Sequence[RouteRule] = ()) -> None:
        """`channels`: by name. Without a rule for a kind, all its carriers, in their order."""
        self.channels: Mapping[str, Channel] = dict(channels)
        ruled = {rule.kind for rule in rules}
        kinds = dict.fromkeys(c.capabilities.kind.value for c in self.channels.values())
        self.routes: tuple[RouteRule, ...] = (
            *rules,
            *(
                RouteRule(kind=kind, carriers=tuple(c.name for c in self.of_kind(kind)))
                for kind in kinds
                if kind not in ruled
            ),
        )
        self._route = lru_cache(maxsize=ROUTES_KEPT)(self._find)

    def of_kind(self, kind: str) -> tuple[Channel, ...]:
        """Return the carriers of a kind."""
        return tuple(c for c in self.channels.values() if c.capabilities.kind == kind)

    def route(self, kind: str, address: str, language: str, form: str = "") -> tuple[str, ...]:
        """Return the names of the carriers for an address, in their order.

        A text of the form `call` asks for an answer, so carriers that cannot bring one from that
        country are not among them.
        """
        return self._route(kind, address[: CODE_DIGITS + 1], language, form == "call")[0]

    def receipt_seconds(self, kind: str, address: str, language: str) -> int:
        """Return how long a receipt may take before it is missing; 0: for ever."""
        return self._route(kind, address[: CODE_DIGITS + 1], language, False)[1]

    def carriers_for(
        self, kind: str, address: str, language: str, form: str = ""
    ) -> tuple[Channel, ...]:
        """Return the carriers themselves. An empty address or language stands for any."""
        return tuple(self.channels[name] for name in self.route(kind, address, language, form))

    def is_plain(self, kind: str) -> bool:
        """Whether a channel has one carrier that takes everything and brings every answer."""
        channels = self.of_kind(kind)
        rules = [rule for rule in self.routes if rule.kind == kind]
        return len(channels) == len(rules) == 1 and _takes_all(channels[0], rules[0])

    def answerable(self, kind: str, address: str, language: str) -> bool:
        """Whether an answer to a text or call on this channel can reach us."""
        return bool(self.route(kind, address, language, "call"))

    def capabilities(self) -> dict[str, Capabilities]:
        """Channel kind → what the first carrier of its first route can do."""
        found: dict[str, Capabilities] = {}
        for rule in self.routes:
            for name in rule.carriers:
                if name in self.channels:
                    found.setdefault(rule.kind, self.channels[name].capabilities)
        return found

    def missing(self) -> list[str]:
        """Return carriers that a rule names and that are not there, or are of another kind."""
        named = {(rule.kind, name) for rule in self.routes for name in rule.carriers}
        known = {(c.capabilities.kind.value, c.name) for c in self.channels.values()}
        return sorted(name for _, name in named - known)

    def _find(
        self, kind: str, address: str, language: str, asks: bool
    ) -> tuple[tuple[str, ...], int]:
        rule = rule_of(self.routes, kind, address, language)
        if rule is None:
            return (), 0
        there = [self.channels[name] for name in rule.carriers if name in self.channels]
        able = [c for c in there if _can(c, kind, address, asks)]
        saying = [c for c in able if _says(c.capabilities, language)]
        return tuple(c.name for c in saying or able), rule.receipt_seconds


def _can(channel: Channel, kind: str, address: str, asks: bool) -> bool:
    capabilities = channel.capabilities
    if capabilities.kind != kind:
        return False
    if not address:
        return True
    return reaches(capabilities, address) and (
        not asks or _is_answerable(capabilities, address)
    )


def _says(capabilities: Capabilities, language: str) -> bool:
    """Whether it can say a language, be it by playing a recording.

    Where nobody can, people hear Chinese: that is decided when the text is rendered.
    """
    return (
        capabilities.kind != ChannelKind.VOICE
        or capabilities.plays
        or not language
        or not capabilities.languages.isdisjoint({ANY, language})
    )


def _takes_all(channel: Channel, rule: RouteRule) -> bool:
    capabilities = channel.capabilities
    return (
        rule.carriers == (channel.name,)
        and ANY in rule.countries
        and ANY in rule.languages
        and "*" in capabilities.countries
        and (capabilities.dtmf or "*" in capabilities.inbound_countries)
    )


def _is_answerable(capabilities: Capabilities, address: str) -> bool:
    return capabilities.dtmf or inbound_possible(capabilities, address)

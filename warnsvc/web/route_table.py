"""The routes as a table: for each channel, country and language the carriers in their order.

A route on which no answer can come back is the one thing that this table must not hide: a text
that asks for an answer is not sent on it. It shows; the fleet and the planner decide.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from channels.base import Capabilities, ChannelKind, inbound_possible, reaches
from warnsvc.core.route import ANY, RouteRule
from warnsvc.service.fleet import Fleet
from warnsvc.web.capability import countries, country_name
from warnsvc.web.show import Show


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteStop:
    """One carrier of a route. `known` is False when nobody of this name is loaded."""

    name: str
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteLine:
    """One rule, in words."""

    kind: str
    countries: str
    languages: str
    stops: tuple[RouteStop, ...]
    receipt: str
    """When the next carrier sends it too, for want of a receipt."""
    troubles: tuple[str, ...]
    """What cannot work: no answer comes back, nobody reaches the country, nobody is there."""
    notes: tuple[str, ...]
    """Which of its carriers is passed over, and when."""


def route_lines(fleet: Fleet, show: Show, *, home: str) -> list[RouteLine]:
    """Return the rules in the order in which they are looked at."""
    return [_line(rule, fleet, show, home) for rule in fleet.routes]


def _line(rule: RouteRule, fleet: Fleet, show: Show, home: str) -> RouteLine:
    codes = [home] if ANY in rule.countries else sorted(rule.countries)
    loaded = {
        name: fleet.channels[name].capabilities
        for name in rule.carriers
        if name in fleet.channels and fleet.channels[name].capabilities.kind.value == rule.kind
    }
    checked = codes if rule.kind != ChannelKind.WEBHOOK and loaded else []
    return RouteLine(
        kind=rule.kind,
        countries=countries(rule.countries, show),
        languages=_languages(rule, show),
        stops=tuple(RouteStop(name=name, known=name in loaded) for name in rule.carriers),
        receipt=_receipt(rule, len(loaded), show),
        troubles=tuple(_troubles(rule, loaded, checked, show)),
        notes=tuple(_notes(loaded, checked, show)),
    )


def _languages(rule: RouteRule, show: Show) -> str:
    if ANY in rule.languages:
        return show.words("任何语言")
    named = (show.word("language", code) for code in sorted(rule.languages))
    return show.words("、").join(named)


def _receipt(rule: RouteRule, carriers: int, show: Show) -> str:
    if rule.kind == ChannelKind.VOICE:
        return show.words("电话不因没有回执而重打")
    if not rule.receipt_seconds or carriers < 2:  # nobody is left to send it too
        return show.words("不因没有回执而换通道")
    return show.words("{length}没有回执，换下一个再发", length=show.length(rule.receipt_seconds))


def _troubles(
    rule: RouteRule, loaded: dict[str, Capabilities], codes: list[str], show: Show
) -> Iterator[str]:
    for name in rule.carriers:
        if name not in loaded:
            yield show.words("没有装载名为 {name} 的通道", name=name)
    for code in codes:
        reaching = [can for can in loaded.values() if reaches(can, code)]
        country = country_name(code, show)
        if not reaching:
            yield show.words("没有一个通道送得到{country}", country=country)
        elif not any(_hears(can, code) for can in reaching):
            yield show.words(
                "{country}的应答回不来：要求应答的预警不会从这条路由发出", country=country
            )


def _notes(loaded: dict[str, Capabilities], codes: list[str], show: Show) -> Iterator[str]:
    """Say who is passed over while somebody else can do it."""
    for code in codes:
        hearing = [name for name, can in loaded.items() if _hears(can, code)]
        for name, can in loaded.items():
            if hearing and reaches(can, code) and name not in hearing:
                yield show.words(
                    "{name} 收不到{country}的应答，要求应答的预警跳过它",
                    name=name,
                    country=country_name(code, show),
                )


def _hears(can: Capabilities, code: str) -> bool:
    return reaches(can, code) and (can.dtmf or inbound_possible(can, code))

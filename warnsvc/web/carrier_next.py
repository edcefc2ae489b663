"""The one thing to do first when something is wrong with the carriers.

    nobody there ► a broken one ► a silent canary ► a route that leads nowhere ► a restart

It reads nothing and decides nothing; what is wrong, the service has found.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from warnsvc.web.carrier_card import Card
from warnsvc.web.route_table import RouteLine
from warnsvc.web.show import Show

BAD = ("open", "broken", "half_open", "shaky")
"""Standings that somebody must look into, the worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """What to do first."""

    title: str
    detail: str
    href: str
    action: str


def next_step(
    cards: Sequence[Card], lines: Sequence[RouteLine], show: Show, *, may_add: bool
) -> NextStep | None:
    """Return the one thing to do first, or None: all is well."""
    return (
        _none_there(cards, show, may_add=may_add)
        or _worst(cards, BAD, show)
        or _silent(cards, show)
        or _no_way(lines, show)
        or _worst(cards, ("not_running",), show)
    )


def _none_there(cards: Sequence[Card], show: Show, *, may_add: bool) -> NextStep | None:
    if any(card.view.running and card.view.enabled for card in cards):
        return None
    words = show.words
    action = words("添加通道") if may_add else ""
    return NextStep(
        title=words("没有可用的通道，什么都发不出去"),
        detail=words("请添加一个通道，或启用停用的，然后重启服务。"),
        href="/carriers/add",
        action=action,
    )


def _worst(cards: Sequence[Card], standings: Sequence[str], show: Show) -> NextStep | None:
    words = show.words
    for standing in standings:
        for card in cards:
            if card.standing != standing:
                continue
            if standing == "not_running":
                title = words("{name}：重启服务后生效", name=card.name)
            else:
                title = words("{name}：{state}", name=card.name, state=card.label.words)
            return NextStep(
                title=title,
                detail=words(
                    "{sentence}。{advice}", sentence=card.sentence, advice=_advice(standing, show)
                ),
                href=f"/carriers/{card.name}",
                action=words("去看 {name}", name=card.name),
            )
    return None


def _advice(standing: str, show: Show) -> str:
    words = show.words
    if standing == "broken":
        return words("请改正参数后重启服务。")
    if standing == "not_running":
        return words("在此之前不会用它发送。")
    return words("请核对账号、余额和网络，再发一条测试；在此期间按路由改走下一个通道。")


def _silent(cards: Sequence[Card], show: Show) -> NextStep | None:
    for card in cards:
        if card.canary.tone == "bad":
            return NextStep(
                title=show.words("{name}：试发没有到达", name=card.name),
                detail=card.canary.words,
                href=f"/carriers/{card.name}",
                action=show.words("去看 {name}", name=card.name),
            )
    return None


def _no_way(lines: Sequence[RouteLine], show: Show) -> NextStep | None:
    for line in lines:
        if line.troubles:
            return NextStep(
                title=show.words("{channel}的路由不通", channel=show.word("channel", line.kind)),
                detail=line.troubles[0],
                href="/carriers#routes",
                action=show.words("看路由"),
            )
    return None

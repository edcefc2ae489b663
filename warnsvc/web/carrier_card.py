"""One carrier as the desk sees it: how it stands, how fast, when it last got through.

    CarrierView ──► Card    a word with its sign, a sentence, pace, canary, what it cannot do

It reads nothing and decides nothing; the service has done both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from channels.base import ChannelKind
from warnsvc.service.carrier import PROBLEMS, CarrierView
from warnsvc.store.test_send import TestSend
from warnsvc.web.capability import Trait, lacks_of, pace_words
from warnsvc.web.label import Label
from warnsvc.web.show import Show

NOTED = ("no_route",)
"""Problems that the rest of a card does not say."""
ANSWERED = frozenset({"accepted", "delivered", "undelivered"})
"""States of a test that its carrier took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A carrier in words."""

    view: CarrierView
    adapter: str
    standing: str
    """A key of `STANDING`."""
    label: Label
    sentence: str
    pace: str
    canary: Label
    problems: tuple[str, ...]
    lacks: tuple[Trait, ...]

    @property
    def name(self) -> str:
        """The carrier's name."""
        return self.view.name


def cards_of(views: Iterable[CarrierView], show: Show, *, home: str) -> list[Card]:
    """Return the carriers in words, in the order in which they came."""
    return [card_of(view, show, home=home) for view in views]


def card_of(view: CarrierView, show: Show, *, home: str, profile: str = "") -> Card:
    """Return one carrier in words. `profile`: what stands behind a gateway, if that is known."""
    standing = standing_of(view)
    can = view.capabilities
    adapter = show.word("adapter", view.adapter)
    return Card(
        view=view,
        adapter=adapter + show.brackets(show.word("profile", profile)) if profile else adapter,
        standing=standing,
        label=show.label("standing", standing),
        sentence=_sentence(view, standing, show),
        pace=_pace(view, show),
        canary=_canary(view, show),
        problems=tuple(show.words(PROBLEMS[code]) for code in view.problems if code in NOTED),
        lacks=() if can is None else tuple(lacks_of(can, show, home=home)),
    )


def standing_of(view: CarrierView) -> str:
    """Return the word for how a carrier stands: a key of `STANDING`."""
    if not view.enabled:
        return "disabled"
    if view.fault:
        return "broken"
    if not view.running:
        return "not_running"
    if view.circuit_state != "closed":
        return view.circuit_state
    if view.circuit_failures:
        return "shaky"
    return "closed" if heard_at(view) or view.sent_last_hour else "unused"


def heard_at(view: CarrierView) -> datetime | None:
    """Return when it last answered, a warning's send or a test; of endpoints only tests tell."""
    answered = [t.receipt_at or t.sent_at for t in view.last_tests if t.state in ANSWERED]
    return max([*answered, *([view.last_ok_at] if view.last_ok_at else [])], default=None)


def _sentence(view: CarrierView, standing: str, show: Show) -> str:
    words = show.words
    error = view.last_error or words("没有回音")
    match standing:
        case "broken":
            return words("装载不了：{fault}", fault=view.fault)
        case "disabled":
            return words("已停用，不会用它发送")
        case "not_running":
            return words("本进程没有装载，重启后生效")
        case "open":
            at = words("马上") if view.probe_at is None else show.clock(view.probe_at)
            return words(
                "熔断中，连续失败 {n} 次，{time} 再试，最后的错误：{error}",
                n=view.circuit_failures,
                time=at,
                error=error,
            )
        case "half_open":
            return words("半开：正在试一条，最后的错误：{error}", error=error)
        case "shaky":
            return words(
                "还在用，但最近连续失败 {n} 次，最后的错误：{error}",
                n=view.circuit_failures,
                error=error,
            )
        case "unused":
            return words("还没有用过，发一条测试就知道通不通")
    heard = heard_at(view)
    if heard is None:
        return words("正常，近一小时发出 {n}", n=show.count(view.sent_last_hour))
    return words("正常，{length}前有应答", length=show.since(heard))


def _pace(view: CarrierView, show: Show) -> str:
    if view.capabilities is None:
        return "–"
    kind = ChannelKind(view.kind)
    whole = pace_words(kind, view.per_second, show)
    if view.pace_factor >= 1.0:
        return whole
    slowed = pace_words(kind, view.per_second * view.pace_factor, show)
    return show.words("{whole}；因被限速减到{slowed}", whole=whole, slowed=slowed)


def _canary(view: CarrierView, show: Show) -> Label:
    """Say when a canary last came through, and ring when it should have and did not."""
    words, last = show.words, view.last_canary
    if not view.canary_minutes or not view.canary_address_masked:
        return Label(words("没有设定时试发，坏了要到用时才知道"), "–", "off")
    if last is None:
        return Label(words("从未试发"), "○", "idle")
    ok_at = view.last_canary_ok_at
    silent = "canary_silent" in view.problems
    if ok_at is None:
        said = words("试发过，还没有一条到达")
        return Label(said, "✕" if silent else "◔", "bad" if silent else "busy")
    if silent:
        said = words(
            "试发最后一次到达是 {time}，已 {length}没有到达",
            time=show.time(ok_at),
            length=show.since(ok_at),
        )
        return Label(said, "✕", "bad")
    return Label(_arrived(ok_at, last, show), "✓", "good")


def _arrived(ok_at: datetime, last: TestSend, show: Show) -> str:
    if last.receipt_at is None or last.state != "delivered":
        return show.words("试发 {time} 到达过，最近一条还没有", time=show.time(ok_at))
    seconds = (last.receipt_at - last.sent_at).total_seconds()
    return show.words(
        "试发 {time} 到达，用了 {length}",
        time=show.time(last.receipt_at),
        length=show.length(seconds),
    )

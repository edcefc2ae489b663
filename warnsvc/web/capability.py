"""What a carrier can and cannot do, in sentences: `Capabilities` in, a list of traits out.

    Capabilities ──traits_of──► every trait, for the table of one carrier
                 └─lacks_of───► only what a warning may miss, for its card

A sentence that says "cannot" stands beside a sign and not only in a colour. It decides nothing: the
planner reads the same capabilities and refuses by itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import phonenumbers
from babel import Locale

from channels.base import Capabilities, ChannelKind, PerCalleeLimit
from warnsvc.web.label import LANGUAGE
from warnsvc.web.show import Show

EVERY = "*"
"""In a set of countries or languages: all of them."""
REGIONS_NAMED_MAX = 2
"""Countries named for one calling code: 7 is Russia and Kazakhstan, 1 is twenty-five."""
CODES_NAMED_MAX = 8
"""Calling codes named in a sentence; nobody reads more at night."""
_BABEL = {"zh": Locale.parse("zh_Hans_CN"), "en": Locale.parse("en_GB")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """One thing that a carrier can do, or cannot."""

    name: str
    """What it is about."""
    sentence: str
    able: bool = True
    """False: something that a warning may need, and that is missing here."""

    @property
    def sign(self) -> str:
        """✓ or ✕: colour is never alone."""
        return "✓" if self.able else "✕"

    @property
    def tone(self) -> str:
        """The tone of the sign."""
        return "good" if self.able else "bad"


def home_code(country: str) -> str:
    """Return the calling code of a country: `CN` → `86`."""
    return str(phonenumbers.country_code_for_region(country))


def country_name(code: str, show: Show) -> str:
    """Return a calling code with its country: `中国（+86）`."""
    if code == EVERY:
        return show.words("任何国家")
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ()) if code.isdigit() else ()
    territories = _BABEL.get(show.language, _BABEL["zh"]).territories
    named = [territories.get(region, region) for region in regions[:REGIONS_NAMED_MAX]]
    if len(regions) > REGIONS_NAMED_MAX:
        named = [show.words("{country}等", country=named[0])]
    name = show.words("、").join(named)
    return f"{name}{show.brackets('+' + code)}" if name else f"+{code}"


def countries(codes: Iterable[str], show: Show) -> str:
    """Return calling codes in words, the first few by name."""
    listed = sorted(codes)
    if EVERY in listed:
        return show.words("任何国家")
    named = show.words("、").join(country_name(code, show) for code in listed[:CODES_NAMED_MAX])
    if len(listed) > CODES_NAMED_MAX:
        return show.words("{countries}等 {n} 个国家和地区", countries=named, n=len(listed))
    return named


def traits_of(can: Capabilities, show: Show, *, home: str) -> list[Trait]:
    """Return everything there is to say about a carrier. `home`: the calling code at home."""
    return [
        *_reach(can, show, home),
        *_answers(can, show, home),
        *_texts(can, show),
        *_voice(can, show),
        *_afterwards(can, show),
        *_pace(can, show),
    ]


def lacks_of(can: Capabilities, show: Show, *, home: str) -> list[Trait]:
    """Return what it cannot do."""
    return [trait for trait in traits_of(can, show, home=home) if not trait.able]


def callee_limits(limits: Iterable[PerCalleeLimit], show: Show) -> list[str]:
    """Return how often one person may be sent to, the shortest span first."""
    words, said = show.words, []
    for limit in sorted(limits, key=lambda one: one.seconds):
        often = {"n": limit.count, "length": show.length(limit.seconds)}
        if limit.hard:
            said.append(words("{length}内最多 {n} 次，运营商的限制，突破不了", **often))
        else:
            said.append(words("{length}内最多 {n} 次，礼貌限制，红色预警可以突破", **often))
    return said


def _reach(can: Capabilities, show: Show, home: str) -> Iterator[Trait]:
    words = show.words
    if can.kind is ChannelKind.WEBHOOK:
        return
    name, everywhere = words("送到哪里"), EVERY in can.countries
    reached = countries(can.countries, show)
    if everywhere or home in can.countries:
        said = words("能送到{countries}", countries=reached)
        yield Trait(name=name, sentence=said)
    else:
        said = words(
            "送不到{home}，只送到{countries}", home=country_name(home, show), countries=reached
        )
        yield Trait(name=name, sentence=said, able=False)


def _answers(can: Capabilities, show: Show, home: str) -> Iterator[Trait]:
    words, name = show.words, show.words("怎么应答")
    if can.kind is ChannelKind.VOICE:
        able = can.dtmf
        said = words("能听对方按键应答") if able else words("听不到按键，对方无法在电话里应答")
        yield Trait(name=name, sentence=said, able=able)
        return
    if can.kind is ChannelKind.WEBHOOK:
        yield Trait(name=name, sentence=words("对方系统在响应里或用应答地址答复"))
        return
    if not can.inbound_countries:
        yield Trait(name=name, sentence=words("收不到任何回复短信"), able=False)
    elif EVERY in can.inbound_countries or home in can.inbound_countries:
        said = words("收得到{countries}的回复", countries=countries(can.inbound_countries, show))
        yield Trait(name=name, sentence=said)
    else:
        said = words(
            "收不到{home}的回复短信，只收得到{countries}的",
            home=country_name(home, show),
            countries=countries(can.inbound_countries, show),
        )
        yield Trait(name=name, sentence=said, able=False)


def _texts(can: Capabilities, show: Show) -> Iterator[Trait]:
    words = show.words
    if can.kind is ChannelKind.WEBHOOK:
        return
    free = words("任何文字都能发") if can.free_text else words("只能发运营商审过的模板")
    yield Trait(name=words("文字"), sentence=free, able=can.free_text)
    yield Trait(name=words("长度"), sentence=words("最多 {n} 个字", n=show.count(can.chars_max)))
    if can.kind is not ChannelKind.SMS:
        return
    links = words("可以带链接") if can.links_allowed else words("不能带链接和电话号码")
    yield Trait(name=words("链接"), sentence=links, able=can.links_allowed)
    if EVERY not in can.languages:
        yield from _languages(can, show, words("能发{languages}"), words("不能发{languages}"))


def _voice(can: Capabilities, show: Show) -> Iterator[Trait]:
    words = show.words
    if can.kind is not ChannelKind.VOICE:
        return
    if EVERY in can.languages:
        yield Trait(name=words("语言"), sentence=words("会说每一种语言"))
    elif can.plays:
        yield from _languages(
            can, show, words("会说{languages}"), words("不会说{languages}，但可以放录音")
        )
    else:
        yield from _languages(
            can, show, words("会说{languages}"), words("不会说{languages}，也不能放录音")
        )
    amd = words("分得清真人和语音信箱") if can.amd else words("分不清真人和语音信箱")
    yield Trait(name=words("谁接的电话"), sentence=amd, able=can.amd)


def _languages(can: Capabilities, show: Show, does: str, does_not: str) -> Iterator[Trait]:
    """Say which of the house's languages it has, and which it has not."""
    name, comma = show.words("语言"), show.words("、")
    has = [code for code in LANGUAGE if code in can.languages]
    lacks = [code for code in LANGUAGE if code not in can.languages]
    for pattern, codes, able in ((does, has, True), (does_not, lacks, False)):
        if codes:
            named = comma.join(show.word("language", code) for code in codes)
            yield Trait(name=name, sentence=pattern.format(languages=named), able=able)


def _afterwards(can: Capabilities, show: Show) -> Iterator[Trait]:
    words = show.words
    receipts = words("会回报是否送达") if can.receipts else words("不回报是否送达")
    yield Trait(name=words("回执"), sentence=receipts, able=can.receipts)
    if can.kind is ChannelKind.WEBHOOK:
        return
    cancel = words("排队的可以撤回") if can.can_cancel else words("发出就不能撤回")
    yield Trait(name=words("撤回"), sentence=cancel, able=can.can_cancel)
    lookup = (
        words("结果不明时可以查询") if can.can_lookup else words("结果不明时查不到，只能等回执")
    )
    yield Trait(name=words("查询"), sentence=lookup, able=can.can_lookup)
    if can.kind is ChannelKind.SMS and can.inbound_countries:
        poll = (
            words("断线后能补取回复")
            if can.can_poll
            else words("断线期间的回复补不回来，靠运营商重推")
        )
        yield Trait(name=words("补取"), sentence=poll, able=can.can_poll)


def _pace(can: Capabilities, show: Show) -> Iterator[Trait]:
    words, name = show.words, show.words("速度")
    yield Trait(name=name, sentence=pace_words(can.kind, can.per_second, show))
    for pace in can.paces:
        shared = words(
            "{name} 合计{pace}",
            name=pace.name.removeprefix("sender:"),
            pace=pace_words(can.kind, pace.per_second, show),
        )
        yield Trait(name=name, sentence=shared)
    if can.lines:
        yield Trait(name=words("线路"), sentence=words("同时最多 {n} 通电话", n=can.lines))
    if can.batch_max > 1:
        yield Trait(name=words("批量"), sentence=words("一次请求最多 {n} 个号码", n=can.batch_max))
    if can.kind is not ChannelKind.WEBHOOK and not can.validity_seconds_max:
        late = words("没有有效期：交出后即使过时，也会照样送达")
        yield Trait(name=words("有效期"), sentence=late, able=False)
    elif can.kind is not ChannelKind.WEBHOOK:
        span = words(
            "过时不发：有效期可以是 {least} 到 {most}",
            least=show.length(can.validity_seconds_min),
            most=show.length(can.validity_seconds_max),
        )
        yield Trait(name=words("有效期"), sentence=span)


def pace_words(kind: ChannelKind, per_second: float, show: Show) -> str:
    """Return a pace as people say it: per second, or per minute when it is slower than one."""
    words = show.words
    slow = per_second < 1
    n = f"{per_second * 60 if slow else per_second:.3g}"
    match kind:
        case ChannelKind.SMS:
            return words("每分钟 {n} 条", n=n) if slow else words("每秒 {n} 条", n=n)
        case ChannelKind.VOICE:
            return words("每分钟 {n} 通", n=n) if slow else words("每秒 {n} 通", n=n)
        case ChannelKind.WEBHOOK:
            return words("每分钟 {n} 次", n=n) if slow else words("每秒 {n} 次", n=n)

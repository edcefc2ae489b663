"""What a carrier can and cannot do, as the desk reads it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from channels.base import Capabilities, ChannelKind, PaceLimit, PerCalleeLimit
from warnsvc.localtime import LocalTime
from warnsvc.resource import locale_dir
from warnsvc.web.capability import callee_limits, home_code, lacks_of, pace_words, traits_of
from warnsvc.web.show import Show
from warnsvc.words import Words

WORDS = Words.load(locale_dir())
NOW = datetime(2026, 7, 5, 6, 0, tzinfo=UTC)
TWILIO_LIKE = Capabilities(
    kind=ChannelKind.SMS,
    inbound_countries=frozenset({"1", "44"}),
    can_lookup=True,
    can_poll=True,
)
TEMPLATES_ONLY = Capabilities(
    kind=ChannelKind.SMS,
    countries=frozenset({"86"}),
    inbound_countries=frozenset({"86"}),
    free_text=False,
    links_allowed=False,
    chars_max=500,
    batch_max=100,
    paces=(PaceLimit(name="sender:1069", per_second=0.5),),
)
SPEAKS_CHINESE = Capabilities(
    kind=ChannelKind.VOICE, dtmf=True, plays=True, lines=30, languages=frozenset({"zh", "en"})
)


def show(language: str = "zh") -> Show:
    return Show(language, WORDS.language(language), LocalTime(ZoneInfo("Asia/Shanghai")), NOW)


def lacks(can: Capabilities, language: str = "zh") -> list[str]:
    return [trait.sentence for trait in lacks_of(can, show(language), home="86")]


def says(can: Capabilities, language: str = "zh") -> list[str]:
    return [trait.sentence for trait in traits_of(can, show(language), home="86")]


def test_a_carrier_that_hears_no_reply_from_home_says_so_and_from_where_it_does() -> None:
    assert "收不到中国（+86）的回复短信，只收得到美国等（+1）、英国等（+44）的" in lacks(
        TWILIO_LIKE
    )
    assert any("Cannot receive replies from China (+86)" in one for one in lacks(TWILIO_LIKE, "en"))


def test_a_carrier_of_templates_says_what_it_refuses() -> None:
    said = says(TEMPLATES_ONLY)

    assert "只能发运营商审过的模板" in lacks(TEMPLATES_ONLY)
    assert "不能带链接和电话号码" in lacks(TEMPLATES_ONLY)
    assert "能送到中国（+86）" in said
    assert "最多 500 个字" in said
    assert "一次请求最多 100 个号码" in said
    assert "1069 合计每分钟 30 条" in said


def test_a_carrier_that_takes_no_validity_says_that_old_texts_still_arrive() -> None:
    endless = Capabilities(
        kind=ChannelKind.SMS, validity_seconds_min=0, validity_seconds_max=0, can_cancel=True
    )

    assert "没有有效期：交出后即使过时，也会照样送达" in lacks(endless)
    assert not any("有效期可以是" in said for said in says(endless))


def test_a_voice_that_lacks_uyghur_says_that_a_recording_helps() -> None:
    assert "不会说维吾尔语、哈萨克语，但可以放录音" in lacks(SPEAKS_CHINESE)
    assert "会说汉语、英语" in says(SPEAKS_CHINESE)
    assert "分不清真人和语音信箱" in lacks(SPEAKS_CHINESE)
    assert "能听对方按键应答" in says(SPEAKS_CHINESE)


def test_a_carrier_that_does_not_reach_home_says_so_first() -> None:
    abroad = Capabilities(kind=ChannelKind.SMS, countries=frozenset({"7"}))

    assert lacks(abroad)[0] == "送不到中国（+86），只送到俄罗斯、哈萨克斯坦（+7）"


@pytest.mark.parametrize(
    ("kind", "per_second", "words"),
    [
        (ChannelKind.SMS, 10.0, "每秒 10 条"),
        (ChannelKind.VOICE, 0.5, "每分钟 30 通"),
        (ChannelKind.WEBHOOK, 20, "每秒 20 次"),
        (ChannelKind.SMS, 1 / 3, "每分钟 20 条"),
    ],
)
def test_a_pace_is_said_in_what_is_counted(
    kind: ChannelKind, per_second: float, words: str
) -> None:
    assert pace_words(kind, per_second, show()) == words


def test_limits_of_a_callee_say_whose_they_are() -> None:
    limits = (
        PerCalleeLimit(count=20, seconds=86_400, hard=True),
        PerCalleeLimit(count=1, seconds=60),
    )

    said = callee_limits(limits, show())

    assert said[0].startswith("1 分内最多 1 次，礼貌限制")
    assert said[1] == "1 天内最多 20 次，运营商的限制，突破不了"


@pytest.mark.parametrize("can", [TWILIO_LIKE, TEMPLATES_ONLY, SPEAKS_CHINESE])
def test_every_trait_has_a_name_a_sign_and_no_chinese_in_english(can: Capabilities) -> None:
    for trait in traits_of(can, show("en"), home="86"):
        assert trait.name
        assert trait.sign in "✓✕"
        assert trait.sentence.isascii() or "’" in trait.sentence, trait.sentence


def test_an_endpoint_is_asked_for_neither_country_nor_voice() -> None:
    names = {trait.name for trait in traits_of(_endpoint(), show(), home="86")}

    assert names == {"怎么应答", "回执", "速度"}


def _endpoint() -> Capabilities:
    return Capabilities(kind=ChannelKind.WEBHOOK, many_hosts=True)


def test_the_calling_code_of_home_is_looked_up() -> None:
    assert home_code("CN") == "86"
    assert home_code("KZ") == "7"

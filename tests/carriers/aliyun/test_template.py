"""A text fits an approved template, or it is said why: when it is written, as when it is sent."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.aliyun_template import Filled, Limits, TemplateFault, Templates
from channels.base import Obstacle, OutcomeKind, SendRequest, Unsendable, Words
from channels.errors import ErrorClass
from channels.sendable import has_link
from tests.carriers.aliyun.rigs import PHONE, AliyunSmsRig
from tests.carriers.aliyun.standin import Approved

COUNTY = """
[[template]]
form = "call"
language = "zh"
code = "SMS_CALL"
text = "${issuer}：${text}收到请回复1，无法到岗请回复2。"
[template.variables]
issuer = "issuer"
text = { field = "text", limit = 60 }

[[template]]
form = "call"
language = "zh"
code = "SMS_CALL_LIST"
text = "${issuer}：${text}未应答：${listed}。请立即督促，收到请回复1。"
[template.variables]
issuer = "issuer"
text = { field = "text", limit = 60 }
listed = { field = "listed", limit = 12 }

[[template]]
form = "lift"
language = "zh"
code = "SMS_LIFT"
text = "解除${released}发布的${hazard}${colour}预警。原因：${text}。"
drill = false
[template.variables]
released = "released"
hazard = "hazard"
colour = { field = "colour", limit = 4 }
text = { field = "text", limit = 20, otherwise = "天气好转" }

[[template]]
form = "lift"
language = "zh"
code = "SMS_LIFT_DRILL"
text = "演练：解除${hazard}${kind}。"
drill = true
[template.variables]
hazard = "hazard"
kind = "kind"
"""
FIELDS = {
    "issuer": "云岭县应急局",
    "text": "今晚十点前转移到村委会。",
    "hazard": "山洪",
    "colour": "红色",
    "released": "07-11 14:00",
    "number": "65290041600000",
    "listing": [],
    "listed": "",
    "drill": False,
}


@pytest.fixture
def county(tmp_path: Path) -> Templates:
    return load(tmp_path, COUNTY)


def load(folder: Path, text: str, *, calls: bool = False) -> Templates:
    path = folder / "templates.toml"
    path.write_text(text, encoding="utf-8")
    return Templates.load(str(path), Limits(chars_max=500, calls=calls))


def words(form: str = "call", language: str = "zh", **fields: Any) -> Words:
    return Words(text="…", language=language, form=form, fields=FIELDS | fields)


def test_fields_fill_the_variables_they_are_for(county: Templates) -> None:
    filled = county.fill(words())

    assert isinstance(filled, Filled)
    assert filled.template.code == "SMS_CALL"
    assert filled.values == {"issuer": "云岭县应急局", "text": "今晚十点前转移到村委会。"}
    assert filled.text == "云岭县应急局：今晚十点前转移到村委会。收到请回复1，无法到岗请回复2。"


def test_a_text_that_names_places_goes_into_the_template_that_has_room_for_them(
    county: Templates,
) -> None:
    filled = county.fill(words(listing=["上村", "下村"], listed="上村、下村"))

    assert isinstance(filled, Filled)
    assert filled.template.code == "SMS_CALL_LIST"
    assert filled.values["listed"] == "上村、下村"


def test_too_many_names_are_cut_and_counted_but_never_left_out(county: Templates) -> None:
    names = [f"第{number}村" for number in range(1, 13)]

    filled = county.fill(words(listing=names, listed="、".join(names)))

    assert isinstance(filled, Filled)
    assert filled.values["listed"] == "第1村、第2村等12处"


def test_names_are_not_dropped_for_want_of_room(tmp_path: Path) -> None:
    only_without = load(tmp_path, COUNTY.split("[[template]]\nform = \"call\"")[1].join(
        ['[[template]]\nform = "call"', ""]
    ))

    found = only_without.fill(words(listing=["上村"], listed="上村"))

    assert found == Unsendable(obstacle=Obstacle.NO_TEMPLATE, field="listed")


def test_a_form_or_language_without_a_template_is_refused(county: Templates) -> None:
    assert county.fill(words("inform")) == Unsendable(obstacle=Obstacle.NO_TEMPLATE)
    assert county.fill(words(language="ug")) == Unsendable(obstacle=Obstacle.NO_TEMPLATE)


def test_a_value_that_is_too_long_is_named_with_its_limit(county: Templates) -> None:
    found = county.fill(words(text="字" * 61))

    assert found == Unsendable(
        obstacle=Obstacle.FIELD_TOO_LONG, field="text", limit=60, given=61
    )


def test_a_drill_has_a_template_of_its_own(county: Templates) -> None:
    real, drill = county.fill(words("lift")), county.fill(words("lift", drill=True))

    assert isinstance(real, Filled)
    assert isinstance(drill, Filled)
    assert (real.template.code, drill.template.code) == ("SMS_LIFT", "SMS_LIFT_DRILL")
    assert drill.text == "演练：解除山洪演练。"


def test_an_empty_field_says_what_is_said_otherwise(county: Templates) -> None:
    filled = county.fill(words("lift", text=""))

    assert isinstance(filled, Filled)
    assert filled.values["text"] == "天气好转"


@pytest.mark.parametrize(
    "text",
    [
        "详见 https://warn.example.org/a/1",
        "详见 www.cma.gov.cn",
        "详见 yunling.gov.cn 公告",
        "有事打13912345678",
        "有事打 139-1234-5678",
        "有事打１３９１２３４５６７８",
        "有事打+86 13912345678",
        "值班电话0991-5551234",
        "值班电话09915551234。",
        "值班电话400-123-4567",
    ],
)
def test_links_and_phone_numbers_are_found(county: Templates, text: str) -> None:
    found = county.fill(words(text=text))

    assert found == Unsendable(obstacle=Obstacle.LINK, field="text")


@pytest.mark.parametrize(
    "text",
    [
        "11日14–20时硫磺沟镇有强降雨，累计雨量80.5毫米。",
        "2025-07-11 14:30 起，G216 国道 K120+300 封闭。",
        "遇险拨打119或110，供电报修95598。",
        "编号65290041600000_20250711143000，请转移1200人。",
        "请到村委会(海拔1350m)集合，1.5小时内完成。",
    ],
)
def test_what_only_looks_like_one_is_left_alone(text: str) -> None:
    assert not has_link(text)


@given(
    text=st.text(max_size=80),
    form=st.sampled_from(["call", "lift", "inform"]),
    drill=st.booleans(),
    names=st.lists(st.text(min_size=1, max_size=6), max_size=15),
)
async def test_check_and_send_never_disagree(
    text: str, form: str, drill: bool, names: list[str]
) -> None:
    """`check` says "sendable" of exactly what the carrier is then asked to send, and takes."""
    rig = AliyunSmsRig()
    rig.templates = COUNTY
    rig.approved = {
        "SMS_CALL": approved("${issuer}：${text}收到请回复1，无法到岗请回复2。", issuer=35, text=60),
        "SMS_CALL_LIST": approved(
            "${issuer}：${text}未应答：${listed}。请立即督促，收到请回复1。", issuer=35, text=60, listed=12
        ),
        "SMS_LIFT": approved(
            "解除${released}发布的${hazard}${colour}预警。原因：${text}。",
            released=35, hazard=35, colour=4, text=20,
        ),
        "SMS_LIFT_DRILL": approved("演练：解除${hazard}${kind}。", hazard=35, kind=35),
    }
    await rig.start()
    fields = FIELDS | {"text": text, "drill": drill, "listing": names, "listed": "、".join(names)}
    asked = Words(text=text, language="zh", form=form, fields=fields)

    found = rig.channel.check(asked)
    outcome = await rig.channel.send(
        SendRequest(
            token="tok-1", to=PHONE, text=text, language="zh", form=form, fields=fields,
            valid_until=rig.now() + timedelta(minutes=5), callback_url="",
        )
    )
    await rig.close()

    if found is None:
        assert outcome.kind is OutcomeKind.ACCEPTED, outcome
    else:
        assert (outcome.error_class, outcome.code) == (ErrorClass.UNROUTABLE, found.obstacle.value)
        assert rig.carrier.requests == []


def approved(wording: str, **limits: int) -> Approved:
    return Approved(text=wording, limits=limits)


# --- the file -------------------------------------------------------------------------------------

GOOD = {
    "form": '"call"',
    "language": '"zh"',
    "code": '"SMS_1"',
    "text": '"${text}收到请回复1"',
    "variables": '{ text = "text" }',
}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"form": '"alert"'}, r"\[\[template\]\] 1: form: must be one of call, inform"),
        ({"form": None}, "form: is missing"),
        ({"code": '"短信"'}, "code: must be the code the provider gave it"),
        ({"code": None}, "code: must be"),
        ({"text": '"收到请回复1"'}, r"variables\.text: the text has no \$\{text\}"),
        ({"variables": "{}"}, r"variables: say which of our fields fills \$\{text\}"),
        ({"variables": '{ text = "body" }'}, r"variables\.text\.field: must be one of colour"),
        ({"variables": '{ text = { field = "text", limit = 0 } }'}, r"variables\.text\.limit"),
        ({"variables": '{ text = { field = "text", limit = true } }'}, r"variables\.text\.limit"),
        ({"variables": '{ text = { field = "text", max = 9 } }'}, r"variables\.text: write"),
        ({"variables": "{ text = 35 }"}, r"variables\.text: write"),
        ({"text": '"山洪预警"', "variables": "{}"}, "variables: none is filled with text"),
        ({"drill": '"yes"'}, "drill: must be true or false"),
        ({"keys": '{ "1" = "TTS_1" }'}, "keys: is not known here"),
        ({"sign": '"x"'}, "sign: is not known here; take it out"),
        ({"form": '"lift"'}, "drill: nothing in this text tells a drill from the real thing"),
        ({"text": '"' + "字" * 501 + '"'}, "text: is longer than the 500 characters"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_file_table_and_field(
    tmp_path: Path, changes: dict[str, str | None], says: str
) -> None:
    entries = {k: v for k, v in (GOOD | changes).items() if v is not None}

    with pytest.raises(TemplateFault, match=says) as fault:
        load(tmp_path, "[[template]]\n" + "\n".join(f"{k} = {v}" for k, v in entries.items()))

    assert str(fault.value).startswith(str(tmp_path / "templates.toml"))


def test_a_test_needs_no_word_for_drills(tmp_path: Path) -> None:
    entries = GOOD | {"form": '"test"', "text": '"${issuer}通道测试，不是预警。"',
                      "variables": '{ issuer = "issuer" }'}

    loaded = load(tmp_path, "[[template]]\n" + "\n".join(f"{k} = {v}" for k, v in entries.items()))

    assert isinstance(loaded.fill(words("test")), Filled)


@pytest.mark.parametrize("text", ["", "x = 1", "[[template]", "template = 3", "template = []"])
def test_a_file_without_templates_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(TemplateFault):
        load(tmp_path, text)


def test_two_templates_for_one_thing_are_refused(tmp_path: Path) -> None:
    one = "[[template]]\n" + "\n".join(f"{k} = {v}" for k, v in GOOD.items()) + "\n"

    with pytest.raises(TemplateFault, match=r"\[\[template\]\] 2: form: there is another one"):
        load(tmp_path, one + one)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ('{ "1" = "TTS 1" }', r"keys\.1: must be the code"),
        ('{ "#" = "TTS_1" }', "keys: must be a table of keys"),
        ('"1"', "keys: must be a table of keys"),
    ],
)
def test_keys_of_calls_are_checked_too(tmp_path: Path, keys: str, says: str) -> None:
    entries = GOOD | {"keys": keys}

    with pytest.raises(TemplateFault, match=says):
        load(
            tmp_path,
            "[[template]]\n" + "\n".join(f"{k} = {v}" for k, v in entries.items()),
            calls=True,
        )

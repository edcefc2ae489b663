"""What the page tells people to apply for is what the adapters take."""

import re
from pathlib import Path

import pytest

from channels.aliyun_sms import CHARS_MAX as SMS_CHARS_MAX
from channels.aliyun_template import FORMS, Filled, Limits, Templates
from channels.aliyun_voice import CHARS_MAX as VOICE_CHARS_MAX
from channels.base import Words

PAGE = (Path(__file__).resolve().parents[3] / "docs/CARRIERS-ALIYUN.md").read_text(encoding="utf-8")
FILES = {"sms": SMS_CHARS_MAX, "voice": VOICE_CHARS_MAX}
FIELDS = {
    "issuer": "云岭县应急管理局",
    "hazard": "山洪",
    "colour": "红色",
    "text": "今晚十点前，沟口各户全部转移到村委会。",
    "number": "20250711143000-1742",
    "released": "07-11 14:30",
}


def example(kind: str) -> str:
    return re.findall(rf"```toml\n(# /etc/warnsvc/aliyun-{kind}\.toml.*?)```", PAGE, re.DOTALL)[0]


def texts(kind: str) -> list[str]:
    return re.findall(r'^text = "(.*)"$', example(kind), re.MULTILINE)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("drill", [False, True])
@pytest.mark.parametrize("names", [(), tuple(f"硫磺沟第{n}村" for n in range(1, 13))])
def test_the_examples_carry_every_form(
    tmp_path: Path, kind: str, drill: bool, names: tuple[str, ...]
) -> None:
    path = tmp_path / "templates.toml"
    path.write_text(example(kind), encoding="utf-8")
    templates = Templates.load(str(path), Limits(chars_max=FILES[kind], calls=kind == "voice"))

    for form in FORMS:
        if names and form in ("lift", "test"):
            continue
        fields = {**FIELDS, "drill": drill, "listing": names, "listed": "、".join(names)}
        filled = templates.fill(Words(text="", language="zh", form=form, fields=fields))

        assert isinstance(filled, Filled), (form, filled)
        assert ("演练" in filled.text) is (drill and form != "test")
        assert "等12处" in filled.text or all(name in filled.text for name in names)


@pytest.mark.parametrize("kind", FILES)
def test_the_examples_keep_the_providers_rules(kind: str) -> None:
    forbidden = r"[【】#/%¥:-]" if kind == "voice" else r"[【】]"

    assert len(texts(kind)) == 6
    for text in texts(kind):
        fixed = re.sub(r"\$\{\w+\}", "", text)
        assert not re.search(r"\}[，。：、；\s]*\$\{", text), "two variables side by side"
        assert not re.search(forbidden, fixed), text
        assert len(set(re.findall(r"\$\{(\w+)\}", text))) == text.count("${")

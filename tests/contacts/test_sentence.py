"""Every fault has a sentence in both languages, and every sentence a fault that says it."""

import re
from pathlib import Path

import pytest

from contacts.directory import sentence
from contacts.directory.sentence import SENTENCES
from contacts.phone import PhoneReason

SOURCES = [
    path.read_text(encoding="utf-8")
    for path in Path(sentence.__file__).parent.glob("*.py")
    if path.name != "sentence.py"
]


@pytest.mark.parametrize("code", SENTENCES)
def test_every_code_is_raised_somewhere(code: str) -> None:
    if code.startswith("phone_"):
        assert code.removeprefix("phone_") in set(PhoneReason)
    else:
        assert any(f'"{code}"' in source for source in SOURCES)


def test_every_reason_of_a_number_has_its_sentence() -> None:
    spoken = {code.removeprefix("phone_") for code in SENTENCES if code.startswith("phone_")}

    assert spoken == set(PhoneReason) - {PhoneReason.EMPTY}, "an empty cell is no number at all"


@pytest.mark.parametrize("code", SENTENCES)
def test_both_languages_say_the_same_things(code: str) -> None:
    zh, en = SENTENCES[code]
    gaps = [set(re.findall(r"{(\w+)}", text)) for text in (zh, en)]
    named = {"column_zh", "column_en"}

    assert gaps[0] - named == gaps[1] - named
    assert zh.endswith(("。", "）")) or zh[-1] == "。"
    assert en.endswith(".")
    assert re.search("[\u4e00-\u9fff]", zh)
    assert not re.search("[\u4e00-\u9fff]", re.sub("[（）“”，。]", "", en))

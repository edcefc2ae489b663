"""What people type back, and what it must and must not be taken for (domain.md (h) 4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warnsvc.core.answer import (
    _MEANING,
    _WORDS,
    REPLY_CHARS_MAX,
    RUNG_RECEIVED,
    AnswerKind,
    answer,
    normalise,
    parse,
)

RECEIVED = [
    "1",
    "１",
    "۱",
    "١",
    "१",
    "①",
    "1️⃣",
    " 1 ",
    "1。",
    " 1。",
    "1.",
    "1#",
    "1!",
    "１．",
    "\t1\r\n",
    "\u200f1\u200f",
    "\u202b١\u202c",
    "\u2067۱\u2069",
    "\ufeff1",
    "1\u200b",
    "(1)",
    "“1”",
    "【1】",
    "收到",
    "收到。",
    "收 到",
    "收到！",
    "已收到",
    "收到了",
    "知道了",
    "好的",
    "ok",
    "OK",
    "Ok.",
    " o k ",
    "ＯＫ",
    "Okay",
    "YES",
    "roger.",
    "👍",
    "👍🏽",
    "👍️",
    "تاپشۇرۇۋالدىم",
    "\u200fھەئە\u200f",
    "جارايدى",
]
REFUSED = ["2", "２", "٢", "۲", "2。", "无法到岗", "无法到岗。", "去不了", "不行", "No.", "ياق"]
ON_POST = ["3", "３", "٣", "到岗", "已到岗！", "On post"]
HELP = ["4", "٤", "需要支援", "求助!!", "HELP"]
OPTED_OUT = ["T", "TD", "ｔｄ", "退订", " 退订。", "STOP", "Stop!", "stop all", "Unsubscribe", "OptOut"]
UNCLEAR = [
    "R",
    "END",
    "Cancel",
    "quit",
    "退订吗？",
    "stop it",
    "TD1",
    "",
    " ",
    "。",
    "?",
    "12",
    "１２",
    "1 2",
    "1/2",
    "1.2",
    "1 or 2",
    "11",
    "0",
    "5",
    "9",
    "1?",
    "1？",
    "؟1",
    "收到了吗",
    "收到吗",
    "收到？",
    "收到?",
    "没收到",
    "未收到",
    "不知道",
    "不好",
    "不收到",
    "收到1",
    "1收到",
    "okno",
    "到 12户41人",
    "已收到，马上去",
    "👎",
    "❌1",
    "1👎",
    "½",
    "好不好",
    "是不是",
    "不是",
    "收到" * (REPLY_CHARS_MAX // 2 + 1),
    "1" + " " * REPLY_CHARS_MAX,
]

CASES = [
    *((text, AnswerKind.RECEIVED) for text in RECEIVED),
    *((text, AnswerKind.REFUSED) for text in REFUSED),
    *((text, AnswerKind.ON_POST) for text in ON_POST),
    *((text, AnswerKind.HELP) for text in HELP),
    *((text, AnswerKind.OPTED_OUT) for text in OPTED_OUT),
    *((text, AnswerKind.UNCLEAR) for text in UNCLEAR),
]


@pytest.mark.parametrize(("text", "kind"), CASES, ids=[ascii(text) for text, _ in CASES])
def test_a_reply_means_the_word_and_nothing_but_the_word(text: str, kind: AnswerKind) -> None:
    assert parse(text).kind is kind


@given(st.text(alphabet=st.characters()))  # lone surrogates too
def test_no_text_whatever_makes_the_parser_raise(text: str) -> None:
    assert parse(text).kind in AnswerKind


@given(
    st.sampled_from([text for text, _ in CASES]) | st.text(max_size=12),
    st.lists(
        st.tuples(
            st.integers(0, 40),
            st.sampled_from(
                [" ", "\u3000", "\n", "\u200e", "\u200f", "\u2068", "\u2069", ".", "。", "۔"]
            ),
        ),
        max_size=8,
    ),
)
def test_spaces_bidi_marks_and_full_stops_never_change_the_meaning(
    text: str, marks: list[tuple[int, str]]
) -> None:
    decorated = text
    for place, mark in marks:
        place = min(place, len(decorated))
        decorated = decorated[:place] + mark + decorated[place:]

    if len(decorated) <= REPLY_CHARS_MAX:
        assert parse(decorated) == parse(text)


@given(st.text(max_size=30))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(alphabet="0123456789٠١٢٣٤۰۱۲۳۴１２３４", min_size=2, max_size=6))
def test_several_digits_are_never_one_of_the_keys(digits: str) -> None:
    assert parse(digits).kind is AnswerKind.UNCLEAR


def test_no_word_has_two_meanings() -> None:
    words = [normalise(word) for several in _WORDS.values() for word in several]

    assert len(words) == len(set(words)) == len(_MEANING)
    assert "" not in words


def test_only_a_persons_word_reaches_received() -> None:
    reaching = {kind for kind in AnswerKind if answer(kind).rung >= RUNG_RECEIVED}

    assert reaching == {AnswerKind.RECEIVED, AnswerKind.ON_POST, AnswerKind.HELP}
    assert answer(AnswerKind.HEARD).rung == RUNG_RECEIVED - 1
    assert answer(AnswerKind.REFUSED).rung == answer(AnswerKind.UNCLEAR).rung == 0

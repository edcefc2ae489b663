"""What a person's words mean: one reply in, one rung of the answer ladder out.

    0 planned · 1 submitted · 2 delivered · 3 ringing · 4 hung up early · 5 heard in full
    6 received · 7 on post · 8 situation given · 9 people moved            (domain.md (b))

A reply must be the word and nothing but the word: "12" is not "1", and "收到了吗" asks a question.
What is not understood is `unclear` and goes to the duty queue; it is never dropped.
"""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

RUNG_SUBMITTED = 1
RUNG_DELIVERED = 2
RUNG_RINGING = 3
RUNG_CUT_SHORT = 4
RUNG_HEARD = 5
RUNG_RECEIVED = 6
RUNG_ON_POST = 7

REPLY_CHARS_MAX = 40
"""A longer reply is a message to be read by a human, whatever its words."""


class AnswerKind(StrEnum):
    """What the person said."""

    RECEIVED = "received"
    """收到."""
    ON_POST = "on_post"
    """到岗."""
    HEARD = "heard"
    """Listened to the whole call without pressing a key."""
    REFUSED = "refused"
    """无法到岗: somebody else must be called now."""
    HELP = "help"
    """Needs help; has received."""
    OPTED_OUT = "opted_out"
    """Wants no more texts: no answer, and somebody must know."""
    UNCLEAR = "unclear"
    """Words for a human to read."""


NO_ANSWER = frozenset({AnswerKind.OPTED_OUT, AnswerKind.UNCLEAR})
"""What moves nobody's state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A parsed reply."""

    kind: AnswerKind
    rung: int


_RUNG = {
    AnswerKind.RECEIVED: RUNG_RECEIVED,
    AnswerKind.ON_POST: RUNG_ON_POST,
    AnswerKind.HEARD: RUNG_HEARD,
    AnswerKind.REFUSED: 0,
    AnswerKind.HELP: RUNG_RECEIVED,
    AnswerKind.OPTED_OUT: 0,
    AnswerKind.UNCLEAR: 0,
}

# The Uyghur and Kazakh words await review by native speakers; digits work in every language.
_WORDS: dict[AnswerKind, tuple[str, ...]] = {
    AnswerKind.RECEIVED: (
        "1",
        "收到",
        "已收到",
        "收到了",
        "知道了",
        "已知道",
        "已知",
        "知悉",
        "已知悉",
        "明白",
        "明白了",
        "好",
        "好的",
        "行",
        "是",
        "嗯",
        "ok",
        "okay",
        "yes",
        "received",
        "roger",
        "👍",
        "تاپشۇرۇۋالدىم",
        "ھەئە",
        "ماقۇل",
        "بىلدىم",
        "ءيا",
        "الدىم",
        "جارايدى",
    ),
    AnswerKind.ON_POST: ("3", "到岗", "已到岗", "在岗", "到位", "已到位", "onpost"),
    AnswerKind.REFUSED: (
        "2",
        "无法到岗",
        "不能到岗",
        "到不了岗",
        "去不了",
        "来不了",
        "不行",
        "不能",
        "拒绝",
        "no",
        "cannot",
        "ياق",
        "جوق",
    ),
    AnswerKind.HELP: ("4", "需要支援", "请求支援", "求助", "help"),
    # What carriers obey (carriers.md §1.1) and nobody says otherwise. END, QUIT, CANCEL and a
    # single R are left to a human: they may be about the danger.
    AnswerKind.OPTED_OUT: ("td", "t", "退订", "stop", "stopall", "unsubscribe", "optout", "revoke"),
}


def normalise(text: str) -> str:
    """Return the reply without what a phone may add: width, case, spaces, bidi marks, full stops.

    Digits of every script become ASCII digits.
    """
    kept: list[str] = []
    for character in unicodedata.normalize("NFKC", text):
        category = unicodedata.category(character)
        if category == "Nd":
            kept.append(str(unicodedata.digit(character)))
        elif category[0] in "LN" or category in {"So", "Mn", "Mc"}:
            if not "\ufe00" <= character <= "\ufe0f":  # how an emoji is drawn says nothing
                kept.append(character)
        elif category[0] == "P" and character in "?？¿؟":
            kept.append("?")
        # Spaces, controls, format marks (bidi, zero width) and other punctuation say nothing.
    return unicodedata.normalize("NFC", "".join(kept)).casefold()


_MEANING = {normalise(word): kind for kind, words in _WORDS.items() for word in words}


def parse(text: str) -> Answer:
    """Return what a typed reply or pressed key means. Never raises."""
    if len(text) > REPLY_CHARS_MAX:
        return answer(AnswerKind.UNCLEAR)
    return answer(_MEANING.get(normalise(text), AnswerKind.UNCLEAR))


def answer(kind: AnswerKind) -> Answer:
    """Return an answer of this kind with its rung."""
    return Answer(kind=kind, rung=_RUNG[kind])

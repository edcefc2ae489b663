"""What a call says and does, as TwiML documents for Twilio.

    message ──► <Gather> pause, the words, wait for a key </Gather>
                 key, or the end of the message ──► our callback ──► thanks | again | end

A recording is played (<Play>) and carries its own prompt; otherwise the words are spoken (<Say>) in
a language that Twilio can speak: a Uyghur listener never hears an English machine. `finishOnKey` is
empty, because otherwise # would end the message and look like having heard it out. The library
writes and escapes the documents. It never asks anybody and never sees a phone number.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from twilio.twiml.voice_response import Gather, VoiceResponse  # type: ignore[import-untyped]

KEY_SECONDS: Final = 8
"""How long the line stays open for a key after the message."""

FIRST_PAUSE_SECONDS: Final = 1
"""A phone needs a moment to reach the ear."""

RECEIVED, REFUSED, HELP, AGAIN = "1", "2", "4", "9"
"""The keys that the message itself names; each means what it means in a text."""
ANSWERS: Final = frozenset({RECEIVED, REFUSED, HELP})

CONTENT_TYPE: Final = "text/xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A language that Twilio speaks, and what it says beside the message."""

    locale: str
    prompt: str
    """When the message itself is not at hand."""
    thanks: str
    refused: str
    help: str


SPOKEN: Final[Mapping[str, Spoken]] = {
    "zh": Spoken(
        locale="zh-CN",
        prompt="收到预警请按1，无法到岗请按2，需要支援请按4。",
        thanks="已记录您收到预警。谢谢，再见。",
        refused="已记录。值班室会另作安排。再见。",
        help="已记录您需要支援，值班室已收到。再见。",
    ),
    "en": Spoken(
        locale="en-US",
        prompt="Press 1 received, 2 cannot act, 4 need help.",
        thanks="Your answer is recorded. Thank you. Goodbye.",
        refused="Recorded. The duty desk will see to it. Goodbye.",
        help="Recorded: you need help. The duty desk has it. Goodbye.",
    ),
}
"""By our language. Uyghur and Kazakh are missing because Twilio has no voice for them."""

# What XML 1.0 forbids, and Twilio would refuse the whole document for.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is said: words in a language, or a recording."""

    text: str
    language: str
    audio_url: str = ""

    @property
    def can_be_said(self) -> bool:
        """Whether there is a voice or a recording for it."""
        return self.language in SPOKEN or bool(self.audio_url)


def message_document(message: Message, *, action: str) -> str:
    """Say the message once and wait for a key; `action` hears of the key, or of none."""
    response, gather = _asking(action)
    gather.pause(length=FIRST_PAUSE_SECONDS)
    spoken = SPOKEN.get(message.language)
    if message.audio_url or spoken is None:  # somebody's voice is better than a machine's
        gather.play(message.audio_url)
    else:
        gather.say(_clean(message.text), language=spoken.locale)
    response.append(gather)
    return _written(response)


def prompt_document(language: str, *, action: str) -> str:
    """Ask for a key without the message; where Twilio cannot speak the language, end the call."""
    spoken = SPOKEN.get(language)
    if spoken is None:
        return end_document()
    response, gather = _asking(action)
    gather.say(spoken.prompt, language=spoken.locale)
    response.append(gather)
    return _written(response)


def thanks_document(language: str, key: str) -> str:
    """Say that the key was heard, in the message's language or not at all, and end the call."""
    response = VoiceResponse()
    spoken = SPOKEN.get(language)
    if spoken is not None:
        said = {REFUSED: spoken.refused, HELP: spoken.help}.get(key, spoken.thanks)
        response.say(said, language=spoken.locale)
    response.hangup()
    return _written(response)


def redirect_document(url: str) -> str:
    """Go on elsewhere at once."""
    response = VoiceResponse()
    response.redirect(url, method="POST")
    return _written(response)


def end_document() -> str:
    """End the call."""
    response = VoiceResponse()
    response.hangup()
    return _written(response)


def _asking(action: str) -> tuple[VoiceResponse, Gather]:
    gather = Gather(
        input="dtmf",
        num_digits=1,
        timeout=KEY_SECONDS,
        finish_on_key="",
        action_on_empty_result=True,
        action=action,
        method="POST",
    )
    return VoiceResponse(), gather


def _clean(text: str) -> str:
    return _FORBIDDEN.sub(" ", text)


def _written(response: VoiceResponse) -> str:
    """A carriage return in a text would be read as a line feed; the library leaves it bare."""
    return str(response).replace("\r", "&#13;")

"""What a call says, document by document, and what people make of it."""

from xml.etree import ElementTree

import pytest

from channels import twiml
from channels.twiml import Message

ACTION = "https://county.example/callbacks/v/t?step=said&n=1&l=zh#rc=5&rp=all"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def gather(action: str, inner: str) -> str:
    return (
        f'{HEAD}<Response><Gather action="{action.replace("&", "&amp;")}"'
        ' actionOnEmptyResult="true" finishOnKey="" input="dtmf" method="POST" numDigits="1"'
        f' timeout="8">{inner}</Gather></Response>'
    )


def test_a_chinese_message_is_said_in_chinese() -> None:
    message = Message(text="山洪红色预警。收到请按1。", language="zh")

    assert twiml.message_document(message, action=ACTION) == gather(
        ACTION, '<Pause length="1" /><Say language="zh-CN">山洪红色预警。收到请按1。</Say>'
    )


def test_an_english_message_is_said_in_english() -> None:
    message = Message(text="Flash flood. Press 1.", language="en")

    assert twiml.message_document(message, action=ACTION) == gather(
        ACTION, '<Pause length="1" /><Say language="en-US">Flash flood. Press 1.</Say>'
    )


@pytest.mark.parametrize("language", ["ug", "kk-Arab"])
def test_a_language_without_a_voice_is_played_and_nothing_is_said(language: str) -> None:
    message = Message(text="سەل", language=language, audio_url="https://county.example/r/a/ug?x=1&y=2")

    document = twiml.message_document(message, action=ACTION)

    assert document == gather(
        ACTION,
        '<Pause length="1" /><Play>https://county.example/r/a/ug?x=1&amp;y=2</Play>',
    )
    for further in (
        twiml.thanks_document(language, "1"),
        twiml.thanks_document(language, "2"),
        twiml.prompt_document(language, action=ACTION),
    ):
        assert further == f"{HEAD}<Response><Hangup /></Response>"


def test_thanks_are_said_in_the_messages_language() -> None:
    said = [
        ElementTree.fromstring(twiml.thanks_document(language, key)).find("Say")
        for language in ("zh", "en")
        for key in ("1", "2")
    ]

    assert [(s.get("language"), s.text) for s in said if s is not None] == [
        ("zh-CN", "已记录您收到预警。谢谢，再见。"),
        ("zh-CN", "已记录。值班室会另作安排。再见。"),
        ("en-US", "Your answer is recorded. Thank you. Goodbye."),
        ("en-US", "Recorded. The duty desk will see to it. Goodbye."),
    ]


def test_a_text_cannot_break_out_of_its_document() -> None:
    text = 'a & b</Say><Hangup/>\x00\x0b\x1f￾ "q" \r\n😀 <b>'

    document = twiml.message_document(Message(text=text, language="zh"), action=ACTION)

    (say,) = ElementTree.fromstring(document).iter("Say")
    assert say.text == 'a & b</Say><Hangup/>     "q" \r\n😀 <b>'
    assert [verb.tag for verb in ElementTree.fromstring(document)] == ["Gather"]

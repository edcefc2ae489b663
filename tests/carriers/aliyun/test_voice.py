"""Alibaba Cloud calls: what is heard, which keys, how it ends, and the callee's limits."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    InboundEvent,
    Obstacle,
    OutcomeKind,
    ReceiptEvent,
    ReceiptWord,
    SignatureInvalid,
    Words,
)
from channels.errors import ErrorClass
from channels.registry import ChannelMisconfigured, build_channels
from tests.carriers.aliyun.rigs import NUMBER, SECRET, AliyunVoiceRig
from tests.carriers.aliyun.standin import Approved, Person
from tests.carriers.aliyun.test_sms import request
from warnsvc.core.answer import AnswerKind, parse

BARE = "13912345678"


async def called(
    rig: AliyunVoiceRig, person: Person, **changes: Any
) -> tuple[list[ReceiptEvent], list[InboundEvent]]:
    """Call somebody and return everything that is told of it."""
    rig.carrier.people[BARE] = person
    outcome = await rig.channel.send(request(rig, **changes))
    assert outcome.kind is OutcomeKind.ACCEPTED, outcome
    await rig.carrier.timeline.advance(300)
    caught = rig.inbox.take()
    return (
        [event for one in caught for event in rig.channel.parse_receipts(one)],
        [event for one in caught for event in rig.channel.parse_inbound(one)],
    )


def posted(rig: AliyunVoiceRig, *reports: object) -> CallbackRequest:
    """What the provider would post."""
    url = f"https://x.example.org/callbacks/a?{rig.channel.callback_query}"
    return CallbackRequest(url=url, headers={}, body=json.dumps(reports).encode())


async def test_a_call_that_asks_for_an_answer_has_a_menu(voice: AliyunVoiceRig) -> None:
    outcome = await voice.channel.send(request(voice, text="收到请按1"))

    spoken = json.dumps({"text": "收到请按1"}, ensure_ascii=False)
    assert voice.carrier.requests == [
        {
            "Action": "IvrCall",
            "CalledNumber": BARE,
            "CalledShowNumber": NUMBER,
            "PlayTimes": "2",
            "OutId": "tok-0001",
            "StartCode": "TTS_1",
            "StartTtsParams": spoken,
            "ByeCode": "TTS_BYE",
            "Timeout": "8000",
            "MenuKeyMap.1.Key": "1",
            "MenuKeyMap.1.Code": "TTS_ONE",
            "MenuKeyMap.2.Key": "2",
            "MenuKeyMap.2.Code": "TTS_TWO",
            "MenuKeyMap.3.Key": "9",
            "MenuKeyMap.3.Code": "TTS_1",
            "MenuKeyMap.3.TtsParams": spoken,
        }
    ]
    assert outcome.reference == voice.carrier.sent[0].reference


async def test_a_call_that_only_tells_has_none(voice: AliyunVoiceRig) -> None:
    voice.carrier.templates["TTS_LIFT"] = Approved(text="解除${h}${k}。", limits={"h": 20, "k": 10})
    teller = voice.make(
        sender="",
        templates_file=voice.file(
            '[[template]]\nform = "lift"\nlanguage = "zh"\ncode = "TTS_LIFT"\n'
            'text = "解除${h}${k}。"\nvariables = { h = "hazard", k = "kind" }\n'
        ),
    )

    outcome = await teller.send(
        request(voice, form="lift", fields={"hazard": "山洪", "drill": True})
    )
    await teller.close()

    assert outcome.kind is OutcomeKind.ACCEPTED
    assert voice.carrier.requests[-1] == {
        "Action": "SingleCallByTts",
        "CalledNumber": BARE,
        "PlayTimes": "2",
        "OutId": "tok-0001",
        "TtsCode": "TTS_LIFT",
        "TtsParam": json.dumps({"h": "山洪", "k": "演练"}, ensure_ascii=False),
    }
    assert not teller.capabilities.dtmf


@pytest.mark.parametrize(
    ("person", "last", "error_class"),
    [
        (Person(keys="1"), ReceiptWord.DELIVERED, None),
        (Person(), ReceiptWord.DELIVERED, None),
        (Person(listens=2.0), ReceiptWord.CUT_SHORT, None),
        (Person(picks_up=False), ReceiptWord.UNDELIVERED, ErrorClass.NO_ANSWER),
        (Person(end="200002"), ReceiptWord.UNDELIVERED, ErrorClass.BUSY),
        (Person(end="200004"), ReceiptWord.UNDELIVERED, ErrorClass.BAD_NUMBER),
        (Person(end="200007"), ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF),
        (Person(end="200010"), ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF),
        (Person(end="200011"), ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF),
        (Person(end="200121"), ReceiptWord.UNDELIVERED, ErrorClass.THROTTLED),
        (Person(end="299999"), ReceiptWord.ACCEPTED, ErrorClass.OTHER),
    ],
)
async def test_how_a_call_ends_becomes_our_word(
    voice: AliyunVoiceRig, person: Person, last: ReceiptWord, error_class: ErrorClass | None
) -> None:
    receipts, _ = await called(voice, person)

    assert (receipts[-1].word, receipts[-1].error_class) == (last, error_class)
    assert receipts[0].word is ReceiptWord.SENT


async def test_a_call_that_was_played_tells_its_course_and_for_how_long(
    voice: AliyunVoiceRig,
) -> None:
    receipts, _ = await called(voice, Person(keys="1"), text="字" * 45)

    assert [event.word for event in receipts] == [
        ReceiptWord.SENT,
        ReceiptWord.RINGING,
        ReceiptWord.PICKED_UP,
        ReceiptWord.DELIVERED,
    ]
    assert [event.heard_seconds for event in receipts] == [None, None, None, 20.0]


async def test_a_key_that_is_told_twice_is_one_answer(voice: AliyunVoiceRig) -> None:
    """On the way as 300000, and once more in the report of the call's end."""
    _, answers = await called(voice, Person(keys="1"))

    assert [answer.text for answer in answers] == ["1", "1"]
    assert len({answer.dedupe_key for answer in answers}) == 1
    assert {answer.token for answer in answers} == {"tok-0001"}


async def test_keys_are_told_apart_and_keep_their_order(voice: AliyunVoiceRig) -> None:
    _, answers = await called(voice, Person(keys="21"))

    first_seen = list(dict.fromkeys(answer.text for answer in answers))
    assert first_seen == ["2", "1"]
    assert len({answer.dedupe_key for answer in answers}) == 2


async def test_a_key_that_says_the_text_again_is_no_answer(voice: AliyunVoiceRig) -> None:
    """As an answer it would be one that nobody understands: an alarm for each listener."""
    _, answers = await called(voice, Person(keys="991"))

    assert {answer.text for answer in answers} == {"1"}


async def test_a_key_that_repeats_here_and_answers_there_is_an_answer(
    voice: AliyunVoiceRig,
) -> None:
    test = """
[[template]]
form = "test"
language = "zh"
code = "TTS_9"
text = "${text}"
variables = { text = "message" }
keys = { "9" = "TTS_ONE" }
"""
    voice.channel = voice.make(templates_file=voice.file(voice.templates + test))

    _, answers = await called(voice, Person(keys="9"))

    assert {answer.text for answer in answers} == {"9"}


async def test_a_key_without_our_name_for_the_try_is_kept_for_a_human(
    voice: AliyunVoiceRig,
) -> None:
    """The account may call for somebody else, too: his 1 must not be an answer to a warning."""
    key = {"call_id": "1^2", "callee": "13912345678", "status_code": "300000", "dtmf": "1"}
    (kept,) = voice.channel.parse_inbound(posted(voice, key))
    (named,) = voice.channel.parse_inbound(posted(voice, key | {"out_id": "tok-1"}))

    assert (kept.sender, kept.token) == ("+8613912345678", "")
    assert parse(kept.text).kind is AnswerKind.UNCLEAR
    assert "1" in kept.text
    assert (named.text, named.token) == ("1", "tok-1")
    assert named.dedupe_key != kept.dedupe_key  # or what counts would be taken for a repeat


async def test_the_same_key_in_another_call_is_another_answer(voice: AliyunVoiceRig) -> None:
    _, before = await called(voice, Person(keys="1"))
    _, after = await called(voice, Person(keys="1"), token="tok-0002")

    assert before[0].dedupe_key != after[0].dedupe_key


async def test_only_fifteen_bytes_of_a_token_go_out(voice: AliyunVoiceRig) -> None:
    receipts, answers = await called(
        voice, Person(keys="2"), token="1a2b.Zr3kQm0c9Yy1n0pXw5dT7g"
    )

    assert {event.token for event in (*receipts, *answers)} == {"1a2b.Zr3kQm0c9Y"}


async def test_a_second_call_within_a_minute_is_refused_for_this_callee_only(
    voice: AliyunVoiceRig,
) -> None:
    await voice.channel.send(request(voice))

    again = await voice.channel.send(request(voice, token="tok-0002"))
    other = await voice.channel.send(request(voice, token="tok-0003", to="+8613900000009"))

    assert (again.kind, again.error_class) == (OutcomeKind.REJECTED, ErrorClass.UNROUTABLE)
    assert other.kind is OutcomeKind.ACCEPTED


async def test_the_sixth_call_within_an_hour_is_refused(voice: AliyunVoiceRig) -> None:
    for number in range(5):
        taken = await voice.channel.send(
            request(voice, token=f"tok-{number}", valid_until=voice.now() + timedelta(minutes=1))
        )
        assert taken.kind is OutcomeKind.ACCEPTED
        await voice.carrier.timeline.advance(120)

    refused = await voice.channel.send(
        request(voice, token="tok-6", valid_until=voice.now() + timedelta(minutes=1))
    )

    assert refused.code == "isv.BUSINESS_LIMIT_CONTROL"


async def test_the_limits_are_in_its_capabilities(voice: AliyunVoiceRig) -> None:
    limits = voice.channel.capabilities.per_callee

    assert [(one.count, one.seconds, one.hard) for one in limits] == [
        (1, 60, True),
        (5, 3_600, True),
        (20, 86_400, True),
    ]


async def test_a_desk_phone_is_called_with_its_area_code(voice: AliyunVoiceRig) -> None:
    outcome = await voice.channel.send(request(voice, to="+869915551234"))

    assert outcome.kind is OutcomeKind.ACCEPTED
    assert voice.carrier.sent[0].phone == "09915551234"


async def test_the_callee_of_a_key_is_told_in_the_houses_form(voice: AliyunVoiceRig) -> None:
    _, answers = await called(voice, Person(keys="1"))

    assert answers[-1].sender == "+8613912345678"


@pytest.mark.parametrize("language", ["ug", "kk-Arab"])
async def test_it_has_no_voice_for_uyghur_and_kazakh(voice: AliyunVoiceRig, language: str) -> None:
    found = voice.channel.check(Words(text="…", language=language, recorded=True))
    outcome = await voice.channel.send(request(voice, language=language))

    assert found is not None
    assert found.obstacle is Obstacle.NO_VOICE
    assert (outcome.code, voice.carrier.requests) == ("no_voice", [])
    assert voice.channel.capabilities.languages == {"zh"}


async def test_without_the_key_in_the_address_nothing_is_believed(voice: AliyunVoiceRig) -> None:
    await voice.channel.send(request(voice))
    await voice.carrier.timeline.advance(100)
    genuine = voice.inbox.take()[0]

    with pytest.raises(SignatureInvalid):
        voice.channel.parse_receipts(replace(genuine, url=genuine.url.partition("?")[0]))


async def test_reports_of_calls_that_are_not_ours_are_passed_over(voice: AliyunVoiceRig) -> None:
    ours = {"call_id": "1^2", "out_id": "tok-1", "status_code": "200000"}
    foreign = {"call_id": "1^3", "status_code": "200000"}

    events = voice.channel.parse_receipts(posted(voice, foreign, ours))

    assert [event.token for event in events] == ["tok-1"]
    assert voice.channel.parse_receipts(posted(voice, foreign)) == []
    with pytest.raises(CallbackMalformed):
        voice.channel.parse_receipts(posted(voice, {"hello": "there"}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"sender": ""}, "sender"), ({"play_times": 4}, "play_times")],
)
async def test_a_mistake_in_the_set_up_stops_the_start_with_a_sentence(
    voice: AliyunVoiceRig, changes: dict[str, Any], says: str
) -> None:
    table = {
        "name": "aliyun",
        "adapter": "aliyun-voice",
        "access_key_id": "LTAI-test",
        "secret": SECRET,
        "sender": NUMBER,
        "templates_file": voice.file(voice.templates),
    }
    assert build_channels([table])["aliyun"].capabilities.dtmf

    with pytest.raises(ChannelMisconfigured, match=says):
        build_channels([table | changes])

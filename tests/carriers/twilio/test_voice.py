"""Calls through Twilio: what a person does with one, and what we make of it."""

from datetime import timedelta

import pytest

from channels.base import CallbackMalformed, Obstacle, OutcomeKind, ReceiptEvent, ReceiptWord, Words
from channels.errors import ErrorClass
from tests.carriers.twilio.conftest import request_for
from tests.carriers.twilio.rigs import VoiceRig, said_in
from tests.carriers.twilio.server import NUMBER, query_of

RECORDING = "https://county.example/recordings/abc/ug"


class Told:
    """What came of a call, as the house hears it: receipts first, as `web.callback` takes them."""

    def __init__(self, voice: VoiceRig) -> None:
        self.receipts: list[ReceiptEvent] = []
        self.answers: list[tuple[str, str]] = []
        self.keys: list[str] = []
        for callback in voice.door.take():
            receipts = voice.channel.parse_receipts(callback)
            self.receipts += receipts
            for event in [] if receipts else voice.channel.parse_inbound(callback):
                assert event.token == callback.token
                self.answers.append((event.sender, event.text))
                self.keys.append(event.dedupe_key)

    @property
    def words(self) -> list[ReceiptWord]:
        return [event.word for event in self.receipts]


async def call(voice: VoiceRig, **changes: object) -> Told:
    outcome = await voice.send(request_for(voice, **changes))
    assert outcome.kind is OutcomeKind.ACCEPTED
    await voice.server.settle()
    return Told(voice)


def heard(voice: VoiceRig) -> list[str]:
    return [words for _, _, words in voice.server.person(voice.good_address).heard]


async def test_a_call_is_asked_for_with_everything_it_needs(voice: VoiceRig) -> None:
    request = request_for(voice)

    await voice.channel.send(request)

    form = voice.server.calls[0].form
    document = form.pop("Twiml")[0]
    assert form == {
        "To": [request.to],
        "From": [NUMBER],
        "Timeout": ["600"],
        "TimeLimit": ["300"],
        "StatusCallback": [f"{request.callback_url}?step=status#rc=5&rp=all"],
        "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
        "StatusCallbackMethod": ["POST"],
        "MachineDetection": ["Enable"],
        "AsyncAmd": ["true"],
        "AsyncAmdStatusCallback": [f"{request.callback_url}?step=amd#rc=5&rp=all"],
        "AsyncAmdStatusCallbackMethod": ["POST"],
    }
    assert said_in(document) == [request.text]


async def test_a_call_rings_no_longer_than_its_message_is_valid(voice: VoiceRig) -> None:
    channel = voice.make(ring_seconds=45)
    for seconds in (20, 900):
        until = voice.now() + timedelta(seconds=seconds)
        await channel.send(request_for(voice, valid_until=until))
    await channel.close()

    assert [c.get("Timeout") for c in voice.server.calls] == ["20", "45"]


# What people do ----------------------------------------------------------------------------------


async def test_one_is_an_answer_and_is_thanked_for(voice: VoiceRig) -> None:
    voice.server.person(voice.good_address).keys = ["1"]

    told = await call(voice)

    assert told.answers == [(voice.good_address, "1")]
    assert told.words == [
        ReceiptWord.SENT,
        ReceiptWord.RINGING,
        ReceiptWord.PICKED_UP,
        ReceiptWord.PERSON,  # says the detection
        ReceiptWord.DELIVERED,  # the call did its work
        ReceiptWord.CUT_SHORT,  # and ended; what was delivered stays so
    ]
    assert heard(voice) == [request_for(voice).text, "已记录您收到预警。谢谢，再见。"]


async def test_two_is_an_answer_of_another_kind(voice: VoiceRig) -> None:
    voice.server.person(voice.good_address).keys = ["2"]

    told = await call(voice)

    assert told.answers == [(voice.good_address, "2")]
    assert heard(voice)[-1] == "已记录。值班室会另作安排。再见。"


async def test_nine_says_it_again_and_is_no_answer(voice: VoiceRig) -> None:
    voice.server.person(voice.good_address).keys = ["9", "9", "1"]

    told = await call(voice)

    assert told.answers == [(voice.good_address, "1")]
    assert heard(voice)[:3] == [request_for(voice).text] * 3


@pytest.mark.parametrize("key", ["5", "#", "*", "0"])
async def test_a_key_that_means_nothing_says_it_again_and_is_kept(voice: VoiceRig, key: str) -> None:
    """# would end a Gather like silence does, and look like having heard it out."""
    voice.server.person(voice.good_address).keys = [key, "1"]

    told = await call(voice)

    assert [text for _, text in told.answers] == [key, "1"]
    assert ReceiptWord.PLAYED not in told.words
    assert heard(voice)[:2] == [request_for(voice).text] * 2


async def test_the_same_key_pressed_twice_is_two_answers_and_a_repeat_is_one(
    voice: VoiceRig,
) -> None:
    voice.server.person(voice.good_address).keys = ["5", "5", "1"]
    voice.server.twice = True

    told = await call(voice)

    assert len(told.keys) == 6
    assert len(set(told.keys)) == 3


async def test_silence_to_the_end_is_heard_and_said_three_times(voice: VoiceRig) -> None:
    told = await call(voice)

    assert told.words.count(ReceiptWord.PLAYED) == 3
    assert len({e.dedupe_key for e in told.receipts if e.word is ReceiptWord.PLAYED}) == 1
    assert told.words.count(ReceiptWord.PERSON) == 1
    assert told.answers == []
    assert heard(voice) == [request_for(voice).text] * 3


async def test_how_often_it_is_said_is_a_setting(voice: VoiceRig) -> None:
    await voice.channel.close()
    voice.channel = voice.door.channel = voice.make(repeats=1)

    await call(voice)

    assert heard(voice) == [request_for(voice).text]


async def test_nobody_can_hold_a_line_for_ever_by_pressing_nine(voice: VoiceRig) -> None:
    voice.server.person(voice.good_address).keys = ["9"] * 50

    await call(voice)

    assert len(heard(voice)) == 10


async def test_who_hangs_up_in_the_middle_has_not_heard(voice: VoiceRig) -> None:
    voice.server.person(voice.good_address).hangs_up_at = 1

    told = await call(voice)

    assert ReceiptWord.PLAYED not in told.words
    last = told.receipts[-1]
    assert (last.word, last.error_class, last.heard_seconds) == (ReceiptWord.CUT_SHORT, None, 3.0)


async def test_who_hangs_up_while_it_is_said_again_has_heard_it_once(voice: VoiceRig) -> None:
    voice.server.person(voice.good_address).hangs_up_at = 2

    told = await call(voice)

    assert told.words.count(ReceiptWord.PLAYED) == 1


@pytest.mark.parametrize("by", ["machine_start", "machine_end_beep", "fax"])
async def test_a_machine_that_listens_to_the_end_has_not_heard(voice: VoiceRig, by: str) -> None:
    voice.server.person(voice.good_address).answered_by = by

    told = await call(voice)

    assert not {ReceiptWord.HEARD, ReceiptWord.PERSON} & {*told.words}
    classes = {e.error_class for e in told.receipts if e.word is ReceiptWord.UNDELIVERED}
    assert classes == {ErrorClass.VOICEMAIL}
    assert told.receipts[-1].code == by  # `completed` says it once more
    assert heard(voice)[0] == request_for(voice).text  # it is left on the mailbox


async def test_where_nothing_says_person_nobody_has_heard(voice: VoiceRig) -> None:
    """A mailbox that Twilio does not know for one would close a warning (law 1)."""
    voice.server.person(voice.good_address).answered_by = "unknown"

    told = await call(voice)

    assert not {ReceiptWord.HEARD, ReceiptWord.PERSON} & {*told.words}
    assert ReceiptWord.PLAYED in told.words
    assert ReceiptWord.UNDELIVERED not in told.words  # nor is it a mailbox


async def test_without_detection_only_a_key_is_an_answer(voice: VoiceRig) -> None:
    await voice.channel.close()
    voice.channel = voice.door.channel = voice.make(machine_detection="")

    silent = await call(voice)
    voice.server.person(voice.good_address).keys = ["1"]
    pressed = await call(voice, token="tok-0002")

    assert not {ReceiptWord.HEARD, ReceiptWord.PERSON} & {*silent.words, *pressed.words}
    assert [text for _, text in (*silent.answers, *pressed.answers)] == ["1"]


UNDER_WAY = {"CallSid": "CA1", "CallStatus": "in-progress"}
STEPS = {
    "the end, and nobody has said who it is": ("said", {}, "Enable", ReceiptWord.PLAYED, "CA1:played"),
    "the end, to a person": (
        "said", {"AnsweredBy": "human"}, "Enable", ReceiptWord.HEARD, "CA1:said"
    ),
    "the end, to nobody knows whom": (
        "said", {"AnsweredBy": "unknown"}, "Enable", ReceiptWord.PLAYED, "CA1:played"
    ),
    "the end, to a new word": (
        "said", {"AnsweredBy": "assistant"}, "Enable", ReceiptWord.PLAYED, "CA1:played"
    ),
    "the end, to a machine": (
        "said", {"AnsweredBy": "fax"}, "Enable", ReceiptWord.UNDELIVERED, "CA1:machine"
    ),
    "the end, and nobody asks who it is": ("said", {}, "", ReceiptWord.PLAYED, "CA1:played"),
    "a person": ("amd", {"AnsweredBy": "human"}, "Enable", ReceiptWord.PERSON, "CA1:person"),
    "nobody knows who": (
        "amd", {"AnsweredBy": "unknown"}, "Enable", ReceiptWord.PICKED_UP, "CA1:in-progress"
    ),
    "a new word": (
        "amd", {"AnsweredBy": "assistant"}, "Enable", ReceiptWord.PICKED_UP, "CA1:in-progress"
    ),
    "a machine": (
        "amd", {"AnsweredBy": "machine_start"}, "Enable", ReceiptWord.UNDELIVERED, "CA1:machine"
    ),
    "no verdict": ("amd", {}, "Enable", ReceiptWord.PICKED_UP, "CA1:in-progress"),
}


@pytest.mark.parametrize(
    ("step", "fields", "detection", "word", "key"), STEPS.values(), ids=STEPS.keys()
)
async def test_each_step_says_what_it_knows_and_remembers_nothing(
    voice: VoiceRig,
    step: str,
    fields: dict[str, str],
    detection: str,
    word: ReceiptWord,
    key: str,
) -> None:
    """Any web process may be asked, in any order."""
    await voice.server.post(f"{voice.callback_url('tok')}?step={step}", {**UNDER_WAY, **fields})
    (callback,) = voice.door.take()
    fresh = voice.make(machine_detection=detection)

    (event,) = fresh.parse_receipts(callback)

    assert (event.word, event.dedupe_key, event.reference) == (word, key, "CA1")
    await fresh.close()


@pytest.mark.parametrize(
    ("ends", "sip", "error_class", "code"),
    [
        ("busy", "486", ErrorClass.BUSY, "busy"),
        ("no-answer", "487", ErrorClass.NO_ANSWER, "no-answer"),
        ("failed", "484", ErrorClass.BAD_NUMBER, "484"),
        ("failed", "404", ErrorClass.UNROUTABLE, "404"),
        ("failed", "480", ErrorClass.HANDSET_OFF, "480"),
        ("failed", "503", ErrorClass.OTHER, "503"),
        ("failed", "", ErrorClass.OTHER, "failed"),
        ("canceled", "", ErrorClass.OTHER, "canceled"),
    ],
)
async def test_a_call_that_nobody_took_says_why(
    voice: VoiceRig, ends: str, sip: str, error_class: ErrorClass, code: str
) -> None:
    person = voice.server.person(voice.good_address)
    person.ends, person.sip = ends, sip

    last = (await call(voice)).receipts[-1]

    assert (last.word, last.error_class, last.code) == (ReceiptWord.UNDELIVERED, error_class, code)


async def test_a_digit_of_a_dead_line_is_not_heard(voice: VoiceRig) -> None:
    """Should Twilio ask for the next step of a call that has ended, nobody has heard anything."""
    event = voice.channel._said("tok", "CA1", {"CallStatus": "completed"})

    assert event.word is ReceiptWord.CUT_SHORT


# Languages, long texts, and a database that is away --------------------------------------------


async def test_a_uyghur_call_is_a_recording_and_ends_without_a_foreign_word(
    voice: VoiceRig,
) -> None:
    voice.server.person(voice.good_address).keys = ["9", "1"]

    told = await call(voice, language="ug", text="سەل", audio_url=RECORDING)

    assert [text for _, text in told.answers] == ["1"]
    spoken = voice.server.person(voice.good_address).heard
    assert spoken == [("Play", "", RECORDING)] * 2


async def test_what_cannot_be_said_is_refused_and_no_fault_of_the_number(voice: VoiceRig) -> None:
    outcome = await voice.channel.send(request_for(voice, language="ug", text="سەل"))

    assert (outcome.kind, outcome.error_class) == (OutcomeKind.REJECTED, ErrorClass.UNROUTABLE)
    assert voice.server.requests == []
    for language, recorded, sendable in (
        ("ug", False, False),
        ("ug", True, True),
        ("kk-Arab", False, False),
        ("zh", False, True),
        ("en", False, True),
    ):
        words = Words(text="x", language=language, recorded=recorded)
        assert (voice.channel.check(words) is None) is sendable, language


async def test_a_text_that_the_time_limit_would_cut_off_is_too_long(voice: VoiceRig) -> None:
    words = Words(text="洪" * 500, language="zh")

    assert voice.make().check(words) is None
    unsendable = voice.make(time_limit_seconds=60).check(words)
    assert unsendable is not None
    assert (unsendable.obstacle, unsendable.limit) == (Obstacle.TOO_LONG, 270)


async def test_a_text_too_long_for_the_call_is_fetched_when_somebody_answers(
    voice: VoiceRig,
) -> None:
    voice.server.person(voice.good_address).keys = ["1"]
    text = "&" * 900  # five characters each in XML

    told = await call(voice, text=text)

    form = voice.server.calls[0].form
    assert "Twiml" not in form
    assert query_of(form["Url"][0].partition("#")[0])["step"] == "fetch"
    assert heard(voice)[0] == text
    assert told.answers == [(voice.good_address, "1")]


async def test_while_our_database_is_away_the_message_is_said_and_a_key_still_counts(
    voice: VoiceRig,
) -> None:
    voice.server.person(voice.good_address).keys = ["", "1"]
    await voice.channel.send(request_for(voice))  # the door knows no words
    await voice.server.settle()

    assert [text for _, text in Told(voice).answers] == ["1"]
    assert heard(voice) == [
        request_for(voice).text,
        "收到预警请按1，无法到岗请按2，需要支援请按4。",
        "已记录您收到预警。谢谢，再见。",
    ]


async def test_a_key_that_meets_a_closed_door_comes_again(voice: VoiceRig) -> None:
    voice.server.person(voice.good_address).keys = ["1"]
    await voice.send(request_for(voice))
    voice.door.failures = 3

    await voice.server.settle()

    assert [text for _, text in Told(voice).answers] == ["1"]


# Look-up and cancel ------------------------------------------------------------------------------

LIVE = [(True, True, "completed"), (False, False, "in-progress")]


async def test_a_call_that_is_listened_to_is_hung_up(voice: VoiceRig) -> None:
    reference = await voice.let_listen(request_for(voice))

    assert await voice.channel.cancel(reference, live=True) is True
    assert voice.server.calls[0].status == "completed"


@pytest.mark.parametrize("live", [True, False])
async def test_a_call_that_waits_is_canceled_and_not_completed(voice: VoiceRig, live: bool) -> None:
    outcome = await voice.channel.send(request_for(voice))

    assert await voice.channel.cancel(outcome.reference, live=live) is True
    assert voice.server.calls[0].status == "canceled"


@pytest.mark.parametrize("status", ["initiated", "ringing", "in-progress", "completed", "busy"])
async def test_a_call_that_no_longer_waits_goes_on_when_no_live_one_is_meant(
    voice: VoiceRig, status: str
) -> None:
    outcome = await voice.channel.send(request_for(voice))
    voice.server.calls[0].status = status

    assert await voice.channel.cancel(outcome.reference, live=False) is False
    assert voice.server.calls[0].status == status


@pytest.mark.parametrize(("live", "stopped", "ends"), LIVE, ids=["live", "waiting"])
async def test_a_call_that_is_picked_up_while_we_take_it_back(
    voice: VoiceRig, monkeypatch: pytest.MonkeyPatch, live: bool, stopped: bool, ends: str
) -> None:
    """Hung up when a live call is meant; otherwise it goes on."""
    outcome = await voice.channel.send(request_for(voice))
    ask = voice.channel._http.request

    async def picked_up(method: str, url: str, **more: object) -> object:
        answer = await ask(method, url, **more)
        if method == "GET":
            voice.server.calls[0].status = "in-progress"
        return answer

    monkeypatch.setattr(voice.channel._http, "request", picked_up)

    assert await voice.channel.cancel(outcome.reference, live=live) is stopped
    assert voice.server.calls[0].status == ends


async def test_a_call_whose_outcome_was_lost_is_found_by_number_and_time(voice: VoiceRig) -> None:
    voice.take_and_cut()
    await voice.channel.send(request_for(voice))
    await voice.server.settle()
    callbacks = Told(voice)

    found = await voice.channel.lookup(inquiry(voice))

    assert [(e.dedupe_key, e.word, e.heard_seconds) for e in found] == [
        (callbacks.receipts[-1].dedupe_key, ReceiptWord.CUT_SHORT, callbacks.receipts[-1].heard_seconds)
    ]


async def test_two_calls_to_one_number_are_not_told_apart(voice: VoiceRig) -> None:
    for token in ("tok-0001", "tok-0002"):
        await voice.channel.send(request_for(voice, token))
    voice.clock.move(minutes=3)

    sent_at = voice.now() - timedelta(minutes=3)
    assert await voice.channel.lookup(inquiry(voice, sent_at=sent_at)) is None


def inquiry(voice: VoiceRig, **changes: object) -> object:
    from channels.base import Inquiry

    values = {"token": "tok-0001", "to": voice.good_address, "sent_at": voice.now(), **changes}
    return Inquiry(**values)  # type: ignore[arg-type]


# Set-up ------------------------------------------------------------------------------------------


async def test_a_callback_of_no_step_of_ours_is_for_a_human(voice: VoiceRig) -> None:
    await voice.server.post(voice.callback_url("tok"), {"CallSid": "CA1", "CallStatus": "ringing"})
    (callback,) = voice.door.caught

    with pytest.raises(CallbackMalformed):
        voice.channel.parse_receipts(callback)


@pytest.mark.parametrize(
    "changes", [{"machine_detection": "yes"}, {"repeats": 0}, {"repeats": 11}, {"secrets": ()}]
)
async def test_settings_that_cannot_work_are_refused(
    voice: VoiceRig, changes: dict[str, object]
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each says something else
        voice.make(**changes)


async def test_without_detection_none_is_asked_for(voice: VoiceRig) -> None:
    channel = voice.make(machine_detection="")
    await channel.send(request_for(voice))
    await channel.close()

    assert not channel.capabilities.amd
    assert not any("Amd" in name or "Machine" in name for name in voice.server.calls[0].form)


async def test_an_estimate_minds_starts_and_lines(voice: VoiceRig) -> None:
    assert voice.make().estimate("洪" * 90, 600).seconds == 600.0  # one start a second
    assert voice.make(lines=2).estimate("洪" * 90, 600).seconds > 3_600

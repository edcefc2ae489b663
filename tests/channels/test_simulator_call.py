"""Calls through the simulated carrier: ringing, hearing, pressing, and the ways to miss one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from channels.base import ReceiptEvent, ReceiptWord, SendRequest
from channels.errors import ErrorClass
from channels.simulator import Condition, Habit
from channels.simulator.habit import BY_NAME
from tests.channels.rigs import PHONE, VoiceRig

W = ReceiptWord
TEXT = "清河县应急局，山洪橙色预警，硫磺沟镇，请立即上岗组织转移。收到请按1，需要支援请按2。"


def request(rig: VoiceRig, token: str = "tok-1", minutes: float = 10, to: str = PHONE) -> SendRequest:
    return SendRequest(
        token=token,
        to=to,
        text=TEXT,
        language="zh",
        valid_until=rig.now() + timedelta(minutes=minutes),
        callback_url=rig.callback_url(token),
    )


def heard_back(rig: VoiceRig) -> tuple[list[ReceiptEvent], list[str]]:
    """Return receipts and pressed keys since the last call."""
    receipts: list[ReceiptEvent] = []
    keys: list[str] = []
    for callback in rig.catcher.take():
        receipts += rig.channel.parse_receipts(callback)
        keys += [event.text for event in rig.channel.parse_inbound(callback)]
    return receipts, keys


async def words_of(rig: VoiceRig, seconds: float = 120) -> list[ReceiptWord]:
    await rig.timeline.advance(seconds)
    return [event.word for event in heard_back(rig)[0]]


async def test_a_call_that_is_heard_and_answered_tells_every_step(voice: VoiceRig) -> None:
    await voice.channel.send(request(voice))
    await voice.timeline.advance(5)
    assert voice.carrier.take_call(PHONE, "1")
    await voice.timeline.advance(20)

    receipts, keys = heard_back(voice)
    assert [event.word for event in receipts] == [W.SENT, W.RINGING, W.PICKED_UP, W.HEARD]
    assert keys == ["1"]


async def test_a_key_names_the_try_and_the_person(voice: VoiceRig) -> None:
    callback = await voice.answer_to(request(voice), "2")

    event = voice.channel.parse_inbound(callback)[0]

    assert (event.token, event.sender, event.text) == ("tok-1", PHONE, "2")


async def test_hanging_up_early_says_how_much_was_heard(voice: VoiceRig) -> None:
    await voice.channel.send(request(voice))
    await voice.timeline.advance(5)
    assert voice.carrier.cut_call(PHONE, 0.5)
    await voice.timeline.advance(5)

    last = heard_back(voice)[0][-1]
    assert last.word is W.CUT_SHORT
    assert last.heard_seconds == pytest.approx(len(TEXT) / 4.5 / 2, abs=0.1)


async def test_a_phone_nobody_takes_rings_out(voice: VoiceRig) -> None:
    await voice.channel.send(request(voice))

    await voice.timeline.advance(40)
    assert voice.carrier.shelf.get(PHONE).call is not None
    await voice.timeline.advance(60)

    last = heard_back(voice)[0][-1]
    assert (last.word, last.error_class) == (W.UNDELIVERED, ErrorClass.NO_ANSWER)
    assert voice.carrier.shelf.get(PHONE).call is None


async def test_six_ways_to_miss_a_call_are_six_different_receipts(voice: VoiceRig) -> None:
    conditions = {
        "1": Condition.VOICEMAIL,
        "2": Condition.BUSY,
        "3": Condition.ON,
        "4": Condition.SWITCHED_OFF,
        "5": Condition.WRONG_NUMBER,
        "6": Condition.ON,
    }
    for ending, condition in conditions.items():
        number = f"+861391111111{ending}"
        voice.carrier.shelf.get(number).condition = condition
        await voice.channel.send(request(voice, f"tok-{ending}", to=number))
    await voice.timeline.advance(5)
    assert voice.carrier.decline_call("+8613911111116")
    await voice.timeline.advance(120)

    last = {event.token[-1]: event for event in heard_back(voice)[0]}
    assert {ending: event.error_class for ending, event in last.items()} == {
        "1": ErrorClass.VOICEMAIL,
        "2": ErrorClass.BUSY,
        "3": ErrorClass.NO_ANSWER,
        "4": ErrorClass.HANDSET_OFF,
        "5": ErrorClass.BAD_NUMBER,
        "6": ErrorClass.NO_ANSWER,
    }
    assert len({event.code for event in last.values()}) == 6


async def test_a_machine_picks_up_and_nobody_has_heard(voice: VoiceRig) -> None:
    voice.carrier.shelf.get(PHONE).condition = Condition.VOICEMAIL

    await voice.channel.send(request(voice))

    assert await words_of(voice) == [W.SENT, W.RINGING, W.PICKED_UP, W.UNDELIVERED]


async def test_who_is_on_the_phone_is_busy_for_a_second_call(voice: VoiceRig) -> None:
    await voice.channel.send(request(voice))
    await voice.timeline.advance(5)
    await voice.channel.send(request(voice, "tok-2"))
    await voice.timeline.advance(5)

    second = [event for event in heard_back(voice)[0] if event.token == "tok-2"][-1]
    assert second.error_class is ErrorClass.BUSY
    assert voice.carrier.shelf.get(PHONE).call is not None


async def test_calls_wait_for_a_free_line(voice: VoiceRig) -> None:
    voice.behave(lines=2)

    for number in range(3):
        await voice.channel.send(request(voice, f"tok-{number}", to=f"+861391111111{number}"))
    await voice.timeline.advance(5)
    ringing = [number for number in range(3) if voice.carrier.shelf.get(f"+861391111111{number}").call]
    assert voice.carrier.decline_call("+8613911111110")
    await voice.timeline.advance(5)

    assert ringing == [0, 1]
    assert voice.carrier.shelf.get("+8613911111112").call is not None


async def test_a_call_that_gets_no_line_in_time_expires_and_frees_none(voice: VoiceRig) -> None:
    voice.behave(lines=1, ring_seconds=1000.0)

    await voice.channel.send(request(voice, "tok-1", minutes=20))
    await voice.channel.send(request(voice, "tok-2", minutes=1, to="+8613911111111"))
    await voice.timeline.advance(90)

    assert [event.error_class for event in heard_back(voice)[0] if event.token == "tok-2"] == [
        ErrorClass.EXPIRED
    ]
    assert voice.carrier.ledgers["county"].lines_used == 1


async def test_a_call_that_waits_for_a_line_is_cancelled_and_never_rings(voice: VoiceRig) -> None:
    voice.behave(lines=1)
    await voice.channel.send(request(voice, "tok-1", to="+8613911111111"))
    outcome = await voice.channel.send(request(voice, "tok-2"))
    await voice.timeline.advance(5)

    assert await voice.channel.cancel(outcome.reference, live=False)
    await voice.timeline.advance(120)

    words = [event.word for event in heard_back(voice)[0] if event.token == "tok-2"]
    assert words == [W.UNDELIVERED]


async def test_a_ringing_call_can_be_cancelled_and_stops_ringing(voice: VoiceRig) -> None:
    outcome = await voice.channel.send(request(voice))
    await voice.timeline.advance(5)

    assert await voice.channel.cancel(outcome.reference, live=True)
    await voice.timeline.advance(120)

    assert voice.carrier.shelf.get(PHONE).call is None
    last = heard_back(voice)[0][-1]
    assert (last.word, last.code) == (W.UNDELIVERED, "cancelled")


@pytest.mark.parametrize(
    ("habit", "last_word", "keys"),
    [
        ("prompt", W.HEARD, ["1"]),
        ("refuses", W.HEARD, ["2"]),
        ("listens", W.HEARD, []),
        ("hangs_up", W.CUT_SHORT, []),
        ("silent", W.UNDELIVERED, []),
    ],
)
async def test_people_take_calls_by_habit(
    voice: VoiceRig, habit: str, last_word: ReceiptWord, keys: list[str]
) -> None:
    voice.carrier.shelf.get(PHONE).habit = always(BY_NAME[habit])

    await voice.channel.send(request(voice))
    await voice.timeline.advance(200)

    receipts, pressed = heard_back(voice)
    assert (receipts[-1].word, pressed) == (last_word, keys)
    assert voice.carrier.ledgers["county"].lines_used == 0


def always(habit: Habit) -> Habit:
    return replace(habit, picks_up=1.0 if habit.picks_up else 0.0)


async def test_a_call_has_no_lines_left_over_after_a_busy_day(voice: VoiceRig) -> None:
    voice.behave(crowd=True, lines=5)

    for number in range(80):
        await voice.channel.send(request(voice, f"tok-{number}", minutes=60, to=f"+86139000{number:05d}"))
    await voice.timeline.advance(7200)

    assert voice.carrier.ledgers["county"].lines_used == 0
    assert not voice.carrier.ledgers["county"].waiting
    assert all(message.done for message in voice.carrier.messages())
    ends = {message.status for message in voice.carrier.messages()}
    assert {"played", "hung_up", "no_answer", "switched_off", "voicemail"} <= ends

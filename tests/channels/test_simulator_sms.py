"""Text messages through the simulated carrier, with its faults, on virtual time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from channels.base import Inquiry, OutcomeKind, ReceiptEvent, ReceiptWord, SendRequest
from channels.errors import ErrorClass
from channels.simulator import Condition, OutageKind
from channels.simulator.habit import BY_NAME
from tests.channels.rigs import CONFIG, PHONE, SmsRig

W = ReceiptWord


def request(rig: SmsRig, token: str = "tok-1", minutes: float = 10, **changes: str) -> SendRequest:
    fields = {"to": PHONE, "text": "山洪橙色预警，收到回1", "language": "zh", **changes}
    return SendRequest(
        token=token,
        valid_until=rig.now() + timedelta(minutes=minutes),
        callback_url=rig.callback_url(token),
        **fields,
    )


def receipts(rig: SmsRig) -> list[ReceiptEvent]:
    return [event for call in rig.catcher.take() for event in rig.channel.parse_receipts(call)]


def words(rig: SmsRig) -> list[ReceiptWord]:
    return [event.word for event in receipts(rig)]


async def test_a_message_is_sent_then_delivered_then_on_the_screen(sms: SmsRig) -> None:
    await sms.channel.send(request(sms))

    await sms.timeline.advance(10)

    assert words(sms) == [W.SENT, W.DELIVERED]
    screen = sms.carrier.shelf.get(PHONE).entries[-1]
    assert (screen.text, screen.status, screen.parts) == ("山洪橙色预警，收到回1", "delivered", 1)


@pytest.mark.parametrize(
    ("condition", "error_class"),
    [
        (Condition.WRONG_NUMBER, ErrorClass.BAD_NUMBER),
        (Condition.LANDLINE, ErrorClass.NOT_CAPABLE),
        (Condition.SWITCHED_OFF, ErrorClass.HANDSET_OFF),
    ],
)
async def test_a_phone_that_cannot_take_it_says_why(
    sms: SmsRig, condition: Condition, error_class: ErrorClass
) -> None:
    sms.carrier.shelf.get(PHONE).condition = condition

    await sms.channel.send(request(sms))
    await sms.timeline.advance(60)

    last = receipts(sms)[-1]
    assert (last.word, last.error_class) == (W.UNDELIVERED, error_class)
    assert not sms.carrier.shelf.get(PHONE).entries


async def test_a_message_that_waits_longer_than_it_is_valid_expires(sms: SmsRig) -> None:
    sms.carrier.break_down(OutageKind.STALLED, 3600)

    outcome = await sms.channel.send(request(sms, minutes=5))
    await sms.timeline.advance(299)
    assert words(sms) == []
    await sms.timeline.advance(2)

    assert outcome.kind is OutcomeKind.ACCEPTED
    assert [event.error_class for event in receipts(sms)] == [ErrorClass.EXPIRED]


async def test_a_stalled_queue_is_delivered_after_the_outage(sms: SmsRig) -> None:
    sms.carrier.break_down(OutageKind.STALLED, 60)

    await sms.channel.send(request(sms))
    await sms.timeline.advance(65)

    assert words(sms) == [W.SENT, W.DELIVERED]


async def test_early_receipts_arrive_before_the_request_is_answered(sms: SmsRig) -> None:
    sms.behave(early_receipt=1.0)

    outcome = await sms.channel.send(request(sms))

    assert outcome.kind is OutcomeKind.ACCEPTED
    assert words(sms) == [W.SENT, W.DELIVERED]


async def test_disorder_lets_a_later_receipt_overtake(sms: SmsRig) -> None:
    sms.behave(disorder=0.5)

    for number in range(20):
        await sms.channel.send(request(sms, f"tok-{number}"))
    await sms.timeline.advance(60)

    by_token: dict[str, list[str]] = {}
    for event in receipts(sms):
        by_token.setdefault(event.token, []).append(event.word)
    assert len(by_token) == 20
    assert {tuple(order) for order in by_token.values()} == {
        (W.SENT, W.DELIVERED),
        (W.DELIVERED, W.SENT),
    }


async def test_duplicates_and_losses_are_of_receipts_only(sms: SmsRig) -> None:
    sms.behave(lose_receipt=1.0)
    await sms.channel.send(request(sms))
    await sms.timeline.advance(10)

    assert words(sms) == []
    found = await sms.channel.lookup(Inquiry(token="tok-1"))
    assert found is not None
    assert [event.word for event in found] == [W.ACCEPTED, W.SENT, W.DELIVERED]


async def test_a_lost_request_was_never_seen(sms: SmsRig) -> None:
    sms.behave(lose_request=1.0)
    outcome = await sms.channel.send(request(sms))
    sms.behave(lose_request=0.0)

    assert outcome.kind is OutcomeKind.UNKNOWN
    assert await sms.channel.lookup(Inquiry(token="tok-1")) == []


async def test_a_carrier_out_of_service_leaves_the_outcome_unknown(sms: SmsRig) -> None:
    sms.carrier.break_down(OutageKind.UNAVAILABLE, 60)
    during = await sms.channel.send(request(sms))
    await sms.timeline.advance(61)
    after = await sms.channel.send(request(sms, "tok-2"))

    assert during.kind is OutcomeKind.UNKNOWN
    assert after.kind is OutcomeKind.ACCEPTED


async def test_connections_are_taken_again_after_a_refusal(sms: SmsRig) -> None:
    sms.carrier.break_down(OutageKind.REFUSE, 30)
    during = await sms.channel.send(request(sms))
    await sms.timeline.advance(31)
    after = await sms.channel.send(request(sms, "tok-2"))

    assert during.error_class is ErrorClass.DOWN
    assert after.kind is OutcomeKind.ACCEPTED


async def test_an_outage_can_be_ended_early(sms: SmsRig) -> None:
    sms.carrier.break_down(OutageKind.REFUSE, 3600)
    sms.carrier.break_down(OutageKind.NONE, 0)
    await sms.timeline.advance(1)

    outcome = await sms.channel.send(request(sms))

    assert outcome.kind is OutcomeKind.ACCEPTED


async def test_pace_is_refused_above_and_recovers(sms: SmsRig) -> None:
    sms.behave(requests_per_second=2.0, retry_after=3.0)

    burst = [(await sms.channel.send(request(sms, f"a{n}"))).kind for n in range(4)]
    await sms.timeline.advance(1)
    later = [(await sms.channel.send(request(sms, f"b{n}"))).kind for n in range(3)]

    accepted, throttled = OutcomeKind.ACCEPTED, OutcomeKind.THROTTLED
    assert burst == [accepted, accepted, throttled, throttled]
    assert later == [accepted, accepted, throttled]


async def test_the_network_takes_parts_at_its_own_pace(sms: SmsRig) -> None:
    sms.behave(parts_per_second=1.0, sms_seconds=0.0)

    for number in range(5):
        await sms.channel.send(request(sms, f"tok-{number}", text="水" * 71))
    await sms.timeline.advance(5)
    halfway = words(sms).count(W.DELIVERED)
    await sms.timeline.advance(10)

    assert halfway == 3
    assert words(sms).count(W.DELIVERED) == 2


async def test_a_callback_that_fails_is_posted_again(sms: SmsRig) -> None:
    sms.catcher.failures = 2

    await sms.channel.send(request(sms))
    await sms.timeline.advance(30)

    assert sorted(words(sms)) == sorted([W.SENT, W.DELIVERED])
    assert sms.carrier.postman.counts.failed == 2


async def test_a_callback_is_given_up_after_four_tries(sms: SmsRig) -> None:
    sms.catcher.failures = 100

    await sms.channel.send(request(sms))
    await sms.timeline.advance(60)

    counts = sms.carrier.postman.counts
    assert (counts.posted, counts.failed, counts.given_up) == (0, 8, 2)


async def test_a_reply_keeps_the_words_of_its_writer(sms: SmsRig) -> None:
    for text in ("１", "收到", " 1。", "١", "ok\n", "a=1&b=+"):
        event = sms.channel.parse_inbound(await sms.answer_to(request(sms, f"tok-{text}"), text))[0]
        assert (event.text, event.sender) == (text, PHONE)


async def test_a_long_absence_is_fetched_page_by_page(sms: SmsRig) -> None:
    for number in range(1200):
        sms.carrier.reply(PHONE, f"{number}")

    fetched = await sms.channel.poll_inbound(sms.now())

    assert [event.text for event in fetched.events] == [str(number) for number in range(1200)]
    assert fetched.until is None


async def test_an_absence_that_is_too_long_is_fetched_from_its_beginning_on(
    sms: SmsRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.simulated.POLL_PAGES_MAX", 1)
    since = sms.now()
    for number in range(1200):
        sms.carrier.reply(PHONE, f"{number}")

    fetched = await sms.channel.poll_inbound(since)

    assert 0 < len(fetched.events) < 1200
    assert fetched.events[0].text == "0"
    assert fetched.until == fetched.events[-1].happened_at


async def test_the_crowd_answers_by_habit_and_the_same_seed_answers_the_same(sms: SmsRig) -> None:
    sms.behave(crowd=True)

    async def round_of_sixty() -> dict[str, str]:
        before = sms.now()
        for number in range(60):
            await sms.channel.send(request(sms, f"tok-{number}", to=f"+86139000{number:05d}"))
        await sms.timeline.advance(7200)
        answers = await sms.channel.poll_inbound(before)
        sms.carrier.shelf.clear()
        return {event.sender: event.text for event in answers.events}

    first = await round_of_sixty()
    second = await round_of_sixty()

    assert first == second
    assert 30 <= len(first) < 60
    assert {"1", "2"} < set(first.values())


async def test_only_its_share_of_the_crowd_answers(sms: SmsRig) -> None:
    sms.behave(crowd=True, crowd_share=0.0)
    sms.carrier.shelf.get(PHONE).habit = BY_NAME["refuses"]

    await sms.channel.send(request(sms))
    await sms.channel.send(request(sms, "tok-2", to="+8613911111111"))
    await sms.timeline.advance(7200)

    answers = await sms.channel.poll_inbound(sms.now() - timedelta(days=1))
    assert [(event.sender, event.text) for event in answers.events] == [(PHONE, "2")]


async def test_the_crowd_lets_be_what_asks_for_nothing(sms: SmsRig) -> None:
    sms.behave(crowd=True)

    for number in range(20):
        to = f"+86139000{number:05d}"
        await sms.channel.send(request(sms, f"tok-{number}", to=to, text="山洪预警已解除"))
    await sms.timeline.advance(7200)

    assert sms.carrier.counts.replies == 0


async def test_nothing_is_remembered_when_phones_are_not_kept() -> None:
    rig = SmsRig(replace(CONFIG, keep_handsets=False))
    await rig.start()

    outcome = await rig.channel.send(request(rig))
    await rig.timeline.advance(10)

    assert outcome.kind is OutcomeKind.ACCEPTED
    assert words(rig) == [W.SENT, W.DELIVERED]
    assert len(rig.carrier.shelf) == 0
    await rig.close()


async def test_magic_endings_decide_where_they_are_wanted() -> None:
    rig = SmsRig(replace(CONFIG, magic_endings=True))
    await rig.start()
    for ending in "1234":
        await rig.channel.send(request(rig, f"tok-{ending}", to=f"+861390000000{ending}"))
    await rig.timeline.advance(60)

    last = {event.token[-1]: event.error_class or event.word for event in receipts(rig)}

    assert last == {"1": W.DELIVERED, "2": ErrorClass.BAD_NUMBER, "3": ErrorClass.HANDSET_OFF}
    await rig.close()

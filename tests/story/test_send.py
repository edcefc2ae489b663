"""What becomes of a send that did not simply go well (law 3): unknown, put off, too late, wrong."""

import pytest

from channels.base import ReceiptWord
from channels.errors import ErrorClass
from tests.fakes.channel import Accept, Raise, Reject, Throttle, Unknown
from tests.fakes.county import County, mobile
from tests.fakes.faulty_store import FaultyStore
from tests.story.conftest import Build
from warnsvc.store.port import Store, StoreFault


async def test_what_the_carrier_has_never_seen_is_sent_again(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.script(Unknown(taken=False))
    warning = await county.red_warning()
    assert [a["state"] for a in await warning.attempts(village.first, channel="sms")] == ["unknown"]

    await county.advance(seconds=10)

    village.expects_sms("暴雨红色").replies("1")
    await county.settle()
    assert await warning.state(village) == "answered"
    assert len(await warning.attempts(village.first, channel="sms")) == 1  # the same try


async def test_what_the_carrier_has_taken_is_not_sent_again(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.script(Unknown(taken=True))
    warning = await county.red_warning()

    await county.advance(seconds=60)

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["reference"]) == ("accepted", county.sms.taken[0].sid)
    assert len(county.sms.tries) == 1


async def test_a_callback_settles_an_unknown_before_anybody_looks_it_up(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.script(Unknown(taken=True))
    warning = await county.red_warning()

    village.expects_sms().arrives()
    await county.settle()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["state"] == "delivered"
    await county.advance(seconds=60)
    assert len(county.sms.tries) == 1


async def test_a_dead_number_that_only_the_look_up_tells_of_is_followed_by_the_next(
    build: Build,
) -> None:
    county = await build(tiers=0)
    (village,) = county.villages
    person = await county.appoint(village, numbers=[mobile(71), mobile(72)])
    county.sms.script(Unknown(taken=True), to=mobile(71))
    await county.red_warning()
    person.phones[0].expects_sms().fails(ErrorClass.BAD_NUMBER)
    county.sms.mail.clear()  # the callback is lost

    await county.advance(seconds=10)

    person.phones[1].expects_sms("暴雨红色")


async def test_without_any_word_a_red_text_is_sent_once_more_and_no_oftener(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.always(Unknown(taken=True))
    county.sms.answers_lookups = False
    county.resends = 1
    warning = await county.red_warning()

    await county.advance(minutes=5)

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["send_count"] == 2
    assert (sms["state"], sms["error_text"]) == ("failed", "outcome never known")


async def test_what_may_have_arrived_is_not_sent_again_to_somebody_who_has_answered(
    build: Build,
) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.script(Unknown(taken=False))
    warning = await county.red_warning()

    village.expects_call().presses("1")
    await county.advance(seconds=60)

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["state"] == "cancelled"
    assert len(county.sms.tries) == 1


async def test_a_look_up_that_raises_leaves_the_others_their_turn(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    county = await build(villages=2)
    broken, healthy = county.villages
    county.sms.script(Unknown(taken=False), Unknown(taken=False))
    warning = await county.red_warning()
    lookup = county.sms.lookup
    token = county.sms.tries[0].token

    async def fragile(asked: str) -> object:
        if asked == token:
            raise RuntimeError("a mistake in the adapter")
        return await lookup(asked)

    monkeypatch.setattr(county.sms, "lookup", fragile)
    await county.advance(seconds=10)

    healthy.expects_sms("暴雨红色")
    broken.expects_sms("暴雨红色")  # no word is no answer: the rule sends a red one once more
    assert await warning.states() == {"calling": 2}


async def test_what_is_throttled_goes_later(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.script(Throttle(7.0), Throttle(5.0))
    await county.red_warning()
    assert village.first.phone.texts() == []

    await county.advance(seconds=11.9)
    assert village.first.phone.texts() == []
    await county.advance(seconds=0.1)

    village.expects_sms("暴雨红色")


async def test_what_is_throttled_is_not_sent_to_somebody_who_has_answered_meanwhile(
    build: Build,
) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.script(Throttle(30.0))
    warning = await county.release(await county.signed())

    async def he_answers(_: object) -> None:
        county.sms.before_send = None
        await warning.click(village.first, "1")
        await county.engine.one_pass()

    county.sms.before_send = he_answers
    await county.settle()
    await county.advance(minutes=2)

    assert village.first.phone.texts() == []
    assert await warning.state(village) == "answered"


async def test_what_is_put_off_beyond_its_time_is_not_sent_at_all(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.script(Throttle(301.0))
    warning = await county.red_warning()

    await county.advance(minutes=10)

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["send_count"]) == ("expired", 0)
    assert village.first.phone.texts() == []


async def test_what_waited_too_long_behind_a_slow_carrier_is_not_sent(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.release(await county.signed())

    async def it_takes_minutes(_: object) -> None:
        county.sms.before_send = None
        county.clock.move(minutes=6)

    county.sms.before_send = it_takes_minutes
    await county.outbox.step()
    await county.advance(seconds=30)  # its lease has ended meanwhile: it is looked up first

    first, *_ = await warning.attempts(village.first, channel="voice")
    assert first["state"] == "expired"
    assert len(village.first.phone.texts("voice")) < 2  # the next round, in time


async def test_an_adapter_that_raises_makes_an_unknown_and_stops_nobody_else(build: Build) -> None:
    county = await build(villages=3)
    county.sms.script(Accept(), Raise(taken=True), Accept())

    warning = await county.red_warning()

    states = [(await warning.attempts(v.first, channel="sms"))[0]["state"] for v in county.villages]
    assert sorted(states) == ["accepted", "accepted", "unknown"]
    await county.advance(seconds=10)
    assert len(county.sms.tries) == 3  # looked up, found, not sent again


async def test_a_number_refused_as_wrong_is_flagged_and_left_out_of_the_next_warning(
    build: Build,
) -> None:
    county = await build(tiers=0)
    (village,) = county.villages
    person = await county.appoint(village, numbers=[mobile(71), mobile(72)])
    county.sms.script(Reject(ErrorClass.BAD_NUMBER), to=mobile(71))
    await county.red_warning()
    tries = len(county.sms.tries)

    await county.red_warning(texts={"zh": "第二次暴雨红色预警。"})

    assert [r.to for r in county.sms.tries[tries:]] == [mobile(72)]
    (flagged,) = await county.rows("SELECT address FROM contact_number WHERE failed_at IS NOT NULL")
    assert flagged["address"] == mobile(71)
    assert person.phones[1].texts()[-1].startswith("【云岭县应急局】第二次")


async def test_a_line_that_takes_no_texts_is_still_called(build: Build) -> None:
    """Not capable is about the channel, not about the number."""
    county = await build(tiers=0)
    (village,) = county.villages
    person = await county.appoint(village)
    warning = await county.red_warning()

    person.expects_sms().fails(ErrorClass.NOT_CAPABLE)
    await county.settle()

    assert await county.rows("SELECT id FROM contact_number WHERE failed_at IS NOT NULL") == []
    person.expects_call().presses("1")
    await county.settle()
    assert await warning.state(village) == "answered"


async def test_an_endpoint_may_answer_in_the_same_breath(build: Build) -> None:
    county = await build(tiers=0)
    (village,) = county.villages
    address = "https://speaker.example.org/hook"
    await county.appoint(village, numbers=[address])
    county.webhook.script(Accept(answer="1"), to=address)

    warning = await county.red_warning()

    assert await warning.state(village) == "answered"
    (row,) = await county.rows("SELECT channel, kind FROM answer")
    assert tuple(row) == ("webhook", "received")
    assert "/a/" in county.webhook.tries[0].answer_url


async def test_outcomes_that_the_database_refused_are_recorded_later(store: Store) -> None:
    faulty = FaultyStore(store)
    county = await County.build(faulty, villages=2)
    warning = await county.release(await county.signed())
    faulty.fail_on("carrier = g.carrier", times=2)

    for _ in range(2):
        with pytest.raises(StoreFault):
            await county.settle()
    await county.settle()

    assert faulty.failed == 2
    for village in county.villages:
        for attempt in await warning.attempts(village.first):
            assert attempt["state"] == "accepted"
    assert len(county.sms.tries) == 2
    await county.finish()


async def test_a_receipt_that_beats_a_refusal_wins(build: Build) -> None:
    """Carriers contradict themselves; what arrived has arrived."""
    county = await build()
    (village,) = county.villages
    county.sms.script(Unknown(taken=True))
    warning = await county.red_warning()
    text = village.expects_sms()
    text.receipt(ReceiptWord.DELIVERED)
    await county.settle()
    text.fails(ErrorClass.OTHER)
    await county.settle()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["state"] == "delivered"

"""How warnings end: lifted by an officer, or run out; and who hears of it."""

from datetime import timedelta

import pytest

from channels.errors import ErrorClass
from tests.fakes.channel import Reject, Throttle, Unknown
from tests.fakes.county import DESK, mobile
from tests.story.conftest import Build
from warnsvc.core.refusal import Refusal


async def test_lifting_tells_exactly_those_who_were_called_and_calls_nobody_else(
    build: Build,
) -> None:
    county = await build(villages=2)
    answered, silent = county.villages
    (township,) = county.townships
    warning = await county.red_warning()
    answered.expects_sms().replies("1")
    await county.advance(minutes=5)  # the silent one's second tier is called, no township
    for place in county.villages:
        for people in place.tiers.values():
            people[0].ignores_everything()

    told = await warning.lift("雨停了")
    await county.settle()

    assert told == 3
    for person in (answered.first, silent.first, silent.second):
        person.expects_sms("解除", "雨停了").does_not_say("演练", "回1")
        person.expects_nothing()
    answered.second.expects_nothing()
    await county.advance(hours=1)
    for person in (answered.first, silent.first, silent.second, answered.second, township.first):
        person.expects_nothing()
    assert await warning.state(silent) == "lifted"
    assert await warning.state(answered) == "answered"


async def test_a_drill_is_lifted_with_drill_words(build: Build) -> None:
    county = await build(tiers=1)
    (village,) = county.villages
    warning = await county.drill()
    village.first.ignores_everything()

    await warning.lift("演练结束")
    await county.settle()

    text = village.expects_sms("解除").text
    assert text.partition("】")[2].startswith("演练")
    assert text.endswith("演练")


async def test_who_never_got_anything_is_not_told_that_it_is_over(build: Build) -> None:
    county = await build(villages=2, tiers=1, superiors=0)
    dead, alive = county.villages
    for channel in (county.sms, county.voice):
        channel.script(Reject(ErrorClass.BAD_NUMBER), to=dead.first.phone.address)
    warning = await county.red_warning()
    alive.first.ignores_everything()

    assert await warning.lift() == 1
    await county.settle()

    alive.expects_sms("解除")
    dead.expects_nothing()


async def test_the_lifting_text_goes_to_the_number_that_works(build: Build) -> None:
    county = await build(tiers=0)
    (village,) = county.villages
    person = await county.appoint(village, numbers=[mobile(71), mobile(72)])
    for channel in (county.sms, county.voice):
        channel.script(Reject(ErrorClass.BAD_NUMBER), to=mobile(71))
    warning = await county.red_warning()
    person.ignores_everything()

    await warning.lift()
    await county.settle()

    person.phones[0].expects_nothing()
    person.phones[1].expects_sms("解除")


async def test_an_exhausted_village_can_be_lifted_and_its_task_is_no_longer_needed(
    build: Build,
) -> None:
    county = await build(tiers=1, superiors=0)
    (village,) = county.villages
    warning = await county.red_warning()
    await county.advance(minutes=5)
    assert await warning.state(village) == "exhausted"

    await warning.lift()

    assert await warning.state(village) == "lifted"
    assert [t["state"] for t in await county.tasks("knock")] == ["moot"]


async def test_an_answer_after_the_lifting_is_kept_and_changes_nothing(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()
    text = village.expects_sms()
    await warning.lift()
    await county.settle()

    text.replies("1")
    await county.settle()

    (row,) = await county.rows("SELECT kind, late FROM answer")
    assert tuple(row) == ("received", True)
    assert await warning.state(village) == "lifted"


async def test_a_bulletin_that_runs_out_unanswered_raises_an_alarm_and_a_task(build: Build) -> None:
    county = await build(villages=2, tiers=3)
    answered, silent = county.villages
    warning = await county.red_warning(hours=0.1)
    answered.expects_sms().replies("1")

    await county.advance(minutes=6)

    assert await warning.state(silent) == "expired"
    assert await warning.state(answered) == "answered"
    (alarm,) = await county.alarms("expired")
    (task,) = await county.tasks("knock")
    assert silent.name in alarm["text"]
    assert (task["desk"], task["state"]) == (DESK, "open")
    sent = len(county.sms.tries) + len(county.voice.tries)
    await county.advance(hours=2)
    assert len(county.sms.tries) + len(county.voice.tries) == sent


async def test_nothing_is_sent_whose_validity_outlives_the_bulletin(build: Build) -> None:
    county = await build()
    await county.red_warning(hours=0.05)  # three minutes: shorter than a window

    until = [taken.request.valid_until for taken in county.sms.taken]

    assert set(until) == {county.clock.now() + timedelta(minutes=3)}


async def test_what_ran_out_can_still_be_lifted_and_those_called_are_told(build: Build) -> None:
    county = await build(tiers=1)
    (village,) = county.villages
    warning = await county.red_warning(hours=0.05)
    village.first.ignores_everything()
    await county.advance(minutes=4)
    village.first.ignores_everything()

    assert await warning.lift() == 1
    await county.settle()

    village.expects_sms("解除")
    assert await warning.state(village) == "expired"  # it was not answered, and that stays


async def test_a_bulletin_is_lifted_once_and_with_a_reason(build: Build) -> None:
    county = await build()
    warning = await county.red_warning()

    with pytest.raises(Refusal, match="reason_missing"):
        await warning.lift("  ")
    await warning.lift()
    with pytest.raises(Refusal, match="wrong_state"):
        await warning.lift()


async def test_a_switched_off_phone_is_not_redialled_after_the_end(build: Build) -> None:
    county = await build(tiers=1, superiors=0)
    (village,) = county.villages
    await county.red_warning(hours=0.02)  # runs out before the second round
    village.expects_sms().fails(ErrorClass.HANDSET_OFF)
    village.expects_call().fails(ErrorClass.HANDSET_OFF)

    await county.advance(hours=1)

    village.expects_nothing()


async def test_what_the_carrier_put_off_is_not_sent_after_the_lifting(build: Build) -> None:
    county = await build(tiers=1)
    (village,) = county.villages
    county.sms.script(Throttle(30.0))
    warning = await county.release(await county.signed())

    async def lifted_meanwhile(_: object) -> None:
        county.sms.before_send = None
        await warning.lift()

    county.sms.before_send = lifted_meanwhile
    await county.settle()
    await county.advance(minutes=2)

    assert [t for t in village.first.phone.texts() if "解除" not in t] == []


async def test_what_may_have_been_sent_is_not_sent_again_after_the_lifting(build: Build) -> None:
    county = await build(tiers=1)
    (village,) = county.villages
    county.sms.script(Unknown(taken=False))
    warning = await county.red_warning()

    await warning.lift()
    await county.advance(minutes=2)

    assert [t for t in village.first.phone.texts() if "解除" not in t] == []

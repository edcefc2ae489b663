"""A village climbs its ladder: from its first person to the township, and never quietly off it."""

from datetime import timedelta

import pytest

from channels.errors import ErrorClass
from tests.fakes.channel import Reject
from tests.fakes.county import DESK, mobile
from tests.story.conftest import Build


async def test_the_first_answer_closes_the_village_and_cancels_what_is_unsent(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    village.expects_sms("暴雨红色").replies("1")
    await county.settle()

    assert await warning.state(village) == "answered"
    await county.advance(minutes=30)
    village.first.ignores_everything()  # the call that went out with the text
    village.expects_nothing()
    assert [a["channel"] for a in await warning.attempts(village.first)] == ["sms", "voice"]
    assert await county.alarms() == []


async def test_a_silent_village_climbs_to_the_township_and_is_exhausted_with_alarm_and_task(
    build: Build,
) -> None:
    county = await build()
    (village,), (township,) = county.villages, county.townships
    warning = await county.red_warning()
    village.second.expects_nothing()

    await county.advance(minutes=5)
    village.second.expects_sms("暴雨红色")
    township.first.expects_nothing()

    await county.advance(minutes=5)
    township.first.expects_sms("未应答", village.name)

    await county.advance(minutes=5)
    assert await warning.state(village) == "exhausted"
    assert len(await county.alarms("exhausted")) == 1
    (task,) = await county.tasks()
    assert (task["kind"], task["desk"], task["state"]) == ("knock", DESK, "open")
    assert village.name in task["title"]


async def test_twelve_silent_villages_are_one_call_to_the_township_listing_twelve(
    build: Build,
) -> None:
    county = await build(villages=12, tiers=1)
    (township,) = county.townships
    warning = await county.red_warning()

    await county.advance(minutes=5)

    text = township.expects_sms("未应答").says(*(village.name for village in county.villages))
    call = township.expects_call(*(village.name for village in county.villages))
    township.expects_nothing()
    text.replies("1")
    call.presses("1")
    await county.settle()
    assert await warning.states() == {"answered": 12}
    assert len(await warning.attempts(township.first)) == 2


async def test_a_township_that_is_called_already_is_told_of_the_village_that_joins(
    build: Build,
) -> None:
    county = await build(villages=2, tiers=1)
    early, late = county.villages
    (township,) = county.townships
    await county.red_warning()

    early.expects_sms().replies("2")  # his tier is over at once
    await county.settle()
    township.expects_sms(early.name).does_not_say(late.name)
    await county.advance(minutes=5)

    told = [t for t in township.first.phone.texts() if late.name in t]
    assert told
    assert all(township.first.phone.texts().count(t) == 1 for t in told)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("words", ["2", "无法到岗", "２。"])
async def test_who_refuses_is_left_alone_and_the_next_is_called_at_once(
    build: Build, words: str
) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()
    village.second.expects_nothing()

    village.expects_sms().replies(words)
    await county.settle()

    village.second.expects_sms("暴雨红色").replies("1")
    await county.advance(minutes=30)
    assert await warning.state(village) == "answered"
    assert (await warning.callout(village.first))["state"] == "refused"
    assert len(village.first.phone.texts("voice")) == 1  # the one that went out with the text


async def test_a_dead_number_is_followed_by_the_next_number_at_once(build: Build) -> None:
    county = await build(tiers=0)
    (village,) = county.villages
    person = await county.appoint(village, numbers=[mobile(71), mobile(72)])
    await county.appoint(village, tier=2)
    county.sms.script(Reject(ErrorClass.BAD_NUMBER), to=mobile(71))
    county.voice.script(Reject(ErrorClass.BAD_NUMBER), to=mobile(71))

    warning = await county.red_warning()

    person.phones[0].expects_nothing()
    person.phones[1].expects_call("暴雨红色")
    person.phones[1].expects_sms("暴雨红色").replies("1")
    village.second.expects_nothing()
    await county.settle()
    assert await warning.state(village) == "answered"
    assert await county.tasks() == []


async def test_a_number_that_a_receipt_calls_dead_is_followed_by_the_next_at_once(
    build: Build,
) -> None:
    county = await build(tiers=0)
    (village,) = county.villages
    person = await county.appoint(village, numbers=[mobile(71), mobile(72)])
    warning = await county.red_warning()
    person.phones[1].expects_nothing()

    person.phones[0].expects_sms().fails(ErrorClass.BAD_NUMBER)
    await county.settle()

    person.phones[1].expects_sms("暴雨红色").replies("1")
    await county.settle()
    assert await warning.state(village) == "answered"


async def test_when_every_number_is_dead_the_next_tier_is_called_at_once_and_somebody_fixes_them(
    build: Build,
) -> None:
    county = await build(tiers=0)
    (village,) = county.villages
    person = await county.appoint(village, numbers=[mobile(71), mobile(72)])
    await county.appoint(village, tier=2)
    for address in (mobile(71), mobile(72)):
        county.sms.script(Reject(ErrorClass.BAD_NUMBER), to=address)
        county.voice.script(Reject(ErrorClass.BAD_NUMBER), to=address)

    warning = await county.red_warning()

    village.second.expects_sms("暴雨红色")
    assert (await warning.callout(person))["state"] == "unreachable"
    (task,) = await county.tasks("fix_number")
    assert task["title"] == person.name
    assert (await warning.escalation(village))["tier"] == 2


@pytest.mark.parametrize(
    ("error_class", "kind"),
    [
        (ErrorClass.BAD_NUMBER, "fix_number"),
        (ErrorClass.NOT_CAPABLE, "fix_number"),
        (ErrorClass.OPTED_OUT, "fix_number"),
        (ErrorClass.UNROUTABLE, "call_by_hand"),
        (ErrorClass.CONFIG, "call_by_hand"),
        (ErrorClass.FILTERED, "call_by_hand"),
    ],
)
async def test_nobody_is_sent_to_mend_a_number_that_only_our_carriers_refuse(
    build: Build, error_class: ErrorClass, kind: str
) -> None:
    county = await build()
    (village,) = county.villages
    for carrier in (county.sms, county.voice):  # "your account is wrong" is tried three times
        carrier.script(*[Reject(error_class)] * 3, to=village.first.phone.address)

    warning = await county.red_warning()
    await county.advance(minutes=4)

    assert (await warning.callout(village.first))["state"] == "unreachable"
    (task,) = [t for t in await county.rows("SELECT * FROM task") if t["callout_id"]]
    assert (task["kind"], task["title"]) == (kind, village.first.name)
    village.second.expects_sms("暴雨红色")  # nobody waits for him


async def test_a_phone_that_is_switched_off_does_not_keep_the_next_tier_waiting(
    build: Build,
) -> None:
    county = await build()
    (village,) = county.villages
    await county.red_warning()

    village.expects_sms().fails(ErrorClass.HANDSET_OFF)
    village.expects_call().fails(ErrorClass.HANDSET_OFF)
    await county.settle()

    village.second.expects_sms("暴雨红色")
    assert await county.tasks("fix_number") == []
    await county.advance(seconds=100)
    village.expects_call("暴雨红色")  # his own rounds go on: he may switch it on again


async def test_a_tier_that_nobody_holds_is_passed_over_recorded_and_alarmed(build: Build) -> None:
    county = await build(tiers=0)
    (village,) = county.villages
    yesterday = county.clock.now().date() - timedelta(days=1)
    former = await county.appoint(village, tier=1, valid_to=yesterday)
    await county.appoint(village, tier=2)

    warning = await county.red_warning()

    former.expects_nothing()
    village.second.expects_sms("暴雨红色")
    (alarm,) = await county.alarms("no_contact")
    assert village.name in alarm["text"]
    assert "plan.tier_empty" in await warning.acts()


async def test_a_village_without_anybody_goes_to_the_desk_at_release(build: Build) -> None:
    county = await build(villages=2, tiers=0, superiors=0)
    alone, other = county.villages
    await county.appoint(other)

    warning = await county.red_warning()

    assert await warning.state(alone) == "exhausted"
    (alarm,) = await county.alarms("exhausted")
    (task,) = await county.tasks("knock")
    assert alone.name in alarm["text"]
    assert (task["desk"], task["state"]) == (DESK, "open")
    assert await warning.state(other) == "calling"

"""A village climbs its ladder: from its first person to the township, and never quietly off it."""

from tests.fakes.county import DESK
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

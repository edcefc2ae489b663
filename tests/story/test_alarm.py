"""Alarms end when their cause is over, and stay on the desk until somebody has heard them."""

from tests.story.conftest import Build
from warnsvc.service.alarm import acknowledge
from warnsvc.service.inbox import settle


async def test_the_alarm_about_a_silent_place_ends_when_it_answers_late(build: Build) -> None:
    county = await build(villages=2, tiers=1, superiors=0)
    village, neighbour = county.villages
    await county.red_warning()
    text = village.expects_sms()
    await county.advance(minutes=5)
    assert len(await county.alarms("exhausted")) == 2

    text.replies("1")
    await county.settle()

    ended = {row["text"].split()[-1]: row["ended_at"] for row in await county.alarms("exhausted")}
    assert ended[village.name] == county.clock.now()
    assert ended[neighbour.name] is None


async def test_lifting_a_warning_ends_its_alarms_and_no_other(build: Build) -> None:
    county = await build(tiers=1, superiors=0)
    one = await county.red_warning()
    other = await county.red_warning(texts={"zh": "第二次暴雨红色预警。"})
    await county.advance(minutes=5)

    await one.lift()

    ended = {row["bulletin_id"]: row["ended_at"] for row in await county.alarms("exhausted")}
    assert ended[one.id] == county.clock.now()
    assert ended[other.id] is None


async def test_a_warning_that_runs_out_leaves_its_alarms(build: Build) -> None:
    """Nobody there has been found."""
    county = await build(tiers=1, superiors=0)
    await county.red_warning(hours=1)

    await county.advance(hours=1)

    assert [row["ended_at"] for row in await county.alarms("exhausted")] == [None]


async def test_an_alarm_that_is_over_can_still_be_acknowledged(build: Build) -> None:
    county = await build(tiers=1, superiors=0)
    warning = await county.red_warning()
    await county.advance(minutes=5)
    await warning.lift()
    (alarm,) = await county.alarms("exhausted")

    assert await acknowledge(county.ctx, officer=county.duty, alarm_ids=[alarm["id"]]) == 1


async def test_the_alarm_about_replies_ends_when_the_last_one_is_put_away(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    await county.red_warning()
    village.expects_sms()
    for words in ("哪位？", "什么？"):
        village.first.phone.sends(words)
    await county.settle()
    rows = await county.rows("SELECT id FROM inbound WHERE state = 'unmatched' ORDER BY id")
    assert len(rows) == 2

    await settle(county.ctx, officer=county.duty, inbound_id=rows[0]["id"], result="已回电")
    assert [a["ended_at"] for a in await county.alarms("unmatched")] == [None]
    await settle(county.ctx, officer=county.duty, inbound_id=rows[1]["id"], result="已回电")

    assert [a["ended_at"] for a in await county.alarms("unmatched")] == [county.clock.now()]
    village.first.phone.sends("再问一句？")
    await county.settle()
    assert len(await county.alarms("unmatched")) == 2  # it rings again
    village.first.ignores_everything()

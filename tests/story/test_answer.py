"""Whose answer counts, where, and when: late ones, shared ones, unclear ones, those by hand."""

import pytest

from channels.errors import ErrorClass
from tests.fakes.channel import Reject
from tests.fakes.county import mobile
from tests.story.conftest import Build
from warnsvc.core.answer import AnswerKind
from warnsvc.service import answer


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("words", ["1", "１", "١", "۱", "收到", " 1。", "\u200f1\u200f", "OK"])
async def test_every_way_of_saying_received_closes_the_village(build: Build, words: str) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    village.expects_sms().replies(words)
    await county.settle()

    assert await warning.state(village) == "answered"


async def test_a_key_pressed_in_the_call_closes_the_village(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    village.expects_call("暴雨红色").presses("1")
    await county.settle()

    assert await warning.state(village) == "answered"
    assert (await warning.callout(village.first))["rung"] == 6


async def test_a_late_answer_is_kept_and_marked_and_the_superior_stands_down_once(
    build: Build,
) -> None:
    county = await build(tiers=1)
    (village,), (township,) = county.villages, county.townships
    warning = await county.red_warning()
    reply = village.expects_sms()
    await county.advance(minutes=5)
    township.expects_sms(village.name)
    township.expects_call(village.name)

    reply.replies("1")
    await county.settle()
    reply.replies("收到")
    await county.settle()

    assert await warning.state(village) == "answered"
    callout = await warning.callout(village.first)
    assert (callout["state"], callout["late"]) == ("answered", True)
    answers = await county.rows("SELECT late FROM answer ORDER BY id")
    assert [row["late"] for row in answers] == [True, True]
    township.expects_sms("已应答", village.name)
    await county.advance(minutes=30)
    township.expects_nothing()


async def test_a_stand_down_goes_to_the_number_that_works(build: Build) -> None:
    county = await build(tiers=1, superiors=0)
    (village,), (township,) = county.villages, county.townships
    leader = await county.appoint(township, numbers=[mobile(71), mobile(72)])
    county.sms.script(Reject(ErrorClass.BAD_NUMBER), to=mobile(71))
    await county.red_warning()
    reply = village.expects_sms()
    await county.advance(minutes=5)
    leader.phones[1].expects_sms(village.name)

    reply.replies("1")
    await county.settle()

    leader.phones[1].expects_sms("已应答", village.name)
    assert leader.phones[0].texts() == []


async def test_an_answer_after_exhaustion_is_marked_and_ends_the_knock(build: Build) -> None:
    county = await build(tiers=1, superiors=0)
    (village,) = county.villages
    warning = await county.red_warning()
    await county.advance(minutes=5)
    assert await warning.state(village) == "exhausted"

    village.expects_sms().replies("1")
    await county.settle()

    escalation = await warning.escalation(village)
    assert (escalation["state"], escalation["late"]) == ("answered", True)
    assert [t["state"] for t in await county.tasks("knock")] == ["moot"]
    assert len(await county.alarms("exhausted")) == 1


async def test_a_person_with_three_roles_is_called_once_and_credited_everywhere(
    build: Build,
) -> None:
    county = await build(villages=3, tiers=0)
    first, second, third = county.villages
    person = await county.appoint(first, tier=1)
    await county.also(person, second, tier=1)
    await county.appoint(third, tier=1)
    await county.also(person, third, tier=2)
    warning = await county.red_warning()

    text = person.expects_sms("暴雨红色")
    person.expects_call()
    person.expects_nothing()
    text.replies("1")
    await county.settle()

    assert await warning.states() == {"answered": 3}  # his own villages, wherever he stands
    await county.advance(minutes=10)
    person.expects_nothing()


async def test_who_must_not_be_called_by_a_robot_is_called_by_an_officer(build: Build) -> None:
    county = await build(tiers=0)
    (village,) = county.villages
    person = await county.appoint(village, robot_ok=False)
    warning = await county.red_warning()
    person.expects_nothing()
    (task,) = await county.tasks("call_by_hand")
    assert task["title"] == person.name

    callout = await warning.callout(person)
    late = await answer.by_hand(
        county.ctx,
        officer=county.duty,
        callout_id=callout["id"],
        kind=AnswerKind.RECEIVED,
        happened_at=county.clock.now(),
        note="电话里说收到了",
    )
    await county.settle()

    assert not late
    assert await warning.state(village) == "answered"
    assert [t["state"] for t in await county.tasks("call_by_hand")] == ["moot"]
    (row,) = await county.rows("SELECT channel, entered_by FROM answer")
    assert (row["channel"], row["entered_by"]) == ("hand", county.duty)


async def test_when_it_happened_and_when_it_was_entered_are_kept_apart(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()
    callout = await warning.callout(village.first)
    happened_at = county.clock.now()
    await county.advance(minutes=2)

    await answer.by_hand(
        county.ctx,
        officer=county.signer,
        callout_id=callout["id"],
        kind=AnswerKind.ON_POST,
        happened_at=happened_at,
        note="",
    )

    (row,) = await county.rows("SELECT happened_at, entered_at, entered_by FROM answer")
    assert (row["entered_at"] - row["happened_at"]).total_seconds() == 120
    assert row["entered_by"] == county.signer


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("words", ["12", "收到了吗", "谁啊", "打错了"])
async def test_an_unclear_reply_goes_to_the_inbox_and_stops_nothing(
    build: Build, words: str
) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    village.expects_sms().replies(words)
    await county.settle()

    (fact,) = await county.rows("SELECT state, text FROM inbound WHERE kind = 'answer'")
    assert (fact["state"], fact["text"]) == ("unmatched", words)
    assert len(await county.alarms("unmatched")) == 1
    assert await warning.state(village) == "calling"
    await county.advance(minutes=5)
    village.second.expects_sms("暴雨红色")


async def test_a_reply_from_a_number_that_nobody_knows_is_kept_for_a_human(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    for words in ("1", "这里水涨得很快"):
        county.sms.answer(mobile(999), words)
    await county.settle()

    facts = await county.rows("SELECT state, text FROM inbound ORDER BY id")
    assert [tuple(f) for f in facts] == [("unmatched", "1"), ("unmatched", "这里水涨得很快")]
    assert len(await county.alarms("unmatched")) == 1  # one thing to look at
    assert await warning.state(village) == "calling"


async def test_an_answer_by_link_token_closes_the_village(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    await warning.click(village.first, "1")
    await county.settle()

    assert await warning.state(village) == "answered"
    (row,) = await county.rows("SELECT channel, kind FROM answer")
    assert tuple(row) == ("link", "received")


async def test_two_people_who_share_a_phone_are_both_credited(build: Build) -> None:
    county = await build(villages=2, tiers=0)
    one, other = county.villages
    husband = await county.appoint(one, numbers=[mobile(88)])
    wife = await county.appoint(other, numbers=[mobile(88)])
    warning = await county.red_warning()

    husband.expects_sms("暴雨红色").replies("1")
    await county.settle()

    assert await warning.states() == {"answered": 2}
    assert (await warning.callout(wife))["state"] == "answered"


async def test_a_bare_reply_counts_for_the_newest_bulletin_that_still_waits(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    older = await county.red_warning()
    await county.advance(seconds=60)
    newer = await county.red_warning(texts={"zh": "山洪红色预警：请立即上山。"}, hazard="11A51")
    await county.advance(seconds=50)  # the older one has called him again meanwhile

    village.first.phone.sends("1")
    await county.settle()
    assert (await newer.state(village), await older.state(village)) == ("answered", "calling")

    village.first.phone.sends("1")
    await county.settle()
    assert (await newer.state(village), await older.state(village)) == ("answered", "answered")


async def test_a_person_who_answers_in_one_village_is_not_called_again_in_the_next_tier(
    build: Build,
) -> None:
    county = await build(villages=2, tiers=1)
    one, other = county.villages
    await county.also(one.first, other, tier=2)
    warning = await county.red_warning()

    one.expects_sms().replies("1")
    one.first.ignores_everything()
    await county.advance(minutes=30)

    one.first.expects_nothing()
    assert await warning.states() == {"answered": 2}


async def test_everybody_in_a_tier_may_answer_and_every_answer_is_kept(
    build: Build,
) -> None:
    county = await build(tiers=0)
    (village,) = county.villages
    people = [await county.appoint(village, tier=1) for _ in range(3)]
    warning = await county.red_warning()

    for person in people:
        person.expects_sms().replies("1")
    await county.settle()

    assert await warning.state(village) == "answered"
    assert [(await warning.callout(p))["state"] for p in people] == ["answered"] * 3


async def test_a_call_for_help_is_an_answer_and_a_task_that_stays(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    village.expects_sms().replies("4")
    await county.settle()

    assert await warning.state(village) == "answered"
    assert len(await county.alarms("help")) == 1
    assert [t["state"] for t in await county.tasks("help")] == ["open"]

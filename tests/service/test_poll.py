"""After our own outage the carrier is asked for what people sent meanwhile, and nothing is lost."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from channels.base import Fetched, InboundEvent
from tests.fakes.account import TEST_PHONE, with_carriers
from tests.fakes.county import County
from warnsvc.service.context import Context
from warnsvc.service.duty import Fenced, Leader, fenced
from warnsvc.service.poll import FIRST, OVERLAP, poll_carriers
from warnsvc.service.test_send import send_test
from warnsvc.store.carrier import Polled, load_polled, save_polled
from warnsvc.store.port import Row


@pytest.fixture
def ctx(county: County) -> Context:
    return with_carriers(county)


async def polled(county: County) -> dict[str, Row]:
    rows = await county.rows("SELECT * FROM inbound_poll ORDER BY carrier")
    return {row["carrier"]: row for row in rows}


def lose_the_mail(county: County) -> None:
    """Our door is closed: the carrier logs an error and nothing more is done."""
    for channel in county.carriers.values():
        channel.mail.clear()


async def test_an_answer_that_met_a_closed_door_is_fetched_and_credited(
    county: County, ctx: Context
) -> None:
    village = county.villages[0]
    warning = await county.red_warning()
    await poll_carriers(ctx)
    county.sms.answer(village.first.phone.address, "1")
    lose_the_mail(county)
    await county.advance(minutes=2)
    assert await warning.state(village) == "calling"

    await poll_carriers(ctx)
    await county.settle()

    assert await warning.state(village) == "answered"


async def test_a_key_that_was_pressed_while_we_were_away_counts_for_its_call(
    county: County, ctx: Context
) -> None:
    village = county.villages[0]
    warning = await county.red_warning()
    await county.advance(minutes=5)
    call = next(t for t in county.voice.taken if t.to == village.first.phone.address)
    county.voice.answer(call.to, "1", to=call)
    lose_the_mail(county)

    await poll_carriers(ctx)
    await county.settle()

    assert await warning.state(village) == "answered"


async def test_what_was_heard_by_callback_and_fetched_again_counts_once(
    county: County, ctx: Context
) -> None:
    village = county.villages[0]
    warning = await county.red_warning()
    county.sms.answer(village.first.phone.address, "1")
    await county.settle()

    for _ in range(3):
        await county.advance(minutes=1)
        await poll_carriers(ctx)
        await county.settle()

    answers = await county.rows("SELECT id FROM answer WHERE bulletin_id = $1", warning.id)
    assert len(answers) == 1
    assert len(await county.rows("SELECT id FROM inbound WHERE kind = 'answer'")) == 1


async def test_a_carrier_is_asked_once_a_minute(county: County, ctx: Context) -> None:
    asked: list[str] = []
    poll = county.sms.poll_inbound

    async def noted(since: object) -> Fetched | None:
        asked.append(str(since))
        return await poll(since)  # type: ignore[arg-type]

    county.sms.poll_inbound = noted  # type: ignore[method-assign, assignment]

    for _ in range(10):
        await poll_carriers(ctx)
        await county.advance(seconds=20)

    assert len(asked) == 4


async def test_the_first_question_goes_back_an_hour_and_later_ones_overlap(
    county: County, ctx: Context
) -> None:
    asked = []

    async def nothing(since: object) -> Fetched:
        asked.append(since)
        return Fetched()

    county.sms.poll_inbound = nothing  # type: ignore[method-assign, assignment]
    begun = county.clock.now()

    await poll_carriers(ctx)
    await county.advance(minutes=7)
    await poll_carriers(ctx)

    assert asked == [begun - FIRST, begun - OVERLAP]


async def test_a_carrier_that_does_not_answer_is_asked_from_the_same_instant(
    county: County, ctx: Context
) -> None:
    await poll_carriers(ctx)
    before = (await polled(county))["fake-sms"]["polled_until"]
    county.sms.answers_lookups = False
    await county.advance(hours=3)
    await poll_carriers(ctx)
    assert (await polled(county))["fake-sms"]["polled_until"] == before

    county.sms.answers_lookups = True
    await county.advance(minutes=1)
    await poll_carriers(ctx)

    assert (await polled(county))["fake-sms"]["polled_until"] == county.clock.now()


async def test_a_carrier_that_breaks_keeps_no_other_from_being_asked(
    county: County, ctx: Context
) -> None:
    async def broken(_: object) -> Fetched:
        raise RuntimeError("a mistake in the adapter")

    county.sms.poll_inbound = broken  # type: ignore[method-assign, assignment]

    await poll_carriers(ctx)

    assert set(await polled(county)) == {"fake-voice", "fake-webhook"}


async def test_a_carrier_that_tells_only_the_oldest_is_asked_on_from_there(
    county: County, ctx: Context
) -> None:
    begun = county.clock.now()
    events = [
        InboundEvent(
            sender=TEST_PHONE,
            text="1",
            dedupe_key=f"K{n}",
            happened_at=begun + timedelta(minutes=n),
        )
        for n in range(30)
    ]

    async def ten_at_a_time(since: datetime) -> Fetched:
        ten = [e for e in events if e.happened_at is not None and e.happened_at >= since][:10]
        return Fetched(events=ten, until=ten[-1].happened_at if len(ten) == 10 else None)

    county.sms.poll_inbound = ten_at_a_time  # type: ignore[method-assign, assignment]
    await county.advance(hours=1)

    for _ in range(6):
        await poll_carriers(ctx)
        await county.advance(minutes=1)

    kept = await county.rows("SELECT dedupe_key FROM inbound")
    assert len(kept) == len(events)
    last = (await polled(county))["fake-sms"]
    assert last["polled_until"] == last["changed_at"]  # it has caught up


async def test_replies_that_cannot_be_read_are_an_alarm_and_nothing_goes_past_them(
    county: County, ctx: Context
) -> None:
    answers: list[Fetched] = []

    async def told(since: datetime) -> Fetched:
        answers.append(Fetched(until=since + timedelta(seconds=10) if stuck else None))
        return answers[-1]

    county.sms.poll_inbound = told  # type: ignore[method-assign, assignment]
    stuck = False
    await poll_carriers(ctx)
    known = county.clock.now()

    stuck = True
    for _ in range(3):
        await county.advance(minutes=1)
        await poll_carriers(ctx)

    assert (await polled(county))["fake-sms"]["polled_until"] == known
    (alarm,) = await county.alarms("poll")
    assert (alarm["text"], alarm["ended_at"]) == ("fake-sms", None)

    stuck = False
    await county.advance(minutes=1)
    await poll_carriers(ctx)

    assert (await polled(county))["fake-sms"]["polled_until"] == county.clock.now()
    (alarm,) = await county.alarms("poll")
    assert alarm["ended_at"] == county.clock.now()


async def test_a_poll_that_comes_a_little_further_goes_on_from_there_without_an_alarm(
    county: County, ctx: Context
) -> None:
    asked: list[datetime] = []

    async def slow(since: datetime) -> Fetched:
        asked.append(since)
        return Fetched(until=since + timedelta(minutes=3))

    county.sms.poll_inbound = slow  # type: ignore[method-assign, assignment]

    for _ in range(3):
        await poll_carriers(ctx)
        await county.advance(minutes=1)

    steps = [later - earlier for earlier, later in pairwise(asked)]
    assert steps == [timedelta(minutes=1)] * 2  # three on, and two back for the overlap
    assert await county.alarms("poll") == []


async def test_what_is_known_already_costs_no_number_of_a_fact(
    county: County, ctx: Context
) -> None:
    for _ in range(3):
        county.sms.answer(TEST_PHONE, "1")
    await county.settle()

    await poll_carriers(ctx)
    await county.advance(minutes=1)
    county.sms.answer(TEST_PHONE, "2")
    await county.settle()

    ids = [row["id"] for row in await county.rows("SELECT id FROM inbound ORDER BY id")]
    assert ids == list(range(ids[0], ids[0] + 4))


async def test_a_key_pressed_in_a_test_is_fetched_for_the_test(
    county: County, ctx: Context
) -> None:
    await send_test(ctx, county.voice, address=TEST_PHONE, officer_id=county.duty)
    county.voice.answer(TEST_PHONE, "1", to=county.voice.taken[0])
    lose_the_mail(county)

    await poll_carriers(ctx)

    (row,) = await county.rows("SELECT answer FROM test_send")
    assert row["answer"] == "1"
    assert await county.rows("SELECT id FROM inbound") == []


async def test_no_unit_is_open_while_a_carrier_is_asked(county: County, ctx: Context) -> None:
    async def nosy(_: object) -> Fetched:
        async with county.store.unit() as unit:  # would wait for ever, or be refused
            await unit.fetch_one("SELECT 1 AS one")
        return Fetched()

    county.sms.poll_inbound = nosy  # type: ignore[method-assign, assignment]

    await poll_carriers(ctx)

    assert "fake-sms" in await polled(county)


async def test_a_carrier_that_keeps_nothing_is_not_asked(county: County) -> None:
    county.sms.capabilities = replace(county.sms.capabilities, can_poll=False)

    await poll_carriers(with_carriers(county))

    assert "fake-sms" not in await polled(county)


async def test_a_leader_that_was_replaced_writes_nothing(county: County, ctx: Context) -> None:
    fence = await Leader(ctx, owner="one").take("inbound")
    assert fence is not None
    await county.advance(seconds=10)
    await Leader(ctx, owner="other").take("inbound")

    with pytest.raises(Fenced):
        await poll_carriers(fenced(ctx, fence))

    assert await polled(county) == {}


async def test_a_leader_that_was_replaced_while_it_asked_keeps_what_it_was_told(
    county: County, ctx: Context
) -> None:
    """And asks the others: two slow carriers would else take the duty from each other's askers."""
    county.sms.answer(TEST_PHONE, "1")
    lose_the_mail(county)
    poll = county.sms.poll_inbound

    async def slowly(since: object) -> Fetched | None:
        await county.advance(seconds=10)
        await Leader(ctx, owner="other").take("inbound")
        return await poll(since)  # type: ignore[arg-type]

    county.sms.poll_inbound = slowly  # type: ignore[method-assign, assignment]
    fence = await Leader(ctx, owner="one").take("inbound")
    assert fence is not None

    await poll_carriers(fenced(ctx, fence), own=ctx)

    with pytest.raises(Fenced):
        async with fenced(ctx, fence).store.unit():
            pass
    assert [row["text"] for row in await county.rows("SELECT text FROM inbound")] == ["1"]
    assert set(await polled(county)) == set(county.ctx.fleet.channels)


async def test_who_asked_earlier_and_writes_later_takes_nothing_back(
    county: County, ctx: Context
) -> None:
    begun = county.clock.now()
    late = Polled(carrier="fake-sms", until=begun, asked_at=begun)
    newer = replace(late, until=begun + OVERLAP, asked_at=begun + OVERLAP)

    async with county.store.unit() as unit:
        await save_polled(unit, newer)
        await save_polled(unit, late)

        assert await load_polled(unit, ["fake-sms"]) == {"fake-sms": newer}

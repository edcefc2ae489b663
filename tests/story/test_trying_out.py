"""Somebody tries out a carrier, with sockets between: the real path, and no warning on the way."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from channels.base import ChannelKind
from tests.fakes.wired_county import WiredCounty, wired_county
from warnsvc.service.canary import tend_canaries
from warnsvc.service.poll import poll_carriers
from warnsvc.service.test_send import send_test
from warnsvc.settings import CarrierSettings
from warnsvc.store.port import Row, Store


@pytest.fixture
async def county(store: Store) -> AsyncIterator[WiredCounty]:
    async with wired_county(store, villages=2) as opened:
        yield opened


async def rows_of(county: WiredCounty) -> list[Row]:
    return await county.rows("SELECT * FROM test_send ORDER BY id")


async def test_an_officer_sends_a_test_to_his_phone_and_answers_it(county: WiredCounty) -> None:
    person = county.villages[0].first
    county.habit(person, "prompt")

    await send_test(
        county.ctx, county.channels["sms"], address=person.phone.address, officer_id=county.duty
    )
    await county.advance(minutes=2)

    (row,) = await rows_of(county)
    assert row["state"] == "delivered"
    assert row["answered_at"] is not None
    assert county.screen(person)[0] == row["text"]
    assert await county.alarms() == []
    assert await county.rows("SELECT id FROM answer") == []


async def test_a_test_call_is_heard_and_a_key_is_pressed(county: WiredCounty) -> None:
    person = county.villages[0].first
    county.habit(person, "calls_only")

    await send_test(
        county.ctx, county.channels["voice"], address=person.phone.address, officer_id=county.duty
    )
    await county.advance(minutes=2)

    (row,) = await rows_of(county)
    assert (row["state"], row["answer"]) == ("delivered", "1")
    assert await county.rows("SELECT id FROM inbound") == []


async def test_a_test_beside_a_warning_changes_nothing_about_it(county: WiredCounty) -> None:
    one, other = (village.first for village in county.villages)
    county.habit(one, "prompt")
    county.habit(other, "silent")
    warning = await county.red_warning()
    await send_test(
        county.ctx, county.channels["sms"], address=other.phone.address, officer_id=county.duty
    )

    await county.advance(minutes=4)

    assert await warning.states() == {"answered": 1, "calling": 1}
    (row,) = await rows_of(county)
    assert (row["state"], row["answered_at"]) == ("delivered", None)


async def test_replies_that_met_a_closed_door_are_fetched_from_the_carrier(
    county: WiredCounty,
) -> None:
    person = county.villages[0].first
    county.habit(person, "prompt")
    warning = await county.red_warning()
    county.by_name.clear()  # every callback meets 404 now
    await county.advance(minutes=2)
    assert await warning.state(county.villages[0]) == "calling"

    assert await poll_carriers(county.ctx) > 0
    await county.settle()

    assert await warning.state(county.villages[0]) == "answered"


async def test_a_canary_is_delivered_over_the_wire(county: WiredCounty) -> None:
    account = CarrierSettings(
        name="sim-sms",
        kind=ChannelKind.SMS,
        adapter="simulated-sms",
        canary_to="+8615400009999",
        canary_minutes=10,
    )
    settings = county.ctx.settings.model_copy(update={"carriers": (account,)})
    ctx = replace(county.ctx, settings=settings)

    for _ in range(3):
        assert await tend_canaries(ctx) == 1
        await county.advance(minutes=10)

    assert [row["state"] for row in await rows_of(county)] == ["delivered"] * 3
    assert await county.alarms() == []

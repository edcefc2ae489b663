"""A canary an hour: a dead carrier is found by day, and one alarm says so until it is back."""

import asyncio
from dataclasses import replace

import pytest

from channels.base import Obstacle, ReceiptWord, Unsendable, Words
from channels.errors import ErrorClass
from tests.fakes.account import TEST_PHONE, Canary, with_carriers
from tests.fakes.channel import Accept, Reject, Unknown
from tests.fakes.county import County
from tests.fakes.faulty_store import Died
from warnsvc.core.circuit import FAILURES_MAX
from warnsvc.service.canary import load_last_ok, tend_canaries
from warnsvc.service.context import Context
from warnsvc.service.duty import Fenced, Leader, fenced
from warnsvc.service.fleet import Fleet
from warnsvc.store.port import Row

DELIVERED = Accept(early=(ReceiptWord.DELIVERED,))


async def tend_for(county: County, ctx: Context, minutes: float) -> int:
    """Let the duty tick every half minute for so long; returns how many canaries went out."""
    sent = 0
    for _ in range(int(minutes * 2)):
        await county.advance(seconds=30)
        sent += await tend_canaries(ctx)
    return sent


async def canaries(county: County) -> list[Row]:
    return await county.rows("SELECT * FROM test_send WHERE purpose = 'canary' ORDER BY id")


@pytest.fixture
def hourly(county: County) -> Context:
    """The SMS carrier has a canary every hour, and delivers."""
    county.sms.always(DELIVERED)
    return with_carriers(county, sms=Canary())


async def test_a_canary_goes_out_once_a_turn(county: County, hourly: Context) -> None:
    assert await tend_canaries(hourly) == 1

    assert await tend_for(county, hourly, 59.5) == 0
    assert await tend_for(county, hourly, 0.5) == 1

    assert [taken.to for taken in county.sms.taken] == [TEST_PHONE, TEST_PHONE]
    assert {row["state"] for row in await canaries(county)} == {"delivered"}
    assert await county.alarms() == []


async def test_a_restart_neither_repeats_nor_forgets_a_turn(
    county: County, hourly: Context
) -> None:
    await tend_canaries(hourly)
    await county.advance(minutes=30)

    county.crash()
    assert await tend_canaries(hourly) == 0
    await county.advance(minutes=31)

    assert await tend_canaries(hourly) == 1


async def test_no_canary_without_a_number_or_a_schedule(county: County) -> None:
    ctx = with_carriers(county, sms=Canary(minutes=0))

    assert await tend_for(county, ctx, 5) == 0
    assert county.sms.tries == []


async def test_two_turns_without_a_receipt_are_one_alarm_that_ends_by_itself(
    county: County, hourly: Context
) -> None:
    await tend_canaries(hourly)
    county.sms.always(Accept())

    await tend_for(county, hourly, 120)
    assert await county.alarms("canary") == []
    await tend_for(county, hourly, 30)

    (alarm,) = await county.alarms("canary")
    assert (alarm["text"], alarm["ended_at"]) == ("fake-sms 7200", None)
    await tend_for(county, hourly, 120)
    assert len(await county.alarms("canary")) == 1
    county.sms.always(DELIVERED)
    await tend_for(county, hourly, 60)
    (alarm,) = await county.alarms("canary")
    assert alarm["ended_at"] is not None
    acts = await county.rows("SELECT act FROM ledger_line WHERE act LIKE 'alarm.%' ORDER BY id")
    assert [row["act"] for row in acts] == ["alarm.raised", "alarm.ended"]


async def test_a_carrier_without_receipts_has_done_its_part_when_it_took_it(
    county: County,
) -> None:
    county.sms.capabilities = replace(county.sms.capabilities, receipts=False)
    ctx = with_carriers(county, sms=Canary())

    await tend_for(county, ctx, 180)

    assert await county.alarms("canary") == []


@pytest.mark.parametrize(
    "error_class", [ErrorClass.NO_ANSWER, ErrorClass.BUSY, ErrorClass.VOICEMAIL]
)
async def test_a_call_that_rang_came_through(county: County, error_class: ErrorClass) -> None:
    ctx = with_carriers(county, voice=Canary(minutes=10))

    for _ in range(4):
        await tend_canaries(ctx)
        county.voice.receipt(county.voice.taken[-1], ReceiptWord.UNDELIVERED, error_class)
        await tend_for(county, ctx, 9.5)
        await county.advance(seconds=30)

    assert await county.alarms("canary") == []


async def test_our_own_outage_is_not_the_carriers_silence(county: County, hourly: Context) -> None:
    await tend_canaries(hourly)
    await county.advance(hours=5)
    county.sms.always(Accept())

    await tend_canaries(hourly)
    assert await county.alarms("canary") == []
    county.sms.receipt(county.sms.taken[-1], ReceiptWord.DELIVERED)
    await tend_for(county, hourly, 59)

    assert await county.alarms("canary") == []


async def test_a_receipt_that_comes_late_is_a_receipt(county: County, hourly: Context) -> None:
    county.sms.always(Accept())
    await tend_canaries(hourly)
    await tend_for(county, hourly, 70)
    assert len(await county.alarms("canary")) == 1

    county.sms.receipt(county.sms.taken[-1], ReceiptWord.DELIVERED)
    await county.settle()
    await tend_canaries(hourly)

    (alarm,) = await county.alarms("canary")
    assert alarm["ended_at"] is not None


async def test_while_the_circuit_is_open_the_canary_is_its_probe_and_no_second_alarm(
    county: County,
) -> None:
    ctx = with_carriers(county, sms=Canary(minutes=1))
    county.sms.always(Unknown())
    await tend_for(county, ctx, FAILURES_MAX)
    (circuit,) = await county.rows("SELECT state FROM circuit WHERE name = 'fake-sms'")
    assert circuit["state"] == "open"
    begun = len(await county.alarms("canary"))

    await tend_for(county, ctx, 30)
    assert len(await county.alarms("canary")) == begun
    assert len(await county.alarms("channel")) == 1
    county.sms.always(DELIVERED)
    await tend_for(county, ctx, 1)

    (circuit,) = await county.rows("SELECT state FROM circuit WHERE name = 'fake-sms'")
    assert circuit["state"] == "closed"
    assert [a for a in await county.alarms() if a["ended_at"] is None] == []


async def test_a_refused_account_opens_the_circuit_before_anybody_needs_it(
    county: County, hourly: Context
) -> None:
    county.sms.always(Reject(ErrorClass.CONFIG, "wrong secret"))

    await tend_canaries(hourly)

    assert len(await county.alarms("channel")) == 1

    await tend_for(county, hourly, 150)
    assert len(await county.alarms("channel")) == 1
    assert await county.alarms("canary") == []


async def test_a_probe_is_taken_before_it_is_sent_so_that_nobody_sends_a_second(
    county: County, hourly: Context
) -> None:
    county.sms.always(Reject(ErrorClass.CONFIG, "wrong secret"))
    await tend_canaries(hourly)
    await county.advance(seconds=30)
    seen: list[tuple[str, int]] = []

    async def look(_: object) -> None:
        (row,) = await county.rows("SELECT state FROM circuit WHERE name = 'fake-sms'")
        seen.append((row["state"], await tend_canaries(hourly)))

    county.sms.before_send = look
    await tend_canaries(hourly)

    assert seen == [("half_open", 0)]


async def test_what_the_carrier_cannot_send_is_a_canary_that_failed(
    county: County, hourly: Context
) -> None:
    def refuse(_: Words) -> Unsendable:
        return Unsendable(obstacle=Obstacle.NO_TEMPLATE)

    county.sms.check = refuse  # type: ignore[method-assign]

    await tend_for(county, hourly, 70)

    assert county.sms.tries == []
    assert [row["state"] for row in await canaries(county)] == ["failed", "failed"]
    assert len(await county.alarms("canary")) == 1


async def test_a_broken_adapter_keeps_no_other_canary_waiting(county: County) -> None:
    def break_(_: Words) -> Unsendable | None:
        raise RuntimeError("a mistake in the adapter")

    county.sms.check = break_  # type: ignore[method-assign]
    ctx = with_carriers(county, sms=Canary(), voice=Canary())

    assert await tend_canaries(ctx) == 1

    assert [taken.to for taken in county.voice.taken] == [TEST_PHONE]


async def test_a_carrier_that_lost_its_canary_loses_its_alarm(
    county: County, hourly: Context
) -> None:
    county.sms.always(Accept())
    await tend_for(county, hourly, 70)
    assert len(await county.alarms("canary")) == 1

    await tend_canaries(with_carriers(county))

    (alarm,) = await county.alarms("canary")
    assert alarm["ended_at"] is not None


async def test_a_carrier_that_did_not_come_up_is_silent_too(
    county: County, hourly: Context
) -> None:
    await tend_canaries(hourly)

    without = replace(hourly, fleet=Fleet({}))
    await tend_for(county, without, 121)

    assert len(await county.alarms("canary")) == 1


async def test_a_process_that_dies_while_it_sends_leaves_an_unknown_and_no_second_send(
    county: County, hourly: Context
) -> None:
    async def die(_: object) -> None:
        raise Died("killed")

    county.sms.before_send = die
    with pytest.raises(Died):
        await tend_canaries(hourly)
    county.sms.before_send = None

    await tend_for(county, hourly, 5)

    (row,) = await canaries(county)
    assert row["state"] == "unknown"
    assert county.sms.taken == []


async def test_a_leader_that_was_replaced_while_it_sent_still_writes_what_it_knows(
    county: County, hourly: Context
) -> None:
    async def lose_the_duty(_: object) -> None:
        await county.advance(seconds=10)
        await Leader(hourly, owner="other").take("canary")

    county.sms.before_send = lose_the_duty
    fence = await Leader(hourly, owner="one").take("canary")
    assert fence is not None

    await tend_canaries(fenced(hourly, fence), own=hourly)

    with pytest.raises(Fenced):
        async with fenced(hourly, fence).store.unit():
            pass
    (row,) = await canaries(county)
    assert row["state"] == "delivered"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_two_ticks_at_once_send_one_canary(county: County, hourly: Context) -> None:
    sent = await asyncio.gather(tend_canaries(hourly), tend_canaries(hourly))

    assert sum(sent) == 1


async def test_metrics_know_when_a_canary_last_came_through(
    county: County, hourly: Context
) -> None:
    begun = county.clock.now()
    await tend_canaries(hourly)
    county.sms.always(Accept())
    await tend_for(county, hourly, 90)

    async with county.store.view() as view:
        assert await load_last_ok(hourly, view) == {"fake-sms": begun}

"""Two processes on one PostgreSQL do the work of one, once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from channels.base import ReceiptWord
from tests.fakes.channel import Reject
from tests.fakes.county import County, context
from warnsvc.outbox import Outbox
from warnsvc.service.context import Context
from warnsvc.service.duty import Fence, fenced, hold
from warnsvc.service.inbound import apply_inbound
from warnsvc.service.sweep import reap, sequence_ledger, sweep
from warnsvc.store.attempt import claim
from warnsvc.store.open import open_store
from warnsvc.store.port import Store
from warnsvc.worker.engine import Engine
from warnsvc.worker.pulse import Pulse

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


@pytest.fixture
async def second_store(store_url: str) -> AsyncIterator[Store]:
    opened = await open_store(store_url)
    yield opened
    await opened.close()


async def test_two_outboxes_claim_disjoint_sets(store: Store, second_store: Store) -> None:
    county = await County.build(store, villages=40, tiers=1)
    await county.release(await county.signed())
    now = county.clock.now()

    async def claim_some(from_store: Store, owner: str) -> list[int]:
        taken: list[int] = []
        for _ in range(4):
            async with from_store.unit() as unit:
                claimed = await claim(
                    unit, owner=owner, now=now, lease_until=now, limit=7, channel="sms"
                )
                await asyncio.sleep(0)  # the other one looks while these are held
            taken += [attempt.id for attempt in claimed]
        return taken

    one, other = await asyncio.gather(claim_some(store, "one"), claim_some(second_store, "other"))

    assert len(one) + len(other) == 40
    assert not set(one) & set(other)


async def test_two_outboxes_send_everything_once(store: Store, second_store: Store) -> None:
    county = await County.build(store, villages=40, tiers=1)
    await county.release(await county.signed())
    other = _second(county, second_store)
    outbox = Outbox(other, county.channels, owner="other")

    await asyncio.gather(county.outbox.step(), outbox.step())
    await county.settle()

    copies = Counter(t.request.token for c in county.channels.values() for t in c.taken)
    assert len(copies) == 80
    assert set(copies.values()) == {1}
    states = await county.rows("SELECT state, COUNT(*) AS many FROM attempt GROUP BY state")
    assert [tuple(row) for row in states] == [("accepted", 80)]
    await county.finish()


async def test_a_worker_that_was_cut_off_with_a_bulletin_keeps_no_other_bulletin_waiting(
    store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warnsvc.store.postgresql_connection.LOCK_SECONDS", "0.01")
    impatient = await open_store(store_url)
    county = await County.build(store, villages=2, tiers=1)
    one, other = county.villages
    stuck = await county.red_warning(places=[one])
    healthy = await county.red_warning(places=[other])
    one.first.expects_sms().replies("1")
    await county.take_mail()
    county.clock.move(minutes=5)
    second = _second(county, impatient)
    engine = Engine(second, county.outbox, owner="other", pulse=Pulse())

    async with store.unit() as unit:
        await unit.lock_bulletins([stuck.id])
        for _ in range(3):
            await asyncio.create_task(engine.one_pass())
        assert (await healthy.escalation(other))["tier"] == 2
        assert await stuck.state(one) == "calling"
    await engine.one_pass()

    # No `county.finish()`: it reads the ledger by id, and each process has ids of its own.
    assert await stuck.state(one) == "answered"
    await impatient.close()


async def test_two_sweepers_at_once_open_a_tier_once(store: Store, second_store: Store) -> None:
    county = await County.build(store, villages=12, tiers=1)
    warning = await county.red_warning()
    other = _second(county, second_store)
    county.clock.move(minutes=5)

    await asyncio.gather(sweep(county.ctx), sweep(other), sweep(county.ctx), sweep(other))
    await county.settle()

    township = county.townships[0].first
    assert len(await warning.attempts(township)) == 2  # one text, one call
    township.expects_sms(*(village.name for village in county.villages))
    opened = Counter(
        row["escalation_id"]
        for row in await county.rows(
            "SELECT escalation_id FROM ledger_line WHERE act = 'escalation.tier_opened'"
        )
    )
    assert set(opened.values()) == {2}
    await county.finish()


async def test_two_sweepers_at_once_exhaust_with_one_alarm_and_one_task(
    store: Store, second_store: Store
) -> None:
    county = await County.build(store, villages=3, tiers=1, superiors=0)
    warning = await county.red_warning()
    other = _second(county, second_store)
    county.clock.move(minutes=5)

    await asyncio.gather(sweep(county.ctx), sweep(other))

    assert await warning.states() == {"exhausted": 3}
    assert len(await county.alarms("exhausted")) == 3
    assert len(await county.tasks("knock")) == 3
    await county.finish()


async def test_two_appliers_at_once_apply_every_fact_once(
    store: Store, second_store: Store
) -> None:
    county = await County.build(store, villages=30, tiers=1)
    warning = await county.red_warning()
    other = _second(county, second_store)
    for village in county.villages:
        text = village.expects_sms()
        text.arrives()
        text.replies("1")
        village.expects_call().is_cut_short()
    await county.take_mail()

    await asyncio.gather(*(apply_inbound(ctx) for ctx in (county.ctx, other) * 2))
    await county.settle()

    assert await warning.states() == {"answered": 30}
    assert len(await county.rows("SELECT id FROM answer")) == 30
    assert await county.rows("SELECT id FROM inbound WHERE state <> 'applied'") == []
    await county.finish()


async def test_recording_and_applying_at_once_do_not_hinder_each_other(
    store: Store, second_store: Store
) -> None:
    """Early receipts of the very sends that are being recorded, with failures among them."""
    county = await County.build(store, villages=60, tiers=1)
    await county.release(await county.signed())
    other = _second(county, second_store)
    outbox = Outbox(other, county.channels, owner="other")
    for village in county.villages[::5]:
        county.voice.script(Reject(), to=village.first.phone.address)
    await asyncio.gather(county.outbox.claim(), outbox.claim())
    for box in (county.outbox, outbox):
        await box.send()
    for channel in (county.sms, county.voice):
        for taken in channel.taken:
            channel.receipt(taken, ReceiptWord.SENT)
            channel.receipt(taken, ReceiptWord.DELIVERED)
    for village in county.villages[::7]:
        village.first.phone.sends("1")
    await county.take_mail()

    await asyncio.gather(
        county.outbox.record(),
        outbox.record(),
        apply_inbound(county.ctx),
        apply_inbound(other),
        apply_inbound(county.ctx),
    )
    await county.settle()

    rows = await county.rows(
        "SELECT channel, state, COUNT(*) AS n FROM attempt WHERE number = 1"
        " GROUP BY channel, state ORDER BY channel, state"
    )
    assert [tuple(row) for row in rows] == [
        ("sms", "delivered", 60),
        ("voice", "delivered", 48),
        ("voice", "failed", 12),
    ]
    assert await county.rows("SELECT id FROM inbound WHERE state <> 'applied'") == []
    await county.finish()


async def test_two_reapers_and_two_sequencers_do_it_once(store: Store, second_store: Store) -> None:
    county = await County.build(store, villages=20, tiers=1)
    await county.release(await county.signed())
    await county.outbox.claim()  # and then the process is gone
    county.crash()
    other = _second(county, second_store)
    county.clock.move(minutes=2)

    await asyncio.gather(reap(county.ctx), reap(other))
    await sequence_ledger(county.ctx)
    await asyncio.gather(sequence_ledger(county.ctx), sequence_ledger(other))

    states = await county.rows("SELECT state, COUNT(*) AS many FROM attempt GROUP BY state")
    assert [tuple(row) for row in states] == [("unknown", 40)]
    await county.finish()


async def test_a_duty_belongs_to_one_until_its_lease_ends(
    store: Store, second_store: Store
) -> None:
    county = await County.build(store)
    other = _second(county, second_store)

    taken = await asyncio.gather(
        hold(county.ctx, "reaper", owner="one", seconds=30),
        hold(other, "reaper", owner="other", seconds=30),
    )
    assert sorted(taken) == [False, True]
    holder, waiting = ("one", "other") if taken[0] else ("other", "one")
    county.clock.move(seconds=20)
    assert await hold(county.ctx, "reaper", owner=holder, seconds=30)
    assert not await hold(county.ctx, "reaper", owner=waiting, seconds=30)
    county.clock.move(seconds=31)
    assert await hold(county.ctx, "reaper", owner=waiting, seconds=30)

    (row,) = await county.rows("SELECT owner, fence FROM duty WHERE name = 'reaper'")
    assert tuple(row) == (waiting, 2)


async def test_a_second_leader_waits_for_what_the_first_is_writing(
    store: Store, second_store: Store
) -> None:
    """Else the first could commit after the second had begun."""
    county = await County.build(store)
    other = _second(county, second_store)
    number = await hold(county.ctx, "reaper", owner="one", seconds=4)
    first = fenced(county.ctx, Fence(name="reaper", number=number))
    county.clock.move(seconds=5)
    order: list[str] = []

    async def take() -> None:
        assert await hold(other, "reaper", owner="other", seconds=4) == 2
        order.append("second")

    async with first.store.unit():
        taking = asyncio.create_task(take())
        await _until_somebody_waits(second_store)
        order.append("first")
    await taking

    assert order == ["first", "second"]


async def _until_somebody_waits(store: Store) -> None:
    while True:
        async with store.view() as unit:
            (row,) = await unit.fetch("SELECT COUNT(*) AS n FROM pg_locks WHERE NOT granted")
        if row["n"]:
            return


def _second(county: County, store: Store) -> Context:
    return context(store, county.clock, county.channels)

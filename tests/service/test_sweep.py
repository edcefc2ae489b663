"""What is due is done, once, and one bulletin that cannot be swept keeps no other waiting."""

import pytest

from tests.fakes.county import County
from tests.fakes.faulty_store import FaultyStore
from warnsvc.service.sweep import reap, sweep, when_due
from warnsvc.store.port import Store, StoreFault


async def test_nothing_is_due_before_its_instant_and_nothing_twice(county: County) -> None:
    await county.red_warning()

    county.clock.move(seconds=99)
    assert await sweep(county.ctx) == 0
    county.clock.move(seconds=1)
    assert await sweep(county.ctx) == 2  # the second round of two people
    assert await sweep(county.ctx) == 0


async def test_it_says_when_it_has_something_to_do_next(county: County) -> None:
    assert await when_due(county.ctx) is None

    await county.red_warning()

    due_at = await when_due(county.ctx)
    assert due_at is not None
    assert (due_at - county.clock.now()).total_seconds() == 100


async def test_a_bulletin_that_cannot_be_swept_is_alarmed_and_the_others_go_on(
    county: County,
) -> None:
    one, other = county.villages
    broken = await county.red_warning(places=[one])
    healthy = await county.red_warning(places=[other])
    async with county.store.unit() as unit:
        await unit.execute(
            "UPDATE escalation SET tiers_json = '[[1]]' WHERE bulletin_id = $1", broken.id
        )
    county.clock.move(minutes=5)

    for _ in range(3):
        await sweep(county.ctx)

    assert (await healthy.escalation(other))["tier"] == 2
    (alarm,) = await county.alarms("poison")
    assert alarm["bulletin_id"] == broken.id


async def test_one_row_that_cannot_be_swept_keeps_no_other_village_of_its_bulletin_waiting(
    county: County,
) -> None:
    one, other = county.villages
    warning = await county.red_warning(places=[one, other])
    async with county.store.unit() as unit:
        await unit.execute(
            "UPDATE callout SET numbers_json = '[[1]]' WHERE id IN (SELECT m.callout_id FROM"
            " member m JOIN escalation e ON e.id = m.escalation_id WHERE e.region_code = $1)",
            one.code,
        )
    county.clock.move(minutes=5)

    for _ in range(3):
        await sweep(county.ctx)

    assert (await warning.escalation(other))["tier"] == 2
    assert (await warning.escalation(one))["tier"] == 1
    (alarm,) = await county.alarms("poison")
    assert alarm["bulletin_id"] == warning.id


async def test_a_fault_of_the_database_alarms_about_no_bulletin(store: Store) -> None:
    faulty = FaultyStore(store)
    county = await County.build(faulty)
    (village,) = county.villages
    warning = await county.red_warning()
    county.clock.move(minutes=5)
    faulty.fail_on("UPDATE escalation")

    with pytest.raises(StoreFault):
        await sweep(county.ctx)

    assert await county.alarms() == []
    await county.settle()
    assert (await warning.escalation(village))["tier"] == 2


async def test_the_reaper_names_the_sends_it_gives_up(county: County) -> None:
    await county.release(await county.signed())
    await county.outbox.claim()  # and then the worker is gone
    county.clock.move(seconds=61)

    assert await reap(county.ctx) == 4
    assert await reap(county.ctx) == 0

    rows = await county.rows("SELECT id FROM attempt WHERE state = 'unknown' ORDER BY id")
    assert len(rows) == 4
    (line,) = await county.rows("SELECT body FROM ledger_line WHERE act = 'attempt.leases_ended'")
    assert f'"attempts":{[r["id"] for r in rows]}'.replace(" ", "").encode() in bytes(line["body"])

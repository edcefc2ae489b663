"""A process dies, or is paused: another takes its work over within ten seconds, and only once."""

from datetime import timedelta
from functools import partial

import pytest
from structlog.typing import EventDict

from tests.fakes.county import County
from tests.fakes.faulty_store import FaultyStore
from tests.story.conftest import Build
from warnsvc.outbox import Outbox
from warnsvc.service.duty import LEASE_SECONDS, Fence, Fenced, Leader, fenced, hold
from warnsvc.service.sweep import reap, sequence_ledger
from warnsvc.service.worker import DEAD_SECONDS, Process
from warnsvc.store.port import Store, StoreFault
from warnsvc.worker.duty import do_duty
from warnsvc.worker.presence import Presence, is_counted_on
from warnsvc.worker.pulse import Pulse

WORKER = Process(owner="one:1:a", role="worker")
OTHER = Process(owner="two:1:b", role="worker")


async def claimed_and_gone(county: County, process: Process = WORKER) -> None:
    """A process claims everything that is due, and is killed before it has sent any of it."""
    await Presence(county.ctx, process, Pulse()).step()
    county.start(process.owner)
    await county.release(await county.signed())
    await county.outbox.claim()
    county.start(OTHER.owner)


async def states(county: County) -> dict[str, int]:
    rows = await county.rows("SELECT state, COUNT(*) AS n FROM attempt GROUP BY state")
    return {row["state"]: row["n"] for row in rows}


async def test_what_a_killed_process_had_claimed_is_sent_by_another(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    await claimed_and_gone(county)
    village.expects_nothing()

    county.clock.move(seconds=DEAD_SECONDS)
    assert await reap(county.ctx, owner=OTHER.owner) == 2
    await county.settle()

    village.expects_sms("暴雨红色").replies("1")
    await county.settle()
    assert len(county.sms.tries) == 1


async def test_nobody_is_taken_for_dead_before_his_time(build: Build) -> None:
    county = await build()
    await claimed_and_gone(county)

    county.clock.move(seconds=DEAD_SECONDS - 0.1)

    assert await reap(county.ctx, owner=OTHER.owner) == 0
    assert await states(county) == {"sending": 2}


async def test_a_reaper_that_is_itself_late_does_not_take_itself_for_dead(build: Build) -> None:
    county = await build()
    await claimed_and_gone(county)

    county.clock.move(seconds=30)

    assert await reap(county.ctx, owner=WORKER.owner) == 0


async def test_a_process_of_an_older_version_has_its_whole_lease(build: Build) -> None:
    """It writes no row, so nobody knows when it was last seen."""
    county = await build()
    await county.release(await county.signed())
    await county.outbox.claim()

    county.clock.move(seconds=59)
    assert await reap(county.ctx, owner=OTHER.owner) == 0
    county.clock.move(seconds=1)
    assert await reap(county.ctx, owner=OTHER.owner) == 2


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
async def test_whoever_opens_an_sqlite_file_takes_over_at_once(build: Build) -> None:
    """The file lock says that everybody else is gone; there is nothing to wait for."""
    county = await build()
    (village,) = county.villages
    await claimed_and_gone(county)

    await Presence(county.ctx, OTHER, Pulse()).step()

    assert await states(county) == {"unknown": 2}
    assert [row["owner"] for row in await county.rows("SELECT owner FROM worker")] == [OTHER.owner]
    await county.advance(seconds=3)
    village.expects_sms("暴雨红色")


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_whoever_comes_to_others_takes_nothing_from_them(build: Build) -> None:
    county = await build()
    await claimed_and_gone(county)

    await Presence(county.ctx, OTHER, Pulse()).step()

    assert await states(county) == {"sending": 2}
    county.clock.move(seconds=DEAD_SECONDS)
    await reap(county.ctx, owner=OTHER.owner)


async def test_a_process_that_ends_in_order_leaves_nothing_behind(build: Build) -> None:
    county = await build()
    presence = Presence(county.ctx, WORKER, Pulse())
    await presence.step()
    county.start(WORKER.owner)
    await county.release(await county.signed())
    await county.outbox.claim()

    await presence.say_goodbye()

    assert await states(county) == {"unknown": 2}
    assert await county.rows("SELECT owner FROM worker") == []
    county.start(OTHER.owner)


async def test_a_row_shows_who_is_there(build: Build) -> None:
    county = await build()
    pulse = Pulse()
    presence = Presence(county.ctx, WORKER, pulse)
    await presence.step()
    began_at = county.clock.now()
    pulse.passed_at = county.clock.move(seconds=1)

    await presence.step()

    (row,) = await county.rows("SELECT * FROM worker")
    assert (row["owner"], row["role"], row["version"]) == ("one:1:a", "worker", "0.1.0")
    assert row["started_at"] == began_at
    assert row["seen_at"] == row["passed_at"] == began_at + timedelta(seconds=1)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_process_that_was_paused_does_not_send_what_others_took(build: Build) -> None:
    """It wakes up with its queue full; the same texts have gone out from elsewhere."""
    county = await build()
    (village,) = county.villages
    pulse = Pulse()
    presence = Presence(county.ctx, WORKER, pulse)
    await presence.step()
    alive = partial(is_counted_on, county.ctx, pulse)
    paused = Outbox(county.ctx, county.channels, owner=WORKER.owner, alive=alive)
    await county.release(await county.signed())
    assert await paused.claim() == 2
    county.start(OTHER.owner)
    county.clock.move(seconds=30)
    await reap(county.ctx, owner=OTHER.owner)
    await county.settle()
    assert len(county.sms.tries) == 1

    await presence.step()  # its beat comes first, and then it sends
    await paused.send()
    await paused.record()

    assert len(county.sms.tries) == 1
    assert paused.in_flight == 0
    village.expects_sms().replies("1")
    await county.settle()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_what_a_process_claims_before_its_first_beat_is_sent(build: Build) -> None:
    """Both begin at the same time; nobody knows the process yet, so nobody takes anything."""
    county = await build()
    (village,) = county.villages
    pulse = Pulse()
    alive = partial(is_counted_on, county.ctx, pulse)
    started = Outbox(county.ctx, county.channels, owner=WORKER.owner, alive=alive)
    await county.release(await county.signed())

    assert await started.claim() == 2
    county.clock.move(seconds=0.1)
    await Presence(county.ctx, WORKER, pulse).step()
    await started.send()
    await started.record()

    village.expects_sms("暴雨红色").replies("1")
    assert "sending" not in await states(county)
    await county.settle()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_process_that_was_paused_gives_back_what_nobody_took(build: Build) -> None:
    county = await build()
    pulse = Pulse()
    presence = Presence(county.ctx, WORKER, pulse)
    await presence.step()
    alive = partial(is_counted_on, county.ctx, pulse)
    paused = Outbox(county.ctx, county.channels, owner=WORKER.owner, alive=alive)
    await county.release(await county.signed())
    await paused.claim()
    county.clock.move(seconds=30)

    await presence.step()
    await paused.send()

    assert county.sms.tries == []
    assert await states(county) == {"unknown": 2}
    await county.advance(seconds=3)
    assert len(county.sms.tries) == 1
    await paused.claim()
    await paused.send()  # what it claims from now on it may send
    await paused.record()


async def test_an_outage_of_the_database_is_told_afterwards(
    build: Build, logs: list[EventDict]
) -> None:
    county = await build()
    presence = Presence(county.ctx, WORKER, Pulse(away_since=county.clock.now()))
    county.clock.move(seconds=42)

    await presence.step()

    (alarm,) = await county.alarms("database")
    assert alarm["text"] == "one 42"
    assert alarm["ended_at"] - alarm["raised_at"] == timedelta(seconds=42)
    assert {"event": "presence.database_back", "log_level": "warning", "seconds": 42.0} in logs


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_what_could_not_be_given_back_at_once_is_given_back_later(store: Store) -> None:
    """The database is away again, just after the beat that came too late."""
    faulty = FaultyStore(store)
    county = await County.build(faulty)
    presence = Presence(county.ctx, WORKER, Pulse())
    await presence.step()
    county.start(WORKER.owner)
    await county.release(await county.signed())
    await county.outbox.claim()
    county.clock.move(seconds=30)
    faulty.fail_on("UPDATE attempt")
    with pytest.raises(StoreFault):
        await presence.step()
    assert await states(county) == {"sending": 2}

    await presence.step()

    assert await states(county) == {"unknown": 2}


# Duties --------------------------------------------------------------------------------------


async def test_a_leader_that_was_paused_past_its_lease_cannot_commit(build: Build) -> None:
    county = await build()
    await county.red_warning()
    stale = await Leader(county.ctx, owner="one").take("ledger")
    assert stale is not None
    county.clock.move(seconds=LEASE_SECONDS)
    assert await Leader(county.ctx, owner="two").take("ledger") is not None

    with pytest.raises(Fenced):
        await sequence_ledger(fenced(county.ctx, stale))

    assert await county.rows("SELECT seq FROM ledger_leaf") == []


async def test_a_leader_whose_duty_nobody_took_may_go_on(build: Build) -> None:
    county = await build()
    await county.red_warning()
    fence = await Leader(county.ctx, owner="one").take("ledger")
    assert fence is not None
    county.clock.move(seconds=60)

    assert await sequence_ledger(fenced(county.ctx, fence)) > 0


async def test_a_leader_renews_its_lease_before_it_is_over(build: Build) -> None:
    county = await build()
    leader, rival = (Leader(county.ctx, owner=owner) for owner in ("one", "two"))

    for _ in range(20):
        assert await leader.take("reaper") == Fence(name="reaper", number=1)
        assert await rival.take("reaper") is None
        county.clock.move(seconds=LEASE_SECONDS / 2 - 0.1)


async def test_a_duty_of_a_leader_that_was_killed_is_taken_within_four_seconds(
    build: Build,
) -> None:
    county = await build()
    assert await Leader(county.ctx, owner="one").take("reaper")
    rival = Leader(county.ctx, owner="two")

    county.clock.move(seconds=4)

    assert await rival.take("reaper") == Fence(name="reaper", number=2)


async def test_a_duty_that_is_fenced_is_logged_and_left(
    build: Build, logs: list[EventDict]
) -> None:
    county = await build()
    leader = Leader(county.ctx, owner="one")
    assert await leader.take("reaper")

    async def paused(ctx: object) -> int:
        county.clock.move(seconds=30)
        assert await hold(county.ctx, "reaper", owner="two", seconds=4)
        return await reap(ctx)  # type: ignore[arg-type]

    await do_duty(county.ctx, leader, "reaper", paused)

    assert [log["event"] for log in logs if log["event"].startswith("duty.")] == ["duty.fenced"]

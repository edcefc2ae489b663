"""The process dies, at any moment: nothing is lost, nothing is done twice but what nobody can know.

Deadlines are stored instants (law 5) and intents are rows before they are acts (law 3), so a new
engine and a new outbox on the same database carry on. Here the old ones are thrown away, in the
middle of whatever they were doing, without a goodbye.
"""

from collections import Counter
from datetime import timedelta

import pytest

from tests.fakes.channel import Raise
from tests.fakes.county import County, Issued, Place
from tests.fakes.faulty_store import Died, FaultyStore
from tests.story.conftest import Build
from warnsvc.store.port import Store


async def test_a_window_that_closed_while_nobody_was_there_is_acted_on_at_once(
    build: Build,
) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    county.clock.move(minutes=7)  # two minutes late
    county.crash()
    await county.settle()

    village.second.expects_sms("暴雨红色")
    opened = [act for act in await warning.acts(village) if act == "escalation.tier_opened"]
    assert len(opened) == 2
    county.crash()
    await county.settle()
    village.second.expects_call("暴雨红色")
    village.second.expects_nothing()


async def test_a_send_whose_worker_died_after_it_is_looked_up_and_not_repeated(
    build: Build,
) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.script(Raise(Died(), taken=True))
    warning = await county.release(await county.signed())

    with pytest.raises(Died):
        await county.settle()
    county.crash()
    await county.advance(seconds=59)
    assert [a["state"] for a in await warning.attempts(village.first, channel="sms")] == ["sending"]
    await county.advance(seconds=1)

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["send_count"]) == ("accepted", 1)
    assert len(village.first.phone.texts()) == 1
    assert "attempt.unknown_settled" in await warning.acts()


async def test_a_send_whose_worker_died_before_it_is_sent_by_the_next_one(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.script(Raise(Died(), taken=False))
    warning = await county.release(await county.signed())

    with pytest.raises(Died):
        await county.settle()
    county.crash()
    await county.advance(seconds=60)

    village.expects_sms("暴雨红色").replies("1")
    await county.settle()
    assert await warning.state(village) == "answered"


async def test_a_worker_that_comes_back_after_its_lease_has_nothing_to_say(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.release(await county.signed())
    slow = county.outbox

    async def paused(_: object) -> None:
        county.sms.before_send = None
        county.crash()  # another worker takes over while this one stands still
        await county.advance(seconds=61)

    county.sms.before_send = paused
    await slow.step()
    await county.settle()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["state"] == "accepted"
    assert len(village.first.phone.texts()) == 2  # the one case in which nobody could know


UNITS_MAX = 24
"""Units that write in the story below; there must be a village for each death."""


async def test_dying_in_any_unit_of_work_loses_nothing_and_doubles_nothing(store: Store) -> None:
    """Before the commit of a unit and after it: the odd units on SQLite, even ones on PostgreSQL."""
    faulty = FaultyStore(store)
    first, stride = (1, 2) if store.dialect == "sqlite" else (2, 4)
    townships = 1 + 2 * len(range(first, UNITS_MAX, stride))
    county = await County.build(faulty, townships=townships, villages=1, tiers=1)
    villages = iter(county.villages)
    units = await _live_and_die(county, faulty, next(villages), at=0, committed=False)
    assert 12 < units <= UNITS_MAX

    for at in range(first, units + 1, stride):
        for committed in (False, True):
            await _live_and_die(county, faulty, next(villages), at=at, committed=committed)

    await county.check()


async def _live_and_die(
    county: County, faulty: FaultyStore, village: Place, *, at: int, committed: bool
) -> int:
    """A silent village, a receipt, its township's answer, and a death. Returns how many units."""
    assert village.parent is not None
    warning = await county.release(await county.signed(places=[village]))
    start, before = county.clock.now(), faulty.units
    county.crashes = 0
    if at:
        faulty.die_in(at, committed=committed)

    await county.surviving(lambda: county.advance_to(start + timedelta(seconds=90)))
    village.expects_sms().arrives()
    await county.surviving(lambda: county.advance_to(start + timedelta(seconds=390)))
    village.parent.expects_sms(village.name).replies("1")
    await county.surviving(lambda: county.advance_to(start + timedelta(seconds=700)))

    assert county.crashes == bool(at)
    await _is_as_if_nothing_had_happened(warning, village)
    return faulty.units - before


async def _is_as_if_nothing_had_happened(warning: Issued, village: Place) -> None:
    assert village.parent is not None
    county = warning.county
    assert await warning.state(village) == "answered"
    assert [a for a in await warning.acts(village) if a.startswith("escalation.")] == [
        "escalation.tier_opened",
        "escalation.tier_opened",
        "escalation.answered",
    ]
    assert len(await county.rows("SELECT id FROM answer WHERE bulletin_id = $1", warning.id)) == 1
    for person, channel, times in (
        (village.first, "sms", 1),
        (village.first, "voice", 3),
        (village.parent.first, "sms", 1),
        (village.parent.first, "voice", 1),
    ):
        attempts = await warning.attempts(person, channel=channel)
        assert [a["number"] for a in attempts] == list(range(1, times + 1))
        assert {a["state"] for a in attempts} <= {"accepted", "delivered"}
        copies = Counter(person.phone.texts(channel))
        assert times <= copies.total() <= times + county.crashes

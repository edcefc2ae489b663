"""Pace, circuits and politeness: a carrier is kept busy, never flooded, and left alone when down."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from channels.base import PaceLimit, PerCalleeLimit
from channels.errors import ErrorClass
from tests.fakes.channel import FakeChannel, Reject, Throttle, Unknown
from tests.fakes.county import County
from tests.story.conftest import Build
from warnsvc.core.bulletin import Colour
from warnsvc.core.circuit import FAILURES_MAX
from warnsvc.core.pace import AHEAD_SECONDS
from warnsvc.outbox import Outbox
from warnsvc.store.port import Store


def slow_down(channel: FakeChannel, per_second: float, **more: object) -> None:
    channel.capabilities = replace(channel.capabilities, per_second=per_second, **more)  # type: ignore[arg-type]


def seconds_of(county: County, channel: FakeChannel) -> list[float]:
    """When each try began, in seconds since the first."""
    first = min(taken.at for taken in channel.taken)
    return sorted((taken.at - first).total_seconds() for taken in channel.taken)


async def test_a_carrier_gets_no_more_than_its_pace_and_all_of_it(store: Store) -> None:
    county = await County.build(store, villages=30, tiers=1)
    slow_down(county.sms, 2.0)
    await county.red_warning()

    await county.advance(seconds=20)

    begun = seconds_of(county, county.sms)
    assert len(begun) == 30
    for second in range(20):
        assert len([s for s in begun if second <= s < second + 1]) <= 2 * (1 + AHEAD_SECONDS)
    assert begun[-1] <= 15.0
    await county.finish()


async def test_two_workers_share_one_pace(store: Store) -> None:
    county = await County.build(store, villages=30, tiers=1)
    slow_down(county.sms, 2.0)
    other = Outbox(county.ctx, county.channels, owner="other")
    await county.release(await county.signed())
    for _ in range(40):
        await county.outbox.step()
        await other.step()
        county.clock.move(seconds=0.25)

    begun = seconds_of(county, county.sms)

    assert 20 <= len(begun) <= 22
    await county.finish()


async def test_channels_of_one_sender_share_its_pace(store: Store) -> None:
    county = await County.build(store, villages=20, tiers=1)
    shared = (PaceLimit(name="sender:10690000", per_second=1.0),)
    slow_down(county.sms, 100.0, paces=shared)
    slow_down(county.voice, 100.0, paces=shared)
    await county.red_warning()

    await county.advance(seconds=10)

    assert len(county.sms.taken) + len(county.voice.taken) <= 12
    await county.finish()


async def test_live_red_goes_before_a_yellow_that_waits(store: Store) -> None:
    county = await County.build(store, villages=10, tiers=1)
    slow_down(county.sms, 1.0)
    yellow = await county.red_warning(colour=Colour.YELLOW)
    red = await county.red_warning()

    await county.advance(seconds=13)

    reds = [a["sent_at"] for a in await red.attempts(channel="sms") if a["sent_at"]]
    before = [
        a for a in await yellow.attempts(channel="sms") if a["sent_at"] and a["sent_at"] < max(reds)
    ]
    assert len(reds) == 10
    assert len(before) <= 1  # it had begun when the red one came
    await county.finish()


async def test_too_fast_slows_everybody_down_and_loses_nothing(store: Store) -> None:
    county = await County.build(store, villages=12, tiers=1)
    slow_down(county.sms, 4.0)
    county.sms.script(Throttle(5.0))
    warning = await county.red_warning()

    (pace,) = await county.rows("SELECT * FROM pace WHERE name = 'carrier:fake-sms'")
    assert pace["factor"] == 0.5
    tries = len(county.sms.tries)
    await county.advance(seconds=4)
    assert len(county.sms.tries) == tries  # the pause it asked for

    await county.advance(seconds=20)
    states = {a["state"] for a in await warning.attempts(channel="sms")}
    assert states == {"accepted"}
    await county.finish()


async def test_a_carrier_that_is_down_is_left_alone_and_the_other_goes_on(store: Store) -> None:
    county = await County.build(store, villages=40, tiers=1)
    county.sms.always(Throttle(1.0, error_class=ErrorClass.DOWN))
    slow_down(county.sms, 8.0)
    warning = await county.red_warning()

    await county.advance(seconds=60)

    assert len(county.voice.taken) >= 40
    assert len(county.sms.tries) < FAILURES_MAX + 12  # of 40 that were tried again each second
    (alarm,) = await county.alarms("channel")
    assert (alarm["text"], alarm["ended_at"]) == ("fake-sms", None)
    county.sms.always(None)
    await county.advance(seconds=60)
    assert {a["state"] for a in await warning.attempts(channel="sms")} == {"accepted"}
    (alarm,) = await county.alarms("channel")
    assert alarm["ended_at"] is not None
    lines = await county.rows("SELECT act FROM ledger_line WHERE act = 'circuit.changed'")
    assert len(lines) >= 2
    await county.finish()


async def test_a_lost_answer_now_and_then_opens_nothing(store: Store) -> None:
    county = await County.build(store, villages=10, tiers=1)
    for village in county.villages[::3]:
        county.sms.script(Unknown(taken=True), to=village.first.phone.address)

    await county.red_warning()

    assert await county.alarms("channel") == []
    await county.finish()


async def test_a_refused_account_stops_the_channel_and_keeps_what_waits(build: Build) -> None:
    """A rotated secret must not cost every text of a warning."""
    county = await build(villages=6)
    county.sms.always(Reject(ErrorClass.CONFIG, "401"))
    warning = await county.red_warning()

    assert len(county.sms.tries) <= 6
    assert {a["state"] for a in await warning.attempts(channel="sms")} == {"planned"}
    assert len(await county.alarms("channel")) == 1

    county.sms.always(None)
    await county.advance(seconds=30)
    assert {a["state"] for a in await warning.attempts(channel="sms", number=1)} == {"accepted"}


async def test_one_that_always_meets_a_refused_account_ends_and_frees_the_others(
    build: Build,
) -> None:
    county = await build(villages=3)
    poison = county.villages[0].first
    for _ in range(5):
        county.sms.script(Reject(ErrorClass.CONFIG, "sender"), to=poison.phone.address)
    warning = await county.red_warning()

    await county.advance(minutes=2)

    states = {
        v.first.id: (await warning.attempts(v.first, channel="sms"))[0]["state"]
        for v in county.villages
    }
    assert states.pop(poison.id) == "failed"
    assert set(states.values()) == {"accepted"}


async def test_courtesy_to_a_callee_waits_and_a_red_warning_does_not(store: Store) -> None:
    county = await County.build(store, villages=1, tiers=1)
    once_an_hour = (PerCalleeLimit(count=1, seconds=3600),)
    slow_down(county.voice, 100.0, per_callee=once_an_hour)
    county.start()
    (village,) = county.villages

    await county.red_warning(colour=Colour.BLUE)
    await county.red_warning(colour=Colour.BLUE)
    await county.advance(minutes=1)
    calm = len(village.first.phone.texts("voice"))
    red = await county.red_warning()

    urgent = [a for a in await red.attempts(village.first, channel="voice") if a["sent_at"]]
    assert calm <= 1
    assert len(urgent) == 1
    await county.finish()


async def test_a_hard_limit_of_the_carrier_holds_for_red_too(store: Store) -> None:
    county = await County.build(store, villages=1, tiers=1)
    hard = (PerCalleeLimit(count=1, seconds=600, hard=True),)
    slow_down(county.voice, 100.0, per_callee=hard)
    county.start()
    (village,) = county.villages

    await county.red_warning()
    await county.advance(minutes=9)

    begun = [t.at for t in county.voice.taken if t.to == village.first.phone.address]
    assert all(b - a >= timedelta(seconds=600) for a, b in pairwise(begun))
    await county.finish()


async def test_a_probe_that_could_not_be_sent_is_not_waited_for(store: Store) -> None:
    """Its carrier asked for a pause: the circuit stays open until the pause is over, not longer."""
    county = await County.build(store, villages=8, tiers=1)
    county.sms.always(Throttle(1.0, error_class=ErrorClass.DOWN))
    await county.red_warning()
    (opened,) = await county.rows("SELECT probe_at FROM circuit WHERE state = 'open'")
    pause = opened["probe_at"] + timedelta(seconds=5)
    async with store.unit() as unit:
        await unit.execute("UPDATE pace SET next_at = $1 WHERE name = 'carrier:fake-sms'", pause)
    tries = len(county.sms.tries)
    await county.move_to(opened["probe_at"])

    await county.outbox.step()

    (waiting,) = await county.rows("SELECT state FROM circuit WHERE name = 'fake-sms'")
    assert (waiting["state"], len(county.sms.tries)) == ("open", tries)
    county.sms.always(None)
    await county.move_to(pause)
    await county.outbox.step()
    assert len(county.sms.tries) == tries + 1
    (closed,) = await county.rows("SELECT state FROM circuit WHERE name = 'fake-sms'")
    assert closed["state"] == "closed"
    await county.finish()


async def test_what_a_carrier_says_is_kept_without_the_numbers_in_it(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    number = village.first.phone.address
    county.sms.script(Reject(ErrorClass.CONFIG, f"sender may not write to {number}"))

    await county.red_warning()

    (circuit,) = await county.rows("SELECT last_error FROM circuit WHERE name = 'fake-sms'")
    lines = await county.rows("SELECT body FROM ledger_line WHERE act = 'circuit.changed'")
    assert "sender may not write to" in circuit["last_error"]
    assert number not in circuit["last_error"]
    assert lines
    assert all(number.encode() not in bytes(line["body"]) for line in lines)


async def test_a_carrier_whose_pace_cannot_be_reckoned_with_stops_no_other(build: Build) -> None:
    county = await build(villages=2, tiers=1)
    slow_down(county.voice, 0.0)

    await county.red_warning()

    assert len(county.sms.taken) == 2
    slow_down(county.voice, 10.0)
    await county.advance(seconds=5)
    assert len(county.voice.taken) == 2


async def test_a_limit_that_outlasts_the_window_is_no_window_to_wait_for(build: Build) -> None:
    """The carrier would refuse the call for an hour: the next tier is called now."""
    county = await build()
    (village,) = county.villages
    once = PerCalleeLimit(count=1, seconds=3_600, hard=True)
    county.voice.capabilities = replace(county.voice.capabilities, per_callee=(once,))
    county.sms.capabilities = replace(county.sms.capabilities, per_callee=(once,))
    await county.drill()
    village.first.ignores_everything()

    warning = await county.red_warning()

    calls = await warning.attempts(village.first)
    assert {(call["state"], call["error_class"]) for call in calls} == {("failed", "throttled")}
    assert [t.to for t in county.voice.taken[-1:]] == [village.second.phone.address]

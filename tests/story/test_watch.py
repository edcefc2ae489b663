"""The watchdog: nothing that is due may be older than its bound, and whoever looks must see it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from structlog.typing import EventDict

from tests.fakes.channel import Unknown
from tests.fakes.county import County
from tests.story.conftest import Build
from warnsvc.clock import ClockTrouble, SystemClock
from warnsvc.core.ledger import Line
from warnsvc.service.sweep import sequence_ledger
from warnsvc.service.watch import BOUNDS, audit
from warnsvc.service.worker import Process
from warnsvc.store.inbound import Inbound, insert_inbound
from warnsvc.store.ledger import append_lines
from warnsvc.web.health import SPOOL_WAITING, what_is_late
from warnsvc.worker.presence import Presence
from warnsvc.worker.pulse import Pulse
from warnsvc.worker.watchdog import Watchdog


class Watch:
    """A watchdog over a county, beside a worker that lives."""

    def __init__(self, county: County, *, owner: str = "worker:1") -> None:
        self.county = county
        self.pulse = Pulse()
        self.dog = Watchdog(county.ctx, self.pulse, owner=owner)
        self.presence = Presence(county.ctx, Process(owner=owner, role="all"), self.pulse)

    async def looks_twice(self) -> list[str]:
        """Return what is late when it has looked once and again."""
        for _ in range(2):
            await self.presence.step()
            await sequence_ledger(self.county.ctx)
            await self.dog.look()
        return [finding.what for finding in self.pulse.findings]


async def watched(build: Build, **options: object) -> tuple[County, Watch]:
    county = await build(**options)
    return county, Watch(county)


async def nothing_moves(county: County, what: str) -> None:
    """The service stands still, and what is due becomes older than its bound."""
    county.clock.move(seconds=BOUNDS[what] + 0.1)


async def a_window_closes(county: County) -> None:
    await county.red_warning()
    county.clock.move(minutes=5)


async def a_round_is_due(county: County) -> None:
    await county.red_warning()
    county.clock.move(seconds=100)


async def a_send_is_claimed(county: County) -> None:
    county.start("a process of an older version")
    await county.release(await county.signed())
    await county.outbox.claim()
    county.start()
    county.clock.move(seconds=60)


async def a_send_is_unknown(county: County) -> None:
    county.sms.script(Unknown(taken=True))
    await county.red_warning()
    county.clock.move(seconds=10)


async def an_answer_comes(county: County) -> None:
    await county.red_warning()
    fact = Inbound(
        kind="answer", carrier="sms", channel="sms", dedupe_key="a", received_at=county.clock.now()
    )
    async with county.store.unit() as unit:
        await insert_inbound(unit, [fact])


async def a_warning_runs_out(county: County) -> None:
    await county.red_warning(hours=1)
    county.clock.move(hours=1)


async def a_warning_is_released(county: County) -> None:
    await county.release(await county.signed())


@pytest.mark.parametrize(
    ("what", "happens"),
    [
        ("bulletin", a_warning_runs_out),
        ("escalation", a_window_closes),
        ("callout", a_round_is_due),
        ("inbound", an_answer_comes),
        ("lease", a_send_is_claimed),
        ("unknown", a_send_is_unknown),
        ("attempt", a_warning_is_released),
    ],
)
async def test_what_nobody_does_is_found(
    build: Build, what: str, happens: Callable[[County], Awaitable[None]]
) -> None:
    county, watch = await watched(build)
    await watch.presence.step()
    await happens(county)
    assert what not in await watch.looks_twice()

    await nothing_moves(county, what)
    assert what in await watch.looks_twice()

    await county.settle()
    assert await watch.looks_twice() == []
    (alarm,) = await county.alarms("late")
    assert what in alarm["text"].split()
    assert alarm["ended_at"] is not None


async def test_a_line_that_nobody_sequences_is_found(build: Build) -> None:
    county, watch = await watched(build)
    async with county.store.unit() as unit:
        await append_lines(unit, [Line(act="bulletin.released")], now=county.clock.now())
    county.clock.move(seconds=10.1)
    await watch.presence.step()

    assert [finding.what for finding in await audit(county.ctx)] == ["ledger"]
    await sequence_ledger(county.ctx)
    assert await audit(county.ctx) == []


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_without_a_live_engine_something_is_late_before_anything_is_due(
    build: Build,
) -> None:
    """Only pages are left. Nothing is due, and nobody would do it if it were."""
    county = await build()
    worker = Presence(county.ctx, Process(owner="a", role="worker"), Pulse())
    await worker.step()
    page = Presence(county.ctx, Process(owner="b", role="web"), Pulse())
    county.clock.move(seconds=9)
    await page.step()
    assert await audit(county.ctx) == []

    county.clock.move(seconds=1)
    await page.step()

    (finding,) = await audit(county.ctx)
    assert (finding.what, finding.seconds) == ("worker", 10.0)


async def test_what_waits_for_its_carriers_pace_is_not_late(build: Build) -> None:
    county, watch = await watched(build)
    await county.release(await county.signed())
    county.clock.move(seconds=60)
    async with county.store.unit() as unit:
        for name in ("carrier:sms", "carrier:voice"):
            await unit.execute(
                "INSERT INTO pace (name, next_at, factor) VALUES ($1, $2, 1.0)",
                name,
                county.clock.now() - timedelta(seconds=4),
            )

    assert await watch.looks_twice() == []

    county.clock.move(seconds=1)  # and now nobody has claimed anything for five seconds
    assert await watch.looks_twice() == ["attempt"]
    async with county.store.unit() as unit:
        await unit.execute("DELETE FROM pace")


async def test_what_waits_for_a_carrier_that_is_down_is_the_carriers_alarm(build: Build) -> None:
    county, watch = await watched(build)
    await county.release(await county.signed())
    county.clock.move(seconds=60)
    now = county.clock.now()
    async with county.store.unit() as unit:
        await unit.execute(
            "INSERT INTO circuit (name, state, failures, openings, last_error, probe_at,"
            " changed_at) VALUES ('sms', 'open', 5, 1, '', $1, $1)",
            now,
        )

    assert await watch.looks_twice() == []
    async with county.store.unit() as unit:
        await unit.execute("DELETE FROM circuit")


async def test_one_alarm_names_everything_that_is_late(build: Build, logs: list[EventDict]) -> None:
    county, watch = await watched(build)
    await a_window_closes(county)
    await nothing_moves(county, "escalation")

    for _ in range(5):
        await watch.looks_twice()
    await an_old_answer(county)
    await watch.looks_twice()

    (alarm,) = await county.alarms("late")
    assert set(alarm["text"].split()) >= {"escalation", "callout", "inbound"}
    assert alarm["ended_at"] is None
    events = [log["event"] for log in logs]
    assert events.count("watchdog.late") == len(alarm["text"].split())


async def an_old_answer(county: County) -> None:
    received_at = county.clock.now() - timedelta(hours=1)
    fact = Inbound(
        kind="answer", carrier="sms", channel="sms", dedupe_key="a", received_at=received_at
    )
    async with county.store.unit() as unit:
        await insert_inbound(unit, [fact])


async def test_what_is_seen_once_may_be_on_its_way(build: Build) -> None:
    county, watch = await watched(build)
    await a_window_closes(county)
    await nothing_moves(county, "escalation")
    await watch.presence.step()
    await sequence_ledger(county.ctx)

    assert await watch.dog.look() == ()
    await county.settle()
    await sequence_ledger(county.ctx)
    await watch.dog.look()

    assert await county.alarms("late") == []


async def test_only_one_of_two_watchdogs_tells_the_desk(build: Build) -> None:
    county, one = await watched(build)
    other = Watch(county, owner="host-b:1:y")
    await a_window_closes(county)
    await nothing_moves(county, "escalation")

    await one.looks_twice()
    await other.looks_twice()

    assert (one.dog.leads, other.dog.leads) == (True, False)
    assert other.pulse.findings  # but its own readyz knows
    assert len(await county.alarms("late")) == 1


async def test_the_late_alarm_comes_back_with_its_cause(build: Build) -> None:
    county, watch = await watched(build)
    for hour in range(2):
        await county.red_warning(texts={"zh": f"第{hour}次暴雨红色预警。"})
        county.clock.move(minutes=5, seconds=3)
        await watch.looks_twice()
        await county.settle()
        await watch.looks_twice()

    alarms = await county.alarms("late")
    assert len(alarms) == 2
    assert all(alarm["ended_at"] for alarm in alarms)
    acts = [r["act"] for r in await county.rows("SELECT act FROM ledger_line ORDER BY id")]
    assert acts.count("alarm.raised") == acts.count("alarm.ended") == 2


# Unknowns ------------------------------------------------------------------------------------


async def test_an_unknown_that_stays_one_is_an_alarm_and_ends_with_it(build: Build) -> None:
    county, watch = await watched(build)
    county.sms.always(Unknown(taken=True))
    county.sms.answers_lookups = False
    county.resends = 1
    await county.red_warning()
    await county.advance(seconds=60)
    assert await watch.looks_twice() == []
    assert await county.alarms("unknown") == []

    await county.advance(seconds=120)
    await watch.looks_twice()

    (alarm,) = await county.alarms("unknown")
    assert alarm["ended_at"] is None
    await county.advance(minutes=30)
    await watch.looks_twice()
    (alarm,) = await county.alarms("unknown")
    assert alarm["ended_at"] is not None


# Clock ---------------------------------------------------------------------------------------


class WrongClock(SystemClock):
    """A clock that says what the test's says, and that it is wrong when a test says so."""

    def __init__(self, county: County) -> None:
        super().__init__()
        self._county = county.clock
        self.wrong = 0.0

    def now(self):  # type: ignore[no-untyped-def]
        return self._county.now()

    @property
    def differences(self) -> tuple[ClockTrouble, ...]:
        return (ClockTrouble(whose="machine", seconds=self.wrong),)


async def test_a_clock_that_was_set_is_an_alarm_until_it_is_right_again(build: Build) -> None:
    county = await build()
    clock = WrongClock(county)
    object.__setattr__(county.ctx, "clock", clock)
    watch = Watch(county)
    await watch.looks_twice()
    assert await county.alarms("clock") == []

    clock.wrong = 3600.0
    await watch.dog.look()
    clock.wrong = 3601.0
    await watch.looks_twice()

    (alarm,) = await county.alarms("clock")
    assert (alarm["text"], alarm["ended_at"]) == ("worker machine +3600", None)
    clock.wrong = 0.3
    await watch.dog.look()
    (alarm,) = await county.alarms("clock")
    assert alarm["ended_at"] is not None


async def test_a_wrong_clock_is_no_reason_to_restart_a_process(build: Build) -> None:
    """It would come back with the wrong time as its own."""
    county = await build()
    clock = WrongClock(county)
    object.__setattr__(county.ctx, "clock", clock)
    watch = Watch(county)
    clock.wrong = -7200.0
    await watch.looks_twice()
    watch.pulse.passed_at = county.clock.now()

    assert [*what_is_late(watch.pulse, county.clock.now())] == []


# Ready or not --------------------------------------------------------------------------------


async def test_a_process_that_may_not_write_is_not_ready_long_before_it_is_silent(
    build: Build,
) -> None:
    county, watch = await watched(build)
    await watch.looks_twice()
    now = county.clock.now()
    watch.pulse.passed_at = watch.pulse.seen_at = watch.pulse.away_since = now

    assert [*what_is_late(watch.pulse, now + timedelta(seconds=1))] == []
    assert [*what_is_late(watch.pulse, now + timedelta(seconds=3))] == ["writes"]


async def test_a_process_whose_answers_wait_in_the_spool_is_not_ready(build: Build) -> None:
    county, watch = await watched(build)
    await watch.looks_twice()
    now = county.clock.now()
    watch.pulse.passed_at = watch.pulse.seen_at = now
    waiting = [3, 0]
    watch.pulse.numbers[SPOOL_WAITING] = lambda: waiting[0]

    assert [*what_is_late(watch.pulse, now)] == ["spool"]
    del waiting[0]
    assert [*what_is_late(watch.pulse, now)] == []


async def test_a_process_is_ready_when_all_its_parts_are(build: Build) -> None:
    county, watch = await watched(build)
    assert [*what_is_late(watch.pulse, county.clock.now())] == ["engine", "writes", "watchdog"]

    await watch.looks_twice()
    await county.engine.one_pass()
    watch.pulse.passed_at = county.clock.now()
    assert [*what_is_late(watch.pulse, county.clock.now())] == []

    now = county.clock.move(seconds=10.1)
    assert [*what_is_late(watch.pulse, now)] == ["engine", "writes", "watchdog"]


async def test_a_process_without_an_engine_need_not_pass(build: Build) -> None:
    county, watch = await watched(build)
    watch.pulse.engine = False

    await watch.looks_twice()

    assert [*what_is_late(watch.pulse, county.clock.now())] == []

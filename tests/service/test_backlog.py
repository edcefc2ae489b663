"""What a carrier heard 2xx for comes into the database once, in order, whatever was away meanwhile."""

import asyncio
import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.county import County
from tests.fakes.faulty_store import FaultyStore, FaultyUnit
from tests.service.test_intake import fact
from warnsvc.service import backlog as backlogs
from warnsvc.service import intake as intakes
from warnsvc.service.backlog import Backlog, fact_of, record_of
from warnsvc.service.context import WAKE_FACTS
from warnsvc.service.intake import Intake, NotKept
from warnsvc.spool import Spool
from warnsvc.spool_file import Disk
from warnsvc.store.inbound import Inbound
from warnsvc.store.port import Store
from warnsvc.store.runner import InlineRunner

FOR_EVER = 1_000_000


class CountingStore(FaultyStore):
    """Counts the units that were asked for."""

    begun = 0

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[FaultyUnit]:
        self.begun += 1
        async with super().unit() as unit:
            yield unit


class House:
    """A county whose database can go away, and an intake with a spool beside it."""

    def __init__(self, county: County, store: CountingStore, folder: Path) -> None:
        self.county, self.store, self.folder = county, store, folder
        self.disk = BadDisk()
        self.intake = self.new_intake()

    def new_intake(self) -> Intake:
        self.spool = Spool(self.folder, disk=self.disk)
        self.backlog = Backlog(self.county.ctx, self.spool, runner=InlineRunner)
        return Intake(self.county.ctx, backlog=self.backlog)

    def go_away(self) -> None:
        self.store.fail_on("INSERT INTO inbound", times=FOR_EVER)

    def come_back(self) -> None:
        self.store.live()

    async def accept(self, *keys: str) -> None:
        await self.intake.accept([fact(self.county, key) for key in keys])

    async def keys(self) -> list[str]:
        rows = await self.county.rows("SELECT dedupe_key FROM inbound ORDER BY id")
        return [row["dedupe_key"].removeprefix("sim:") for row in rows]

    async def alarms(self) -> list[Any]:
        return await self.county.rows(
            "SELECT text, raised_at, ended_at FROM alarm WHERE kind = 'spool' ORDER BY id"
        )


def no_power(*_: object) -> None:
    """Stand for the moment after a commit in which a process dies."""
    raise OSError(errno.EIO, "the power went")


class BadDisk(Disk):
    """The spool's own disk, which may be full as well."""

    full = False

    def write(self, file: int, data: bytes, at: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(file, data, at)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlogs, "RETRY_SECONDS", 0)


@pytest.fixture
async def house(store: Store, tmp_path: Path) -> AsyncIterator[House]:
    faulty = CountingStore(store)
    made = House(await County.build(faulty), faulty, tmp_path / "spool")
    yield made
    await made.intake.close()


def test_a_fact_comes_back_as_it_went() -> None:
    said = Inbound(
        kind="answer",
        carrier="sim",
        channel="sms",
        dedupe_key="a:1",
        received_at=datetime(2026, 7, 1, 12, 0, 0, 123, tzinfo=UTC),
        attempt_id=7,
        callout_id=None,
        sender="+8615400000001",
        text="收到\n请放心 🌧",
        fact_json='{"word":"heard"}',
    )

    assert fact_of(record_of(said)) == said


def test_a_flood_fits_into_a_record_and_is_cut_as_the_database_cuts_it() -> None:
    said = Inbound(
        kind="answer",
        carrier="sim",
        channel="sms",
        dedupe_key="k" * 9_000,
        received_at=datetime(2026, 7, 1, tzinfo=UTC),
        sender="+86" * 9_000,
        text="🌧\x00\ud800" * 9_000,
    )

    once = fact_of(record_of(said))

    assert once is not None
    assert record_of(once) == record_of(said)
    assert len(record_of(said)) < 64 * 1024


@pytest.mark.parametrize("record", [b"{}", b"[]", b"nonsense", b'{"kind":"answer"}', b"\xff"])
def test_a_record_that_is_no_fact_is_none(record: bytes) -> None:
    assert fact_of(record) is None


async def test_with_the_database_away_an_answer_is_kept_and_brought_in_later(house: House) -> None:
    house.go_away()
    await house.accept("k1")

    assert await house.keys() == []
    assert house.intake.spooled == 1

    house.come_back()
    await house.backlog.drained()
    assert await house.keys() == ["k1"]
    assert house.intake.spooled == 0


async def test_the_engine_is_woken_when_facts_were_brought_in(house: House) -> None:
    house.go_away()
    await house.accept("k1")

    async with house.county.store.listen() as topics:
        house.come_back()
        await house.backlog.drained()
        assert WAKE_FACTS in {await anext(topics), await anext(topics)}


async def test_when_it_was_received_stays_true(house: House) -> None:
    house.go_away()
    begun = house.county.clock.now()
    await house.accept("k1")
    house.county.clock.move(minutes=20)

    house.come_back()
    await house.backlog.drained()

    (row,) = await house.county.rows("SELECT received_at FROM inbound")
    assert row["received_at"] == begun


async def test_what_comes_later_waits_behind_what_came_first(house: House) -> None:
    house.go_away()
    await house.accept("k1")
    house.come_back()
    # The database is back, and nobody has looked yet: k2 must not overtake k1.
    await house.accept("k2")
    await house.accept("k3", "k4")

    await house.backlog.drained()

    assert await house.keys() == ["k1", "k2", "k3", "k4"]


async def test_when_nothing_waits_facts_go_straight_to_the_database_again(house: House) -> None:
    house.go_away()
    await house.accept("k1")
    house.come_back()
    await house.backlog.drained()

    await house.accept("k2")

    assert not house.backlog.holds
    assert await house.keys() == ["k1", "k2"]


async def test_many_that_wait_share_one_sync(house: House) -> None:
    house.go_away()
    syncs = 0
    sync = house.disk.sync

    def counted(file: int) -> None:
        nonlocal syncs
        syncs += 1
        sync(file)

    house.disk.sync = counted  # type: ignore[method-assign]

    await asyncio.gather(*(house.accept(f"k{n}") for n in range(50)))

    assert house.intake.spooled == 50
    assert syncs <= 2


async def test_a_carriers_repeat_of_a_spooled_answer_counts_once(house: House) -> None:
    house.go_away()
    await house.accept("k1")
    await house.accept("k1", "k2")
    house.come_back()
    await house.backlog.drained()
    await house.accept("k2")

    assert await house.keys() == ["k1", "k2"]


async def test_a_process_that_dies_between_spool_and_database_loses_nothing(house: House) -> None:
    house.go_away()
    await house.accept("k1", "k2")
    await house.intake.close()

    house.come_back()
    house.intake = house.new_intake()
    await house.intake.open()
    await house.accept("k3")
    await house.backlog.drained()

    assert await house.keys() == ["k1", "k2", "k3"]


async def test_a_process_that_dies_between_commit_and_removal_applies_nothing_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.go_away()
    await house.accept("k1", "k2")
    monkeypatch.setattr(house.spool, "drop", no_power)
    house.come_back()
    while await house.keys() != ["k1", "k2"]:
        await asyncio.sleep(0)
    await house.intake.close()

    house.intake = house.new_intake()
    await house.intake.open()
    await house.backlog.drained()

    assert await house.keys() == ["k1", "k2"]
    assert list(house.folder.rglob("*.records")) == []


async def test_when_neither_database_nor_spool_takes_it_the_carrier_must_come_again(
    house: House,
) -> None:
    house.go_away()
    house.disk.full = True

    with pytest.raises(NotKept):
        await house.accept("k1")

    house.disk.full = False
    await house.accept("k2")
    house.come_back()
    await house.backlog.drained()
    assert await house.keys() == ["k2"]


async def test_a_spool_that_fills_up_while_it_is_needed_refuses_and_keeps_what_it_has(
    house: House,
) -> None:
    house.go_away()
    await house.accept("k1")
    house.disk.full = True

    with pytest.raises(NotKept):
        await house.accept("k2")

    house.come_back()
    await house.backlog.drained()
    await house.accept("k3")
    assert await house.keys() == ["k1", "k3"]


async def test_one_fact_that_the_database_will_never_take_keeps_no_other_waiting(
    house: House,
) -> None:
    bad = replace(fact(house.county, "bad"), kind="rumour")

    await asyncio.gather(house.accept("k1"), house.intake.accept([bad]), house.accept("k2"))
    await house.backlog.drained()

    assert await house.keys() == ["k1", "k2"]
    (path,) = house.folder.rglob("refused.records")
    assert b"rumour" in path.read_bytes()
    assert any(row["text"].endswith("refused.records") for row in await house.alarms())


async def test_a_record_of_a_newer_program_is_set_aside_and_not_lost(house: House) -> None:
    house.spool.append([b'{"kind":"dream"}', record_of(fact(house.county, "k1"))])
    house.spool.close()

    house.intake = house.new_intake()
    await house.intake.open()
    await house.backlog.drained()

    assert await house.keys() == ["k1"]
    (path,) = house.folder.rglob("refused.records")
    assert b"dream" in path.read_bytes()


async def test_a_damaged_file_is_set_aside_and_the_desk_is_told(house: House) -> None:
    house.spool.append([record_of(fact(house.county, key)) for key in ("k1", "k2", "k3")])
    house.spool.close()
    (path,) = house.folder.rglob("*.records")
    path.write_bytes(path.read_bytes().replace(b'"k2"', b'"kk"'))

    house.intake = house.new_intake()
    await house.intake.open()
    await house.backlog.drained()

    assert await house.keys() == ["k1", "k3"]
    assert list(house.folder.rglob("*.damaged")) != []
    told = {row["text"].split()[-1]: row["ended_at"] for row in await house.alarms()}
    assert told["spool-00000001.damaged"] is None


async def test_the_desk_hears_of_it_and_hears_that_it_is_over(house: House) -> None:
    begun = house.county.clock.now()
    house.go_away()
    await house.accept("k1", "k2")
    house.county.clock.move(minutes=3)
    await house.accept("k3")

    house.come_back()
    await house.backlog.drained()

    (alarm,) = await house.alarms()
    assert alarm["text"].endswith(": 3")
    assert alarm["raised_at"] == begun
    assert alarm["ended_at"] == begun + timedelta(minutes=3)


async def test_a_long_backlog_is_one_alarm(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlogs, "PORTION_MAX", 2)
    house.go_away()
    await house.accept(*(f"k{n}" for n in range(9)))

    house.come_back()
    await house.backlog.drained()

    (alarm,) = await house.alarms()
    assert alarm["text"].endswith(": 9")
    assert alarm["ended_at"] is not None


async def test_an_alarm_that_a_dead_process_raised_is_ended_by_its_successor(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlogs, "PORTION_MAX", 1)
    house.go_away()
    await house.accept("k1", "k2")
    monkeypatch.setattr(house.spool, "drop", no_power)
    house.come_back()
    while not await house.alarms():
        await asyncio.sleep(0)
    await house.intake.close()
    assert (await house.alarms())[0]["ended_at"] is None

    house.intake = house.new_intake()
    await house.intake.open()
    await house.backlog.drained()

    assert [row["ended_at"] is None for row in await house.alarms()] == [False]


async def test_a_unit_that_brings_only_repeats_writes_all_the_same(house: House) -> None:
    # A commit that writes nothing does not wait for a synchronous standby (see the module).
    await house.accept("k1")
    house.go_away()
    await house.accept("k1")

    house.come_back()
    before = house.store.units
    await house.backlog.drained()

    assert house.store.units > before
    assert len(await house.alarms()) == 1


async def test_a_disk_that_cannot_be_used_stops_nobody_from_being_called(
    house: House, logs: list[Any]
) -> None:
    house.folder.write_text("a file is in the way")

    await house.intake.open()
    await house.accept("k1")

    assert await house.keys() == ["k1"]
    assert "spool.unusable" in {line["event"] for line in logs}


async def test_no_log_line_names_a_phone(house: House, logs: list[Any]) -> None:
    house.go_away()
    await house.accept("k1")
    house.come_back()
    await house.backlog.drained()

    assert "15400000001" not in repr(logs)


# A commit that hangs ---------------------------------------------------------------------------


async def test_a_commit_that_hangs_is_spooled_and_changes_nothing_when_it_succeeds_late(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intakes, "SPOOL_AFTER_SECONDS", 0.01)

    async with house.store.unit() as other:  # SQLite's only writer is busy with it
        if other.dialect == "postgresql":
            await other.fetch("LOCK TABLE inbound IN ACCESS EXCLUSIVE MODE")
        await house.accept("k1")  # it hears yes, although its commit hangs
        await house.accept("k2")
        assert house.intake.spooled == 2
    await house.backlog.drained()
    monkeypatch.setattr(intakes, "SPOOL_AFTER_SECONDS", 60)
    await house.accept("k3")

    assert await house.keys() == ["k1", "k2", "k3"]
    assert len(await house.alarms()) == 1


async def test_while_commits_hang_they_do_not_pile_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intakes, "SPOOL_AFTER_SECONDS", 0.01)
    begun = house.store.begun

    async with house.store.unit() as other:
        if other.dialect == "postgresql":
            await other.fetch("LOCK TABLE inbound IN ACCESS EXCLUSIVE MODE")
        for n in range(20):
            await house.accept(f"k{n}")
        # This one, the intake's that hangs, and the backlog's first try; none for the others.
        assert house.store.begun - begun <= 3
    await house.backlog.drained()

    assert await house.keys() == [f"k{n}" for n in range(20)]


# A real process ----------------------------------------------------------------------------------

DIES = """
import asyncio, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from warnsvc.service.backlog import Backlog
from warnsvc.service.intake import Intake
from warnsvc.spool import Spool
from warnsvc.store.inbound import Inbound
from warnsvc.store.port import StoreFault

class Away:
    def unit(self):
        raise StoreFault("away")

class Ctx:
    store = Away()

async def main():
    intake = Intake(Ctx(), backlog=Backlog(Ctx(), Spool(Path(sys.argv[1]))))
    for n in range(200):
        fact = Inbound(kind="answer", carrier="sim", channel="sms", dedupe_key=f"k{n}",
                       received_at=datetime(2026, 7, 1, tzinfo=UTC), text="1")
        await intake.accept([fact])
        print(f"yes:k{n}", flush=True)
        if n == 100:
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_every_answer_that_a_killed_process_said_yes_to_is_brought_in(
    house: House, tmp_path: Path
) -> None:
    died = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", DIES, str(house.folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    said_yes = re.findall(r"yes:(k\d+)", died.stdout)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert len(said_yes) == 101

    await house.intake.open()
    await house.backlog.drained()

    assert await house.keys() == said_yes

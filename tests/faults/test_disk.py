"""F8, F9, F14: the disk is full, or another program holds the SQLite file.

Pass: an answer is taken by 2xx only when it is on disk, none of them is lost, the desk hears within
five seconds, and everything goes on without a restart once there is room. The disks are small
tmpfs mounts; the spool is on another disk, as docs/POSTGRESQL.md
advises, or on the same one with its reserve.
"""

import asyncio
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest

from tests.faults.carried import Answers, answering, until_all_taken
from tests.faults.figures import Figures
from tests.faults.rig import Rig, open_rig
from tests.faults.server import server

ALARM_SECONDS_MAX = 5.0
"""R16."""
AGAIN_SECONDS_MAX = 5.0
"""From room on the disk until answers are rows again."""
LOCKED_SECONDS = 10.0
"""F14."""


def _cannot_mount() -> str:
    if os.geteuid() != 0:
        return "a small disk needs root to be mounted"
    return ""


pytestmark = pytest.mark.skipif(bool(_cannot_mount()), reason=_cannot_mount())


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Mount a disk of so many megabytes; it is unmounted whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="warnsvc-small-"))
    folder.chmod(0o755)  # PostgreSQL does not run as root
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=777", "warnsvc-small", folder],
        check=True,
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        folder.rmdir()


class Ballast:
    """A file that takes all room that is left, and gives it back."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"

    def fill(self) -> None:
        """Take every block."""
        with self._path.open("ab") as file, suppress(OSError):
            while True:
                file.write(b"x" * 65_536)
                file.flush()
        with self._path.open("ab") as file, suppress(OSError):
            while True:
                os.write(file.fileno(), b"x" * 512)

    def empty(self) -> None:
        """Give it all back."""
        self._path.unlink()


async def test_sqlite_on_a_full_disk_keeps_every_answer_it_took() -> None:
    with small_disk(48) as disk:
        url = f"sqlite:///{disk}/warnsvc.sqlite3"
        async with open_rig("sqlite", url=url) as rig:
            await _full_disk(rig, Ballast(disk), "sqlite", "serve")


async def test_a_spool_on_the_same_full_disk_lives_on_the_room_it_holds_in_reserve() -> None:
    with small_disk(48) as disk:
        url = f"sqlite:///{disk}/warnsvc.sqlite3"
        async with open_rig("sqlite", url=url, data_dir=str(disk)) as rig:
            await _full_disk(rig, Ballast(disk), "sqlite_same_disk", "serve")


async def test_postgresql_on_a_full_disk_keeps_every_answer_it_took() -> None:
    with (
        small_disk(140) as disk,
        server(data=disk / "data", make=("--wal-segsize=1",), **SMALL_WAL) as database,
    ):
        async with open_rig("postgresql", url=database.dsn) as rig:
            await _full_disk(rig, Ballast(disk), "postgresql", "serve")
        assert "PANIC" not in database.log


SMALL_WAL = {"max_wal_size": "8MB", "min_wal_size": "2MB"}


async def _full_disk(rig: Rig, ballast: Ballast, kind: str, *service: str) -> None:
    await rig.populate(50)
    await rig.release()
    rig.start("web", *service)
    await rig.until_ready("/readyz")
    await rig.until(rig.all_sent, 60)
    async with answering(rig, per_second=100) as answers:
        await rig.until(lambda: _taken(answers, 200), 30, "answers flow")

        ballast.fill()
        full = time.monotonic()
        await rig.until(lambda: _desk_is_told(rig), 30, "/readyz says it", every=0.1)
        # A database goes on for a while in room that it has: the clock starts with its first no.
        alarm = time.time() - _first_refusal(rig)
        told = time.monotonic() - full
        await asyncio.sleep(max(0.0, full + 10 - time.monotonic()))
        ballast.fill()  # what SQLite or PostgreSQL gave up meanwhile
        during = sum(1 for at in answers.accepted.values() if at > full)
        ballast.empty()
        freed = time.monotonic()
        again = await rig.until(lambda: _stored_after(rig, freed, answers), 30, "rows again")
        await until_all_taken(rig, answers, 30)
    await rig.until(lambda: _nothing_lost(answers), 30, "nothing that was taken is lost")
    await rig.until_ready("/readyz")

    figures = Figures()
    figures.add(
        f"disk_full_{kind}_alarm_s", alarm, "s", f"first no → /readyz 503; full → {told:.1f}"
    )
    figures.add(f"disk_full_{kind}_again_s", again, "s", "room → rows again, no restart")
    figures.add(f"disk_full_{kind}_taken", during, "answers", f"while full; {answers.told()}")
    figures.show()
    figures.write()
    assert rig["web"].running
    assert alarm <= ALARM_SECONDS_MAX
    assert again <= AGAIN_SECONDS_MAX
    assert set(answers.statuses) <= {204, 503}, answers.told()


async def test_a_program_that_holds_the_sqlite_file_delays_and_loses_nothing() -> None:
    async with open_rig("sqlite") as rig:
        await rig.populate(50)
        await rig.release()
        rig.start("web", "serve")
        await rig.until_ready("/readyz")
        await rig.until(rig.all_sent, 60)
        async with answering(rig, per_second=100) as answers, _watching_pages(rig) as pages:
            await rig.until(lambda: _taken(answers, 200), 30, "answers flow")

            rig.start("holder", "sqlite", str(LOCKED_SECONDS), module="tests.faults.holder")
            await rig.until(lambda: _said(rig, "held"), 20, "the file is locked")
            locked = time.monotonic()
            await rig.until(lambda: _said(rig, "freed"), 30, "the file is free")
            freed = time.monotonic()
            again = await rig.until(lambda: _stored_after(rig, freed, answers), 30, "rows again")
            await until_all_taken(rig, answers, 30)
        await rig.until(lambda: _nothing_lost(answers), 30, "nothing that was taken is lost")

    figures = Figures()
    figures.add("sqlite_locked_silence_s", answers.longest_silence(locked), "s", answers.told())
    figures.add("sqlite_locked_again_s", again, "s", "free → rows again")
    figures.show()
    figures.write()
    assert set(answers.statuses) <= {204, 503}, answers.told()
    assert 500 not in pages, pages
    assert again <= AGAIN_SECONDS_MAX


@asynccontextmanager
async def _watching_pages(rig: Rig) -> AsyncIterator[dict[int, int]]:
    """Ask for a page again and again; yield how often each status came."""
    statuses: dict[int, int] = {}

    async def ask() -> None:
        while True:
            async with rig.session.get(rig.web_url + "/login") as answer:
                statuses[answer.status] = statuses.get(answer.status, 0) + 1
            await asyncio.sleep(0.2)

    asking = asyncio.create_task(ask())
    try:
        yield statuses
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def _said(rig: Rig, word: str) -> bool:
    return word in rig["holder"].log


async def _taken(answers: Answers, count: int) -> bool:
    return len(answers.accepted) >= count


async def _stored_after(rig: Rig, since: float, answers: Answers) -> bool:
    late = {ident for ident, at in answers.accepted.items() if at > since}
    return bool(late & await answers.stored())


async def _nothing_lost(answers: Answers) -> bool:
    return not await answers.lost()


def _first_refusal(rig: Rig) -> float:
    """Return when the service first logged that a write was refused (the machine's time)."""
    for line in rig["web"].log.splitlines():
        if REFUSALS.search(line):
            return datetime.fromisoformat(json.loads(line)["at"]).timestamp()
    raise AssertionError("nothing was ever refused")


REFUSALS = re.compile(r"not_committed|database_away|record_failed|pass_failed|duty.failed")


async def _desk_is_told(rig: Rig) -> bool:
    async with rig.session.get(rig.web_url + "/readyz") as answer:
        return answer.status == 503

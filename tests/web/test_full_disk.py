"""A disk that is really full: SQLite takes nothing, and the answers lie in the room held in reserve."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.fakes.clock import ManualClock
from tests.web import rig
from warnsvc.service import backlog as backlogs
from warnsvc.service.context import Context
from warnsvc.service.intake import Intake
from warnsvc.store.inbound import Inbound
from warnsvc.store.migrate import upgrade
from warnsvc.store.open import open_store
from warnsvc.web.application import create_web
from warnsvc.web.callback import CHANNELS, add_intake

ANSWERS = 1_000
DISK_MEGABYTES = 24


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of our own, if this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
async def house(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Context, Intake]]:
    monkeypatch.setattr(backlogs, "RETRY_SECONDS", 0.01)
    url = f"sqlite:///{small_disk / 'warnsvc.sqlite3'}"
    await upgrade(url)
    store = await open_store(url)
    ctx = rig.context(store, ManualClock(), rig.settings(small_disk))
    app = create_web(ctx)
    intake = add_intake(app, ctx)
    app[CHANNELS] = {}
    async with TestClient[web.Request, web.Application](TestServer(app)):
        yield ctx, intake
    await store.close()


def fill(path: Path) -> None:
    """Take every byte that is free."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        with suppress(OSError):
            while os.write(file, b"x" * 65_536):
                pass
        with suppress(OSError):
            while os.write(file, b"x"):
                pass
    finally:
        os.close(file)


async def test_answers_that_come_while_the_disk_is_full_are_kept_and_brought_in_in_order(
    house: tuple[Context, Intake], small_disk: Path
) -> None:
    ctx, intake = house
    fill(small_disk / "ballast")
    for n in range(ANSWERS):
        fact = Inbound(
            kind="answer",
            carrier="sim",
            channel="sms",
            dedupe_key=f"k{n}",
            received_at=ctx.clock.now(),
            sender="+8615400000001",
            text="收到" * 20,
        )
        await intake.accept([fact])
    assert intake.spooled > 0, "the disk was not full"

    (small_disk / "ballast").unlink()
    assert intake._backlog is not None
    await intake._backlog.drained()

    async with ctx.store.view() as unit:
        rows = await unit.fetch("SELECT dedupe_key FROM inbound ORDER BY id")
    assert [row["dedupe_key"] for row in rows] == [f"sim:k{n}" for n in range(ANSWERS)]

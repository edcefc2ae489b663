"""F19: a rolling upgrade. The version before works on, beside the new one, on the new tables.

Pass: 0 lost, 0 doubled, both do work, and every answer is applied. The old one is the last commit
at revision 0001, as it was released: it is started before `warnsvc db upgrade`, as an operator does
it, because a program of that age refuses to start on a revision that it does not know. Later ones
read from the revision's name whether they may (`tests/store/test_migrate.py`).
"""

import asyncio
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.faults.carried import answering, until_all_taken
from tests.faults.figures import Figures
from tests.faults.rig import ROOT, Rig, clean_environment, open_rig
from warnsvc.store.migrate import current, head, upgrade

OLD = "7e1cfed792bd0daa4c9279fa575dd7125a640416"
SENDS = 3_000
SHARE_MIN = 0.2


@pytest.fixture
def old_version(tmp_path: Path) -> Path:
    """Return a checkout of the version before."""
    done = subprocess.run(["git", "archive", OLD], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        reason = f"this checkout has no history: {done.stderr.decode().strip()}"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


async def test_the_version_before_and_this_one_work_side_by_side(old_version: Path) -> None:
    async with open_rig(
        "postgresql", migrated=False, dispatch_concurrency=20, claim_batch=100
    ) as rig:
        paces, rig.paces = rig.paces, {"sms": 0, "voice": 0}
        _make_tables(rig, old_version)
        rig.start("old", "worker", folder=old_version)
        await rig.until(lambda: _connected(rig), 30, "the old worker is at work", every=0.5)
        assert await current(rig.url) == "0001"

        await upgrade(rig.url)
        assert await current(rig.url) == head()
        rig.paces = paces
        rig.start("new", "worker")
        rig.start("web", "serve", "--no-engine")
        await rig.until_ready("/readyz")
        await rig.turn(answer_seconds=0.1)
        await rig.populate(SENDS)
        await rig.release()
        async with answering(rig, per_second=100) as answers:
            await rig.until(rig.all_sent, 120, "all is sent")
            await until_all_taken(rig, answers, 30)
        record = await rig.record("texts")

        # Now the old one goes home, and nothing that it leaves behind is forgotten.
        assert rig["old"].terminate() == 0
        rig.start("newer", "worker")
        second = await rig.release()
        await rig.until(rig.all_sent, 120, "all is sent again")
        again = await rig.record("texts")
        await rig.until(lambda: _all_applied(rig), 30, "every answer is applied")
        lost = await answers.lost()
        assert second

    by_host = record.by_host()
    shares = {name: len(by_host.get(rig[name].host, [])) / SENDS for name in ("old", "new")}
    figures = Figures()
    for name, share in shares.items():
        figures.add(f"upgrade_share_{name}", share, "of sends", f"{SENDS} side by side")
    figures.add("upgrade_duplicates", again.duplicates, "texts", f"of {2 * SENDS}")
    figures.add("upgrade_answers", len(answers.accepted), "answers", answers.told())
    figures.show()
    figures.write()
    assert len(record.copies()) == SENDS
    assert len(again.copies()) == 2 * SENDS
    assert again.duplicates == 0
    assert not lost
    assert min(shares.values()) >= SHARE_MIN, shares


def _make_tables(rig: Rig, old_version: Path) -> None:
    """Run the old program's own `db upgrade`."""
    config = rig.write_config("old-tables", "127.0.0.1")
    subprocess.run(
        [sys.executable, "-m", "warnsvc", "db", "upgrade"],
        cwd=old_version,
        env={**clean_environment(), "WARNSVC_CONFIG": str(config)},
        check=True,
        capture_output=True,
        timeout=60,
    )


async def _connected(rig: Rig) -> bool:
    """Whether the old worker has taken the duties: it works."""
    await asyncio.sleep(0)
    rows = await rig.fetch("SELECT owner FROM duty WHERE owner LIKE $1", rig["old"].owner)
    return bool(rows)


async def _all_applied(rig: Rig) -> bool:
    return not await rig.one("SELECT COUNT(*) FROM inbound WHERE state = 'new'")

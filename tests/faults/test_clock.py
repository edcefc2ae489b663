"""F10: the clock of a worker's machine is set an hour ahead, an hour back, or to 1970.

Pass: no call and no escalation before its time, none late, and the desk hears within five seconds.
libfaketime changes what the process reads as wall-clock time and leaves the steady clock alone, as a
machine whose clock somebody sets.
"""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.figures import Figures
from tests.faults.rig import Rig, open_rig, quick

PEOPLE = 300
WINDOW_SECONDS = 20
VOICE_SECONDS = WINDOW_SECONDS // 2
STEP_AFTER_SECONDS = 3.0
ALARM_SECONDS_MAX = 5.0
LATE_SECONDS_MAX = 2.0
"""R4, of windows; the calls that go out together also take their turn."""
EARLY_SECONDS_MAX = 0.05
"""Our own reading of the clock, before and after a query."""


def _libfaketime() -> Path | None:
    found = sorted(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"))
    return found[0] if found else None


pytestmark = pytest.mark.skipif(_libfaketime() is None, reason="libfaketime is not installed")


class MachineClock:
    """What a process reads as the time of its machine."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faketime"
        self.set("+0")

    @property
    def environment(self) -> dict[str, str]:
        """What a process must be started with."""
        return {
            "LD_PRELOAD": str(_libfaketime()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, how: str) -> None:
        """Step it, now: `+3600s`, `-3600s`."""
        new = self._file.with_suffix(".new")
        new.write_text(how + "\n")
        new.rename(self._file)


@pytest.mark.parametrize("step", ["ahead", "back", "1970"])
async def test_a_clock_that_is_set_makes_nothing_early_and_nothing_late(step: str) -> None:
    async with open_rig("postgresql") as rig:
        rig.pack = quick(seconds=WINDOW_SECONDS)
        await rig.populate(PEOPLE)
        signed = await rig.sign()
        clock = MachineClock(rig.folder)
        rig.start("w1", "worker", **clock.environment)
        rig.start("web", "serve", "--no-engine")
        await rig.until_ready("/readyz")
        await rig.release(signed)
        deadline = (await rig.one("SELECT MAX(deadline_at) FROM escalation")).timestamp()
        released = deadline - WINDOW_SECONDS
        await rig.until(lambda: _texts(rig), 10, "the texts are out")

        await asyncio.sleep(max(0.0, released + STEP_AFTER_SECONDS - time.time()))
        clock.set(_how(step))
        stepped = time.monotonic()
        alarm = await rig.until(lambda: _alarmed(rig), 30, "an alarm tells of the clock", every=0.1)
        told = time.monotonic() - stepped
        early = 0
        while time.time() < deadline - EARLY_SECONDS_MAX:
            if await rig.one("SELECT COUNT(*) FROM escalation WHERE state <> 'calling'"):
                early += time.time() < deadline - EARLY_SECONDS_MAX
            await asyncio.sleep(0.05)
        await rig.until(rig.all_ended, 20, "all windows have been looked at", every=0.05)
        late = time.time() - deadline
        record = await rig.record("texts")

    calls = [at for at, _, _, _, is_call in record.texts if is_call]
    figures = Figures()
    figures.add(f"clock_{step}_alarm_s", alarm, "s", f"step → alarm row; {told:.1f} s")
    figures.add(f"clock_{step}_late_s", late, "s", f"{PEOPLE} windows, the last after its end")
    figures.add(f"clock_{step}_first_call_s", min(calls) - released, "s", f"due {VOICE_SECONDS}")
    figures.show()
    figures.write()
    assert early == 0
    assert len(calls) == PEOPLE
    assert min(calls) - released >= VOICE_SECONDS - EARLY_SECONDS_MAX
    assert late <= LATE_SECONDS_MAX
    assert alarm <= ALARM_SECONDS_MAX


def _how(step: str) -> str:
    if step == "1970":
        return f"-{int(datetime.now(UTC).timestamp()) - 3600}s"
    return {"ahead": "+3600s", "back": "-3600s"}[step]


async def _texts(rig: Rig) -> bool:
    return len((await rig.record("texts")).texts) >= PEOPLE


async def _alarmed(rig: Rig) -> bool:
    return bool(await rig.fetch("SELECT id FROM alarm WHERE kind = 'clock'"))

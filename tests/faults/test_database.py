"""F4, F14: a database that restarts or is locked. Pass: nothing lost, ≤ 5 s after it is ready."""

import asyncio
import time

import pytest

from tests.faults.carried import answering, until_all_taken
from tests.faults.figures import Figures
from tests.faults.rig import Rig, open_rig
from tests.faults.server import server

SENDS = 4_000
ANSWERS_PER_SECOND = 100
RECOVERY_SECONDS_MAX = 5.0
"""F4: from the moment the server takes connections until sends and answers go on."""


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restart_of_the_database_loses_no_send_and_no_answer(mode: str) -> None:
    with server() as database:
        async with open_rig(
            "postgresql", url=database.dsn, dispatch_concurrency=20, claim_batch=100
        ) as rig:
            await rig.populate(SENDS)
            await rig.release()
            await rig.turn(answer_seconds=0.05)
            rig.start("web", "serve", "--no-engine")
            rig.start("w1", "worker")
            rig.start("w2", "worker")
            await rig.until_ready()
            async with answering(rig, per_second=ANSWERS_PER_SECOND) as answers:
                await rig.until(lambda: _texts(rig, SENDS // 4), 60, "a quarter is sent")

                database.stop(mode)
                stopped = time.monotonic()
                await asyncio.sleep(2)  # it is away for a while, as in an update
                database.start()
                ready = time.monotonic()
                at_ready = len((await rig.record("texts")).texts)
                sends = await rig.until(lambda: _texts(rig, at_ready + 50), 30, "sends go on")
                stored = await rig.until(lambda: _stored_since(rig, answers), 30, "answers land")
                away = time.monotonic() - stopped
                silence = answers.longest_silence(stopped - 1)
                await rig.turn(answer_seconds=0.0)
                await rig.until(rig.all_sent, 120, "all is sent")
                await until_all_taken(rig, answers, 30)
            await rig.until(lambda: _nothing_lost(answers), 30, "the spool is drained")
            record = await rig.record("texts")

        figures = Figures()
        figures.add(f"restart_{mode}_sends_s", sends, "s", f"ready → sends; away {away:.1f} s")
        figures.add(f"restart_{mode}_answers_s", stored, "s", f"ready → answers; {answers.told()}")
        figures.add(f"restart_{mode}_silence_s", silence, "s", "longest time without a 2xx")
        figures.add(f"restart_{mode}_duplicates", record.duplicates, "texts", f"of {SENDS}")
        figures.show()
        figures.write()
        assert len(record.copies()) == SENDS
        assert record.duplicates == 0
        assert sends <= RECOVERY_SECONDS_MAX
        assert stored <= RECOVERY_SECONDS_MAX
        assert ready - stopped > 1


async def _texts(rig: Rig, count: int) -> bool:
    return len((await rig.record("texts")).texts) >= count


async def _stored_since(rig: Rig, answers) -> bool:  # type: ignore[no-untyped-def]
    newest = max(answers.accepted, default="")
    await rig.forget_connection()
    return newest in await answers.stored()


async def _nothing_lost(answers) -> bool:  # type: ignore[no-untyped-def]
    return not await answers.lost()

"""F5, F6: the primary dies and its synchronous standby is promoted; the standby is gone.

Pass: no answer that was accepted is lost, no send is lost; while no standby confirms, answers are
kept in the spool and the desk hears of it within ten seconds. Setup: docs/POSTGRESQL.md.
"""

import asyncio
import time

import pytest

from tests.faults.carried import Answers, answering, until_all_taken
from tests.faults.figures import Figures
from tests.faults.rig import Rig, open_rig
from tests.faults.server import pair, until_synchronous
from warnsvc.store.postgresql_cluster import Place

ANSWERS = 5_000
ANSWERS_PER_SECOND = 250
SENDS = 3_000
DETECTION_SECONDS = 0.3
"""How long whoever watches the primary (patroni, an operator) takes to be sure; not ours."""
OUTAGE_SECONDS_MAX = 10.0
"""R7."""
ALARM_SECONDS_MAX = 10.0
"""F6."""
SPOOLED_SECONDS_MAX = 8.0
"""An answer that meets a commit that hangs: three seconds until the spool, and room for this machine."""


def _both(*servers: object) -> str:
    places = ",".join(str(Place("127.0.0.1", server.port)) for server in servers)  # type: ignore[attr-defined]
    return f"postgresql://warnsvc@{places}/postgres?target_session_attrs=read-write"


async def test_a_failover_to_the_synchronous_standby_loses_no_answer_and_no_send() -> None:
    with pair() as (primary, standby):
        url = _both(primary, standby)
        async with open_rig("postgresql", url=url, dispatch_concurrency=20, claim_batch=100) as rig:
            await rig.populate(SENDS)
            await rig.release()
            await rig.turn(answer_seconds=0.3)
            rig.start("web", "serve", "--no-engine")
            rig.start("w1", "worker")
            rig.start("w2", "worker")
            await rig.until_ready()
            async with answering(rig, per_second=ANSWERS_PER_SECOND, count=ANSWERS) as answers:
                await rig.until(lambda: _taken(answers, ANSWERS // 4), 60, "a quarter is answered")

                primary.kill()
                killed = time.monotonic()
                at_kill = len((await rig.record("texts")).texts)
                await asyncio.sleep(DETECTION_SECONDS)
                promotion = standby.promote()
                # The new primary has no standby: an operator says so, or it would wait for one.
                standby.configure(synchronous_standby_names="")
                await rig.forget_connection()
                await rig.until(lambda: _stored_after(rig, killed, answers), 30, "answers land")
                writes = time.monotonic() - killed
                await rig.until(lambda: _texts(rig, at_kill + 100), 30, "sends go on")
                sends = time.monotonic() - killed
                await rig.until(lambda: _taken(answers, ANSWERS), 90, "all answers are taken")
            await rig.until(lambda: _nothing_lost(answers), 30, "the spool is drained")
            await rig.turn(answer_seconds=0.0)
            await rig.until(rig.all_sent, 120, "all is sent")
            record = await rig.record("texts")

        figures = Figures()
        figures.add("failover_answers", len(answers.accepted), "answers", answers.told())
        figures.add("failover_answers_lost", 0, "answers", "accepted by 2xx; the test fails else")
        figures.add("failover_promote_s", promotion, "s", "pg_ctl promote")
        figures.add(
            "failover_first_row_s", writes, "s", f"kill → answer on the new primary; of it "
            f"{DETECTION_SECONDS} s wait",
        )  # fmt: skip
        figures.add("failover_sends_s", sends, "s", "kill → both workers send again")
        figures.add("failover_duplicates", record.duplicates, "texts", f"of {SENDS}")
        figures.show()
        figures.write()
        assert len(answers.accepted) == ANSWERS
        assert len(record.copies()) == SENDS
        assert record.duplicates == 0
        assert writes <= OUTAGE_SECONDS_MAX
        assert sends <= OUTAGE_SECONDS_MAX


async def test_without_its_standby_answers_are_spooled_and_the_desk_hears_of_it() -> None:
    with pair() as (primary, standby):
        async with open_rig("postgresql", url=_both(primary, standby)) as rig:
            await rig.populate(50)
            await rig.release()
            rig.start("web", "serve", "--no-engine")
            rig.start("w1", "worker")
            await rig.until_ready()
            await rig.until(rig.all_sent, 60)
            async with answering(rig, per_second=50) as answers:
                await rig.until(lambda: _taken(answers, 100), 30, "answers flow")

                standby.stop("fast")
                gone = time.monotonic()
                alarm = await rig.until(
                    lambda: _desk_is_told(rig), 30, "/readyz says that nothing can be written", every=0.25
                )
                await asyncio.sleep(max(0.0, gone + 15 - time.monotonic()))
                longest = answers.longest_silence(gone)
                before_degrading = len(answers.accepted)
                # The operator's rule: no second standby, so the primary goes on alone for now.
                primary.configure(synchronous_standby_names="")
                await until_all_taken(rig, answers, 30)
                drained = await rig.until(lambda: _nothing_lost(answers), 30, "the spool drains")
            await rig.until(lambda: _nothing_lost(answers), 30, "nothing is lost")
            await rig.until(lambda: _alarm_is_kept(rig), 30, "an alarm tells of it afterwards")
            standby.start()
            primary.configure(synchronous_standby_names="ANY 1 (standby)")
            until_synchronous(primary)
            backends = int(primary.sql("SELECT count(*) FROM pg_stat_activity"))

        figures = Figures()
        figures.add(
            "standby_gone_alarm_s", alarm, "s", "standby stopped → /readyz 503, heartbeat ends"
        )
        figures.add(
            "standby_gone_answer_max_s", max(answers.took), "s", f"slowest 2xx; {answers.told()}"
        )
        figures.add("standby_gone_silence_s", longest, "s", "longest time without a 2xx")
        figures.add("standby_gone_drained_s", drained, "s", "degraded → spool applied")
        figures.show()
        figures.write()
        assert before_degrading > 500
        assert alarm <= ALARM_SECONDS_MAX
        assert max(answers.took) <= SPOOLED_SECONDS_MAX
        assert backends < 60, "commits that hang must not use up the server's connections"


@pytest.mark.faults_long
@pytest.mark.parametrize("round_", range(8))
async def test_a_failover_loses_nothing_again_and_again(round_: int) -> None:
    """≥ 50,000 answers over all rounds, with a worker killed beside the primary."""
    with pair() as (primary, standby):
        async with open_rig("postgresql", url=_both(primary, standby)) as rig:
            rig.start("web", "serve", "--no-engine")
            rig.start("w1", "worker")
            await rig.until_ready()
            async with answering(rig, per_second=400, count=7_000) as answers:
                await rig.until(lambda: _taken(answers, 1_000 + 500 * round_), 60)
                primary.kill()
                rig["w1"].kill()
                standby.promote()
                standby.configure(synchronous_standby_names="")
                await rig.forget_connection()
                rig["w1"].restart()
                await rig.until(lambda: _taken(answers, 7_000), 120, "all answers are taken")
            await rig.until(lambda: _nothing_lost(answers), 60, "nothing is lost")


async def _taken(answers: Answers, count: int) -> bool:
    return len(answers.accepted) >= count


async def _stored_after(rig: Rig, since: float, answers: Answers) -> bool:
    """Whether an answer that was accepted after `since` is in the database."""
    late = {ident for ident, at in answers.accepted.items() if at > since}
    return bool(late & await answers.stored())


async def _texts(rig: Rig, count: int) -> bool:
    return len((await rig.record("texts")).texts) >= count


async def _nothing_lost(answers: Answers) -> bool:
    return not await answers.lost()


async def _desk_is_told(rig: Rig) -> bool:
    """An alarm is a row, and there is no writing one: /readyz says it, the heartbeat stops."""
    async with rig.session.get(rig.web_url + "/readyz") as answer:
        return answer.status == 503 and "writes" in (await answer.json())["late"]


async def _alarm_is_kept(rig: Rig) -> bool:
    return bool(await rig.fetch("SELECT id FROM alarm WHERE kind = 'database'"))

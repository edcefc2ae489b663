"""F3: a worker stands still for 30 s (SIGSTOP, as a virtual machine that is moved), then goes on.

Pass: what it held and its duties are taken over while it stands; when it goes on, its stale writes
are refused and it sends nothing of what was given to somebody else.
"""

import asyncio
import time

from tests.faults.figures import Figures
from tests.faults.rig import Rig, attempt_of, open_rig

PAUSE_SECONDS = 30.0
PEOPLE = 2_500


async def test_a_leader_that_stood_still_for_thirty_seconds_sends_nothing_twice() -> None:
    async with open_rig("postgresql", lease_seconds=60) as rig:
        await rig.populate(PEOPLE)
        await rig.release()
        await rig.turn(answer_seconds=3.0)  # so slow that the second finds something left
        rig.start("first", "worker")
        await rig.until(lambda: _leads(rig, "first"), 20, "the first worker leads")
        rig.start("second", "worker")
        await rig.until(lambda: _has_sent(rig, "second"), 60, "the second worker sends too")
        owner = rig["first"].owner

        rig["first"].pause()
        stopped = time.monotonic()
        held = {r["id"] for r in await rig.fetch(_HELD, owner)}
        led = {r["name"]: r["fence"] for r in await rig.fetch(_LED, owner)}
        await rig.turn(answer_seconds=0.02)
        await rig.until(lambda: _settled(rig, held), 90, f"{len(held)} held sends settle")
        settled = time.monotonic() - stopped
        await rig.until(lambda: _leads(rig, "second"), 60, "the second worker leads")
        leads = time.monotonic() - stopped
        await asyncio.sleep(max(0.0, PAUSE_SECONDS - (time.monotonic() - stopped)))
        before = await rig.record()
        rig["first"].resume()
        await rig.turn(answer_seconds=0.0)
        await rig.until(rig.all_sent, 60)
        await asyncio.sleep(3.0)  # for what the woken one might still say

        record = await rig.record()
        stale = [
            attempt_of(text[2])
            for text in record.texts[len(before.texts) :]
            if text[1] == rig["first"].host and attempt_of(text[2]) in held
        ]
        figures = Figures()
        figures.add("pause_settled_s", settled, "s", f"SIGSTOP → {len(held)} held sends settled")
        figures.add("pause_leads_s", leads, "s", "SIGSTOP → another worker has the duties")
        figures.add("pause_stale_sends", len(stale), "texts", "sent by the woken one, claimed anew")
        figures.show()
        figures.write()
        assert held
        assert record.duplicates == 0
        # It may claim anew what was put back meanwhile; on its old claims it sends nothing.
        assert not await rig.fetch(_OLD_CLAIMS, stale)
        assert len(record.copies()) == PEOPLE
        assert set(await rig.states()) <= {"accepted", "delivered"}, await rig.states()
        assert rig["first"].running, "it goes on as a worker among others"
        # Duties that tick seldom may have had nobody yet when it was paused; these two had it.
        assert led.keys() >= {"ledger", "reaper"}
        fences = {r["name"]: r["fence"] for r in await rig.fetch("SELECT name, fence FROM duty")}
        assert all(fences[name] > fence for name, fence in led.items()), (led, fences)


_OLD_CLAIMS = "SELECT * FROM attempt WHERE id = ANY($1) AND send_count < 2"
_LED = "SELECT name, fence FROM duty WHERE owner LIKE $1"
_HELD = "SELECT id FROM attempt WHERE state = 'sending' AND lease_owner LIKE $1"


async def _leads(rig: Rig, name: str) -> bool:
    """Whether it has every duty."""
    others = await rig.one("SELECT COUNT(*) FROM duty WHERE owner NOT LIKE $1", rig[name].owner)
    some = await rig.one("SELECT COUNT(*) FROM duty WHERE owner LIKE $1", rig[name].owner)
    return bool(some) and not others


async def _has_sent(rig: Rig, name: str) -> bool:
    record = await rig.record("texts")
    return len(record.by_host().get(rig[name].host, ())) > 20


async def _settled(rig: Rig, held: set[int]) -> bool:
    return not await rig.one(
        "SELECT COUNT(*) FROM attempt WHERE id = ANY($1)"
        " AND state IN ('planned','sending','unknown')",
        sorted(held),
    )

"""Every duty is done by one process, and one that breaks says so and comes again."""

import asyncio
from datetime import datetime, timedelta

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from structlog.typing import EventDict

from channels.base import ReceiptWord
from tests.fakes.account import Canary, with_carriers
from tests.fakes.channel import Accept
from tests.fakes.county import County
from warnsvc.service.duty import Leader
from warnsvc.worker.duty import FIRST_SECONDS_MAX, do_duty, duties, run_duties


def of_duties(logs: list[EventDict]) -> list[str]:
    return [log["event"] for log in logs if log["event"].startswith("duty.")]


async def test_every_duty_of_the_leader_gets_done(county: County, logs: list[EventDict]) -> None:
    county.sms.always(Accept(early=(ReceiptWord.DELIVERED,)))
    ctx = with_carriers(county, sms=Canary())
    leader = Leader(ctx, owner="one")

    for name, _, act in duties(ctx, owner="one"):
        await do_duty(ctx, leader, name, act)

    assert of_duties(logs) == []
    assert {row["name"] for row in await county.rows("SELECT name FROM duty")} == {
        *("ledger", "reaper", "canary", "inbound", "retention")
    }
    assert len(await county.rows("SELECT id FROM test_send WHERE state = 'delivered'")) == 1
    assert len(await county.rows("SELECT carrier FROM inbound_poll")) == 3


async def test_a_duty_that_ticks_seldom_ticks_soon_after_the_start(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a machine that is restarted each hour would never come to it."""
    first: dict[str, datetime] = {}

    class Standing(AsyncIOScheduler):  # type: ignore[misc]
        def start(self, paused: bool = False) -> None:
            super().start(paused=True)
            first.update({job.id: job.next_run_time for job in self.get_jobs()})

    monkeypatch.setattr("warnsvc.worker.duty.AsyncIOScheduler", Standing)
    running = asyncio.create_task(run_duties(county.ctx, owner="one"))
    await asyncio.sleep(0)
    running.cancel()

    assert first["retention"] == county.clock.now() + timedelta(seconds=FIRST_SECONDS_MAX)
    assert first.keys() == {name for name, *_ in duties(county.ctx, owner="one")}


async def test_a_duty_that_another_process_has_is_left_to_it(county: County) -> None:
    ctx = with_carriers(county, sms=Canary())
    assert await Leader(ctx, owner="other").take("canary")

    for name, _, act in duties(ctx, owner="one"):
        await do_duty(ctx, Leader(ctx, owner="one"), name, act)

    assert county.sms.tries == []


async def test_a_duty_that_breaks_says_so_and_breaks_nothing_else(
    county: County, logs: list[EventDict]
) -> None:
    async def broken(_: object) -> int:
        raise RuntimeError("a mistake of ours")

    await do_duty(county.ctx, Leader(county.ctx, owner="one"), "ledger", broken)

    assert of_duties(logs) == ["duty.broke"]

"""What machines that watch are told: alive, ready, and the numbers of docs/METRICS.md."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from channels.base import ReceiptWord
from channels.errors import ErrorClass
from tests.fakes.account import Canary, with_carriers
from tests.fakes.channel import Accept, Reject, Throttle, Unknown
from tests.fakes.county import County
from tests.fakes.quick_store import postgresql_url, reused_postgresql_url, store
from warnsvc.app import House, _heartbeat, build_engine, build_web
from warnsvc.clock import SystemClock
from warnsvc.service.canary import tend_canaries
from warnsvc.service.sweep import sequence_ledger
from warnsvc.service.worker import Process
from warnsvc.store.port import Store, StoreFault
from warnsvc.web.health import create_health
from warnsvc.worker.presence import Presence
from warnsvc.worker.pulse import Pulse
from warnsvc.worker.watchdog import Watchdog

__all__ = ["postgresql_url", "reused_postgresql_url", "store"]

pytestmark = pytest.mark.parametrize("backend", ["sqlite", "postgresql"], indirect=True)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "METRICS.md"
ROW = re.compile(r"^\| `(warnsvc_\w+)` \| (.*?) \|", re.MULTILINE)


@asynccontextmanager
async def asked(county: County, pulse: Pulse) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(create_health(county.ctx, pulse))) as client:
        yield client


async def working(county: County) -> Pulse:
    """Everything has just been done."""
    pulse = Pulse()
    await Presence(county.ctx, Process(owner="host:1:a", role="worker"), pulse).step()
    await county.settle()
    await sequence_ledger(county.ctx)
    dog = Watchdog(county.ctx, pulse, owner="host:1:a")
    for _ in range(2):
        await dog.look()
    pulse.passed_at = county.clock.now()
    return pulse


async def test_a_process_that_works_is_ready(store: Store) -> None:
    county = await County.build(store)
    pulse = await working(county)

    async with asked(county, pulse) as client:
        ready = await client.get("/readyz")
        alive = await client.get("/healthz")

        assert (ready.status, alive.status) == (200, 200)
        assert (await ready.json())["late"] == []


async def test_what_is_late_is_named(store: Store) -> None:
    county = await County.build(store)
    await county.red_warning()
    county.clock.move(minutes=5, seconds=3)
    pulse = Pulse()
    dog = Watchdog(county.ctx, pulse, owner="host:1:a")
    await Presence(county.ctx, Process(owner="host:1:a", role="worker"), pulse).step()
    await sequence_ledger(county.ctx)
    for _ in range(2):
        await dog.look()
    pulse.passed_at = county.clock.now()

    async with asked(county, pulse) as client:
        ready = await client.get("/readyz")

        assert ready.status == 503
        body = await ready.json()
        assert body["status"] == "late"
        assert body["late"] == ["escalation", "callout"]


async def test_without_a_database_it_says_so_in_json(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    county = await County.build(store)
    pulse = await working(county)

    def away() -> None:
        raise StoreFault("the connection is lost")

    monkeypatch.setattr(county.store, "view", away)
    async with asked(county, pulse) as client:
        ready, metrics = await client.get("/readyz"), await client.get("/metrics")

        assert ready.status == 503
        assert (await ready.json())["late"] == ["database"]
        assert metrics.status == 200
        numbers = await _numbers(await metrics.text())
        assert numbers["warnsvc_database_up", ()] == 0
        assert ("warnsvc_attempts_sending", ()) not in numbers


async def test_a_database_that_says_nothing_is_not_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    county = await County.build(store)
    pulse = await working(county)

    @asynccontextmanager
    async def silent() -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(county.store, "view", silent)
    monkeypatch.setattr("warnsvc.web.health.DATABASE_SECONDS", 0.01)
    async with asked(county, pulse) as client:
        ready = await client.get("/readyz")

        assert (await ready.json())["late"] == ["database"]


async def test_a_process_without_pages_has_no_pages(store: Store) -> None:
    county = await County.build(store)

    async with asked(county, Pulse()) as client:
        for path in ("/", "/login", "/callbacks/sms/x", "/static/console.css"):
            assert (await client.get(path)).status == 404, path


# Numbers -------------------------------------------------------------------------------------


async def _numbers(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_page_lists_every_number_and_no_other(store: Store) -> None:
    """Everything that one process of each kind would show, with something in every table."""
    county = await County.build(store)
    settings = county.ctx.settings.model_copy(update={"heartbeat_url": SecretStr("https://x.org")})
    object.__setattr__(county.ctx, "settings", settings)
    await county.red_warning()
    county.clock.move(minutes=10)
    object.__setattr__(county.ctx, "clock", _same(county))
    pulse = await working_but_late(county)
    house = House(ctx=county.ctx, channels=county.channels, owner="host:1:a")
    build_engine(house, pulse)
    build_web(house, pulse)
    for task in _heartbeat(house, pulse, Watchdog(county.ctx, pulse, owner="host:1:a")):
        task.cancel()
    async with county.store.unit() as unit:
        await unit.execute(
            "INSERT INTO circuit (name, state, failures, openings, last_error, changed_at)"
            " VALUES ('sms', 'closed', 0, 0, '', $1)",
            county.clock.now(),
        )
        await unit.execute(
            "INSERT INTO test_send (id, carrier, purpose, address, text, state, sent_at, answer)"
            " VALUES (1, 'fake-sms', 'canary', '+8615400009999', '', 'delivered', $1, '')",
            county.clock.now(),
        )

    async with asked(county, pulse) as client:
        text = await (await client.get("/metrics")).text()

    shown = {
        family.name: " ".join(f"`{label}`" for label in family.samples[0].labels if label != "le")
        for family in text_string_to_metric_families(text)
        if family.samples and not family.name.endswith("_created")
    }
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    listed = {name: "" if labels == "–" else labels for name, labels in rows}
    assert shown == listed


def _same(county: County) -> SystemClock:
    start = county.clock

    def seconds() -> float:
        return start.now().timestamp()

    clock = SystemClock(wall=seconds, steady=seconds)
    clock.follow(start.now())
    return clock


async def working_but_late(county: County) -> Pulse:
    pulse = Pulse()
    await Presence(county.ctx, Process(owner="host:1:a", role="worker"), pulse).step()
    dog = Watchdog(county.ctx, pulse, owner="host:1:a")
    for _ in range(2):
        await dog.look()
    pulse.passed_at = county.ctx.clock.now()
    return pulse


async def test_the_numbers_are_right(store: Store) -> None:
    county = await County.build(store, villages=3)
    county.sms.script(Unknown(taken=True))
    await county.red_warning()
    pulse = await working(county)
    county.clock.move(seconds=4)

    async with asked(county, pulse) as client:
        numbers = await _numbers(await (await client.get("/metrics")).text())

    assert numbers["warnsvc_escalations_calling", ()] == 3
    assert numbers["warnsvc_attempts_unknown", ()] == 1
    assert numbers["warnsvc_unknown_oldest_seconds", ()] == 4
    assert numbers["warnsvc_attempts_waiting", ("sms",)] == 0
    assert numbers["warnsvc_workers_alive", ("worker",)] == 1
    assert numbers["warnsvc_beat_age_seconds", ()] == 4
    assert numbers["warnsvc_oldest_due_seconds", ("escalation",)] == 0
    await county.finish()


async def test_how_carriers_stand_is_a_number_each(store: Store) -> None:
    county = await County.build(store)
    ctx = with_carriers(county, sms=Canary())
    county.sms.script(Accept(early=(ReceiptWord.DELIVERED,)))
    begun = county.clock.now()
    await tend_canaries(ctx)
    county.sms.script(Throttle(retry_after=1.0))
    county.voice.always(Reject(ErrorClass.CONFIG))
    await county.red_warning()
    await county.advance(minutes=5)

    async with asked(county, Pulse()) as client:
        text = await (await client.get("/metrics")).text()

    numbers = await _numbers(text)
    assert numbers["warnsvc_carrier_circuit", ("fake-sms", "closed")] == 1
    assert numbers["warnsvc_carrier_circuit", ("fake-sms", "open")] == 0
    assert numbers["warnsvc_carrier_circuit", ("fake-voice", "open")] == 1
    assert numbers["warnsvc_carrier_pace_factor", ("fake-sms",)] == 1
    assert numbers["warnsvc_canary_last_ok_timestamp_seconds", ("fake-sms",)] == begun.timestamp()
    assert ("warnsvc_canary_last_ok_timestamp_seconds", ("fake-voice",)) not in numbers
    assert "9999" not in text
    county.voice.always(None)
    await county.finish()


async def test_lateness_is_counted_when_a_window_is_closed(store: Store) -> None:
    county = await County.build(store, villages=2)
    await county.red_warning()
    county.clock.move(minutes=5, seconds=1.5)
    await county.settle()

    async with asked(county, Pulse()) as client:
        numbers = await _numbers(await (await client.get("/metrics")).text())

    assert numbers["warnsvc_lateness_seconds_count", ()] == 2
    assert numbers["warnsvc_lateness_seconds_sum", ()] == 3
    assert numbers["warnsvc_lateness_seconds_bucket", ("1.0",)] == 0
    assert numbers["warnsvc_lateness_seconds_bucket", ("2.0",)] == 2
    await county.finish()

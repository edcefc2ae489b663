"""An answer that we said 2xx to is on disk (law 4)."""

import asyncio

import pytest

from channels.base import ReceiptEvent, ReceiptWord
from tests.fakes.county import County, context
from tests.fakes.faulty_store import FaultyStore
from warnsvc.service import intake
from warnsvc.service.context import WAKE_FACTS
from warnsvc.service.intake import Intake, IntakeFull
from warnsvc.store.inbound import Inbound
from warnsvc.store.port import Store, StoreFault


def fact(county: County, key: str, text: str = "1", **changes: object) -> Inbound:
    fields = {
        "kind": "answer",
        "carrier": "sim",
        "channel": "sms",
        "dedupe_key": key,
        "received_at": county.clock.now(),
        "sender": "+8615400000001",
        "text": text,
        **changes,
    }
    return Inbound(**fields)  # type: ignore[arg-type]


async def test_it_returns_only_when_the_fact_can_be_read_back(county: County) -> None:
    await Intake(county.ctx).accept([fact(county, "k1")])

    (row,) = await county.rows("SELECT state, dedupe_key FROM inbound")
    assert tuple(row) == ("new", "sim:k1")


async def test_what_comes_together_shares_a_commit(store: Store) -> None:
    faulty = FaultyStore(store)
    county = await County.build(faulty)
    taker, before = Intake(county.ctx), faulty.units

    await asyncio.gather(*(taker.accept([fact(county, f"k{n}")]) for n in range(50)))

    assert len(await county.rows("SELECT id FROM inbound")) == 50
    assert faulty.units - before <= 2


async def test_a_repeat_is_accepted_and_kept_once(county: County) -> None:
    taker = Intake(county.ctx)

    await taker.accept([fact(county, "k1"), fact(county, "k1")])
    await taker.accept([fact(county, "k1", text="2")])

    (row,) = await county.rows("SELECT text FROM inbound")
    assert row["text"] == "1"


async def test_a_fault_reaches_everybody_who_waits_and_the_next_one_is_taken(store: Store) -> None:
    faulty = FaultyStore(store)
    county = await County.build(faulty)
    taker = Intake(county.ctx)
    faulty.fail_on("INSERT INTO inbound")

    refused = await asyncio.gather(
        *(taker.accept([fact(county, f"k{n}")]) for n in range(3)), return_exceptions=True
    )

    assert [type(fault) for fault in refused] == [StoreFault] * 3
    assert await county.rows("SELECT id FROM inbound") == []
    await taker.accept([fact(county, "k0")])
    assert len(await county.rows("SELECT id FROM inbound")) == 1


async def test_when_the_disk_does_not_keep_up_the_carrier_is_told_to_come_again(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "WAITING_MAX", 3)
    taker = Intake(county.ctx)

    came = await asyncio.gather(
        *(taker.accept([fact(county, f"k{n}")]) for n in range(5)), return_exceptions=True
    )

    assert [type(outcome) for outcome in came[3:]] == [IntakeFull, IntakeFull]
    assert len(await county.rows("SELECT id FROM inbound")) == 3


async def test_the_engine_is_woken_when_it_is_durable(county: County) -> None:
    async with county.store.listen() as topics:
        await Intake(county.ctx).accept([fact(county, "k1")])
        assert await anext(topics) == WAKE_FACTS


HOSTILE = {
    "a NUL": ("收\x00到", "收到"),
    "half a surrogate pair": ("1\ud800", "1?"),
    "a flood": ("水" * 5_000, "水" * 2_000),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_text_does_not_spoil_the_batch_it_came_in(
    county: County, kind: str
) -> None:
    text, kept = HOSTILE[kind]

    await Intake(county.ctx).accept([fact(county, "good"), fact(county, "bad", text=text)])

    rows = await county.rows("SELECT text FROM inbound ORDER BY id")
    assert [row["text"] for row in rows] == ["1", kept]


@pytest.mark.parametrize("key", ["k" * 5_000, "k\x00", "k\udfff"])
async def test_a_strange_key_still_tells_repeats_apart(county: County, key: str) -> None:
    taker = Intake(county.ctx)

    await taker.accept([fact(county, key), fact(county, f"{key}x")])
    await taker.accept([fact(county, key)])

    assert len(await county.rows("SELECT id FROM inbound")) == 2


async def test_facts_of_nobody_are_no_facts(county: County) -> None:
    await Intake(context(county.store, county.clock, {})).accept([])

    assert await county.rows("SELECT id FROM inbound") == []


async def test_a_length_that_no_call_can_have_is_no_fault_of_the_others(county: County) -> None:
    event = ReceiptEvent(
        token=county.ctx.token("attempt", 1),
        word=ReceiptWord.CUT_SHORT,
        dedupe_key="endless",
        heard_seconds=float("9" * 400),
    )

    fact = intake.receipt_fact(county.ctx, county.voice, event, county.clock.now())

    assert '"heard_ms":86400000' in fact.fact_json.replace(" ", "")

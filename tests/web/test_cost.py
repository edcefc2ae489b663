"""By which carrier a bulletin goes, and what it costs before and after."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contacts.directory.bulk import bulk_load
from tests.fakes.clock import ManualClock
from tests.web.carriers import carrier_settings, fleet
from tests.web.rig import Desk, context, people, regions, settings
from warnsvc.service.officer import Role
from warnsvc.service.preview import preview
from warnsvc.store.port import Store
from warnsvc.web.cost import costs_so_far, foreseen_costs


def priced(folder: Path, **prices: float) -> list[dict[str, Any]]:
    """The carriers, some with a price: `sms_county=0.045`."""
    known = {name.replace("_", "-"): price for name, price in prices.items()}
    return [
        {**carrier, "price": known.get(carrier["name"], 0.0)}
        for carrier in carrier_settings(folder)
    ]


@pytest.fixture
async def house(store: Store, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk whose text carrier costs 4.5 fen a part; nobody knows what calls cost."""
    clock = ManualClock()
    chosen = settings(tmp_path / "data", carriers=priced(tmp_path, sms_county=0.045))
    ctx = context(store, clock, chosen, fleet(clock))
    async with store.unit() as unit:
        await bulk_load(unit, regions(), people(), now=clock.now())
    async with Desk(ctx, clock) as desk:
        await desk.add("duty", Role.DUTY)
        await desk.add("signer", Role.SIGNER)
        yield desk


async def test_before_release_each_text_has_its_way_and_its_cost(house: Desk) -> None:
    number = await house.signed()

    seen = await preview(house.ctx, number)
    costs = foreseen_costs(house.ctx, seen.messages)

    chinese = next(c for c in costs.lines if (c.channel, c.language) == ("sms", "zh"))
    message = next(m for m in seen.messages if (m.channel, m.language) == ("sms", "zh"))
    assert chinese.carriers == ("sms-county",), "the other brings no answers from home"
    assert chinese.units == message.parts * message.people
    assert chinese.cost == pytest.approx(chinese.units * 0.045)
    assert not costs.whole
    assert costs.sums == {"CNY": pytest.approx(chinese.units * 0.045)}


async def test_a_text_that_nobody_can_bring_answers_to_is_not_sent(house: Desk) -> None:
    number = await house.signed()

    costs = foreseen_costs(house.ctx, (await preview(house.ctx, number)).messages)

    assert "ug" not in {c.language for c in costs.lines if c.channel == "sms"}


async def test_after_release_what_carriers_took_is_counted(house: Desk) -> None:
    number = await house.released()
    async with house.ctx.store.unit() as unit:
        await unit.execute(
            "UPDATE attempt SET state = 'accepted', sent_at = $1, carrier = 'sms-county'"
            " WHERE channel = 'sms' AND bulletin_id = $2",
            house.clock.now(),
            number,
        )

    async with house.ctx.store.view() as view:
        costs = await costs_so_far(house.ctx, view, number)
        row = await view.fetch_one(
            "SELECT count(*) AS sends, sum(m.parts) AS parts FROM attempt a"
            " JOIN message m ON m.id = a.message_id WHERE a.channel = 'sms'"
        )

    (line,) = costs.lines
    assert row is not None
    assert (line.people, line.units) == (row["sends"], row["parts"])
    assert line.cost == pytest.approx(row["parts"] * 0.045)
    assert costs.whole


async def test_the_page_shows_way_and_cost_in_both_languages(house: Desk) -> None:
    number = await house.signed()
    browser = await house.logged_in("signer")

    _, chinese = await browser.get(f"/bulletins/{number}")
    _, english = await browser.post("/language", {"to": "en", "back": f"/bulletins/{number}"})

    assert "经由哪个通道，大约多少钱" in chinese
    assert "¥" in chinese
    assert "没有单价" in chinese
    assert "By which carrier" in english


async def test_a_house_without_carriers_shows_no_empty_table(desk: Desk) -> None:
    number = await desk.draft()
    browser = await desk.logged_in("duty")

    status, _ = await browser.get(f"/bulletins/{number}")

    assert status == 200

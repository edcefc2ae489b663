"""The outbox: row first, then act, then record; many at once, and none in the others' way."""

import asyncio

import pytest

from channels.base import SendRequest
from channels.errors import ErrorClass
from tests.fakes.channel import Reject
from tests.fakes.county import County
from tests.fakes.faulty_store import FaultyStore
from warnsvc.outbox import Outbox
from warnsvc.outbox import record as outbox_module
from warnsvc.store.attempt import Outcome
from warnsvc.store.port import IntegrityFault, Store

SECONDS_MAX = 20.0
"""After that nothing will happen any more."""


async def test_no_transaction_is_open_while_a_carrier_is_being_called(county: County) -> None:
    """Law 6. A second unit of the same task would be refused while one is open."""
    seen: list[str] = []

    async def look(request: SendRequest) -> None:
        async with county.store.unit() as unit:
            rows = await unit.fetch("SELECT state FROM attempt WHERE address = $1", request.to)
            seen.extend(row["state"] for row in rows)

    county.sms.before_send = county.voice.before_send = look
    await county.red_warning()

    assert seen  # the row was there first, and its claim was committed
    assert set(seen) == {"sending"}


async def test_it_sends_everything_at_once_and_can_be_drained(store: Store) -> None:
    county = await County.build(store, villages=20, tiers=1)
    await county.release(await county.signed())
    all_sent = asyncio.Event()

    async def count(_: SendRequest) -> None:
        if len(county.sms.tries) + len(county.voice.tries) == 40:
            all_sent.set()

    county.sms.before_send = county.voice.before_send = count
    running = asyncio.create_task(county.outbox.run())
    async with asyncio.timeout(SECONDS_MAX):
        await all_sent.wait()
    await county.outbox.drain(SECONDS_MAX)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert county.outbox.in_flight == 0
    states = await county.rows("SELECT state, COUNT(*) AS many FROM attempt GROUP BY state")
    assert [tuple(row) for row in states] == [("accepted", 40)]


async def test_what_is_drained_claims_no_more(county: County) -> None:
    await county.release(await county.signed())

    await county.outbox.drain(0.0)
    await county.outbox.step()

    assert county.sms.tries == []


async def test_a_batch_that_breaks_a_rule_of_the_database_is_written_in_parts(
    store: Store,
) -> None:
    faulty = FaultyStore(store)
    county = await County.build(faulty, villages=4, tiers=1)
    await county.release(await county.signed())
    faulty.fail_on("carrier = g.carrier", fault=IntegrityFault("a rule"), times=2)

    await county.settle()

    states = await county.rows("SELECT state, COUNT(*) AS many FROM attempt GROUP BY state")
    assert [tuple(row) for row in states] == [("accepted", 8)]
    assert len(county.sms.tries) == 4


async def test_one_outcome_that_cannot_be_written_is_looked_up_and_holds_back_nobody(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    await county.release(await county.signed())
    record = outbox_module.record_outcomes
    (first,) = await county.rows("SELECT MIN(id) AS id FROM attempt")

    async def refuses_one(unit: object, outcomes: list[Outcome], *, owner: str) -> int:
        if any(outcome.attempt_id == first["id"] for outcome in outcomes):
            raise ValueError("the database cannot hold this")
        return await record(unit, outcomes, owner=owner)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(outbox_module, "record_outcomes", refuses_one)
        await county.settle()
    states = await county.rows("SELECT state, COUNT(*) AS n FROM attempt GROUP BY state ORDER BY 1")
    assert [tuple(row) for row in states] == [("accepted", 3), ("sending", 1)]
    assert county.outbox.in_flight == 0

    await county.advance(seconds=61)

    (row,) = await county.rows("SELECT state, send_count FROM attempt WHERE id = $1", first["id"])
    assert tuple(row) == ("accepted", 1)


async def test_a_carriers_reason_that_no_database_takes_is_cleaned(county: County) -> None:
    village, _ = county.villages
    county.sms.script(Reject(ErrorClass.OTHER, "no\x00such \ud800"), to=village.first.phone.address)

    warning = await county.red_warning()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["error_text"]) == ("failed", "other nosuch ?")


async def test_only_the_channels_it_has_are_claimed(county: County) -> None:
    warning = await county.release(await county.signed())
    only_voice = Outbox(county.ctx, {"voice": county.voice}, owner="voice only")

    while await only_voice.step():
        pass

    for village in county.villages:
        states = {a["channel"]: a["state"] for a in await warning.attempts(village.first)}
        assert states == {"sms": "planned", "voice": "accepted"}


async def test_every_callback_address_names_its_try_and_nobody_can_guess_another(
    county: County,
) -> None:
    await county.red_warning()

    for taken in (*county.sms.taken, *county.voice.taken):
        attempt_id = county.ctx.read_token("attempt", taken.request.token)
        assert attempt_id is not None
        assert taken.request.callback_url.endswith(f"/{taken.request.token}")
        assert county.ctx.read_token("callout", taken.request.token) is None
        (row,) = await county.rows("SELECT address FROM attempt WHERE id = $1", attempt_id)
        assert row["address"] == taken.to

"""Facts are applied in order, exactly once; one that spoils its batch is set aside for a human."""

import pytest

from channels.base import ReceiptWord
from channels.errors import ErrorClass
from tests.fakes.county import County
from tests.fakes.faulty_store import FaultyStore
from warnsvc.service.inbound import apply_inbound
from warnsvc.service.ledger import verify
from warnsvc.store.inbound import TRIES_MAX
from warnsvc.store.port import Store, StoreFault


async def poison(county: County, key: str = "poison") -> int:
    """Write a receipt whose words nobody can read; return its id."""
    async with county.store.unit() as unit:
        (new_id,) = await unit.new_ids("inbound", 1)
        await unit.execute(
            "INSERT INTO inbound (id, kind, carrier, channel, dedupe_key, sender, text, fact_json,"
            " received_at, state, tries, note)"
            " VALUES ($1, 'receipt', 'sim', 'sms', $2, '', '', '{\"word\":\"no such\"}', $3,"
            " 'new', 0, '')",
            new_id,
            key,
            county.clock.now(),
        )
    return new_id


async def test_a_fact_that_nobody_can_read_is_set_aside_and_the_others_are_applied(
    county: County,
) -> None:
    one, other = county.villages
    warning = await county.red_warning()
    one.expects_sms().replies("1")
    await county.take_mail()
    bad = await poison(county)
    other.expects_sms().replies("1")

    await county.settle()

    assert await warning.states() == {"answered": 2}
    (row,) = await county.rows("SELECT state, tries FROM inbound WHERE id = $1", bad)
    assert tuple(row) == ("poison", TRIES_MAX)
    (alarm,) = await county.alarms("poison")
    assert alarm["text"] == str(bad)
    lines = await county.rows("SELECT id FROM ledger_line WHERE act = 'inbound.poison'")
    assert len(lines) == 1
    assert (await verify(county.ctx)).ok


async def test_every_bad_fact_gets_its_own_alarm(county: County) -> None:
    bad = [await poison(county, f"p{n}") for n in range(3)]

    await county.settle()

    assert [a["text"] for a in await county.alarms("poison")] == [str(b) for b in bad]


async def test_a_fault_of_the_database_blames_no_fact(store: Store) -> None:
    faulty = FaultyStore(store)
    county = await County.build(faulty)
    (village,) = county.villages
    warning = await county.red_warning()
    village.expects_sms().replies("1")
    await county.take_mail()

    for _ in range(TRIES_MAX + 1):
        faulty.fail_on("UPDATE callout SET state")
        with pytest.raises(StoreFault):
            await apply_inbound(county.ctx)

    (row,) = await county.rows("SELECT state, tries FROM inbound")
    assert tuple(row) == ("new", 0)
    await county.settle()
    assert await warning.state(village) == "answered"


async def test_a_mistake_of_ours_delays_an_answer_and_does_not_lose_it(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intake is a fact, application a decision: after the mistake is mended, it is applied."""
    one, _ = county.villages
    warning = await county.red_warning()
    one.expects_sms().replies("1")
    await county.take_mail()

    def mistaken(*_: object, **__: object) -> None:
        raise KeyError("a mistake in a rule")

    with monkeypatch.context() as patched:
        patched.setattr("warnsvc.core.case.Case.answered", mistaken)
        await apply_inbound(county.ctx)
    assert await warning.state(one) == "calling"

    await county.settle()

    assert await warning.state(one) == "answered"


async def test_answers_and_receipts_of_one_batch_are_applied_together(county: County) -> None:
    one, other = county.villages
    warning = await county.red_warning()
    text = one.expects_sms()
    text.arrives()
    text.replies("1")
    one.expects_call().is_cut_short()
    other.expects_sms().fails(ErrorClass.BAD_NUMBER)
    other.expects_call().receipt(ReceiptWord.RINGING)
    await county.take_mail()

    assert await apply_inbound(county.ctx) == 6

    assert await warning.state(one) == "answered"
    assert (await warning.callout(one.first))["rung"] == 6
    assert (await warning.callout(other.first))["rung"] == 3
    assert await apply_inbound(county.ctx) == 0


async def test_a_refusal_after_an_answer_raises_an_alarm_and_the_region_stays_answered(
    county: County,
) -> None:
    one, _ = county.villages
    warning = await county.red_warning()
    text = one.expects_sms()
    text.replies("1")
    await county.settle()

    text.replies("2")
    await county.settle()

    assert await warning.state(one) == "answered"
    assert len(await county.alarms("refused")) == 1


async def test_an_answer_after_a_refusal_counts(county: County) -> None:
    one, _ = county.villages
    warning = await county.red_warning()
    text = one.expects_sms()
    text.replies("2")
    await county.settle()

    text.replies("1")
    await county.settle()

    assert await warning.state(one) == "answered"
    assert (await warning.callout(one.first))["state"] == "answered"

"""Receipts that name only their carrier's own reference, as a China Mobile MAS posts them.

Whichever comes first, the receipt or our own record of the send, and whoever takes it: it finds its
message. What finds none waits for a day, and rings no bell.
"""

from dataclasses import replace

import pytest

from channels.base import ChannelKind, ReceiptWord, SendRequest
from channels.errors import ErrorClass
from tests.fakes.account import TEST_PHONE
from tests.fakes.channel import Accept, FakeChannel, Taken, Unknown
from tests.fakes.county import County, Issued
from tests.story.conftest import Build
from warnsvc.service.inbound import apply_inbound
from warnsvc.service.test_send import send_test
from warnsvc.store.inbound import insert_inbound
from warnsvc.store.port import Row
from warnsvc.store.reference import REFERENCE_CHARS_MAX
from warnsvc.web.callback import hear


async def test_it_finds_its_message_after_a_restart(build: Build) -> None:
    county = await _county(build)
    (village,) = county.villages
    warning = await county.red_warning()
    text = village.expects_sms()

    county.crash()
    text.arrives()
    await county.settle()

    assert await _sms(warning) == ["delivered"]
    (fact,) = await _facts(county)
    (attempt,) = await warning.attempts(village.first, channel="sms")
    assert (fact["state"], fact["attempt_id"]) == ("applied", attempt["id"])


async def test_it_may_overtake_its_own_send(build: Build) -> None:
    """The engine takes it before the outcome is written: it waits, and nobody is told to look."""
    county = await _county(build)
    county.sms.script(Accept(early=(ReceiptWord.SENT, ReceiptWord.DELIVERED)))
    await county.release(await county.signed())
    warning = county.warnings[-1]
    seen: list[str] = []

    async def engine_is_quick(_: object) -> None:
        await county.engine.one_pass()
        seen.extend(fact["state"] for fact in await _facts(county))

    county.voice.before_send = engine_is_quick  # applies what came while the outbox is sending
    await county.settle()

    assert seen == ["parked", "parked"]
    assert await _sms(warning) == ["delivered"]
    assert {fact["state"] for fact in await _facts(county)} == {"applied"}
    assert await county.alarms("unmatched") == []


async def test_another_process_may_take_it(build: Build) -> None:
    county = await _county(build)
    (village,) = county.villages
    warning = await county.red_warning()
    callback = village.expects_sms().receipt(ReceiptWord.DELIVERED)
    county.sms.mail.clear()
    elsewhere = FakeChannel(ChannelKind.SMS, clock=county.clock.now)
    elsewhere.capabilities = county.sms.capabilities

    async with county.store.unit() as unit:
        await insert_inbound(unit, hear(county.ctx, elsewhere, callback).facts)
    await county.settle()

    assert await _sms(warning) == ["delivered"]


async def test_it_counts_once_however_often_it_comes(build: Build) -> None:
    county = await _county(build)
    (village,) = county.villages
    warning = await county.red_warning()
    callback = village.expects_sms().receipt(ReceiptWord.DELIVERED)
    await county.settle()
    before = await warning.acts()

    county.sms.mail.extend([callback, callback])
    await county.settle()

    assert len(await _facts(county)) == 1
    assert await warning.acts() == before
    assert await _sms(warning) == ["delivered"]


async def test_two_that_wait_for_one_message_are_both_applied(build: Build) -> None:
    county = await _county(build)
    words = (ReceiptWord.ACCEPTED, ReceiptWord.DELIVERED)
    county.sms.script(Accept(early=words))
    await county.release(await county.signed())
    taken = 0

    async def engine_is_quick(_: object) -> None:
        nonlocal taken
        taken += await apply_inbound(county.ctx)
        taken += await apply_inbound(county.ctx)

    county.voice.before_send = engine_is_quick
    await county.settle()

    assert taken == len(words), "what is parked is not taken up at once again"
    assert await _sms(county.warnings[-1]) == ["delivered"]
    assert [fact["state"] for fact in await _facts(county)] == ["applied", "applied"]


async def test_two_phones_of_one_group_have_their_own_fates(build: Build) -> None:
    """One id is a whole batch's: with the number it is one message's."""
    county = await _county(build, villages=2)
    county.sms.group = "0711140000m0001"
    one, other = county.villages
    warning = await county.red_warning()

    one.expects_sms().arrives()
    other.expects_sms().fails(ErrorClass.OTHER)
    await county.settle()

    assert [a["state"] for a in await warning.attempts(one.first, channel="sms")] == ["delivered"]
    (lost,) = await warning.attempts(other.first, channel="sms")
    assert lost["state"] == "undelivered"


async def test_one_of_a_send_without_an_answer_waits_and_rings_no_bell(build: Build) -> None:
    county = await _county(build)
    county.sms.answers_lookups = False
    county.sms.script(Unknown(taken=True))
    warning = await county.red_warning()
    (taken,) = county.sms.taken

    county.sms.receipt(taken, ReceiptWord.DELIVERED)
    await county.settle()

    assert [fact["state"] for fact in await _facts(county)] == ["parked"]
    assert await _sms(warning) == ["unknown"]
    assert await county.alarms("unmatched") == []


async def test_one_that_was_looked_up_is_known_by_its_reference_from_then_on(build: Build) -> None:
    county = await _county(build)
    county.sms.script(Unknown(taken=True))
    warning = await county.red_warning()
    (taken,) = county.sms.taken
    county.sms.receipt(taken, ReceiptWord.SENT)
    await county.settle()

    await county.advance(seconds=15)  # it is looked up
    county.sms.receipt(taken, ReceiptWord.DELIVERED)
    await county.settle()

    assert await _sms(warning) == ["delivered"]
    assert {fact["state"] for fact in await _facts(county)} == {"applied"}


async def test_one_that_has_waited_for_a_day_is_about_something_else(build: Build) -> None:
    """The gateway's counter may have begun anew."""
    county = await _county(build)
    await _overheard(county, reference="FK10")
    await county.settle()
    county.clock.move(hours=25)

    warning = await county.red_warning()

    assert county.sms.taken[0].sid == "FK10"
    assert await _sms(warning) == ["accepted"]
    assert [fact["state"] for fact in await _facts(county)] == ["parked"]


async def test_another_carrier_is_not_believed_about_it(build: Build) -> None:
    county = await _county(build)
    warning = await county.red_warning()
    liar = FakeChannel(ChannelKind.SMS, clock=county.clock.now, name="fake-liar")
    liar.capabilities = county.sms.capabilities

    await _overheard(county, reference=county.sms.taken[0].sid, by=liar)
    await county.settle()

    assert await _sms(warning) == ["accepted"]


async def test_a_very_long_reference_is_as_good_as_any(build: Build) -> None:
    county = await _county(build)
    county.sms.group = "编" * (REFERENCE_CHARS_MAX + 1)
    county.sms.script(Accept(early=(ReceiptWord.SENT,)))
    await county.release(await county.signed())
    await county.settle()

    county.villages[0].expects_sms().arrives()
    await county.settle()

    assert await _sms(county.warnings[-1]) == ["delivered"]


@pytest.mark.parametrize("early", [True, False], ids=["before the outcome", "after it"])
async def test_a_test_hears_of_its_receipt_too(build: Build, early: bool) -> None:
    """Or a canary would be taken for lost."""
    county = await _county(build)
    county.sms.script(Accept(early=(ReceiptWord.DELIVERED,) if early else ()))
    own_post = county.sms.post
    assert own_post is not None

    async def post_and_apply(callback: object) -> None:
        await own_post(callback)  # type: ignore[arg-type]
        await apply_inbound(county.ctx)

    county.sms.post = post_and_apply
    await send_test(county.ctx, county.sms, address=TEST_PHONE, officer_id=county.duty)
    if not early:
        county.sms.receipt(county.sms.taken[0], ReceiptWord.DELIVERED)
    await county.settle()

    (test,) = await county.rows("SELECT state, receipt_at FROM test_send")
    assert (test["state"], test["receipt_at"]) == ("delivered", county.clock.now())
    (fact,) = await _facts(county)
    assert (fact["state"], fact["attempt_id"]) == ("applied", None)


async def test_for_carriers_that_know_our_token_nothing_is_written(build: Build) -> None:
    county = await build()
    await county.red_warning()

    county.villages[0].expects_sms().arrives()
    await county.settle()

    assert await county.rows("SELECT * FROM send_reference") == []


async def _county(build: Build, **options: int) -> County:
    """A county whose text messages go through such a carrier."""
    county = await build(**options)
    sms = county.sms
    sms.capabilities = replace(sms.capabilities, receipts_by_reference=True)
    county.start()
    return county


async def _sms(warning: Issued) -> list[str]:
    village = warning.county.villages[0]
    return [row["state"] for row in await warning.attempts(village.first, channel="sms")]


async def _facts(county: County) -> list[Row]:
    return await county.rows("SELECT * FROM inbound WHERE kind = 'receipt' ORDER BY id")


async def _overheard(county: County, *, reference: str, by: FakeChannel | None = None) -> None:
    """Let a carrier tell of a message that it calls so."""
    carrier = by or county.sms
    other = FakeChannel(ChannelKind.SMS, clock=county.clock.now, name=carrier.name)
    other.capabilities = carrier.capabilities
    now = county.clock.now()
    asked = SendRequest(
        token="whatever",
        to="+8615400000099",
        text="",
        language="zh",
        valid_until=now,
        callback_url=f"http://127.0.0.1:8080/callbacks/{carrier.name}",
    )
    callback = other.receipt(Taken(reference, asked, now), ReceiptWord.DELIVERED)
    async with county.store.unit() as unit:
        await insert_inbound(unit, hear(county.ctx, carrier, callback).facts)

"""A receipt is not an answer (law 1), whatever it says, however often and in whichever order."""

import pytest

from channels.base import ReceiptWord
from channels.errors import ErrorClass
from tests.fakes.channel import Accept
from tests.fakes.county import Issued
from tests.story.conftest import Build
from warnsvc.core.bulletin import Colour

YELLOW = {"colour": Colour.YELLOW, "texts": {"zh": "暴雨黄色预警：请注意防范。"}}
ORANGE = {"colour": Colour.ORANGE, "texts": {"zh": "暴雨橙色预警：请做好转移准备。"}}


async def test_delivered_never_stops_the_clock(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    village.expects_sms().arrives()
    await county.settle()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["state"] == "delivered"
    assert (await warning.callout(village.first))["rung"] == 2
    await county.advance(seconds=100)
    village.expects_call("暴雨红色")
    await county.advance(seconds=200)
    village.second.expects_sms("暴雨红色")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "error", [ErrorClass.VOICEMAIL, ErrorClass.BUSY, ErrorClass.NO_ANSWER, ErrorClass.OTHER]
)
async def test_a_call_that_reached_no_person_closes_nothing(
    build: Build, error: ErrorClass
) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    village.expects_call().fails(error)
    await county.settle()

    assert await warning.state(village) == "calling"
    (call,) = await warning.attempts(village.first, channel="voice")
    assert (call["state"], call["error_class"]) == ("undelivered", error.value)
    await county.advance(seconds=100)
    village.expects_call("暴雨红色")  # the next round calls again


async def test_a_call_that_was_cut_short_closes_nothing_and_is_made_again(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    village.expects_call().is_cut_short()
    await county.settle()

    assert await warning.state(village) == "calling"
    assert (await warning.callout(village.first))["rung"] == 4
    await county.advance(seconds=100)
    village.expects_call("暴雨红色").is_cut_short()
    await county.advance(seconds=200)
    village.second.expects_sms("暴雨红色")


async def test_a_call_played_to_nobody_knows_whom_closes_nothing_and_is_made_again(
    build: Build,
) -> None:
    """What a carrier says that cannot tell a mailbox from a person (Aliyun)."""
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()

    village.expects_call().arrives()
    await county.settle()

    assert await warning.state(village) == "calling"
    await county.advance(seconds=100)
    village.expects_call("暴雨红色").arrives()
    await county.advance(seconds=200)
    village.second.expects_sms("暴雨红色")


async def test_heard_in_full_closes_a_yellow_warning(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning(**YELLOW)
    await county.advance(minutes=15)

    village.expects_call("暴雨黄色").is_heard()
    await county.settle()

    assert await warning.state(village) == "answered"


@pytest.mark.parametrize(("changes", "minutes"), [(ORANGE, 3), ({}, 0)], ids=["orange", "red"])
async def test_heard_in_full_does_not_close_orange_or_red(
    build: Build, changes: dict[str, object], minutes: int
) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning(**changes)
    await county.advance(minutes=minutes)

    village.expects_call().is_heard()
    await county.settle()

    assert await warning.state(village) == "calling"
    assert (await warning.callout(village.first))["rung"] == 5


async def test_callbacks_that_come_twice_change_nothing(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()
    village.expects_sms().arrives().replies("1")
    village.expects_call().is_cut_short()
    posted = [callback for channel in county.channels.values() for callback in channel.mail]
    await county.settle()
    before = await _everything(warning)

    county.sms.mail.extend(posted)
    await county.settle()
    county.sms.mail.extend(reversed(posted))
    await county.settle()

    assert await _everything(warning) == before


async def _everything(warning: Issued) -> list[object]:
    rows = []
    for table in ("escalation", "callout", "attempt", "answer", "inbound", "task", "alarm"):
        rows += [tuple(r) for r in await warning.county.rows(f"SELECT * FROM {table} ORDER BY id")]
    return [*rows, await warning.acts()]


async def test_receipts_out_of_order_never_lower_a_state(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()
    text = village.expects_sms()
    for word in (ReceiptWord.ACCEPTED, ReceiptWord.SENT, ReceiptWord.DELIVERED):
        text.receipt(word)
    county.sms.mail.reverse()

    seen = []
    while county.sms.mail:
        last = county.sms.mail.pop()
        county.sms.mail, rest = type(county.sms.mail)([last]), county.sms.mail
        await county.settle()
        county.sms.mail = rest
        (sms,) = await warning.attempts(village.first, channel="sms")
        seen.append((sms["state"], (await warning.callout(village.first))["rung"]))

    assert seen[-1] == ("delivered", 2)
    assert seen == sorted(seen)


async def test_delivered_after_undelivered_counts_and_not_the_other_way_round(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()
    text = village.expects_sms()

    text.fails(ErrorClass.OTHER).arrives()
    await county.settle()
    text.fails(ErrorClass.OTHER)
    await county.settle()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["error_class"]) == ("delivered", None)


async def test_a_receipt_that_comes_before_send_returns_is_not_undone_by_it(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.script(Accept(early=(ReceiptWord.SENT, ReceiptWord.DELIVERED)))
    await county.release(await county.signed())
    warning = county.warnings[-1]

    async def engine_is_quick(_: object) -> None:
        await county.engine.one_pass()

    county.voice.before_send = engine_is_quick  # applies what came while the outbox is sending
    await county.settle()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["carrier"]) == ("delivered", "fake-sms")
    assert sms["reference"] == county.sms.taken[0].sid


async def test_a_receipt_about_nothing_we_sent_is_set_aside(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning()
    text = village.expects_sms()
    callback = text.receipt(ReceiptWord.DELIVERED)
    county.sms.mail.remove(callback)
    attempt = (await warning.attempts(village.first, channel="sms"))[0]["id"]

    async with county.store.unit() as unit:
        await unit.execute(
            "INSERT INTO inbound (id, kind, carrier, channel, dedupe_key, attempt_id, sender, text,"
            " fact_json, received_at, state, tries, note) VALUES (900, 'receipt', 'fake-sms', 'sms',"
            " 'nobody', $1, '', '', '{\"word\":\"delivered\"}', $2, 'new', 0, '')",
            attempt + 10_000,
            county.clock.now(),
        )
    await county.settle()

    (fact,) = await county.rows("SELECT state FROM inbound WHERE id = 900")
    assert fact["state"] == "unmatched"

"""Routes: what one carrier does not take, or bring home, goes to the next one."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from channels.base import ChannelKind, Inquiry, PerCalleeLimit, ReceiptEvent, ReceiptWord
from channels.errors import ErrorClass
from tests.fakes.channel import Accept, FakeChannel, Reject, Throttle, Unknown
from tests.fakes.county import County, Issued
from tests.story.conftest import Build
from warnsvc.core.bulletin import Colour
from warnsvc.core.circuit import FAILURES_MAX, FULL_SECONDS
from warnsvc.core.route import RouteRule, refused_of
from warnsvc.service.preview import preview
from warnsvc.store.port import Store

SMS, VOICE = ChannelKind.SMS, ChannelKind.VOICE


def tokens(channel: FakeChannel) -> set[str]:
    return {taken.request.token for taken in channel.taken}


async def reroutings(warning: Issued) -> list[tuple[str, str]]:
    rows = await warning.county.rows(
        "SELECT body FROM ledger_line WHERE bulletin_id = $1 AND act = 'attempt.rerouted'",
        warning.id,
    )
    lines = [json.loads(row["body"]) for row in rows]
    return [(line["data"]["carrier"], line["why"]) for line in lines]


@pytest.mark.parametrize(
    "error", [ErrorClass.UNROUTABLE, ErrorClass.FILTERED, ErrorClass.CONFIG, ErrorClass.OTHER]
)
async def test_what_a_carrier_will_not_take_goes_to_the_next_at_once(
    build: Build, error: ErrorClass
) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    county.sms.always(Reject(error))

    warning = await county.red_warning()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["carrier"]) == ("accepted", spare.name)
    assert refused_of(sms["refused_by"]) == {"fake-sms"}
    assert len(spare.taken) == 1
    assert await reroutings(warning) == [("fake-sms", error.value)]


async def test_a_number_that_does_not_exist_is_no_reason_to_ask_another(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    county.sms.always(Reject(ErrorClass.BAD_NUMBER))

    warning = await county.red_warning()

    assert spare.tries == []
    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["state"] == "failed"


async def test_when_nobody_takes_it_it_has_failed(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    county.sms.always(Reject(ErrorClass.FILTERED))
    spare.always(Reject(ErrorClass.FILTERED))

    warning = await county.red_warning()

    attempts = await warning.attempts(village.first, channel="sms")
    assert [a["state"] for a in attempts] == ["failed"]
    assert (len(county.sms.tries), len(spare.tries)) == (1, 1)


async def test_a_carrier_that_takes_no_connection_is_passed_over(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    county.sms.always(Throttle(2.0, ErrorClass.DOWN))

    await county.red_warning()

    village.expects_call()
    assert [taken.to for taken in spare.taken] == [village.first.phones[0].address]


async def test_while_a_circuit_is_open_the_next_carrier_has_the_work(store: Store) -> None:
    county = await County.build(store, villages=40, tiers=1)
    spare = county.spare(SMS)
    county.sms.capabilities = replace(county.sms.capabilities, per_second=5.0)
    county.routes(*county.ctx.fleet.routes)
    county.sms.always(Throttle(2.0, ErrorClass.DOWN))

    await county.red_warning()
    await county.advance(seconds=15)

    assert len(spare.taken) == 40
    assert FAILURES_MAX <= len(county.sms.tries) < 20
    await county.finish()


async def test_once_the_first_carrier_is_back_it_has_its_work_back(store: Store) -> None:
    county = await County.build(store, villages=4, tiers=1)
    spare = county.spare(SMS)
    county.sms.always(Reject(ErrorClass.CONFIG))
    await county.red_warning()
    county.sms.always(None)
    await county.advance(seconds=60)
    await county.red_warning()
    await county.advance(seconds=30)
    assert len(county.sms.taken) >= 1  # the probe; the others did not wait for it
    copies, own = len(spare.taken), len(county.sms.taken)

    await county.red_warning()
    await county.advance(seconds=30)

    assert len(county.sms.taken) == own + 4
    assert len(spare.taken) == copies
    await county.finish()


async def test_a_full_carrier_is_waited_for(store: Store) -> None:
    county = await County.build(store, villages=20, tiers=1)
    spare = county.spare(SMS)
    county.sms.capabilities = replace(county.sms.capabilities, per_second=2.0)

    await county.red_warning()
    await county.advance(seconds=15)

    assert len(county.sms.taken) == 20
    assert spare.tries == []
    await county.finish()


async def test_a_missing_receipt_sends_it_by_the_next_carrier_once(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS, receipt_seconds=40)
    warning = await county.red_warning()
    village.expects_sms()

    await county.advance(seconds=39)
    assert spare.tries == []
    await county.advance(seconds=1)

    assert tokens(spare) == tokens(county.sms)
    assert await reroutings(warning) == [("fake-sms", "no_receipt")]
    await county.advance(seconds=60)
    (sms,) = await warning.attempts(village.first, channel="sms", number=1)
    assert (sms["state"], sms["carrier"]) == ("accepted", spare.name)
    assert len(spare.taken) == 1


async def test_a_receipt_in_time_keeps_it_where_it_is(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS, receipt_seconds=40)
    await county.red_warning()

    village.expects_sms().arrives()
    await county.advance(seconds=60)

    assert spare.tries == []


async def test_who_has_answered_gets_no_copy(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS, receipt_seconds=40)
    await county.red_warning()

    village.expects_sms().replies("1")
    await county.advance(seconds=60)

    assert spare.tries == []


async def test_a_call_is_never_placed_twice_for_want_of_a_receipt(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(VOICE, receipt_seconds=20)
    await county.red_warning()

    village.expects_call()
    await county.advance(seconds=60)

    assert spare.tries == []


async def test_a_former_carriers_word_counts_only_if_it_arrived(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    county.spare(SMS, receipt_seconds=40)
    warning = await county.red_warning()
    first = county.sms.taken[0]
    await county.advance(seconds=40)

    county.sms.receipt(first, ReceiptWord.UNDELIVERED, ErrorClass.OTHER)
    await county.settle()
    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["state"] == "accepted"

    county.sms.receipt(first, ReceiptWord.DELIVERED)
    await county.settle()
    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["state"] == "delivered"


async def test_what_a_carrier_took_and_then_would_not_bring_goes_on(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    warning = await county.red_warning()

    county.sms.receipt(county.sms.taken[0], ReceiptWord.UNDELIVERED, ErrorClass.FILTERED)
    await county.settle()

    assert tokens(spare) == tokens(county.sms)
    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["carrier"]) == ("accepted", spare.name)


async def under_way(county: County) -> Issued:
    """Release a warning whose sends their carriers have taken, and of which we know nothing yet."""
    await county.release(await county.signed())
    await county.outbox.claim()
    await county.outbox.send()
    return county.warnings[-1]


async def outcomes_of(warning: Issued, attempt_id: int) -> list[str]:
    """What the ledger says of an attempt's sends, in order."""
    rows = await warning.county.rows(
        "SELECT body FROM ledger_line WHERE bulletin_id = $1 AND act = 'attempt.outcomes'"
        " ORDER BY id",
        warning.id,
    )
    told = [entry for row in rows for entry in json.loads(row["body"])["data"]["attempts"]]
    return [state for number, _, state, _ in told if number == attempt_id]


async def refuses(county: County, error: ErrorClass = ErrorClass.FILTERED) -> None:
    """Let the first carrier say that it will not bring its last text; that is applied at once."""
    county.sms.receipt(county.sms.taken[-1], ReceiptWord.UNDELIVERED, error)
    await county.take_mail()
    await county.engine.one_pass()


async def test_a_refusal_that_comes_before_our_record_goes_on_like_one_after_it(
    build: Build,
) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    warning = await under_way(county)

    await refuses(county)
    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["lease_owner"], sms["lease_until"]) == ("planned", None, None)
    await county.settle()  # our record of the first send is written now

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["carrier"]) == ("accepted", spare.name)
    assert sms["reference"] == spare.taken[0].sid
    assert tokens(spare) == tokens(county.sms)
    assert await reroutings(warning) == [("fake-sms", "filtered")]
    assert await outcomes_of(warning, sms["id"]) == ["accepted"]


async def test_our_record_of_the_first_send_says_nothing_of_the_second(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    warning = await under_way(county)
    await refuses(county)

    await county.outbox.claim()
    await county.outbox.send()
    await county.outbox.record()  # of both, in one unit

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["carrier"], sms["reference"]) == (spare.name, spare.taken[0].sid)
    assert await outcomes_of(warning, sms["id"]) == ["accepted"]


async def test_a_carrier_that_says_twice_that_it_will_not_is_passed_on_from_once(
    build: Build,
) -> None:
    county = await build()
    spare = county.spare(SMS)
    warning = await under_way(county)

    await refuses(county)
    await refuses(county, ErrorClass.OTHER)
    await county.settle()

    assert len(spare.taken) == 1
    assert await reroutings(warning) == [("fake-sms", "filtered")]


async def test_what_nobody_knew_of_goes_on_when_its_carrier_says_no(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    county.sms.script(Unknown(taken=True))
    warning = await county.red_warning()
    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["state"] == "unknown"

    await refuses(county)
    await county.advance(seconds=60)

    (sms,) = await warning.attempts(village.first, channel="sms", number=1)
    assert (sms["state"], sms["carrier"]) == ("accepted", spare.name)
    assert (len(county.sms.taken), len(spare.taken)) == (1, 1)


async def test_what_a_dead_process_had_sent_goes_on_when_its_carrier_says_no(
    build: Build,
) -> None:
    county = await build()
    spare = county.spare(SMS)
    await under_way(county)
    county.crash()

    await refuses(county)
    await county.advance(seconds=90)

    assert tokens(spare) == tokens(county.sms)
    assert (len(county.sms.tries), len(spare.tries)) == (1, 1)


async def test_an_answer_to_a_look_up_is_about_the_send_that_was_asked_about(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    for channel in (county.sms, spare):
        channel.script(Unknown(taken=True))
    warning = await county.red_warning()
    await county.move_to(county.clock.now() + timedelta(seconds=10))
    look_up = county.sms.lookup

    async def meanwhile(inquiry: Inquiry) -> list[ReceiptEvent] | None:
        await refuses(county)
        await county.outbox.step()
        await look_up(inquiry)
        return []

    county.sms.lookup = meanwhile  # type: ignore[method-assign]
    await county.outbox.resolve()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["carrier"]) == ("unknown", spare.name)
    county.sms.lookup = look_up  # type: ignore[method-assign]


async def test_without_another_carrier_a_refusal_before_our_record_is_the_end(
    build: Build,
) -> None:
    county = await build()
    (village,) = county.villages
    warning = await under_way(county)

    await refuses(county)
    await county.settle()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["error_class"]) == ("undelivered", "filtered")
    assert await outcomes_of(warning, sms["id"]) == []
    assert len(county.sms.taken) == 1


async def test_a_bad_number_before_our_record_is_no_reason_to_ask_another(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    warning = await under_way(county)

    await refuses(county, ErrorClass.BAD_NUMBER)
    await county.settle()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["state"] == "undelivered"
    assert spare.tries == []


async def test_who_never_saw_it_does_not_end_what_another_has_by_now(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    county.sms.script(Unknown(taken=True))
    warning = await county.red_warning()
    first = county.sms.taken.pop()  # so that it is not found
    county.routes(RouteRule(kind="sms", carriers=(spare.name,)))
    await county.advance(seconds=10)
    assert len(spare.taken) == 1

    county.sms.receipt(first, ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF)
    await county.settle()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["carrier"]) == ("accepted", spare.name)


async def test_an_unknown_text_is_sent_once_more_by_the_other_carrier(build: Build) -> None:
    county = await build()
    spare = county.spare(SMS)
    county.sms.always(Unknown())
    county.sms.answers_lookups = False
    await county.red_warning()

    await county.advance(seconds=30)

    assert len(county.sms.tries) == 1
    assert len(spare.taken) == 1


async def test_after_a_crash_the_carrier_that_may_have_it_is_asked(build: Build) -> None:
    county = await build()
    spare = county.spare(SMS)
    county.sms.always(Reject(ErrorClass.UNROUTABLE))
    await county.release(await county.signed())
    await county.outbox.step()
    await county.outbox.claim()  # for the spare one; and then the process dies
    county.crash()

    await county.advance(seconds=90)

    assert len(spare.taken) == 1
    await county.finish()


async def test_who_must_not_be_called_again_for_long_is_called_by_another(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(VOICE)
    limit = PerCalleeLimit(count=1, seconds=3_600, hard=True)
    county.voice.capabilities = replace(county.voice.capabilities, per_callee=(limit,))
    warning = await county.red_warning()
    village.expects_call()
    assert await reroutings(warning) == []

    await county.advance(seconds=100)

    assert len(county.voice.taken) == 1
    assert len(spare.taken) >= 1
    assert set(await reroutings(warning)) == {("fake-voice", "callee_limit")}


async def test_routes_go_by_country_and_language(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    county.routes(
        RouteRule(kind="sms", countries=frozenset({"7"}), carriers=("fake-sms",)),
        RouteRule(kind="sms", languages=frozenset({"ug"}), carriers=("fake-sms",)),
        RouteRule(kind="sms", carriers=(spare.name,)),
    )

    await county.red_warning()

    assert county.sms.tries == []
    assert [taken.to for taken in spare.taken] == [village.first.phones[0].address]


async def test_who_cannot_bring_an_answer_is_not_given_a_question(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.capabilities = replace(
        county.sms.capabilities, inbound_countries=frozenset({"1", "7"})
    )
    spare = county.spare(SMS)

    warning = await county.red_warning()

    assert county.sms.tries == []
    village.expects_call()
    assert len(spare.taken) == 1
    await warning.lift()
    await county.settle()
    assert len(county.sms.taken) == 1  # a lifting asks nothing


async def test_a_question_is_not_planned_where_no_answer_could_come_back(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    county.sms.capabilities = replace(county.sms.capabilities, inbound_countries=frozenset({"7"}))
    county.routes()
    bulletin_id = await county.signed()

    shown = await preview(county.ctx, bulletin_id)
    warning = await county.release(bulletin_id)
    await county.settle()

    assert "no_reply:86:3" in shown.warnings
    assert shown.estimate.sms_parts == 0
    assert await warning.attempts(village.first, channel="sms") == []
    village.expects_call("暴雨红色").presses("1")
    await county.settle()
    assert await warning.state(village) == "answered"


async def test_a_text_that_a_carrier_refuses_is_an_alarm_once(build: Build) -> None:
    county = await build()
    county.spare(SMS)
    county.sms.always(Reject(ErrorClass.FILTERED))

    await county.red_warning()
    await county.advance(seconds=100)

    alarms = await county.rows("SELECT text FROM alarm WHERE kind = 'filtered'")
    assert [alarm["text"] for alarm in alarms] == ["fake-sms"]


async def test_a_carrier_that_wants_a_long_pause_holds_up_nobody(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    county.sms.always(Throttle(1_800.0))

    await county.red_warning()
    await county.advance(seconds=2)

    assert [taken.to for taken in spare.taken] == [village.first.phones[0].address]
    await county.red_warning()
    await county.advance(seconds=2)
    assert len(spare.taken) == 2
    assert len(county.sms.tries) == 1


async def test_who_gets_it_again_for_want_of_others_is_believed_again(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    spare.always(Throttle(2.0, ErrorClass.DOWN))
    county.sms.script(Throttle(2.0, ErrorClass.DOWN))
    warning = await county.red_warning()
    await county.advance(seconds=30)
    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["carrier"]) == ("accepted", "fake-sms")

    county.sms.receipt(county.sms.taken[-1], ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF)
    await county.settle()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["state"] == "undelivered"


async def test_a_receipt_before_our_record_does_not_hide_the_one_that_is_missing(
    build: Build,
) -> None:
    county = await build()
    spare = county.spare(SMS, receipt_seconds=40)
    county.sms.script(Accept(early=(ReceiptWord.SENT,)))
    await county.release(await county.signed())
    await county.outbox.claim()
    await county.outbox.send()
    await county.take_mail()
    await county.engine.one_pass()  # the receipt is applied; our own record comes after it
    await county.settle()

    await county.advance(seconds=41)

    assert tokens(spare) == tokens(county.sms)


async def test_a_crowd_before_a_slow_carrier_hides_nobody_from_another(store: Store) -> None:
    county = await County.build(store, villages=400, tiers=1)
    last = await county.appoint(county.villages[-1], tier=1, language="ug")
    spare = county.spare(SMS)
    quick = county.sms.capabilities
    county.sms.capabilities = replace(quick, per_second=1.0)
    county.ctx = replace(
        county.ctx, settings=county.ctx.settings.model_copy(update={"claim_batch": 20})
    )
    county.routes(
        RouteRule(kind="sms", languages=frozenset({"ug"}), carriers=(spare.name,)),
        RouteRule(kind="sms", carriers=(county.sms.name,)),
    )
    texts = {"zh": "暴雨黄色预警：请注意防范。", "ug": "سەل ئاپىتى"}
    await county.release(await county.signed())
    await county.release(
        await county.signed(colour=Colour.YELLOW, texts=texts, places=[county.villages[-1]])
    )

    for _ in range(60):  # twenty each 50 ms, while four hundred red ones wait
        await county.outbox.step()
        county.clock.move(seconds=0.05)

    assert last.phones[0].address in [t.to for t in spare.taken if "黄" in t.text or "سەل" in t.text]
    county.sms.capabilities = quick
    await county.finish()


async def test_a_carrier_that_never_has_room_is_passed_over(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    county.sms.always(Throttle(2.0))
    warning = await county.red_warning()

    await county.advance(seconds=FULL_SECONDS + 5)

    (sms,) = await warning.attempts(village.first, channel="sms", number=1)
    assert (sms["state"], sms["carrier"]) == ("accepted", spare.name)
    assert len(await county.alarms("channel")) == 1


async def test_a_sole_carrier_that_never_has_room_is_an_alarm(build: Build) -> None:
    county = await build(villages=3, tiers=1)
    county.sms.always(Throttle(2.0))
    await county.red_warning()
    assert await county.alarms("channel") == []

    await county.advance(seconds=FULL_SECONDS + 5)

    (alarm,) = await county.alarms("channel")
    assert alarm["ended_at"] is None
    county.sms.always(None)
    await county.advance(seconds=30)
    (alarm,) = await county.alarms("channel")
    assert alarm["ended_at"] is not None


async def test_a_carrier_that_is_gone_from_the_settings_is_not_asked_for_by_another(
    build: Build,
) -> None:
    """Another would say that it was never seen, and the phone would ring twice."""
    county = await build()
    (village,) = county.villages
    county.voice.always(Unknown(taken=True))
    spare = county.spare(VOICE)
    warning = await county.drill()
    (call,) = await warning.attempts(village.first, channel="voice", state="unknown")
    assert call["carrier"] == "fake-voice"
    del county.carriers["voice"]
    county.routes(RouteRule(kind="voice", carriers=(spare.name,)))

    await county.advance(seconds=60)

    (call,) = await warning.attempts(village.first, id=call["id"])
    assert (call["state"], call["send_count"]) == ("unknown", 1)
    assert spare.taken == []


async def test_what_a_carrier_took_and_had_no_room_for_goes_to_the_next(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    spare = county.spare(SMS)
    warning = await county.red_warning(colour=Colour.BLUE)

    county.sms.receipt(county.sms.taken[0], ReceiptWord.UNDELIVERED, ErrorClass.THROTTLED)
    await county.settle()

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["carrier"]) == ("accepted", spare.name)


async def test_a_sole_carrier_that_had_no_room_lets_the_case_decide_now(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    warning = await county.red_warning(colour=Colour.BLUE)
    assert await warning.attempts(village.second) == []

    county.sms.receipt(county.sms.taken[0], ReceiptWord.UNDELIVERED, ErrorClass.THROTTLED)
    await county.settle()

    assert len(await warning.attempts(village.second)) == 1


async def test_receipts_that_blame_our_account_open_the_circuit(build: Build) -> None:
    county = await build(villages=2, tiers=1)
    spare = county.spare(SMS)
    await county.red_warning()

    county.sms.receipt(county.sms.taken[0], ReceiptWord.UNDELIVERED, ErrorClass.CONFIG)
    await county.settle()

    (circuit,) = await county.rows("SELECT state FROM circuit WHERE name = 'fake-sms'")
    assert circuit["state"] == "open"
    assert len(await county.alarms("channel")) == 1
    assert len(spare.taken) == 1

"""What nobody reads any more is taken away, in portions; what is read, or a warning's, stays."""

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlmodel import SQLModel

from channels.base import ChannelKind
from tests.fakes.account import TEST_PHONE, Canary, with_carriers
from tests.fakes.county import County
from warnsvc.service import retention
from warnsvc.service.canary import tend_canaries
from warnsvc.service.canary_silence import Heard, load_heard
from warnsvc.service.carrier_view import LAST_TESTS
from warnsvc.service.duty import Fenced, Leader, fenced
from warnsvc.service.retention import REFERENCE_KEPT, kept_since, retain
from warnsvc.store.inbound import Inbound, insert_inbound
from warnsvc.store.reference import (
    PARKED_FOR,
    Key,
    Subject,
    find_subjects,
    keep_references,
    park,
)
from warnsvc.store.retention import WAITED, awaited_references, delete_awaited
from warnsvc.store.test_send import TestSend, add_test

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
KEY = Key("mas", "m1:13912345678")


async def parked(county: County, key: Key, *, at: datetime) -> None:
    """A receipt comes of which nobody knows what it is about."""
    async with county.store.unit() as unit:
        await find_subjects(unit, [key], now=at)
        fact = Inbound(
            kind="receipt", carrier=key.carrier, channel="sms", received_at=at,
            dedupe_key=f"{key.reference} {at}",
        )  # fmt: skip
        await insert_inbound(unit, [fact])
        row = await unit.fetch_one("SELECT MAX(id) AS id FROM inbound")
        assert row is not None
        await park(unit, [(row["id"], key.reference)])


async def written(county: County, key: Key, subject: Subject, *, at: datetime) -> None:
    async with county.store.unit() as unit:
        await keep_references(unit, {key: subject}, now=at)


async def references(county: County) -> set[str]:
    rows = await county.rows("SELECT reference FROM send_reference")
    return {row["reference"] for row in rows}


async def states(county: County) -> list[str]:
    return [row["state"] for row in await county.rows("SELECT state FROM inbound ORDER BY id")]


async def many_sent(
    county: County, at: datetime, state: str = "accepted", *, purpose: str = "canary",
    carrier: str = "fake-sms", many: int = 1, every: timedelta = timedelta(hours=1),
) -> list[int]:  # fmt: skip
    """Tests are sent from an instant on; returns their ids."""
    async with county.store.unit() as unit:
        ids = await unit.new_ids("test_send", many)
        for n, test_id in enumerate(ids):
            test = TestSend(
                id=test_id, carrier=carrier, purpose=purpose, address=TEST_PHONE, text="测试",
                state=state, sent_at=at + n * every,
            )  # fmt: skip
            await add_test(unit, test)
    return list(ids)


async def kept(county: County) -> list[int]:
    return [row["id"] for row in await county.rows("SELECT id FROM test_send ORDER BY id")]


async def deletions(county: County) -> list[dict[str, object]]:
    rows = await county.rows(
        "SELECT body FROM ledger_line WHERE act = 'carrier.tests_deleted' ORDER BY id"
    )
    return [json.loads(row["body"])["data"] for row in rows]


# Parked receipts -------------------------------------------------------------------------------


async def test_a_receipt_that_has_waited_for_a_day_is_one_that_nobody_could_place(
    county: County,
) -> None:
    now = county.clock.now()
    await parked(county, KEY, at=now - PARKED_FOR)
    await parked(county, KEY, at=now - PARKED_FOR + SECOND)

    assert await retain(county.ctx) == 1

    (old, new) = await county.rows("SELECT state, note FROM inbound ORDER BY id")
    assert (old["state"], old["note"]) == ("unmatched", WAITED)
    assert new["state"] == "parked"
    assert await county.alarms() == []


async def test_what_was_given_up_is_not_taken_up_by_a_new_message_of_that_name(
    county: County,
) -> None:
    now = county.clock.now()
    await parked(county, KEY, at=now - PARKED_FOR)
    await retain(county.ctx)

    await written(county, KEY, Subject(attempt_id=7), at=now)

    assert await states(county) == ["unmatched"]


# References ------------------------------------------------------------------------------------


async def test_a_reference_that_is_awaited_stays_while_a_receipt_waits_for_it(
    county: County,
) -> None:
    begun = county.clock.now()
    await parked(county, KEY, at=begun)
    county.clock.move(hours=23)
    await parked(county, KEY, at=county.clock.now())
    county.clock.move(hours=2)

    await retain(county.ctx)
    assert await references(county) == {KEY.reference}
    assert await states(county) == ["unmatched", "parked"]
    county.clock.move(hours=22)
    await retain(county.ctx)

    assert await states(county) == ["unmatched", "unmatched"]
    assert await references(county) == set()


async def test_one_that_is_awaited_still_keeps_no_other_from_being_found(county: County) -> None:
    now = county.clock.now()
    await parked(county, KEY, at=now - 2 * DAY)
    await parked(county, KEY, at=now)
    async with county.store.unit() as unit:
        await find_subjects(unit, [Key("mas", "over")], now=now - 2 * DAY)

    async with county.store.view() as view:
        assert await awaited_references(view, before=now - DAY, limit=1) == [Key("mas", "over")]


async def test_one_that_got_its_subject_meanwhile_is_awaited_no_more(county: County) -> None:
    now = county.clock.now()
    async with county.store.unit() as unit:
        await find_subjects(unit, [KEY], now=now - 2 * DAY)
    async with county.store.view() as view:
        found = await awaited_references(view, before=now - DAY, limit=9)
    async with county.store.unit() as unit:
        await unit.execute("UPDATE send_reference SET attempt_id = 7")

    async with county.store.unit() as unit:
        assert await delete_awaited(unit, found, before=now - DAY) == 0

    assert found == [KEY]
    assert await references(county) == {KEY.reference}


async def test_one_for_which_a_receipt_was_parked_meanwhile_stays(county: County) -> None:
    now = county.clock.now()
    async with county.store.unit() as unit:
        await find_subjects(unit, [KEY], now=now - 2 * DAY)
    async with county.store.view() as view:
        found = await awaited_references(view, before=now - DAY, limit=9)
    await parked(county, KEY, at=now)

    async with county.store.unit() as unit:
        assert await delete_awaited(unit, found, before=now - DAY) == 0

    assert found == [KEY]


async def test_a_reference_goes_thirty_days_after_its_message_was_over(county: County) -> None:
    warning = await county.red_warning()
    (attempt, *_) = await warning.attempts(county.villages[0].first, channel="sms")
    over = attempt["valid_until"]
    await written(county, KEY, Subject(attempt_id=attempt["id"]), at=county.clock.now())

    await county.move_to(over + REFERENCE_KEPT - SECOND)
    await retain(county.ctx)
    assert await references(county) == {KEY.reference}
    await county.move_to(over + REFERENCE_KEPT)
    await retain(county.ctx)

    assert await references(county) == set()


@pytest.mark.parametrize("state", ["planned", "sending", "unknown"])
async def test_a_reference_stays_while_nobody_knows_what_became_of_its_message(
    county: County, state: str
) -> None:
    """We were away for a year: it is settled first, and forgotten later."""
    warning = await county.red_warning()
    (attempt, *_) = await warning.attempts(county.villages[0].first, channel="sms")
    over = attempt["valid_until"]
    await written(county, KEY, Subject(attempt_id=attempt["id"]), at=county.clock.now())
    async with county.store.unit() as unit:
        await unit.execute(
            "UPDATE attempt SET state = $2, ended_at = NULL, lease_until = $3 WHERE id = $1",
            attempt["id"],
            state,
            over if state == "sending" else None,
        )
    county.clock.move(hours=24 * 365)

    await retain(county.ctx)

    assert await references(county) == {KEY.reference}


async def test_a_tests_reference_goes_after_thirty_days(county: County) -> None:
    now = county.clock.now()
    await written(county, KEY, Subject(test_id=1), at=now - REFERENCE_KEPT)
    await written(county, Key("mas", "new"), Subject(test_id=2), at=now - REFERENCE_KEPT + SECOND)

    await retain(county.ctx)

    assert await references(county) == {"new"}


# Tests -----------------------------------------------------------------------------------------


async def test_old_tests_go_and_the_ledger_says_how_many(county: County) -> None:
    now = county.clock.now()
    before = kept_since(county.ctx, now)
    old = await many_sent(county, before - 2 * DAY, many=20)
    new = await many_sent(county, before, many=LAST_TESTS, purpose="by_hand")

    assert await retain(county.ctx) == 18

    # Without a receipt none came through: the newest one, and the first one of the silence.
    assert await kept(county) == [old[0], old[-1], *new]
    said = {"carrier": "fake-sms", "tests": 18, "sent_before": before.isoformat()}
    assert await deletions(county) == [said]
    assert await retain(county.ctx) == 0
    assert await deletions(county) == [said]


async def test_the_last_tests_of_a_carrier_stay_however_old_they_are(county: County) -> None:
    long_ago = county.clock.now() - 1_000 * DAY
    by_hand = await many_sent(county, long_ago, many=LAST_TESTS + 5, purpose="by_hand")
    gone = await many_sent(county, long_ago, many=LAST_TESTS + 5, purpose="by_hand", carrier="gone")

    await retain(county.ctx)

    assert await kept(county) == [*by_hand[5:], *gone[5:]]
    assert [line["carrier"] for line in await deletions(county)] == ["fake-sms", "gone"]


@pytest.mark.parametrize("receipts", [True, False])
async def test_what_is_known_of_a_carriers_silence_stays_the_same(
    county: County, receipts: bool
) -> None:
    """The last that came through, the first after it, and the last one: to the end of time."""
    long_ago = county.clock.now() - 1_000 * DAY
    for state in ("delivered", "accepted", "undelivered", "failed"):
        await many_sent(county, long_ago, state, many=40)
        long_ago += 40 * DAY
    await many_sent(county, long_ago, "delivered", purpose="by_hand", many=40)

    async def heard() -> Heard:
        async with county.store.view() as view:
            return await load_heard(view, "fake-sms", receipts=receipts)

    known = await heard()
    await retain(county.ctx)

    assert await heard() == known
    assert known.through_at is not None
    assert known.failing_since is not None
    assert len(await kept(county)) < 20


async def test_a_canary_that_was_sent_long_ago_is_still_the_last_one(county: County) -> None:
    """A turn may be a week; what is due is read from a row that stays."""
    ctx = with_carriers(county, sms=Canary(minutes=10_080))
    await tend_canaries(ctx)
    county.clock.move(hours=24 * 6)

    await retain(ctx)

    assert await tend_canaries(ctx) == 0
    county.clock.move(hours=24)
    assert await tend_canaries(ctx) == 1


async def test_tests_are_kept_for_as_many_days_as_is_set(county: County) -> None:
    now = county.clock.now()
    ctx = with_carriers(county)
    settings = ctx.settings.model_copy(update={"tests_kept_days": 30})

    days = (now - kept_since(ctx, now)).days
    fewer = (now - kept_since(replace(ctx, settings=settings), now)).days

    assert (days, fewer) == (90, 30)


# The duty --------------------------------------------------------------------------------------


async def test_it_goes_in_portions_and_the_rest_is_the_next_ticks(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PORTION", 2)
    monkeypatch.setattr(retention, "PORTIONS_MAX", 2)
    now = county.clock.now()
    for n in range(5):
        await parked(county, Key("mas", f"parked {n}"), at=now - 2 * DAY)
        await written(county, Key("mas", f"test {n}"), Subject(test_id=n), at=now - 31 * DAY)
    await many_sent(county, now - 200 * DAY, many=LAST_TESTS + 6, purpose="by_hand")

    done = [await retain(county.ctx) for _ in range(3)]

    # Receipts, what they had awaited, what is spent, and tests: four of each, then the rest.
    assert done == [4 + 4 + 4 + 4, 1 + 1 + 1 + 2, 0]
    assert [line["tests"] for line in await deletions(county)] == [2, 2, 2]


async def test_a_leader_that_was_replaced_takes_nothing_away(county: County) -> None:
    now = county.clock.now()
    await parked(county, KEY, at=now - 2 * DAY)
    await many_sent(county, now - 200 * DAY, many=30)
    fence = await Leader(county.ctx, owner="one").take("retention")
    assert fence is not None
    await county.advance(seconds=10)
    await Leader(county.ctx, owner="other").take("retention")

    with pytest.raises(Fenced):
        await retain(fenced(county.ctx, fence))

    assert await states(county) == ["parked"]
    assert len(await kept(county)) == 30


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_whoever_takes_up_a_receipt_at_this_moment_is_not_waited_for(county: County) -> None:
    now = county.clock.now()
    await parked(county, KEY, at=now - 2 * DAY)

    async with county.store.unit() as unit:
        await unit.fetch("SELECT id FROM inbound FOR UPDATE")
        await unit.fetch("SELECT reference FROM send_reference FOR UPDATE")
        done = await asyncio.create_task(retain(county.ctx))

    assert done == 0
    assert await retain(county.ctx) == 2


async def test_whatever_belongs_to_a_warning_stays_for_ever(county: County) -> None:
    village = county.villages[0]
    warning = await county.red_warning()
    village.expects_sms().replies("1")
    county.sms.answer(village.first.phone.address, "这里水涨得很快")
    await county.settle()
    await warning.lift()
    await county.advance(hours=1)
    county.spare(ChannelKind.SMS)
    counted = await _counted(county)

    county.clock.move(hours=24 * 3_650)

    assert await retain(county.ctx) == 0
    assert await _counted(county) == counted


async def _counted(county: County) -> dict[str, int]:
    async with county.store.view() as view:
        return {
            name: len(await view.fetch(f"SELECT 1 AS one FROM {name}"))
            for name in SQLModel.metadata.tables
        }

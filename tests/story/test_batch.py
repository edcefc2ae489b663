"""Texts that share a request: each keeps a fate of its own, whatever befalls the request."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from channels.errors import ErrorClass
from tests.fakes.channel import Accept, Raise, Reject, Throttle, Unknown
from tests.fakes.county import County
from tests.story.conftest import Build
from warnsvc.core.circuit import FAILURES_MAX


def take_many(county: County, batch_max: int = 100, **can: object) -> None:
    """Let the text carrier take so many in a request."""
    capabilities = county.sms.capabilities
    county.sms.capabilities = replace(capabilities, batch_max=batch_max, **can)  # type: ignore[arg-type]


async def outcomes(county: County) -> Mapping[str, int]:
    """How many first texts are in which state."""
    rows = await county.rows(
        "SELECT state, COUNT(*) AS many FROM attempt WHERE channel = 'sms' AND purpose = 'call'"
        " GROUP BY state"
    )
    return {row["state"]: row["many"] for row in rows}


async def test_a_warning_leaves_in_few_requests_and_everybody_is_answered_for(build: Build) -> None:
    county = await build(villages=12, tiers=1)
    take_many(county, 5)

    warning = await county.red_warning()

    assert county.sms.batches == [5, 5, 2]
    for village in county.villages:
        village.expects_sms("暴雨红色").replies("1")
    await county.settle()
    assert await warning.states() == {"answered": 12}


async def test_a_wrong_number_costs_the_others_nothing(build: Build) -> None:
    county = await build(villages=7, tiers=1)
    take_many(county)
    wrong = county.villages[3]
    county.sms.script(Reject(ErrorClass.BAD_NUMBER), to=wrong.first.phone.address)

    warning = await county.red_warning()

    assert county.sms.batches == [7, 3, 4, 2, 2]  # halves, until it was alone
    assert await outcomes(county) == {"accepted": 6, "failed": 1}
    assert len({taken.to for taken in county.sms.taken}) == len(county.sms.taken) == 6
    flagged = await county.rows("SELECT address FROM contact_number WHERE failed_at IS NOT NULL")
    assert [row["address"] for row in flagged] == [wrong.first.phone.address]
    wrong.expects_call("暴雨红色").presses("1")
    await county.settle()
    assert await warning.state(wrong) == "answered"


async def test_a_batch_without_an_answer_is_looked_up_one_by_one(build: Build) -> None:
    county = await build(villages=4, tiers=1)
    take_many(county)
    county.sms.script(Unknown(taken=True))
    await county.red_warning()
    assert await outcomes(county) == {"unknown": 4}

    await county.advance(seconds=10)

    assert await outcomes(county) == {"accepted": 4}
    assert len(county.sms.tries) == 4


async def test_a_batch_without_an_answer_is_one_failure_of_its_carrier(build: Build) -> None:
    county = await build(villages=FAILURES_MAX + 3, tiers=1)
    take_many(county)
    county.sms.script(Unknown(taken=True))

    await county.red_warning()

    (circuit,) = await county.rows("SELECT state, failures FROM circuit WHERE name = 'fake-sms'")
    assert (circuit["state"], circuit["failures"]) == ("closed", 1)


async def test_a_throttled_batch_goes_again_after_the_pause(build: Build) -> None:
    county = await build(villages=3, tiers=1)
    take_many(county)
    county.sms.script(Throttle(4.0))
    await county.red_warning()
    assert await outcomes(county) == {"planned": 3}

    await county.advance(seconds=5)

    assert await outcomes(county) == {"accepted": 3}
    assert len(county.sms.taken) == 3


async def test_an_adapter_that_raises_on_a_batch_loses_none_of_it(build: Build) -> None:
    county = await build(villages=3, tiers=1)
    take_many(county)
    county.sms.script(Raise(taken=True))
    await county.red_warning()
    assert await outcomes(county) == {"unknown": 3}

    await county.advance(seconds=10)

    assert await outcomes(county) == {"accepted": 3}


async def test_one_on_which_the_adapter_always_raises_takes_no_other_with_it(build: Build) -> None:
    county = await build(villages=5, tiers=1)
    take_many(county)
    broken = county.villages[2].first.phone.address
    county.sms.script(*[Raise()] * 4, to=broken)
    await county.red_warning()
    assert await outcomes(county) == {"unknown": 5}

    await county.advance(seconds=12)

    assert {taken.to for taken in county.sms.taken} == {
        village.first.phone.address for village in county.villages
    } - {broken}
    assert county.sms.batches == [5]


async def test_a_process_that_dies_after_a_batch_doubles_nobody(build: Build) -> None:
    county = await build(villages=5, tiers=1)
    take_many(county)
    await county.release(await county.signed())
    await county.outbox.claim()
    await county.outbox.send()
    county.crash()

    await county.advance(minutes=2)

    assert sum(await _copies(county)) == 5
    assert await outcomes(county) == {"accepted": 5}


async def _copies(county: County) -> list[int]:
    first = {taken.request.token for taken in county.sms.taken[:5]}
    return [sum(t.request.token == token for t in county.sms.taken) for token in first]


async def test_a_batch_whose_lease_is_over_is_not_sent(build: Build) -> None:
    county = await build(villages=3, tiers=1)
    take_many(county)
    await county.release(await county.signed())
    await county.outbox.claim()
    county.clock.move(seconds=61)  # the lease is over: somebody else may have them by now

    await county.outbox.send()

    assert county.sms.batches == []
    assert county.sms.tries == []


async def test_a_text_waits_for_company_no_longer_than_half_a_second(build: Build) -> None:
    county = await build(villages=24, tiers=1)
    take_many(county, 100, per_second=20.0)
    await county.release(await county.signed())
    lane = county.outbox._lanes["fake-sms"]
    await county.outbox.claim()
    sending = asyncio.create_task(lane.send_forever())

    await county.clock.advance(seconds=0.4)
    early = list(county.sms.batches)
    await county.clock.advance(seconds=0.2)
    sending.cancel()

    assert early == []
    assert county.sms.batches == [11]  # half a second at its pace, and the one that begins it
    await asyncio.gather(sending, return_exceptions=True)


async def test_the_first_of_a_pace_goes_alone_when_nobody_is_near(build: Build) -> None:
    county = await build(villages=3, tiers=1)
    take_many(county, 100, per_second=0.5)
    await county.release(await county.signed())
    lane = county.outbox._lanes["fake-sms"]
    await county.outbox.claim()
    sending = asyncio.create_task(lane.send_forever())

    await county.clock.advance(seconds=0.01)
    sending.cancel()

    assert len(county.sms.taken) == 1
    await asyncio.gather(sending, return_exceptions=True)


async def test_carriers_that_take_one_at_a_time_are_never_asked_for_more(build: Build) -> None:
    county = await build(villages=3, tiers=1)
    county.sms.always(Accept())

    await county.red_warning()

    assert county.sms.batches == []
    assert len(county.sms.taken) == 3

"""The same stories with sockets between: real adapters, the simulated carrier, our own callbacks."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from channels.simulator import Condition, OutageKind
from tests.fakes.wired_county import WiredCounty, wired_county
from warnsvc.store.port import Store


@pytest.fixture
async def county(store: Store) -> AsyncIterator[WiredCounty]:
    async with wired_county(store, villages=6) as opened:
        yield opened


async def test_everybody_behaves_differently_and_every_village_has_an_end(
    county: WiredCounty,
) -> None:
    prompt, by_phone, refusing, switched_off, talking, silent = county.villages
    county.habit(prompt.first, "prompt")
    county.habit(by_phone.first, "calls_only")
    county.habit(refusing.first, "refuses")
    county.habit(refusing.second, "prompt")
    county.condition(switched_off.first, Condition.SWITCHED_OFF)
    county.habit(switched_off.second, "calls_only")
    county.habit(talking.first, "nonsense")
    county.habit(talking.second, "hangs_up")
    warning = await county.red_warning()

    await county.advance(minutes=5)
    assert await warning.state(prompt) == "answered"
    assert await warning.state(by_phone) == "answered"
    assert (await warning.callout(refusing.first))["state"] == "refused"
    assert await warning.state(refusing) == "answered"
    assert "callout.unreachable" in await warning.acts()
    assert await warning.state(switched_off) == "answered"
    assert await warning.states() == {"answered": 4, "calling": 2}

    await county.advance(minutes=5, seconds=10)
    (township,) = county.townships
    assert f"未应答：{talking.name}、{silent.name}" in county.screen(township.first)[0]
    assert (await warning.callout(talking.second))["rung"] == 4

    await county.advance(minutes=5)
    assert await warning.states() == {"answered": 4, "exhausted": 2}
    assert len(await county.tasks("knock")) == 2
    assert await county.alarms("unmatched")  # what the talking one wrote


async def test_lost_answers_repeats_and_disorder_lose_nobody_and_double_nothing(
    county: WiredCounty,
) -> None:
    county.behave(
        lose_answer=0.4,
        duplicate_receipt=0.5,
        early_receipt=0.5,
        disorder=0.5,
        disorder_seconds=7.0,
        sms_seconds=15.0,  # longer than we wait before we look an unknown up
    )
    for village in county.villages:
        county.habit(village.first, "own_words")

    warning = await county.red_warning()
    await county.advance(minutes=2)

    unknown = await county.rows("SELECT id FROM ledger_line WHERE act = 'attempt.unknown_settled'")
    assert unknown, "this seed loses no answer: the story says nothing"
    copies = Counter(message.reference for message in county.carrier.messages())
    assert set(copies.values()) == {1}
    for village in county.villages:
        assert "暴雨红色" in county.screen(village.first)[0]
    await county.advance(minutes=13)
    assert await warning.states() == {"answered": 6}


@pytest.mark.parametrize("kind", [OutageKind.REFUSE, OutageKind.UNAVAILABLE])
async def test_a_carrier_that_is_out_for_a_minute_delays_and_loses_nothing(
    county: WiredCounty, kind: OutageKind
) -> None:
    for village in county.villages:
        county.habit(village.first, "prompt")
    county.carrier.break_down(kind, 60)
    warning = await county.red_warning()
    assert county.screen(county.villages[0].first) == []

    await county.advance(minutes=5)

    assert await warning.states() == {"answered": 6}
    for village in county.villages:
        assert sum("暴雨红色" in text for text in county.screen(village.first)) >= 1


async def test_a_lifting_reaches_the_phones_that_rang(county: WiredCounty) -> None:
    first, *_ = county.villages
    county.habit(first.first, "prompt")
    warning = await county.red_warning()
    await county.advance(minutes=1)

    told = await warning.lift("雨停了")
    await county.advance(minutes=1)

    assert told == 6
    for village in county.villages:
        assert "解除" in county.screen(village.first)[-1]
        assert county.screen(village.second) == []

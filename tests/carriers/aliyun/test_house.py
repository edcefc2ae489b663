"""What Alibaba Cloud reports becomes facts of the house: of the right try, and none of a batch lost."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from channels.base import CallbackRequest
from tests.carriers.aliyun.rigs import AliyunSmsRig, AliyunVoiceRig
from tests.carriers.aliyun.standin import Person
from tests.carriers.aliyun.test_sms import batch, report, request
from tests.fakes.clock import ManualClock
from tests.web.rig import context, settings
from warnsvc.service.context import Context
from warnsvc.store.port import Store
from warnsvc.web.callback import facts_of


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    """The house without a store: facts are only read here."""
    return context(cast(Store, None), ManualClock(), settings(tmp_path))


def facts(ctx: Context, channel: Any, callback: CallbackRequest) -> list[tuple[Any, ...]]:
    return [
        (fact.kind, fact.attempt_id, fact.text or json.loads(fact.fact_json).get("word"))
        for fact in facts_of(ctx, channel, callback)
    ]


async def test_a_call_is_told_from_others_by_fifteen_bytes_of_its_token(
    ctx: Context, voice: AliyunVoiceRig
) -> None:
    voice.carrier.people["13912345678"] = Person(keys="1")
    token = ctx.token("attempt", 1_234_567)
    await voice.channel.send(request(voice, token=token))
    await voice.carrier.timeline.advance(300)

    told = [fact for one in voice.inbox.take() for fact in facts(ctx, voice.channel, one)]

    assert len(token) > 15
    assert [(attempt, word) for kind, attempt, word in told if kind == "receipt"] == [
        (1_234_567, "sent"),
        (1_234_567, "ringing"),
        (1_234_567, "picked_up"),
        (1_234_567, "delivered"),
    ]
    assert {(attempt, text) for kind, attempt, text in told if kind == "answer"} == {
        (1_234_567, "1")
    }


async def test_a_batch_of_calls_holds_receipts_and_answers_and_both_are_kept(
    ctx: Context, voice: AliyunVoiceRig
) -> None:
    voice.carrier.holds_back = 200.0
    voice.carrier.people["13900000001"] = Person(keys="2")
    for number in (1, 2):
        token = ctx.token("attempt", number)
        await voice.channel.send(request(voice, token=token, to=f"+861390000000{number}"))
    await voice.carrier.timeline.advance(600)

    (callback,) = voice.inbox.take()
    told = facts(ctx, voice.channel, callback)

    assert {(kind, attempt) for kind, attempt, _ in told} == {
        ("receipt", 1), ("answer", 1), ("receipt", 2),
    }  # fmt: skip


async def test_a_guessed_token_in_a_batch_names_no_try(ctx: Context, sms: AliyunSmsRig) -> None:
    told = facts(ctx, sms.channel, batch(sms, report(out_id="z9.AAAAAAAAAA")))

    assert told == [("receipt", None, "delivered")]


async def test_a_batch_without_the_key_is_turned_away(ctx: Context, sms: AliyunSmsRig) -> None:
    with pytest.raises(web.HTTPForbidden):
        facts_of(ctx, sms.channel, batch(sms, report(), url="https://x.example.org/callbacks/a"))


async def test_a_damaged_batch_waits_for_a_human(ctx: Context, sms: AliyunSmsRig) -> None:
    (fact,) = facts_of(ctx, sms.channel, batch(sms, body=b'[{"content": "1"'))

    assert (fact.kind, fact.attempt_id) == ("answer", None)
    assert fact.dedupe_key.startswith("x:")

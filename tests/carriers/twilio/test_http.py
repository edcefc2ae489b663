"""The HTTP client under Twilio's SDK: its limits hold, nothing is repeated, nothing is mixed up."""

import asyncio
import json
import warnings

import pytest

from channels.base import OutcomeKind
from channels.errors import ErrorClass
from channels.http_client import TimeLimits
from channels.twilio_http import basic
from tests.carriers.twilio.conftest import request_for
from tests.carriers.twilio.rigs import SmsRig
from tests.carriers.twilio.server import KEY, KEY_SECRET, TOKEN, Fail, Garbage, Silence, Throttle


async def test_a_region_in_the_environment_changes_nothing(
    sms: SmsRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK makes 127.ie1.0.1 of 127.0.0.1 when it is left to read these."""
    for name, value in {
        "TWILIO_REGION": "ie1",
        "TWILIO_EDGE": "dublin",
        "TWILIO_ACCOUNT_SID": "ACelse",
        "TWILIO_AUTH_TOKEN": "else",
    }.items():
        monkeypatch.setenv(name, value)
    channel = sms.make()

    outcome = await channel.send(request_for(sms))

    await channel.close()
    assert outcome.kind is OutcomeKind.ACCEPTED


@pytest.mark.parametrize("fault", [Fail(500), Fail(503, taken=False), Garbage(), Garbage("[]")])
async def test_a_fault_of_twilios_is_unknown_and_the_request_is_not_repeated(
    sms: SmsRig, fault: Fail | Garbage
) -> None:
    sms.server.fault = fault

    outcome = await sms.channel.send(request_for(sms))

    assert outcome.kind is OutcomeKind.UNKNOWN
    assert outcome.error_class is ErrorClass.AMBIGUOUS
    assert len(sms.server.requests) == 1


@pytest.mark.parametrize("before", [0, 190], ids=["at once", "where it is cut"])
async def test_who_quotes_our_token_shows_it_to_nobody(sms: SmsRig, before: int) -> None:
    """Twilio does not; a proxy on the way may."""
    said = "-" * before + f" {TOKEN} {basic('AC1', TOKEN)}"
    sms.server.fault = Garbage(json.dumps({"code": 20003, "message": said}), 401)

    outcome = await sms.channel.send(request_for(sms))

    assert outcome.error_class is ErrorClass.CONFIG
    assert "…" in outcome.reason
    assert TOKEN[:6] not in outcome.reason
    assert basic("AC1", TOKEN)[-20:] not in outcome.reason


async def test_a_connection_that_is_cut_is_not_tried_again(sms: SmsRig) -> None:
    await sms.channel.send(request_for(sms, "tok-0000"))  # a connection that is kept and reused
    sms.take_and_cut()

    outcome = await sms.channel.send(request_for(sms))

    assert outcome.kind is OutcomeKind.UNKNOWN
    assert len(sms.server.requests) == 2


async def test_the_time_limit_is_ours_and_not_the_sdks_five_minutes(sms: SmsRig) -> None:
    sms.server.fault = Silence()
    hasty = sms.make(limits=TimeLimits(connect=1.0, total=0.05))

    outcome = await asyncio.wait_for(hasty.send(request_for(sms)), timeout=10)

    await hasty.close()
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert "Timeout" in outcome.code


async def test_each_refusal_keeps_its_own_headers(sms: SmsRig) -> None:
    """The SDK's client remembers one last answer for all; this shares nothing."""
    sms.server.fault = Throttle(7)
    slow = [sms.channel.send(request_for(sms, f"tok-{n}")) for n in range(10)]
    other = SmsRig()
    await other.start()
    other.server.fault = Throttle(3)
    fast = [other.channel.send(request_for(other, f"tok-{n}")) for n in range(10)]

    outcomes = await asyncio.gather(*(one for pair in zip(slow, fast, strict=True) for one in pair))

    await other.close()
    assert [outcome.retry_after for outcome in outcomes] == [7.0, 3.0] * 10
    assert outcomes[0].reason == "too many requests at once (101)"


async def test_nothing_that_aiohttp_will_drop_is_used(sms: SmsRig) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        outcome = await sms.channel.send(request_for(sms))

    assert outcome.kind is OutcomeKind.ACCEPTED


async def test_a_refusal_is_told_without_the_number(sms: SmsRig) -> None:
    outcome = await sms.channel.send(request_for(sms, to=sms.bad_address))

    assert outcome.code == "21211"
    assert outcome.reason == "The 'To' number … is not a valid phone number."


@pytest.mark.parametrize(
    "changes", [{"secrets": ["wrong"]}, {"account_sid": "AC" + "f" * 32}], ids=["token", "account"]
)
async def test_a_wrong_account_is_a_matter_of_set_up(sms: SmsRig, changes: dict[str, str]) -> None:
    channel = sms.make(**changes)

    outcome = await channel.send(request_for(sms))

    await channel.close()
    assert outcome.kind is OutcomeKind.REJECTED
    assert outcome.error_class is ErrorClass.CONFIG


async def test_an_api_key_speaks_for_the_account_and_the_token_checks_callbacks(
    sms: SmsRig,
) -> None:
    channel = sms.make(api_key_sid=KEY, api_key_secret=KEY_SECRET, secrets=[TOKEN])
    wrong = sms.make(api_key_sid=KEY, api_key_secret="wrong")

    assert (await channel.send(request_for(sms))).kind is OutcomeKind.ACCEPTED
    assert (await wrong.send(request_for(sms))).error_class is ErrorClass.CONFIG
    await sms.server.settle()
    assert channel.parse_receipts(sms.door.take()[0])
    with pytest.raises(ValueError, match="belong together"):
        sms.make(api_key_sid=KEY)
    await channel.close()
    await wrong.close()

"""Requests are signed as Alibaba Cloud documents it, and only so are they taken."""

from datetime import timedelta

import pytest

from channels.aliyun_api import NO_BODY, AccessKey, authorization, canonical_query
from channels.base import OutcomeKind
from channels.errors import ErrorClass
from tests.carriers.aliyun.rigs import AliyunSmsRig
from tests.carriers.aliyun.test_sms import request

PARAMETERS = {
    "RegionId": "cn-shanghai",
    "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
}


@pytest.mark.parametrize(
    ("date", "nonce", "signature"),
    [
        (
            "2023-10-26T10:22:32Z",
            "3156853299f313e23d1673dc12e1703d",
            "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
        ),
        (
            "2023-10-26T09:01:01Z",
            "d410180a5abf7fe235dd9b74aca91fc0",
            "e521358f7776c97df52e6b2891a8bc73026794a071b50c3323388c4e0df64804",
        ),
    ],
)
def test_the_documented_examples_come_out_as_documented(
    date: str, nonce: str, signature: str
) -> None:
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": NO_BODY,
        "x-acs-date": date,
        "x-acs-signature-nonce": nonce,
        "x-acs-version": "2014-05-26",
    }

    said = authorization(
        AccessKey(id="YourAccessKeyId", secret="YourAccessKeySecret"),
        headers,
        canonical_query(PARAMETERS),
    )

    assert said == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"
        "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;"
        f"x-acs-version,Signature={signature}"
    )


def test_parameters_are_sorted_and_quoted_as_the_page_says() -> None:
    assert canonical_query({"b": "a b*~/", "A": "收到+1"}) == (
        "A=%E6%94%B6%E5%88%B0%2B1&b=a%20b%2A~%2F"
    )


async def test_a_wrong_secret_stops_the_carrier(sms: AliyunSmsRig) -> None:
    stranger = sms.make(secrets=["another-word"])

    outcome = await stranger.send(request(sms))
    await stranger.close()

    assert (outcome.kind, outcome.error_class) == (OutcomeKind.REJECTED, ErrorClass.CONFIG)
    assert outcome.code == "SignatureDoesNotMatch"


async def test_an_unknown_key_stops_the_carrier(sms: AliyunSmsRig) -> None:
    stranger = sms.make(access_key_id="LTAI-nobody")

    outcome = await stranger.send(request(sms))
    await stranger.close()

    assert (outcome.code, outcome.error_class) == (
        "InvalidAccessKeyId.NotFound",
        ErrorClass.CONFIG,
    )


async def test_a_clock_that_is_half_an_hour_off_is_told_as_our_fault(sms: AliyunSmsRig) -> None:
    late = sms.make(clock=lambda: sms.now() - timedelta(minutes=30))

    outcome = await late.send(request(sms))
    await late.close()

    assert (outcome.code, outcome.error_class) == ("InvalidTimeStamp.Expired", ErrorClass.CONFIG)


async def test_no_two_requests_carry_the_same_nonce(sms: AliyunSmsRig) -> None:
    """The stand-in refuses a nonce it has seen, as the real one does."""
    for number in range(20):
        outcome = await sms.channel.send(request(sms, token=f"tok-{number}"))
        assert outcome.kind is OutcomeKind.ACCEPTED


async def test_a_nonce_that_was_used_is_refused(sms: AliyunSmsRig) -> None:
    tired = sms.make(nonce=lambda: "always-the-same")

    await tired.send(request(sms, token="tok-1"))
    outcome = await tired.send(request(sms, token="tok-2"))
    await tired.close()

    assert outcome.code == "SignatureNonceUsed"

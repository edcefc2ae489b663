"""Twilio's far ends, started."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from channels.base import SendRequest
from tests.carriers.twilio.rigs import SmsRig, TwilioRig, VoiceRig


@pytest.fixture
async def sms() -> AsyncIterator[SmsRig]:
    rig = SmsRig()
    await rig.start()
    yield rig
    await rig.close()


@pytest.fixture
async def voice() -> AsyncIterator[VoiceRig]:
    rig = VoiceRig()
    await rig.start()
    yield rig
    await rig.close()


def request_for(rig: TwilioRig, token: str = "tok-0001", **changes: object) -> SendRequest:
    values = {
        "token": token,
        "to": rig.good_address,
        "text": "山洪红色预警。收到请按1，无法到岗请按2，重听请按9。",
        "language": "zh",
        "valid_until": rig.now() + timedelta(minutes=10),
        "callback_url": rig.callback_url(token),
        **changes,
    }
    return SendRequest(**values)  # type: ignore[arg-type]

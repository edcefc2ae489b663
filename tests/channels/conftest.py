"""Far ends for channel tests."""

from collections.abc import AsyncIterator

import pytest

from tests.channels.rigs import SmsRig, VoiceRig, WebhookRig


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


@pytest.fixture
async def hook() -> AsyncIterator[WebhookRig]:
    rig = WebhookRig()
    await rig.start()
    yield rig
    await rig.close()

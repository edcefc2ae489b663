"""Our channels keep the promises that every channel makes."""

from collections.abc import AsyncIterator

import pytest

from tests.channels.conformance import CallConformance, ChannelConformance
from tests.channels.rigs import CarrierRig, SmsRig, VoiceRig, WebhookRig


class TestSimulatedSms(ChannelConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[CarrierRig]:
        rig = SmsRig()
        await rig.start()
        yield rig
        await rig.close()


class TestSimulatedVoice(CallConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[CarrierRig]:
        rig = VoiceRig()
        await rig.start()
        yield rig
        await rig.close()


class TestWebhook(ChannelConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[CarrierRig]:
        rig = WebhookRig()
        await rig.start()
        yield rig
        await rig.close()

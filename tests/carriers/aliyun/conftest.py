"""Both channels with their stand-in."""

from collections.abc import AsyncIterator

import pytest

from tests.carriers.aliyun.rigs import AliyunSmsRig, AliyunVoiceRig


@pytest.fixture
async def sms() -> AsyncIterator[AliyunSmsRig]:
    rig = AliyunSmsRig()
    await rig.start()
    yield rig
    await rig.close()


@pytest.fixture
async def voice() -> AsyncIterator[AliyunVoiceRig]:
    rig = AliyunVoiceRig()
    await rig.start()
    yield rig
    await rig.close()

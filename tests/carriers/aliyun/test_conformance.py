"""Alibaba Cloud's channels keep the promises that every channel makes, as far as it lets them."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.carriers.aliyun.rigs import AliyunRig, AliyunSmsRig, AliyunVoiceRig
from tests.channels.conformance import ChannelConformance, receipts


class TestAliyunSms(ChannelConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[AliyunRig]:
        rig = AliyunSmsRig()
        await rig.start()
        yield rig
        await rig.close()

    async def test_look_up_knows_what_it_has_seen_and_what_not(self, rig: AliyunRig) -> None:  # type: ignore[override]
        """As the suite has it, but for the BizId: a look-up does not say it."""
        callbacks = await rig.receipts_of(self.request(rig))

        found = await rig.channel.lookup(self.inquiry(rig))

        told = [replace(event, reference="") for event in receipts(rig, callbacks)]
        assert found is not None
        assert set(told) <= set(found)
        assert await rig.channel.lookup(self.inquiry(rig, "tok-0002", text="an other text")) == []


class TestAliyunVoice(ChannelConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[AliyunRig]:
        rig = AliyunVoiceRig()
        await rig.start()
        yield rig
        await rig.close()

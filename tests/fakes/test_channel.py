"""The fake carrier keeps the promises that every channel makes."""

from dataclasses import replace
from datetime import datetime

import pytest

from channels.base import CallbackRequest, ChannelKind, SendRequest
from channels.base import ReceiptWord as Word
from channels.errors import ErrorClass
from tests.channels.conformance import CallConformance, ChannelConformance
from tests.fakes.channel import PUBLIC_URL, FakeChannel, Throttle, Unknown
from tests.fakes.clock import ManualClock


class FakeRig:
    good_address = "+8615400000001"
    bad_address = "12345"
    signs_body = True
    stamps_time = True

    def __init__(self, kind: ChannelKind = ChannelKind.SMS) -> None:
        self.clock = ManualClock()
        self.channel = self.impatient = FakeChannel(kind, clock=self.clock.now)

    def now(self) -> datetime:
        return self.clock.now()

    def callback_url(self, token: str) -> str:
        return f"{PUBLIC_URL}/callbacks/{self.channel.name}/{token}"

    def throttle(self, retry_after: float) -> None:
        self.channel.script(Throttle(retry_after))

    def never_answer(self) -> None:
        self.channel.script(Unknown())

    def take_and_cut(self) -> None:
        self.channel.script(Unknown(taken=True))

    async def refuse_connections(self) -> None:
        self.channel.always(Throttle(1.0, ErrorClass.DOWN))
        self.channel.answers_lookups = False

    def texts_received(self) -> list[str]:
        return [taken.text for taken in self.channel.taken]

    def valid_until_received(self) -> datetime:
        return self.channel.taken[-1].request.valid_until

    async def receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        await self.channel.send(request)
        taken = self.channel.taken[-1]
        return [self.channel.receipt(taken, word) for word in (Word.SENT, Word.DELIVERED)]

    async def duplicated_receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        return await self.receipts_of(request) * 2

    async def let_ring(self, request: SendRequest) -> str:
        return await self._become(Word.RINGING, request)

    async def let_listen(self, request: SendRequest) -> str:
        return await self._become(Word.PICKED_UP, request)

    async def _become(self, word: Word, request: SendRequest) -> str:
        outcome = await self.channel.send(request)
        self.channel.receipt(self.channel.taken[-1], word)
        return outcome.reference

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        await self.receipts_of(request)
        return self.channel.answer(request.to, text)


class TestFakeChannel(ChannelConformance):
    @pytest.fixture
    def rig(self) -> FakeRig:
        return FakeRig()


class TestFakeChannelOfBatches(ChannelConformance):
    @pytest.fixture
    def rig(self) -> FakeRig:
        rig = FakeRig()
        rig.channel.capabilities = replace(rig.channel.capabilities, batch_max=100)
        return rig


class TestFakeCalls(CallConformance):
    @pytest.fixture
    def rig(self) -> FakeRig:
        return FakeRig(ChannelKind.VOICE)

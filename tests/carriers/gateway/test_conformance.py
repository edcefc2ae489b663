"""The HTTP gateway keeps the promises that every channel makes, with each profile we ship."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from channels.base import OutcomeKind
from channels.gateway import HttpGateway
from tests.carriers.gateway.rigs import JsonRig, KannelRig, MasRig
from tests.channels.conformance import ChannelConformance, Rig, receipts


class TestKannelProfile(ChannelConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[KannelRig]:
        rig = KannelRig()
        await rig.start()
        yield rig
        await rig.close()

    async def test_the_validity_is_passed_on(self, rig: Rig) -> None:
        """Kannel counts in minutes, and what is begun counts whole."""
        until = rig.now() + timedelta(seconds=90)

        await rig.channel.send(self.request(rig, valid_until=until))

        assert rig.valid_until_received() == rig.now() + timedelta(minutes=2)


FIRST = "0711140000m0001:13912345678"
"""What a MAS calls its first message: the id of the batch, and the number."""


class TestMasProfile(ChannelConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[MasRig]:
        rig = MasRig()
        await rig.start()
        yield rig
        await rig.close()

    async def test_the_validity_is_passed_on(self, rig: Rig) -> None:
        """It has no such field: what is handed over may arrive after its window."""
        outcome = await rig.channel.send(self.request(rig))

        assert outcome.kind is OutcomeKind.ACCEPTED

    async def test_receipts_name_our_token_and_the_carriers_time(self, rig: Rig) -> None:
        """They know no token: id of the batch and number name the message, in every process."""
        callbacks = await rig.receipts_of(self.request(rig))
        restarted = _restarted(rig)

        events = receipts(rig, callbacks)

        assert rig.channel.capabilities.receipts_by_reference
        assert {(e.token, e.reference) for e in events} == {("", FIRST)}
        assert all(e.happened_at == rig.now() for e in events)
        assert [e for c in callbacks for e in restarted.parse_receipts(c)] == events
        await restarted.close()

    async def test_a_receipt_can_be_read_before_its_send_has_returned(self, rig: Rig) -> None:
        """What it is about is known when the outcome is written: the receipt waits for that."""
        (callback, _) = await rig.receipts_of(self.request(rig))
        outcome = await rig.channel.send(self.request(rig, token="tok-0002"))

        (event,) = rig.channel.parse_receipts(callback)

        assert (event.token, event.reference) == ("", FIRST)
        assert outcome.reference == FIRST.replace("m0001", "m0002")


class TestJsonProfile(ChannelConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[JsonRig]:
        rig = JsonRig()
        await rig.start()
        yield rig
        await rig.close()


def _restarted(rig: Rig) -> HttpGateway:
    """The same channel in a process that has sent nothing."""
    assert isinstance(rig, MasRig)
    return rig.make()

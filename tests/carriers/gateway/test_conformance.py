"""The HTTP gateway keeps the promises that every channel makes, with each profile we ship."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from channels.base import OutcomeKind
from tests.carriers.gateway.rigs import JsonRig, KannelRig, MasRig
from tests.channels.conformance import ChannelConformance, Rig


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

    async def test_a_receipt_of_a_send_that_nobody_remembers_keeps_its_reference(
        self, rig: MasRig
    ) -> None:
        """Its receipts know no token: id of the batch and number name the message."""
        outcome = await rig.channel.send(self.request(rig))
        (callback, _) = await rig.receipts_of(self.request(rig, token="tok-0002"))
        restarted = rig.make()

        (before,) = rig.channel.parse_receipts(callback)
        (after,) = restarted.parse_receipts(callback)

        await restarted.close()
        assert outcome.reference == "0711140000m0001:13912345678"
        assert before.reference == after.reference == "0711140000m0002:13912345678"
        assert (before.token, after.token) == ("tok-0002", "")
        assert before.dedupe_key == after.dedupe_key


class TestJsonProfile(ChannelConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[JsonRig]:
        rig = JsonRig()
        await rig.start()
        yield rig
        await rig.close()

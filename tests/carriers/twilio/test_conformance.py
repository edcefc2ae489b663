"""Twilio's channels keep the promises that every channel makes, on the stand-in.

Where Twilio cannot keep one as it stands, the promise is tested as far as it goes: its SMS
callbacks say no time, and its look-ups know a try's latest word only and no token of ours.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from channels.base import SignatureInvalid
from tests.carriers.twilio.rigs import SmsRig, TwilioRig, VoiceRig
from tests.channels.conformance import (
    CallConformance,
    ChannelConformance,
    one_of_each,
    read,
    receipts,
)


class TwilioConformance(ChannelConformance):
    """What both have to say beside the suite."""

    async def test_look_up_knows_what_it_has_seen_and_what_not(self, rig: TwilioRig) -> None:
        callbacks = await rig.receipts_of(self.request(rig))
        last = receipts(rig, callbacks)[-1]
        unseen = self.inquiry(rig, "tok-0002", to="+8613900000000", text="an other text")

        found = await rig.channel.lookup(self.inquiry(rig))

        assert found is not None
        assert [(e.dedupe_key, e.word, e.reference) for e in found] == [
            (last.dedupe_key, last.word, last.reference)
        ]
        assert await rig.channel.lookup(unseen) is None, "too early to say"
        rig.clock.move(seconds=61)
        assert await rig.channel.lookup(unseen) == []

    async def test_a_callback_without_twilios_signature_is_refused(self, rig: TwilioRig) -> None:
        for genuine in await one_of_each(self, rig):
            without = {k: v for k, v in genuine.headers.items() if k != "X-Twilio-Signature"}
            for headers in (without, {**without, "X-Twilio-Signature": ""}):
                with pytest.raises(SignatureInvalid):
                    read(rig, replace(genuine, headers=headers))

    async def test_a_callback_whose_query_was_changed_is_refused(self, rig: TwilioRig) -> None:
        genuine = (await one_of_each(self, rig))[0]

        with pytest.raises(SignatureInvalid):
            read(rig, replace(genuine, url=f"{genuine.url}&step=said"))


class TestTwilioSms(TwilioConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[TwilioRig]:
        rig = SmsRig()
        await rig.start()
        yield rig
        await rig.close()

    async def test_receipts_name_our_token_and_the_carriers_time(self, rig: TwilioRig) -> None:
        """Twilio says no time with a message's status, and none is invented."""
        request = self.request(rig)

        events = receipts(rig, await rig.receipts_of(request))

        assert [event.token for event in events] == [request.token] * 2
        assert all(event.happened_at is None for event in events)

    async def test_answers_missed_while_away_can_be_fetched(self, rig: TwilioRig) -> None:
        """They come with a time, which a callback lacks, and under the same key."""
        before = rig.now()
        callback = await rig.answer_to(self.request(rig), "1")

        fetched = await rig.channel.poll_inbound(before)

        assert fetched is not None
        answer = rig.channel.parse_inbound(callback)
        assert [replace(e, happened_at=None) for e in fetched.events] == answer
        assert [e.happened_at for e in fetched.events] == [rig.now()]


class TestTwilioVoice(TwilioConformance, CallConformance):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[TwilioRig]:
        rig = VoiceRig()
        await rig.start()
        yield rig
        await rig.close()

"""A call that plays a recording, over the simulated carrier's HTTP and on its phones page."""

from datetime import timedelta

import pytest
from aiohttp import ClientSession

from channels.base import OutcomeKind, SendRequest, Words
from channels.errors import ErrorClass
from channels.simulator.handset import EntryKind
from tests.channels.rigs import PHONE, SmsRig, VoiceRig

AUDIO = "https://warn.example/recordings/recording.7.abc/ug?x=1&y=2"
TEXT = "سەل ئاپىتى، تاپشۇرۇۋالسىڭىز 1 نى بېسىڭ."


def request(rig: VoiceRig | SmsRig, audio_url: str) -> SendRequest:
    return SendRequest(
        token="tok-1",
        to=PHONE,
        text=TEXT,
        language="ug",
        valid_until=rig.now() + timedelta(minutes=10),
        callback_url=rig.callback_url("tok-1"),
        audio_url=audio_url,
    )


async def phones(rig: VoiceRig) -> str:
    async with ClientSession() as browser, browser.get(rig.server.url) as answer:
        return await answer.text()


async def test_the_phone_shows_that_a_recording_is_played(voice: VoiceRig) -> None:
    await voice.channel.send(request(voice, AUDIO))
    await voice.timeline.advance(5)

    handset = voice.carrier.shelf.find(PHONE)
    assert handset is not None
    (entry,) = handset.entries
    page = await phones(voice)

    assert (entry.kind, entry.audio) == (EntryKind.CALL, AUDIO)
    assert "播放的是录音" in page
    assert AUDIO.replace("&", "&amp;") in page
    assert TEXT in page


async def test_a_call_without_one_speaks_its_text(voice: VoiceRig) -> None:
    await voice.channel.send(request(voice, ""))
    await voice.timeline.advance(5)

    assert "播放的是录音" not in await phones(voice)


async def test_a_text_message_takes_no_recording(sms: SmsRig) -> None:
    await sms.channel.send(request(sms, AUDIO))
    await sms.timeline.advance(5)

    handset = sms.carrier.shelf.find(PHONE)
    assert handset is not None
    assert [entry.audio for entry in handset.entries] == [""]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "x"])
async def test_what_is_no_address_is_refused(voice: VoiceRig, url: str) -> None:
    outcome = await voice.channel.send(request(voice, url))

    assert (outcome.kind, outcome.error_class) == (OutcomeKind.REJECTED, ErrorClass.CONFIG)


async def test_it_speaks_every_language_and_plays(voice: VoiceRig) -> None:
    assert voice.channel.capabilities.plays
    assert voice.channel.check(Words(text=TEXT, language="ug")) is None

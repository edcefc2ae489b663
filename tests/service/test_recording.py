"""A village that speaks Uyghur, a carrier that does not, and somebody who reads the text aloud."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes import sound as make
from tests.fakes.channel import FakeChannel
from tests.fakes.county import DRILL, RAIN, County, Issued, Person
from warnsvc.core import bulletin as rules
from warnsvc.core.bulletin import Bulletin, BulletinStatus, BulletinType, Colour
from warnsvc.core.refusal import Refusal
from warnsvc.service import bulletin
from warnsvc.service.lift import lift
from warnsvc.service.recording import (
    add_recording,
    recording_by_token,
    recordings_of,
    remove_recording,
    sound_of,
    text_digest,
)
from warnsvc.service.release import preview
from warnsvc.service.voice import Voice

UYGHUR = "قىزىل ئاگاھلاندۇرۇش: بۈگۈن كەچ قارا يامغۇر ياغىدۇ، دەرھال كۆچۈڭ."
TEXTS = {"zh": RAIN, "ug": UYGHUR}
WAV = make.wav(3)
OTHER = make.wav(4)


def speaks(channel: FakeChannel, *languages: str, plays: bool = True) -> None:
    """Let a carrier have voices for these languages only."""
    channel.capabilities = replace(
        channel.capabilities, languages=frozenset(languages), plays=plays
    )


@pytest.fixture
async def uyghur(county: County) -> Person:
    """Somebody who is called first in the first village."""
    speaks(county.voice, "zh", "en")
    return await county.appoint(county.villages[0], language="ug")


async def recorded(county: County, new: int, language: str = "ug", sound: bytes = WAV) -> None:
    await add_recording(
        county.ctx, officer=county.duty, bulletin_id=new, language=language, sound=sound
    )


async def drafted(county: County) -> int:
    draft = county.written(texts=TEXTS)
    return await bulletin.draft(county.ctx, officer=county.duty, draft=draft)


async def signed(county: County, new: int) -> None:
    await bulletin.submit(county.ctx, officer=county.duty, bulletin_id=new)
    await bulletin.sign(county.ctx, officer=county.signer, bulletin_id=new)


async def released(county: County, new: int) -> Issued:
    await signed(county, new)
    warning = await county.release(new)
    await county.settle()
    return warning


async def test_without_a_recording_the_call_is_made_in_chinese(
    county: County, uyghur: Person
) -> None:
    new = await drafted(county)
    shown = await preview(county.ctx, new)
    await released(county, new)

    call = uyghur.expects_call(RAIN.rstrip("。"), "收到请按1").does_not_say(UYGHUR[:20])
    assert call.taken.request.language == "zh"
    assert call.taken.request.audio_url == ""
    uyghur.expects_sms(UYGHUR)  # a text he can read
    assert "voice_missing:ug:1" in shown.warnings
    assert [m.people for m in shown.messages if (m.language, m.channel) == ("ug", "voice")] == []
    await county.finish()


async def test_with_a_recording_the_call_is_his_own_language_played(
    county: County, uyghur: Person
) -> None:
    new = await drafted(county)
    await recorded(county, new)
    shown = await preview(county.ctx, new)
    await released(county, new)

    request = uyghur.expects_call(UYGHUR.rstrip(".")).taken.request
    url, _, language = request.audio_url.rpartition("/")
    known = await recording_by_token(county.ctx, url.rpartition("/")[2], language)
    sound = await sound_of(county.ctx, new, language)

    assert (request.language, language) == ("ug", "ug")
    assert known is not None
    assert sound is not None
    assert (known.media_type, known.size, known.digest) == ("audio/wav", len(WAV), sound.digest)
    assert sound.content == WAV
    assert not [code for code in shown.warnings if code.startswith("voice_missing")]
    assert shown.voices == (
        Voice(language="zh", people=5, written=True, spoken=True, plays=True, recorded=False),
        Voice(language="ug", people=1, written=True, spoken=False, plays=True, recorded=True),
    )
    county.villages[0].first.expects_call(RAIN.rstrip("。"))
    await county.finish()


async def test_a_carrier_that_plays_nothing_speaks_chinese_to_him(
    county: County, uyghur: Person
) -> None:
    speaks(county.voice, "zh", plays=False)
    new = await drafted(county)
    await recorded(county, new)
    shown = await preview(county.ctx, new)
    await released(county, new)

    uyghur.expects_call("收到请按1")
    assert "voice_missing:ug:1" in shown.warnings
    await county.finish()


async def test_a_carrier_that_speaks_everything_needs_no_recording(county: County) -> None:
    person = await county.appoint(county.villages[0], language="ug")
    new = await drafted(county)
    await released(county, new)

    person.expects_call(UYGHUR.rstrip("."))
    await county.finish()


async def test_who_cannot_be_spoken_to_at_all_is_counted(county: County, uyghur: Person) -> None:
    speaks(county.voice, "en")
    new = await drafted(county)

    shown = await preview(county.ctx, new)

    assert [code for code in shown.warnings if code.startswith("voice_missing")] == [
        "voice_missing:zh:6"
    ]
    del uyghur


async def test_a_list_of_silent_villages_is_spoken_because_no_recording_knows_it(
    county: County, uyghur: Person
) -> None:
    head = await county.appoint(county.townships[0], language="ug")
    new = await drafted(county)
    await recorded(county, new)
    await recorded(county, new, "zh")
    await released(county, new)
    del uyghur

    await county.advance(minutes=30)

    calls = [taken.request for taken in county.voice.taken if taken.to == head.phone.address]
    assert calls
    assert {(call.language, call.audio_url) for call in calls if "未应答" in call.text} == {
        ("zh", "")
    }
    head.ignores_everything()
    await county.finish()


async def test_the_end_is_told_in_chinese_on_the_phone(county: County) -> None:
    speaks(county.voice, "zh")
    landline = await county.appoint(county.villages[0], language="ug", numbers=["+869910000001"])
    new = await drafted(county)
    await recorded(county, new)
    await released(county, new)
    landline.expects_call(UYGHUR.rstrip("."))

    await lift(county.ctx, officer=county.duty, bulletin_id=new, reason="雨停了")
    await county.settle()

    said = landline.expects_call("解除", "雨停了")
    assert (said.taken.request.language, said.taken.request.audio_url) == ("zh", "")
    await county.finish()


async def test_the_signature_covers_the_recordings(county: County) -> None:
    new = await drafted(county)
    before = (await preview(county.ctx, new)).digest
    await recorded(county, new)
    first = (await preview(county.ctx, new)).digest
    await recorded(county, new, sound=OTHER)
    second = (await preview(county.ctx, new)).digest

    await bulletin.submit(county.ctx, officer=county.duty, bulletin_id=new)
    with pytest.raises(Refusal, match="changed_while_reading"):
        await bulletin.sign(county.ctx, officer=county.signer, bulletin_id=new, digest=first)

    assert len({before, first, second}) == 3


async def test_a_recording_after_signing_sends_the_bulletin_back_to_draft(county: County) -> None:
    new = await drafted(county)
    await signed(county, new)

    await add_recording(
        county.ctx, officer=county.signer, bulletin_id=new, language="ug", sound=WAV
    )

    after = await bulletin.get(county.ctx, new)
    assert (after.state, after.signed_digest, after.drafted_by) == ("draft", None, county.signer)
    await bulletin.submit(county.ctx, officer=county.duty, bulletin_id=new)
    with pytest.raises(Refusal, match="signer_is_author"):
        await bulletin.sign(county.ctx, officer=county.signer, bulletin_id=new)


async def test_removing_one_voids_the_signature_too(county: County) -> None:
    new = await drafted(county)
    await recorded(county, new)
    await signed(county, new)

    await remove_recording(county.ctx, officer=county.duty, bulletin_id=new, language="ug")

    after = await bulletin.get(county.ctx, new)
    assert (after.state, dict(after.recordings)) == ("draft", {})
    assert await recordings_of(county.ctx, new) == {}


async def test_a_released_bulletin_keeps_its_recordings(county: County) -> None:
    new = await drafted(county)
    await recorded(county, new)
    await released(county, new)

    with pytest.raises(Refusal, match="wrong_state"):
        await recorded(county, new, sound=OTHER)
    with pytest.raises(Refusal, match="wrong_state"):
        await remove_recording(county.ctx, officer=county.duty, bulletin_id=new, language="ug")

    assert (await recordings_of(county.ctx, new))["ug"].digest == _sha(WAV)
    await county.finish()


async def test_an_edited_text_takes_its_own_recording_along_and_no_other(county: County) -> None:
    new = await drafted(county)
    await recorded(county, new)
    await recorded(county, new, "zh", OTHER)
    changed = county.written(texts={**TEXTS, "ug": f"{UYGHUR} 22"})

    await bulletin.edit(county.ctx, officer=county.duty, bulletin_id=new, draft=changed)

    after = await bulletin.get(county.ctx, new)
    assert dict(after.recordings) == {"zh": _sha(OTHER)}
    assert set(await recordings_of(county.ctx, new)) == {"zh"}
    assert (await _lines(county, "bulletin.recording_removed"))[-1]["why"] == "text_changed"


async def test_an_edit_of_something_else_keeps_them(county: County) -> None:
    new = await drafted(county)
    await recorded(county, new)

    changed = county.written(texts=TEXTS, hours=12)
    await bulletin.edit(county.ctx, officer=county.duty, bulletin_id=new, draft=changed)

    assert dict((await bulletin.get(county.ctx, new)).recordings) == {"ug": _sha(WAV)}


async def test_the_ledger_says_who_put_in_and_took_out_what(county: County) -> None:
    new = await drafted(county)
    await recorded(county, new)
    await remove_recording(county.ctx, officer=county.signer, bulletin_id=new, language="ug")

    (added,) = await _lines(county, "bulletin.recording_added")
    (removed,) = await _lines(county, "bulletin.recording_removed")

    kept = {"language": "ug", "milliseconds": 3000, "sound": _sha(WAV)}
    assert added["actor"] == "officer:1"
    assert {key: added["data"][key] for key in kept} == kept
    assert removed["actor"] == "officer:2"
    assert {key: removed["data"][key] for key in kept} == kept


@pytest.mark.parametrize(
    ("language", "sound", "code"),
    [
        ("xx", WAV, "recording_language_unknown"),
        ("en", WAV, "recording_without_text"),
        ("ug", b"not a sound at all", "recording_unknown_format"),
        ("ug", b"", "recording_missing"),
    ],
)
async def test_what_is_refused_changes_nothing(
    county: County, language: str, sound: bytes, code: str
) -> None:
    new = await drafted(county)
    await recorded(county, new)
    await signed(county, new)

    with pytest.raises(Refusal, match=code):
        await recorded(county, new, language, sound)

    after = await bulletin.get(county.ctx, new)
    assert (after.state, dict(after.recordings)) == ("signed", {"ug": _sha(WAV)})
    assert len(await _lines(county, "bulletin.recording_added")) == 1


async def test_a_text_that_was_changed_while_it_was_read_aloud_is_not_recorded(
    county: County,
) -> None:
    new = await drafted(county)
    read = text_digest(UYGHUR)
    changed = county.written(texts={**TEXTS, "ug": f"{UYGHUR} 22"})
    await bulletin.edit(county.ctx, officer=county.duty, bulletin_id=new, draft=changed)

    with pytest.raises(Refusal, match="changed_while_recording"):
        await add_recording(
            county.ctx,
            officer=county.duty,
            bulletin_id=new,
            language="ug",
            sound=WAV,
            read_aloud=read,
        )


async def test_what_is_not_there_cannot_be_removed_or_fetched(county: County) -> None:
    new = await drafted(county)

    with pytest.raises(Refusal, match="recording_unknown"):
        await remove_recording(county.ctx, officer=county.duty, bulletin_id=new, language="ug")

    token = county.ctx.token("recording", new)
    assert await recording_by_token(county.ctx, token, "ug") is None
    assert await recording_by_token(county.ctx, f"{token}x", "ug") is None
    assert await recording_by_token(county.ctx, county.ctx.token("callout", new), "ug") is None


async def test_a_drill_is_recorded_like_any_other(county: County, uyghur: Person) -> None:
    drill = f"مانېۋىر: {UYGHUR} مانېۋىر"
    new = await bulletin.draft(
        county.ctx,
        officer=county.duty,
        draft=county.written(status=BulletinStatus.EXERCISE, texts={"zh": DRILL, "ug": drill}),
    )
    await recorded(county, new)
    await released(county, new)

    assert uyghur.expects_call(drill[:20]).taken.request.audio_url
    await county.finish()


def test_a_bulletin_without_recordings_has_the_digest_it_always_had() -> None:
    """Computed by the version before recordings: signatures of that time stay good."""
    at = datetime(2026, 7, 5, 12, tzinfo=UTC)
    old = Bulletin(
        id=1,
        identifier="x",
        event_id=1,
        status=BulletinStatus.ACTUAL,
        type=BulletinType.ALERT,
        hazard="11B03",
        colour=Colour.RED,
        region_codes=("990100000000",),
        texts={"zh": "暴雨"},
        onset_at=at,
        expires_at=at.replace(hour=18),
        drafted_by=1,
    )

    assert rules.digest(old) == "205443d3af79c8adb2cb96c195a76721e4f5a8094231691b968a4cec573d8c82"
    assert rules.digest(replace(old, recordings={"ug": "a" * 64})) != rules.digest(old)


async def _lines(county: County, act: str) -> list[dict[str, Any]]:
    rows = await county.rows("SELECT body FROM ledger_line WHERE act = $1 ORDER BY id", act)
    return [json.loads(bytes(row["body"])) for row in rows]


def _sha(sound: bytes) -> str:
    return hashlib.sha256(sound).hexdigest()

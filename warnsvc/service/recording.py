"""Recordings of a bulletin's texts: a person reads aloud what no carrier can speak.

    file ──read_sound──► Sound ──one unit──► recording, bulletin back to draft, ledger line

A recording is part of what is signed, so putting one in or taking one out is an edit like any
other: it voids signatures, and whoever did it cannot sign. It belongs to one text; an edit of that
text takes it out (`drop_outdated`), because nothing is worse at night than the old words. Carriers
fetch it by a token that names the bulletin.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from warnsvc.core import bulletin as rules
from warnsvc.core.bulletin import Bulletin
from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal
from warnsvc.render import LANGUAGES
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.service.sound import read_sound
from warnsvc.store.bulletin import load_bulletin, save_bulletin
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit
from warnsvc.store.recording import (
    Recording,
    StoredSound,
    delete_recording,
    keep_recording,
    list_recordings,
    load_recording,
    load_sound,
)

TEXT_CHANGED = "text_changed"
"""Why a recording went without anybody asking for it."""


async def add_recording(
    ctx: Context,
    *,
    officer: int,
    bulletin_id: int,
    language: str,
    sound: bytes,
    read_aloud: str | None = None,
) -> Recording:
    """Keep a recording of a bulletin's text, in the place of an earlier one. Raises Refusal.

    `read_aloud`: `text_digest` of what the page showed to be read, so that nobody hears a text that
    was changed while it was being recorded.
    """
    if language not in LANGUAGES:
        raise Refusal("recording_language_unknown", field="language", language=language[:24])
    found = await asyncio.to_thread(read_sound, sound)
    now = ctx.clock.now()
    recording = Recording(
        bulletin_id=bulletin_id,
        language=language,
        media_type=found.media_type,
        seconds=found.seconds,
        digest=hashlib.sha256(sound).hexdigest(),
        size=len(sound),
        uploaded_at=now,
        uploaded_by=officer,
    )
    async with ctx.store.unit() as unit:
        before = await _held(unit, bulletin_id)
        recordings = {**before.recordings, language: recording.digest}
        after = rules.edit(before, replace(before, recordings=recordings, drafted_by=officer))
        text = before.texts.get(language, "")
        if not text.strip():
            raise Refusal("recording_without_text", field="sound")
        if read_aloud is not None and read_aloud != text_digest(text):
            raise Refusal("changed_while_recording", field="sound")
        await keep_recording(unit, recording, sound)
        await save_bulletin(unit, after, now=now)
        await _line(unit, "bulletin.recording_added", before, after, recording, officer, now)
    await ctx.store.wake(WAKE_BOARD)
    return recording


async def remove_recording(ctx: Context, *, officer: int, bulletin_id: int, language: str) -> None:
    """Take a recording out. Raises Refusal."""
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        before = await _held(unit, bulletin_id)
        recording = await load_recording(unit, bulletin_id, language)
        left = {key: digest for key, digest in before.recordings.items() if key != language}
        after = rules.edit(before, replace(before, recordings=left, drafted_by=officer))
        if recording is None:
            raise Refusal("recording_unknown", field="sound")
        await delete_recording(unit, bulletin_id, language)
        await save_bulletin(unit, after, now=now)
        await _line(unit, "bulletin.recording_removed", before, after, recording, officer, now)
    await ctx.store.wake(WAKE_BOARD)


async def drop_outdated(
    unit: Unit, before: Bulletin, after: Bulletin, *, officer: int, now: datetime
) -> Bulletin:
    """Take out recordings whose text has been edited, and return the bulletin without them."""
    outdated = rules.outdated_recordings(before, after)
    left = {key: digest for key, digest in after.recordings.items() if key not in outdated}
    kept = replace(after, recordings=left)
    for language in outdated:
        recording = await load_recording(unit, after.id, language)
        assert recording is not None, "it was loaded with the bulletin"
        await delete_recording(unit, after.id, language)
        act = "bulletin.recording_removed"
        await _line(unit, act, before, kept, recording, officer, now, why=TEXT_CHANGED)
    return kept


async def recordings_of(ctx: Context, bulletin_id: int) -> dict[str, Recording]:
    """Return a bulletin's recordings by language."""
    async with ctx.store.view() as unit:
        return {found.language: found for found in await list_recordings(unit, bulletin_id)}


async def sound_of(ctx: Context, bulletin_id: int, language: str) -> StoredSound | None:
    """Return a recording to be played, or None."""
    async with ctx.store.view() as unit:
        return await load_sound(unit, bulletin_id, language)


async def recording_of(ctx: Context, bulletin_id: int, language: str) -> Recording | None:
    """Return what is known of a recording, or None."""
    async with ctx.store.view() as unit:
        return await load_recording(unit, bulletin_id, language)


async def recording_by_token(ctx: Context, token: str, language: str) -> Recording | None:
    """Return what a carrier asks for by the address it was given, or None."""
    bulletin_id = ctx.read_token("recording", token)
    return None if bulletin_id is None else await recording_of(ctx, bulletin_id, language)


def text_digest(text: str) -> str:
    """Return what tells one text from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def in_order(languages: Iterable[str]) -> list[str]:
    """Return languages as screens list them."""
    wanted = set(languages)
    return [language for language in LANGUAGES if language in wanted]


async def _held(unit: Unit, bulletin_id: int) -> Bulletin:
    await unit.lock_bulletins([bulletin_id], patient=True)
    return await load_bulletin(unit, bulletin_id)


async def _line(
    unit: Unit,
    act: str,
    before: Bulletin,
    after: Bulletin,
    recording: Recording,
    officer: int,
    now: datetime,
    why: str = "",
) -> None:
    line = Line(
        act=act,
        actor=f"officer:{officer}",
        bulletin_id=after.id,
        from_state=before.state.value,
        to_state=after.state.value,
        why=why,
        data={
            "digest": rules.digest(after),
            "language": recording.language,
            "sound": recording.digest,
            "milliseconds": round(recording.seconds * 1000),  # the ledger holds whole numbers
        },
    )
    await append_lines(unit, [line], now=now)

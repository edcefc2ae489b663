"""What a bulletin's page shows of its recordings: one line a language.

    planned people ──voices──► language, how many, how they are called
    recordings     ──────────► the player, who uploaded it, when
    his text       ──────────► what is to be read aloud, prompt included

It decides nothing and changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from warnsvc.core.bulletin import Bulletin
from warnsvc.service.context import Context
from warnsvc.service.recording import in_order, recordings_of, text_digest
from warnsvc.service.voice import FALLBACK, Voice
from warnsvc.store.recording import Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingLine:
    """One language."""

    language: str
    people: int
    how: str
    """How they are called, as `label.VOICE` names it; empty when nobody foresees it any more."""
    wanted: bool
    """Whether a call in it is only made with a recording."""
    recording: Recording | None
    to_read: str
    """What a speaker reads aloud; empty without a text in this language."""
    text_digest: str


async def recording_lines(
    ctx: Context, bulletin: Bulletin, voices: Iterable[Voice]
) -> list[RecordingLine]:
    """Return the languages that people are called in, and those that are recorded."""
    kept = await recordings_of(ctx, bulletin.id)
    by_language = {voice.language: voice for voice in voices}
    shown = {voice.language for voice in by_language.values() if voice.people or voice.written}
    fallback = by_language.get(FALLBACK)
    return [
        _line(ctx, bulletin, language, by_language.get(language), fallback, kept.get(language))
        for language in in_order({*shown, *kept})
    ]


def _line(
    ctx: Context,
    bulletin: Bulletin,
    language: str,
    voice: Voice | None,
    fallback: Voice | None,
    recording: Recording | None,
) -> RecordingLine:
    text = bulletin.texts.get(language, "")
    to_read = ""
    if text.strip():
        to_read = ctx.renderer.message(bulletin, language=language, channel="voice").text
    return RecordingLine(
        language=language,
        people=voice.people if voice else 0,
        how=_how(voice, fallback),
        wanted=voice is not None and voice.plays and voice.written and not voice.spoken,
        recording=recording,
        to_read=to_read,
        text_digest=text_digest(text),
    )


def _how(voice: Voice | None, fallback: Voice | None) -> str:
    if voice is None:
        return ""
    if voice.said:
        return "recorded" if voice.recorded and voice.plays else "spoken"
    return "chinese" if fallback is not None and fallback.said else "silent"

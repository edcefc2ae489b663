"""In which language somebody is called: his own if the call can be made in it, else Chinese.

    his language ── text written? ── carrier speaks it, or plays its recording? ──► his language
                         └── no ──────────────── no ──► the Chinese text

A carrier that is handed a language it has no voice for is silent or spells letters, and a call that
says nothing is worse than one in the second language of the village (carriers.md §0.8, §1.3). A
recording is of the officer's text alone: it knows no list of silent villages and no stand-down, so
these are spoken. It asks the first carrier of the language's route.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from channels.base import Capabilities, Words, can_say
from contacts.contact import Contact, NumberKind, channels_of
from warnsvc.core.bulletin import Bulletin
from warnsvc.document import Place
from warnsvc.render import LANGUAGES, Message
from warnsvc.service.context import Context

VOICE = "voice"
CALL = "call"
FALLBACK = LANGUAGES[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How the people of one language are called."""

    language: str
    people: int
    written: bool
    """Whether there is a text in it."""
    spoken: bool
    """Whether the carrier speaks it."""
    plays: bool
    """Whether the carrier plays recordings."""
    recorded: bool

    @property
    def said(self) -> bool:
        """Whether a call can be made in it; if not, the Chinese text is spoken."""
        return self.written and (self.spoken or (self.plays and self.recorded))


def message_of(
    ctx: Context,
    bulletin: Bulletin,
    *,
    language: str,
    channel: str,
    purpose: str = CALL,
    listing: tuple[str, ...] = (),
    places: tuple[Place, ...] = (),
) -> Message:
    """Return what is sent, in a language that this channel can carry; `places` to an endpoint."""
    return ctx.renderer.message(
        bulletin,
        language=language,
        channel=channel,
        purpose=purpose,
        listing=listing,
        places=places,
        can_say=_sayable(ctx, bulletin, recordings=purpose == CALL and not listing),
    )


def voices_of(ctx: Context, bulletin: Bulletin, contacts: Iterable[Contact]) -> tuple[Voice, ...]:
    """Return the languages of those who may be called by phone; none without a voice carrier."""
    people: Counter[str] = Counter()
    for (language, kinds), many in _alike(contacts).items():
        if any(VOICE in channels_of(kind) for kind in kinds):
            people[language if language in LANGUAGES else FALLBACK] += many
    wanted = {FALLBACK, *people, *bulletin.recordings}
    found = (_voice(ctx, bulletin, each, people[each]) for each in LANGUAGES if each in wanted)
    return tuple(voice for voice in found if voice is not None)


def voice_warnings(voices: Iterable[Voice]) -> Iterable[str]:
    """Yield `voice_missing:<language>:<people>` for each text that no call can be made in.

    For Chinese, which nothing stands in for, these are all who cannot be called by phone.
    """
    unsaid = [voice for voice in voices if not voice.said]
    if any(voice.language == FALLBACK for voice in unsaid):
        if people := sum(voice.people for voice in unsaid):
            yield f"voice_missing:{FALLBACK}:{people}"
        return
    for voice in unsaid:
        if voice.written and voice.people:
            yield f"voice_missing:{voice.language}:{voice.people}"


def _alike(contacts: Iterable[Contact]) -> Counter[tuple[str, tuple[NumberKind, ...]]]:
    """Forty thousand people have a handful of languages and kinds of numbers between them."""
    return Counter(
        [
            (each.language, tuple([number.kind for number in each.numbers if not number.failed]))
            for each in contacts
            if each.robot_ok
        ]
    )


def _voice(ctx: Context, bulletin: Bulletin, language: str, people: int) -> Voice | None:
    capabilities = _capabilities(ctx, language)
    if capabilities is None:
        return None
    return Voice(
        language=language,
        people=people,
        written=bool(bulletin.texts.get(language, "").strip()),
        spoken=can_say(capabilities, Words(text="", language=language)),
        plays=capabilities.plays,
        recorded=language in bulletin.recordings,
    )


def _sayable(ctx: Context, bulletin: Bulletin, *, recordings: bool) -> Callable[[str], bool]:
    def sayable(language: str) -> bool:
        capabilities = _capabilities(ctx, language)
        recorded = recordings and language in bulletin.recordings
        words = Words(text="", language=language, recorded=recorded)
        return capabilities is None or can_say(capabilities, words)

    return sayable


def _capabilities(ctx: Context, language: str) -> Capabilities | None:
    carriers = ctx.fleet.carriers_for(VOICE, "", language)
    return carriers[0].capabilities if carriers else ctx.capabilities.get(VOICE)

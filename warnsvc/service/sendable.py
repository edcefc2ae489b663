"""Before anybody signs: which carrier can send which text, and which cannot and why.

    bulletin ──► each language × channel × form, as a phone would show it
                   └─► every carrier of its route: check(words)
                         able       takes it as it stands
                         hindered   too long, no template, a link, an alphabet, no voice, no replies
    judge          everything, for whoever wants to know
    text_refusals  what the officer must mend before it can be saved
    notes          what he must know, and cannot mend or need not

Some carriers send approved templates only, and say at three in the morning that a text does not
fit. They are asked when it is written instead. Refused is only what can be mended in the text: a
template that an administrator forgot must not keep a warning from the channels that still work, so
that is told aloud and not refused. It asks adapters, which ask nobody; it reads and writes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

from channels.base import Channel, Obstacle, Words
from warnsvc.core.bulletin import Bulletin
from warnsvc.core.refusal import Refusal
from warnsvc.render import LANGUAGES, LISTED_MAX, Message
from warnsvc.service.context import Context
from warnsvc.service.voice import CALL, FALLBACK, message_of

KINDS = ("sms", "voice")
"""Channels that carry the officer's text to a person. Endpoints take documents."""
NO_REPLY = "no_reply"
"""Beside the obstacles of carriers: it cannot bring an answer, and the text asks for one."""
SAMPLE_LISTING = ("某某某某村",) * LISTED_MAX
"""The longest list of places that a message holds: whose names, nobody knows before the release."""

REFUSED: Mapping[tuple[str, str], str] = {
    ("sms", Obstacle.TOO_LONG): "unsendable_sms_too_long",
    ("sms", Obstacle.FIELD_TOO_LONG): "unsendable_sms_field_too_long",
    ("sms", Obstacle.LINK): "unsendable_sms_link",
    ("sms", Obstacle.ALPHABET): "unsendable_sms_alphabet",
    ("sms", Obstacle.NO_TEMPLATE): "unsendable_sms_no_template",
    ("voice", Obstacle.TOO_LONG): "unsendable_voice_too_long",
    ("voice", Obstacle.FIELD_TOO_LONG): "unsendable_voice_field_too_long",
    ("voice", Obstacle.LINK): "unsendable_voice_link",
    ("voice", Obstacle.ALPHABET): "unsendable_voice_alphabet",
    ("voice", Obstacle.NO_TEMPLATE): "unsendable_voice_no_template",
}
"""What can be mended by writing → the code of a refusal."""

_OWN_FIELDS = frozenset({"", "text", "message"})
"""Values that are the officer's own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One of the house's messages. `names`: it lists places."""

    purpose: str
    names: bool = False


FORMS = (
    Form(purpose=CALL),
    Form(purpose=CALL, names=True),
    Form(purpose="inform", names=True),
    Form(purpose="stand_down", names=True),
    Form(purpose="lift"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindrance:
    """Why one carrier cannot send a text. `why`: an `Obstacle`, or NO_REPLY."""

    carrier: str
    why: str
    field: str = ""
    limit: int = 0
    given: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the carriers of a route make of one text, in the route's order."""

    language: str
    channel: str
    form: Form
    route: tuple[str, ...]
    hindered: tuple[Hindrance, ...]

    @property
    def able(self) -> tuple[str, ...]:
        """Those that can send it."""
        unable = {hindrance.carrier for hindrance in self.hindered}
        return tuple(name for name in self.route if name not in unable)

    @property
    def hopeless(self) -> bool:
        """Nobody can."""
        return bool(self.route) and not self.able

    @property
    def diverted(self) -> bool:
        """Somebody can, but not the one that is tried first."""
        return bool(self.able) and self.able[0] != self.route[0]


def judge(ctx: Context, bulletin: Bulletin) -> tuple[Judgement, ...]:
    """Return a judgement of every text of a bulletin, on every channel that has carriers."""
    found: dict[tuple[str, str, Form], Judgement] = {}
    languages = [each for each in LANGUAGES if bulletin.texts.get(each, "").strip()]
    for kind in KINDS:
        for form in FORMS:
            for language in languages:
                message = _message(ctx, bulletin, language, kind, form)
                place = (message.language, kind, form)
                if place not in found and (judged := _judge(ctx, bulletin, message, form)):
                    found[place] = judged
    return tuple(found.values())


def text_refusals(ctx: Context, bulletin: Bulletin) -> Iterator[Refusal]:
    """Yield one refusal for each text that no carrier of a channel can send as it is written."""
    refused: set[str] = set()
    for judged in judge(ctx, bulletin):
        field = f"text_{judged.language}"
        mend = mendable(judged)
        if mend is not None and field not in refused:
            refused.add(field)
            yield Refusal(
                REFUSED[judged.channel, mend.why],
                field=field,
                limit=mend.limit,
                given=mend.given,
            )


def mendable(judged: Judgement) -> Hindrance | None:
    """Return what the officer can mend so that it can be sent, or None: he cannot, or need not."""
    if not judged.hopeless or judged.form != FORMS[0]:
        return None
    return next((one for one in judged.hindered if _by_writing(one, judged.language)), None)


def _by_writing(hindrance: Hindrance, language: str) -> bool:
    match hindrance.why:
        case Obstacle.TOO_LONG:
            return True
        case Obstacle.FIELD_TOO_LONG | Obstacle.LINK | Obstacle.ALPHABET:
            return hindrance.field in _OWN_FIELDS
        case Obstacle.NO_TEMPLATE:
            # Left empty, its people get the Chinese text; Chinese itself nobody can leave out.
            return language != FALLBACK and not hindrance.field
        case _:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Forms of one language and channel that fare alike. `next`: who sends them instead, or ""."""

    language: str
    channel: str
    forms: tuple[Form, ...]
    hindered: tuple[Hindrance, ...]
    next: str = ""


def notes(judged: Iterable[Judgement]) -> tuple[Note, ...]:
    """Return what is to be known of texts that not every first carrier can send."""
    alike: dict[tuple[str, str, tuple[Hindrance, ...], str], list[Form]] = {}
    for one in judged:
        if mendable(one) is None and (one.hopeless or one.diverted):
            next_one = one.able[0] if one.able else ""
            before = tuple(h for h in one.hindered if not next_one or _precedes(one, h, next_one))
            alike.setdefault((one.language, one.channel, before, next_one), []).append(one.form)
    return tuple(
        Note(language=language, channel=channel, forms=tuple(forms), hindered=why, next=instead)
        for (language, channel, why, instead), forms in alike.items()
    )


def _precedes(judged: Judgement, hindrance: Hindrance, carrier: str) -> bool:
    return judged.route.index(hindrance.carrier) < judged.route.index(carrier)


def _message(
    ctx: Context, bulletin: Bulletin, language: str, kind: str, form: Form
) -> Message:
    return message_of(
        ctx,
        bulletin,
        language=language,
        channel=kind,
        purpose=form.purpose,
        listing=SAMPLE_LISTING if form.names else (),
    )


def _judge(
    ctx: Context, bulletin: Bulletin, message: Message, form: Form
) -> Judgement | None:
    """Return what the carriers say of a message; None where the channel has none."""
    home = home_address(ctx.settings.local_country)
    carriers = ctx.fleet.carriers_for(message.channel, home, message.language)
    if not carriers:
        return None
    answering = ctx.fleet.route(message.channel, home, message.language, form.purpose)
    words = Words(
        text=message.text,
        language=message.language,
        form=form.purpose,
        fields=message.fields,
        recorded=form == FORMS[0] and message.language in bulletin.recordings,
    )
    hindrances = (_hindrance(carrier, words, answering) for carrier in carriers)
    return Judgement(
        language=message.language,
        channel=message.channel,
        form=form,
        route=tuple(carrier.name for carrier in carriers),
        hindered=tuple(one for one in hindrances if one is not None),
    )


def _hindrance(carrier: Channel, words: Words, answering: tuple[str, ...]) -> Hindrance | None:
    found = carrier.check(words)
    if found is not None:
        return Hindrance(
            carrier=carrier.name,
            why=found.obstacle.value,
            field=found.field,
            limit=found.limit,
            given=found.given,
        )
    if carrier.name not in answering:
        return Hindrance(carrier=carrier.name, why=NO_REPLY)
    return None


@lru_cache(maxsize=16)
def home_address(country: str) -> str:
    """Return how numbers at home begin, which is where most of a warning goes: `+86`."""
    return f"+{phonenumbers.country_code_for_region(country)}"

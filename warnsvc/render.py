"""What a phone shows or says: the officer's text set into the words of a template.

templates/{sms,voice}/<language>/<purpose>.txt choose words only. A person whose language has no
text from the officer gets the Chinese one, prompt included, because half a message in each of two
scripts is read by nobody (domain.md (e)). Webhooks carry the SMS text beside structured fields.

Purposes: `call` asks for an answer, `inform` and `stand_down` tell a superior, `lift` ends it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from channels.segment import count
from warnsvc.core.bulletin import Bulletin, BulletinType, Colour
from warnsvc.core.hazard import hazard_of
from warnsvc.document import Place, document

LANGUAGES = ("zh", "ug", "kk-Arab", "en")
"""Languages that have templates; the first is the fallback."""
RIGHT_TO_LEFT = frozenset({"ug", "kk-Arab"})
LISTED_MAX = 12
"""Names in one message; more are counted, or the list would push the prompt off the screen."""

_COLOURS: Mapping[str, Mapping[Colour, str]] = {
    "zh": {Colour.BLUE: "蓝色", Colour.YELLOW: "黄色", Colour.ORANGE: "橙色", Colour.RED: "红色"},
    "en": {c: c.value for c in Colour},
    "ug": {
        Colour.BLUE: "كۆك",
        Colour.YELLOW: "سېرىق",
        Colour.ORANGE: "قىزغۇچ سېرىق",
        Colour.RED: "قىزىل",
    },
    "kk-Arab": {
        Colour.BLUE: "كوك",
        Colour.YELLOW: "سارى",
        Colour.ORANGE: "قىزعىلت سارى",
        Colour.RED: "قىزىل",
    },
}
_AND_MORE = {
    "zh": "等{n}处",
    "en": " and others, {n} in all",
    "ug": " قاتارلىق {n}",
    "kk-Arab": " قاتارلى {n}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One rendered text. `parts` is 1 for anything but SMS."""

    language: str
    channel: str
    text: str
    parts: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What the text was made of, as a phone would show it: JSON values, in the message's language.

    By SMS and voice `issuer`, `hazard`, `colour`, `text` (the officer's), `number` (the bulletin's
    identifier), `released`, `listing` (names) and `listed` (the same as shown, cut), `drill`,
    `language`; by webhook a `warnsvc.document`.
    """


class Renderer:
    """Renders messages for one installation. `issuer` signs them, such as 云岭县应急局."""

    def __init__(self, templates: Path, *, issuer: str, zone: ZoneInfo) -> None:
        self._issuer = issuer
        self._zone = zone
        # Plain text for phones: nothing here is ever put into a page.
        self._environment = Environment(
            loader=FileSystemLoader(templates),
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701
            keep_trailing_newline=False,
        )

    def message(
        self,
        bulletin: Bulletin,
        *,
        language: str,
        channel: str,
        purpose: str = "call",
        listing: tuple[str, ...] = (),
        places: tuple[Place, ...] = (),
        can_say: Callable[[str], bool] | None = None,
    ) -> Message:
        """Return what is sent to a person of `language` by `channel`; `places` to an endpoint.

        `can_say`: whether a call can be made in a language; if not, it is made in Chinese.
        """
        spoken = _language(bulletin, language, purpose)
        if channel == "voice" and can_say is not None and not can_say(spoken):
            spoken = LANGUAGES[0]
        folder = "voice" if channel == "voice" else "sms"
        template = self._environment.get_template(f"{folder}/{spoken}/{purpose}.txt")
        fields = self._fields(bulletin, spoken, purpose, listing, spoken_aloud=folder == "voice")
        text = template.render({**fields, "listing": fields["listed"]})
        parts = count(text).parts if channel == "sms" else 1
        if channel == "webhook":
            fields = document(
                bulletin,
                purpose=purpose,
                hazard=fields["hazard"],
                issuer=self._issuer,
                places=places,
            )
        return Message(language=spoken, channel=channel, text=text, parts=parts, fields=fields)

    def _fields(
        self,
        bulletin: Bulletin,
        language: str,
        purpose: str,
        listing: tuple[str, ...],
        *,
        spoken_aloud: bool,
    ) -> dict[str, Any]:
        body = self._body(bulletin, language, purpose)
        return {
            "issuer": self._issuer,
            "text": body.rstrip("。.！!") if spoken_aloud and purpose == "call" else body,
            "drill": bulletin.is_drill,
            "listing": list(listing),
            "listed": _listed(listing, language),
            "hazard": _hazard(bulletin.hazard, language),
            "colour": _COLOURS[language][bulletin.colour],
            "number": bulletin.identifier,
            "released": self._released(bulletin),
            "language": language,
        }

    @staticmethod
    def _body(bulletin: Bulletin, language: str, purpose: str) -> str:
        if purpose == "lift":
            reason = (bulletin.lift_reason or "").strip()
            if not reason or language != "zh":
                return ""
            return reason if reason[-1] in "。！.!" else f"{reason}。"
        return bulletin.texts.get(language, "").strip()

    def _released(self, bulletin: Bulletin) -> str:
        at = (bulletin.released_at or bulletin.onset_at).astimezone(self._zone)
        return f"{at:%m-%d %H:%M}"


def _language(bulletin: Bulletin, wanted: str, purpose: str) -> str:
    if wanted not in LANGUAGES:
        return LANGUAGES[0]
    if purpose == "call" and bulletin.type is not BulletinType.CANCEL:
        return wanted if bulletin.texts.get(wanted, "").strip() else LANGUAGES[0]
    return wanted


def _listed(names: tuple[str, ...], language: str) -> str:
    separator = "、" if language == "zh" else ", " if language == "en" else "، "
    shown = separator.join(names[:LISTED_MAX])
    if len(names) > LISTED_MAX:
        shown += _AND_MORE[language].format(n=len(names))
    return shown


@lru_cache(maxsize=256)
def _hazard(code: str, language: str) -> str:
    hazard = hazard_of(code)
    return {"zh": hazard.zh, "en": hazard.en, "ug": hazard.ug, "kk-Arab": hazard.kk}[
        language
    ] or hazard.zh

"""How values are shown on a page: instants, lengths, numbers, states, names of dangers.

One `Show` is made for every page, in the reader's language and the desk's zone. It returns plain
text; the template escapes it. Phone numbers only ever leave it masked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from babel.numbers import format_currency

from contacts.phone import as_typed_in_china, mask
from warnsvc.core.hazard import HAZARDS, Hazard, hazard_of
from warnsvc.localtime import LocalTime, duration
from warnsvc.web.act import act_label, actor_words, why_words
from warnsvc.web.alarm_text import alarm_text
from warnsvc.web.carrier_word import CARRIER_LABELS, CARRIER_WORDS
from warnsvc.web.label import ESCALATION, OVER, QUORUM, RUNG, UNKNOWN, WORDS, Label, label_of
from warnsvc.words import Translate

LOCALES = {"zh": "zh_Hans_CN", "en": "en_GB"}
RIGHT_TO_LEFT = frozenset({"ug", "kk-Arab"})


@dataclass(frozen=True, slots=True)
class Show:
    """Shows values to one reader."""

    language: str
    words: Translate
    local: LocalTime
    now: datetime

    def time(self, at: datetime) -> str:
        """Date without year, and time."""
        return self.local.short(at, self.language)

    def full(self, at: datetime) -> str:
        """Date, time and the zone's name."""
        return self.local.full(at, self.language)

    def clock(self, at: datetime) -> str:
        """Hours, minutes and seconds."""
        return self.local.clock(at)

    def form_time(self, at: datetime) -> str:
        """What a `datetime-local` field holds."""
        return self.local.form(at)

    def zone(self) -> str:
        """What people call the desk's zone."""
        return self.local.zone_name(self.now, self.language)

    def iso(self, at: datetime) -> str:
        """For the `datetime` attribute of a `time` element."""
        return at.isoformat(timespec="seconds")

    def millis(self, at: datetime | None) -> int:
        """For scripts; 0 when there is none."""
        return 0 if at is None else int(at.timestamp() * 1000)

    def length(self, seconds: float) -> str:
        """A length of time in its two largest units."""
        return duration(timedelta(seconds=seconds), self.language)

    def since(self, at: datetime) -> str:
        """How long ago."""
        return duration(self.now - at, self.language)

    def minutes(self, seconds: int) -> str:
        """An estimate: a negative one says that no carrier is there."""
        if seconds < 0:
            return self.words("没有通道")
        return self.words("不到 1 分钟") if seconds < 60 else self.length(seconds)

    def percent(self, part: int, whole: int) -> str:
        """A share without decimals; never rounded up to 100."""
        if whole == 0:
            return "–"
        share = part * 100 / whole
        return "100%" if part == whole else f"{min(int(share + 0.5), 99)}%"

    def count(self, number: int) -> str:
        """A number with its thousands apart."""
        return f"{number:,}"

    def money(self, amount: float, currency: str) -> str:
        """An amount as the language writes it: `¥1,234.50`."""
        return format_currency(amount, currency, locale=LOCALES.get(self.language, "zh_Hans_CN"))

    def phone(self, address: str) -> str:
        """A masked number: `138****8000`."""
        return mask(address)

    def whole_phone(self, address: str) -> str:
        """A number to be dialled; only for somebody who asked for it and was written down."""
        return as_typed_in_china(address)

    def label(self, kind: str, word: str, late: bool = False) -> Label:
        """The word, sign and tone of a state, in the reader's language."""
        if kind in CARRIER_LABELS:
            found = CARRIER_LABELS[kind].get(word, UNKNOWN)
        else:
            found = label_of(kind, word, late=late)
        return Label(self.words(found.words), found.sign, found.tone)

    def escalation_words(self) -> dict[str, tuple[str, str]]:
        """State → word and sign, for the board's script; `late` is an answer that came late."""
        found = {state: self.label("escalation", state) for state in ESCALATION}
        found["late"] = self.label("escalation", "answered", late=True)
        return {state: (label.words, label.sign) for state, label in found.items()}

    def alarm(self, kind: str, text: str) -> str:
        """What an alarm says beside its label."""
        return alarm_text(kind, text, self.language, self.words)

    def over(self) -> Label:
        """That an alarm's cause is over."""
        return Label(self.words(OVER.words), OVER.sign, OVER.tone)

    def word(self, kind: str, word: str) -> str:
        """A stored word in the reader's language; an unknown one as it is."""
        found = (CARRIER_WORDS if kind in CARRIER_WORDS else WORDS)[kind].get(word)
        return word if found is None else self.words(found)

    def act(self, act: str) -> Label:
        """The word, sign and tone of an act of the ledger."""
        return act_label(act, self.words)

    def why(self, why: str) -> str:
        """The reason of a ledger line."""
        return why_words(why, self.words)

    def actor(self, actor: str, names: Mapping[str, str]) -> str:
        """Who did it."""
        return actor_words(actor, names, self.words)

    def quorum(self, kind: str, number: int) -> str:
        """How many of a tier must answer."""
        return self.words(QUORUM[kind], n=number) if kind == "n" else self.word("quorum", kind)

    def brackets(self, text: object) -> str:
        """Something in brackets, as the language writes them."""
        return f" ({text})" if self.language == "en" else f"（{text}）"

    def rung(self, rung: int) -> str:
        """A rung of the answer ladder."""
        return self.words(RUNG[rung]) if 0 <= rung < len(RUNG) else str(rung)

    def hazard(self, code: str) -> str:
        """The name of a danger."""
        found = hazard_of(code)
        return found.en if self.language == "en" else found.zh

    def hazards(self) -> Iterable[Hazard]:
        """Every danger there is a warning for."""
        return HAZARDS.values()

    def title(self, bulletin: Mapping[str, object]) -> str:
        """What an officer calls a bulletin: `山洪红色预警`."""
        hazard, colour = str(bulletin["hazard"]), str(bulletin["colour"])
        return self.words(
            "{hazard}{colour}预警",
            hazard=self.hazard(hazard),
            colour=self.label("colour", colour).words,
        )

    def direction(self, language: str) -> str:
        """`rtl` for the Arabic script."""
        return "rtl" if language in RIGHT_TO_LEFT else "ltr"

"""A text to start from: danger, colour, place, time and what to do, in every language.

The officer reads and changes it; nothing is sent as it stands. The Uyghur and Kazakh sentences
await review by native speakers, and the form says so. Words of the danger that nobody has
translated leave that language empty rather than half Chinese.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from warnsvc.core.bulletin import Colour
from warnsvc.core.hazard import Hazard, hazard_of
from warnsvc.localtime import LocalTime

PLACES_NAMED_MAX = 4
"""More names and the advice no longer fits into two SMS parts."""

_COLOURS: Mapping[str, Mapping[Colour, str]] = {
    "zh": {Colour.BLUE: "蓝色", Colour.YELLOW: "黄色", Colour.ORANGE: "橙色", Colour.RED: "红色"},
    "en": {colour: colour.value for colour in Colour},
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
_WATER = frozenset(
    {"11A51", "11A01", "11A02", "11A03", "11A04", "11A05", "11D02", "11B37", "11B03"}
)
_WIND = frozenset({"11B06", "11B07", "11B14", "11B15", "11B20"})
_COLD = frozenset({"11B04", "11B05", "11B13", "11B16", "11B21"})
_FIRE = frozenset({"11B25", "11B26"})

_ADVICE: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "water": "请立即通知河边、沟口和低洼处的人撤到高处，清点人数。",
        "wind": "请立即通知户外人员避险，加固棚舍，远离高处和电线。",
        "cold": "请立即通知牧民和在途人员避险，备好饲草、取暖和食物。",
        "fire": "请立即停止野外用火，通知林草区人员做好撤离准备。",
        "other": "请立即通知辖区人员做好防范，有险情马上报告。",
    },
    "en": {
        "water": "Move everyone by rivers, gullies and low ground to high ground now; count them.",
        "wind": "Bring people outdoors to shelter now; secure sheds; keep away from power lines.",
        "cold": "Warn herders and travellers now; secure fodder, heating and food.",
        "fire": "Stop all open fires now; prepare people in forest and grassland to leave.",
        "other": "Warn everyone in your area now; report any danger at once.",
    },
    "ug": {
        "water": (
            "دەريا، جىلغا ۋە پەس يەردىكىلەرنى دەرھال ئېگىز يەرگە يۆتكەپ، ئادەم سانىنى ئېنىقلاڭ."
        ),
        "other": "تەۋەيىڭىزدىكىلەرگە دەرھال ئۇقتۇرۇڭ، خەتەر كۆرۈلسە دەرھال دوكلات قىلىڭ.",
    },
    "kk-Arab": {
        "water": "وزەن، ساي جانە ويپاڭ جەردەگىلەردى دەرەۋ بيىككە كوشىرىپ، ادام سانىن تۇگەندەڭىز.",
        "other": "اۋماعىڭىزداعىلارعا دەرەۋ حابارلاڭىز، قاۋىپ بولسا دەرەۋ مالىمدەڭىز.",
    },
}


class Starter:
    """Writes the texts from templates/web/starter/."""

    def __init__(self, folder: Path, local: LocalTime) -> None:
        self._local = local
        # Plain text for a text field; the page escapes it when it shows it.
        self._environment = Environment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701
        )

    def texts(
        self,
        *,
        hazard: str,
        colour: Colour,
        places: Sequence[str],
        onset_at: datetime,
        expires_at: datetime,
        drill: bool,
    ) -> dict[str, str]:
        """Return language → text; a language is missing when its words are."""
        danger = hazard_of(hazard)
        found: dict[str, str] = {}
        for language in _COLOURS:
            name = _name(danger, language)
            if not name:
                continue
            template = self._environment.get_template(f"{language}.txt")
            found[language] = template.render(
                drill=drill,
                hazard=name,
                colour=_COLOURS[language][colour],
                place=_place(places, language),
                onset=self._written(onset_at, language),
                expires=self._written(expires_at, language),
                zone=self._local.zone_name(onset_at, "en" if language == "en" else "zh"),
                advice=_advice(hazard, language),
            ).strip()
        return found

    def _written(self, at: datetime, language: str) -> str:
        if language in {"zh", "en"}:
            return self._local.short(at, language)
        local = at.astimezone(self._local.zone)
        return f"{local.month}-{local.day} {local:%H:%M}"


def _name(danger: Hazard, language: str) -> str:
    return {"zh": danger.zh, "en": danger.en, "ug": danger.ug, "kk-Arab": danger.kk}[language]


def _place(places: Sequence[str], language: str) -> str:
    separator = ", " if language == "en" else "、" if language == "zh" else "، "
    named = separator.join(places[:PLACES_NAMED_MAX])
    if len(places) <= PLACES_NAMED_MAX:
        return named
    more = {
        "zh": f"等{len(places)}处",
        "en": f" and others ({len(places)} in all)",
        "ug": f" قاتارلىق {len(places)}",
        "kk-Arab": f" قاتارلى {len(places)}",
    }
    return named + more[language]


def _advice(hazard: str, language: str) -> str:
    groups = {"water": _WATER, "wind": _WIND, "cold": _COLD, "fire": _FIRE}
    group = next((name for name, codes in groups.items() if hazard in codes), "other")
    advice = _ADVICE[language]
    return advice.get(group, advice["other"])

"""Hazards: the national event codes this service writes warnings for.

A table, not an enum: two numberings are in use (domain.md (e)), so an unknown code is accepted with
its text. `grave` hazards take the rule of the colour above theirs. Source: domain.md (b), (e).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """One kind of danger, with its names. Uyghur and Kazakh await review by native speakers."""

    code: str
    zh: str
    en: str
    grave: bool = False
    ug: str = ""
    kk: str = ""


_TABLE = (
    Hazard(
        code="11A51", zh="山洪", en="Flash flood", grave=True, ug="سەل ئاپىتى", kk="سەل تاسقىنى"
    ),
    Hazard(code="11A01", zh="洪水", en="Flood", ug="كەلكۈن", kk="سۋ تاسقىنى"),
    Hazard(code="11A02", zh="内涝", en="Waterlogging"),
    Hazard(code="11A03", zh="水库险情", en="Reservoir danger", grave=True),
    Hazard(code="11A04", zh="堤防险情", en="Dike danger", grave=True),
    Hazard(code="11A05", zh="凌汛", en="Ice-jam flood", grave=True),
    Hazard(
        code="11D02",
        zh="泥石流",
        en="Debris flow",
        grave=True,
        ug="لاي-تاش ئېقىمى",
        kk="سەل-لاي كوشكىن",
    ),
    Hazard(code="11B37", zh="地质灾害", en="Geological hazard", grave=True),
    Hazard(code="11B03", zh="暴雨", en="Rainstorm", ug="قارا يامغۇر", kk="نوسەر جاۋىن"),
    Hazard(code="11B04", zh="暴雪", en="Snowstorm", ug="قارلىق بوران", kk="قارلى بوران"),
    Hazard(code="11B05", zh="寒潮", en="Cold wave", ug="سوغۇق دولقۇن", kk="سۋىق تولقىنى"),
    Hazard(code="11B06", zh="大风", en="Gale", ug="قاتتىق شامال", kk="قاتتى جەل"),
    Hazard(code="11B07", zh="沙尘暴", en="Sandstorm", ug="قۇم-بوران", kk="قۇمدى بوران"),
    Hazard(code="11B09", zh="高温", en="High temperature"),
    Hazard(code="11B13", zh="雪崩", en="Avalanche", grave=True),
    Hazard(code="11B14", zh="雷电", en="Lightning"),
    Hazard(code="11B15", zh="冰雹", en="Hail"),
    Hazard(code="11B16", zh="霜冻", en="Frost"),
    Hazard(code="11B17", zh="大雾", en="Heavy fog"),
    Hazard(code="11B20", zh="雷雨大风", en="Thunderstorm gust"),
    Hazard(code="11B21", zh="道路结冰", en="Road icing"),
    Hazard(code="11B25", zh="森林火险", en="Forest fire danger"),
    Hazard(code="11B26", zh="草原火险", en="Grassland fire danger"),
)

HAZARDS: dict[str, Hazard] = {hazard.code: hazard for hazard in _TABLE}


def hazard_of(code: str) -> Hazard:
    """Return the hazard, or one that carries the unknown code as its name."""
    return HAZARDS.get(code) or Hazard(code=code, zh=code, en=code)

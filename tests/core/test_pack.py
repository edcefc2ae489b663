"""The rule packs: which rule holds when, and what a frozen rule must say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warnsvc.core.bulletin import Colour
from warnsvc.core.hazard import HAZARDS, hazard_of
from warnsvc.core.pack import (
    CLOSING_RUNG_MAX,
    CLOSING_RUNG_MIN,
    DEFAULT_PACK,
    Quorum,
    QuorumKind,
    Rule,
    Step,
    TierRule,
    check_rule,
    rule_for,
    rule_from_json,
    rule_to_json,
    shortened,
)

RAINSTORM, FLASH_FLOOD = "11B03", "11A51"
NOON, MIDNIGHT = 12, 0


@st.composite
def tier_rules(draw: st.DrawFn) -> TierRule:
    gaps = draw(st.lists(st.integers(1, 600), max_size=3))
    steps = [Step(after_seconds=0, channels=("sms",))]
    for gap in gaps:
        channels = draw(
            st.lists(st.sampled_from(["sms", "voice", "webhook"]), min_size=1, unique=True)
        )
        steps.append(Step(after_seconds=steps[-1].after_seconds + gap, channels=tuple(channels)))
    return TierRule(
        window_seconds=steps[-1].after_seconds + draw(st.integers(1, 3600)),
        steps=tuple(steps),
        quorum=Quorum(kind=draw(st.sampled_from(QuorumKind)), n=draw(st.integers(1, 5))),
    )


RULES = st.builds(
    Rule,
    pack=st.text(),
    version=st.integers(0, 99),
    tiers=st.lists(tier_rules(), min_size=1, max_size=3).map(tuple),
    levels_up=st.integers(0, 3),
    closing_rung=st.integers(CLOSING_RUNG_MIN, CLOSING_RUNG_MAX),
    two_person=st.booleans(),
    unknown_resend=st.booleans(),
)


@given(RULES)
def test_a_frozen_rule_reads_back_as_it_was(rule: Rule) -> None:
    text = rule_to_json(rule)

    assert rule_from_json(text) == rule
    assert rule_to_json(rule_from_json(text)) == text


@pytest.mark.parametrize("hours", ["day", "night"])
@pytest.mark.parametrize("colour", Colour)
def test_every_rule_we_ship_is_sound(colour: Colour, hours: str) -> None:
    rule: Rule = getattr(DEFAULT_PACK, hours)[colour]

    check_rule(rule)

    assert rule_from_json(rule_to_json(rule)) == rule
    assert (rule.pack, rule.version) == (DEFAULT_PACK.name, DEFAULT_PACK.version)


def a_document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(rule_to_json(DEFAULT_PACK.day[Colour.RED]))
    return document


def _without_tiers(document: dict[str, Any]) -> None:
    document["tiers"] = []


def _without_steps(document: dict[str, Any]) -> None:
    document["tiers"][0]["steps"] = []


def _late_first_step(document: dict[str, Any]) -> None:
    document["tiers"][0]["steps"][0]["after_seconds"] = 60


def _steps_out_of_order(document: dict[str, Any]) -> None:
    document["tiers"][0]["steps"].reverse()


def _silent_step(document: dict[str, Any]) -> None:
    document["tiers"][0]["steps"][1]["channels"] = []


def _window_too_short(document: dict[str, Any]) -> None:
    document["tiers"][0]["window_seconds"] = 200


def _quorum_of_nobody(document: dict[str, Any]) -> None:
    document["tiers"][0]["quorum"] = {"kind": "n", "n": 0}


def _receipt_closes(document: dict[str, Any]) -> None:
    document["closing_rung"] = 2


def _nothing_closes(document: dict[str, Any]) -> None:
    document["closing_rung"] = 9


def _levels_down(document: dict[str, Any]) -> None:
    document["levels_up"] = -1


def _unknown_quorum(document: dict[str, Any]) -> None:
    document["tiers"][0]["quorum"]["kind"] = "most"


def _word_missing(document: dict[str, Any]) -> None:
    del document["two_person"]


@pytest.mark.parametrize(
    "spoil",
    [
        _without_tiers, _without_steps, _late_first_step, _steps_out_of_order, _silent_step,
        _window_too_short, _quorum_of_nobody, _receipt_closes, _nothing_closes, _levels_down,
        _unknown_quorum, _word_missing,
    ],
)  # fmt: skip
def test_a_rule_by_which_nobody_would_be_called_or_nothing_closed_is_not_read(spoil: Any) -> None:
    document = a_document()
    spoil(document)

    with pytest.raises((KeyError, ValueError)):
        rule_from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("colour", "as_if"),
    [
        (Colour.BLUE, Colour.YELLOW),
        (Colour.YELLOW, Colour.ORANGE),
        (Colour.ORANGE, Colour.RED),
        (Colour.RED, Colour.RED),
    ],
)
def test_a_grave_hazard_takes_the_rule_of_the_colour_above(colour: Colour, as_if: Colour) -> None:
    grave = rule_for(DEFAULT_PACK, hazard=FLASH_FLOOD, colour=colour, local_hour=NOON)
    plain = rule_for(DEFAULT_PACK, hazard=RAINSTORM, colour=colour, local_hour=NOON)

    assert grave is DEFAULT_PACK.day[as_if]
    assert plain is DEFAULT_PACK.day[colour]


@pytest.mark.parametrize(
    ("hour", "night"),
    [(0, True), (6, True), (7, False), (12, False), (21, False), (22, True), (23, True)],
)
def test_from_ten_to_seven_a_voice_wakes_people_for_orange(hour: int, night: bool) -> None:
    rule = rule_for(DEFAULT_PACK, hazard=RAINSTORM, colour=Colour.ORANGE, local_hour=hour)

    assert ("voice" in rule.tier(1).steps[0].channels) is night


@pytest.mark.parametrize("hour", [NOON, MIDNIGHT])
def test_red_calls_three_times_in_five_minutes(hour: int) -> None:
    tier = rule_for(DEFAULT_PACK, hazard=RAINSTORM, colour=Colour.RED, local_hour=hour).tier(1)

    calls = [step for step in tier.steps if "voice" in step.channels]
    assert (len(calls), tier.window_seconds) == (3, 300)
    assert "sms" in tier.steps[0].channels


def test_two_people_sign_all_but_blue() -> None:
    assert [DEFAULT_PACK.day[colour].two_person for colour in Colour] == [False, True, True, True]


@pytest.mark.parametrize(
    ("quorum", "needs"),
    [
        (Quorum(), [0, 1, 1, 1, 1]),
        (Quorum(kind=QuorumKind.N, n=2), [0, 1, 2, 2, 2]),
        (Quorum(kind=QuorumKind.ALL), [0, 1, 2, 3, 4]),
    ],
    ids=["any", "two", "all"],
)
def test_a_quorum_never_needs_more_than_there_are(quorum: Quorum, needs: list[int]) -> None:
    assert [quorum.need(size) for size in range(5)] == needs


def test_the_last_tier_rule_holds_for_all_that_follow() -> None:
    first, last = (
        TierRule(window_seconds=seconds, steps=(Step(after_seconds=0, channels=("sms",)),))
        for seconds in (60, 120)
    )
    rule = Rule(
        pack="p", version=1, tiers=(first, last), levels_up=2, closing_rung=6, two_person=True,
        unknown_resend=False,
    )  # fmt: skip

    assert [rule.tier(ordinal) for ordinal in (1, 2, 3, 9)] == [first, last, last, last]


def test_an_unknown_hazard_carries_its_code_as_its_name() -> None:
    unknown = hazard_of("11Z99")

    assert (unknown.code, unknown.zh, unknown.en, unknown.grave) == (
        "11Z99",
        "11Z99",
        "11Z99",
        False,
    )
    assert hazard_of(FLASH_FLOOD).grave
    assert all(code == hazard.code and hazard.zh and hazard.en for code, hazard in HAZARDS.items())


def test_a_shortened_pack_keeps_its_rounds_in_proportion_and_says_so() -> None:
    pack = shortened(DEFAULT_PACK, window_seconds=60)

    red = pack.day[Colour.RED].tier(1)
    assert red.window_seconds == 60
    assert [step.after_seconds for step in red.steps] == [0, 20, 40]
    assert pack.day[Colour.BLUE].tier(1).window_seconds == 60
    assert "60" in pack.day[Colour.RED].pack
    assert pack.day[Colour.RED].closing_rung == DEFAULT_PACK.day[Colour.RED].closing_rung


def test_a_window_that_is_short_already_stays() -> None:
    pack = shortened(DEFAULT_PACK, window_seconds=600)

    assert pack.day[Colour.RED].tiers == DEFAULT_PACK.day[Colour.RED].tiers


def test_rounds_that_no_longer_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="later than"):
        shortened(DEFAULT_PACK, window_seconds=2)

"""Who is planned to be called, in which order, and what the signing screen must say is missing."""

import time
from datetime import date

import pytest

from contacts.assignment import Assignment
from contacts.contact import Contact, Number, NumberKind
from contacts.region import Region, RegionLevel, RegionTree
from warnsvc.core.bulletin import Colour
from warnsvc.core.estimate import Pace, estimate, first_channels, reach
from warnsvc.core.pack import DEFAULT_PACK, Rule, rule_for
from warnsvc.core.plan import Gap, GapKind, Plan, PlannedEscalation, plan

RAIN = "11B03"
TODAY = date(2026, 7, 5)
RED = rule_for(DEFAULT_PACK, hazard=RAIN, colour=Colour.RED, local_hour=12)
BLUE = rule_for(DEFAULT_PACK, hazard=RAIN, colour=Colour.BLUE, local_hour=12)
COUNTY, TOWNSHIP, OTHER, UPPER, LOWER, FAR = "10", "1001", "1002", "100101", "100102", "100201"


def region(code: str, parent: str | None, level: RegionLevel, headcount: int = 0) -> Region:
    return Region(code=code, parent_code=parent, level=level, name=f"名{code}", headcount=headcount)


TREE = RegionTree(
    [
        region(COUNTY, None, RegionLevel.COUNTY),
        region(TOWNSHIP, COUNTY, RegionLevel.TOWNSHIP),
        region(OTHER, COUNTY, RegionLevel.TOWNSHIP),
        region(UPPER, TOWNSHIP, RegionLevel.VILLAGE, 120),
        region(LOWER, TOWNSHIP, RegionLevel.VILLAGE, 80),
        region(FAR, OTHER, RegionLevel.VILLAGE, 10),
    ]
)


def contact(
    contact_id: int, *kinds: NumberKind, failed: bool = False, robot_ok: bool = True
) -> Contact:
    numbers = tuple(
        Number(rank=rank, kind=kind, address=f"+86{contact_id}{rank}", failed=failed)
        for rank, kind in enumerate(kinds, start=1)
    )
    return Contact(
        id=contact_id,
        key=f"k{contact_id}",
        name=f"人{contact_id}",
        numbers=numbers,
        robot_ok=robot_ok,
    )


def mobile(contact_id: int) -> Contact:
    return contact(contact_id, NumberKind.MOBILE)


def duty(contact_id: int, code: str, tier: int = 1, **more: object) -> Assignment:
    return Assignment(contact_id=contact_id, region_code=code, tier=tier, **more)  # type: ignore[arg-type]


def planned(
    duties: list[Assignment],
    *,
    selected: tuple[str, ...] = (TOWNSHIP,),
    people: list[Contact] | None = None,
    tree: RegionTree = TREE,
    rule: Rule = RED,
    hazard: str = RAIN,
) -> Plan:
    everybody = (
        people if people is not None else [mobile(i) for i in {d.contact_id for d in duties}]
    )
    return plan(
        tree=tree,
        selected=selected,
        assignments=duties,
        contacts={c.id: c for c in everybody},
        rule=rule,
        hazard=hazard,
        on=TODAY,
    )


def ladder(escalation: PlannedEscalation) -> list[tuple[str, list[int]]]:
    """(source region, people) of each tier."""
    return [(tier.source_code, [m.contact_id for m in tier.members]) for tier in escalation.tiers]


def ladders(plan_: Plan) -> dict[str, list[tuple[str, list[int]]]]:
    return {e.region.code: ladder(e) for e in plan_.escalations}


def test_the_township_and_the_county_stand_behind_the_village() -> None:
    duties = [
        duty(5, COUNTY),
        duty(3, TOWNSHIP),
        duty(4, TOWNSHIP, 2),
        duty(1, UPPER),
        duty(2, LOWER),
    ]

    result = planned(duties)

    assert ladders(result) == {
        UPPER: [(UPPER, [1]), (TOWNSHIP, [3]), (TOWNSHIP, [4]), (COUNTY, [5])],
        LOWER: [(LOWER, [2]), (TOWNSHIP, [3]), (TOWNSHIP, [4]), (COUNTY, [5])],
    }
    assert [tier.ordinal for tier in result.escalations[0].tiers] == [1, 2, 3, 4]
    assert result.escalations[0].tiers[1].source_name == f"名{TOWNSHIP}"
    assert set(result.contacts) == {1, 2, 3, 4, 5}
    assert result.gaps == ()


@pytest.mark.parametrize(
    ("levels_up", "sources"), [(0, [UPPER]), (1, [UPPER, TOWNSHIP]), (2, [UPPER, TOWNSHIP, COUNTY])]
)
def test_so_many_levels_of_superiors_stand_behind_as_the_rule_says(
    levels_up: int, sources: list[str]
) -> None:
    rule = Rule(
        pack="p", version=1, tiers=RED.tiers, levels_up=levels_up, closing_rung=6, two_person=True,
        unknown_resend=False,
    )  # fmt: skip

    result = planned(
        [duty(1, UPPER), duty(2, TOWNSHIP), duty(3, COUNTY)], selected=(UPPER,), rule=rule
    )

    assert [source for source, _ in ladders(result)[UPPER]] == sources


def test_a_site_has_its_village_behind_it_and_then_the_township() -> None:
    tree = RegionTree([*TREE, region("10010101", UPPER, RegionLevel.SITE, 77)])
    duties = [duty(9, "10010101"), duty(1, UPPER), duty(2, TOWNSHIP), duty(3, COUNTY)]

    result = planned(duties, selected=(UPPER,), tree=tree)

    assert ladders(result) == {
        UPPER: [(UPPER, [1]), (TOWNSHIP, [2]), (COUNTY, [3])],
        "10010101": [("10010101", [9]), (UPPER, [1]), (TOWNSHIP, [2])],
    }


def test_one_person_in_several_tiers_of_a_village_stands_in_the_first_only() -> None:
    duties = [
        duty(1, UPPER),
        duty(1, UPPER, 2),
        duty(2, UPPER, 2),
        duty(1, TOWNSHIP),
        duty(2, TOWNSHIP),
        duty(3, TOWNSHIP),
        duty(3, COUNTY),
    ]

    result = planned(duties, selected=(UPPER,))

    assert ladders(result)[UPPER] == [(UPPER, [1]), (UPPER, [2]), (TOWNSHIP, [3])]
    assert [tier.ordinal for tier in result.escalations[0].tiers] == [1, 2, 3]
    assert [m.rank for m in result.escalations[0].tiers[2].members] == [0]


def test_a_superior_who_is_the_same_person_is_skipped_upward_and_is_no_gap() -> None:
    result = planned([duty(1, UPPER), duty(1, TOWNSHIP), duty(2, COUNTY)], selected=(UPPER,))

    assert ladders(result)[UPPER] == [(UPPER, [1]), (COUNTY, [2])]
    assert result.gaps == ()


def test_one_person_in_several_villages_is_one_contact() -> None:
    result = planned([duty(1, UPPER), duty(1, LOWER), duty(1, FAR)], selected=(COUNTY,))

    assert set(result.contacts) == {1}
    assert [e.tiers[0].members[0].contact_id for e in result.escalations] == [1, 1, 1]


def test_two_roles_in_one_tier_are_one_member_in_the_order_given() -> None:
    duties = [
        duty(2, UPPER, role="书记"),
        duty(1, UPPER, role="主任"),
        duty(2, UPPER, role="网格员"),
    ]

    (tier,) = planned(duties, selected=(UPPER,)).escalations[0].tiers

    assert [(m.contact_id, m.rank, m.role) for m in tier.members] == [
        (2, 0, "书记"),
        (1, 1, "主任"),
    ]


def test_tiers_come_in_the_order_of_their_numbers_whatever_the_order_of_the_rows() -> None:
    duties = [duty(3, UPPER, 30), duty(1, UPPER, 1), duty(2, UPPER, 7)]

    assert ladders(planned(duties, selected=(UPPER,)))[UPPER] == [
        (UPPER, [1]),
        (UPPER, [2]),
        (UPPER, [3]),
    ]


def test_an_empty_tier_is_named_once_and_passed_over() -> None:
    over = duty(2, TOWNSHIP, valid_to=date(2026, 7, 4))
    duties = [duty(1, UPPER), duty(1, LOWER), over, duty(3, COUNTY)]

    result = planned(duties, people=[mobile(1), mobile(2), mobile(3)])

    assert ladders(result)[LOWER] == [(LOWER, [1]), (COUNTY, [3])]
    assert result.gaps == (Gap(kind=GapKind.EMPTY_TIER, region_code=TOWNSHIP, tier=1),)


def test_a_duty_of_somebody_who_is_gone_leaves_his_tier_empty() -> None:
    result = planned([duty(99, UPPER), duty(1, UPPER, 2)], selected=(UPPER,), people=[mobile(1)])

    assert ladders(result)[UPPER] == [(UPPER, [1])]
    assert result.gaps == (Gap(kind=GapKind.EMPTY_TIER, region_code=UPPER, tier=1),)


def test_a_village_without_anybody_is_planned_and_named() -> None:
    result = planned([duty(1, UPPER)])

    assert ladders(result) == {UPPER: [(UPPER, [1])], LOWER: []}
    assert result.gaps == (Gap(kind=GapKind.NO_CONTACT, region_code=LOWER),)


def test_people_without_a_number_and_people_no_robot_may_call_are_named_where_they_stand() -> None:
    people = [
        contact(1),
        contact(2, NumberKind.MOBILE, failed=True),
        contact(3, NumberKind.MOBILE, robot_ok=False),
        mobile(4),
    ]
    duties = [duty(1, UPPER), duty(4, UPPER), duty(2, UPPER, 2), duty(3, TOWNSHIP)]

    result = planned(duties, selected=(UPPER,), people=people)

    assert set(result.gaps) == {
        Gap(kind=GapKind.UNREACHABLE, region_code=UPPER, tier=1, contact_id=1),
        Gap(kind=GapKind.UNREACHABLE, region_code=UPPER, tier=2, contact_id=2),
        Gap(kind=GapKind.BY_HAND, region_code=UPPER, tier=3, contact_id=3),
    }
    assert ladders(result)[UPPER] == [(UPPER, [1, 4]), (UPPER, [2]), (TOWNSHIP, [3])]


@pytest.mark.parametrize(
    ("more", "called"),
    [
        ({}, True),
        ({"hazards": frozenset({RAIN, "11B04"})}, True),
        ({"hazards": frozenset({"11B04"})}, False),
        ({"valid_from": TODAY, "valid_to": TODAY}, True),
        ({"valid_from": date(2026, 7, 6)}, False),
        ({"valid_to": date(2026, 7, 4)}, False),
    ],
)
def test_only_duties_for_this_hazard_on_this_day_count(
    more: dict[str, object], called: bool
) -> None:
    result = planned([duty(1, UPPER, **more)], selected=(UPPER,))

    assert (1 in result.contacts) is called


def test_a_township_whose_villages_nobody_imported_is_a_target_itself() -> None:
    tree = RegionTree(
        [region(COUNTY, None, RegionLevel.COUNTY), region(TOWNSHIP, COUNTY, RegionLevel.TOWNSHIP)]
    )

    result = planned([duty(1, TOWNSHIP), duty(2, COUNTY)], tree=tree)

    assert ladders(result) == {TOWNSHIP: [(TOWNSHIP, [1]), (COUNTY, [2])]}


def test_a_region_selected_twice_is_planned_once() -> None:
    result = planned([duty(1, UPPER)], selected=(UPPER, TOWNSHIP, COUNTY, UPPER))

    assert [e.region.code for e in result.escalations] == [UPPER, LOWER, FAR]


# Estimates -----------------------------------------------------------------------------------


def county_of_506() -> Plan:
    """38 people of the county, 72 of townships, 396 of villages: 勉县, domain.md §0.2."""
    tree = RegionTree(
        [
            region("10", None, RegionLevel.COUNTY),
            *(region(f"10{t:02}", "10", RegionLevel.TOWNSHIP) for t in range(18)),
            *(
                region(f"10{t:02}{v:02}", f"10{t:02}", RegionLevel.VILLAGE, 100)
                for t in range(18)
                for v in range(11)
            ),
        ]
    )
    duties = [duty(i, "10") for i in range(1, 39)]
    ids = iter(range(39, 1000))
    duties += [duty(next(ids), f"10{t:02}") for t in range(18) for _ in range(4)]
    duties += [
        duty(next(ids), f"10{t:02}{v:02}") for t in range(18) for v in range(11) for _ in range(2)
    ]
    return planned(duties, selected=("10",), tree=tree)


PARTS = {"zh": 2}


@pytest.mark.parametrize(
    ("voice", "seconds"),
    [
        (Pace(per_second=100, lines=90), 180),
        (Pace(per_second=100, lines=54), 300),
        (Pace(per_second=100, lines=10), 1620),
        (Pace(per_second=1), 506),
        (Pace(per_second=0), -1),
    ],
    ids=["90 lines", "54 lines", "10 lines", "one call start a second", "no carrier"],
)
def test_506_people_need_ninety_lines_to_be_called_in_three_minutes(
    voice: Pace, seconds: int
) -> None:
    county = county_of_506()
    paces = {"sms": Pace(per_second=100), "voice": voice, "webhook": Pace(per_second=10)}

    result = estimate(county, rule=RED, parts=PARTS, paces=paces)

    assert (result.regions, result.headcount, result.people) == (198, 19_800, 506)
    assert result.first_tier_people == 396
    assert (result.messages, result.sms_parts, result.calls, result.webhooks) == (792, 792, 396, 0)
    assert result.everyone_seconds == seconds


def test_the_slowest_channel_sets_the_time() -> None:
    paces = {"sms": Pace(per_second=2), "voice": Pace(per_second=100)}

    result = estimate(county_of_506(), rule=RED, parts=PARTS, paces=paces)

    assert (result.first_tier_seconds, result.everyone_seconds) == (396, 506)


def test_a_channel_that_the_first_round_does_not_use_needs_no_pace() -> None:
    result = estimate(county_of_506(), rule=BLUE, parts=PARTS, paces={"sms": Pace(per_second=1)})

    assert (result.calls, result.first_tier_seconds, result.everyone_seconds) == (0, 792, 1012)


def test_parts_count_by_language_and_people_called_by_hand_cost_nothing() -> None:
    people = [
        mobile(1),
        Contact(id=2, key="k", name="n", language="ug", numbers=mobile(2).numbers),
        contact(3, NumberKind.MOBILE, robot_ok=False),
    ]
    result = planned(
        [duty(1, UPPER), duty(2, UPPER), duty(3, UPPER)], selected=(UPPER,), people=people
    )

    figures = estimate(
        result, rule=BLUE, parts={"zh": 1, "ug": 3}, paces={"sms": Pace(per_second=1)}
    )

    assert (figures.people, figures.messages, figures.sms_parts) == (3, 2, 4)


@pytest.mark.parametrize(
    ("kinds", "red", "blue"),
    [
        ((NumberKind.MOBILE,), ("sms", "voice"), ("sms",)),
        ((NumberKind.LANDLINE,), ("voice",), ("voice",)),
        ((NumberKind.WEBHOOK,), ("webhook",), ("webhook",)),
        ((NumberKind.LANDLINE, NumberKind.WEBHOOK), ("voice", "webhook"), ("webhook",)),
        ((), (), ()),
    ],
)
def test_the_first_round_reaches_everybody_who_can_be_reached(
    kinds: tuple[NumberKind, ...], red: tuple[str, ...], blue: tuple[str, ...]
) -> None:
    person = contact(1, *kinds)

    assert first_channels(RED, person) == red
    assert first_channels(BLUE, person) == blue
    assert reach([person, person], RED) == {("zh", channel): 2 for channel in red}


def test_a_whole_region_of_14738_villages_is_planned() -> None:
    townships = [f"10{t:04}" for t in range(1_000)]
    villages = [(f"{townships[v % 1_000]}{v:05}", townships[v % 1_000]) for v in range(14_738)]
    tree = RegionTree(
        [
            region("10", None, RegionLevel.COUNTY),
            *(region(code, "10", RegionLevel.TOWNSHIP) for code in townships),
            *(region(code, parent, RegionLevel.VILLAGE) for code, parent in villages),
        ]
    )
    ids = iter(range(1, 100_000))
    duties = [duty(next(ids), code) for code in ("10", *townships)]
    duties += [duty(next(ids), code, tier) for code, _ in villages for tier in (1, 2, 3)]
    people = [mobile(d.contact_id) for d in duties]
    started = time.perf_counter()

    result = planned(duties, selected=("10",), people=people, tree=tree)

    print(f"planned {len(duties)} people in {time.perf_counter() - started:.2f} s")
    assert len(result.escalations) == 14_738
    assert len(result.contacts) == len(duties)
    assert {len(e.tiers) for e in result.escalations} == {5}

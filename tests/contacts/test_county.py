"""The invented county: nothing real, nothing random, and everything a real list has."""

import json
from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from contacts.contact import ContactKind, NumberKind, addresses_for
from contacts.county import COUNTY, SPEAKERS_URL, TOWNSHIPS, VILLAGES, County, make_county
from contacts.county_people import (
    FORMER_SECRETARY,
    LANDLINE_ONLY,
    NO_SECOND_TIER,
    NOBODY,
    SPEAKER_VILLAGES,
    TWO_VILLAGES_ONE_SECRETARY,
)
from contacts.mesh import Ring, make_mesh
from contacts.people import LANDLINES, MOBILES, landline, mobile, people_for
from contacts.phone import is_invented
from contacts.region import Region, RegionKind, RegionLevel, RegionTree


@pytest.fixture(scope="module")
def county() -> County:
    return make_county()


def area(ring: Ring) -> float:
    """Twice the signed area; positive when counter-clockwise."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))


def crosses(a, b, c, d) -> bool:
    """Whether two segments cross properly (shared ends do not count)."""

    def side(p, q, r):
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return (side(a, b, c) * side(a, b, d) < 0) and (side(c, d, a) * side(c, d, b) < 0)


def villages(county: County) -> list[Region]:
    return [region for region in county.regions if region.level is RegionLevel.VILLAGE]


def duties_of(county: County, region: Region) -> list:
    return [duty for duty in county.people.assignments if duty.region_code == region.code]


def test_the_same_seed_gives_the_same_county_and_another_seed_another() -> None:
    assert make_county(seed=5) == make_county(seed=5)
    assert make_county(seed=5).people != make_county(seed=6).people


def test_the_county_has_its_places(county: County) -> None:
    levels = Counter(region.level for region in county.regions)
    tree = RegionTree(county.regions)

    assert levels == {
        RegionLevel.PROVINCE: 1,
        RegionLevel.PREFECTURE: 1,
        RegionLevel.COUNTY: 1,
        RegionLevel.TOWNSHIP: len(TOWNSHIPS),
        RegionLevel.VILLAGE: VILLAGES,
        RegionLevel.SITE: 10,
        RegionLevel.ZONE: 2,
    }
    assert {root.name for root in tree.roots()} == {"虚构省"}
    assert len(tree.targets([COUNTY])) == VILLAGES + 12
    assert all(region.headcount > 0 for region in tree.targets([COUNTY]))
    assert {region.kind for region in county.regions} == {RegionKind.GOV, RegionKind.CORPS}


def test_nothing_in_it_could_be_a_real_place_or_phone(county: County) -> None:
    for region in county.regions:
        assert region.code.startswith("99")
    for ring in county.rings.values():
        assert all(160 < longitude < 176 and 32 < latitude < 44 for longitude, latitude in ring)
    for contact in county.people.contacts:
        for number in contact.numbers:
            phone = number.kind is not NumberKind.WEBHOOK
            assert is_invented(number.address) if phone else SPEAKERS_URL in number.address


def test_a_village_name_occurs_twice_because_they_do(county: County) -> None:
    names = Counter(r.name for r in villages(county) if r.kind is RegionKind.GOV)

    assert names.most_common(1) == [("上河湾村", 2)]
    assert len(names) == sum(names.values()) - 1


def test_villages_tile_their_townships_and_townships_the_county(county: County) -> None:
    whole = area(county.rings[COUNTY])
    townships = [r for r in county.regions if r.level is RegionLevel.TOWNSHIP]

    assert whole > 0
    assert sum(area(county.rings[r.code]) for r in townships) == pytest.approx(whole)
    for township in townships:
        parts = [v for v in villages(county) if v.parent_code == township.code]
        tiled = sum(area(county.rings[village.code]) for village in parts)
        assert tiled == pytest.approx(area(county.rings[township.code]))


def test_neighbours_share_the_very_same_border(county: County) -> None:
    """Every stretch of border is walked once in each direction, or lies on the county's own."""
    stretches = Counter(
        stretch for village in villages(county) for stretch in pairwise(county.rings[village.code])
    )
    outline = set(pairwise(county.rings[COUNTY]))

    assert set(stretches.values()) == {1}
    assert {s for s in stretches if (s[1], s[0]) not in stretches} == outline


@pytest.mark.parametrize("seed", range(5))
def test_no_border_crosses_another(seed: int) -> None:
    mesh = make_mesh(Random(seed), cells=60, groups=5)
    cells = [mesh.ring([cell]) for group in mesh.groups for cell in group]

    for ring in cells:
        assert area(ring) > 0
        assert ring[0] == ring[-1]
    stretches = {tuple(sorted(stretch)) for ring in cells for stretch in pairwise(ring)}
    buckets: dict[tuple[int, int], list] = {}
    for stretch in stretches:
        x, y = stretch[0]
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                buckets.setdefault((int(x * 25) + dx, int(y * 25) + dy), []).append(stretch)
    for (x, y), near in buckets.items():
        own = [s for s in near if (int(s[0][0] * 25), int(s[0][1] * 25)) == (x, y)]
        assert not any(crosses(*one, *other) for one in own for other in near)


def test_the_map_is_geojson_that_names_every_region_with_a_ring(county: County) -> None:
    document = json.loads(json.dumps(county.boundaries()))
    codes = {feature["properties"]["code"] for feature in document["features"]}

    assert codes == {r.code for r in county.regions if r.code.startswith("990102")}
    assert all(f["geometry"]["type"] == "Polygon" for f in document["features"])


def test_about_six_hundred_people_answer_and_some_hold_several_duties(county: County) -> None:
    held = Counter(duty.contact_id for duty in county.people.assignments)

    assert 560 <= len(county.people.contacts) <= 660
    assert set(held) == {contact.id for contact in county.people.contacts}
    assert sum(count > 1 for count in held.values()) >= 30
    assert len({contact.key for contact in county.people.contacts}) == len(held)


def test_every_desk_has_two_tiers_and_the_county_three(county: County) -> None:
    for region in county.regions:
        tiers = {duty.tier for duty in duties_of(county, region)}
        if region.level is RegionLevel.TOWNSHIP:
            assert tiers == {1, 2}
        if region.level is RegionLevel.COUNTY:
            assert tiers == {1, 2, 3}
        if region.level in {RegionLevel.SITE, RegionLevel.ZONE}:
            assert tiers == {1, 2}


def test_the_exceptions_of_real_lists_are_there(county: County) -> None:
    places = villages(county)
    contact_of = {contact.id: contact for contact in county.people.contacts}

    assert duties_of(county, places[NOBODY]) == []
    for at in NO_SECOND_TIER:
        tiers = {d.tier for d in duties_of(county, places[at]) if not d.hazards}
        assert tiers == {1, 3}
    for at in LANDLINE_ONLY:
        contacts = [contact_of[d.contact_id] for d in duties_of(county, places[at])]
        assert contacts
        assert not any(addresses_for(contact, "sms") for contact in contacts)
    for at in SPEAKER_VILLAGES:
        kinds = {contact_of[d.contact_id].kind for d in duties_of(county, places[at])}
        assert kinds == {ContactKind.PERSON, ContactKind.ENDPOINT}
    one, other = (duties_of(county, places[at]) for at in TWO_VILLAGES_ONE_SECRETARY)
    assert one[0].contact_id == other[0].contact_id
    assert any(d.valid_to is not None for d in duties_of(county, places[FORMER_SECRETARY]))
    leaders = [c for c in county.people.contacts if not c.robot_ok]
    assert {"县长", "县委书记"} <= {leader.post for leader in leaders}
    assert len(county.wrong_addresses) == 6


def test_people_prefer_three_languages_and_are_named_in_their_scripts(county: County) -> None:
    languages = Counter(contact.language for contact in county.people.contacts)

    assert set(languages) == {"zh", "ug", "kk-Arab"}
    assert min(languages.values()) > 50
    for contact in county.people.contacts:
        if contact.kind is ContactKind.PERSON:
            arabic = any("\u0600" <= char <= "\u06ff" for char in contact.name)
            assert arabic == (contact.language != "zh")


def test_speakers_are_reached_where_the_caller_says() -> None:
    county = make_county(speakers_url="http://127.0.0.1:8091/speakers/")
    speakers = [c for c in county.people.contacts if c.kind is ContactKind.ENDPOINT]

    assert len(speakers) == len(SPEAKER_VILLAGES)
    for speaker in speakers:
        assert speaker.numbers[0].address.startswith("http://127.0.0.1:8091/speakers/9901021")


def test_invented_numbers_do_not_repeat() -> None:
    count = 120_000

    assert len({mobile(i).address for i in range(count)}) == count
    assert len({landline(i).address for i in range(count)}) == count
    assert all(is_invented(mobile(i).address) for i in (0, 1, MOBILES - 1))
    assert all(is_invented(landline(i).address) for i in (0, 1, LANDLINES - 1))


def test_people_are_generated_for_every_target_of_any_tree(county: County) -> None:
    people = people_for(county.regions, tiers=3, seed=4)

    assert people == people_for(county.regions, tiers=3, seed=4)
    assert len(people.contacts) == 3 * (VILLAGES + 12)
    per_region = Counter((duty.region_code, duty.tier) for duty in people.assignments)
    assert set(per_region.values()) == {1}
    assert len({contact.key for contact in people.contacts}) == len(people.contacts)

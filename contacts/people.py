"""Invented people: who they are, what they answer for, and numbers that reach nobody.

    people_for(tree)   three tiers for every village of a tree, for measurements

Pure and seeded. Every number lies in the invented blocks of `contacts.phone`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from contacts.assignment import Assignment
from contacts.contact import Contact, Number, NumberKind
from contacts.naming import person_name
from contacts.phone import INVENTED_LANDLINE_PREFIX, INVENTED_MOBILE_PREFIX
from contacts.region import TARGET_LEVELS, Region

MOBILES = 10**8
"""How many invented mobile numbers there are."""
LANDLINES = 6 * 10**6
"""How many invented landlines: seven digits, the first from 2 to 7."""
_STRIDE = 38_196_601
"""Coprime to both: steps through all of them without a repeat, and neighbours look unlike."""

POSTS = (
    "村支书",
    "村主任",
    "网格员",
    "包村干部",
    "灾害信息员",
    "护林员",
    "巡查员",
    "联络员",
    "民兵",
)
"""The post of tier 1 to 9 of generated people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Contacts with ids of their own from 1, and their duties under those ids."""

    contacts: tuple[Contact, ...]
    assignments: tuple[Assignment, ...]


def mobile(index: int) -> Number:
    """Return the invented mobile number of this index, as rank 1."""
    digits = index * _STRIDE % MOBILES
    return Number(rank=1, kind=NumberKind.MOBILE, address=f"{INVENTED_MOBILE_PREFIX}{digits:08d}")


def landline(index: int) -> Number:
    """Return the invented landline of this index, as rank 1."""
    digits = 2_000_000 + index * _STRIDE % LANDLINES
    return Number(rank=1, kind=NumberKind.LANDLINE, address=f"{INVENTED_LANDLINE_PREFIX}{digits}")


def people_for(regions: Iterable[Region], *, tiers: int = 3, seed: int = 1) -> People:
    """Return one person per tier for every village, site and zone."""
    assert 1 <= tiers <= len(POSTS)
    rng = Random(seed)  # noqa: S311 - invented people, nothing secret
    targets = [region for region in regions if region.level in TARGET_LEVELS]
    contacts: list[Contact] = []
    assignments: list[Assignment] = []
    for region in targets:
        language = rng.choices(("zh", "ug", "kk-Arab"), (5, 4, 1))[0]
        for tier in range(1, tiers + 1):
            contact = _contact(
                len(contacts) + 1, region, tier, person_name(rng, language), language
            )
            contacts.append(contact)
            assignments.append(
                Assignment(
                    contact_id=contact.id, region_code=region.code, tier=tier, role=contact.post
                )
            )
    return People(contacts=tuple(contacts), assignments=tuple(assignments))


def _contact(index: int, region: Region, tier: int, name: str, language: str) -> Contact:
    return Contact(
        id=index,
        key=f"G-{region.code}-{tier}",
        name=name,
        post=POSTS[tier - 1],
        unit=region.name,
        language=language,
        numbers=(mobile(index),),
    )

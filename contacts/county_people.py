"""The people of the invented county: who answers for which place, in which tier, at which number.

Pure and seeded, called by `contacts.county` alone. The exceptions at the top are meant: each is
something that real lists have and that an escalation must survive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from random import Random

from contacts.assignment import Assignment
from contacts.contact import Contact, ContactKind, Number, NumberKind
from contacts.naming import person_name
from contacts.people import People, landline, mobile
from contacts.region import Region, RegionLevel

LANDLINE_ONLY = (17, 58, 131)
"""Villages (by position) in which nobody has a mobile."""
NOBODY = 96
"""The village that nobody answers for: its escalation must start at the township at once."""
NO_SECOND_TIER = (7, 44)
"""Villages whose second tier is empty."""
FORMER_SECRETARY = 23
"""The village whose former secretary is still listed, with a duty that ended."""
TWO_VILLAGES_ONE_SECRETARY = (70, 71)
"""Neighbours with one secretary: one call, credited to both."""
SPEAKER_VILLAGES = (3, 29, 62, 88, 114, 150)
"""Villages with a loudspeaker server; what it says is a receipt, never an answer."""
VILLAGES_PER_CADRE = 4
WRONG_NUMBERS = 6
"""Misprinted numbers: the commonest cause of silence (domain.md, finding 8)."""

_OTHER_LANGUAGE_SHARE = 0.2
_SECOND_NUMBER_SHARE = 0.15
_GEOLOGICAL = frozenset({"11B37", "11D02", "11A51"})
_FIRE = frozenset({"11B25", "11B26"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """The places that need people, and how the county speaks."""

    county: Region
    townships: tuple[Region, ...]
    villages: tuple[Region, ...]
    sites: tuple[Region, ...]
    languages: Mapping[str, str]
    """Township code → the language that most people there prefer."""
    speakers_url: str


def staff_county(rng: Random, staff: Staff) -> tuple[People, tuple[str, ...]]:
    """Return the county's people, and the addresses among them that are wrong."""
    office = _Office(rng, staff)
    office.county()
    for township in staff.townships:
        office.township(township)
    for at, village in enumerate(staff.villages):
        office.village(at, village)
    for site in staff.sites:
        office.site(site)
    people = People(contacts=tuple(office.contacts), assignments=tuple(office.assignments))
    return people, _wrong(rng, people)


class _Office:
    """Hires one by one and keeps the list."""

    def __init__(self, rng: Random, staff: Staff) -> None:
        self._rng = rng
        self._staff = staff
        self._cadre: Contact | None = None
        self._beat: tuple[str | None, int] = (None, 0)
        self._secretary: Contact | None = None
        self.contacts: list[Contact] = []
        self.assignments: list[Assignment] = []

    def county(self) -> None:
        """The duty desk, its leaders, and the heads whom only a person may call."""
        county = self._staff.county
        desk = self._hire(county, "县应急值班室", "值班室", lines=True, name="云岭县应急值班室")
        self._assign(desk, county, 1, "值班室")
        for post, tier, robot_ok in (
            ("值班员", 1, True),
            ("带班领导", 2, True),
            ("防汛办主任", 2, True),
            ("分管副县长", 3, False),
            ("县长", 3, False),
            ("县委书记", 3, False),
        ):
            person = self._hire(county, "云岭县人民政府", post, robot_ok=robot_ok)
            self._assign(person, county, tier, post)

    def township(self, township: Region) -> None:
        """A duty room around the clock, a duty officer, and two leaders."""
        corps = township.name.endswith("团场")
        name = township.name
        room = self._hire(township, name, "值班室", lines=True, name=f"{name}值班室")
        self._assign(room, township, 1, "值班室")
        self._assign(self._hire(township, name, "值班员"), township, 1, "值班员")
        head, deputy = ("团长", "副团长") if corps else ("乡镇长", "副乡镇长")
        self._assign(self._hire(township, name, deputy), township, 2, deputy)
        leader = self._hire(township, name, head, robot_ok=township.code[8] != "0")
        self._assign(leader, township, 2, head)

    def village(self, at: int, village: Region) -> None:
        """Secretary, head, grid worker and the township's cadre, with the exceptions above."""
        if at == NOBODY:
            return
        lines = at in LANDLINE_ONLY
        self._secretaries(at, village, lines=lines)
        if at not in NO_SECOND_TIER:
            head = self._hire(village, village.name, "村主任", lines=lines)
            self._assign(head, village, 2, "村主任")
        grid = self._hire(village, village.name, "网格员", lines=lines)
        self._assign(grid, village, 3, "网格员")
        if not lines:
            self._assign_cadre(at, village)
        if at in SPEAKER_VILLAGES:
            self._speaker(village)

    def site(self, site: Region) -> None:
        """A keeper and a stand-in; a hazard zone has a watcher for its own hazards."""
        if site.level is RegionLevel.ZONE:
            watcher = self._hire(site, site.name, "群测群防员")
            self._assign(watcher, site, 1, "监测员", hazards=_GEOLOGICAL)
            self._assign(self._hire(site, site.name, "巡查员"), site, 2, "巡查员")
            return
        self._assign(self._hire(site, site.name, "负责人"), site, 1, "负责人")
        self._assign(self._hire(site, site.name, "值班员"), site, 2, "值班员")

    def _secretaries(self, at: int, village: Region, *, lines: bool) -> None:
        if at == TWO_VILLAGES_ONE_SECRETARY[1] and self._secretary is not None:
            self._assign(self._secretary, village, 1, "村支书")
            return
        self._secretary = self._hire(village, village.name, "村支书", lines=lines)
        self._assign(self._secretary, village, 1, "村支书")
        if at == FORMER_SECRETARY:
            former = self._hire(village, village.name, "原村支书")
            self._assign(former, village, 1, "村支书", until=date(2020, 12, 31))

    def _assign_cadre(self, at: int, village: Region) -> None:
        """One cadre of the township stands behind several villages, and watches for fire there."""
        beat = (village.parent_code, at // VILLAGES_PER_CADRE)
        if self._cadre is None or beat != self._beat:
            self._cadre = self._hire(village, "乡镇包村工作组", "包村干部")
            self._beat = beat
        self._assign(self._cadre, village, 3, "包村干部")
        if at % 20 == 0:
            self._assign(self._cadre, village, 2, "护林员", hazards=_FIRE)

    def _speaker(self, village: Region) -> None:
        address = f"{self._staff.speakers_url}/{village.code}"
        self.contacts.append(
            Contact(
                id=len(self.contacts) + 1,
                key=f"YL-{len(self.contacts) + 1:04d}",
                name=f"{village.name}大喇叭",
                unit=village.name,
                post="应急广播",
                kind=ContactKind.ENDPOINT,
                language=self._language(village),
                numbers=(Number(rank=1, kind=NumberKind.WEBHOOK, address=address),),
            )
        )
        self._assign(self.contacts[-1], village, 1, "大喇叭")

    def _hire(
        self, place: Region, unit: str, post: str, *, name: str = "", lines: bool = False,
        robot_ok: bool = True,
    ) -> Contact:  # fmt: skip
        index = len(self.contacts) + 1
        language = "zh" if name else self._language(place)
        contact = Contact(
            id=index,
            key=f"YL-{index:04d}",
            name=name or person_name(self._rng, language),
            unit=unit,
            post=post,
            language=language,
            robot_ok=robot_ok,
            numbers=(landline(index) if lines else mobile(index), *self._second(index, lines)),
        )
        self.contacts.append(contact)
        return contact

    def _second(self, index: int, lines: bool) -> tuple[Number, ...]:
        if lines or self._rng.random() > _SECOND_NUMBER_SHARE:
            return ()
        number = landline(index) if self._rng.random() < 0.5 else mobile(100_000 + index)
        return (replace(number, rank=2),)

    def _language(self, place: Region) -> str:
        township = f"{place.code[:9]}000"
        main = self._staff.languages.get(township, "zh")
        if self._rng.random() > _OTHER_LANGUAGE_SHARE:
            return main
        return self._rng.choice(("zh", "ug", "kk-Arab"))

    def _assign(
        self, contact: Contact, place: Region, tier: int, role: str, *,
        hazards: frozenset[str] = frozenset(), until: date | None = None,
    ) -> None:  # fmt: skip
        self.assignments.append(
            Assignment(
                contact_id=contact.id,
                region_code=place.code,
                tier=tier,
                role=role,
                hazards=hazards,
                valid_to=until,
            )
        )


def _wrong(rng: Random, people: People) -> tuple[str, ...]:
    """Some villagers' only numbers are misprinted; every rung above still works."""
    single = [
        contact.numbers[0].address
        for contact in people.contacts
        if len(contact.numbers) == 1 and contact.post in {"村支书", "村主任", "网格员"}
    ]
    return tuple(sorted(rng.sample(single, WRONG_NUMBERS)))

"""A small county on virtual time: real services, store, engine and outbox; a carrier in memory.

    county = await County.build(store, townships=1, villages=2)
    village, neighbour = county.villages
    warning = await county.red_warning()

    village.expects_sms("暴雨红色").replies("1")
    await county.advance(minutes=5)

    assert await warning.state(village) == "answered"
    await county.finish()

`settle` runs the engine by hand, one step after another in this task, until nothing is left to do;
`advance` moves the clock from one due instant to the next and settles at each. So a story is the
same every time. `crash` throws engine and outbox away and makes new ones on the same database.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlmodel import SQLModel

from channels.base import CallbackRequest, Channel, ChannelKind
from contacts.directory.table import AssignmentRow, ContactRow, NumberRow, RegionRow
from contacts.phone import INVENTED_MOBILE_PREFIX
from tests.fakes.channel import FakeChannel
from tests.fakes.clock import ManualClock
from tests.fakes.faulty_store import Died
from tests.fakes.invariant import assert_nothing_ends_quietly
from tests.fakes.phone import Phone, Received
from warnsvc.core.bulletin import BulletinStatus, Colour
from warnsvc.core.route import RouteRule
from warnsvc.outbox import Outbox
from warnsvc.render import Renderer
from warnsvc.resource import templates_dir
from warnsvc.service import bulletin, ledger, lift, release
from warnsvc.service.context import Context
from warnsvc.service.fleet import Fleet
from warnsvc.service.sweep import reap, when_due
from warnsvc.service.test_word import take_words
from warnsvc.settings import Settings
from warnsvc.store.inbound import Inbound, insert_inbound
from warnsvc.store.port import Row, Store
from warnsvc.store.table import OfficerRow
from warnsvc.web.callback import hear
from warnsvc.worker.engine import Engine
from warnsvc.worker.pulse import Pulse

COUNTY = "990100000000"
DESK = "县应急值班室"
RAIN = "暴雨红色预警：今夜有大暴雨，请立即组织转移。"
DRILL = "演练：暴雨红色预警，请按预案组织转移。演练"

_WORK = """
SELECT EXISTS (SELECT 1 FROM inbound WHERE state = 'new') AS facts,
 EXISTS (SELECT 1 FROM escalation WHERE state = 'calling' AND deadline_at <= $1)
  OR EXISTS (SELECT 1 FROM callout WHERE due_at <= $1)
  OR EXISTS (SELECT 1 FROM attempt WHERE receipt_due_at <= $1)
  OR EXISTS (SELECT 1 FROM bulletin WHERE state = 'released' AND expires_at <= $1) AS deadlines,
 EXISTS (SELECT 1 FROM attempt WHERE state = 'planned' AND due_at <= $1) AS planned,
 EXISTS (SELECT 1 FROM attempt WHERE state = 'unknown' AND due_at <= $1) AS unknowns,
 EXISTS (SELECT 1 FROM attempt WHERE state = 'sending' AND lease_until <= $1)
  OR EXISTS (SELECT 1 FROM attempt WHERE state = 'planned' AND valid_until <= $1) AS leases
"""
"""Whose turn it is. The engine asks everybody each time; a story has no time for empty turns."""

_HELD_BACK = "EXISTS (SELECT 1 FROM attempt WHERE state = 'planned' AND due_at <= $1)"
"""What is due and still planned waits for its carrier: for a slot, or for a probe."""

STEPS_MAX = 200
"""An engine that has not come to rest by then never will."""


@dataclass(eq=False)
class Person:
    """Somebody with phones; the first is the one he is called on first."""

    id: int
    name: str
    phones: tuple[Phone, ...]

    @property
    def phone(self) -> Phone:
        return self.phones[0]

    def expects_sms(self, *words: str) -> Received:
        return self.phone.expects_sms(*words)

    def expects_call(self, *words: str) -> Received:
        return self.phone.expects_call(*words)

    def expects_nothing(self) -> None:
        for phone in self.phones:
            phone.expects_nothing()

    def ignores_everything(self) -> None:
        for phone in self.phones:
            phone.ignores_everything()


@dataclass(eq=False)
class Place:
    """A township or village with its people by tier."""

    code: str
    name: str
    parent: "Place | None" = None
    tiers: dict[int, list[Person]] = field(default_factory=dict)

    @property
    def first(self) -> Person:
        """Who is called first."""
        return self.tiers[1][0]

    @property
    def second(self) -> Person:
        """Who is called when he is silent."""
        return self.tiers[2][0]

    def expects_sms(self, *words: str) -> Received:
        return self.first.expects_sms(*words)

    def expects_call(self, *words: str) -> Received:
        return self.first.expects_call(*words)

    def expects_nothing(self) -> None:
        """Nobody here has got anything that was not looked at."""
        for people in self.tiers.values():
            for person in people:
                person.expects_nothing()


@dataclass(frozen=True, slots=True)
class Issued:
    """A bulletin that was released in a county."""

    county: "County"
    id: int

    async def escalation(self, place: Place) -> Row:
        """The row of this warning in a place."""
        rows = await self.county.rows(
            "SELECT * FROM escalation WHERE bulletin_id = $1 AND region_code = $2",
            self.id,
            place.code,
        )
        assert len(rows) == 1, f"{place.name} has {len(rows)} escalations"
        return rows[0]

    async def state(self, place: Place) -> str:
        return str((await self.escalation(place))["state"])

    async def states(self) -> dict[str, int]:
        """How many escalations are in which state."""
        rows = await self.county.rows(
            "SELECT state, COUNT(*) AS many FROM escalation WHERE bulletin_id = $1 GROUP BY state",
            self.id,
        )
        return {row["state"]: row["many"] for row in rows}

    async def callout(self, person: Person) -> Row:
        """The row of this warning for a person."""
        rows = await self.county.rows(
            "SELECT * FROM callout WHERE bulletin_id = $1 AND contact_id = $2", self.id, person.id
        )
        assert len(rows) == 1, f"{person.name} has {len(rows)} callouts"
        return rows[0]

    async def attempts(self, person: Person | None = None, **wanted: Any) -> list[Row]:
        """His attempts (everybody's), oldest first; `channel="sms"` and the like choose."""
        rows = await self.county.rows(
            "SELECT * FROM attempt WHERE bulletin_id = $1 ORDER BY id", self.id
        )
        if person is not None:
            wanted = {"contact_id": person.id, **wanted}
        return [r for r in rows if all(r[key] == value for key, value in wanted.items())]

    async def acts(self, place: Place | None = None) -> list[str]:
        """What the ledger says happened, in order; with a place, to its escalation."""
        sql, params = "SELECT act FROM ledger_line WHERE bulletin_id = $1", [self.id]
        if place is not None:
            sql += " AND escalation_id = $2"
            params.append((await self.escalation(place))["id"])
        return [r["act"] for r in await self.county.rows(f"{sql} ORDER BY id", *params)]

    async def click(self, person: Person, words: str) -> None:
        """Press a button of his answer page: what the page keeps."""
        ctx = self.county.ctx
        token = ctx.token("callout", (await self.callout(person))["id"])
        callout_id = ctx.read_token("callout", token)
        fact = Inbound(
            kind="answer",
            carrier="link",
            channel="link",
            dedupe_key=f"{callout_id}:{words}",
            received_at=ctx.clock.now(),
            callout_id=callout_id,
            text=words,
        )
        async with ctx.store.unit() as unit:
            await insert_inbound(unit, [fact])

    async def lift(self, reason: str = "雨停了") -> int:
        """Lift it; returns how many are told."""
        result = await lift.lift(
            self.county.ctx, officer=self.county.duty, bulletin_id=self.id, reason=reason
        )
        return result.told


class County:
    """Everything at once. Make one with `build`."""

    duty = 1
    """The officer who writes, releases and lifts."""
    signer = 2
    """The second person."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.carriers = {
            kind.value: FakeChannel(kind, clock=clock.now)
            for kind in (ChannelKind.SMS, ChannelKind.VOICE, ChannelKind.WEBHOOK)
        }
        for channel in self.carriers.values():
            channel.post = self._take_callback
        self._open(self.carriers, context(store, clock, self.carriers))

    def _open(self, channels: Mapping[str, Channel], ctx: Context) -> None:
        self.channels, self.ctx = channels, ctx
        self.townships: list[Place] = []
        self.villages: list[Place] = []
        self.warnings: list[Issued] = []
        self.crashes = 0
        self.resends = 0
        """Second copies of one try that the rule allows in this story."""
        self._people = 0
        self._duties = 0
        self.start()

    @property
    def sms(self) -> FakeChannel:
        return self.carriers["sms"]

    @property
    def voice(self) -> FakeChannel:
        return self.carriers["voice"]

    @property
    def webhook(self) -> FakeChannel:
        return self.carriers["webhook"]

    def spare(self, kind: ChannelKind, *, receipt_seconds: int = 0, **can: Any) -> FakeChannel:
        """Add a second carrier of a kind, which stands behind the first in the route."""
        first = self.carriers[kind.value]
        spare = FakeChannel(kind, clock=self.clock.now, name=f"{first.name}-spare")
        spare.capabilities = replace(spare.capabilities, **can)
        spare.post = self._take_callback
        self.carriers[spare.name] = spare
        self.routes(
            RouteRule(
                kind=kind.value,
                carriers=(first.name, spare.name),
                receipt_seconds=receipt_seconds,
            )
        )
        return spare

    def routes(self, *rules: RouteRule) -> None:
        """Route by these rules from now on; the process starts anew."""
        by_name = {channel.name: channel for channel in self.carriers.values()}
        fleet = Fleet(by_name, rules)
        self.channels = by_name
        self.ctx = replace(self.ctx, fleet=fleet, capabilities=fleet.capabilities())
        self.start()

    # Set up ------------------------------------------------------------------------------------

    @classmethod
    async def build(
        cls, store: Store, clock: ManualClock | None = None, **options: int
    ) -> "County":
        """Return a county with people in it; `populate` says what the options are."""
        county = cls(store, clock or ManualClock())
        await county.populate(**options)
        return county

    async def populate(
        self, *, townships: int = 1, villages: int = 1, tiers: int = 2, superiors: int = 1
    ) -> None:
        """Add so many townships and, in each, villages.

        One person stands in each of a village's `tiers` and in each of a township's `superiors`.
        """
        rows = [*self._officers(), *self._regions(townships, villages)]
        people = [
            self._appointed(place, tier=tier)
            for places, most in ((self.villages, tiers), (self.townships, superiors))
            for place in places
            for tier in range(1, most + 1)
        ]
        by_table = zip(*(rows for _, rows in people), strict=True)  # contacts, numbers, duties
        await self._add(*rows, *(row for table in by_table for row in table))

    def _officers(self) -> list[SQLModel]:
        return [
            OfficerRow(
                id=officer,
                login=f"officer{officer}",
                name=name,
                password_hash="none: nobody logs in here",
                roles="duty,signer",
                created_at=self.clock.now(),
            )
            for officer, name in ((self.duty, "甲"), (self.signer, "乙"))
        ]

    def _regions(self, townships: int, villages: int) -> list[SQLModel]:
        rows: list[SQLModel] = [RegionRow(code=COUNTY, level="county", name="云岭县")]
        for t in range(1, townships + 1):
            township = Place(f"9901{t:02d}000000", f"{'石柳杨松梅'[(t - 1) % 5]}桥乡{t}")
            self.townships.append(township)
            rows.append(_region(township, "township", COUNTY))
            for v in range(1, villages + 1):
                village = Place(f"9901{t:02d}{v:06d}", f"{t}乡{v}村", township)
                self.villages.append(village)
                rows.append(_region(village, "village", township.code))
        return rows

    async def _add(self, *rows: SQLModel) -> None:
        async with self.store.unit() as unit:
            await unit.add(*rows)

    async def appoint(self, place: Place, **person: Any) -> Person:
        """Put a new person into a tier; `_appointed` says what he can be like."""
        appointed, rows = self._appointed(place, **person)
        await self._add(*rows)
        return appointed

    def _appointed(
        self,
        place: Place,
        *,
        tier: int = 1,
        numbers: Iterable[str] | None = None,
        robot_ok: bool = True,
        language: str = "zh",
        **duty: Any,
    ) -> tuple[Person, list[SQLModel]]:
        """Return a person and his rows. `numbers`: ranked; None: one mobile of his own."""
        self._people += 1
        number = self._people
        addresses = [mobile(number)] if numbers is None else list(numbers)
        person = Person(
            id=number,
            name=f"{place.name}-{tier}-{number}",
            phones=tuple(Phone(address, self.carriers) for address in addresses),
        )
        contact = ContactRow(
            id=number,
            key=f"k{number}",
            name=person.name,
            language=language,
            robot_ok=robot_ok,
            updated_at=self.clock.now(),
        )
        rows = [
            NumberRow(
                id=number * 10 + rank,
                contact_id=number,
                rank=rank,
                kind=_kind(address),
                address=address,
            )
            for rank, address in enumerate(addresses, start=1)
        ]
        return person, [contact, *rows, self._duty(person, place, tier, **duty)]

    async def also(self, person: Person, place: Place, *, tier: int, **duty: Any) -> None:
        """Give a person one more duty."""
        await self._add(self._duty(person, place, tier, **duty))

    def _duty(self, person: Person, place: Place, tier: int, **duty: Any) -> SQLModel:
        self._duties += 1
        place.tiers.setdefault(tier, []).append(person)
        return AssignmentRow(
            id=self._duties, contact_id=person.id, region_code=place.code, tier=tier, **duty
        )

    # Warnings ----------------------------------------------------------------------------------

    async def red_warning(self, **changes: Any) -> Issued:
        """Draft, submit, sign by a second officer and release; then the engine runs."""
        warning = await self.release(await self.signed(**changes))
        await self.settle()
        return warning

    async def drill(self, **changes: Any) -> Issued:
        """The same as a drill."""
        return await self.red_warning(
            **{"status": BulletinStatus.EXERCISE, "texts": {"zh": DRILL}, **changes}
        )

    async def signed(self, **changes: Any) -> int:
        """Return a bulletin that was written, submitted and signed by a second officer."""
        new = await bulletin.draft(self.ctx, officer=self.duty, draft=self.written(**changes))
        await bulletin.submit(self.ctx, officer=self.duty, bulletin_id=new)
        await bulletin.sign(self.ctx, officer=self.signer, bulletin_id=new)
        return new

    def written(self, *, hours: float = 6, **changes: Any) -> bulletin.BulletinDraft:
        """What the officer writes: a red rain warning for the whole county, for six hours."""
        places = changes.pop("places", None)
        codes = (COUNTY,) if places is None else tuple(place.code for place in places)
        fields: dict[str, Any] = {
            "status": BulletinStatus.ACTUAL,
            "hazard": "11B03",
            "colour": Colour.RED,
            "region_codes": codes,
            "texts": {"zh": RAIN},
            "onset_at": self.clock.now(),
            "expires_at": self.clock.now() + timedelta(hours=hours),
            **changes,
        }
        return bulletin.BulletinDraft(**fields)

    async def release(self, bulletin_id: int) -> Issued:
        """Type the phrase and release. Nothing is sent yet."""
        shown = await release.preview(self.ctx, bulletin_id)
        await release.release(
            self.ctx, officer=self.duty, bulletin_id=bulletin_id, typed=shown.phrase
        )
        warning = Issued(self, bulletin_id)
        self.warnings.append(warning)
        return warning

    # Time --------------------------------------------------------------------------------------

    def start(self, owner: str = "") -> None:
        """Start an engine and an outbox, as a process does."""
        self.owner = owner or f"worker:{self.crashes + 1}"
        self.outbox = Outbox(self.ctx, self.channels, owner=self.owner)
        self.engine = Engine(self.ctx, self.outbox, owner=self.owner, pulse=Pulse())

    def crash(self) -> None:
        """Lose everything that was in memory, and start again on the same database."""
        self.crashes += 1
        self.start()

    async def surviving(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it to its end, with a new engine each time the process dies on the way."""
        while True:
            try:
                await work()
            except Died:
                self.crash()
            else:
                return

    async def settle(self) -> None:
        """Run the engine until nothing is left to do at this instant."""
        for _ in range(STEPS_MAX):
            if not await self.step():
                return
        raise AssertionError("the engine does not come to rest")

    async def step(self) -> int:
        """Let everything that has work have its turn once; returns how much was done."""
        done = await self.take_mail()
        (work,) = await self.rows(_WORK, self.clock.now())
        if work["facts"] or work["deadlines"]:
            done += await self.engine.one_pass()
        if work["planned"] or self.outbox.in_flight:
            done += await self.outbox.step()
        if work["unknowns"]:
            done += await self.outbox.resolve()
        if work["leases"]:
            done += await reap(self.ctx)
        return done

    async def take_mail(self) -> int:
        """Bring the callbacks that are on their way."""
        taken = 0
        for channel in self.carriers.values():
            while channel.mail:
                await self._take_callback(channel.mail[0])
                channel.mail.popleft()  # only once we have said 2xx
                taken += 1
        return taken

    async def _take_callback(self, callback: CallbackRequest) -> None:
        """What the web does with a callback, without a socket."""
        name = callback.url.partition("/callbacks/")[2].partition("/")[0]
        channel = next(c for c in self.carriers.values() if c.name == name)
        said = hear(self.ctx, channel, callback)
        if said.tests:
            await take_words(self.ctx, channel, said.tests)
        async with self.store.unit() as unit:
            await insert_inbound(unit, said.facts)

    async def advance(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass; whatever falls due on the way is done at its instant."""
        await self.advance_to(
            self.clock.now() + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        )

    async def advance_to(self, target: datetime) -> None:
        """Let time pass until an instant. Called again after a crash, it goes on from there."""
        await self.settle()
        while (due := await self.next_due()) is not None and due <= target:
            await self.move_to(due)
            await self.settle()
        await self.move_to(target)
        await self.settle()

    async def next_due(self) -> datetime | None:
        """The next instant at which the engine, the outbox or the reaper has something to do."""
        now = self.clock.now()
        (row,) = await self.rows(
            "SELECT (SELECT MIN(due_at) FROM attempt WHERE state = 'planned' AND due_at > $1) AS a_at,"
            " (SELECT MIN(valid_until) FROM attempt WHERE state = 'planned') AS b_at,"
            " (SELECT MIN(lease_until) FROM attempt WHERE state = 'sending') AS c_at,"
            f" (SELECT MIN(probe_at) FROM circuit WHERE probe_at > $1 AND {_HELD_BACK}) AS d_at,"
            f" (SELECT MIN(next_at) FROM pace WHERE next_at > $1 AND {_HELD_BACK}) AS e_at",
            now,
        )
        instants = [at for at in (*row, await when_due(self.ctx)) if at is not None]
        late = [at for at in instants if at <= now]
        assert not late, f"what was due at {late[0]} has not been done by {now}"
        return min(instants, default=None)

    async def move_to(self, instant: datetime) -> None:
        """Set the time on. Nothing is due before that instant."""
        self.clock.move(seconds=(instant - self.clock.now()).total_seconds())

    async def finish(self) -> None:
        """Let every warning run its course, and check that nothing ended quietly."""
        for channel in self.carriers.values():
            channel.always(None)
            channel.answers_lookups = True
        await self.settle()
        while (due := await self.next_due()) is not None:
            await self.move_to(due)
            await self.settle()
        await self.check()

    async def check(self) -> None:
        """Check what must hold at the end of every story."""
        verdict = await ledger.verify(self.ctx)
        assert verdict.ok, f"the ledger is damaged: {verdict}"
        await assert_nothing_ends_quietly(self.store)
        for channel in self.carriers.values():
            copies = Counter(taken.request.token for taken in channel.taken)
            most = 1 + self.crashes + self.resends
            assert all(n <= most for n in copies.values()), f"{channel.name} sent {copies}"

    # What the desk sees ------------------------------------------------------------------------

    async def rows(self, sql: str, *params: Any) -> list[Row]:
        async with self.store.view() as unit:
            return await unit.fetch(sql, *params)

    async def alarms(self, kind: str | None = None) -> list[Row]:
        """The alarms, oldest first."""
        rows = await self.rows("SELECT * FROM alarm ORDER BY id")
        return [row for row in rows if kind is None or row["kind"] == kind]

    async def tasks(self, kind: str | None = None, *, state: str | None = None) -> list[Row]:
        """The tasks, oldest first."""
        rows = await self.rows("SELECT * FROM task ORDER BY id")
        return [
            row
            for row in rows
            if (kind is None or row["kind"] == kind) and (state is None or row["state"] == state)
        ]


def context(
    store: Store, clock: ManualClock, channels: Mapping[str, Channel], **more: Any
) -> Context:
    """Return what the services need, with settings of our own."""
    settings = Settings(install_name="云岭县应急局", desk_name=DESK, **more)
    return Context(
        store=store,
        clock=clock,
        settings=settings,
        renderer=_renderer(),
        capabilities={kind: channel.capabilities for kind, channel in channels.items()},
        fleet=Fleet({channel.name: channel for channel in channels.values()}),
        keys=(b"a key that signs tokens in tests",),
    )


@lru_cache
def _renderer() -> Renderer:
    settings = Settings(install_name="云岭县应急局")
    return Renderer(templates_dir(), issuer=settings.install_name, zone=settings.zone)


def mobile(number: int) -> str:
    """An invented mobile number."""
    return f"{INVENTED_MOBILE_PREFIX}{number:08d}"


def _kind(address: str) -> str:
    if address.startswith(("https://", "http://")):
        return "webhook"
    return "mobile" if address.startswith(INVENTED_MOBILE_PREFIX) else "landline"


def _region(place: Place, level: str, parent: str) -> RegionRow:
    return RegionRow(code=place.code, parent_code=parent, level=level, name=place.name)

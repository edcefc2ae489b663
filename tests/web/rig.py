"""A duty desk to test pages on: a small invented county, officers, and browsers that log in.

The county has two townships of three villages; one village has nobody, one person must be called by
hand. Time stands still until a test moves it. Nothing is sent: the engine does not run here, tests
step it by hand.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from re import search
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from channels.base import Capabilities, ChannelKind
from contacts.assignment import Assignment
from contacts.contact import Contact, Number, NumberKind
from contacts.directory.bulk import bulk_load
from contacts.people import People
from contacts.region import Region, RegionLevel
from tests.fakes.clock import ManualClock
from warnsvc.core.bulletin import BulletinStatus, Colour
from warnsvc.render import Renderer
from warnsvc.resource import templates_dir
from warnsvc.service import bulletin as bulletins
from warnsvc.service.bulletin import BulletinDraft
from warnsvc.service.context import Context
from warnsvc.service.fleet import Fleet
from warnsvc.service.intake import Intake
from warnsvc.service.officer import Role, add_officer
from warnsvc.service.release import preview, release
from warnsvc.settings import Settings, load_settings
from warnsvc.store.port import Store
from warnsvc.web.application import create_web
from warnsvc.web.callback import CHANNELS, INTAKE

PASSWORD = "summer-rain-2026"
COUNTY = "990102000000"
TOWNS = ("990102100000", "990102101000")
VILLAGES = tuple(f"9901021{town:02d}{village:03d}" for town in (0, 1) for village in (1, 2, 3))
BARE = VILLAGES[5]
"""The village that nobody stands in."""
CAPABILITIES = {
    "sms": Capabilities(kind=ChannelKind.SMS, per_second=50, inbound_countries=frozenset("*")),
    "webhook": Capabilities(kind=ChannelKind.WEBHOOK, per_second=20),
    "voice": Capabilities(kind=ChannelKind.VOICE, per_second=10, lines=30, dtmf=True),
}
TEXTS = {"zh": "今晚有山洪，请立即组织沟口人员撤离。", "ug": "بۈگۈن كەچ سەل كېلىدۇ."}


def regions() -> list[Region]:
    """Return the county."""
    county = Region(code=COUNTY, parent_code=None, level=RegionLevel.COUNTY, name="云岭县")
    towns = [
        Region(code=code, parent_code=COUNTY, level=RegionLevel.TOWNSHIP, name=name)
        for code, name in zip(TOWNS, ("云溪镇", "鹿鸣乡"), strict=True)
    ]
    villages = [
        Region(
            code=code,
            parent_code=TOWNS[index // 3],
            level=RegionLevel.VILLAGE,
            name=f"{'甲乙丙丁戊己'[index]}村",
            headcount=100 + index,
        )
        for index, code in enumerate(VILLAGES)
    ]
    return [county, *towns, *villages]


def people() -> People:
    """Return two tiers for every village but the bare one, and one superior in each township."""
    contacts: list[Contact] = []
    duties: list[Assignment] = []

    def person(name: str, code: str, tier: int, **more: Any) -> None:
        number = len(contacts) + 1
        mobile = Number(rank=1, kind=NumberKind.MOBILE, address=f"+8619900{number:06d}")
        contacts.append(Contact(id=number, key=f"p{number}", name=name, numbers=(mobile,), **more))
        duties.append(Assignment(contact_id=number, region_code=code, tier=tier, role="责任人"))

    for index, code in enumerate(VILLAGES):
        if code != BARE:
            person(f"支书{index}", code, 1, post="村支书")
            person(f"主任{index}", code, 2, post="村主任", robot_ok=index != 2)
    for index, code in enumerate(TOWNS):
        person(f"乡长{index}", code, 1, post="乡长", language="ug" if index else "zh")
    return People(contacts=tuple(contacts), assignments=tuple(duties))


@dataclass(slots=True)
class Browser:
    """Somebody's browser. Forms are posted with the token of the page they stand on."""

    client: TestClient[Any, Any]
    csrf: str = ""

    async def get(self, path: str, **more: Any) -> tuple[int, str]:
        """Return status and text of a page."""
        response = await self.client.get(path, **more)
        return response.status, await self._read(response)

    async def post(
        self, path: str, fields: Mapping[str, Any] | None = None, **more: Any
    ) -> tuple[int, str]:
        """Post a form and follow to the page that it leads to."""
        data = {"csrf": self.csrf, **(fields or {})}
        response = await self.client.post(path, data=data, **more)
        return response.status, await self._read(response)

    async def log_in(self, login: str, password: str = PASSWORD) -> tuple[int, str]:
        """Log in and return the page that follows."""
        return await self.post("/login", {"login": login, "password": password, "next": "/"})

    async def _read(self, response: ClientResponse) -> str:
        text = await response.text()
        if found := search(r'name="csrf" value="([^"]+)"', text):
            self.csrf = found[1]
        return text


class Desk:
    """The application on a store, with its officers."""

    def __init__(self, ctx: Context, clock: ManualClock) -> None:
        self.ctx = ctx
        self.clock = clock
        self.officers: dict[str, int] = {}
        self.app = _application(ctx)
        self._server = TestServer(self.app)
        self._clients: list[TestClient[Any, Any]] = []

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self._clients:
            await client.session.close()
        await self._server.close()

    @property
    def base(self) -> str:
        """The address of the server, for a real browser."""
        return str(self._server.make_url("")).rstrip("/")

    def browser(self) -> Browser:
        """Return a browser that nobody has logged in with."""
        client: TestClient[Any, Any] = TestClient(self._server)
        self._clients.append(client)
        return Browser(client)

    async def logged_in(self, login: str) -> Browser:
        """Return a browser in which an officer is logged in."""
        browser = self.browser()
        status, _ = await browser.log_in(login)
        assert status == 200
        return browser

    async def add(self, login: str, *roles: Role, name: str = "") -> int:
        """Add an officer with the password of all."""
        self.officers[login] = await add_officer(
            self.ctx, by=None, login=login, name=name or login, roles=roles, password=PASSWORD
        )
        return self.officers[login]

    async def draft(self, **changes: Any) -> int:
        """Write a bulletin by the duty officer and return its id."""
        now = self.clock.now()
        values: dict[str, Any] = {
            "status": BulletinStatus.ACTUAL,
            "hazard": "11A51",
            "colour": Colour.RED,
            "region_codes": (COUNTY,),
            "texts": TEXTS,
            "onset_at": now,
            "expires_at": now + timedelta(hours=6),
            **changes,
        }
        return await bulletins.draft(
            self.ctx, officer=self.officers["duty"], draft=BulletinDraft(**values)
        )

    async def submitted(self, **changes: Any) -> int:
        """Write and submit a bulletin."""
        number = await self.draft(**changes)
        await bulletins.submit(self.ctx, officer=self.officers["duty"], bulletin_id=number)
        return number

    async def signed(self, **changes: Any) -> int:
        """Write, submit and sign a bulletin."""
        number = await self.submitted(**changes)
        await bulletins.sign(self.ctx, officer=self.officers["signer"], bulletin_id=number)
        return number

    async def released(self, **changes: Any) -> int:
        """Write, sign and release a bulletin."""
        number = await self.signed(**changes)
        typed = (await preview(self.ctx, number)).phrase
        await release(self.ctx, officer=self.officers["duty"], bulletin_id=number, typed=typed)
        return number


def _application(ctx: Context) -> web.Application:
    app = create_web(ctx)
    app[CHANNELS] = {}
    app[INTAKE] = Intake(ctx)
    return app


def settings(folder: Path, **changes: Any) -> Settings:
    """Return settings for a desk in a test."""
    return load_settings(
        data_dir=folder, secret_key="k" * 40, install_name="云岭县应急局", demo=True, **changes
    )


def context(
    store: Store, clock: ManualClock, chosen: Settings, fleet: Fleet | None = None
) -> Context:
    """Return a context without channels, unless a fleet is given."""
    return Context(
        store=store,
        clock=clock,
        settings=chosen,
        renderer=Renderer(templates_dir(), issuer=chosen.install_name, zone=chosen.zone),
        capabilities=CAPABILITIES,
        fleet=fleet or Fleet({}),
        keys=(b"k" * 40,),
    )


@asynccontextmanager
async def open_desk(store: Store, folder: Path, **changes: Any) -> AsyncIterator[Desk]:
    """Yield a desk with the county and four officers: duty, signer, auditor, admin."""
    clock = ManualClock()
    ctx = context(store, clock, settings(folder, **changes))
    async with store.unit() as unit:
        await bulk_load(unit, regions(), people(), now=clock.now())
    async with Desk(ctx, clock) as desk:
        await desk.add("duty", Role.DUTY, name="王值班")
        await desk.add("signer", Role.SIGNER, name="李签发")
        await desk.add("auditor", Role.AUDITOR, name="赵审计")
        await desk.add("admin", Role.ADMIN, name="钱管理")
        yield desk

"""A warning service of real processes, and the hands that break it.

    async with open_rig("postgresql") as rig:
        await rig.populate(5_000)
        bulletin = await rig.release()            # in this process: before an SQLite service starts
        rig.start("web", "serve", "--no-engine")  # warnsvc serve; any name
        rig.start("w1", "worker")                 # warnsvc worker, PostgreSQL only
        await rig.until(rig.all_sent, 60)
        rig["w1"].kill(); rig["w1"].restart()     # -9; pause(), resume(), terminate()
        record = await rig.record()               # what the carrier saw: the truth

The carrier is `tests.faults.carrier` in a process of its own. Every start of a process gets a
loopback address of its own for the carrier, so the record says which incarnation sent what. All
that a rig starts dies with the test process. Deadlines are real time and bounded; what fails says
what it waited for and what the processes last logged.
"""

import asyncio
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from contacts.contact import Contact, Number
from contacts.directory.bulk import bulk_load
from contacts.people import People, people_for
from contacts.region import Region, RegionLevel
from tests.fakes.invariant import assert_nothing_ends_quietly
from tests.fakes.postgresql import postgresql_server
from warnsvc.app import House, open_house
from warnsvc.core.bulletin import BulletinStatus, Colour
from warnsvc.core.pack import DEFAULT_PACK, Pack, Step, TierRule
from warnsvc.service import bulletin as bulletins
from warnsvc.service import lift as lifting
from warnsvc.service import release as releasing
from warnsvc.service.officer import Role, add_officer
from warnsvc.settings import Settings, load_settings
from warnsvc.store.migrate import upgrade
from warnsvc.store.open import open_store, parse_url, sqlite_path
from warnsvc.store.port import Row, Store, StoreBusy
from warnsvc.store.sqlite_watch import SqliteWatch
from warnsvc.token import read_token

ROOT = Path(__file__).resolve().parents[2]
SENDER = "10690000"
SECRET_KEY = "k" * 40
PASSWORD = "summer-rain-2026"
TEXT = "暴雨红色预警：今夜至明晨有大暴雨，请立即上岗组织转移。"
COUNTY = "990100000000"
FIRST_CARRIER_HOST = 100
"""In a network of test hosts the carrier has the addresses from .100 to .140."""
LEASE_SECONDS = 5
"""The least that settings allow: what a dead worker held is free soon."""
LOOK_SECONDS = 0.1
"""How often a condition is looked at."""
START_SECONDS = 90.0
"""How long a process or the carrier may take to start on a machine that does other work."""
LOG_LINES_SHOWN = 12
LOG_CHARS_SHOWN = 400

_PR_SET_PDEATHSIG = 1


def sms_only(pack: Pack = DEFAULT_PACK, *, minutes: int = 300) -> Pack:
    """Return a pack that sends one text and waits for hours: each person is exactly one send."""
    tier = TierRule(window_seconds=minutes * 60, steps=(Step(after_seconds=0, channels=("sms",)),))
    return _with_tiers(pack, tier, "一条短信")


def quick(pack: Pack = DEFAULT_PACK, *, seconds: int = 15) -> Pack:
    """Return a pack whose windows end soon: text at once, voice after half of the window."""
    steps = (
        Step(after_seconds=0, channels=("sms",)),
        Step(after_seconds=seconds // 2, channels=("voice",)),
    )
    return _with_tiers(pack, TierRule(window_seconds=seconds, steps=steps), "快")


def _with_tiers(pack: Pack, tier: TierRule, name: str) -> Pack:
    def changed(rules: Mapping[Colour, Any]) -> dict[Colour, Any]:
        return {c: replace(rule, pack=name, tiers=(tier,)) for c, rule in rules.items()}

    return replace(pack, name=name, day=changed(pack.day), night=changed(pack.night))


class Late(AssertionError):
    """Something did not happen in time; the message says what, and what the processes logged."""


class Process:
    """One process of the service, started again as often as the test wants."""

    def __init__(
        self, rig: "Rig", name: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self._rig, self.name, self.arguments = rig, name, list(arguments)
        self.environment = dict(environment)
        self.module = "warnsvc"
        self.prefix: list[str] = []
        """Goes before the command, as `ip netns exec NAME`."""
        self.folder = ROOT
        """Where it is started: another checkout is another version."""
        self.hosts: list[str] = []
        """Its loopback addresses at the carrier, one for each start."""
        self.pids: list[int] = []
        self.log_path = rig.folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The running process."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def owner(self) -> str:
        """How the name begins by which leases know it: `LIKE` this."""
        return f"{socket.gethostname()}:{self.pid}%"

    @property
    def host(self) -> str:
        """Its address at the carrier."""
        return self.hosts[-1]

    @property
    def log(self) -> str:
        """Everything it has logged, over all its starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self, **environment: str) -> "Process":
        """Start it; `environment` is for this start only."""
        assert not self.running, f"{self.name} runs"
        self.hosts.append(self._rig.next_host())
        config = self._rig.write_config(self.name, self.hosts[-1])
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", self.module, *self.arguments],
                cwd=self.folder,
                env={
                    **clean_environment(),
                    "WARNSVC_CONFIG": str(config),
                    **self.environment,
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_us,
            )
        self.pids.append(self.pid)
        return self

    def kill(self) -> None:
        """-9: nothing is finished, nothing is said."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP, as a virtual machine that is moved."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def terminate(self, seconds: float = 30.0) -> int:
        """SIGTERM; wait for the end and return the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(seconds)

    def restart(self, **environment: str) -> "Process":
        """Start it again; it is killed first if it runs."""
        if self.running:
            self.kill()
        return self.start(**environment)

    @property
    def failed(self) -> bool:
        """Whether it ended by itself, neither killed nor asked to."""
        return self._process is not None and self._process.poll() not in {None, -signal.SIGKILL, 0}

    def died(self, seconds: float = 5.0) -> bool:
        """Whether it ends in this time; the socket's end is heard of before the process's."""
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self) -> None:
        """Kill it whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@dataclass(slots=True)
class Record:
    """What the carrier saw."""

    requests: list[list[Any]]
    """[at, host, method, path, reference, status]"""
    texts: list[list[Any]]
    """[at, host, reference, to, is_call]: what the carrier took."""
    hooks: list[list[Any]]
    """[at, endpoint, webhook id]"""

    def copies(self) -> Counter[int]:
        """Attempt id → how often the carrier took it."""
        return Counter(attempt_of(reference) for _, _, reference, _, _ in self.texts)

    @property
    def duplicates(self) -> int:
        """Copies beyond the first, over all attempts."""
        return sum(count - 1 for count in self.copies().values())

    def by_host(self) -> dict[str, list[list[Any]]]:
        """Texts by the incarnation that sent them."""
        found: dict[str, list[list[Any]]] = {}
        for text in self.texts:
            found.setdefault(text[1], []).append(text)
        return found


def attempt_of(reference: str) -> int:
    """Return the attempt that a reference at the carrier names; -1: none of ours."""
    found = read_token([SECRET_KEY.encode()], "attempt", reference)
    return -1 if found is None else found


@dataclass(slots=True, eq=False, repr=False)
class Rig:
    """A database, a carrier, and processes by name."""

    kind: str
    url: str
    folder: Path
    carrier_port: int
    secret: str
    port: int
    carrier_via: str = ""
    """`host:port` through which the service reaches the carrier; empty: directly, one host each."""
    public_base_url: str = ""
    web_host: str = "127.0.0.1"
    """Where the test reaches the web process."""
    carrier_net: str = ""
    """The first three numbers of the carrier's addresses; empty: it is on this machine."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings for every process, by name; written to its TOML file."""
    paces: dict[str, float] = field(default_factory=lambda: {"sms": 5_000.0, "voice": 500.0})
    """Sends a second that each carrier allows: by default more than we can; 0: not said, as before
    there was a pace."""
    more_carriers: list[dict[str, Any]] = field(default_factory=list)
    processes: dict[str, Process] = field(default_factory=dict)
    pack: Pack = field(default_factory=sms_only)
    author: int = 0
    signer: int = 0
    phrases: dict[int, str] = field(default_factory=dict)
    """What must be typed to release each bulletin that was signed here."""
    _hosts: int = 0
    _store: Store | SqliteWatch | None = None
    _session: aiohttp.ClientSession | None = None

    # Processes -------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Process:
        return self.processes[name]

    def start(
        self,
        name: str,
        *arguments: str,
        module: str = "warnsvc",
        prefix: Sequence[str] = (),
        folder: Path = ROOT,
        **environment: str,
    ) -> Process:
        """Start `warnsvc ARGUMENTS` (or another module) under a name; env as keywords."""
        process = Process(self, name, arguments, environment)
        process.module, process.prefix, process.folder = module, list(prefix), folder
        self.processes[name] = process
        return process.start()

    def next_host(self) -> str:
        """Return an address of the carrier that no process has had yet."""
        self._hosts += 1
        if self.carrier_net:
            return f"{self.carrier_net}.{FIRST_CARRIER_HOST + self._hosts}"
        return f"127.1.{self._hosts // 250}.{self._hosts % 250 + 1}"

    def settings_values(self, host: str) -> dict[str, Any]:
        """Return what a process is configured with."""
        base = self.carrier_via or f"{host}:{self.carrier_port}"
        params = {"base_url": f"http://{base}", "account": "warnsvc", "sender": SENDER}
        carriers = [
            {
                "name": f"sim-{kind}",
                "kind": kind,
                "adapter": f"simulated-{kind}",
                "params": {**params, **({"per_second": pace} if pace else {})},
                "secrets": {"secret": self.secret},
            }
            for kind, pace in self.paces.items()
        ]
        return {
            "database_url": self.url,
            "demo": True,
            "port": self.port,
            "public_base_url": self.public_base_url,
            "data_dir": str(self.folder),
            "install_name": "县应急局",
            "secret_key": SECRET_KEY,
            "lease_seconds": LEASE_SECONDS,
            "log_format": "json",
            "log_level": "warning",
            "carriers": [*carriers, *self.more_carriers],
            **self.options,
        }

    def write_config(self, name: str, host: str) -> Path:
        """Write a process's TOML file and return it."""
        path = self.folder / f"{name}.toml"
        path.write_text(to_toml(self.settings_values(host)))
        return path

    @property
    def web_url(self) -> str:
        """Where the web process listens."""
        return f"http://{self.web_host}:{self.port}"

    # Rows ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def house(self) -> AsyncIterator[House]:
        """Open the service in this process. SQLite: only while none of its own runs."""
        with _environment():
            settings: Settings = load_settings(**self.settings_values("127.0.0.1"))
        async with open_house(settings, pack=self.pack) as opened:
            yield opened

    async def populate(
        self, people: int, *, tiers: int = 1, regions: Iterable[Region] | None = None
    ) -> None:
        """Fill the directory: a county of `people` villages with one person a tier; two officers."""
        found = list(regions) if regions is not None else villages(people)
        made = people_for(found, tiers=tiers, seed=1)
        await self.load(found, made)

    async def load(self, regions: Sequence[Region], people: People) -> None:
        """Fill the directory with these, and make the author and the signer."""
        async with self.house() as opened:
            ctx = opened.ctx
            async with ctx.store.unit() as unit:
                await bulk_load(unit, regions, people, now=ctx.clock.now())
            self.author, self.signer = [
                await add_officer(
                    ctx, by=None, login=login, name=login, post="", password=PASSWORD, roles=[role]
                )
                for login, role in (("duty", Role.DUTY), ("signer", Role.SIGNER))
            ]

    async def sign(self, root: str = COUNTY, *, colour: Colour = Colour.RED) -> int:
        """Write a bulletin and have it signed; return its id."""
        async with self.house() as opened:
            now = opened.ctx.clock.now()
            draft = bulletins.BulletinDraft(
                status=BulletinStatus.ACTUAL,
                hazard="11B03",
                colour=colour,
                region_codes=(root,),
                texts={"zh": TEXT},
                onset_at=now,
                expires_at=now + timedelta(hours=6),
            )
            number = await bulletins.draft(opened.ctx, officer=self.author, draft=draft)
            await bulletins.submit(opened.ctx, officer=self.author, bulletin_id=number)
            await bulletins.sign(opened.ctx, officer=self.signer, bulletin_id=number)
            self.phrases[number] = (await releasing.preview(opened.ctx, number)).phrase
            return number

    async def release(self, bulletin_id: int = 0, *, root: str = COUNTY) -> int:
        """Release a bulletin (a new one by default) by the service's own function; return its id."""
        number = bulletin_id or await self.sign(root)
        async with self.house() as opened:
            await releasing.release(
                opened.ctx,
                officer=self.author,
                bulletin_id=number,
                typed=self.phrases[number],
            )
        return number

    async def lift(self, bulletin_id: int) -> None:
        """Lift a bulletin by the service's own function."""
        async with self.house() as opened:
            await lifting.lift(
                opened.ctx, officer=self.author, bulletin_id=bulletin_id, reason="雨停了"
            )

    async def damage(self, sql: str, *params: Any) -> int:
        """Run one writing statement; SQLite: only while no process of the service runs."""
        async with self.house() as opened, opened.ctx.store.unit() as unit:
            return await unit.execute(sql, *params)

    async def fetch(self, sql: str, *params: Any) -> list[Row]:
        """Run a query on what is committed, beside whoever writes."""
        if self._store is None:
            self._store = await self._reading()
        async with self._store.view() as unit:
            return await unit.fetch(sql, *params)

    async def one(self, sql: str, *params: Any) -> Any:
        """Return the first column of the first row."""
        rows = await self.fetch(sql, *params)
        return rows[0][0] if rows else None

    async def forget_connection(self) -> None:
        """Read over a new connection from now on: the database was away or has moved."""
        if self._store is not None:
            with suppress(Exception):
                await self._store.close()
            self._store = None

    async def _reading(self) -> Store | SqliteWatch:
        if self.kind == "sqlite":
            return await SqliteWatch.open(sqlite_path(parse_url(self.url)), StoreBusy("a test"))
        return await open_store(self.url)

    async def states(self, table: str = "attempt", where: str = "1 = 1") -> dict[str, int]:
        """Return state → rows of a table."""
        rows = await self.fetch(
            f"SELECT state, COUNT(*) AS n FROM {table} WHERE {where} GROUP BY state"
        )
        return {row["state"]: row["n"] for row in rows}

    async def all_sent(self) -> bool:
        """Whether nothing is planned, on its way or unknown."""
        return not await self.one(
            "SELECT COUNT(*) FROM attempt WHERE state IN ('planned','sending','unknown')"
        )

    async def all_ended(self) -> bool:
        """Whether every escalation has an end."""
        return not await self.one(
            "SELECT COUNT(*) FROM escalation WHERE state IN ('pending','calling')"
        )

    async def check_invariants(self) -> None:
        """Raise with everything that is wrong in the database at the end of a story."""
        await self.forget_connection()
        if self._store is None:
            self._store = await self._reading()
        await assert_nothing_ends_quietly(self._store)

    # Waiting ---------------------------------------------------------------------------------

    async def until(
        self,
        condition: Callable[[], Awaitable[object]],
        seconds: float,
        what: str = "",
        *,
        every: float = LOOK_SECONDS,
    ) -> float:
        """Wait until a condition holds; return how many seconds it took. Raises Late.

        A process that ended by itself is not waited for.
        """
        what = what or getattr(condition, "__name__", "a condition")
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if await condition():
                return time.monotonic() - began
            if failed := [p.name for p in self.processes.values() if p.failed]:
                raise Late(f"{failed} ended while waiting for {what}\n{await self._story()}")
            await asyncio.sleep(every)
        raise Late(f"not within {seconds:g} s: {what}\n{await self._story()}")

    async def _story(self) -> str:
        try:
            states = (
                f"attempts {await self.states()}, escalations {await self.states('escalation')}"
            )
        except Exception as fault:  # the story of a failure must not hide the failure
            states = f"no states: {fault!r}"
        parts = [states]
        for process in self.processes.values():
            last = process.log.splitlines()[-LOG_LINES_SHOWN:]
            tail = "\n".join(line[:LOG_CHARS_SHOWN] for line in last)
            parts.append(f"--- {process.name} ({'runs' if process.running else 'ended'})\n{tail}")
        return "\n".join(parts)

    async def until_ready(self, path: str = "/healthz", seconds: float = START_SECONDS) -> float:
        """Wait until the web process answers 200; return how long it took."""

        async def ready() -> bool:
            try:
                async with self.session.get(self.web_url + path) as answer:
                    return answer.status == 200
            except (aiohttp.ClientError, OSError, TimeoutError):
                return False

        return await self.until(ready, seconds, f"{self.web_url}{path} answers 200", every=0.02)

    # The carrier -----------------------------------------------------------------------------

    @property
    def session(self) -> aiohttp.ClientSession:
        """Return an HTTP client of the test itself."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        return self._session

    @property
    def carrier_url(self) -> str:
        """Where the test reaches the carrier."""
        return f"http://{self.carrier_address}:{self.carrier_port}"

    @property
    def carrier_address(self) -> str:
        """The carrier's first address."""
        return f"{self.carrier_net}.{FIRST_CARRIER_HOST}" if self.carrier_net else "127.0.0.1"

    async def record(self, parts: str = "requests,texts,hooks") -> Record:
        """Return what the carrier saw."""
        async with self.session.get(f"{self.carrier_url}/record?parts={parts}") as answer:
            found = json.loads(await answer.read())
        return Record(**{name: found.get(name, []) for name in ("requests", "texts", "hooks")})

    async def turn(self, **knobs: Any) -> None:
        """Turn the carrier's knobs: `turn(answer_seconds=30, outage={"kind": …, "seconds": …})`."""
        async with self.session.post(f"{self.carrier_url}/control", json=knobs) as answer:
            assert answer.status == 200, await answer.text()

    async def answer_with(self, status: int, *, path: str, seconds: float) -> None:
        """Let the carrier answer so to everything under a path for a while: 401, 500, …"""
        fault = {"path": path, "status": status, "seconds": seconds}
        async with self.session.post(f"{self.carrier_url}/fault", json=fault) as answer:
            assert answer.status == 204, await answer.text()

    async def callbacks(self) -> dict[str, int]:
        """Return how the carrier's own callbacks went: posted, failed, given_up."""
        async with self.session.get(f"{self.carrier_url}/control") as answer:
            return dict((await answer.json())["callbacks"])

    async def close(self) -> None:
        """End everything."""
        for process in self.processes.values():
            process.end()
        if self._session is not None:
            await self._session.close()
        await self.forget_connection()


@asynccontextmanager
async def open_rig(
    kind: str,
    *,
    carrier: Sequence[str] = ("--no-receipts",),
    url: str = "",
    durable: bool = True,
    carrier_net: str = "",
    carrier_prefix: Sequence[str] = (),
    migrated: bool = True,
    **options: Any,
) -> AsyncIterator[Rig]:
    """Start a database and a carrier, migrate, and yield the rig; end everything afterwards.

    `carrier`: arguments of the simulated carrier (`--crowd`, …); {port} is the web port.
    `url`: a database of the test's own instead. `options`: settings for every process.
    `migrated`: False leaves the database to the test, empty.
    `carrier_net`, `carrier_prefix`: the carrier is a test host of its own (tests.faults.network).
    """
    with (
        tempfile.TemporaryDirectory(prefix="warnsvc-faults-") as name,
        _database(kind, Path(name), url, durable=durable) as address,
    ):
        secret = secrets.token_urlsafe(32)
        port, carrier_port = free_ports(2)
        arguments = [part.replace("{port}", str(port)) for part in carrier]
        with _carrier(carrier_port, secret, Path(name), arguments, prefix=carrier_prefix):
            rig = Rig(
                kind=kind,
                url=address,
                folder=Path(name),
                carrier_port=carrier_port,
                secret=secret,
                port=port,
                carrier_net=carrier_net,
                options=options,
            )
            try:
                await until_open(carrier_port, host=rig.carrier_address)
                if migrated:
                    await upgrade(address)
                yield rig
            finally:
                await rig.close()


@contextmanager
def _database(kind: str, folder: Path, url: str, *, durable: bool) -> Any:
    if url:
        yield url
    elif kind == "sqlite":
        yield f"sqlite:///{folder}/warnsvc.sqlite3"
    else:
        with postgresql_server(durable=durable) as dsn:
            yield dsn


@contextmanager
def _carrier(
    port: int, secret: str, folder: Path, arguments: Sequence[str], *, prefix: Sequence[str] = ()
) -> Any:
    """Run the recording carrier on every loopback address."""
    (folder / "carrier.secret").write_text(secret)
    with (folder / "carrier.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *prefix,
                *(sys.executable, "-m", "tests.faults.carrier", "--host", "0.0.0.0"),
                *("--port", str(port), "--secret-file", str(folder / "carrier.secret")),
                *("--sender", SENDER, *arguments),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_us,
        )
    try:
        yield
    finally:
        process.kill()  # it may still have thousands of callbacks to deliver
        process.wait()


async def until_open(port: int, seconds: float = START_SECONDS, *, host: str = "127.0.0.1") -> None:
    """Wait until somebody listens on a port of this machine."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise Late(f"nobody listens on port {port} after {seconds:g} s")


PER_COUNTY_MAX = 20_000
"""Villages of one county, and so of one bulletin: more in one release is not a real one."""


def villages(count: int) -> list[Region]:
    """Return so many villages, in counties of 20,000 at most: `roots` names them."""
    found = [
        Region(code=code, parent_code=None, level=RegionLevel.COUNTY, name=f"量测{n}县")
        for n, code in enumerate(roots(count), 1)
    ]
    for n in range(count):
        parent = found[n // PER_COUNTY_MAX].code
        number = n % PER_COUNTY_MAX + 1
        found.append(
            Region(
                code=f"{parent[:4]}{number:08d}",
                parent_code=parent,
                level=RegionLevel.VILLAGE,
                name=f"村{number}",
            )
        )
    return found


def roots(count: int) -> list[str]:
    """Return the counties in which so many villages lie."""
    return [f"99{n:02d}00000000" for n in range(1, -(-count // PER_COUNTY_MAX) + 1)]


def with_numbers(people: People, numbers: Callable[[Contact], tuple[Number, ...]]) -> People:
    """Return the same people with other numbers."""
    return replace(people, contacts=tuple(replace(c, numbers=numbers(c)) for c in people.contacts))


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, held together so that they differ."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def clean_environment() -> dict[str, str]:
    """Return our environment without anybody's own settings of warnsvc."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WARNSVC_")}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


@contextmanager
def _environment() -> Any:
    """Hide anybody's own settings while ours are read."""
    hidden = {n: os.environ.pop(n) for n in list(os.environ) if n.startswith("WARNSVC_")}
    try:
        yield
    finally:
        os.environ.update(hidden)


def die_with_us() -> None:
    """Be killed when the test process ends, also when that is killed (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def to_toml(values: Mapping[str, Any]) -> str:
    """Write settings as TOML; strings, numbers and booleans are spelled as JSON spells them."""
    plain = {k: v for k, v in values.items() if k != "carriers"}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
    for carrier in values.get("carriers", ()):
        lines.append("[[carriers]]")
        lines += [f"{k} = {json.dumps(v)}" for k, v in carrier.items() if not isinstance(v, dict)]
        for part, inner in carrier.items():
            if isinstance(inner, dict):
                lines.append(f"[carriers.{part}]")
                lines += [f"{k} = {json.dumps(v)}" for k, v in inner.items()]
    return "\n".join(lines) + "\n"


def have(program: str) -> bool:
    """Whether a program is installed."""
    return shutil.which(program) is not None

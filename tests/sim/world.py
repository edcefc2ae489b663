"""One simulated world: a database, the processes on it, carriers, people and officers, by one plan.

    result = World(plan).run()          the real service, outbox, engine and store; virtual time

What is simulated is only what is not ours: time, chance, the wire, the people, the crash. Engine and
outbox run as they are started in production (`Engine.run`); of APScheduler only the ticking is
replaced, because it asks the machine for the time. Polls that stand behind wake-ups are stretched,
so that a wake-up that is missing shows as lateness and an hour costs little. It never steps the
engine by hand.
"""

import asyncio
import atexit
import hashlib
import random
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import structlog
from aiohttp import web

from channels.base import CallbackRequest, ChannelKind, SendRequest
from tests.fakes.county import DESK, _renderer
from tests.fakes.invariant import _read
from tests.sim import (
    invariants,
    invariants_ledger,
    invariants_recall,
    invariants_route,
    invariants_send,
    invariants_tier,
    invariants_word,
)
from tests.sim.carrier import Carrier, Wire
from tests.sim.crash import Gone, Life, SimLoop, Writing, is_dead, open_store
from tests.sim.house import county, workshop
from tests.sim.loop import Deadlock, Livelock
from tests.sim.mirror import Mirror, seconds
from tests.sim.officer import Officer
from tests.sim.people import People
from tests.sim.plan import Plan
from warnsvc.app import build_engine
from warnsvc.core.pack import DEFAULT_PACK, Pack, shortened
from warnsvc.core.route import RouteRule
from warnsvc.service.context import Context
from warnsvc.service.fleet import Fleet
from warnsvc.service.intake import Intake, IntakeFull
from warnsvc.settings import Settings
from warnsvc.store.port import StoreFault
from warnsvc.web.callback import facts_of
from warnsvc.worker import duty
from warnsvc.worker.pulse import Pulse

INVARIANTS = (
    invariants_tier,
    invariants_send,
    invariants_route,
    invariants_recall,
    invariants_word,
    invariants_ledger,
)
"""Importing them registers what they say must hold."""
POLLS = {"IDLE_SECONDS": 4.0, "POLL_SECONDS": 30.0, "SEQUENCE_SECONDS": 8.0, "REAP_SECONDS": 7.0}
"""Backstops behind wake-ups and due instants, stretched. A constant that is not there is left."""
DATABASE_BACK_SECONDS = 2.5
"""How soon after a fault of the database everybody must be at work again."""
SETTLE_SECONDS = 60.0
"""How much longer than all its windows a run may need to come to rest (reliability.md, no. 24)."""
LOOK_SECONDS = 5.0
"""How often the story looks whether everything has come to rest."""
CALLBACK_SECONDS_MAX = 15.0
"""How long a carrier waits for our answer to a callback."""
CALLBACK_PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0)
"""A carrier that got no 2xx comes again, the last pause over and over."""
CALLBACK_TRIES_MAX = 1_000
"""At night nobody is up for hours."""


class Violated(Exception):
    """Something that must hold did not. `number` is that of reliability.md §2.3; 0: an error."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"invariant {number}: {text}")
        self.number, self.text = number, text


@dataclass(slots=True)
class Result:
    """What came of a run."""

    plan: Plan
    violation: Violated | None
    trace: list[tuple[Any, ...]]
    seconds: float
    """Virtual seconds."""
    crashes: int
    points: list[str] = field(default_factory=list)
    """The crash points that it passed."""
    copies: int = 0
    sends: int = 0

    def lines(self, last: int | None = None) -> list[str]:
        """The trace, readable."""
        chosen = self.trace if last is None else self.trace[-last:]
        return [f"{at / 1e6:11.6f}  {' '.join(map(str, words))}" for at, *words in chosen]

    @property
    def hash(self) -> str:
        """SHA-256 over the whole trace."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()


class World:
    """Everything in one run."""

    public_url = "http://127.0.0.1:8080"

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seeded = county(plan.shape)
        self.loop = SimLoop(plan.seed)
        self.context = copy_context()
        self.mirror = Mirror()
        self.watch = invariants.Watch()
        self.trace: list[tuple[Any, ...]] = []
        self.violation: Violated | None = None
        self.lives: list[Life | None] = [None] * plan.workers
        self.crashes = 0
        self.points: list[str] = []
        self.carriers = {
            name: Carrier(self, kind, name)
            for kind in (ChannelKind.SMS, ChannelKind.VOICE, ChannelKind.WEBHOOK)
            for name in plan.accounts(kind.value)
        }
        """By name."""
        self.people = People(self)
        self.officer = Officer(self)
        self.accepted: set[str] = set()
        """Dedupe keys of what carriers were told 2xx about."""
        self.phones = [a for person in self.seeded.residents for a in person.addresses]
        self.posting = 0
        """Callbacks on their way to us."""
        self.down: list[tuple[float, float]] = []
        """When nobody worked."""
        self.database_faults = [f for f in plan.faults if f.kind == "database"]
        self._database_chance = random.Random(f"{plan.seed}:database")
        self.down += [(f.begins, f.ends + DATABASE_BACK_SECONDS) for f in self.database_faults]
        self._down_since: float | None = 0.0
        self._resumed_at = -10.0
        self._starts = 0
        self._acting: set[asyncio.Task[None]] = set()
        self._writing = Writing() if plan.workers > 1 else None
        self._path = _folder() / "world.sqlite3"
        self._over: asyncio.Future[None] | None = None
        self.stirred = 0.0
        """When something last happened that takes its time to settle."""

    # The run -----------------------------------------------------------------------------------

    def run(self) -> Result:
        """Live through the plan; whatever is violated ends it at once."""
        self.seeded.lay(self._path)
        with _patched(self):
            try:
                self.loop.run(self._live())
            except (Deadlock, Livelock) as stuck:
                self.violation = self.violation or Violated(24, str(stuck))
            finally:
                for life in self.lives:
                    if life is not None and not life.dead:
                        life.die()
        return Result(
            plan=self.plan,
            violation=self.violation,
            trace=self.trace,
            seconds=self.now(),
            crashes=self.crashes,
            points=self.points,
            copies=sum(len(c) for k in self.carriers.values() for c in k.copies.values()),
            sends=sum(len(k.starts) for k in self.carriers.values()),
        )

    async def _live(self) -> None:
        self._over = self.loop.create_future()
        story = self.loop.create_task(self._story(), name="story", context=self.context)
        await asyncio.wait({story, self._over}, return_when=asyncio.FIRST_COMPLETED)
        if self.violation is None:
            story.result()
        for life in self.lives:
            if life is not None:
                life.die()

    async def _story(self) -> None:
        plan = self.plan
        for worker in range(plan.workers):
            self.start(worker)
        self._arrange()
        await self.officer.issue(plan.colour)
        await self._until(plan.quiet_at)
        await self._rest()
        if plan.until_expired or self._unsaid():
            await self._overnight()
        await self._rest()
        for life in list(self.lives):
            if life is not None:
                life.die()
        await self._audit()

    async def _audit(self) -> None:
        auditor = Life(self, "audit")
        async with open_store(auditor, self._path, None, readers=1).view() as unit:
            end = await _read(unit)
        auditor.die()
        for number, fault in invariants.at_the_end(self, end):
            self.fail(number, fault)

    def _arrange(self) -> None:
        for crash in self.plan.crashes:
            self.later(crash.at, self._light_fuse, crash.worker, crash.points, crash.down)
        for pause in self.plan.pauses:
            self.later(pause.at, self._pause, pause.worker, pause.seconds)
        for act in self.plan.acts:
            self.later(act.at, self._begin, act)

    def _begin(self, act: Any) -> None:
        task = self.loop.create_task(self.officer.act(act), name=act.kind, context=self.context)
        self._acting.add(task)
        task.add_done_callback(self._acted, context=self.context)

    def _acted(self, task: "asyncio.Task[None]") -> None:
        self._acting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(0, f"an officer met {error!r}")

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self.now()))

    async def _rest(self) -> None:
        """Wait until nothing moves any more; too long is a violation of its own."""
        bound = self._settle_seconds()
        while self._acting or self.unsettled():
            if self.now() > self.stirred + bound and not self._acting:
                self.fail(24, f"after {bound:.0f} s still: {self.unsettled()}")
            await asyncio.sleep(LOOK_SECONDS)

    def _settle_seconds(self) -> float:
        shape = self.plan.shape
        tiers = shape.tiers + 3
        return self.plan.window_seconds * tiers + SETTLE_SECONDS + 2 * self.plan.lease_seconds

    async def _overnight(self) -> None:
        """Nobody is up until everything that has a time has passed it."""
        for life in list(self.lives):
            if life is not None and not life.dead:
                life.die()
        self._note_up()
        self.note("night")
        latest = max(
            [seconds(a.valid_until) for a in self.mirror.attempt.values() if a.state == "unknown"]
            + [seconds(b.expires_at) for b in self.mirror.bulletin.values()]
            + [self.now()]
        )
        await self._until(latest + 1.0)
        self.note("morning")
        for worker in range(self.plan.workers):
            self.start(worker)

    def _unsaid(self) -> bool:
        """Whether notices wait for their end, because nobody can say what became of them."""
        return any(a.state == "unknown" for a in self.mirror.attempt.values())

    def unsettled(self) -> str:
        """What still moves, in words; empty when nothing does."""
        mirror = self.mirror
        if any(life is None or life.dead or life.paused for life in self.lives):
            return "not everybody is up"
        if self.posting:
            return f"{self.posting} callbacks are on their way"
        moving = [
            *(f"bulletin {b.id} has run out" for b in mirror.bulletin.values()
              if b.state == "released" and seconds(b.expires_at) <= self.now()),
            *(f"escalation {e.id} {e.state}" for e in mirror.escalation.values()
              if e.state in {"pending", "calling"}),
            *(f"callout {c.id} due" for c in mirror.callout.values() if c.due_at is not None),
            *(f"attempt {a.id} {a.state}" for a in mirror.attempt.values() if self._moves(a)),
            *(f"attempt {a.id} waits for a receipt" for a in mirror.attempt.values()
              if a.receipt_due_at is not None and a.state == "accepted"),
            *(f"inbound {i.id}" for i in mirror.inbound.values() if i.state == "new"),
            *(f"line {line} without a place" for line in mirror.ledger_pending),
        ]
        return ", ".join(moving[:6])

    def _moves(self, attempt: Any) -> bool:
        if attempt.state == "unknown":
            # Where nobody can be asked, a notice waits half an hour for its end.
            over = seconds(attempt.valid_until) <= self.now()
            return over or attempt.purpose == "call" or self.carrier_of(attempt).capabilities.can_lookup
        return attempt.state in {"planned", "sending"}

    def carriers_of(self, kind: str) -> list[Carrier]:
        """The carriers of a channel, in the order of their route."""
        return [self.carriers[name] for name in self.plan.accounts(kind)]

    def carrier_of(self, attempt: Any) -> Carrier:
        """Who has an attempt; the first of its kind, while nobody is written down."""
        return self.carriers[attempt.carrier or self.plan.accounts(attempt.channel)[0]]

    # Time and trace ----------------------------------------------------------------------------

    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.loop.microseconds / 1e6

    def later(self, delay: float, call: Callable[..., None], *args: Any) -> None:
        """Let the world do something after a while, whoever dies meanwhile."""
        self.loop.call_later(delay, call, *args, context=self.context)

    def note(self, *words: Any) -> None:
        """Put a line into the trace."""
        self.trace.append((self.loop.microseconds, *words))

    def fail(self, number: int, text: str) -> None:
        """Something that must hold does not: the run is over."""
        if self.violation is not None:
            return
        self.violation = Violated(number, text)
        self.note("VIOLATION", number, text)
        for life in self.lives:
            if life is not None and not life.dead:
                life.dead = True
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    # Processes ---------------------------------------------------------------------------------

    def start(self, worker: int) -> None:
        """Start a process on the same database."""
        self._starts += 1
        life = Life(self, f"worker:{self._starts}")
        life.worker = worker
        self.lives[worker] = life
        self.stirred = max(self.stirred, self.now())
        self._note_up()
        self.note("start", life.owner)
        life.spawn(self._work(life), "process")

    async def _work(self, life: Life) -> None:
        store = open_store(life, self._path, self._writing)
        fleet = Fleet({n: Wire(life, c) for n, c in self.carriers.items()}, _rules(self.plan))
        life.ctx = Context(
            store=store,
            clock=life,
            settings=_settings(self.plan.lease_seconds),
            renderer=_renderer(),
            capabilities=fleet.capabilities(),
            fleet=fleet,
            keys=(b"a key that signs tokens in the simulation",),
            pack=_pack(self.plan.window_seconds),
        )
        life.wires = dict(fleet.channels)
        life.intake = Intake(life.ctx)
        house = SimpleNamespace(ctx=life.ctx, channels=life.wires, owner=life.owner)
        engine = build_engine(house, Pulse())  # type: ignore[arg-type]
        life.up = True
        try:
            await engine.run()
        except Exception as error:
            if not life.dead:
                self.fail(0, f"the engine gave up: {error!r} {_causes(error)}")
        else:
            self.fail(0, "the engine ended by itself")

    def passes(self, life: Life, point: str) -> bool:
        self.points.append(point)
        if len(self.points) in self.plan.crash_points:
            self.crash(life, point, 0.5 + (len(self.points) * 7 % 40) / 2)
            return True
        if life.fuse:
            life.fuse -= 1
            if not life.fuse:
                self.crash(life, point, life.down)
                return True
        return False

    def _light_fuse(self, worker: int, points: int, down: float) -> None:
        life = self.lives[worker]
        if life is None or life.dead:
            return
        if points:
            life.fuse, life.down = points, down
        else:
            self.crash(life, "anywhere", down)

    def crash(self, life: Life, where: str, down: float) -> None:
        """Kill a process; another one starts after `down` seconds."""
        self.crashes += 1
        self.note("crash", life.owner, where)
        life.die()
        if self._writing is not None:
            self._writing.free(life)  # who waited behind it goes on, as behind PostgreSQL's locks
        self._note_up()
        self.later(down, self.start, life.worker)

    def _pause(self, worker: int, length: float) -> None:
        life = self.lives[worker]
        if life is None or life.dead or life.paused:
            return
        if self._writing is not None and self._writing.holder is life:
            self.later(0.001, self._pause, worker, length)  # PostgreSQL would roll it back
            return
        self.note("pause", life.owner)
        self.loop.pause(life)
        self._note_up()
        self.later(length, self._resume, life, length)

    def _resume(self, life: Life, length: float) -> None:
        if not life.dead:
            self.note("resume", life.owner)
            life.stood_still += length
            self._resumed_at = self.now()
            self.loop.resume(life)
            self.stirred = max(self.stirred, self.now())
            self._note_up()

    def _note_up(self) -> None:
        up = any(life is not None and not life.dead and not life.paused for life in self.lives)
        if up and self._down_since is not None:
            self.down.append((self._down_since, self.now()))
            self._down_since = None
        elif not up and self._down_since is None:
            self._down_since = self.now()

    def stood_still_lately(self) -> bool:
        """Whether a process has come back from a pause within this second."""
        return self.now() - self._resumed_at < 1.5

    def down_between(self, begin: float, end: float) -> float:
        """How long nobody worked in a stretch of time."""
        spans = [*self.down, *([(self._down_since, end)] if self._down_since is not None else [])]
        return sum(max(0.0, min(end, b) - max(begin, a)) for a, b in spans)

    def web(self) -> Life | None:
        """A process that answers requests, if one is up."""
        for life in self.lives:
            if life is not None and not life.dead and getattr(life, "up", False):
                return life
        return None

    # What processes do -------------------------------------------------------------------------

    def committed(self, life: Life, notes: list[tuple[Any, ...]]) -> None:
        step = self.mirror.apply(notes, at=self.now(), owner=life.owner)
        self._trace_step(life, step)
        for number, fault in invariants.at_a_commit(self, step):
            self.fail(number, fault)

    def database_fails(self, how: str) -> bool:
        """Whether it does, now."""
        for fault in self.database_faults:
            strikes = fault.detail == how and fault.begins <= self.now() < fault.ends
            if strikes and self._database_chance.random() < fault.share:
                self.note("database", how)
                return True
        return False

    def _trace_step(self, life: Life, step: Any) -> None:
        moved = [
            f"{table[0]}{new.id}:{new.state}"
            for table in ("bulletin", "escalation", "callout", "attempt", "inbound", "task")
            for old, new in step.changed(table)
            if old is None or old.state != new.state
        ]
        acts = [line.act for line in step.lines]
        if moved or acts:
            self.note(life.owner, *moved[:8], *acts[:4])

    def starts(self, life: Life, carrier: Carrier, request: SendRequest) -> None:
        """A request leaves a process."""
        carrier.starts.append(self.now())
        attempt_id = life.ctx.read_token("attempt", request.token)
        self.note(life.owner, "sends", carrier.short, attempt_id)
        for number, fault in invariants.at_a_start(self, life, carrier, request, attempt_id):
            self.fail(number, fault)
        life.fence()

    def asks_back(self, life: Life, carrier: Carrier, reference: str, *, live: bool) -> None:
        """A process asks a carrier to take a call back."""
        self.note(life.owner, "asks back", carrier.short, reference, live)
        for number, fault in invariants.at_a_recall(self, carrier, reference, live=live):
            self.fail(number, fault)
        life.fence()

    def logged(self, method: str, event: dict[str, Any]) -> None:
        """Something was logged. What a process says while it is thrown away does not count."""
        if is_dead() or not self.loop.is_running():
            return
        for number, fault in invariants.at_a_log(self, method, event):
            self.fail(number, fault)

    # Callbacks ---------------------------------------------------------------------------------

    def post(self, carrier: Carrier, make: Callable[[], CallbackRequest], about: str) -> None:
        """Let a carrier bring a callback, again and again until we say 2xx."""
        self.posting += 1
        self.loop.create_task(
            self._bring(carrier, make, about), name="callback", context=self.context
        )

    async def _bring(
        self, carrier: Carrier, make: Callable[[], CallbackRequest], about: str
    ) -> None:
        for time in range(CALLBACK_TRIES_MAX):
            status, keys = await self._posted(carrier, make())
            if status == 204:
                self.note("callback", carrier.short, about)
                self.accepted.update(keys)
                break
            if status not in {0, 503}:
                self.fail(0, f"a genuine callback was answered {status}")
            await asyncio.sleep(CALLBACK_PAUSES[min(time, len(CALLBACK_PAUSES) - 1)])
        else:
            self.fail(24, f"a callback was refused {CALLBACK_TRIES_MAX} times")
        self.posting -= 1
        self.stirred = max(self.stirred, self.now())

    async def _posted(self, carrier: Carrier, callback: CallbackRequest) -> tuple[int, list[str]]:
        life = self.web()
        if life is None:
            return 0, []
        try:
            async with asyncio.timeout(CALLBACK_SECONDS_MAX):
                return await life.ask(lambda: receive(life, carrier.name, callback))
        except (Gone, TimeoutError):
            return 0, []


async def receive(life: Life, name: str, callback: CallbackRequest) -> tuple[int, list[str]]:
    """Do what `warnsvc.web.callback.receive` does, without a socket: status, and what was kept."""
    if callback.token and life.ctx.read_token("attempt", callback.token) is None:
        return 404, []
    try:
        facts = facts_of(life.ctx, life.wires[name], callback)
    except web.HTTPForbidden:
        return 403, []
    try:
        await life.intake.accept(facts)
    except (IntakeFull, StoreFault):
        return 503, []
    return 204, [f"{fact.carrier}:{fact.dedupe_key}" for fact in facts]


# What is not ours --------------------------------------------------------------------------------


class _Ticker:
    """Stands for APScheduler: the same jobs, ticked on virtual time, one run at a time."""

    def __init__(self, **_: Any) -> None:
        self._jobs: list[tuple[Callable[..., Awaitable[None]], float, tuple[Any, ...]]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def add_job(
        self,
        act: Callable[..., Awaitable[None]],
        _trigger: str = "interval",
        *,
        seconds: float,
        args: tuple[Any, ...] = (),
        **_: Any,
    ) -> None:
        """Keep a job."""
        self._jobs.append((act, seconds, tuple(args)))

    def start(self) -> None:
        """Begin to tick."""
        self._tasks = [asyncio.create_task(self._tick(*job), name="duty") for job in self._jobs]

    def shutdown(self, wait: bool = False) -> None:
        """Tick no more."""
        for task in self._tasks:
            task.cancel()

    @staticmethod
    async def _tick(
        act: Callable[..., Awaitable[None]], every: float, args: tuple[Any, ...]
    ) -> None:
        while True:
            await asyncio.sleep(every)
            try:
                await act(*args)
            except Exception:
                structlog.get_logger().exception("duty.raised")


@contextmanager
def _patched(world: World) -> Iterator[None]:
    """Put virtual things in the place of the machine's, for one run."""
    kept: list[tuple[Any, str, Any]] = []
    if hasattr(duty, "AsyncIOScheduler"):
        kept.append((duty, "AsyncIOScheduler", duty.AsyncIOScheduler))
        duty.AsyncIOScheduler = _Ticker
    # A fault of the database is waited out by the poll, and so is a receipt: nobody is woken when
    # one begins to be waited for. Then it is not stretched.
    polled = world.database_faults or world.plan.receipt_seconds
    for module, name, value in () if polled else _poll_constants():
        kept.append((module, name, getattr(module, name)))
        setattr(module, name, value)
    before = structlog.get_config()
    structlog.configure(processors=[_listener(world)], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
        for module, name, value in kept:
            setattr(module, name, value)


@lru_cache
def _poll_constants() -> list[tuple[Any, str, float]]:
    return [
        (module, name, value)
        for path, module in sorted(sys.modules.items())
        if path.startswith(("warnsvc.outbox", "warnsvc.worker"))
        for name, value in POLLS.items()
        if isinstance(getattr(module, name, None), float)
    ]


def _listener(world: World) -> Callable[[Any, str, Any], Any]:
    def listen(_logger: Any, method: str, event: Any) -> Any:
        world.logged(method, event)
        raise structlog.DropEvent

    return listen


@lru_cache
def _settings(lease_seconds: int) -> Settings:
    return Settings(
        install_name="云岭县应急局", desk_name=DESK, lease_seconds=lease_seconds,
        dispatch_concurrency=8, claim_batch=20,
    )


def _rules(plan: Plan) -> list[RouteRule]:
    return [
        RouteRule(kind=k, carriers=plan.accounts(k), receipt_seconds=plan.receipt_seconds)
        for k in plan.several
    ]


@lru_cache
def _pack(window_seconds: int) -> Pack:
    return shortened(DEFAULT_PACK, window_seconds=window_seconds)


@lru_cache
def _folder() -> Path:
    """The folder of this process."""
    folder = workshop()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _causes(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(f"{inner!r}{_causes(inner)}" for inner in error.exceptions)
    return ""


"""What happens in one run, as a value: the county, its people, the faults, the crashes, the acts.

Everything that a run meets is in its `Plan`, so that a failing one can be made smaller by leaving
things out (`tests.sim.shrink`) and said in a few lines. A plan is drawn from a seed by
`tests.sim.scenario`; how a carrier answers a single request comes from streams of chance of their
own, one for each carrier, so that leaving out one thing disturbs the others little.
"""

from dataclasses import dataclass, field

from tests.sim.house import Shape

SMS, VOICE, WEBHOOK = "sms", "voice", "webhook"


@dataclass(frozen=True, slots=True)
class Fault:
    """A carrier's bad time: from `begins` to `ends` a share of what it does comes out like this.

    Sends: `throttle`, `refuse`, `lost_request`, `lost_answer`, `down`, `broken` (5xx; it may have
    been taken), `slow`. Receipts: `no_receipts`, `twice`, `reorder`, `early`, `late`, `fails`;
    `blocked`: taken, and then not brought, for a reason of the carrier's own; `queues`: calls that
    are taken wait until it is over. Look-ups: `mute`.
    `channel`: a kind, the name of one of several carriers of it, or all.
    `database` (channel: none): `away`, nothing begins; `commit`, it fails and is
    rolled back; `unsure`, it is durable and reported as failed.
    """

    kind: str
    channel: str = "*"
    begins: float = 0.0
    ends: float = 80.0
    share: float = 0.3
    detail: str = ""
    """For `refuse`, `fails` and `blocked`: the error class. For `late` and `throttle`: seconds. For
    `database`: which."""


@dataclass(frozen=True, slots=True)
class Crash:
    """The process dies: at an instant, or at the n-th crash point after it."""

    at: float
    points: int = 0
    down: float = 2.0
    """How long until a new one starts."""
    worker: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """A process stands still, as by SIGSTOP."""

    at: float
    seconds: float
    worker: int = 0


@dataclass(frozen=True, slots=True)
class Act:
    """What an officer does, and when. `kind` is a method of `tests.sim.officer.Officer`."""

    kind: str
    at: float
    which: int = 0
    """Which bulletin, person or task, counted as it comes."""


@dataclass(frozen=True, slots=True)
class Habit:
    """What somebody does with a phone. No word: he says nothing."""

    word: str = "1"
    delay: float = 5.0
    again: str = ""
    """What he sends a little later, as if the first had not arrived."""
    call: str = "press"
    """`press`, `listen`, `cut`, `ring`, `busy`, `voicemail`, `off`."""
    key: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run."""

    scenario: str
    seed: int
    shape: Shape = field(default_factory=Shape)
    colour: str = "red"
    window_seconds: int = 30
    expires_seconds: float = 300.0
    habits: tuple[tuple[str, Habit], ...] = ()
    """By address; who is missing is silent."""
    faults: tuple[Fault, ...] = ()
    crashes: tuple[Crash, ...] = ()
    pauses: tuple[Pause, ...] = ()
    acts: tuple[Act, ...] = ()
    workers: int = 1
    quiet_at: float = 80.0
    """From here on carriers behave, nobody crashes and no officer acts."""
    lookups: tuple[str, ...] = (SMS, VOICE, WEBHOOK)
    """The channels whose carriers can be asked what became of a send."""
    cancels: bool = False
    """Whether carriers take back calls that wait in their queues."""
    per_second: float = 50.0
    several: tuple[str, ...] = ()
    """The channels that have two carriers, tried in their order."""
    receipt_seconds: int = 0
    """After so long without a receipt the next carrier is tried; 0: never."""
    batch_max: int = 1
    """How many texts a carrier takes in one request."""
    callee_seconds: int = 0
    """The first of two carriers takes no second message for a callee within so long; 0: any."""
    lease_seconds: int = 12
    until_expired: bool = False
    """Whether the run goes on until the bulletins have run out, with nobody up in between."""
    crash_points: tuple[int, ...] = ()
    """For the sweep: the process dies at these crash points, counted from the beginning."""

    def accounts(self, kind: str) -> tuple[str, ...]:
        """The carriers of a channel, in the order of their route."""
        return (f"{kind}-a", f"{kind}-b") if kind in self.several else (f"fake-{kind}",)

    def habit(self, address: str) -> Habit:
        """What the owner of this phone does."""
        for known, habit in self.habits:
            if known == address:
                return habit
        return Habit(word="", call="ring")

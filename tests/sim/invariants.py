"""What must hold, numbered as in reliability.md §2.3; each a function of its own.

    @at_commit   sees every commit as it becomes durable      (S)
    @at_start    sees every request as it leaves a process     (S)
    @at_recall   sees every call that a process asks back       (S)
    @at_log      sees every event that is logged               (S)
    @at_end      sees the database when everything has come to rest   (E)

They look at what SQLite holds, what carriers were asked and what was logged, never through the code
under test. Each yields a sentence for every fault. They live in the modules `invariants_*`, which
the world imports. 24, that everything comes to rest in time, is watched by the world itself
(`World._rest`). 0 is what needs no number: an error nobody expected.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from channels.base import SendRequest
from tests.fakes import invariant as story
from tests.sim.mirror import Row, Step
from warnsvc.token import sign_token

if TYPE_CHECKING:
    from tests.sim.carrier import Carrier
    from tests.sim.crash import Life
    from tests.sim.world import World

Faults = Iterator[str]

HOPELESS = {"refused", "unreachable"}
WANTED = {"calling", "unreachable", "silent"}


@dataclass(slots=True)
class Watch:
    """What the invariants remember between commits."""

    claims: Counter[int] = field(default_factory=Counter)
    claim: dict[int, tuple[float, str, float, int]] = field(default_factory=dict)
    """Attempt → when it was last claimed, by whom, until when, how often it had been sent."""
    requests: Counter[int] = field(default_factory=Counter)
    resends: Counter[int] = field(default_factory=Counter)
    rerouted: Counter[int] = field(default_factory=Counter)
    """Attempt → how often one carrier took it, and another was then given it."""
    refused: dict[int, dict[str, bool]] = field(default_factory=dict)
    """Attempt → the carriers of which it is committed that they did not bring it home, and whether
    their reason may pass."""
    took: dict[int, set[str]] = field(default_factory=dict)
    """Call → the carriers that took it, or may have, and have not said that it was in vain."""
    asked_back: Counter[int] = field(default_factory=Counter)
    unknown_since: dict[int, float] = field(default_factory=dict)
    over: dict[int, float] = field(default_factory=dict)
    """Callout → since when nobody wants to call him."""
    ended: dict[int, float] = field(default_factory=dict)
    """Bulletin → when it ended."""
    tier: dict[int, int] = field(default_factory=dict)
    """Escalation → the tier that its lines have reached."""
    deadline: dict[int, float] = field(default_factory=dict)
    leaves: list[bytes] = field(default_factory=list)
    parts: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    """Carrier → when requests started, and what they weigh."""


@dataclass(frozen=True, slots=True)
class Start:
    """A request that leaves a process."""

    life: "Life"
    carrier: "Carrier"
    request: SendRequest
    attempt: Row
    callout: Row
    bulletin: Row


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that a process asks its carrier to take back."""

    attempt: Row
    bulletin: Row
    live: bool


Commit = Callable[["World", Step], Faults]
Starting = Callable[["World", Start], Faults]
Asking = Callable[["World", Asked], Faults]
Logged = Callable[["World", str, dict[str, Any]], Faults]
Ended = Callable[["World", story.World], Faults]

COMMIT: list[tuple[int, frozenset[str], Commit]] = []
START: list[tuple[int, Starting]] = []
RECALL: list[tuple[int, Asking]] = []
LOG: list[tuple[int, Logged]] = []
END: list[tuple[int, Ended]] = []


def at_commit(number: int, *tables: str) -> Callable[[Commit], Commit]:
    """Check every commit that touches one of these tables."""

    def register(check: Commit) -> Commit:
        COMMIT.append((number, frozenset(tables), check))
        return check

    return register


def at_start(number: int) -> Callable[[Starting], Starting]:
    """Check every request."""

    def register(check: Starting) -> Starting:
        START.append((number, check))
        return check

    return register


def at_recall(number: int) -> Callable[[Asking], Asking]:
    """Check every call that is asked back."""

    def register(check: Asking) -> Asking:
        RECALL.append((number, check))
        return check

    return register


def at_log(number: int) -> Callable[[Logged], Logged]:
    """Check every logged event."""

    def register(check: Logged) -> Logged:
        LOG.append((number, check))
        return check

    return register


def at_end(number: int) -> Callable[[Ended], Ended]:
    """Check the end."""

    def register(check: Ended) -> Ended:
        END.append((number, check))
        return check

    return register


def copies_of(world: "World", attempt: Any) -> int:
    """Return how many copies of an attempt the carriers of its channel took."""
    token = token_of(attempt["id"])
    return sum(len(c.copies.get(token, ())) for c in world.carriers_of(attempt["channel"]))


def token_of(attempt_id: int) -> str:
    """Return the token of an attempt, as the processes make it."""
    return sign_token(b"a key that signs tokens in the simulation", "attempt", attempt_id)


# Asked by the world -------------------------------------------------------------------------------


def at_a_commit(world: "World", step: Step) -> Iterator[tuple[int, str]]:
    """What is wrong with a commit."""
    tables = step.tables
    for number, touched, check in COMMIT:
        if not touched.isdisjoint(tables):
            for fault in check(world, step):
                yield number, fault


def at_a_start(
    world: "World", life: "Life", carrier: "Carrier", request: SendRequest, attempt_id: int | None
) -> Iterator[tuple[int, str]]:
    """What is wrong with a request."""
    attempt = world.mirror.attempt.get(attempt_id)
    if attempt is None:
        yield 9, f"a request without a row: attempt {attempt_id}"
        return
    world.watch.requests[attempt.id] += 1
    start = Start(
        life,
        carrier,
        request,
        attempt,
        world.mirror.callout[attempt.callout_id],
        world.mirror.bulletin[attempt.bulletin_id],
    )
    for number, check in START:
        for fault in check(world, start):
            yield number, fault


def at_a_recall(
    world: "World", carrier: "Carrier", reference: str, *, live: bool
) -> Iterator[tuple[int, str]]:
    """What is wrong with asking a call back."""
    known = (a for a in world.mirror.attempt.values() if a.carrier == carrier.name)
    attempt = next((a for a in known if a.reference == reference), None)
    if attempt is None:
        yield 32, f"{reference} is asked back and is nobody's"
        return
    asked = Asked(attempt, world.mirror.bulletin[attempt.bulletin_id], live)
    for number, check in RECALL:
        for fault in check(world, asked):
            yield number, fault


def at_a_log(world: "World", method: str, event: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """What is wrong with something logged."""
    for number, check in LOG:
        for fault in check(world, method, event):
            yield number, fault


def at_the_end(world: "World", end: story.World) -> Iterator[tuple[int, str]]:
    """What is wrong at the end."""
    for number, check in END:
        for fault in check(world, end):
            yield number, fault


def numbers() -> set[int]:
    """Which invariants have a function here."""
    registered: list[tuple[Any, ...]] = [*COMMIT, *START, *RECALL, *LOG, *END]
    return {number for number, *_ in registered}

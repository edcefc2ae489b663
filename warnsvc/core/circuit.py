"""Is a carrier worth trying: a circuit breaker that all workers share.

    closed ──FAILURES_MAX in a row, or a refused account──► open ──probe_at──► half_open
       ▲                                                     ▲ │                  │
       └───────────────── a probe was answered ──────────────┼─┼──────────────────┤
                                                             └─┴── it failed ◄────┘ longer each time

While it is open nothing is sent: what is due stays planned and goes out when the carrier is back,
or ends with its window. A carrier that answers "no such number" works; one that does not answer,
takes no connection, refuses our account, or for half a minute takes nothing and only says "too
fast" does not. No clock, no database, no network.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

FAILURES_MAX = 5
"""In a row: a lost answer happens, five do not."""
PAUSE_SECONDS = 2.0
"""Before the first probe; each failed one doubles it."""
PAUSE_SECONDS_MAX = 20.0
"""A carrier that is back is noticed within a fraction of a window."""
FULL_SECONDS = 30.0
"""A carrier that takes nothing for so long, and only ever says "too fast", does not work."""
PROBE_SECONDS = 20.0
"""A probe of which nothing was heard for so long (its worker died) may be repeated."""
PROBES = 1
"""Sends that are risked to find out."""


class CircuitState(StrEnum):
    """What the circuit lets through."""

    CLOSED = "closed"
    """Everything: the carrier works."""
    OPEN = "open"
    """Nothing until the next probe is due."""
    HALF_OPEN = "half_open"
    """A probe is under way."""


class Told(StrEnum):
    """What a send tells of its carrier."""

    ANSWERED = "answered"
    """It answered, be it with a refusal of this one."""
    TOO_FAST = "too_fast"
    """Not now: it works, and has no room for this one."""
    FAILED = "failed"
    """No connection, no answer, or an error of its own."""
    REFUSED_US = "refused_us"
    """Our account, sender or set-up is wrong: everything would fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A carrier's circuit. `failures` and `openings` are counted in a row."""

    name: str
    changed_at: datetime
    state: CircuitState = CircuitState.CLOSED
    failures: int = 0
    openings: int = 0
    probe_at: datetime | None = None
    last_ok_at: datetime | None = None
    last_failed_at: datetime | None = None
    last_error: str = ""

    def may_send(self, now: datetime) -> int | None:
        """How many may be sent: None: no limit, 0: none."""
        if self.state is CircuitState.CLOSED:
            return None
        assert self.probe_at is not None
        return PROBES if self.probe_at <= now else 0


def probing(circuit: Circuit, now: datetime) -> Circuit:
    """Return the circuit with a probe under way."""
    again = now + timedelta(seconds=PROBE_SECONDS)
    return replace(circuit, state=CircuitState.HALF_OPEN, probe_at=again, changed_at=now)


def decide(circuit: Circuit, told: Iterable[tuple[Told, str]], now: datetime) -> Circuit:
    """Return the circuit after these sends, in their order; the words are the carrier's."""
    for fact, words in told:
        circuit = _after(circuit, fact, words, now)
    return circuit


def _after(circuit: Circuit, fact: Told, words: str, now: datetime) -> Circuit:
    if fact is Told.ANSWERED:
        closed = replace(circuit, failures=0, last_ok_at=now)
        if circuit.state is CircuitState.CLOSED:
            return closed
        return replace(closed, state=CircuitState.CLOSED, openings=0, probe_at=None, changed_at=now)
    if fact is Told.TOO_FAST and circuit.state is CircuitState.CLOSED:
        return _full(circuit, words, now)
    failed = replace(circuit, failures=circuit.failures + 1, last_failed_at=now, last_error=words)
    if circuit.state is CircuitState.OPEN:
        return failed  # sent before it was opened
    enough = failed.failures >= FAILURES_MAX or fact is Told.REFUSED_US
    if circuit.state is CircuitState.HALF_OPEN or enough:
        return _opened(failed, now)
    return failed


def _full(circuit: Circuit, words: str, now: datetime) -> Circuit:
    """Return the circuit of a carrier that had no room for one: open, when it has none for long."""
    ok_at, since = circuit.last_ok_at, circuit.last_failed_at
    if since is None or (ok_at is not None and ok_at >= since):
        return replace(circuit, last_failed_at=now, last_error=words)
    if (now - since).total_seconds() < FULL_SECONDS:
        return circuit
    return _opened(replace(circuit, last_failed_at=now, last_error=words), now)


def _opened(circuit: Circuit, now: datetime) -> Circuit:
    pause = min(PAUSE_SECONDS * 2**circuit.openings, PAUSE_SECONDS_MAX)
    return replace(
        circuit,
        state=CircuitState.OPEN,
        openings=min(circuit.openings + 1, 30),
        probe_at=now + timedelta(seconds=pause),
        changed_at=now,
    )

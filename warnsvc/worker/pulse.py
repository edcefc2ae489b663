"""What this process last did, for those who watch it.

Instants are of `ctx.clock`. It decides nothing: `warnsvc.web.health` and the heartbeat read it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from warnsvc.service.watch import Finding


@dataclass(slots=True)
class Pulse:
    """`numbers` are read when somebody asks; a name there stands in docs/METRICS.md."""

    engine: bool = True
    """Whether this process has an engine that must pass."""
    passed_at: datetime | None = None
    """The engine's last whole pass."""
    seen_at: datetime | None = None
    """The last beat that was committed: the others count on us, and the database takes writes."""
    away_since: datetime | None = None
    """Since when the database takes no writes; None while it does."""
    unbroken_since: datetime | None = None
    """Since when no beat has been so late that the others took us for dead."""
    watched_at: datetime | None = None
    """The last whole audit of the watchdog."""
    findings: tuple[Finding, ...] = ()
    """What the last audit found late."""
    numbers: dict[str, Callable[[], float]] = field(default_factory=dict)

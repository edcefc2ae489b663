"""What the engine last did, for those who watch it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Pulse:
    """`passed_at`: the last whole pass. `numbers` are read when somebody asks."""

    passed_at: datetime | None = None
    numbers: dict[str, Callable[[], float]] = field(default_factory=dict)

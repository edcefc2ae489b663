"""What time it is, as a value that can be replaced: tests and the simulator move it by hand.

It never sleeps.
"""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns an aware UTC instant."""


def utc_now() -> datetime:
    """Return the machine's time."""
    return datetime.now(UTC)

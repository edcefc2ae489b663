"""Which of all attempts and tasks goes first. It never looks at a clock or a queue."""

from warnsvc.core.bulletin import Bulletin

_COLOUR = 10
"""What one colour is away from the next: more than there are tiers."""


def priority_of(bulletin: Bulletin, tier: int, purpose: str) -> int:
    """Lower goes first: live before drill, danger before rank, calls before notices."""
    drill = 100 if bulletin.is_drill else 0
    notice = 9 if purpose in {"inform", "stand_down"} else min(tier, 8)
    return drill + (4 - bulletin.colour.rank) * _COLOUR + notice


def is_urgent(priority: int) -> bool:
    """Whether this is a live red warning's: it passes courtesy to its callee."""
    return priority < _COLOUR

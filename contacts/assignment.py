"""Assignments: who answers for which region, in which tier, for which hazards, and when.

Pure values. Tier 1 is called first. A township's tiers stand behind those of its villages; that
inheritance is the planner's work (`warnsvc.core.plan`).
"""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One duty. Empty `hazards` means every hazard; dates are inclusive local dates."""

    contact_id: int
    region_code: str
    tier: int
    role: str = ""
    hazards: frozenset[str] = frozenset()
    valid_from: date | None = None
    valid_to: date | None = None


def applies(assignment: Assignment, *, hazard: str, on: date) -> bool:
    """Return whether the duty holds for this hazard on this day."""
    if assignment.hazards and hazard not in assignment.hazards:
        return False
    if assignment.valid_from is not None and on < assignment.valid_from:
        return False
    return assignment.valid_to is None or on <= assignment.valid_to

"""What a case decided: everything that must be saved, in one transaction.

Values without ids: whoever saves gives out the ids of new rows. Nothing here decides.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from warnsvc.core.callout import Callout
from warnsvc.core.escalation import Escalation
from warnsvc.core.ledger import Line


class NewAttempt(NamedTuple):
    """An attempt to be planned. `listing` names the silent regions a superior is called for."""

    callout_id: int
    channel: str
    tier: int
    number: int
    address: str
    purpose: str = "call"
    listing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewTask:
    """Something for a human. `kind`: `call_by_hand`, `knock`, `help`, `fix_number`."""

    kind: str
    escalation_id: int | None = None
    callout_id: int | None = None


@dataclass(frozen=True, slots=True)
class NewAlarm:
    """Something the desk must hear. `kind` as in the alarm table."""

    kind: str
    escalation_id: int | None = None
    callout_id: int | None = None


@dataclass(slots=True)
class Changes:
    """What must be saved, in one transaction."""

    escalations: dict[int, Escalation] = field(default_factory=dict)
    callouts: dict[int, Callout] = field(default_factory=dict)
    attempts: list[NewAttempt] = field(default_factory=list)
    cancel_unsent: set[int] = field(default_factory=set)
    """Callouts whose planned, unsent attempts are cancelled."""
    moot_escalations: set[int] = field(default_factory=set)
    """Escalations whose open tasks are no longer needed."""
    moot_callouts: set[int] = field(default_factory=set)
    """Callouts that nobody need call by hand any more."""
    tasks: list[NewTask] = field(default_factory=list)
    alarms: list[NewAlarm] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

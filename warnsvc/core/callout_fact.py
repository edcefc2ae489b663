"""What a callout is told and what it asks for in return: values. `core.callout` decides."""

from dataclasses import dataclass
from datetime import datetime

from warnsvc.core.answer import AnswerKind
from warnsvc.core.round import PlanAttempt


@dataclass(frozen=True, slots=True)
class Start:
    """His tier opened."""

    tier: int
    now: datetime


@dataclass(frozen=True, slots=True)
class StepDue:
    """The next round is due."""

    now: datetime


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """An attempt ended without reaching anybody; it is already in `tried`."""

    now: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """He said something that counts, or refused."""

    kind: AnswerKind
    rung: int
    late: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class Raised:
    """A receipt: the rung rises (delivered, ringing, heard), nothing else happens."""

    rung: int


@dataclass(frozen=True, slots=True)
class Stop:
    """No longer needed. `silent`: because time ran out, not because somebody answered."""

    silent: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Every region he was called for is exhausted. What is planned still goes out: it warns him."""


Fact = Start | StepDue | AttemptFailed | Answered | Raised | Stop | GiveUp


@dataclass(frozen=True, slots=True)
class CancelUnsent:
    """Whatever is planned and not yet sent is not needed any more."""


@dataclass(frozen=True, slots=True)
class CallByHand:
    """No robot may call him: a task for the desk."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The next tier must not wait. `away`: switched off; otherwise no usable address is left.

    `blocked`: carriers refuse what may be a right number, so that a human can still call it.
    """

    away: bool
    blocked: bool = False


Effect = PlanAttempt | CancelUnsent | CallByHand | Unreachable

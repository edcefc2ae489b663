"""What a batch of facts means for one bulletin, and telling its case.

    answers · calls heard to the end · calls that failed ──► one case ──► rows and lines

It finds nothing out: `inbound_answer` and `inbound_receipt` say whom a fact is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from warnsvc.core.answer import RUNG_HEARD, Answer, AnswerKind, answer, parse
from warnsvc.core.bulletin import Bulletin
from warnsvc.core.case import Case
from warnsvc.core.pack import Rule
from warnsvc.service.context import Context
from warnsvc.service.step import save_case
from warnsvc.store.case import load_case_for_callouts
from warnsvc.store.port import Row, Unit

_COLUMNS = (
    "id",
    "bulletin_id",
    "callout_id",
    "inbound_id",
    "kind",
    "rung",
    "channel",
    "text",
    "late",
    "happened_at",
    "entered_at",
)

States = list[tuple[int, str, str]]
"""(inbound, state, note): what became of facts."""


@dataclass(slots=True)
class Work:
    """What one batch means for one bulletin."""

    answers: list[tuple[Row, int]] = field(default_factory=list)
    """(fact, callout)"""
    heard: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)

    @property
    def callouts(self) -> list[int]:
        """Whom it is about, each once, in the order in which they were named."""
        return list(dict.fromkeys([*(c for _, c in self.answers), *self.heard, *self.failed]))


class _Kept(NamedTuple):
    """An answer that its case has heard."""

    fact: Row
    callout_id: int
    said: Answer
    late: bool


async def apply_to_bulletin(
    ctx: Context, unit: Unit, bulletin: Bulletin, rule: Rule, work: Work, now: datetime
) -> bool:
    """Let the case decide and save what follows. Returns whether there is something to send."""
    case = await load_case_for_callouts(
        unit, work.callouts, bulletin_id=bulletin.id, rule=rule, now=now
    )
    kept = [_answered(case, fact, callout_id) for fact, callout_id in work.answers]
    for callout_id in work.heard:
        _heard(case, rule, callout_id, now)
    case.attempts_failed(work.failed)
    await _keep(unit, bulletin.id, kept, now)
    await save_case(ctx, unit, case, bulletin=bulletin, rule=rule, now=now)
    return bool(case.changes.attempts)


def _answered(case: Case, fact: Row, callout_id: int) -> _Kept:
    said = parse(fact["text"])
    late = case.answered(
        callout_id,
        said.kind,
        said.rung,
        happened_at=fact["received_at"],
        channel=fact["channel"],
    )
    return _Kept(fact, callout_id, said, late)


def _heard(case: Case, rule: Rule, callout_id: int, now: datetime) -> None:
    """Where hearing it is enough, whoever heard it all has answered."""
    if rule.closing_rung <= RUNG_HEARD:
        heard = answer(AnswerKind.HEARD)
        case.answered(callout_id, heard.kind, heard.rung, happened_at=now, channel="voice")


async def _keep(unit: Unit, bulletin_id: int, kept: Sequence[_Kept], now: datetime) -> None:
    ids = await unit.new_ids("answer", len(kept)) if kept else []
    await unit.insert_rows(
        "answer",
        _COLUMNS,
        [
            (
                new_id,
                bulletin_id,
                one.callout_id,
                one.fact["id"],
                one.said.kind.value,
                one.said.rung,
                one.fact["channel"],
                one.fact["text"],
                one.late,
                one.fact["received_at"],
                now,
            )
            for new_id, one in zip(ids, kept, strict=True)
        ],
    )

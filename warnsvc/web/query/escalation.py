"""One region's call: its tiers with the people in them, and everything that happened, in order."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from warnsvc.store.port import Row, Unit
from warnsvc.web.query.ledger import LedgerLine, lines_about, names_of_actors

ATTEMPTS_MAX = 400
"""Attempts in one timeline: forty people called ten times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierView:
    """One tier with the people in it. `source`: the region it comes from, empty for its own."""

    ordinal: int
    window_seconds: int
    quorum: str
    quorum_n: int
    source: str
    people: list[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One thing in a timeline. `row` is an attempt or an answer; `line` a ledger line."""

    at: datetime
    kind: str
    row: Row | None = None
    line: LedgerLine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationPage:
    """What the page shows."""

    row: Row
    tiers: list[TierView]
    moments: list[Moment]
    names: dict[str, str]
    tasks: list[Row]


async def load_escalation(view: Unit, escalation_id: int) -> EscalationPage | None:
    """Return one region's call with everything about it."""
    row = await view.fetch_one(
        "SELECT e.*, b.status, b.hazard, b.colour, b.state AS bulletin_state, b.released_at,"
        " r.headcount FROM escalation e JOIN bulletin b ON b.id = e.bulletin_id"
        " JOIN region r ON r.code = e.region_code WHERE e.id = $1",
        escalation_id,
    )
    if row is None:
        return None
    people = await view.fetch(
        "SELECT m.tier AS member_tier, m.role, m.own, c.*, k.post FROM member m"
        " JOIN callout c ON c.id = m.callout_id JOIN contact k ON k.id = c.contact_id"
        " WHERE m.escalation_id = $1 ORDER BY m.tier, m.rank, c.id",
        escalation_id,
    )
    ids = [person["id"] for person in people]
    lines = await lines_about(view, escalation_id=escalation_id, callout_ids=ids)
    moments = [*await _moments(view, ids), *_of_lines(lines)]
    tasks = await view.fetch(
        "SELECT t.*, o.name AS claimed_name FROM task t LEFT JOIN officer o ON o.id = t.claimed_by"
        " WHERE t.escalation_id = $1 OR (t.bulletin_id = $2 AND t.callout_id = ANY($3))"
        " ORDER BY t.id",
        escalation_id,
        row["bulletin_id"],
        ids,
    )
    return EscalationPage(
        row=row,
        tiers=await _tiers(view, row, people),
        moments=sorted(moments, key=lambda moment: moment.at),
        names=await names_of_actors(view, lines),
        tasks=tasks,
    )


async def _tiers(view: Unit, row: Row, people: Sequence[Row]) -> list[TierView]:
    tiers = json.loads(row["tiers_json"])
    sources = sorted({source for *_, source in tiers if source})
    rows = await view.fetch("SELECT code, name FROM region WHERE code = ANY($1)", sources)
    names = {found["code"]: found["name"] for found in rows}
    return [
        TierView(
            ordinal=ordinal,
            window_seconds=window,
            quorum=quorum,
            quorum_n=n,
            source=names.get(source, source),
            people=[person for person in people if person["member_tier"] == ordinal],
        )
        for ordinal, window, quorum, n, source in tiers
    ]


async def _moments(view: Unit, callout_ids: Sequence[int]) -> list[Moment]:
    attempts = await view.fetch(
        "SELECT a.*, c.contact_name FROM attempt a JOIN callout c ON c.id = a.callout_id"
        " WHERE a.callout_id = ANY($1) ORDER BY a.id LIMIT $2",
        list(callout_ids),
        ATTEMPTS_MAX,
    )
    answers = await answers_of(view, callout_ids)
    return [
        *(Moment(at=row["sent_at"] or row["due_at"], kind="attempt", row=row) for row in attempts),
        *(Moment(at=row["happened_at"], kind="answer", row=row) for row in answers),
    ]


async def answers_of(view: Unit, callout_ids: Sequence[int]) -> list[Row]:
    """Return the answers of these people, in the order in which they were given."""
    return await view.fetch(
        "SELECT w.*, c.contact_name, o.name AS entered_name FROM answer w"
        " JOIN callout c ON c.id = w.callout_id LEFT JOIN officer o ON o.id = w.entered_by"
        " WHERE w.callout_id = ANY($1) ORDER BY w.happened_at, w.id",
        list(callout_ids),
    )


QUIET = frozenset({"callout.answered", "callout.refused", "number.revealed"})
"""Acts that a timeline shows as the answer itself, or that are not about the calling."""


def _of_lines(lines: Sequence[LedgerLine]) -> list[Moment]:
    return [
        Moment(at=line.entered_at, kind="line", line=line)
        for line in lines
        if line.act not in QUIET
    ]

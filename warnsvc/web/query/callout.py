"""One person being called: his numbers, every try with its receipts, every answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warnsvc.store.port import Row, Unit
from warnsvc.web.query.escalation import answers_of
from warnsvc.web.query.ledger import LedgerLine, lines_about, names_of_actors


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The carrier's word about a try."""

    row: Row
    said: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalloutPage:
    """What the page shows."""

    row: Row
    numbers: list[tuple[int, str, str, bool]]
    """Rank, kind, address, failed: as they were at release."""
    escalations: list[Row]
    attempts: list[Row]
    receipts: Mapping[int, list[Receipt]]
    """Attempt → its receipts."""
    answers: list[Row]
    lines: list[LedgerLine]
    names: dict[str, str]
    tasks: list[Row]


async def load_callout(view: Unit, callout_id: int) -> CalloutPage | None:
    """Return one person's call with everything about it."""
    row = await view.fetch_one(
        "SELECT c.*, k.post, k.unit, b.status, b.hazard, b.colour, b.state AS bulletin_state,"
        " b.released_at FROM callout c JOIN contact k ON k.id = c.contact_id"
        " JOIN bulletin b ON b.id = c.bulletin_id WHERE c.id = $1",
        callout_id,
    )
    if row is None:
        return None
    attempts = await view.fetch(
        "SELECT a.*, m.text, m.language AS message_language FROM attempt a"
        " JOIN message m ON m.id = a.message_id WHERE a.callout_id = $1 ORDER BY a.id",
        callout_id,
    )
    lines = await lines_about(view, callout_ids=[callout_id])
    return CalloutPage(
        row=row,
        numbers=[tuple(number) for number in json.loads(row["numbers_json"])],
        escalations=await _escalations(view, callout_id),
        attempts=attempts,
        receipts=await _receipts(view, [attempt["id"] for attempt in attempts]),
        answers=await answers_of(view, [callout_id]),
        lines=lines,
        names=await names_of_actors(view, lines),
        tasks=await view.fetch(
            "SELECT * FROM task WHERE bulletin_id = $1 AND callout_id = $2 ORDER BY id",
            row["bulletin_id"],
            callout_id,
        ),
    )


async def _escalations(view: Unit, callout_id: int) -> list[Row]:
    return await view.fetch(
        "SELECT e.id, e.region_name, e.parent_name, e.state, e.late, e.tier, m.tier AS member_tier"
        " FROM member m JOIN escalation e ON e.id = m.escalation_id WHERE m.callout_id = $1"
        " ORDER BY e.region_code LIMIT 200",
        callout_id,
    )


async def _receipts(view: Unit, attempt_ids: list[int]) -> dict[int, list[Receipt]]:
    rows = await view.fetch(
        "SELECT id, attempt_id, carrier, fact_json, received_at FROM inbound"
        " WHERE kind = 'receipt' AND attempt_id = ANY($1) ORDER BY id",
        attempt_ids,
    )
    found: dict[int, list[Receipt]] = {}
    for row in rows:
        receipt = Receipt(row=row, said=json.loads(row["fact_json"]))
        found.setdefault(row["attempt_id"], []).append(receipt)
    return found

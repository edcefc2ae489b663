"""Bulletins for lists and pages: rows with names, and how far the calling has come."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from warnsvc.store.port import Row, Unit

PAGE_ROWS = 50
PLACES_NAMED = 3
"""Names of selected regions in a list; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How many regions stand where. `answered` holds those in time, `late` the others."""

    pending: int = 0
    calling: int = 0
    answered: int = 0
    late: int = 0
    exhausted: int = 0
    ended: int = 0
    """Lifted or run out before anybody answered."""

    @property
    def total(self) -> int:
        """All regions that were called for."""
        waiting = self.pending + self.calling
        return waiting + self.answered + self.late + self.exhausted + self.ended

    @property
    def done(self) -> int:
        """Regions that have answered, in time or late."""
        return self.answered + self.late

    @property
    def parts(self) -> list[tuple[str, int]]:
        """(tone, count) for a bar, in reading order."""
        return [
            ("good", self.answered),
            ("late", self.late),
            ("busy", self.calling),
            ("bad", self.exhausted),
            ("idle", self.pending),
            ("off", self.ended),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulletinLine:
    """One bulletin in a list."""

    id: int
    identifier: str
    status: str
    type: str
    hazard: str
    colour: str
    state: str
    places: tuple[str, ...]
    place_count: int
    onset_at: datetime
    expires_at: datetime
    created_at: datetime
    submitted_at: datetime | None
    released_at: datetime | None
    lifted_at: datetime | None
    drafted_by: int
    author: str
    progress: Progress


_LIST = """
SELECT b.*, o.name AS author FROM bulletin b JOIN officer o ON o.id = b.drafted_by
"""


async def list_bulletins(
    view: Unit,
    *,
    states: Sequence[str] = (),
    status: str = "",
    drafted_by: int = 0,
    before: int = 0,
    limit: int = PAGE_ROWS,
) -> list[BulletinLine]:
    """Return bulletins, the newest first. Empty filters let everything through."""
    rows = await view.fetch(
        f"{_LIST} WHERE b.type <> 'cancel'"
        " AND ($1 = 0 OR b.id < $1) AND ($2 = '' OR b.status = $2)"
        " AND ($3 = 0 OR b.drafted_by = $3)"
        f"{' AND b.state = ANY($4)' if states else ''} ORDER BY b.id DESC LIMIT {int(limit)}",
        before,
        status,
        drafted_by,
        *([list(states)] if states else []),
    )
    return await _lines(view, rows)


async def _lines(view: Unit, rows: Sequence[Row]) -> list[BulletinLine]:
    progress = await progress_of(view, [row["id"] for row in rows])
    codes = {row["id"]: json.loads(row["regions_json"]) for row in rows}
    names = await _names(view, [code for some in codes.values() for code in some[:PLACES_NAMED]])
    return [
        BulletinLine(
            id=row["id"],
            identifier=row["identifier"],
            status=row["status"],
            type=row["type"],
            hazard=row["hazard"],
            colour=row["colour"],
            state=row["state"],
            places=tuple(names.get(code, code) for code in codes[row["id"]][:PLACES_NAMED]),
            place_count=len(codes[row["id"]]),
            onset_at=row["onset_at"],
            expires_at=row["expires_at"],
            created_at=row["created_at"],
            submitted_at=row["submitted_at"],
            released_at=row["released_at"],
            lifted_at=row["lifted_at"],
            drafted_by=row["drafted_by"],
            author=row["author"],
            progress=progress.get(row["id"], Progress()),
        )
        for row in rows
    ]


async def _names(view: Unit, codes: Sequence[str]) -> dict[str, str]:
    if not codes:
        return {}
    rows = await view.fetch("SELECT code, name FROM region WHERE code = ANY($1)", list(codes))
    return {row["code"]: row["name"] for row in rows}


async def progress_of(view: Unit, bulletin_ids: Sequence[int]) -> dict[int, Progress]:
    """Return bulletin → how many of its regions stand where."""
    if not bulletin_ids:
        return {}
    rows = await view.fetch(
        "SELECT bulletin_id, state, late, count(*) AS n FROM escalation"
        " WHERE bulletin_id = ANY($1) GROUP BY bulletin_id, state, late",
        list(bulletin_ids),
    )
    found: dict[int, dict[str, int]] = {}
    for row in rows:
        counts = found.setdefault(row["bulletin_id"], {})
        name = progress_name(row["state"], row["late"])
        counts[name] = counts.get(name, 0) + int(row["n"])
    return {bulletin_id: Progress(**counts) for bulletin_id, counts in found.items()}


def progress_name(state: str, late: bool) -> str:
    """Return the field of `Progress` that a region in this state is counted in."""
    if state == "answered":
        return "late" if late else "answered"
    return "ended" if state in {"lifted", "expired"} else state


@dataclass(frozen=True, slots=True, kw_only=True)
class BulletinPage:
    """Everything about one bulletin that its own page shows beside the preview."""

    row: Row
    names: dict[str, str]
    """`drafted_by`, `signed_by`, `released_by`, `lifted_by` → name."""
    estimate: dict[str, Any]
    """What was estimated at release; empty before."""
    sent_back: str
    """Why it was last sent back, while it is a draft again."""


async def load_page(view: Unit, bulletin_id: int) -> BulletinPage | None:
    """Return one bulletin with the people who handled it."""
    row = await view.fetch_one("SELECT * FROM bulletin WHERE id = $1", bulletin_id)
    if row is None:
        return None
    hands = {name: row[name] for name in ("drafted_by", "signed_by", "released_by", "lifted_by")}
    rows = await view.fetch(
        "SELECT id, name FROM officer WHERE id = ANY($1)", [i for i in hands.values() if i]
    )
    names = {found["id"]: found["name"] for found in rows}
    return BulletinPage(
        row=row,
        names={hand: names.get(officer_id, "") for hand, officer_id in hands.items()},
        estimate=json.loads(row["estimate_json"]) if row["estimate_json"] else {},
        sent_back=await _sent_back(view, bulletin_id) if row["state"] == "draft" else "",
    )


async def _sent_back(view: Unit, bulletin_id: int) -> str:
    row = await view.fetch_one(
        "SELECT body FROM ledger_line WHERE bulletin_id = $1"
        " AND act IN ('bulletin.sent_back', 'bulletin.edited') ORDER BY id DESC LIMIT 1",
        bulletin_id,
    )
    if row is None:
        return ""
    line = json.loads(bytes(row["body"]))
    return str(line.get("why", "")) if line["act"] == "bulletin.sent_back" else ""


async def count_unknown(view: Unit, bulletin_id: int) -> int:
    """Return how many sends of a bulletin nobody knows the outcome of."""
    row = await view.fetch_one(
        "SELECT count(*) AS n FROM attempt WHERE state = 'unknown' AND bulletin_id = $1",
        bulletin_id,
    )
    return int(row["n"]) if row else 0


async def messages_of(view: Unit, bulletin_id: int) -> list[Row]:
    """Return the texts that were really planned for phones, and for how many attempts each."""
    return await view.fetch(
        "SELECT m.language, m.channel, m.text, m.parts, a.purpose, count(*) AS attempts,"
        " count(DISTINCT a.contact_id) AS people"
        " FROM message m JOIN attempt a ON a.message_id = m.id"
        " WHERE m.bulletin_id = $1 AND a.bulletin_id = $1 AND a.purpose IN ('call', 'lift')"
        " GROUP BY m.id, m.language, m.channel, m.text, m.parts, a.purpose"
        " ORDER BY count(*) DESC, m.id LIMIT 12",
        bulletin_id,
    )

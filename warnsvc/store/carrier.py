"""Added carriers, and what the tables know of how carriers stand.

Rows of `carrier` hold parameters and the paths of secret files, never a secret. It decides nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from warnsvc.core.route import refused_of
from warnsvc.store.port import Row, Unit
from warnsvc.store.table import CarrierRow

_COLUMNS = (
    "name, kind, adapter, params_json, secret_files_json, ordinal, enabled, created_at, created_by,"
    " changed_at"
)


async def load_added_rows(unit: Unit) -> list[Row]:
    """Return the added carriers in their order."""
    return await unit.fetch(f"SELECT {_COLUMNS} FROM carrier ORDER BY ordinal, name")


async def add_row(unit: Unit, row: CarrierRow) -> None:
    """Write a new one, behind the others. Raises IntegrityFault when the name is taken."""
    last = await unit.fetch_one("SELECT MAX(ordinal) AS last FROM carrier")
    row.ordinal = (last["last"] or 0) + 1 if last else 1
    await unit.add(row)


async def set_row_enabled(unit: Unit, name: str, *, enabled: bool, now: datetime) -> bool:
    """Let it serve or not; returns whether there is such a carrier."""
    return bool(
        await unit.execute(
            "UPDATE carrier SET enabled = $2, changed_at = $3 WHERE name = $1", name, enabled, now
        )
    )


async def delete_row(unit: Unit, name: str) -> bool:
    """Take it away; returns whether there was such a carrier."""
    return bool(await unit.execute("DELETE FROM carrier WHERE name = $1", name))


async def load_paces(unit: Unit) -> dict[str, Row]:
    """Return the rows of carriers' own paces, by carrier."""
    rows = await unit.fetch(
        "SELECT name, next_at, factor, throttled_at FROM pace WHERE name LIKE 'carrier:%'"
    )
    return {row["name"].removeprefix("carrier:"): row for row in rows}


async def count_waiting(unit: Unit) -> dict[str, int]:
    """Return planned sends by channel kind."""
    rows = await unit.fetch(
        "SELECT channel, COUNT(*) AS n FROM attempt WHERE state = 'planned' GROUP BY channel"
    )
    return {row["channel"]: row["n"] for row in rows}


LIVES = timedelta(days=7)
"""No bulletin sends anything longer than that after its release."""


@dataclass(frozen=True, slots=True)
class Sends:
    """What a carrier took and what it refused."""

    sent: int = 0
    refused: int = 0


async def count_sends(unit: Unit, *, since: datetime) -> Mapping[str, Sends]:
    """Return by carrier what was sent and refused since an instant.

    A send that another carrier took after a refusal counts for both. It reads the attempts of the
    last days: for a page that an operator opens, not for a loop.
    """
    rows = await unit.fetch(
        "SELECT a.carrier, a.refused_by, a.state, COUNT(*) AS n FROM bulletin b"
        " JOIN attempt a ON a.bulletin_id = b.id WHERE b.released_at > $2"
        " AND (a.sent_at > $1 OR a.ended_at > $1) GROUP BY a.carrier, a.refused_by, a.state",
        since,
        since - LIVES,
    )
    sent: dict[str, int] = {}
    refused: dict[str, int] = {}
    for row in rows:
        failed = row["state"] == "failed"
        not_by = set(refused_of(row["refused_by"]))
        if row["carrier"] and failed:
            not_by.add(row["carrier"])
        elif row["carrier"] and row["state"] not in {"planned", "cancelled", "expired"}:
            sent[row["carrier"]] = sent.get(row["carrier"], 0) + row["n"]
        for name in not_by:
            refused[name] = refused.get(name, 0) + row["n"]
    return {name: Sends(sent.get(name, 0), refused.get(name, 0)) for name in {*sent, *refused}}


# Inbound polls ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """Up to when a carrier was asked for what people sent, and when it was asked last."""

    carrier: str
    until: datetime
    asked_at: datetime


async def load_polled(unit: Unit, names: Sequence[str]) -> dict[str, Polled]:
    """Return by carrier how far it was polled."""
    rows = await unit.fetch(
        "SELECT carrier, polled_until, changed_at FROM inbound_poll WHERE carrier = ANY($1)",
        list(names),
    )
    return {
        row["carrier"]: Polled(
            carrier=row["carrier"], until=row["polled_until"], asked_at=row["changed_at"]
        )
        for row in rows
    }


async def save_polled(unit: Unit, polled: Polled) -> None:
    """Write it down. Of two who asked at once, what the one knows stays known."""
    await unit.execute(
        "INSERT INTO inbound_poll (carrier, polled_until, changed_at) VALUES ($1, $2, $3)"
        " ON CONFLICT (carrier) DO UPDATE SET"
        " polled_until = CASE WHEN excluded.polled_until > inbound_poll.polled_until"
        " THEN excluded.polled_until ELSE inbound_poll.polled_until END,"
        " changed_at = CASE WHEN excluded.changed_at > inbound_poll.changed_at"
        " THEN excluded.changed_at ELSE inbound_poll.changed_at END",
        polled.carrier,
        polled.until,
        polled.asked_at,
    )

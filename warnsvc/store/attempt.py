"""Attempts: planned, claimed under a lease, and what became of them. Whole sets at a time.

    planned ──claim(lease)──► sending ──► accepted ──► delivered | undelivered
       ▲  └─ cancelled | expired  ├── throttled ──► planned, later
       └── resend once ◄── unknown ◄─┴── no answer, or the lease ran out

Only the worker whose lease it is may record an outcome; a receipt may come before it and wins.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

from warnsvc.store.port import Row, Unit
from warnsvc.store.sqlite_value import read_instant

COLUMNS = (
    "id",
    "bulletin_id",
    "contact_id",
    "callout_id",
    "tier",
    "channel",
    "number",
    "purpose",
    "address",
    "message_id",
    "priority",
    "state",
    "due_at",
    "valid_until",
    "send_count",
)
_IN_FLIGHT = "('sending','unknown','planned')"


class Claimed(NamedTuple):
    """An attempt that this worker may send until the lease ends."""

    id: int
    bulletin_id: int
    callout_id: int
    channel: str
    purpose: str
    address: str
    message_id: int
    valid_until: datetime
    priority: int
    send_count: int
    refused_by: str = ""
    """Carriers that did not take it, comma-separated."""


class PutBack(NamedTuple):
    """A claim that is given up: when it is due again, and who would not take it, if that is new."""

    attempt_id: int
    due_at: datetime
    refused_by: str | None = None


async def insert_attempts(unit: Unit, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write planned attempts that must be new. Raises IntegrityFault(`uq_attempt`)."""
    await unit.insert_rows("attempt", COLUMNS, rows)


async def insert_notices(unit: Unit, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write notices; one that was already planned stays as it is."""
    marks = ", ".join(f"${n}" for n in range(1, len(COLUMNS) + 1))
    await unit.execute_many(
        f"INSERT INTO attempt ({', '.join(COLUMNS)}) VALUES ({marks})"
        " ON CONFLICT (bulletin_id, contact_id, tier, channel, number, purpose) DO NOTHING",
        rows,
    )


async def claim(
    unit: Unit,
    *,
    owner: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
    channel: str,
) -> list[Claimed]:
    """Take up to `limit` due attempts of a channel: danger before rank before age."""
    if unit.dialect == "sqlite":
        return await _claim_alone(unit, owner, now, lease_until, limit, channel)
    rows = await unit.fetch(
        "WITH due AS MATERIALIZED ("
        " SELECT id FROM attempt WHERE state = 'planned' AND channel = $5 AND due_at <= $1"
        " ORDER BY priority, due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED)"
        " UPDATE attempt SET state = 'sending', lease_owner = $3, lease_until = $4,"
        " send_count = attempt.send_count + 1 FROM due WHERE attempt.id = due.id"
        " RETURNING attempt.id, attempt.bulletin_id, attempt.callout_id, attempt.channel,"
        " attempt.purpose, attempt.address, attempt.message_id, attempt.valid_until,"
        " attempt.priority, attempt.send_count, attempt.refused_by",
        now,
        limit,
        owner,
        lease_until,
        channel,
    )
    claimed = [Claimed._make(row) for row in rows]
    claimed.sort(key=lambda a: (a.priority, a.id))
    return claimed


async def _claim_alone(
    unit: Unit, owner: str, now: datetime, lease_until: datetime, limit: int, channel: str
) -> list[Claimed]:
    """The same where nobody else can claim meanwhile.

    All rows come as one: sqlite3 lets go of the interpreter's lock for every row that it fetches,
    and beside a busy loop that cost a third of the sending rate.
    """
    row = await unit.fetch_one(
        "SELECT json_group_array(json_array(id, bulletin_id, callout_id, channel, purpose, address,"
        " message_id, valid_until, priority, send_count + 1, refused_by)) AS claimed FROM ("
        " SELECT * FROM attempt WHERE state = 'planned' AND channel = $1 AND due_at <= $2"
        " ORDER BY priority, due_at, id LIMIT $3)",
        channel,
        now,
        limit,
    )
    assert row is not None
    claimed = [
        Claimed._make((*r[:7], read_instant(r[7]), *r[8:])) for r in json.loads(row["claimed"])
    ]
    await unit.execute(
        "UPDATE attempt SET state = 'sending', lease_owner = $2, lease_until = $3,"
        " send_count = send_count + 1 WHERE id = ANY($1)",
        [attempt.id for attempt in claimed],
        owner,
        lease_until,
    )
    claimed.sort(key=lambda a: (a.priority, a.id))
    return claimed


async def due_channels(unit: Unit, channels: Sequence[str], *, now: datetime) -> list[str]:
    """Return those of these channels that have something to send."""
    rows = await unit.fetch(
        "SELECT g.channel FROM unnest($1::text[]) AS g(channel) WHERE EXISTS (SELECT 1 FROM attempt"
        " WHERE state = 'planned' AND attempt.channel = g.channel AND due_at <= $2)",
        list(channels),
        now,
    )
    return [row["channel"] for row in rows]


async def put_back(unit: Unit, later: Sequence[PutBack], *, owner: str) -> None:
    """Give up claims of our own before anything was sent."""
    await unit.execute(
        "UPDATE attempt SET state = 'planned', due_at = g.due_at, lease_owner = NULL,"
        " lease_until = NULL, send_count = attempt.send_count - 1, receipt_due_at = NULL,"
        " refused_by = COALESCE(g.refused_by, attempt.refused_by)"
        " FROM unnest($1::int[], $2::timestamptz[], $3::text[]) AS g(id, due_at, refused_by)"
        " WHERE attempt.id = g.id AND attempt.state = 'sending' AND attempt.lease_owner = $4",
        *_columns(later, 3),
        owner,
    )


class Named(NamedTuple):
    """Who is about to get a claimed attempt, and when his receipt is missing."""

    attempt_id: int
    carrier: str
    receipt_due_at: datetime | None


async def name_carriers(unit: Unit, named: Sequence[Named]) -> None:
    """Write down, before anything is sent, who is about to get it.

    Should we die, that one is asked about it. A receipt may come before our own record of the
    send; so that its next one is missed all the same, the instant is written here already.
    """
    if named:
        await unit.execute(
            "UPDATE attempt SET carrier = g.carrier, receipt_due_at = g.due_at"
            " FROM unnest($1::int[], $2::text[], $3::timestamptz[]) AS g(id, carrier, due_at)"
            " WHERE attempt.id = g.id",
            *_columns(named, 3),
        )


class Outcome(NamedTuple):
    """What a send came to. `state`: accepted, failed, unknown, expired, planned (again later).

    `send_count` is the fence: a claim that was taken from us and given out again counts one more.
    """

    attempt_id: int
    send_count: int
    state: str
    at: datetime
    carrier: str = ""
    reference: str | None = None
    error_class: str | None = None
    error_text: str | None = None
    due_at: datetime | None = None
    """When a throttled one may go again, or an unknown one is looked up."""
    refused_by: str | None = None
    """Who would not take it, when that has changed: the next carrier is tried."""
    parts: int = 0
    """What the carrier says it counts for."""
    receipt_due_at: datetime | None = None
    """When a receipt that has not come is missing."""


_ENDED = frozenset({"failed", "expired", "undelivered", "cancelled"})


async def record_outcomes(unit: Unit, outcomes: Iterable[Outcome], *, owner: str) -> int:
    """Write outcomes of our own leases; returns how many still were.

    What a receipt has already moved on keeps its state.

    What goes back to `planned` was not taken by the carrier and is not counted as sent; a refusal
    of our account is, because one that only ever meets those must end some day.
    """
    taken, others = _parted(outcomes)
    touched = await _record_taken(unit, taken, owner) if taken else 0
    if not others:
        return touched
    rows = [
        (
            o.attempt_id,
            o.state,
            o.carrier,
            o.reference,
            o.at if o.state in {"accepted", "unknown"} else None,
            o.error_class,
            o.error_text,
            o.at if o.state in _ENDED else None,
            o.due_at,
            o.send_count,
            o.refused_by,
        )
        for o in others
    ]
    return touched + await unit.execute(
        "UPDATE attempt SET carrier = g.carrier,"
        " reference = COALESCE(attempt.reference, g.reference),"
        " sent_at = COALESCE(attempt.sent_at, g.sent_at), error_class = g.error_class,"
        " error_text = g.error_text, ended_at = g.ended_at, state = g.state, lease_owner = NULL,"
        " lease_until = NULL, due_at = COALESCE(g.due_at, attempt.due_at),"
        " send_count = attempt.send_count - CASE WHEN g.state = 'planned'"
        " AND COALESCE(g.error_class, '') <> 'config' THEN 1 ELSE 0 END,"
        " receipt_due_at = CASE WHEN g.state = 'unknown' THEN attempt.receipt_due_at END,"
        " refused_by = COALESCE(g.refused_by, attempt.refused_by)"
        " FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],"
        " $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[], $10::int[], $11::text[])"
        " AS g(id, state, carrier, reference, sent_at, error_class, error_text, ended_at, due_at,"
        " fence, refused_by)"
        " WHERE attempt.id = g.id AND attempt.state = 'sending' AND attempt.lease_owner = $12"
        " AND attempt.send_count = g.fence",
        *_columns(rows, 11),
        owner,
    )


def _parted(outcomes: Iterable[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Return what a carrier took, and the rest, each in the order in which receipts take them."""
    parted: tuple[list[Outcome], list[Outcome]] = ([], [])
    for outcome in sorted(outcomes, key=attrgetter("attempt_id")):
        parted[outcome.state != "accepted"].append(outcome)
    return parted


async def _record_taken(unit: Unit, outcomes: Sequence[Outcome], owner: str) -> int:
    """What nearly all come to, with nothing that it does not need."""
    ids, fences, _, instants, carriers, references, *_, parts, due = zip(*outcomes, strict=True)
    return await unit.execute(
        "UPDATE attempt SET state = 'accepted', carrier = g.carrier,"
        " reference = COALESCE(attempt.reference, g.reference),"
        " sent_at = COALESCE(attempt.sent_at, g.sent_at), error_class = NULL, error_text = NULL,"
        " lease_owner = NULL, lease_until = NULL, parts = g.parts, receipt_due_at = g.due_at"
        " FROM unnest($1::int[], $2::int[], $3::timestamptz[], $4::text[], $5::text[], $6::int[],"
        " $7::timestamptz[]) AS g(id, fence, sent_at, carrier, reference, parts, due_at)"
        " WHERE attempt.id = g.id AND attempt.state = 'sending' AND attempt.lease_owner = $8"
        " AND attempt.send_count = g.fence",
        list(ids),
        list(fences),
        list(instants),
        list(carriers),
        list(references),
        list(parts),
        list(due),
        owner,
    )


def _columns(rows: Sequence[Sequence[Any]], count: int) -> list[list[Any]]:
    """Turn rows into columns, as `unnest` takes them: one statement for the whole set."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * count


async def reap_leases(unit: Unit, *, now: datetime) -> list[int]:
    """Turn sends whose worker is gone into unknowns: they may have been sent. Returns which."""
    rows = await unit.fetch(
        "UPDATE attempt SET state = 'unknown', lease_owner = NULL, lease_until = NULL, due_at = $1,"
        " sent_at = COALESCE(sent_at, $1), error_class = 'ambiguous', error_text = 'lease ended'"
        " WHERE state = 'sending' AND lease_until <= $1 RETURNING id",
        now,
    )
    return sorted(row["id"] for row in rows)


async def load_states(unit: Unit, ids: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Return where attempts are now, and by which send."""
    rows = await unit.fetch(
        "SELECT id, state, send_count FROM attempt WHERE id = ANY($1)", list(ids)
    )
    return {row["id"]: (row["state"], row["send_count"]) for row in rows}


async def load_reasons(unit: Unit, ids: Sequence[int]) -> list[Row]:
    """Return why attempts were planned, and whether that still holds."""
    return await unit.fetch(
        "SELECT a.id, a.purpose, b.state AS bulletin_state, c.state AS callout_state"
        " FROM attempt a JOIN bulletin b ON b.id = a.bulletin_id"
        " JOIN callout c ON c.id = a.callout_id WHERE a.id = ANY($1)",
        list(ids),
    )


async def due_unknowns(unit: Unit, *, now: datetime, limit: int) -> list[Row]:
    """Return unknowns that are to be looked up, oldest first."""
    return await unit.fetch(
        "SELECT a.id, a.bulletin_id, a.callout_id, a.channel, a.address, a.send_count,"
        " a.valid_until, a.carrier, a.reference, a.sent_at, m.text FROM attempt a"
        " JOIN message m ON m.id = a.message_id"
        " WHERE a.state = 'unknown' AND a.due_at <= $1 ORDER BY a.due_at, a.id LIMIT $2",
        now,
        limit,
    )


async def expire_planned(unit: Unit, *, now: datetime, limit: int) -> list[Row]:
    """End planned attempts whose validity is over; return them."""
    return await unit.fetch(
        "UPDATE attempt SET state = 'expired', ended_at = $1, error_class = 'expired'"
        " WHERE id IN (SELECT id FROM attempt WHERE state = 'planned' AND valid_until <= $1"
        " ORDER BY id LIMIT $2) AND state = 'planned'"
        " RETURNING id, bulletin_id, callout_id, purpose",
        now,
        limit,
    )


_ABOUT = (
    "SELECT id, bulletin_id, contact_id, callout_id, channel, address, state, purpose, carrier,"
    " error_class, refused_by, message_id, valid_until FROM attempt WHERE id = ANY($1) ORDER BY id"
)


async def load_attempts(unit: Unit, ids: Sequence[int]) -> dict[int, Row]:
    """Return attempts by id, to see whom something is about."""
    return {row["id"]: row for row in await unit.fetch(_ABOUT, list(ids))}


async def hold_attempts(unit: Unit, ids: Sequence[int]) -> dict[int, Row]:
    """Return attempts by id and hold them, so that nobody else raises them meanwhile."""
    return {row["id"]: row for row in await unit.fetch(f"{_ABOUT} FOR UPDATE", list(ids))}


class Receipt(NamedTuple):
    """Where a receipt takes an attempt. `error_class` is ours."""

    attempt_id: int
    state: str
    at: datetime
    carrier: str
    """Who says so; a receipt may come before our own record of the send."""
    reference: str | None = None
    error_class: str | None = None
    error_text: str | None = None


async def record_receipts(unit: Unit, receipts: Iterable[Receipt]) -> None:
    """Raise attempts to what the carrier says. Never lowers: the caller has compared ranks."""
    rows = [
        (
            r.attempt_id,
            r.state,
            r.reference,
            r.at,
            r.error_class,
            r.error_text,
            r.at if r.state in {"delivered", "undelivered"} else None,
            r.carrier,
        )
        for r in receipts
    ]
    await unit.execute(
        "UPDATE attempt SET state = g.state,"
        " reference = COALESCE(attempt.reference, g.reference),"
        " sent_at = COALESCE(attempt.sent_at, g.sent_at), error_class = g.error_class,"
        " error_text = g.error_text, ended_at = g.ended_at,"
        " carrier = COALESCE(attempt.carrier, g.carrier), lease_owner = NULL, lease_until = NULL,"
        " receipt_due_at = CASE WHEN g.state = 'accepted' THEN attempt.receipt_due_at END"
        " FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::text[],"
        " $6::text[], $7::timestamptz[], $8::text[])"
        " AS g(id, state, reference, sent_at, error_class, error_text, ended_at, carrier)"
        " WHERE attempt.id = g.id",
        *_columns(rows, 8),
    )


async def raise_rungs(unit: Unit, rungs: dict[int, int], *, now: datetime) -> None:
    """Raise callouts' rungs to what receipts say, where that moves nothing else."""
    await unit.execute(
        "UPDATE callout SET rung = g.rung, changed_at = $3"
        " FROM unnest($1::int[], $2::int[]) AS g(id, rung)"
        " WHERE callout.id = g.id AND callout.rung < g.rung",
        list(rungs.keys()),
        list(rungs.values()),
        now,
    )


async def flag_numbers(unit: Unit, attempt_ids: Sequence[int], *, now: datetime) -> None:
    """Remember that a carrier called these attempts' numbers wrong, until somebody edits them."""
    if attempt_ids:
        await unit.execute(
            "UPDATE contact_number SET failed_at = $2 WHERE id IN (SELECT n.id FROM attempt a"
            " JOIN contact_number n ON n.contact_id = a.contact_id AND n.address = a.address"
            " WHERE a.id = ANY($1))",
            list(attempt_ids),
            now,
        )


async def callouts_of_addresses(unit: Unit, addresses: Sequence[str]) -> list[Row]:
    """Return who was called at these addresses, newest bulletin first: a reply names no call."""
    return await unit.fetch(
        "SELECT a.address, a.callout_id, a.bulletin_id, b.state AS bulletin_state,"
        " c.state AS callout_state, MAX(a.id) AS last_id FROM attempt a"
        " JOIN bulletin b ON b.id = a.bulletin_id JOIN callout c ON c.id = a.callout_id"
        " WHERE a.address = ANY($1) AND a.purpose = 'call' AND a.send_count > 0"
        " GROUP BY a.address, a.callout_id, a.bulletin_id, b.state, b.released_at, c.state"
        " ORDER BY b.released_at DESC, last_id DESC",
        list(addresses),
    )


async def contacts_of_callouts(unit: Unit, callout_ids: Sequence[int]) -> dict[int, int]:
    """Return whom these callouts are about: callout → contact."""
    if not callout_ids:
        return {}
    rows = await unit.fetch(
        "SELECT id, contact_id FROM callout WHERE id = ANY($1)", list(callout_ids)
    )
    return {row["id"]: row["contact_id"] for row in rows}


async def next_due(unit: Unit) -> datetime | None:
    """Return when the next deadline, round or look-up is due."""
    row = await unit.fetch_one(
        "SELECT MIN(t) AS due_at FROM ("
        " SELECT MIN(deadline_at) AS t FROM escalation WHERE state = 'calling'"
        " UNION ALL SELECT MIN(due_at) FROM callout WHERE due_at IS NOT NULL"
        " UNION ALL SELECT MIN(due_at) FROM attempt WHERE state = 'unknown'"
        " UNION ALL SELECT MIN(receipt_due_at) FROM attempt WHERE receipt_due_at IS NOT NULL"
        " UNION ALL SELECT MIN(expires_at) FROM bulletin WHERE state = 'released') AS due"
    )
    return row["due_at"] if row else None

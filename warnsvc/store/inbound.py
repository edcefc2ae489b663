"""Inbound facts: what carriers told us, on disk before they hear 2xx, applied in order."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from warnsvc.store.port import Row, Unit

_INSERT = """
INSERT INTO inbound (id, kind, carrier, channel, dedupe_key, attempt_id, callout_id, sender, text,
 fact_json, received_at, state, tries, note)
SELECT t.id, t.kind, t.carrier, t.channel, t.dedupe_key, t.attempt_id, t.callout_id, t.sender,
 t.text, t.fact_json, t.received_at, 'new', 0, ''
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
 $7::bigint[], $8::text[], $9::text[], $10::text[], $11::timestamptz[])
 AS t(id, kind, carrier, channel, dedupe_key, attempt_id, callout_id, sender, text, fact_json,
 received_at)
WHERE true ORDER BY t.id
ON CONFLICT (dedupe_key) DO NOTHING
"""
"""One statement for a batch. Beside the event loop a thread gets Python's lock a statement, not a
row, and on PostgreSQL it is one round trip. `WHERE true`: SQLite would take ON CONFLICT for a join.
"""
_WRITE_SOMETHING = "SELECT pg_logical_emit_message(true, 'warnsvc', 'inbound')"
"""So that the commit of a batch that holds only repeats waits for a synchronous standby as well:
the rows it found may have been committed by a unit whose standby has not confirmed them."""
_MARK = """
UPDATE inbound SET state = said.state, note = said.note
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS said(id, state, note)
WHERE inbound.id = said.id
"""
TRIES_MAX = 3
"""A fact that fails so often is set aside for a human, so that the others go on."""


SENDER_CHARS_MAX = 100
TEXT_CHARS_MAX = 2_000
"""Longer than any reply; the rest of a flood is not worth a disk."""
DEDUPE_CHARS_MAX = 200
ID_MAX = 2**31 - 1
"""What an integer column holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One verified fact. `kind`: `receipt` or `answer`."""

    kind: str
    carrier: str
    channel: str
    dedupe_key: str
    received_at: datetime
    attempt_id: int | None = None
    callout_id: int | None = None
    sender: str = ""
    text: str = ""
    fact_json: str = "{}"


async def insert_inbound(unit: Unit, facts: Sequence[Inbound]) -> None:
    """Write facts; one that is already here (a carrier repeats itself) is left as it is."""
    if not facts:
        return
    ids = await unit.new_ids("inbound", len(facts))
    rows = [
        (
            new_id,
            f.kind,
            f.carrier,
            f.channel,
            _dedupe_key(f),
            f.attempt_id,
            f.callout_id,
            clean(f.sender, SENDER_CHARS_MAX),
            clean(f.text),
            f.fact_json,
            f.received_at,
        )
        for new_id, f in zip(ids, facts, strict=True)
    ]
    written = await unit.execute(_INSERT, *(list(column) for column in zip(*rows, strict=True)))
    if not written and unit.dialect == "postgresql":
        await unit.execute(_WRITE_SOMETHING)


async def without_known(unit: Unit, facts: Sequence[Inbound]) -> list[Inbound]:
    """Return the facts that are not here yet. It only looks: `insert_inbound` decides."""
    rows = await unit.fetch(
        "SELECT dedupe_key FROM inbound WHERE dedupe_key = ANY($1)",
        [_dedupe_key(fact) for fact in facts],
    )
    known = {row["dedupe_key"] for row in rows}
    return [fact for fact in facts if _dedupe_key(fact) not in known]


def clean(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """Return a carrier's word as both databases take it; one bad word must not spoil its batch.

    PostgreSQL takes no NUL, and half a surrogate pair out of JSON is no text for anybody.
    """
    whole = text.replace("\x00", "")[:chars_max]
    return whole.encode("utf-8", "replace").decode()


def tidy(fact: Inbound) -> Inbound:
    """Return the fact as it is written, with nothing in it that is longer than we keep."""
    return replace(
        fact,
        dedupe_key=_dedupe_key(fact).removeprefix(f"{fact.carrier}:"),
        sender=clean(fact.sender, SENDER_CHARS_MAX),
        text=clean(fact.text),
    )


def _dedupe_key(fact: Inbound) -> str:
    key = f"{fact.carrier}:{fact.dedupe_key}"
    if len(key) <= DEDUPE_CHARS_MAX and key == clean(key):
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{fact.carrier}:sha256:{digest}"


async def take_new(unit: Unit, limit: int, *, only: int | None = None) -> list[Row]:
    """Return facts that nobody has applied, oldest first, held by this unit; or `only` this one."""
    return await unit.fetch(
        "SELECT * FROM inbound WHERE state = 'new' AND id BETWEEN $2 AND $3 ORDER BY id LIMIT $1"
        " FOR UPDATE SKIP LOCKED",
        limit,
        0 if only is None else only,
        ID_MAX if only is None else only,
    )


async def mark(unit: Unit, states: Sequence[tuple[int, str, str]]) -> None:
    """Set (id, state, note) of applied facts."""
    if not states:
        return
    await unit.execute(_MARK, *(list(column) for column in zip(*states, strict=True)))


async def count_try(unit: Unit, inbound_id: int) -> bool:
    """Count a failed application; True when the fact is set aside as poison."""
    await unit.execute(
        "UPDATE inbound SET tries = tries + 1,"
        f" state = CASE WHEN tries + 1 >= {TRIES_MAX} THEN 'poison' ELSE state END WHERE id = $1",
        inbound_id,
    )
    row = await unit.fetch_one("SELECT state FROM inbound WHERE id = $1", inbound_id)
    return row is not None and row["state"] == "poison"

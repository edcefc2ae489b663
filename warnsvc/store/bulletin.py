"""Bulletins as rows: load, insert, save. The life cycle is `warnsvc.core.bulletin`.

A bulletin always comes with the digests of its recordings, because they are part of what is signed.
They are joined in, one look into a small index, so that loading stays one statement.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from warnsvc.core.bulletin import Bulletin, BulletinState, BulletinStatus, BulletinType, Colour
from warnsvc.core.pack import Rule, rule_from_json, rule_to_json
from warnsvc.core.refusal import Refusal
from warnsvc.store.port import Row, Unit

_SAVED = (
    "identifier",
    "event_id",
    "status",
    "type",
    "hazard",
    "colour",
    "regions_json",
    "texts_json",
    "onset_at",
    "expires_at",
    "state",
    "drafted_by",
    "submitted_at",
    "signed_at",
    "signed_by",
    "signed_digest",
    "released_at",
    "released_by",
    "lifted_at",
    "lifted_by",
    "lift_reason",
    "references_id",
)


def _values(bulletin: Bulletin) -> tuple[Any, ...]:
    texts = json.dumps(dict(bulletin.texts), ensure_ascii=False, sort_keys=True)
    return (
        bulletin.identifier,
        bulletin.event_id,
        bulletin.status.value,
        bulletin.type.value,
        bulletin.hazard,
        bulletin.colour.value,
        json.dumps(list(bulletin.region_codes)),
        texts,
        bulletin.onset_at,
        bulletin.expires_at,
        bulletin.state.value,
        bulletin.drafted_by,
        bulletin.submitted_at,
        bulletin.signed_at,
        bulletin.signed_by,
        bulletin.signed_digest,
        bulletin.released_at,
        bulletin.released_by,
        bulletin.lifted_at,
        bulletin.lifted_by,
        bulletin.lift_reason,
        bulletin.references_id,
    )


_LOAD = (
    "SELECT b.*, r.language AS recorded_language, r.digest AS recorded_digest"
    " FROM bulletin b LEFT JOIN recording r ON r.bulletin_id = b.id"
)


def to_bulletin(row: Row, recordings: Mapping[str, str]) -> Bulletin:
    """Return the domain value of a row of the table `bulletin`."""
    return Bulletin(
        id=row["id"],
        identifier=row["identifier"],
        event_id=row["event_id"],
        status=BulletinStatus(row["status"]),
        type=BulletinType(row["type"]),
        hazard=row["hazard"],
        colour=Colour(row["colour"]),
        region_codes=tuple(json.loads(row["regions_json"])),
        texts=json.loads(row["texts_json"]),
        recordings=recordings,
        onset_at=row["onset_at"],
        expires_at=row["expires_at"],
        state=BulletinState(row["state"]),
        drafted_by=row["drafted_by"],
        submitted_at=row["submitted_at"],
        signed_at=row["signed_at"],
        signed_by=row["signed_by"],
        signed_digest=row["signed_digest"],
        released_at=row["released_at"],
        released_by=row["released_by"],
        lifted_at=row["lifted_at"],
        lifted_by=row["lifted_by"],
        lift_reason=row["lift_reason"],
        references_id=row["references_id"],
    )


async def load_bulletin(unit: Unit, bulletin_id: int) -> Bulletin:
    """Return the bulletin. Raises Refusal(`bulletin_unknown`)."""
    rows = await unit.fetch(f"{_LOAD} WHERE b.id = $1", bulletin_id)
    if not rows:
        raise Refusal("bulletin_unknown", id=bulletin_id)
    return to_bulletin(rows[0], _recordings(rows))


async def load_bulletins(unit: Unit, ids: list[int]) -> dict[int, tuple[Bulletin, Rule]]:
    """Return released bulletins with their frozen rules."""
    rows = await unit.fetch(f"{_LOAD} WHERE b.id = ANY($1)", ids)
    by_id: dict[int, list[Row]] = {}
    for row in rows:
        by_id.setdefault(row["id"], []).append(row)
    return {
        bulletin_id: (to_bulletin(own[0], _recordings(own)), rule_from_json(own[0]["rule_json"]))
        for bulletin_id, own in by_id.items()
    }


def _recordings(rows: Iterable[Row]) -> dict[str, str]:
    return {
        row["recorded_language"]: row["recorded_digest"]
        for row in rows
        if row["recorded_language"] is not None
    }


async def insert_bulletin(
    unit: Unit, bulletin: Bulletin, *, now: datetime, rule: Rule | None = None
) -> None:
    """Write a new bulletin. One that is born released brings its rule."""
    await unit.insert_rows(
        "bulletin",
        ("id", *_SAVED, "created_at", "updated_at", "rule_json"),
        [(bulletin.id, *_values(bulletin), now, now, rule_to_json(rule) if rule else None)],
    )


async def save_bulletin(
    unit: Unit,
    bulletin: Bulletin,
    *,
    now: datetime,
    rule: Rule | None = None,
    estimate_json: str | None = None,
) -> None:
    """Write what has changed. `rule` and `estimate_json` are set once, at release."""
    columns = [f"{name} = ${n}" for n, name in enumerate(_SAVED, start=4)]
    await unit.execute(
        "UPDATE bulletin SET updated_at = $1, rule_json = COALESCE($2, rule_json),"
        f" estimate_json = COALESCE($3, estimate_json), {', '.join(columns)}"
        f" WHERE id = ${len(_SAVED) + 4}",
        now,
        rule_to_json(rule) if rule else None,
        estimate_json,
        *_values(bulletin),
        bulletin.id,
    )

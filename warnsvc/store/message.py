"""Rendered messages: each text of a bulletin is stored once and attempts point at it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from warnsvc.render import Message
from warnsvc.store.port import Unit

_COLUMNS = ("id", "bulletin_id", "language", "channel", "text", "parts", "fields_json", "digest")


def message_digest(message: Message) -> str:
    """Return what makes two messages the same: they say the same, made of the same."""
    fields = _to_json(message.fields)
    joined = f"{message.language}\0{message.channel}\0{message.text}\0{fields}"
    return hashlib.sha256(joined.encode()).hexdigest()


async def keep_messages(
    unit: Unit, bulletin_id: int, messages: Iterable[Message]
) -> dict[str, int]:
    """Return digest → id, storing what is new. The bulletin is locked by the caller."""
    wanted = {message_digest(message): message for message in messages}
    known = await unit.fetch(
        "SELECT id, digest FROM message WHERE bulletin_id = $1 AND digest = ANY($2)",
        bulletin_id,
        list(wanted),
    )
    ids = {row["digest"]: row["id"] for row in known}
    missing = [digest for digest in wanted if digest not in ids]
    if missing:
        new_ids = await unit.new_ids("message", len(missing))
        rows = [
            (
                new_id,
                bulletin_id,
                wanted[d].language,
                wanted[d].channel,
                wanted[d].text,
                wanted[d].parts,
                _to_json(wanted[d].fields),
                d,
            )
            for new_id, d in zip(new_ids, missing, strict=True)
        ]
        await unit.insert_rows("message", _COLUMNS, rows)
        ids.update(zip(missing, new_ids, strict=True))
    return ids


def _to_json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

"""What is handed to a channel: an attempt with its words, as a `SendRequest`.

The outbox makes one for every send, and a call that asks to hear the text once more gets the same
words again. It never sends.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels.base import Channel, SendRequest
from warnsvc.service.context import Context
from warnsvc.store.port import Row, Unit

_WORDS = (
    "SELECT m.id, m.bulletin_id, m.text, m.language, m.channel, m.parts, m.fields_json,"
    " r.digest AS recording FROM message m LEFT JOIN recording r"
    " ON r.bulletin_id = m.bulletin_id AND r.language = m.language AND m.channel = 'voice'"
    " WHERE m.id = ANY($1)"
)
CALL = "call"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message as it is sent: its text and what goes with it."""

    text: str
    language: str
    parts: int
    fields: Mapping[str, Any]
    audio_url: str


async def load_spoken(ctx: Context, unit: Unit, message_ids: list[int]) -> dict[int, Spoken]:
    """Return messages by id."""
    rows = await unit.fetch(_WORDS, message_ids)
    return {row["id"]: _spoken(ctx, row) for row in rows}


def _spoken(ctx: Context, row: Row) -> Spoken:
    audio_url = ""
    if row["recording"]:
        audio_url = recording_url(ctx, row["bulletin_id"], row["language"])
    fields = json.loads(row["fields_json"])
    return Spoken(row["text"], row["language"], row["parts"], fields, audio_url)


def recording_url(ctx: Context, bulletin_id: int, language: str) -> str:
    """Return where a carrier fetches the recording of a bulletin's text."""
    token = ctx.token("recording", bulletin_id)
    return f"{ctx.settings.public_url}/recordings/{token}/{language}"


def callback_url(ctx: Context, channel: Channel, token: str) -> str:
    """Return where a carrier tells us of a try."""
    return f"{ctx.settings.public_url}/callbacks/{channel.name}/{token}"


def answer_url(ctx: Context, callout_id: int) -> str:
    """Return the link that answers for a person."""
    return f"{ctx.settings.public_url}/a/{ctx.token('callout', callout_id)}"


def compose(
    ctx: Context,
    channel: Channel,
    spoken: Spoken,
    *,
    token: str,
    to: str,
    callout_id: int,
    purpose: str,
    valid_until: datetime,
) -> SendRequest:
    """Return what a channel is handed."""
    is_webhook = channel.capabilities.kind == "webhook"
    link = answer_url(ctx, callout_id) if is_webhook else ""
    return SendRequest(
        token=token,
        to=to,
        text=spoken.text,
        language=spoken.language,
        valid_until=valid_until,
        callback_url=callback_url(ctx, channel, token),
        answer_url=link,
        form=purpose,
        fields={**spoken.fields, "regions_url": f"{link}/regions"} if link else spoken.fields,
        audio_url=spoken.audio_url if _is_read_aloud(purpose, spoken) else "",
    )


def _is_read_aloud(purpose: str, spoken: Spoken) -> bool:
    """Whether the recording says what the text says: it knows no list of silent villages."""
    return purpose == CALL and not spoken.fields.get("listing")


async def request_of(ctx: Context, channel: Channel, attempt_id: int) -> SendRequest | None:
    """Return an attempt as it was handed over, or None when there is no such attempt."""
    async with ctx.store.view() as unit:
        row = await unit.fetch_one(
            "SELECT id, callout_id, purpose, address, message_id, valid_until FROM attempt"
            " WHERE id = $1",
            attempt_id,
        )
        if row is None:
            return None
        spoken = (await load_spoken(ctx, unit, [row["message_id"]]))[row["message_id"]]
    return compose(
        ctx,
        channel,
        spoken,
        token=ctx.token("attempt", attempt_id),
        to=row["address"],
        callout_id=row["callout_id"],
        purpose=row["purpose"],
        valid_until=row["valid_until"],
    )

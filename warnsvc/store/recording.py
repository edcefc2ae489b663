"""Recordings as rows: one a bulletin and language, the sound beside what is known of it.

Lists never read the sound. Whether a recording may be changed is `warnsvc.service.recording`'s.
"""

from dataclasses import dataclass
from datetime import datetime

from warnsvc.store.port import Row, Unit

_KNOWN = (
    "SELECT r.bulletin_id, r.language, r.media_type, r.seconds, r.digest, r.uploaded_at,"
    " r.uploaded_by, length(r.sound) AS size, COALESCE(o.name, '') AS uploader"
    " FROM recording r LEFT JOIN officer o ON o.id = r.uploaded_by"
)
_KEEP = """
INSERT INTO recording (bulletin_id, language, media_type, seconds, digest, uploaded_at, uploaded_by,
 sound) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (bulletin_id, language) DO UPDATE SET media_type = EXCLUDED.media_type,
 seconds = EXCLUDED.seconds, digest = EXCLUDED.digest, uploaded_at = EXCLUDED.uploaded_at,
 uploaded_by = EXCLUDED.uploaded_by, sound = EXCLUDED.sound
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What is known of a recording. `digest`: SHA-256 of the sound; `size`: bytes."""

    bulletin_id: int
    language: str
    media_type: str
    seconds: float
    digest: str
    size: int
    uploaded_at: datetime
    uploaded_by: int | None
    uploader: str = ""
    """Who uploaded it, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSound:
    """A recording as it is played."""

    media_type: str
    digest: str
    content: bytes


async def list_recordings(unit: Unit, bulletin_id: int) -> list[Recording]:
    """Return what is known of a bulletin's recordings, by language."""
    rows = await unit.fetch(f"{_KNOWN} WHERE r.bulletin_id = $1 ORDER BY r.language", bulletin_id)
    return [_recording(row) for row in rows]


async def load_recording(unit: Unit, bulletin_id: int, language: str) -> Recording | None:
    """Return what is known of one."""
    row = await unit.fetch_one(
        f"{_KNOWN} WHERE r.bulletin_id = $1 AND r.language = $2", bulletin_id, language
    )
    return None if row is None else _recording(row)


async def load_sound(unit: Unit, bulletin_id: int, language: str) -> StoredSound | None:
    """Return one to be played."""
    row = await unit.fetch_one(
        "SELECT media_type, digest, sound FROM recording WHERE bulletin_id = $1 AND language = $2",
        bulletin_id,
        language,
    )
    if row is None:
        return None
    return StoredSound(
        media_type=row["media_type"], digest=row["digest"], content=bytes(row["sound"])
    )


async def keep_recording(unit: Unit, recording: Recording, sound: bytes) -> None:
    """Write a recording in the place of an earlier one."""
    await unit.execute(
        _KEEP,
        recording.bulletin_id,
        recording.language,
        recording.media_type,
        recording.seconds,
        recording.digest,
        recording.uploaded_at,
        recording.uploaded_by,
        sound,
    )


async def delete_recording(unit: Unit, bulletin_id: int, language: str) -> None:
    """Remove a recording; the ledger keeps its digest."""
    await unit.execute(
        "DELETE FROM recording WHERE bulletin_id = $1 AND language = $2", bulletin_id, language
    )


def _recording(row: Row) -> Recording:
    return Recording(
        bulletin_id=row["bulletin_id"],
        language=row["language"],
        media_type=row["media_type"],
        seconds=row["seconds"],
        digest=row["digest"],
        size=row["size"],
        uploaded_at=row["uploaded_at"],
        uploaded_by=row["uploaded_by"],
        uploader=row["uploader"],
    )

"""What is wrong with a draft, before anybody writes it: for forms that tell every fault at once."""

from datetime import datetime

from warnsvc.core import bulletin as rules
from warnsvc.core.bulletin import Bulletin, BulletinType
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service.bulletin import BulletinDraft
from warnsvc.service.context import Context
from warnsvc.service.sendable import Note, judge, notes, text_refusals


def broken_rules(ctx: Context, draft: BulletinDraft, *, now: datetime) -> dict[str, Refusal]:
    """Return what is refused in this draft, by field: by the core, and by every carrier of a
    channel. Nothing is read and nothing written."""
    bulletin = bulletin_of(draft)
    found: dict[str, Refusal] = {}
    try:
        rules.check(bulletin, now=now)
    except Refusals as broken:
        found = broken.by_field()
    for refusal in text_refusals(ctx, bulletin):
        found.setdefault(refusal.field, refusal)
    return found


def draft_notes(ctx: Context, draft: BulletinDraft) -> tuple[Note, ...]:
    """Return what carriers would make of texts that are still being written."""
    return notes(judge(ctx, bulletin_of(draft)))


def bulletin_of(draft: BulletinDraft) -> Bulletin:
    """Return the bulletin that a draft would be: it has no number yet, and nobody's name."""
    return Bulletin(
        id=0,
        identifier="",
        event_id=0,
        status=draft.status,
        type=BulletinType.ALERT,
        hazard=draft.hazard,
        colour=draft.colour,
        region_codes=draft.region_codes,
        texts=draft.texts,
        onset_at=draft.onset_at,
        expires_at=draft.expires_at,
        drafted_by=0,
    )

"""What is wrong with a draft, before anybody writes it: for forms that tell every fault at once."""

from datetime import datetime

from warnsvc.core import bulletin as rules
from warnsvc.core.bulletin import Bulletin, BulletinType
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service.bulletin import BulletinDraft


def broken_rules(draft: BulletinDraft, *, now: datetime) -> dict[str, Refusal]:
    """Return what the core refuses in this draft, by field; nothing is read and nothing written."""
    bulletin = Bulletin(
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
    try:
        rules.check(bulletin, now=now)
    except Refusals as found:
        return found.by_field()
    return {}

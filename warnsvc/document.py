"""What a machine is told: a bulletin as a JSON document, with the regions of one endpoint.

    {"topic": "bulletin.call", "identifier", "status", "type", "hazard": {"code", "name"}, "colour",
     "severity", "onset_at", "expires_at", "texts": {language: text}, "issuer", "drill", "purpose",
     "regions": [{"code", "name", "silent"?}], "regions_total"}

It becomes the fields of a message (`warnsvc.render`), and a webhook carries them. Names are in the
endpoint's language; words of tables (`red`, `actual`) are the same for everybody. `regions` are the
endpoint's own part of the bulletin (`warnsvc.service.endpoint`), not all of it: a loudspeaker must
not be told to speak in its neighbour's village. A list that would not fit is cut to its beginning;
`regions_total` then is larger, and the whole list is at `regions_url`. Nothing is cut silently.

CAP: `cap` is absent until bulletins are published as CAP XML; it will stand beside `texts`.
It never chooses regions and never reads a database.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from warnsvc.core.bulletin import Bulletin, BulletinType, Colour

BYTES_MAX = 13_000
"""Of the 20 kB that a webhook may have; the message as a phone shows it, and addresses, are added
when it is sent. Texts in four languages leave room for some eighty regions, a usual one for 200."""
SEVERITY: Mapping[Colour, str] = {
    Colour.BLUE: "minor",
    Colour.YELLOW: "moderate",
    Colour.ORANGE: "severe",
    Colour.RED: "extreme",
}
"""CAP's word for a colour (cap.md, GB/T 35965.1). The colour is the authority."""


class Place(NamedTuple):
    """A region as an endpoint is told it. `silent`: it is told because nobody answers there."""

    code: str
    name: str
    silent: bool = False


def document(
    bulletin: Bulletin, *, purpose: str, hazard: str, issuer: str, places: Sequence[Place]
) -> dict[str, Any]:
    """Return the document. `hazard`: its name, in the language of the endpoint."""
    told = {
        "topic": f"bulletin.{purpose}",
        "identifier": bulletin.identifier,
        "status": bulletin.status.value,
        "type": BulletinType.CANCEL.value if purpose == "lift" else bulletin.type.value,
        "hazard": {"code": bulletin.hazard, "name": hazard},
        "colour": bulletin.colour.value,
        "severity": SEVERITY[bulletin.colour],
        "onset_at": _instant(bulletin.onset_at),
        "expires_at": _instant(bulletin.expires_at),
        "texts": {language: text for language, text in bulletin.texts.items() if text.strip()},
        "issuer": issuer,
        "drill": bulletin.is_drill,
        "purpose": purpose,
        "regions_total": len(places),
    }
    if purpose == "lift":
        told["reason"] = (bulletin.lift_reason or "").strip()
    room = BYTES_MAX - _bytes(told)
    return {**told, "regions": _fitting([place_document(place) for place in places], room)}


def place_document(place: Place) -> dict[str, Any]:
    """Return a region as a document."""
    shown: dict[str, Any] = {"code": place.code, "name": place.name}
    return {**shown, "silent": True} if place.silent else shown


def _fitting(regions: list[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    """Return as many as there is room for, from the beginning."""
    for at, region in enumerate(regions):
        room -= _bytes(region)
        if room < 0:
            return regions[:at]
    return regions


def _bytes(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()

"""Recordings on a bulletin's page: play one, upload one, take one out.

An upload that is refused is told beside its field, and the page around it is as it was. Changing
recordings is an edit: the bulletin goes back to draft, and the page says so before.
"""

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.service.officer import Role
from warnsvc.service.recording import add_recording, recording_of, remove_recording
from warnsvc.web.bulletin_page import show_page
from warnsvc.web.sound import send_sound
from warnsvc.web.visit import Visit, get, post, see_other

PLACE = "#recordings"
NOT_HERE = frozenset({"bulletin_unknown", "recording_language_unknown"})
"""Refusals that no page of a bulletin can show."""


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/bulletins/{id}/recordings/{language}", play),
        post("/bulletins/{id}/recordings/{language}", upload, Role.DUTY, uploads=True),
        post("/bulletins/{id}/recordings/{language}/remove", remove, Role.DUTY),
    ]


async def play(visit: Visit) -> web.StreamResponse:
    """Return the sound for the player on the page."""
    known = await recording_of(visit.ctx, visit.number(), _language(visit))
    if known is None:
        raise web.HTTPNotFound
    return await send_sound(visit.request, visit.ctx, known)


async def upload(visit: Visit) -> web.StreamResponse:
    """Keep an uploaded recording."""
    file = visit.form.files.get("sound")
    try:
        await add_recording(
            visit.ctx,
            officer=visit.officer.id,
            bulletin_id=visit.number(),
            language=_language(visit),
            sound=b"" if file is None else file.content,
            read_aloud=visit.form.text("text") or None,
        )
    except Refusal as refusal:
        return await _refused(visit, refusal)
    return see_other(f"/bulletins/{visit.number()}?said=recording_added{PLACE}")


async def remove(visit: Visit) -> web.StreamResponse:
    """Take a recording out."""
    try:
        await remove_recording(
            visit.ctx,
            officer=visit.officer.id,
            bulletin_id=visit.number(),
            language=_language(visit),
        )
    except Refusal as refusal:
        return await _refused(visit, refusal)
    return see_other(f"/bulletins/{visit.number()}?said=recording_removed{PLACE}")


async def _refused(visit: Visit, refusal: Refusal) -> web.StreamResponse:
    if refusal.code in NOT_HERE:
        raise refusal
    form = f"recording_{_language(visit)}"
    return await show_page(visit, visit.number(), refusals=(refusal,), form=form)


def _language(visit: Visit) -> str:
    return visit.request.match_info["language"]

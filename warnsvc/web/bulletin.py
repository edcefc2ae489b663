"""Bulletins: the list, and the form in which one is written.

The form answers three questions of its scripts without writing anything: what phones would show,
what the chosen regions hold, and which text to start from.
"""

from collections.abc import Mapping

from aiohttp import web

from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service import bulletin as service
from warnsvc.service.bulletin import BulletinDraft
from warnsvc.service.draft import draft_notes
from warnsvc.service.officer import Role
from warnsvc.service.release import preview_texts
from warnsvc.web.draft import (
    FIELD_ORDER,
    LANGUAGES,
    DraftForm,
    draft_form_of,
    guess,
    new_draft_form,
    read_draft_form,
    understand,
)
from warnsvc.web.page import STARTER
from warnsvc.web.query.bulletin import PAGE_ROWS, list_bulletins
from warnsvc.web.query.region import RegionLine, children, choice_of, lines_of
from warnsvc.web.sendable_word import note_sentences
from warnsvc.web.visit import Visit, get, post, see_other

REFUSED_STATUS = 422
FILTERS: Mapping[str, tuple[str, ...]] = {
    "open": ("draft", "submitted", "signed", "released"),
    "running": ("released",),
    "ended": ("lifted", "superseded", "expired", "closed"),
    "all": (),
}


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/bulletins", show_list),
        get("/bulletins/new", show_new, Role.DUTY),
        post("/bulletins/new", save_new, Role.DUTY),
        get("/bulletins/{id}/edit", show_edit, Role.DUTY),
        post("/bulletins/{id}/edit", save_edit, Role.DUTY),
        post("/bulletins/preview", preview, Role.DUTY),
        post("/bulletins/choice", choice, Role.DUTY),
        post("/bulletins/starter", starter, Role.DUTY),
    ]


async def show_list(visit: Visit) -> web.StreamResponse:
    """Show bulletins, the newest first."""
    wanted = visit.query("show", "all")
    status = visit.query("status")
    before = visit.query("before", "0")
    async with visit.ctx.store.view() as view:
        lines = await list_bulletins(
            view,
            states=FILTERS.get(wanted, ()),
            status=status if status in {"actual", "exercise"} else "",
            before=int(before) if before.isdigit() and len(before) < 10 else 0,
        )
    return await visit.render(
        "bulletins.html",
        lines=lines,
        filters=FILTERS,
        wanted=wanted if wanted in FILTERS else "all",
        status_wanted=status,
        full=len(lines) == PAGE_ROWS,
    )


async def show_new(visit: Visit) -> web.StreamResponse:
    """Show an empty form."""
    return await _form(visit, new_draft_form(visit.pages.local, visit.now))


async def save_new(visit: Visit) -> web.StreamResponse:
    """Write a new bulletin, and submit it if the officer said so."""
    form = read_draft_form(visit.form)
    try:
        draft = await _understood(visit, form)
        bulletin_id = await service.draft(visit.ctx, officer=visit.officer.id, draft=draft)
    except Refusals as refusals:
        return await _form(visit, form, refusals=refusals)
    return await _after_save(visit, bulletin_id)


async def show_edit(visit: Visit) -> web.StreamResponse:
    """Show the form of a bulletin that is not released yet."""
    bulletin = await service.get(visit.ctx, visit.number())
    if bulletin.state not in {"draft", "submitted", "signed"}:
        raise Refusal("wrong_state", state=bulletin.state.value)
    return await _form(
        visit,
        draft_form_of(bulletin, visit.pages.local),
        bulletin_id=bulletin.id,
        state=bulletin.state.value,
    )


async def save_edit(visit: Visit) -> web.StreamResponse:
    """Change a bulletin; a signature on it is void."""
    bulletin_id, form = visit.number(), read_draft_form(visit.form)
    try:
        draft = await _understood(visit, form)
        await service.edit(
            visit.ctx, officer=visit.officer.id, bulletin_id=bulletin_id, draft=draft
        )
    except Refusals as refusals:
        return await _form(visit, form, bulletin_id=bulletin_id, refusals=refusals)
    return await _after_save(visit, bulletin_id)


async def preview(visit: Visit) -> web.StreamResponse:
    """Return what phones would show of the text so far; faults do not matter yet."""
    draft = guess(read_draft_form(visit.form), local=visit.pages.local, now=visit.now)
    messages = await preview_texts(visit.ctx, draft)
    show = visit.pages.show(visit)
    said = note_sentences(draft_notes(visit.ctx, draft), show)
    return web.json_response(
        [
            {
                "language": message.language,
                "channel": message.channel,
                "name": show.word("language", message.language),
                "text": message.text,
                "characters": message.characters,
                "parts": message.parts,
                "notes": said.get(message.language, []) if message.channel == "sms" else [],
            }
            for message in messages
        ]
    )


async def choice(visit: Visit) -> web.StreamResponse:
    """Return in a sentence what the chosen regions hold."""
    async with visit.ctx.store.view() as view:
        held = await choice_of(view, list(read_draft_form(visit.form).regions))
    words, show = visit.words, visit.pages.show(visit)
    sentence = words(
        "共 {targets} 个村和场所，{headcount} 人",
        targets=show.count(held.targets),
        headcount=show.count(held.headcount),
    )
    bare = (
        words("{bare} 处没有本级联系人，将直接叫上一级", bare=show.count(held.bare))
        if held.bare
        else ""
    )
    return web.json_response({"sentence": sentence, "bare": bare})


async def starter(visit: Visit) -> web.StreamResponse:
    """Return texts to start from."""
    form = read_draft_form(visit.form)
    draft = guess(form, local=visit.pages.local, now=visit.now)
    async with visit.ctx.store.view() as view:
        regions = await lines_of(view, form.regions)
    texts = visit.request.app[STARTER].texts(
        hazard=draft.hazard,
        colour=draft.colour,
        places=[region.name for region in regions],
        onset_at=draft.onset_at,
        expires_at=draft.expires_at,
        drill=draft.status != "actual",
    )
    return web.json_response(texts)


async def _understood(visit: Visit, form: DraftForm) -> BulletinDraft:
    async with visit.ctx.store.view() as view:
        known = await lines_of(view, form.regions)
    return understand(
        visit.ctx,
        form,
        local=visit.pages.local,
        now=visit.now,
        known_regions=[region.code for region in known],
    )


async def _after_save(visit: Visit, bulletin_id: int) -> web.StreamResponse:
    if visit.form.text("act") != "submit":
        return see_other(f"/bulletins/{bulletin_id}?said=drafted")
    await service.submit(visit.ctx, officer=visit.officer.id, bulletin_id=bulletin_id)
    return see_other(f"/bulletins/{bulletin_id}?said=submitted")


async def _form(
    visit: Visit,
    form: DraftForm,
    *,
    bulletin_id: int = 0,
    state: str = "draft",
    refusals: Refusals | None = None,
) -> web.StreamResponse:
    async with visit.ctx.store.view() as view:
        roots = await children(view, None)
        picked = await lines_of(view, form.regions)
        held = await choice_of(view, [line.code for line in picked])
    by_field = {} if refusals is None else refusals.by_field()
    return await visit.render(
        "bulletin_form.html",
        status=200 if refusals is None else REFUSED_STATUS,
        form=form,
        bulletin_id=bulletin_id,
        state=state,
        languages=LANGUAGES,
        roots=roots,
        picked=[*picked, *_unknown(form, picked)],
        choice=held,
        refusals=by_field,
        wrong=[name for name in FIELD_ORDER if name in by_field],
    )


def _unknown(form: DraftForm, picked: list[RegionLine]) -> list[RegionLine]:
    """Return what was typed and is no region, so that it is shown and can be taken out."""
    known = {line.code for line in picked}
    return [
        RegionLine(
            code=code, name=code, level="zone", kind="gov", headcount=0, children=0, path=(code,)
        )
        for code in form.regions
        if code not in known
    ]

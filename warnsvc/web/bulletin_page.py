"""One bulletin: what it says, whom it will reach, who signed it, and the one thing to do next.

    submitted ──► sign or send back        by a second person
    signed ─────► type the phrase, release
    released ───► watch the board, lift with a reason

Real and drill never look alike here. It decides nothing: what is forbidden, the service refuses.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from aiohttp import web

from contacts.region import Region
from warnsvc.core.bulletin import Bulletin
from warnsvc.core.plan import Gap, GapKind
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service import bulletin as service
from warnsvc.service.lift import lift
from warnsvc.service.officer import Role
from warnsvc.service.release import Preview, preview, release
from warnsvc.service.sendable import judge, notes, text_refusals
from warnsvc.service.voice import FALLBACK
from warnsvc.web.cost import costs_so_far, foreseen_costs
from warnsvc.web.draft import LANGUAGES
from warnsvc.web.query.bulletin import (
    BulletinPage,
    count_unknown,
    load_page,
    messages_of,
    progress_of,
)
from warnsvc.web.query.region import RegionLine, lines_of
from warnsvc.web.recording_line import recording_lines
from warnsvc.web.recording_word import OWN_NAMES
from warnsvc.web.sendable_word import note_sentences
from warnsvc.web.sentence import sentence
from warnsvc.web.visit import Visit, get, post, see_other

REFUSED_STATUS = 422
NOT_RELEASED = frozenset({"draft", "submitted", "signed"})
WORST_FIRST = (GapKind.NO_CONTACT, GapKind.UNREACHABLE, GapKind.EMPTY_TIER, GapKind.BY_HAND)
GAPS_LISTED_MAX = 100
"""Gaps shown by name; the rest is counted, because a signer reads one screen."""


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/bulletins/{id}", show_bulletin),
        post("/bulletins/{id}/submit", do_submit, Role.DUTY),
        post("/bulletins/{id}/sign", do_sign, Role.SIGNER),
        post("/bulletins/{id}/send-back", do_send_back, Role.SIGNER, Role.DUTY),
        post("/bulletins/{id}/discard", do_discard, Role.DUTY),
        post("/bulletins/{id}/release", do_release, Role.DUTY),
        post("/bulletins/{id}/lift", do_lift, Role.DUTY),
    ]


async def show_bulletin(visit: Visit) -> web.StreamResponse:
    """Show the bulletin."""
    return await show_page(visit, visit.number())


async def do_submit(visit: Visit) -> web.StreamResponse:
    """Hand it to a second person."""
    number = visit.number()
    return await _act(
        visit, "submitted", service.submit(visit.ctx, officer=visit.officer.id, bulletin_id=number)
    )


async def do_sign(visit: Visit) -> web.StreamResponse:
    """Sign what this page showed, and nothing else."""
    number, digest = visit.number(), visit.form.text("digest")
    signing = service.sign(visit.ctx, officer=visit.officer.id, bulletin_id=number, digest=digest)
    return await _act(visit, "signed", signing)


async def do_send_back(visit: Visit) -> web.StreamResponse:
    """Return it to its author with a reason."""
    sending = service.send_back(
        visit.ctx,
        officer=visit.officer.id,
        bulletin_id=visit.number(),
        reason=visit.form.text("reason"),
    )
    return await _act(visit, "sent_back", sending, form="send_back")


async def do_discard(visit: Visit) -> web.StreamResponse:
    """Throw a draft away; the row stays."""
    discarding = service.discard(visit.ctx, officer=visit.officer.id, bulletin_id=visit.number())
    return await _act(visit, "discarded", discarding)


async def do_release(visit: Visit) -> web.StreamResponse:
    """Release it; the next page is the board."""
    number = visit.number()
    releasing = release(
        visit.ctx, officer=visit.officer.id, bulletin_id=number, typed=visit.form.text("phrase")
    )
    return await _act(visit, "released", releasing, form="release", to=f"/bulletins/{number}/board")


async def do_lift(visit: Visit) -> web.StreamResponse:
    """End it and tell everybody who was called."""
    lifting = lift(
        visit.ctx,
        officer=visit.officer.id,
        bulletin_id=visit.number(),
        reason=visit.form.text("reason"),
    )
    return await _act(visit, "lifted", lifting, form="lift")


async def _act(
    visit: Visit, said: str, act: Awaitable[object], *, form: str = "", to: str = ""
) -> web.StreamResponse:
    """Do it and show what came of it; a refusal is shown where the act stands on the page."""
    number = visit.number()
    try:
        await act
    except Refusal as refusal:
        return await show_page(visit, number, refusals=(refusal,), form=form)
    except Refusals as refusals:
        return await show_page(visit, number, refusals=refusals.refusals, form=form)
    return see_other(f"{to or f'/bulletins/{number}'}?said={said}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedGap:
    """A gap with the names of the place and of the person."""

    kind: str
    region_code: str
    place: str
    tier: int
    person: str
    contact_id: int


async def show_page(
    visit: Visit, number: int, *, refusals: tuple[Refusal, ...] = (), form: str = ""
) -> web.StreamResponse:
    """Return the page; `form` names the act that was refused, which stands somewhere on it."""
    # One view at a time: SQLite has two readers, and a page that held both could wait for itself.
    bulletin = await service.get(visit.ctx, number)
    async with visit.ctx.store.view() as view:
        page = await load_page(view, number)
        assert page is not None, "bulletins are never deleted"
        regions = await lines_of(view, bulletin.region_codes)
        messages = await messages_of(view, number)
        progress = (await progress_of(view, [number])).get(number)
        unknown = await count_unknown(view, number)
        spent = await costs_so_far(visit.ctx, view, number)
    foreseen, trouble = await _foreseen(visit, page)
    gaps = _once(foreseen.gaps) if foreseen else []
    recordings = await recording_lines(visit.ctx, bulletin, foreseen.voices if foreseen else ())
    return await visit.render(
        "bulletin.html",
        status=REFUSED_STATUS if refusals else 200,
        bulletin=bulletin,
        page=page,
        regions=regions,
        languages=LANGUAGES,
        sent=messages,
        recordings=recordings,
        own_names=OWN_NAMES,
        costs=spent if foreseen is None else foreseen_costs(visit.ctx, foreseen.messages),
        progress=progress,
        unknown=unknown,
        preview=foreseen,
        gaps=await _named(visit, gaps[:GAPS_LISTED_MAX], foreseen) if foreseen else [],
        gap_counts=Counter(gap.kind.value for gap in gaps),
        gaps_unlisted=max(0, len(gaps) - GAPS_LISTED_MAX),
        trouble=trouble,
        warnings=[*_warnings(visit, foreseen), *_unsendable(visit, bulletin)] if foreseen else [],
        refusals=refusals,
        by_field={refusal.field: refusal for refusal in refusals if refusal.field},
        refused_form=form,
        typed=visit.form,
        is_author=bulletin.drafted_by == visit.officer.id,
    )


async def _foreseen(visit: Visit, page: BulletinPage) -> tuple[Preview | None, Refusal | None]:
    """Return what releasing it now would do, or why that cannot be said."""
    if page.row["state"] not in NOT_RELEASED:
        return None, None
    try:
        return await preview(visit.ctx, page.row["id"]), None
    except Refusal as refusal:
        return None, refusal


def _once(gaps: Iterable[Gap]) -> list[Gap]:
    """Return the gaps, the worst first; a person who stands behind many places counts once."""
    once: dict[tuple[object, ...], Gap] = {}
    for gap in gaps:
        place = () if gap.contact_id else (gap.region_code, gap.tier)
        once.setdefault((gap.kind, gap.contact_id, *place), gap)
    return sorted(once.values(), key=lambda gap: WORST_FIRST.index(gap.kind))


async def _named(visit: Visit, gaps: Sequence[Gap], foreseen: Preview) -> list[NamedGap]:
    async with visit.ctx.store.view() as view:
        lines = await lines_of(view, list({gap.region_code for gap in gaps}))
    places = {line.code: _place(line, foreseen.place) for line in lines}
    return [
        NamedGap(
            kind=gap.kind.value,
            region_code=gap.region_code,
            place=places.get(gap.region_code, gap.region_code),
            tier=gap.tier,
            person=foreseen.contacts[gap.contact_id].name if gap.contact_id else "",
            contact_id=gap.contact_id,
        )
        for gap in gaps
    ]


def _place(line: RegionLine, place: Region) -> str:
    """Return the path below the place that the whole bulletin is about."""
    names = list(line.path)
    if place.name in names[:-1]:
        names = names[names.index(place.name) + 1 :]
    return " ".join(names)


def _warnings(visit: Visit, foreseen: Preview) -> list[str]:
    """Return the preview's warnings in words."""
    words, show = visit.words, visit.pages.show(visit)
    said: dict[str, Callable[[list[str]], str]] = {
        "channel_missing": lambda rest: words(
            "没有“{channel}”通道，只能靠这种方式联系的人叫不到。",
            channel=show.word("channel", rest[0]),
        ),
        "language_missing": lambda rest: words(
            "有 {people} 人使用{language}，没有写{language}正文，他们会收到汉语。",
            people=rest[1],
            language=show.word("language", rest[0]),
        ),
        "voice_missing": lambda rest: _voice_missing(visit, *rest),
        "no_reply": lambda rest: words(
            "短信通道收不到 +{country} 的回复，所以不给这 {people} 人发要求回复的短信，只打电话。",
            country=rest[0],
            people=rest[1],
        ),
    }
    found = []
    for warning in foreseen.warnings:
        code, *rest = warning.split(":")
        found.append(said[code](rest) if code in said else warning)
    return found


def _unsendable(visit: Visit, bulletin: Bulletin) -> list[str]:
    """Return what carriers make of the texts, and those that nobody can send, in words."""
    judged, show = judge(visit.ctx, bulletin), visit.pages.show(visit)
    refused = [sentence(refusal, visit.words) for refusal in text_refusals(visit.ctx, bulletin)]
    said = note_sentences(notes(judged), show)
    return [*refused, *(one for each in said.values() for one in each)]


def _voice_missing(visit: Visit, language: str, people: str) -> str:
    words, show = visit.words, visit.pages.show(visit)
    if language == FALLBACK:
        return words(
            "电话通道不会说汉语，也没有录音，有 {people} 人的电话打不出去。", people=people
        )
    return words(
        "有 {people} 人使用{language}，电话通道不会说，也没有可放的录音，电话里会改说汉语。",
        people=people,
        language=show.word("language", language),
    )

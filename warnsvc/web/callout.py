"""One person being called: what was tried, what came back, and an answer entered by hand."""

from datetime import datetime

from aiohttp import web

from contacts.contact import Number
from warnsvc.core.answer import AnswerKind
from warnsvc.core.refusal import Refusal
from warnsvc.service.answer import by_hand
from warnsvc.service.directory import reveal_callout
from warnsvc.service.officer import Role
from warnsvc.web.query.callout import load_callout
from warnsvc.web.visit import Visit, get, post, see_other

REFUSED_STATUS = 422
KINDS = (AnswerKind.RECEIVED, AnswerKind.ON_POST, AnswerKind.REFUSED, AnswerKind.HELP)
"""What an officer can enter, in the order of the buttons."""


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/callouts/{id}", show_callout),
        post("/callouts/{id}/answer", enter_answer, Role.DUTY),
        post("/callouts/{id}/reveal", reveal, Role.DUTY),
    ]


async def show_callout(visit: Visit) -> web.StreamResponse:
    """Show the person's call."""
    return await _page(visit)


async def reveal(visit: Visit) -> web.StreamResponse:
    """Show the whole numbers, to be dialled by hand; the ledger says who looked."""
    numbers = await reveal_callout(visit.ctx, officer=visit.officer.id, callout_id=visit.number())
    return await _page(visit, numbers=numbers)


async def enter_answer(visit: Visit) -> web.StreamResponse:
    """Record what the person said to an officer."""
    number = visit.number()
    try:
        late = await by_hand(
            visit.ctx,
            officer=visit.officer.id,
            callout_id=number,
            kind=_kind(visit),
            happened_at=_happened_at(visit),
            note=visit.form.text("note").strip(),
        )
    except Refusal as refusal:
        return await _page(visit, refusal=refusal)
    said = "answered_late" if late else "answered"
    return see_other(f"/callouts/{number}?said={said}")


def _kind(visit: Visit) -> AnswerKind:
    try:
        return AnswerKind(visit.form.text("kind"))
    except ValueError:
        raise Refusal("answer_kind_unknown", field="kind") from None


def _happened_at(visit: Visit) -> datetime:
    """Return when it was said; an empty field means just now."""
    text = visit.form.text("happened_at")
    if not text.strip():
        return visit.now
    try:
        return visit.pages.local.read_local(text)
    except (ValueError, OverflowError):
        raise Refusal("time_malformed", field="happened_at") from None


async def _page(
    visit: Visit, *, refusal: Refusal | None = None, numbers: tuple[Number, ...] = ()
) -> web.StreamResponse:
    number = visit.number()
    async with visit.ctx.store.view() as view:
        page = await load_callout(view, number)
    if page is None:
        raise Refusal("callout_unknown", id=number)
    return await visit.render(
        "callout.html",
        status=200 if refusal is None else REFUSED_STATUS,
        page=page,
        row=page.row,
        kinds=KINDS,
        revealed=numbers,
        refusals={} if refusal is None else {refusal.field: refusal},
        typed=visit.form,
    )

"""Adding a carrier: choose what speaks to it, fill in what that needs, and have it checked.

    choose an adapter (a link each) ──► its parameters as fields ──► "check and save"

What an adapter needs is told by the registry, so a new adapter has a form without a line here. A
secret is the path of a file on the server; a form that took the secret itself would leave it in
browsers, proxies and logs.
"""

from aiohttp import web

from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service.carrier import AdapterForm, CarrierDraft, adapters, add_carrier
from warnsvc.service.officer import Role
from warnsvc.web.visit import Visit, get, post, see_other

REFUSED_STATUS = 422
PREFIX = "p_"
"""Before the name of a parameter's field, so that none can be taken for the name of the carrier."""
VALUE_CHARS_MAX = 2_000
"""A template of a gateway is some hundred characters."""


def routes() -> list[web.RouteDef]:
    """Return the routes of this module; before those of one carrier, whose name could be `add`."""
    return [
        get("/carriers/add", show_form, Role.ADMIN),
        post("/carriers/add", do_add, Role.ADMIN),
    ]


async def show_form(visit: Visit) -> web.StreamResponse:
    """Show the adapters, or the form of the chosen one."""
    return await _page(visit, visit.query("adapter"))


async def do_add(visit: Visit) -> web.StreamResponse:
    """Check and save."""
    chosen = visit.form.text("adapter")
    form = _form_of(chosen)
    if form is None:
        raise web.HTTPNotFound
    draft = CarrierDraft(
        name=visit.form.text("name").strip(),
        adapter=form.name,
        params=_filled(visit, form, secret=False),
        secret_files=_filled(visit, form, secret=True),
    )
    try:
        await add_carrier(visit.ctx, visit.officer.id, draft)
    except Refusals as refusals:
        return await _page(visit, chosen, refusals=refusals.by_field())
    except Refusal as refusal:
        return await _page(visit, chosen, refusals={refusal.field: refusal})
    return see_other(f"/carriers/{draft.name}?said=carrier_added")


def _filled(visit: Visit, form: AdapterForm, *, secret: bool) -> dict[str, str]:
    """Return what was filled in; an empty field means the default."""
    typed = {
        parameter.name: visit.form.text(PREFIX + parameter.name).strip()[:VALUE_CHARS_MAX]
        for parameter in form.parameters
        if parameter.secret is secret
    }
    return {name: value for name, value in typed.items() if value}


def _form_of(adapter: str) -> AdapterForm | None:
    return next((form for form in adapters() if form.name == adapter), None)


async def _page(
    visit: Visit, adapter: str, *, refusals: dict[str, Refusal] | None = None
) -> web.StreamResponse:
    show = visit.pages.show(visit)
    form = _form_of(adapter)
    parameters = () if form is None else form.parameters
    labels = {parameter.name: show.word("parameter", parameter.name) for parameter in parameters}
    return await visit.render(
        "carrier_add.html",
        status=REFUSED_STATUS if refusals else 200,
        form=form,
        choices=[(one, show.word("adapter", one.name)) for one in adapters()],
        chosen=show.word("adapter", adapter) if form else "",
        needed=[one for one in parameters if one.required or one.either],
        optional=[one for one in parameters if not one.required and not one.either],
        labels=labels,
        prefix=PREFIX,
        refusals=refusals or {},
        typed=visit.form,
    )

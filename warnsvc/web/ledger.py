"""The ledger: read with filters, exported whole, verified with one button."""

from datetime import datetime

from aiohttp import web

from warnsvc.core.ledger import Verdict
from warnsvc.core.refusal import Refusal
from warnsvc.service.ledger import export, head, verify
from warnsvc.service.officer import Role
from warnsvc.web.guard import protection
from warnsvc.web.query.ledger import (
    PAGE_ROWS,
    LedgerFilter,
    known_acts,
    list_lines,
    names_of_actors,
)
from warnsvc.web.query.officer import all_officers
from warnsvc.web.visit import Visit, get, post

READERS = (Role.DUTY, Role.SIGNER, Role.AUDITOR)
REFUSED_STATUS = 422


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/ledger", show_ledger, *READERS),
        post("/ledger/verify", do_verify, *READERS),
        get("/ledger/export", give_export, Role.AUDITOR),
    ]


async def show_ledger(visit: Visit) -> web.StreamResponse:
    """Show lines, the newest first."""
    return await _page(visit)


async def do_verify(visit: Visit) -> web.StreamResponse:
    """Recompute the tree from the stored bytes and show whether it holds."""
    return await _page(visit, verdict=await verify(visit.ctx))


async def give_export(visit: Visit) -> web.StreamResponse:
    """Send the whole ledger as JSON lines, to be kept and verified elsewhere."""
    name = visit.pages.local.form(visit.now).replace(":", "")
    response = web.StreamResponse(
        headers={
            **protection(visit.request),
            "Content-Type": "application/jsonl; charset=utf-8",
            "Content-Disposition": f'attachment; filename="ledger-{name}.jsonl"',
        }
    )
    await response.prepare(visit.request)
    async for line in export(visit.ctx):
        await response.write(line)
    await response.write_eof()
    return response


async def _page(visit: Visit, *, verdict: Verdict | None = None) -> web.StreamResponse:
    wanted, refusals = _filter(visit)
    officers = await all_officers(visit.ctx)
    tree = await head(visit.ctx)
    async with visit.ctx.store.view() as view:
        lines = await list_lines(view, wanted)
        names = await names_of_actors(view, lines)
        acts = await known_acts(view)
    return await visit.render(
        "ledger.html",
        status=REFUSED_STATUS if refusals else 200,
        lines=lines,
        names=names,
        acts=acts,
        officers=officers,
        wanted=wanted,
        typed={name: visit.query(name) for name in ("bulletin", "act", "actor", "since", "until")},
        refusals=refusals,
        head=tree,
        verdict=verdict,
        full=len(lines) == PAGE_ROWS,
    )


def _filter(visit: Visit) -> tuple[LedgerFilter, dict[str, Refusal]]:
    refusals: dict[str, Refusal] = {}

    def number(name: str) -> int:
        text = visit.query(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0

    def instant(name: str) -> datetime | None:
        text = visit.query(name)
        try:
            return visit.pages.local.read_local(text) if text else None
        except (ValueError, OverflowError):
            refusals[name] = Refusal("time_malformed", field=name)
            return None

    found = LedgerFilter(
        bulletin=number("bulletin"),
        escalation=number("escalation"),
        callout=number("callout"),
        act=visit.query("act"),
        actor=visit.query("actor"),
        since=instant("since"),
        until=instant("until"),
        before=number("before"),
    )
    return found, refusals

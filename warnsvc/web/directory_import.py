"""Importing regions and contacts: always tried first, then done; every fault by row and column."""

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.service.directory import ImportKind, ImportReport, import_file
from warnsvc.service.officer import Role
from warnsvc.web.visit import Visit, get, post

REFUSED_STATUS = 422


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/import", show_import, Role.ADMIN),
        post("/import", do_import, Role.ADMIN, uploads=True),
    ]


async def show_import(visit: Visit) -> web.StreamResponse:
    """Show the form."""
    return await _page(visit)


async def do_import(visit: Visit) -> web.StreamResponse:
    """Try or do the import and show the report; with any fault nothing is written."""
    try:
        kind, content = _kind(visit), _content(visit)
    except Refusal as refusal:
        return await _page(visit, refusal=refusal)
    report = await import_file(
        visit.ctx,
        officer=visit.officer.id,
        kind=kind,
        content=content,
        dry_run=visit.form.text("act") != "import",
        complete=visit.form.text("complete") == "yes",
    )
    return await _page(visit, report=report)


def _kind(visit: Visit) -> ImportKind:
    try:
        return ImportKind(visit.form.text("kind"))
    except ValueError:
        raise Refusal("import_kind_missing", field="kind") from None


def _content(visit: Visit) -> bytes:
    upload = visit.form.files.get("file")
    if upload is None or not upload.name:
        raise Refusal("file_missing", field="file")
    return upload.content


async def _page(
    visit: Visit, *, refusal: Refusal | None = None, report: ImportReport | None = None
) -> web.StreamResponse:
    wrong = refusal is not None or (report is not None and report.fault_count > 0)
    upload = visit.form.files.get("file")
    return await visit.render(
        "import.html",
        status=REFUSED_STATUS if wrong else 200,
        kind=visit.form.text("kind"),
        complete=visit.form.text("complete") == "yes",
        file_name="" if upload is None else upload.name,
        report=report,
        refusals={} if refusal is None else {refusal.field: refusal},
    )

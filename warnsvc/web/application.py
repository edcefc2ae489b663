"""The web application: every route, the headers, the errors, the static files.

`create_web` is called by the composition root and by tests. It opens nothing and starts nothing.
"""

from aiohttp import web

from warnsvc.resource import static_dir, templates_dir
from warnsvc.service.context import Context
from warnsvc.web import (
    account,
    answer_link,
    answer_regions,
    board,
    bulletin,
    bulletin_page,
    callback,
    callout,
    carrier,
    carrier_add,
    contact,
    desk,
    directory_import,
    escalation,
    health,
    inbox,
    ledger,
    login,
    officer,
    recording,
    recording_fetch,
    region,
    task,
)
from warnsvc.web.callback_watch import add_watch
from warnsvc.web.form import BODY_BYTES_MAX
from warnsvc.web.guard import faults, headers
from warnsvc.web.live import FEEDS, Feeds
from warnsvc.web.page import PAGES, STARTER, Pages
from warnsvc.web.sound import SHELF, Shelf
from warnsvc.web.starter import Starter
from warnsvc.web.visit import CONTEXT

CONSOLE = (
    *(login, desk, bulletin, bulletin_page, recording, board, escalation, callout, task, inbox),
    *(contact, region, directory_import, ledger, carrier_add, carrier, officer, account),
)
"""Modules whose routes ask who is there."""
OPEN = (callback, health, answer_link, answer_regions, recording_fetch)
"""Modules that carriers, callees and monitors reach without a login."""


def create_web(ctx: Context) -> web.Application:
    """Return the application. The caller opens and closes the store."""
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[headers, faults])
    app[CONTEXT] = ctx
    app[PAGES] = Pages.load(ctx.settings)
    app[STARTER] = Starter(templates_dir() / "web" / "starter", app[PAGES].local)
    app[FEEDS] = Feeds(ctx)
    app[SHELF] = Shelf()
    app.on_shutdown.append(app[FEEDS].close)
    add_watch(app, ctx)
    for module in (*CONSOLE, *OPEN):
        app.add_routes(module.routes())
    app.router.add_static("/static", static_dir(), append_version=False)
    return app

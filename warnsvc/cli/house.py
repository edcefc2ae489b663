"""Opens settings, logs and services for one command.

Most commands send nothing, so they open the house without carriers: a carrier that is misconfigured
must not keep an administrator from letting somebody in.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from warnsvc.app import open_house
from warnsvc.logging import configure_logging
from warnsvc.service.context import Context
from warnsvc.settings import Settings, load_settings
from warnsvc.store.migrate import check_revision
from warnsvc.store.open import parse_url, sqlite_path

T = TypeVar("T")


def start_logging(settings: Settings, *, quiet: bool = False) -> None:
    """Send logs to stderr as the settings say; `quiet`: warnings only, unless a level was set."""
    chosen = "log_level" in settings.model_fields_set
    level = "warning" if quiet and not chosen else settings.log_level
    configure_logging(level=level, style=settings.log_format)
    # It warns of each tick that is skipped because the one before still runs: that is meant.
    logging.getLogger("apscheduler").setLevel("ERROR")
    # It tells of every look at the revision.
    logging.getLogger("alembic").setLevel("WARNING")


@asynccontextmanager
async def open_desk(
    settings: Settings, *, carriers: bool = False, reading: bool = False
) -> AsyncIterator[Context]:
    """Open store and services, with or without carriers, to write or to look only."""
    without: dict[str, object] = {"carriers": (), "routes": ()}  # or each rule would be missed
    chosen = settings if carriers else settings.model_copy(update=without)
    async with open_house(chosen, reading=reading, added=carriers) as house:
        yield house.ctx


def at_the_desk(
    work: Callable[[Context], Awaitable[T]], *, carriers: bool = False, reading: bool = False
) -> T:
    """Load the settings, open the house, and do one piece of work in it.

    `reading`: the work only looks, and may do so while the service runs on SQLite.
    """
    settings = load_settings()
    start_logging(settings, quiet=True)
    _require_database(settings)

    async def run() -> T:
        async with open_desk(settings, carriers=carriers, reading=reading) as ctx:
            return await work(ctx)

    return asyncio.run(run())


def _require_database(settings: Settings) -> None:
    """Raise WrongSchema when there is no SQLite file: opening it would make an empty one."""
    parsed = parse_url(settings.database_address)
    if parsed.get_backend_name() == "sqlite" and not sqlite_path(parsed).exists():
        check_revision(None)

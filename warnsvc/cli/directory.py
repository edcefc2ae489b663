"""What importing regions, boundaries and contacts have in common: one transaction, one line, bars.

The rules are the importers' (`contacts.directory`). A dry run only looks, so it may be made while
the service runs.
"""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Protocol

from contacts.directory.report import ImportReport, Progress
from warnsvc.cli.house import at_the_desk
from warnsvc.cli.report import show_report
from warnsvc.cli.ui import Ui
from warnsvc.core.ledger import Line
from warnsvc.service.context import Context
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit


class Importer(Protocol):
    """Checks a draft against what is stored, and writes it unless anything is wrong."""

    def __call__(
        self, unit: Unit, *, dry_run: bool, now: datetime, progress: Progress
    ) -> Coroutine[Any, Any, ImportReport]: ...


def run_import(ui: Ui, kind: str, importer: Importer, *, dry_run: bool, as_json: bool) -> None:
    """Run an importer and say what came of it. Raises Failed when the file was refused."""
    with ui.bar(ui.words("检查") if dry_run else ui.words("检查并写入")) as tick:
        work = _look(importer, tick) if dry_run else _write(kind, importer, tick)
        report = at_the_desk(work, reading=dry_run)
    show_report(ui, report, as_json=as_json)


Work = Callable[[Context], Coroutine[Any, Any, ImportReport]]


def _look(importer: Importer, progress: Progress) -> Work:
    async def work(desk: Context) -> ImportReport:
        async with desk.store.view() as view:
            return await importer(view, dry_run=True, now=desk.clock.now(), progress=progress)

    return work


def _write(kind: str, importer: Importer, progress: Progress) -> Work:
    async def work(desk: Context) -> ImportReport:
        now = desk.clock.now()
        async with desk.store.unit() as unit:
            report = await importer(unit, dry_run=False, now=now, progress=progress)
            if report.applied:
                await append_lines(unit, [_line(kind, report)], now=now)
        return report

    return work


def _line(kind: str, report: ImportReport) -> Line:
    """The same line that an import in the console leaves; whoever has the shell is the system."""
    data = {
        "kind": kind,
        "rows": report.rows_read,
        "added": report.added,
        "changed": report.changed,
        "removed": report.removed,
    }
    return Line(act="directory.imported", data=data)

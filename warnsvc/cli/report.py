"""What an import did, or why it did nothing: as a table of rows to mend, or as JSON.

A fault stops the whole import, so the table is the list of what to mend in the file before the next
try. It shows no full telephone number, because the importers mask them.
"""

from collections.abc import Sequence

from contacts.directory.fault import WHOLE_FILE, Fault
from contacts.directory.report import ImportReport
from warnsvc.cli.ui import Failed, Ui

WARNINGS_SHOWN_MAX = 20
"""A list of hundreds of remarks hides the result; --json has them all."""


def show_report(ui: Ui, report: ImportReport, *, as_json: bool) -> None:
    """Say what came of an import. Raises Failed when it was refused."""
    if as_json:
        ui.json(report.as_document())
    elif report.fault_count:
        _refused(ui, report)
    else:
        _accepted(ui, report)
    if report.fault_count:
        raise Failed


def _refused(ui: Ui, report: ImportReport) -> None:
    _list(ui, report.faults)
    if report.faults_unlisted:
        ui.say(ui.words("还有 {count} 处没有列出。", count=report.faults_unlisted))
    ui.complain(
        ui.words("有 {count} 处要改，什么都没有导入。", count=report.fault_count),
        ui.words("改好文件，加 --dry-run 再检查一遍。"),
    )


def _accepted(ui: Ui, report: ImportReport) -> None:
    if report.warnings:
        _list(ui, report.warnings[:WARNINGS_SHOWN_MAX])
        more = report.warning_count - min(len(report.warnings), WARNINGS_SHOWN_MAX)
        if more > 0:
            ui.say(ui.words("还有 {count} 处提醒没有列出；--json 可看前 500 处。", count=more))
    counts = ui.words(
        "共 {rows} 行：新增 {added}，修改 {changed}，不变 {unchanged}，去掉责任 {removed}。",
        rows=report.rows_read,
        added=report.added,
        changed=report.changed,
        unchanged=report.unchanged,
        removed=report.removed,
    )
    if report.dry_run:
        ui.say(counts)
        ui.done(ui.words("检查通过，没有写入。去掉 --dry-run 即可导入。"))
    else:
        ui.done(ui.words("已导入。{counts}", counts=counts))


def _list(ui: Ui, faults: Sequence[Fault]) -> None:
    file = ui.words("整个文件")
    ui.table(
        [ui.words("行"), ui.words("列"), ui.words("内容"), ui.words("问题和办法")],
        [
            (
                file if fault.row == WHOLE_FILE else fault.row,
                fault.column,
                fault.value_excerpt,
                fault.zh if ui.language == "zh" else fault.en,
            )
            for fault in faults
        ],
    )

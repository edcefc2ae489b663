"""`warnsvc contacts`: the people who answer, from files, back into files, and to look at.

Numbers are masked everywhere but in an export that asks for them in full, and that is written down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import typer

from contacts.assignment import Assignment
from contacts.contact import Contact
from contacts.directory.contact_draft import read_contacts
from contacts.directory.contact_import import import_contacts
from contacts.directory.export import as_csv, as_xlsx, contact_table
from contacts.directory.load import load_assignments, load_contacts
from contacts.directory.report import ImportReport, Progress
from contacts.phone import mask
from warnsvc.cli.directory import run_import
from warnsvc.cli.file import is_workbook, written
from warnsvc.cli.house import at_the_desk
from warnsvc.cli.options import AsJson, DryRun, FromFile, ToFile, noun
from warnsvc.cli.ui import Ui
from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal
from warnsvc.service.context import Context
from warnsvc.service.directory import HAZARD_WORDS
from warnsvc.settings import load_settings
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit
from warnsvc.web.label import LANGUAGE, NUMBER_KIND
from warnsvc.web.query.contact import ContactFilter, ContactLine, list_contacts, load_contact
from warnsvc.words import mark


def register(app: typer.Typer) -> None:
    """Add the noun and its verbs."""
    group = noun(app, "contacts", mark("联系人：导入、查看、导出。"))
    group.command("import", help=mark("从 CSV 或 XLSX 导入联系人；有一处错，就什么都不写。"))(
        import_
    )
    group.command("show", help=mark("查找联系人：按编号、姓名、单位或区域。"))(show)
    group.command("export", help=mark("导出全部联系人（.csv 或 .xlsx）。"))(export)


def import_(
    ctx: typer.Context,
    file: FromFile,
    dry_run: DryRun = False,
    complete: Annotated[
        bool,
        typer.Option("--complete", help=mark("名单对其中的区域是完整的：名单外的责任将去掉。")),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import contacts."""
    ui: Ui = ctx.obj
    demo = load_settings().demo
    with ui.bar(ui.words("读取 {file}", file=file.name)) as tick:
        draft = read_contacts(file.read_bytes(), hazards=HAZARD_WORDS, demo=demo, progress=tick)

    async def importer(
        unit: Unit, *, dry_run: bool, now: datetime, progress: Progress
    ) -> ImportReport:
        return await import_contacts(
            unit, draft, now=now, complete=complete, dry_run=dry_run, progress=progress
        )

    run_import(ui, "contacts", importer, dry_run=dry_run, as_json=as_json)


def show(
    ctx: typer.Context,
    wanted: Annotated[str, typer.Argument(help=mark("编号、姓名、单位或区域名。"), metavar="TEXT")],
    as_json: AsJson = False,
) -> None:
    """Show the contacts that match, with masked numbers and their duties."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> Sequence[ContactLine]:
        async with desk.store.view() as view:
            by_id = await load_contact(view, int(wanted)) if wanted.isdecimal() else None
            return [by_id] if by_id else await list_contacts(view, ContactFilter(text=wanted))

    found = at_the_desk(work, reading=True)
    if not found:
        raise Refusal("contact_unknown")
    if as_json:
        ui.json([_document(line) for line in found])
        return
    for line in found:
        _show(ui, line)


def _show(ui: Ui, line: ContactLine) -> None:
    row = line.row
    spoken = ui.words(LANGUAGE.get(row["language"], mark("其他语言")))
    ui.say(f"{row['id']}  {row['name']}  {row['unit']} {row['post']}  ({row['key']}, {spoken})")
    if not row["robot_ok"]:
        ui.say(ui.words("  只由人工拨打"))
    for number in line.numbers:
        kind = ui.words(NUMBER_KIND[number["kind"]])
        wrong = ui.words("，号码错误") if number["failed_at"] is not None else ""
        ui.say(f"  {number['rank']}. {kind} {mask(number['address'])}{wrong}")
    for duty in line.duties:
        place = " / ".join(filter(None, (duty["parent_name"], duty["region_name"])))
        ui.say(
            ui.words(
                "  第 {tier} 层 {place} {role}", tier=duty["tier"], place=place, role=duty["role"]
            )
        )


def _document(line: ContactLine) -> dict[str, object]:
    row = line.row
    return {
        **{name: row[name] for name in ("id", "key", "name", "unit", "post", "kind", "language")},
        "robot_ok": bool(row["robot_ok"]),
        "active": bool(row["active"]),
        "numbers": [
            {
                "rank": number["rank"],
                "kind": number["kind"],
                "masked": mask(number["address"]),
                "failed": number["failed_at"] is not None,
            }
            for number in line.numbers
        ],
        "duties": [
            {
                "region": duty["region_code"],
                "region_name": duty["region_name"],
                "tier": duty["tier"],
                "role": duty["role"],
                "hazards": duty["hazards"],
            }
            for duty in line.duties
        ],
    }


def export(
    ctx: typer.Context,
    file: ToFile,
    full_numbers: Annotated[
        bool, typer.Option("--full-numbers", help=mark("号码写全，才能再导入；会记入台账。"))
    ] = False,
) -> None:
    """Write all contacts to a file, numbers masked unless they are asked for."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> tuple[Mapping[int, Contact], Sequence[Assignment]]:
        async with desk.store.view() as view:
            people, duties = await load_contacts(view), await load_assignments(view)
        if full_numbers:
            line = Line(act="directory.exported", data={"contacts": len(people)})
            async with desk.store.unit() as unit:
                await append_lines(unit, [line], now=desk.clock.now())
            return people, duties
        return {each: _masked(contact) for each, contact in people.items()}, duties

    people, duties = at_the_desk(work, reading=not full_numbers)
    table = contact_table(people, duties, language=ui.language)
    with written(file) as out:
        out.write(as_xlsx(table, sheet="contacts") if is_workbook(file) else as_csv(table))
    ui.note_done(ui.words("已导出 {count} 个联系人到 {file}。", count=len(people), file=file))
    if not full_numbers:
        ui.note(ui.words("号码没有写全，这个文件不能再导入；要写全请加 --full-numbers。"))


def _masked(contact: Contact) -> Contact:
    numbers = tuple(replace(number, address=mask(number.address)) for number in contact.numbers)
    return replace(contact, numbers=numbers)

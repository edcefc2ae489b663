"""`warnsvc regions`: the region tree from files, back into files, and to look at."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from contacts.directory.boundary import import_boundaries, read_boundaries
from contacts.directory.export import as_csv, as_xlsx, region_table
from contacts.directory.load import load_regions
from contacts.directory.region_import import import_regions, read_regions
from contacts.directory.report import ImportReport, Progress
from contacts.region import Region, RegionLevel, RegionTree
from warnsvc.cli.directory import run_import
from warnsvc.cli.file import is_workbook, written
from warnsvc.cli.house import at_the_desk
from warnsvc.cli.options import AsJson, DryRun, FromFile, ToFile, noun
from warnsvc.cli.ui import Ui
from warnsvc.core.refusal import Refusal
from warnsvc.service.context import Context
from warnsvc.store.port import Unit
from warnsvc.web.label import LEVEL
from warnsvc.web.query.contact import duties_in
from warnsvc.web.query.region import children, lines_of
from warnsvc.words import mark

LISTED_MAX = 200
"""Rows of a list on a terminal, unless more are asked for."""
BELOW_SHOWN_MAX = 30


def register(app: typer.Typer) -> None:
    """Add the noun and its verbs."""
    group = noun(app, "regions", mark("区域：导入、查看、导出。"))
    group.command("import", help=mark("从 CSV 或 XLSX 导入区域；有一处错，就什么都不写。"))(import_)
    group.command("boundaries", help=mark("从 GeoJSON 导入边界。"))(boundaries)
    group.command("list", help=mark("列出区域。"))(list_)
    group.command("show", help=mark("显示一个区域：上级、下级、责任人。"))(show)
    group.command("export", help=mark("导出全部区域（.csv 或 .xlsx），可再导入。"))(export)


def import_(
    ctx: typer.Context, file: FromFile, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Import regions."""
    ui: Ui = ctx.obj
    with ui.bar(ui.words("读取 {file}", file=file.name)) as tick:
        draft = read_regions(file.read_bytes(), progress=tick)

    async def importer(
        unit: Unit, *, dry_run: bool, now: datetime, progress: Progress
    ) -> ImportReport:
        return await import_regions(unit, draft, dry_run=dry_run, progress=progress)

    run_import(ui, "regions", importer, dry_run=dry_run, as_json=as_json)


def boundaries(
    ctx: typer.Context, file: FromFile, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Import the outlines of regions that exist."""
    ui: Ui = ctx.obj
    with ui.bar(ui.words("读取 {file}", file=file.name)) as tick:
        draft = read_boundaries(file.read_bytes(), progress=tick)

    async def importer(
        unit: Unit, *, dry_run: bool, now: datetime, progress: Progress
    ) -> ImportReport:
        return await import_boundaries(unit, draft, dry_run=dry_run)

    run_import(ui, "boundaries", importer, dry_run=dry_run, as_json=as_json)


def list_(
    ctx: typer.Context,
    level: Annotated[RegionLevel | None, typer.Option(help=mark("只列这一级。"))] = None,
    under: Annotated[str, typer.Option(help=mark("只列这个编码以下的。"), metavar="CODE")] = "",
    limit: Annotated[int, typer.Option(min=1, help=mark("最多列多少个。"))] = LISTED_MAX,
    as_json: AsJson = False,
) -> None:
    """List regions in code order."""
    ui: Ui = ctx.obj
    tree = RegionTree(at_the_desk(_all_regions, reading=True))
    if under and under not in tree:
        raise Refusal("region_not_found")
    inside = sorted(tree.descendants(under) if under else tree, key=lambda region: region.code)
    found = [region for region in inside if level in {None, region.level}]
    if as_json:
        ui.json([_document(region) for region in found])
        return
    ui.table(
        [ui.words("编码"), ui.words("级别"), ui.words("人数"), ui.words("区域")],
        [
            (
                region.code,
                ui.words(LEVEL[region.level.value]),
                region.headcount or "–",
                " / ".join(step.name for step in tree.path(region.code)[-3:]),
            )
            for region in found[:limit]
        ],
    )
    ui.say(
        ui.words("共 {count} 个区域，列出 {shown} 个。", count=len(found), shown=len(found[:limit]))
    )


def show(
    ctx: typer.Context,
    code: Annotated[str, typer.Argument(help=mark("区域编码。"), metavar="CODE")],
    as_json: AsJson = False,
) -> None:
    """Show one region with what lies below it and who answers for it."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> dict[str, Any]:
        async with desk.store.view() as view:
            return await _one(view, code)

    found = at_the_desk(work, reading=True)
    if as_json:
        ui.json(found)
    else:
        _show(ui, found)


async def _one(view: Unit, code: str) -> dict[str, Any]:
    found = await lines_of(view, [code])
    if not found:
        raise Refusal("region_not_found")
    below = await children(view, code)
    duties = await duties_in(view, code)
    return {
        **found[0].as_json(),
        "below": [{"code": region.code, "name": region.name} for region in below],
        "duties": [
            {
                "tier": duty["tier"],
                "contact": duty["contact_id"],
                "name": duty["contact_name"],
                "role": duty["role"] or duty["post"],
                "hazards": duty["hazards"],
            }
            for duty in duties
        ],
    }


def _show(ui: Ui, found: Mapping[str, Any]) -> None:
    ui.say(f"{found['code']}  {' / '.join(found['path'])}")
    ui.say(
        ui.words(
            "{level}，{headcount} 人", level=ui.words(LEVEL[found["level"]]),
            headcount=found["headcount"] or "–",
        )
    )  # fmt: skip
    if found["below"]:
        names = [region["name"] for region in found["below"][:BELOW_SHOWN_MAX]]
        ui.say(ui.words("下级 {count} 个：", count=len(found["below"])) + " ".join(names))
    if not found["duties"]:
        ui.note(ui.words("没有自己的责任人：直接叫上一级。"))
        return
    ui.table(
        [ui.words("层级"), ui.words("姓名"), ui.words("角色"), ui.words("灾种")],
        [
            (duty["tier"], duty["name"], duty["role"], duty["hazards"] or ui.words("全部"))
            for duty in found["duties"]
        ],
    )


def export(ctx: typer.Context, file: ToFile) -> None:
    """Write all regions to a file."""
    ui: Ui = ctx.obj
    regions = at_the_desk(_all_regions, reading=True)
    table = region_table(regions, language=ui.language)
    with written(file) as out:
        out.write(as_xlsx(table, sheet="regions") if is_workbook(file) else as_csv(table))
    ui.note_done(ui.words("已导出 {count} 个区域到 {file}。", count=len(regions), file=file))


async def _all_regions(desk: Context) -> list[Region]:
    async with desk.store.view() as view:
        return await load_regions(view)


def _document(region: Region) -> dict[str, object]:
    return {
        "code": region.code,
        "parent_code": region.parent_code,
        "level": region.level.value,
        "name": region.name,
        "kind": region.kind.value,
        "headcount": region.headcount,
        "valid_from": region.valid_from,
        "valid_to": region.valid_to,
    }

"""`warnsvc bulletin board`: how every township stands, once or drawn again and again.

It reads beside a running service. Colours are never alone: every state has a sign of its own.
"""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from warnsvc.cli.house import at_the_desk
from warnsvc.cli.options import AsJson, BulletinId
from warnsvc.cli.shown import heading_of, show_of
from warnsvc.cli.ui import Ui
from warnsvc.core.bulletin import Bulletin
from warnsvc.service import bulletin as bulletins
from warnsvc.service.context import Context
from warnsvc.web.query.board import Board, load_board
from warnsvc.web.query.bulletin import Progress
from warnsvc.web.show import Show
from warnsvc.words import mark

WATCH_SECONDS = 2.0
"""A board on a terminal; the console's is live to the second."""
NAMED_MAX = 3
"""Names beside a township; the rest is a dot dot dot."""
BAR_CELLS = 24
_TONES = {
    "good": "green",
    "late": "yellow",
    "busy": "cyan",
    "bad": "bold red",
    "idle": "dim",
    "off": "dim",
}


def board(
    ctx: typer.Context,
    bulletin_id: BulletinId,
    watch: Annotated[
        bool, typer.Option("--watch", help=mark("每两秒刷新，直到没有区域在等。"))
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how every township stands."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> None:
        found = await bulletins.get(desk, bulletin_id)
        current = await _board(desk, bulletin_id)
        if as_json:
            ui.json(_board_document(found, current))
            return
        shown = show_of(ui, desk)
        if not watch or not ui.out.is_terminal:
            ui.out.print(_drawn(ui, shown, found, current))
            return
        with Live(_drawn(ui, shown, found, current), console=ui.out) as live:
            while any(cell.open for cell in current.cells.values()):
                await asyncio.sleep(WATCH_SECONDS)
                current = await _board(desk, bulletin_id)
                live.update(_drawn(ui, show_of(ui, desk), found, current))

    at_the_desk(work, reading=True)


async def _board(desk: Context, bulletin_id: int) -> Board:
    async with desk.store.view() as view:
        return await load_board(view, bulletin_id)


def _drawn(ui: Ui, shown: Show, found: Bulletin, current: Board) -> RenderableType:
    """Return the board: one line a township, then the regions that need a human first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (mark("乡镇"), mark("应答"), mark("进度"), mark("等着的")):
        table.add_column(ui.words(heading))
    for code, cells in current.by_town().items():
        town = current.towns[code]
        waiting = [cell.name for cell in cells if cell.open and cell.state != "pending"]
        names = "、".join(waiting[:NAMED_MAX]) + ("…" if len(waiting) > NAMED_MAX else "")
        progress = town.progress
        table.add_row(
            escape(town.name), f"{progress.done}/{progress.total}", _bar(progress), escape(names)
        )
    total = current.progress
    summary = ui.words(
        "应答 {done}（迟应 {late}），呼叫中 {calling}，未叫应 {exhausted}，共 {total}　{at}",
        done=total.done,
        late=total.late,
        calling=total.calling,
        exhausted=total.exhausted,
        total=total.total,
        at=shown.clock(shown.now),
    )
    return Group(heading_of(ui, shown, found), table, Text(summary))


def _bar(progress: Progress) -> Text:
    """Return a bar of blocks, one colour a state; letters tell them apart without colour."""
    bar = Text()
    done = 0
    signs = {"good": "█", "late": "▓", "busy": "▒", "bad": "✕", "idle": "·", "off": "-"}
    for tone, count in progress.parts:
        upto = done + count
        cells = upto * BAR_CELLS // progress.total - done * BAR_CELLS // progress.total
        bar.append(signs[tone] * cells, _TONES[tone])
        done = upto
    return bar


def _board_document(found: Bulletin, current: Board) -> dict[str, Any]:
    return {
        "bulletin": found.id,
        "status": found.status.value,
        "state": found.state.value,
        "progress": asdict(current.progress),
        "towns": [
            {
                "code": code,
                "name": current.towns[code].name,
                "progress": asdict(current.towns[code].progress),
                "regions": [
                    {
                        "escalation": cell.id,
                        "name": cell.name,
                        "state": cell.state,
                        "tier": cell.tier,
                        "late": cell.late,
                    }
                    for cell in cells
                ],
            }
            for code, cells in current.by_town().items()
        ],
    }

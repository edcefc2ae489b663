"""`warnsvc ledger`: verify it here or from a file, write it out, read its end.

Codes of `verify`: 0 whole, 1 changed (the first bad line is named), 2 wrongly typed, 3 incomplete
or not an export. Verifying a file needs no database and no settings.
"""

from collections.abc import Iterator
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated

import typer

from warnsvc.cli.file import written
from warnsvc.cli.house import at_the_desk
from warnsvc.cli.options import AsJson, ToFile, noun
from warnsvc.cli.ui import Failed, Tick, Ui
from warnsvc.core.ledger import Verdict
from warnsvc.localtime import LocalTime
from warnsvc.service import ledger
from warnsvc.service.context import Context
from warnsvc.service.ledger import ExportMalformed
from warnsvc.service.sweep import sequence_ledger
from warnsvc.store.port import StoreBusy
from warnsvc.web.act import act_label, actor_words, why_words
from warnsvc.web.label import LABELS, label_of
from warnsvc.web.query.ledger import LedgerFilter, LedgerLine, list_lines, names_of_actors
from warnsvc.words import mark

TAIL = 20
TAIL_MAX = 100
"""One page of the ledger; the console has filters for more."""
TICK_LINES = 2_000
"""A bar moves every few milliseconds at this many lines."""
HEADER_LINES = 1
"""Lines of an export before its first ledger line."""


class Code(IntEnum):
    """How a verification ends."""

    WHOLE = 0
    """Every line is the one that was entered."""
    CHANGED = 1
    """A line was changed, put in, or put elsewhere."""
    INCOMPLETE = 3
    """The file is cut off, or is no export."""


def register(app: typer.Typer) -> None:
    """Add the noun and its verbs."""
    group = noun(app, "ledger", mark("台账：校验、导出、查看。"))
    group.command("verify", help=mark("校验数据库里的台账，或一个导出文件（不需要数据库）。"))(
        verify
    )
    group.command("export", help=mark("导出台账，可离线校验。"))(export)
    group.command("tail", help=mark("显示最近的台账。"))(tail)


def verify(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, metavar="[FILE]", help=mark("导出文件。")),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute the tree and name the first bad line."""
    ui: Ui = ctx.obj
    try:
        with ui.bar(ui.words("校验台账")) as tick:
            verdict = _of_file(file, tick) if file else _of_database(ui, tick)
    except (ExportMalformed, UnicodeDecodeError) as fault:
        _malformed(ui, fault, as_json=as_json)
        raise Failed(Code.INCOMPLETE) from fault
    code = code_of(verdict)
    if as_json:
        ui.json(_document(verdict, code))
    else:
        _tell(ui, verdict, in_file=file is not None)
    if code is not Code.WHOLE:
        raise Failed(code)


def code_of(verdict: Verdict) -> Code:
    """Return how a verification ends. Too few lines may be a broken copy; the rest is a change."""
    if verdict.ok:
        return Code.WHOLE
    cut = verdict.fault == "size" and verdict.bad_seq == verdict.size
    return Code.INCOMPLETE if cut else Code.CHANGED


def _of_file(file: Path, tick: Tick) -> Verdict:
    total = file.stat().st_size
    with file.open(encoding="utf-8") as lines:
        return ledger.verify_export(_ticking(lines, total, tick))


def _ticking(lines: Iterator[str], total: int, tick: Tick) -> Iterator[str]:
    """Pass the lines on; the bar counts bytes, because nobody knows the number of lines."""
    done = 0
    for number, line in enumerate(lines, start=1):
        yield line
        done += len(line.encode())
        if number % TICK_LINES == 0:
            tick(done, total)


def _of_database(ui: Ui, tick: Tick) -> Verdict:
    async def work(desk: Context) -> Verdict:
        await _sequence(ui, desk)
        return await ledger.verify(desk, sequence=False, progress=tick)

    return at_the_desk(work, reading=True)


async def _sequence(ui: Ui, desk: Context) -> None:
    """Give the last lines their places, unless a service has the file and does it itself."""
    try:
        await sequence_ledger(desk)
    except StoreBusy:
        ui.note(ui.words("服务正在运行：最后不到一秒的台账可能还没有排进去。"))


def _tell(ui: Ui, verdict: Verdict, *, in_file: bool) -> None:
    if verdict.ok:
        ui.done(
            ui.words("台账完整：{size} 条，根 {root}", size=verdict.size, root=verdict.root.hex())
        )
        return
    if verdict.bad_seq is None:
        ui.complain(
            ui.words("台账被换过：每条都自洽，但不是当初记下的那些（根对不上）。"),
            ui.words("请拿从前导出的文件逐条对照。"),
        )
        return
    place = ui.words("第 {number} 条", number=verdict.bad_seq + 1)
    if in_file:
        line = verdict.bad_seq + 1 + HEADER_LINES
        place += ui.words("（文件第 {line} 行）", line=line)
    told = {
        "content": mark("台账被改过，从{place}起不可信：内容和当初的指纹对不上。"),
        "gap": mark("台账被改过，从{place}起不可信：这一条缺失，或次序不对。"),
        "size": mark("台账条数不对，从{place}起：和文件头写的条数不符。"),
    }
    ui.complain(ui.words(told[verdict.fault], place=place))


def _malformed(ui: Ui, fault: Exception, *, as_json: bool) -> None:
    if as_json:
        line = fault.line if isinstance(fault, ExportMalformed) else None
        ui.json({"ok": False, "fault": "malformed", "line": line, "detail": str(fault)})
        return
    ui.complain(
        ui.words("这不是完整的台账导出文件：{detail}", detail=fault),
        ui.words("请重新导出或重新复制，再校验。"),
    )


def _document(verdict: Verdict, code: Code) -> dict[str, object]:
    return {
        "ok": verdict.ok,
        "result": code.name.lower(),
        "size": verdict.size,
        "root": verdict.root.hex(),
        "fault": verdict.fault,
        "bad_seq": verdict.bad_seq,
    }


def export(ctx: typer.Context, file: ToFile) -> None:
    """Write the ledger to a file."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> int:
        await _sequence(ui, desk)
        count = 0
        with written(file) as out, ui.bar(ui.words("导出台账")) as tick:
            async for line in ledger.export(desk, sequence=False, progress=tick):
                out.write(line)
                count += 1
        return count - HEADER_LINES

    count = at_the_desk(work, reading=True)
    ui.note_done(
        ui.words(
            "已导出 {count} 条到 {file}。校验：warnsvc ledger verify FILE", count=count, file=file
        )
    )


def tail(
    ctx: typer.Context,
    count: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=TAIL_MAX, help=mark("最近多少条。"))
    ] = TAIL,
    bulletin: Annotated[int, typer.Option(min=0, help=mark("只看这条预警的。"))] = 0,
    as_json: AsJson = False,
) -> None:
    """Show the newest lines, the newest last."""
    ui: Ui = ctx.obj

    async def work(desk: Context) -> tuple[list[LedgerLine], dict[str, str], LocalTime]:
        async with desk.store.view() as view:
            lines = await list_lines(view, LedgerFilter(bulletin=bulletin))
            newest = lines[:count][::-1]
            names = await names_of_actors(view, newest)
        return newest, names, LocalTime(desk.settings.zone)

    lines, names, local = at_the_desk(work, reading=True)
    if as_json:
        ui.json([_line(line) for line in lines])
        return
    ui.table(
        [ui.words("序号"), ui.words("时间"), ui.words("事项"), ui.words("谁"), ui.words("对象")],
        [
            (
                "–" if line.seq is None else line.seq,
                local.clock(line.entered_at),
                act_label(line.act, ui.words).words,
                actor_words(line.actor, names, ui.words),
                _about(ui, line),
            )
            for line in lines
        ],
    )


def _about(ui: Ui, line: LedgerLine) -> str:
    """Return what a line is about: which bulletin or region, from where to where, and why."""
    parts = (
        ui.words("预警 {id}", id=line.bulletin_id) if line.bulletin_id else "",
        ui.words("叫应单 {id}", id=line.escalation_id) if line.escalation_id else "",
        f"{_state(ui, line, line.from_state)} → {_state(ui, line, line.to_state)}"
        if line.to_state
        else "",
        why_words(line.why, ui.words),
    )
    return "  ".join(part for part in parts if part)


def _state(ui: Ui, line: LedgerLine, state: str) -> str:
    """Return a state in words: an act begins with the noun whose state it changes."""
    noun_of_act = line.act.partition(".")[0]
    if not state or noun_of_act not in LABELS:
        return state or "–"
    return ui.words(label_of(noun_of_act, state).words)


def _line(line: LedgerLine) -> dict[str, object]:
    happened: datetime | None = line.happened_at
    return {
        "seq": line.seq,
        "act": line.act,
        "actor": line.actor,
        "entered_at": line.entered_at.isoformat(),
        "happened_at": happened.isoformat() if happened else None,
        "bulletin": line.bulletin_id,
        "escalation": line.escalation_id,
        "callout": line.callout_id,
        "from": line.from_state,
        "to": line.to_state,
        "why": line.why,
        "data": dict(line.data),
    }

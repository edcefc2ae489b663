"""Reading, exporting and verifying the ledger.

An export is JSON lines: a header with the head (size, root), then one object a line with its place,
its exact bytes and its leaf. It can be verified without this service (`verify_export`), and names
the first bad line. Signed checkpoints and anchors outside the house come later.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from warnsvc.core.ledger import (
    FORMAT,
    CompactRange,
    ExportedLine,
    Head,
    Verdict,
    leaf_hash,
    verify_lines,
)
from warnsvc.service.context import Context
from warnsvc.service.sweep import sequence_ledger
from warnsvc.store.ledger import read_head, read_leaves

PAGE = 5_000
"""Lines read at a time: a few megabytes."""
EXPORT_FORMAT = "warnsvc-ledger"

Progress = Callable[[int, int], None]
"""Called with (lines done, lines in all) after each page."""


def _silent(_done: int, _total: int) -> None:
    """Tell nobody how far it is."""


class ExportMalformed(Exception):
    """The file is not an export, or a line of it cannot be read. `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line


async def head(ctx: Context) -> Head:
    """Return the size and root of the tree."""
    async with ctx.store.view() as unit:
        return await read_head(unit)


async def verify(
    ctx: Context, *, sequence: bool = True, progress: Progress = _silent
) -> Verdict:
    """Recompute the whole tree from the stored bytes and hold it against the stored head.

    `sequence`: first give every line its place; not possible for whoever may only read.
    """
    if sequence:
        await sequence_ledger(ctx)
    claimed = await head(ctx)
    tree = CompactRange()
    async with ctx.store.view() as unit:
        while tree.size < claimed.size:
            page = await read_leaves(
                unit, start=tree.size, count=min(PAGE, claimed.size - tree.size)
            )
            for seq, content, leaf in page:
                if seq != tree.size:
                    return _bad(tree, "gap", tree.size)
                if leaf_hash(content) != leaf:
                    return _bad(tree, "content", seq)
                tree.append(leaf)
            if not page:
                return _bad(tree, "gap", tree.size)
            progress(tree.size, claimed.size)
    if tree.root() != claimed.root:
        return _bad(tree, "root", None)
    return Verdict(ok=True, size=tree.size, root=tree.root())


def _bad(tree: CompactRange, fault: str, seq: int | None) -> Verdict:
    return Verdict(ok=False, size=tree.size, root=tree.root(), fault=fault, bad_seq=seq)


async def export(
    ctx: Context, *, sequence: bool = True, progress: Progress = _silent
) -> AsyncIterator[bytes]:
    """Yield the export, line by line. What is entered meanwhile is left for the next one."""
    if sequence:
        await sequence_ledger(ctx)
    claimed = await head(ctx)
    first = {
        "format": EXPORT_FORMAT,
        "v": FORMAT,
        "size": claimed.size,
        "root": claimed.root.hex(),
        "install": ctx.settings.install_name,
    }
    yield (json.dumps(first, ensure_ascii=False, sort_keys=True) + "\n").encode()
    async with ctx.store.view() as unit:
        for start in range(0, claimed.size, PAGE):
            page = await read_leaves(unit, start=start, count=min(PAGE, claimed.size - start))
            for seq, content, leaf in page:
                line = {"seq": seq, "leaf": leaf.hex(), "body": content.decode()}
                yield (json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n").encode()
            progress(min(start + PAGE, claimed.size), claimed.size)


def verify_export(lines: Iterable[str]) -> Verdict:
    """Verify an export without a database. Raises ExportMalformed."""
    numbered = enumerate(lines, start=1)
    first = next(numbered, None)
    if first is None:
        raise ExportMalformed(1, "empty file")
    header = _json(*first)
    if header.get("format") != EXPORT_FORMAT or header.get("v") != FORMAT:
        raise ExportMalformed(1, "this is not a warnsvc ledger export")
    try:
        claimed = Head(size=int(header["size"]), root=bytes.fromhex(header["root"]))
    except (KeyError, TypeError, ValueError) as fault:
        raise ExportMalformed(1, "size or root is missing or damaged") from fault
    return verify_lines(_exported(numbered), claimed)


def _exported(numbered: Iterator[tuple[int, str]]) -> Iterator[ExportedLine]:
    for number, text in numbered:
        line = _json(number, text)
        try:
            yield ExportedLine(
                seq=line["seq"], content=line["body"].encode(), leaf=bytes.fromhex(line["leaf"])
            )
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise ExportMalformed(number, "seq, leaf or body is missing or damaged") from fault


def _json(number: int, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as fault:
        raise ExportMalformed(number, "not JSON") from fault
    if not isinstance(document, dict):
        raise ExportMalformed(number, "not an object")
    return document

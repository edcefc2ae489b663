"""Ledger lines: written with the transition they tell of, then given a place in the tree.

`append_lines` belongs to the transition's own unit. `sequence` runs alone, by whoever holds the
duty, and takes the lines in the order in which they became visible. Nothing here updates a line.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from warnsvc.core.ledger import CompactRange, Head, Line, body, leaf_hash
from warnsvc.store.port import Unit

SEQUENCE_BATCH = 5_000
"""Lines in one unit of the sequencer: about 0.1 s, so that nobody waits long behind it."""

_COLUMNS = (
    "id",
    "act",
    "entered_at",
    "bulletin_id",
    "escalation_id",
    "callout_id",
    "actor",
    "body",
    "leaf",
)


async def append_lines(unit: Unit, lines: Sequence[Line], *, now: datetime) -> None:
    """Write lines in this unit; their place in the tree comes later."""
    if not lines:
        return
    ids = await unit.new_ids("ledger_line", len(lines))
    rows: list[tuple[Any, ...]] = []
    for line_id, line in zip(ids, lines, strict=True):
        content = body(line, line_id=line_id, entered_at=now)
        rows.append(
            (
                line_id,
                line.act,
                now,
                line.bulletin_id,
                line.escalation_id,
                line.callout_id,
                line.actor,
                content,
                leaf_hash(content),
            )
        )
    await unit.insert_rows("ledger_line", _COLUMNS, rows)
    await unit.insert_rows("ledger_pending", ("line_id",), [(line_id,) for line_id in ids])


async def sequence(unit: Unit, *, now: datetime) -> int:
    """Give pending lines their places. Returns how many were taken; call again while it is full."""
    # The tree first: whoever waits here for another sequencer must not have read the queue yet.
    tree = await _tree(unit)
    pending = await unit.fetch(
        "SELECT p.line_id, l.leaf FROM ledger_pending p JOIN ledger_line l ON l.id = p.line_id"
        f" ORDER BY p.line_id LIMIT {SEQUENCE_BATCH}"
    )
    if not pending:
        return 0
    rows = []
    for line_id, leaf in ((row["line_id"], bytes(row["leaf"])) for row in pending):
        rows.append((tree.size, line_id, leaf))
        tree.append(leaf)
    await unit.insert_rows("ledger_leaf", ("seq", "line_id", "leaf"), rows)
    await unit.execute("DELETE FROM ledger_pending WHERE line_id = ANY($1)", [r[1] for r in rows])
    await unit.execute(
        "INSERT INTO ledger_tree (id, size, edge, root, updated_at) VALUES (1, $1, $2, $3, $4)"
        " ON CONFLICT (id) DO UPDATE SET size = excluded.size, edge = excluded.edge,"
        " root = excluded.root, updated_at = excluded.updated_at",
        tree.size,
        tree.edge,
        tree.root(),
        now,
    )
    return len(rows)


async def _tree(unit: Unit) -> CompactRange:
    """Read the tree's right edge, and hold it against a second sequencer."""
    row = await unit.fetch_one("SELECT size, edge FROM ledger_tree WHERE id = 1 FOR UPDATE")
    return CompactRange(row["size"], bytes(row["edge"])) if row else CompactRange()


async def read_head(unit: Unit) -> Head:
    """Return the size and root of what has been sequenced."""
    row = await unit.fetch_one("SELECT size, root FROM ledger_tree WHERE id = 1")
    if row is None:
        return Head(size=0, root=CompactRange().root())
    return Head(size=row["size"], root=bytes(row["root"]))


async def read_leaves(unit: Unit, *, start: int, count: int) -> list[tuple[int, bytes, bytes]]:
    """Return (seq, content, leaf) of `count` places from `start`, in order."""
    rows = await unit.fetch(
        "SELECT f.seq, l.body, f.leaf FROM ledger_leaf f JOIN ledger_line l ON l.id = f.line_id"
        " WHERE f.seq >= $1 AND f.seq < $2 ORDER BY f.seq",
        start,
        start + count,
    )
    return [(row["seq"], bytes(row["body"]), bytes(row["leaf"])) for row in rows]

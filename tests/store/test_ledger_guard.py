"""The ledger can be added to. It cannot be changed, also not by a hand with a client."""

import pytest
from sqlmodel import SQLModel

from tests.store.rows import row
from warnsvc.store import table as t
from warnsvc.store.port import IntegrityFault, Store

CHANGES = [
    ("ledger_line", "UPDATE ledger_line SET actor = 'x'"),
    ("ledger_line", "DELETE FROM ledger_line"),
    ("ledger_leaf", "UPDATE ledger_leaf SET seq = 7"),
    ("ledger_leaf", "DELETE FROM ledger_leaf"),
]


async def with_a_line(store: Store) -> list[SQLModel]:
    rows = [row(t.LedgerLineRow), row(t.LedgerLeafRow)]
    async with store.unit() as unit:
        await unit.add(*rows)
    return rows


@pytest.mark.parametrize(("table", "change"), CHANGES)
async def test_a_change_is_refused(store: Store, table: str, change: str) -> None:
    await with_a_line(store)

    with pytest.raises(IntegrityFault, match="never changed") as caught:
        async with store.unit() as unit:
            await unit.execute(change)

    assert caught.value.constraint == f"{table}_append_only"


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", ["ledger_line", "ledger_leaf"])
async def test_truncate_is_refused(store: Store, table: str) -> None:
    await with_a_line(store)

    with pytest.raises(IntegrityFault, match="never changed"):
        async with store.unit() as unit:
            await unit.execute(f"TRUNCATE {table} CASCADE")


async def test_lines_that_wait_for_their_place_may_go(store: Store) -> None:
    await with_a_line(store)
    async with store.unit() as unit:
        await unit.add(t.LedgerPendingRow(line_id=1))

        assert await unit.execute("DELETE FROM ledger_pending WHERE line_id = $1", 1) == 1

"""Test sends: rows of messages that warn nobody, and what became of them.

It writes what it is told and decides nothing; which word goes before which is
`warnsvc.service.test_send`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from contacts.phone import mask
from warnsvc.store.port import Row, Unit

_COLUMNS = (
    "id, carrier, purpose, address, text, state, sent_at, reference, error_class, error_text,"
    " receipt_at, answered_at, answer, officer_id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSend:
    """A message that warns nobody."""

    __test__: ClassVar[bool] = False
    """It is none of pytest's tests."""

    id: int
    carrier: str
    purpose: str
    """`canary` or `by_hand`."""
    address: str = field(repr=False)
    text: str
    state: str
    """`sending`, `unknown`, `accepted`, `delivered`, `undelivered` or `failed`."""
    sent_at: datetime
    reference: str | None = None
    error_class: str | None = None
    error_text: str | None = None
    """The carrier's words, numbers masked."""
    receipt_at: datetime | None = None
    answered_at: datetime | None = None
    answer: str = ""
    officer_id: int | None = None

    @property
    def masked(self) -> str:
        """The address as a page shows it."""
        return mask(self.address)


def test_send_of(row: Row) -> TestSend:
    """Return a row as a value."""
    return TestSend(**{name: row[name] for name in row.keys()})  # noqa: SIM118 - a Row is no dict


async def add_test(unit: Unit, test: TestSend) -> None:
    """Write a new one down: before it is sent."""
    names = tuple(_COLUMNS.split(", "))
    await unit.insert_rows("test_send", names, [tuple(getattr(test, name) for name in names)])


async def load_test(unit: Unit, test_id: int) -> TestSend | None:
    """Return one, or None."""
    row = await unit.fetch_one(f"SELECT {_COLUMNS} FROM test_send WHERE id = $1", test_id)
    return test_send_of(row) if row else None


async def hold_tests(unit: Unit, test_ids: Sequence[int]) -> dict[int, TestSend]:
    """Return these by id, held until the unit ends."""
    rows = await unit.fetch(
        f"SELECT {_COLUMNS} FROM test_send WHERE id = ANY($1) ORDER BY id FOR UPDATE",
        list(test_ids),
    )
    return {row["id"]: test_send_of(row) for row in rows}


async def save_tests(unit: Unit, tests: Sequence[TestSend]) -> None:
    """Write held ones back."""
    await unit.execute_many(
        "UPDATE test_send SET state = $2, reference = $3, error_class = $4, error_text = $5,"
        " receipt_at = $6, answered_at = $7, answer = $8 WHERE id = $1",
        [
            (
                t.id,
                t.state,
                t.reference,
                t.error_class,
                t.error_text,
                t.receipt_at,
                t.answered_at,
                t.answer,
            )
            for t in tests
        ],
    )


async def count_by_hand(unit: Unit, officer_id: int | None, *, since: datetime) -> int:
    """Return how many an officer (None: the command) has sent since an instant."""
    whose = "officer_id IS NULL" if officer_id is None else "officer_id = $2"
    params = () if officer_id is None else (officer_id,)
    row = await unit.fetch_one(
        "SELECT count(*) AS n FROM test_send WHERE purpose = 'by_hand' AND sent_at > $1"
        f" AND {whose}",
        since,
        *params,
    )
    return int(row["n"]) if row else 0


async def forget_senders(unit: Unit, *, before: datetime) -> int:
    """Say of those that were being sent when their process died that nobody knows."""
    return await unit.execute(
        "UPDATE test_send SET state = 'unknown' WHERE state = 'sending' AND sent_at <= $1", before
    )


async def newest_of_addresses(
    unit: Unit, addresses: Sequence[str], *, since: datetime
) -> dict[str, TestSend]:
    """Return the newest test that went to each address since an instant."""
    rows = await unit.fetch(
        f"SELECT {_COLUMNS} FROM test_send WHERE address = ANY($1) AND sent_at > $2 ORDER BY id",
        list(addresses),
        since,
    )
    return {row["address"]: test_send_of(row) for row in rows}


async def last_of_carriers(
    unit: Unit, names: Sequence[str], *, most: int
) -> dict[str, list[TestSend]]:
    """Return the latest tests of each carrier, newest first."""
    found: dict[str, list[TestSend]] = {}
    for name in names:
        rows = await unit.fetch(
            f"SELECT {_COLUMNS} FROM test_send WHERE carrier = $1 ORDER BY id DESC LIMIT $2",
            name,
            most,
        )
        found[name] = [test_send_of(row) for row in rows]
    return found


async def canaries_of(
    unit: Unit, carrier: str, *, states: Sequence[str], errors: Sequence[str]
) -> tuple[TestSend | None, TestSend | None, TestSend | None]:
    """Return a carrier's last canary, the last that came through, and the first one after that.

    One came through that is in one of these states, or was undelivered with one of these errors.
    """
    canary = f"SELECT {_COLUMNS} FROM test_send WHERE carrier = $1 AND purpose = 'canary'"
    last = await unit.fetch_one(f"{canary} ORDER BY id DESC LIMIT 1", carrier)
    through = await unit.fetch_one(
        f"{canary} AND (state = ANY($2) OR (state = 'undelivered' AND error_class = ANY($3)))"
        " ORDER BY id DESC LIMIT 1",
        carrier,
        list(states),
        list(errors),
    )
    after = await unit.fetch_one(
        f"{canary} AND id > $2 ORDER BY id LIMIT 1", carrier, through["id"] if through else 0
    )
    return (
        test_send_of(last) if last else None,
        test_send_of(through) if through else None,
        test_send_of(after) if after else None,
    )


async def last_canary_at(unit: Unit, carrier: str) -> datetime | None:
    """Return when a carrier's last canary was sent, or tried."""
    row = await unit.fetch_one(
        "SELECT sent_at FROM test_send WHERE carrier = $1 AND purpose = 'canary'"
        " ORDER BY id DESC LIMIT 1",
        carrier,
    )
    return row["sent_at"] if row else None

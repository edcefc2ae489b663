"""Pace and circuits of the carriers: one row each, which all workers share.

A claim holds its carrier's pace row, so that two workers never give out the same slot. It never
decides: `core.pace` and `core.circuit` do.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from warnsvc.core.circuit import Circuit, CircuitState
from warnsvc.core.pace import Bucket
from warnsvc.store.port import Row, Unit


async def hold_buckets(
    unit: Unit, per_second: Mapping[str, float], *, now: datetime
) -> dict[str, Bucket]:
    """Return these buckets (name → full pace), held; one that is not there yet is full."""
    rows = await unit.fetch(
        "SELECT name, next_at, factor, throttled_at FROM pace WHERE name = ANY($1)"
        " ORDER BY name FOR UPDATE",
        list(per_second),
    )
    if len(rows) < len(per_second):
        await unit.execute_many(
            "INSERT INTO pace (name, next_at, factor) VALUES ($1, $2, 1.0)"
            " ON CONFLICT (name) DO NOTHING",
            [(name, now) for name in sorted(per_second)],
        )
        return await hold_buckets(unit, per_second, now=now)
    return {row["name"]: _bucket(row, per_second[row["name"]]) for row in rows}


def _bucket(row: Row, per_second: float) -> Bucket:
    return Bucket(
        name=row["name"],
        per_second=per_second,
        next_at=row["next_at"],
        factor=float(row["factor"]),
        throttled_at=row["throttled_at"],
    )


async def save_buckets(unit: Unit, buckets: Iterable[Bucket]) -> None:
    """Write held buckets back."""
    await unit.execute_many(
        "UPDATE pace SET next_at = $2, factor = $3, throttled_at = $4 WHERE name = $1",
        [(b.name, b.next_at, b.factor, b.throttled_at) for b in buckets],
    )


# Circuits ------------------------------------------------------------------------------------

_CIRCUIT = (
    "SELECT name, state, failures, openings, probe_at, last_ok_at, last_failed_at, last_error,"
    " changed_at FROM circuit"
)


async def load_circuits(unit: Unit) -> dict[str, Circuit]:
    """Return the circuits of all carriers that were ever tried."""
    return {row["name"]: _circuit(row) for row in await unit.fetch(f"{_CIRCUIT} ORDER BY name")}


async def hold_circuit(unit: Unit, name: str, *, now: datetime) -> Circuit:
    """Return a carrier's circuit, held."""
    await unit.execute(
        "INSERT INTO circuit (name, state, failures, openings, last_error, changed_at)"
        " VALUES ($1, 'closed', 0, 0, '', $2) ON CONFLICT (name) DO NOTHING",
        name,
        now,
    )
    row = await unit.fetch_one(f"{_CIRCUIT} WHERE name = $1 FOR UPDATE", name)
    assert row is not None
    return _circuit(row)


def _circuit(row: Row) -> Circuit:
    return Circuit(
        name=row["name"],
        changed_at=row["changed_at"],
        state=CircuitState(row["state"]),
        failures=row["failures"],
        openings=row["openings"],
        probe_at=row["probe_at"],
        last_ok_at=row["last_ok_at"],
        last_failed_at=row["last_failed_at"],
        last_error=row["last_error"],
    )


async def save_circuit(unit: Unit, circuit: Circuit) -> None:
    """Write a held circuit back."""
    await unit.execute(
        "UPDATE circuit SET state = $2, failures = $3, openings = $4, probe_at = $5,"
        " last_ok_at = $6, last_failed_at = $7, last_error = $8, changed_at = $9 WHERE name = $1",
        circuit.name,
        circuit.state.value,
        circuit.failures,
        circuit.openings,
        circuit.probe_at,
        circuit.last_ok_at,
        circuit.last_failed_at,
        circuit.last_error,
        circuit.changed_at,
    )


async def raise_channel_alarm(unit: Unit, carrier: str, *, now: datetime) -> None:
    """One alarm per carrier while its circuit is open. The circuit is held."""
    await _raise_once(unit, "channel", carrier, now)


async def raise_filtered_alarms(unit: Unit, carriers: Collection[str], *, now: datetime) -> None:
    """One alarm per carrier that refuses a text, until somebody has seen it: the same text would
    be refused again, and only a person can write another."""
    for carrier in sorted(carriers):
        await _raise_once(unit, "filtered", carrier, now)


async def _raise_once(unit: Unit, kind: str, text: str, now: datetime) -> None:
    open_ = await unit.fetch_one(
        "SELECT id FROM alarm WHERE kind = $1 AND text = $2 AND ended_at IS NULL"
        " AND (kind <> 'filtered' OR acknowledged_at IS NULL)",
        kind,
        text,
    )
    if open_ is None:
        (alarm_id,) = await unit.new_ids("alarm", 1)
        await unit.insert_rows(
            "alarm", ("id", "kind", "text", "raised_at"), [(alarm_id, kind, text, now)]
        )


async def end_channel_alarm(unit: Unit, carrier: str, *, now: datetime) -> None:
    """The carrier is back."""
    await unit.execute(
        "UPDATE alarm SET ended_at = $2 WHERE kind = 'channel' AND text = $1 AND ended_at IS NULL",
        carrier,
        now,
    )


# Callees -------------------------------------------------------------------------------------


async def starts_of(
    unit: Unit,
    channel: str,
    addresses: Sequence[str],
    *,
    but: Sequence[int],
    now: datetime,
    seconds: int,
) -> dict[str, list[datetime]]:
    """Return when these addresses were sent to lately; what is under way counts as now."""
    rows = await unit.fetch(
        "SELECT id, address, state, sent_at FROM attempt WHERE address = ANY($1) AND channel = $2"
        " AND send_count > 0 AND (sent_at > $3 OR state = 'sending')",
        list(addresses),
        channel,
        now - timedelta(seconds=seconds),
    )
    left_out = set(but)
    starts: dict[str, list[datetime]] = defaultdict(list)
    for row in rows:
        if row["id"] not in left_out:
            starts[row["address"]].append(row["sent_at"] or now)
    return starts

"""Circuits as they change: the row, the desk's alarm and the ledger line, in one unit.

    sends (`outbox.carrier`) ──┐
    receipts: "your account" ──┴─► before, after ──► row + alarm + line

It judges no send; `core.circuit` decides. Whoever holds a circuit holds it for one unit and nothing
after it.
"""

from collections.abc import Iterable

import structlog

from warnsvc.core.circuit import Circuit, CircuitState, Told, decide
from warnsvc.core.ledger import Line
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.store.ledger import append_lines
from warnsvc.store.pace import (
    end_channel_alarm,
    hold_circuit,
    raise_channel_alarm,
    save_circuit,
)
from warnsvc.store.port import Unit

log = structlog.get_logger(__name__)

Said = tuple[Told, str]


async def change_circuit(
    ctx: Context, unit: Unit, name: str, told: Iterable[Said], *, actor: str
) -> tuple[Circuit, Circuit]:
    """Take in what a carrier told; returns its circuit before and after."""
    now = ctx.clock.now()
    before = await hold_circuit(unit, name, now=now)
    after = decide(before, told, now)
    await save_circuit(unit, after)
    if before.state is after.state:
        return before, after
    log.warning("circuit.changed", carrier=name, was=before.state, to=after.state)
    if after.state is CircuitState.OPEN:
        await raise_channel_alarm(unit, name, now=now)
    elif after.state is CircuitState.CLOSED:
        await end_channel_alarm(unit, name, now=now)
    line = Line(
        act="circuit.changed",
        actor=actor,
        from_state=before.state.value,
        to_state=after.state.value,
        why=after.last_error if after.state is CircuitState.OPEN else "a probe was answered",
        data={"carrier": name, "failures": after.failures},
    )
    await append_lines(unit, [line], now=now)
    return before, after


async def tell_of_account(ctx: Context, name: str, words: str) -> None:
    """A carrier took what it would not bring, because our account is wrong. Raises StoreFault."""
    async with ctx.store.unit() as unit:
        told = [(Told.REFUSED_US, words)]
        before, after = await change_circuit(ctx, unit, name, told, actor="carrier")
    if before.state is not after.state:
        await ctx.store.wake(WAKE_WORK, WAKE_BOARD)

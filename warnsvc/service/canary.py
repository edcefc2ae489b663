"""Canaries: a message to a test number on a schedule, so that a dead carrier is not found at 3 a.m.

    every half minute: who is due? ──► row, carrier, outcome (`test_send`)
      its circuit is open ──► the canary is the probe that may close it, when a probe is due
      none came through for two turns ──► alarm `canary`, ended by the next one that does

What is due is read from the last row: instants are stored, a restart neither forgets a turn nor
sends two. While a circuit is open the desk has that alarm already and gets no second one. It goes
outside the queue and its pace, one send a turn.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from channels.base import Channel
from channels.errors import ErrorClass
from warnsvc.core.circuit import CircuitState, probing
from warnsvc.core.refusal import Refusal
from warnsvc.outbox.carrier import CarrierWatch
from warnsvc.service.alarm import end_alarm, raise_alarm
from warnsvc.service.canary_silence import TURNS_MAX, Heard, load_heard
from warnsvc.service.carrier_account import Account, load_accounts
from warnsvc.service.context import WAKE_BOARD, Context
from warnsvc.service.test_send import CANARY, Prepared, carry_out, prepare, write_down
from warnsvc.store.pace import hold_circuit, load_circuits, save_circuit
from warnsvc.store.port import StoreFault, Unit
from warnsvc.store.test_send import TestSend, add_test, forget_senders, last_canary_at

log = structlog.get_logger(__name__)

SENDING_SECONDS_MAX = 60.0
"""Four times a carrier's time limit: whoever was sending has died."""
ALARM = "canary"
ACTOR = "canary"


async def tend_canaries(ctx: Context, *, own: Context | None = None) -> int:
    """Send the canaries that are due and judge the silence; returns how many were sent.

    `ctx` may be fenced. `own` writes outcomes: what we have sent we know, whoever leads by then.
    """
    await _forget_the_dead(ctx)
    async with ctx.store.view() as view:
        accounts = [a for a in await load_accounts(ctx, view) if a.has_canary]
        now = ctx.clock.now()
        due = [a for a in accounts if await _is_due(view, a, now)]
    sent = 0
    for account in due:
        if (channel := ctx.fleet.channels.get(account.name)) is not None:
            sent += await _try_to_send(ctx, own or ctx, account, channel)
    await _judge(ctx, accounts)
    return sent


async def _forget_the_dead(ctx: Context) -> None:
    before = ctx.clock.now() - timedelta(seconds=SENDING_SECONDS_MAX)
    async with ctx.store.view() as view:
        row = await view.fetch_one(
            "SELECT COUNT(*) AS n FROM test_send WHERE state = 'sending' AND sent_at <= $1", before
        )
    if row and row["n"]:
        async with ctx.store.unit() as unit:
            await forget_senders(unit, before=before)


async def _try_to_send(ctx: Context, own: Context, account: Account, channel: Channel) -> int:
    """One carrier whose adapter is broken keeps no other's canary waiting."""
    try:
        return await _send(ctx, own, account, channel)
    except StoreFault:
        raise
    except Exception:
        log.exception("canary.broke", carrier=account.name)
        return 0


async def _send(ctx: Context, own: Context, account: Account, channel: Channel) -> int:
    prepared, refusal = _prepared(ctx, account, channel)
    async with ctx.store.unit() as unit:
        now = ctx.clock.now()
        if not await _is_ours(unit, account, now):
            return 0
        if prepared is None:
            assert refusal is not None
            await _write_refused(unit, account, refusal, now)
            return 0
        test = await write_down(unit, channel, prepared, purpose=CANARY, officer_id=None, now=now)
    _, said = await carry_out(own, channel, test, prepared.words)
    await CarrierWatch(own, owner=ACTOR).note(channel, [said])
    return 1


def _prepared(
    ctx: Context, account: Account, channel: Channel
) -> tuple[Prepared | None, Refusal | None]:
    try:
        language = ctx.settings.language
        return prepare(ctx, channel, address=account.canary_to, language=language), None
    except Refusal as refusal:
        return None, refusal


async def _is_due(view: Unit, account: Account, now: datetime) -> bool:
    """Whether its turn has come, or its open circuit waits for a probe."""
    circuit = (await load_circuits(view)).get(account.name)
    if circuit is not None and (probes := circuit.may_send(now)) is not None:
        return probes > 0
    last_at = await last_canary_at(view, account.name)
    return last_at is None or last_at + timedelta(minutes=account.canary_minutes) <= now


async def _is_ours(unit: Unit, account: Account, now: datetime) -> bool:
    """Whether it is still due, in the unit that writes it down; the probe is then ours."""
    if not await _is_due(unit, account, now):
        return False
    circuit = (await load_circuits(unit)).get(account.name)
    if circuit is None or circuit.may_send(now) is None:
        return True
    held = await hold_circuit(unit, account.name, now=now)
    if held.may_send(now) == 0:
        return False
    if held.state is not CircuitState.CLOSED:
        await save_circuit(unit, probing(held, now))
    return True


async def _write_refused(unit: Unit, account: Account, refusal: Refusal, now: datetime) -> None:
    """A canary that its carrier cannot send (no template, say) has failed like any other."""
    (test_id,) = await unit.new_ids("test_send", 1)
    test = TestSend(
        id=test_id,
        carrier=account.name,
        purpose=CANARY,
        address=account.canary_to,
        text="",
        state="failed",
        sent_at=now,
        error_class=ErrorClass.FILTERED.value,
        error_text=refusal.code,
    )
    await add_test(unit, test)
    log.warning("canary.refused", carrier=account.name, code=refusal.code)


# The silence -----------------------------------------------------------------------------------


async def _judge(ctx: Context, accounts: Sequence[Account]) -> None:
    """Raise an alarm for each carrier that has fallen silent, and end those whose cause is over."""
    now = ctx.clock.now()
    async with ctx.store.view() as view:
        circuits = await load_circuits(view)
        told = await _told(view)
        heard = {a.name: await _heard(ctx, view, a) for a in accounts}
    broken = {n for n, c in circuits.items() if c.state is not CircuitState.CLOSED}
    silent = {a.name for a in accounts if heard[a.name].is_silent(a.canary_minutes, now)}
    begin = [a for a in accounts if a.name in silent - told - broken]
    end = sorted(told - silent)
    if not begin and not end:
        return
    async with ctx.store.unit() as unit:
        for account in begin:
            seconds = TURNS_MAX * account.canary_minutes * 60
            text = f"{account.name} {seconds}"
            await raise_alarm(unit, ALARM, text, now=now, subject=account.name)
        for name in end:
            await end_alarm(unit, ALARM, now=now, subject=name)
    await ctx.store.wake(WAKE_BOARD)


async def _told(view: Unit) -> set[str]:
    """Return the carriers whose alarm stands."""
    rows = await view.fetch(
        "SELECT text FROM alarm WHERE kind = $1 AND ended_at IS NULL AND bulletin_id IS NULL", ALARM
    )
    return {row["text"].split(" ")[0] for row in rows}


async def _heard(ctx: Context, view: Unit, account: Account) -> Heard:
    channel = ctx.fleet.channels.get(account.name)
    receipts = channel is None or channel.capabilities.receipts
    return await load_heard(view, account.name, receipts=receipts)


async def load_last_ok(ctx: Context, view: Unit) -> Mapping[str, datetime]:
    """Return by carrier when the last canary that came through was sent: for /metrics."""
    found = {}
    for name, channel in ctx.fleet.channels.items():
        heard = await load_heard(view, name, receipts=channel.capabilities.receipts)
        if heard.through_at is not None:
            found[name] = heard.through_at
    return found

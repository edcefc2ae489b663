"""Carriers to test pages on: one of every standing, with tests, canaries and a circuit's history.

    sms-county   a Kannel that works, with a canary        sms-abroad   its circuit is open
    voice-main   half open, speaks Chinese and English     endpoints    webhooks
    sms-spare    added, disabled                           sms-wrong    added, cannot be built

Nothing is sent but tests, to fakes in memory.
"""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from channels.base import Capabilities, ChannelKind, PaceLimit, PerCalleeLimit
from tests.fakes.channel import FakeChannel
from tests.fakes.clock import ManualClock
from warnsvc.core.circuit import Circuit, CircuitState
from warnsvc.core.ledger import Line
from warnsvc.core.route import RouteRule
from warnsvc.service.context import Context
from warnsvc.service.fleet import Fleet
from warnsvc.store.ledger import append_lines
from warnsvc.store.pace import hold_circuit, save_circuit
from warnsvc.store.port import Unit

SECRET = "a-secret-that-no-page-may-show"
CANARY = "+8613812345678"
ABROAD_ERROR = "20003 Authenticate: 138****5678"
CAN: dict[str, Capabilities] = {
    "sms-county": Capabilities(
        kind=ChannelKind.SMS,
        countries=frozenset({"86"}),
        inbound_countries=frozenset({"86"}),
        per_second=10,
        paces=(PaceLimit(name="sender:1069012345", per_second=5),),
    ),
    "sms-abroad": Capabilities(
        kind=ChannelKind.SMS,
        inbound_countries=frozenset({"1", "44"}),
        per_second=1,
        can_lookup=True,
        can_poll=True,
        per_callee=(PerCalleeLimit(count=50, seconds=86_400, hard=True),),
    ),
    "voice-main": Capabilities(
        kind=ChannelKind.VOICE,
        inbound_countries=frozenset({"*"}),
        dtmf=True,
        plays=True,
        lines=30,
        per_second=1,
        languages=frozenset({"zh", "en"}),
        can_cancel=True,
        can_lookup=True,
        per_callee=(
            PerCalleeLimit(count=1, seconds=60, hard=True),
            PerCalleeLimit(count=5, seconds=3600),
        ),
    ),
    "endpoints": Capabilities(
        kind=ChannelKind.WEBHOOK, inbound_countries=frozenset({"*"}), many_hosts=True, per_second=20
    ),
}
RULES = (
    RouteRule(
        kind="sms",
        countries=frozenset({"86"}),
        languages=frozenset({"zh", "en"}),
        carriers=("sms-county", "sms-abroad"),
        receipt_seconds=90,
    ),
    RouteRule(kind="sms", countries=frozenset({"86"}), carriers=("sms-abroad", "sms-gone")),
    RouteRule(kind="sms", carriers=("sms-abroad",)),
)


def carrier_settings(folder: Path) -> list[dict[str, Any]]:
    """Return `[[carriers]]` for these; the secret lies in a file."""
    path = folder / "carrier-secret"
    path.write_text(SECRET, encoding="utf-8")
    return [
        {
            "name": "sms-county", "kind": "sms", "adapter": "http-gateway",
            "params": {"profile": "kannel", "base_url": "https://user:pass@gateway.example/send?key=x",
                       "sender": "1069012345"},
            "secret_files": {"secret": str(path)}, "price": 0.045, "canary_to": CANARY, "canary_minutes": 60,
        },
        {
            "name": "sms-abroad", "kind": "sms", "adapter": "twilio-sms",
            "params": {"account_sid": "AC" + "0" * 32, "sender": "+12025550123"},
            "secrets": {"secret": SECRET}, "canary_to": CANARY, "canary_minutes": 60,
        },
        {
            "name": "voice-main", "kind": "voice", "adapter": "twilio-voice",
            "params": {"account_sid": "AC" + "0" * 32, "sender": "+12025550123"},
            "secrets": {"secret": SECRET},
        },
        {"name": "endpoints", "kind": "webhook", "adapter": "webhook",
         "secrets": {"secret": SECRET}},
    ]  # fmt: skip


def fleet(clock: ManualClock) -> Fleet:
    """Return the carriers that this process has."""
    return Fleet({name: fake(name, clock) for name in CAN}, RULES)


def fake(name: str, clock: ManualClock) -> FakeChannel:
    """Return a carrier in memory that can do what its page says."""
    channel = FakeChannel(CAN[name].kind, clock=clock.now, name=name)
    channel.capabilities = CAN[name]
    return channel


async def seed_carriers(ctx: Context) -> None:
    """Write down an evening of theirs."""
    async with ctx.store.unit() as unit:
        await _circuits(unit, ctx)
        await _added(unit, ctx)
        await _tests(unit, ctx)


async def _circuits(unit: Unit, ctx: Context) -> None:
    now = ctx.clock.now()
    past = now - timedelta(minutes=1)
    circuits = [
        Circuit(name="sms-county", changed_at=past, last_ok_at=now - timedelta(seconds=12)),
        Circuit(
            name="sms-abroad", changed_at=past, state=CircuitState.OPEN, failures=3,
            probe_at=now + timedelta(seconds=20), last_failed_at=past, last_error=ABROAD_ERROR,
            last_ok_at=now - timedelta(hours=3),
        ),
        Circuit(
            name="voice-main", changed_at=past, state=CircuitState.HALF_OPEN, failures=6,
            probe_at=now + timedelta(seconds=20), last_failed_at=past, last_error="timeout",
        ),
    ]  # fmt: skip
    for circuit in circuits:
        held = await hold_circuit(unit, circuit.name, now=now)
        await save_circuit(unit, replace(circuit, openings=held.openings))
    await unit.execute_many(
        "INSERT INTO pace (name, next_at, factor, throttled_at) VALUES ($1, $2, $3, $2)",
        [("carrier:sms-county", now, 0.5)],
    )
    lines = [
        Line(act="circuit.changed", actor="engine", from_state=was, to_state=to, why=why,
             data={"carrier": name, "failures": failures})
        for name, was, to, why, failures in (
            ("sms-abroad", "closed", "open", "timeout", 5),
            ("sms-abroad", "open", "closed", "a probe was answered", 0),
            ("voice-main", "closed", "open", "timeout", 5),
            ("sms-abroad", "closed", "open", ABROAD_ERROR, 3),
        )
    ]  # fmt: skip
    await append_lines(unit, lines, now=now)


async def _added(unit: Unit, ctx: Context) -> None:
    now = ctx.clock.now()
    simulated = {"base_url": "https://sim.example", "account": "warnsvc", "sender": "1069"}
    rows = [
        ("sms-spare", "sms", "simulated-sms", simulated, 1, False),
        ("sms-wrong", "sms", "simulated-sms", {"base_url": "https://sim.example"}, 2, True),
    ]
    await unit.insert_rows(
        "carrier",
        ("name", "kind", "adapter", "params_json", "secret_files_json", "ordinal", "enabled",
         "created_at", "changed_at"),
        [
            (name, kind, adapter, json.dumps(params), '{"secret": "/run/secrets/spare"}', ordinal,
             enabled, now, now)
            for name, kind, adapter, params, ordinal, enabled in rows
        ],
    )  # fmt: skip


async def _tests(unit: Unit, ctx: Context) -> None:
    now = ctx.clock.now()
    rows: list[tuple[Any, ...]] = []
    for carrier, purpose, minutes, state, seconds, answer in (
        ("sms-county", "canary", 90, "delivered", 4, ""),
        ("sms-county", "by_hand", 45, "delivered", 6, "1"),
        ("sms-county", "canary", 30, "delivered", 3, ""),
        ("sms-abroad", "canary", 240, "delivered", 3, ""),
        ("sms-abroad", "canary", 180, "failed", 0, ""),
        ("sms-abroad", "canary", 120, "failed", 0, ""),
        ("sms-abroad", "canary", 60, "failed", 0, ""),
    ):
        at = now - timedelta(minutes=minutes)
        heard = at + timedelta(seconds=seconds) if seconds else None
        rows.append(
            (carrier, purpose, CANARY, "测试", state, at, heard, heard if answer else None, answer,
             "config" if state == "failed" else None, ABROAD_ERROR if state == "failed" else None)
        )  # fmt: skip
    ids = await unit.new_ids("test_send", len(rows))
    await unit.insert_rows(
        "test_send",
        ("id", "carrier", "purpose", "address", "text", "state", "sent_at", "receipt_at",
         "answered_at", "answer", "error_class", "error_text"),
        [(number, *row) for number, row in zip(ids, rows, strict=True)],
    )  # fmt: skip

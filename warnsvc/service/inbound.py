"""Applying inbound facts: receipts raise attempts, answers move callouts, in order, exactly once.

    new facts ──► attempts and callouts they are about ──► one case per bulletin ──► rows and lines

Facts are taken in batches; should a batch fail, its facts are applied one by one, and one that
keeps failing is set aside with an alarm so that the others go on. A reply by SMS names no call: it
counts for whoever is called at that number in the newest bulletin that still waits for him. If none
does and the last we sent him was a test, it answers the test.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import structlog

from channels.base import ReceiptWord
from channels.errors import ErrorClass
from warnsvc.core.answer import (
    RUNG_CUT_SHORT,
    RUNG_DELIVERED,
    RUNG_HEARD,
    RUNG_RINGING,
    RUNG_SUBMITTED,
    AnswerKind,
    answer,
    parse,
)
from warnsvc.core.bulletin import Bulletin
from warnsvc.core.callout import Failure
from warnsvc.core.ledger import Line
from warnsvc.core.pack import Rule
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.service.fault import is_databases_own
from warnsvc.service.reference import BY_REFERENCE, Nameless, find_nameless
from warnsvc.service.reroute import is_from_before, reroute_refused
from warnsvc.service.step import save_case
from warnsvc.service.test_reply import tests_of_senders
from warnsvc.service.test_word import mark_answered
from warnsvc.store.attempt import (
    Receipt,
    callouts_of_addresses,
    flag_numbers,
    hold_attempts,
    load_attempts,
    raise_rungs,
    record_receipts,
)
from warnsvc.store.bulletin import load_bulletins
from warnsvc.store.case import failure_of, load_case_for_callouts
from warnsvc.store.inbound import count_try, mark, take_new
from warnsvc.store.ledger import append_lines
from warnsvc.store.pace import raise_filtered_alarms
from warnsvc.store.port import Row, RowBusy, Unit
from warnsvc.store.test_send import TestSend

log = structlog.get_logger(__name__)

BATCH = 1_000
"""Facts in one unit: about 0.2 s of work, so that a deadline never waits longer behind it."""

_STATE_OF = {
    ReceiptWord.ACCEPTED: "accepted",
    ReceiptWord.SENT: "accepted",
    ReceiptWord.RINGING: "accepted",
    ReceiptWord.PICKED_UP: "accepted",
    ReceiptWord.CUT_SHORT: "undelivered",
    ReceiptWord.HEARD: "delivered",
    ReceiptWord.DELIVERED: "delivered",
    ReceiptWord.UNDELIVERED: "undelivered",
}
_RANK = {
    "planned": 0,
    "sending": 0,
    "unknown": 0,
    "accepted": 1,
    "expired": 2,
    "failed": 2,
    "cancelled": 2,
    "undelivered": 3,
    "delivered": 4,
}
"""A receipt raises an attempt's state and never lowers it (carriers.md §5.5)."""
_RUNG_OF = {
    ReceiptWord.ACCEPTED: RUNG_SUBMITTED,
    ReceiptWord.SENT: RUNG_SUBMITTED,
    ReceiptWord.RINGING: RUNG_RINGING,
    ReceiptWord.PICKED_UP: RUNG_RINGING,
    ReceiptWord.CUT_SHORT: RUNG_CUT_SHORT,
    ReceiptWord.HEARD: RUNG_HEARD,
    ReceiptWord.DELIVERED: RUNG_DELIVERED,
}
_ANSWER_COLUMNS = (
    "id",
    "bulletin_id",
    "callout_id",
    "inbound_id",
    "kind",
    "rung",
    "channel",
    "text",
    "late",
    "happened_at",
    "entered_at",
)


@dataclass(slots=True)
class _Work:
    """What one batch means for one bulletin."""

    answers: list[tuple[Row, int]] = field(default_factory=list)
    """(fact, callout)"""
    heard: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)


async def apply_inbound(ctx: Context) -> int:
    """Apply the next batch; returns how many facts were taken. Call again while it is full.

    Raises StoreFault when the database is at fault: that is no fact's doing, and none is blamed.
    """
    try:
        return await _apply_batch(ctx)
    except RowBusy as busy:
        # Somebody holds a bulletin for long, as a worker does that was cut off: windows go on.
        log.warning("inbound.bulletin_held", error=str(busy))
        return 0
    except Exception as fault:
        if is_databases_own(fault):
            raise
        log.exception("inbound.batch_failed")
        return await _apply_singly(ctx)


async def _apply_singly(ctx: Context) -> int:
    """Find the fact that spoils the batch; every other one is applied."""
    async with ctx.store.view() as unit:
        rows = await unit.fetch(
            "SELECT id FROM inbound WHERE state = 'new' ORDER BY id LIMIT $1", BATCH
        )
    for row in rows:
        try:
            await _apply_batch(ctx, only=row["id"])
        except Exception as fault:
            if is_databases_own(fault):
                raise
            log.exception("inbound.fact_failed", inbound=row["id"])
            await _count_try(ctx, row["id"])
    return len(rows)


async def _count_try(ctx: Context, inbound_id: int) -> None:
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        if await count_try(unit, inbound_id):
            (alarm_id,) = await unit.new_ids("alarm", 1)
            await unit.insert_rows(
                "alarm",
                ("id", "kind", "text", "raised_at"),
                [(alarm_id, "poison", str(inbound_id), now)],
            )
            line = Line(act="inbound.poison", data={"inbound": inbound_id})
            await append_lines(unit, [line], now=now)


async def _apply_batch(ctx: Context, *, only: int | None = None) -> int:
    now = ctx.clock.now()
    async with ctx.store.unit() as unit:
        facts = await take_new(unit, BATCH, only=only)
        if not facts:
            return 0
        states: list[tuple[int, str, str]] = []
        said = [_said(fact) for fact in facts if fact["kind"] == "receipt"]
        receipts = await _named(unit, said, states, now)
        work: dict[int, _Work] = {}
        await _sort_answers(unit, [f for f in facts if f["kind"] == "answer"], work, states, now)
        # Bulletins before attempts, as everybody who decides takes them.
        await unit.lock_bulletins({*work, *await _decided_by(unit, receipts)})
        await _sort_receipts(ctx, unit, receipts, work, states, now)
        bulletins = await load_bulletins(unit, sorted(work))
        planned = [
            await _apply_to_bulletin(ctx, unit, *bulletins[bulletin_id], item, now)
            for bulletin_id, item in sorted(work.items())
        ]
        await mark(unit, states)
    # The outbox is woken only when there is something new to send: facts come by the thousand.
    await ctx.store.wake(WAKE_BOARD, *((WAKE_WORK,) if any(planned) else ()))
    return len(facts)


# Receipts ------------------------------------------------------------------------------------


class _Receipt(NamedTuple):
    """A receipt as it came, with what it says."""

    fact: Row
    word: ReceiptWord
    said: dict[str, Any]
    attempt_id: int | None


def _said(fact: Row) -> _Receipt:
    said = json.loads(fact["fact_json"])
    return _Receipt(fact, ReceiptWord(said["word"]), said, fact["attempt_id"])


async def _named(
    unit: Unit,
    receipts: Sequence[_Receipt],
    states: list[tuple[int, str, str]],
    now: datetime,
) -> list[_Receipt]:
    """Find what those are about that name only their carrier's reference; return what remains to
    be applied to attempts. References before bulletins, as everybody takes them."""
    nameless = [Nameless(r.fact, r.said) for r in receipts if r.said.get(BY_REFERENCE)]
    if not nameless:
        return list(receipts)
    found = await find_nameless(unit, nameless, now)
    states += [(inbound_id, "applied", "the receipt of a test") for inbound_id in found.of_tests]
    theirs = {one.fact["id"] for one in nameless}
    return [
        r._replace(attempt_id=found.attempts.get(r.fact["id"], r.attempt_id))
        for r in receipts
        if r.fact["id"] not in theirs or r.fact["id"] in found.attempts
    ]


_DECIDING = frozenset({ReceiptWord.HEARD, ReceiptWord.UNDELIVERED})
"""The words after which somebody may have to be called, or need not be."""


async def _decided_by(unit: Unit, receipts: Sequence[_Receipt]) -> set[int]:
    """Return the bulletins in which something may follow from these receipts."""
    ids = {r.attempt_id for r in receipts if r.word in _DECIDING and r.attempt_id}
    attempts = await load_attempts(unit, sorted(ids)) if ids else {}
    return {attempt["bulletin_id"] for attempt in attempts.values()}


async def _sort_receipts(
    ctx: Context,
    unit: Unit,
    facts: Sequence[_Receipt],
    work: dict[int, _Work],
    states: list[tuple[int, str, str]],
    now: datetime,
) -> None:
    """Record what receipts say, and note whom a failure or a heard call is about."""
    if not facts:
        return
    ids = sorted({f.attempt_id for f in facts if f.attempt_id})
    attempts = await hold_attempts(unit, ids)
    state_now = {i: a["state"] for i, a in attempts.items()}
    receipts: dict[int, Receipt] = {}
    rungs: dict[int, int] = {}
    wrong: list[int] = []
    told: dict[int, list[list[Any]]] = {}
    elsewhere = await reroute_refused(ctx, unit, _refused(facts, attempts), now)
    for fact, word, said, attempt_id in facts:
        attempt = attempts.get(attempt_id) if attempt_id else None
        if attempt is None:
            states.append((fact["id"], "unmatched", "no such attempt"))
            continue
        states.append((fact["id"], "applied", ""))
        call_id = attempt["callout_id"]
        if attempt["purpose"] == "call" and word in _RUNG_OF:
            rungs[call_id] = max(rungs.get(call_id, 0), _RUNG_OF[word])
        state = _STATE_OF[word]
        if is_from_before(attempt, fact["carrier"], state):
            continue
        if attempt["id"] in elsewhere and state != "delivered":
            continue
        if _RANK[state] <= _RANK[state_now[attempt["id"]]]:
            continue
        state_now[attempt["id"]] = state
        error_class = said.get("error_class") or (
            "cut_short" if word is ReceiptWord.CUT_SHORT else None
        )
        receipts[attempt["id"]] = Receipt(
            attempt["id"],
            state,
            now,
            fact["carrier"],
            said.get("reference") or None,
            error_class,
            said.get("code") or None,
        )
        told.setdefault(attempt["bulletin_id"], []).append(
            [attempt["id"], call_id, state, error_class or ""]
        )
        if attempt["purpose"] == "call":
            _note(work, attempt, word, failure_of(state, error_class))
        if error_class == ErrorClass.BAD_NUMBER:
            wrong.append(attempt["id"])
    await record_receipts(unit, receipts.values())
    await flag_numbers(unit, wrong, now=now)
    filtering = {
        fact["carrier"]
        for fact, _, said, _ in facts
        if said.get("error_class") == ErrorClass.FILTERED
    }
    await raise_filtered_alarms(unit, filtering, now=now)
    await raise_rungs(unit, rungs, now=now)
    await append_lines(
        unit,
        [
            Line(act="attempt.receipts", actor="carrier", bulletin_id=b, data={"attempts": rows})
            for b, rows in told.items()
        ],
        now=now,
    )


def _refused(
    facts: Sequence[_Receipt], attempts: Mapping[int, Row]
) -> dict[int, tuple[Row, str]]:
    """Return what its carrier took and did not bring, and brought by none of these receipts."""
    arrived = {f.attempt_id for f in facts if _STATE_OF[f.word] == "delivered"}
    return {
        attempt["id"]: (attempt, str(said.get("error_class", "")))
        for fact, word, said, attempt_id in facts
        if word is ReceiptWord.UNDELIVERED
        and attempt_id
        and (attempt := attempts.get(attempt_id)) is not None
        and attempt["id"] not in arrived
        and fact["carrier"] == attempt["carrier"]
    }


def _note(work: dict[int, _Work], attempt: Row, word: ReceiptWord, failure: Failure | None) -> None:
    item = work.setdefault(attempt["bulletin_id"], _Work())
    if word is ReceiptWord.HEARD:
        item.heard.append(attempt["callout_id"])
    elif failure in {Failure.DEAD, Failure.AWAY}:
        item.failed.append(attempt["callout_id"])
    elif not (item.answers or item.heard or item.failed):
        del work[attempt["bulletin_id"]]


# Answers -------------------------------------------------------------------------------------


async def _sort_answers(
    unit: Unit,
    facts: Sequence[Row],
    work: dict[int, _Work],
    states: list[tuple[int, str, str]],
    now: datetime,
) -> None:
    """Find whom each answer is from."""
    if not facts:
        return
    attempts = await load_attempts(
        unit, sorted({f["attempt_id"] for f in facts if f["attempt_id"]})
    )
    by_id = await _bulletin_of(unit, sorted({f["callout_id"] for f in facts if f["callout_id"]}))
    bare = sorted({f["sender"] for f in facts if not f["attempt_id"] and not f["callout_id"]})
    called = await callouts_of_addresses(unit, bare) if bare else []
    by_sender = _newest_waiting(called)
    awaited = {row["address"] for row in called if _awaits(row)}
    tests = await tests_of_senders(unit, bare, awaited, now=now)
    of_tests: dict[int, str] = {}
    lost = 0
    for fact in facts:
        if test := _test_of(fact, tests):
            of_tests[test.id] = fact["text"]
            states.append((fact["id"], "applied", "the answer to a test"))
            continue
        if fact["attempt_id"] in attempts:
            attempt = attempts[fact["attempt_id"]]
            found = [(attempt["callout_id"], attempt["bulletin_id"])]
        elif fact["callout_id"] in by_id:
            found = [(fact["callout_id"], by_id[fact["callout_id"]])]
        else:
            found = by_sender.get(fact["sender"], [])
        for callout_id, bulletin_id in found:
            work.setdefault(bulletin_id, _Work()).answers.append((fact, callout_id))
        if not found:
            lost += 1
            states.append((fact["id"], "unmatched", "nobody was called at this number"))
        elif parse(fact["text"]).kind is AnswerKind.UNCLEAR:
            states.append((fact["id"], "unmatched", "not understood"))
        else:
            states.append((fact["id"], "applied", ""))
    if of_tests:
        await mark_answered(unit, of_tests, now=now)
    if lost:
        await _alarm_unmatched(unit, lost, now)


def _test_of(fact: Row, tests: Mapping[str, TestSend]) -> TestSend | None:
    """Return the test that a reply which names nothing is about, if it is about one."""
    if fact["attempt_id"] or fact["callout_id"]:
        return None
    test = tests.get(fact["sender"])
    return test if test is not None and test.sent_at <= fact["received_at"] else None


async def _bulletin_of(unit: Unit, callout_ids: Sequence[int]) -> dict[int, int]:
    if not callout_ids:
        return {}
    rows = await unit.fetch(
        "SELECT id, bulletin_id FROM callout WHERE id = ANY($1)", list(callout_ids)
    )
    return {row["id"]: row["bulletin_id"] for row in rows}


_WAITING = frozenset({"waiting", "calling", "unreachable", "silent", "refused"})


def _awaits(called: Row) -> bool:
    """Whether a callout still waits for its answer."""
    return called["bulletin_state"] == "released" and called["callout_state"] in _WAITING


def _newest_waiting(rows: Iterable[Row]) -> dict[str, list[tuple[int, int]]]:
    """Address → the callouts of the newest bulletin that waits for somebody there, else the newest.

    Two people who share a phone are both credited: both were asked, and the phone has answered.
    """
    by_address: dict[str, dict[int, list[Row]]] = {}
    for row in rows:  # newest first
        by_address.setdefault(row["address"], {}).setdefault(row["bulletin_id"], []).append(row)
    chosen: dict[str, list[tuple[int, int]]] = {}
    for address, bulletins in by_address.items():
        waiting = [
            group
            for group in bulletins.values()
            if any(_awaits(r) for r in group)
        ]
        group = (waiting or list(bulletins.values()))[0]
        chosen[address] = [(row["callout_id"], row["bulletin_id"]) for row in group]
    return chosen


async def _alarm_unmatched(unit: Unit, many: int, now: datetime) -> None:
    """One alarm while an earlier one is open: a hundred wrong replies are one thing to look at."""
    open_ = await unit.fetch_one(
        "SELECT id FROM alarm WHERE kind = 'unmatched' AND bulletin_id IS NULL"
        " AND acknowledged_at IS NULL AND ended_at IS NULL"
    )
    if open_ is None:
        (alarm_id,) = await unit.new_ids("alarm", 1)
        await unit.insert_rows(
            "alarm", ("id", "kind", "text", "raised_at"), [(alarm_id, "unmatched", str(many), now)]
        )


# One bulletin --------------------------------------------------------------------------------


async def _apply_to_bulletin(
    ctx: Context, unit: Unit, bulletin: Bulletin, rule: Rule, item: _Work, now: datetime
) -> bool:
    callout_ids = list(dict.fromkeys([*(c for _, c in item.answers), *item.heard, *item.failed]))
    case = await load_case_for_callouts(
        unit, callout_ids, bulletin_id=bulletin.id, rule=rule, now=now
    )
    rows = []
    for fact, callout_id in item.answers:
        said = parse(fact["text"])
        late = case.answered(
            callout_id,
            said.kind,
            said.rung,
            happened_at=fact["received_at"],
            channel=fact["channel"],
        )
        rows.append((fact, callout_id, said, late))
    for callout_id in item.heard:
        if rule.closing_rung <= RUNG_HEARD:
            heard = answer(AnswerKind.HEARD)
            case.answered(
                callout_id,
                heard.kind,
                heard.rung,
                happened_at=now,
                    channel="voice",
            )
    case.attempts_failed(item.failed)
    ids = await unit.new_ids("answer", len(rows)) if rows else []
    await unit.insert_rows(
        "answer",
        _ANSWER_COLUMNS,
        [
            (
                new_id,
                bulletin.id,
                callout_id,
                fact["id"],
                said.kind.value,
                said.rung,
                fact["channel"],
                fact["text"],
                late,
                fact["received_at"],
                now,
            )
            for new_id, (fact, callout_id, said, late) in zip(ids, rows, strict=True)
        ],
    )
    await save_case(ctx, unit, case, bulletin=bulletin, rule=rule, now=now)
    return bool(case.changes.attempts)

"""Receipts: what carriers say of attempts, folded into their states and into people's rungs.

    facts ──► the attempts they are about, held ──► refused, and another may: `reroute`
                                                └─► states and rungs rise, a ledger line a bulletin

A receipt never lowers anything, whatever the order of callbacks. A call that was heard to its end,
or that failed, is noted for its case (`inbound_work`), which decides what follows.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from channels.base import ReceiptWord
from channels.errors import ErrorClass
from warnsvc.core.callout import USELESS, Failure
from warnsvc.core.ledger import Line
from warnsvc.service.context import Context
from warnsvc.service.inbound_work import States, Work
from warnsvc.service.opt_out import CARRIER, tell_of_opt_outs
from warnsvc.service.receipt_word import CUT_SHORT, RANK, RUNG_OF, STATE_OF
from warnsvc.service.reference import BY_REFERENCE, Nameless, find_nameless
from warnsvc.service.reroute import is_from_before, reroute_refused
from warnsvc.store.attempt import (
    Receipt,
    flag_numbers,
    hold_attempts,
    load_attempts,
    raise_rungs,
    record_receipts,
)
from warnsvc.store.case import failure_of
from warnsvc.store.ledger import append_lines
from warnsvc.store.pace import raise_filtered_alarms
from warnsvc.store.port import Row, Unit

_DECIDING = frozenset({ReceiptWord.HEARD, ReceiptWord.UNDELIVERED})
"""The words after which somebody may have to be called, or need not be."""

_AT_ONCE = USELESS | {Failure.AWAY}
"""Failures after which somebody is called otherwise before his next round."""


class Told(NamedTuple):
    """A receipt as it came, with what it says."""

    fact: Row
    word: ReceiptWord
    said: dict[str, Any]
    attempt_id: int | None

    @property
    def state(self) -> str:
        """Where it takes its attempt."""
        return STATE_OF[self.word]

    @property
    def error_class(self) -> str | None:
        """Why it was in vain."""
        cut_short = CUT_SHORT if self.word is ReceiptWord.CUT_SHORT else None
        return self.said.get("error_class") or cut_short


def read_receipt(fact: Row) -> Told:
    """Read a fact. Raises ValueError for a word that nobody knows."""
    said = json.loads(fact["fact_json"])
    return Told(fact, ReceiptWord(said["word"]), said, fact["attempt_id"])


async def named(
    unit: Unit, receipts: Sequence[Told], states: States, now: datetime
) -> list[Told]:
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


async def decided_by(unit: Unit, receipts: Sequence[Told]) -> set[int]:
    """Return the bulletins in which something may follow from these receipts."""
    ids = {r.attempt_id for r in receipts if r.word in _DECIDING and r.attempt_id}
    attempts = await load_attempts(unit, sorted(ids)) if ids else {}
    return {attempt["bulletin_id"] for attempt in attempts.values()}


async def sort_receipts(
    ctx: Context,
    unit: Unit,
    receipts: Sequence[Told],
    work: dict[int, Work],
    states: States,
    now: datetime,
) -> None:
    """Record what receipts say, and note whom a failure or a heard call is about."""
    if not receipts:
        return
    attempts = await hold_attempts(unit, sorted({r.attempt_id for r in receipts if r.attempt_id}))
    elsewhere = await reroute_refused(ctx, unit, _refused(receipts, attempts), now)
    rising = _Rising(elsewhere, work, now)
    for receipt in receipts:
        attempt = attempts.get(receipt.attempt_id) if receipt.attempt_id else None
        if attempt is None:
            states.append((receipt.fact["id"], "unmatched", "no such attempt"))
            continue
        states.append((receipt.fact["id"], "applied", ""))
        rising.take(receipt, attempt)
    await rising.save(unit, filtering=_filtering(receipts))


def _refused(
    receipts: Iterable[Told], attempts: Mapping[int, Row]
) -> dict[int, tuple[Row, str]]:
    """Return what the carrier that has it will not bring, and did by none of these receipts."""
    arrived = {r.attempt_id for r in receipts if r.state == "delivered"}
    return {
        attempt["id"]: (attempt, str(r.said.get("error_class", "")))
        for r in receipts
        if r.word is ReceiptWord.UNDELIVERED
        and r.attempt_id
        and (attempt := attempts.get(r.attempt_id)) is not None
        and attempt["id"] not in arrived
        and r.fact["carrier"] == attempt["carrier"]
        and not is_from_before(attempt, r.fact["carrier"], r.state)
    }


def refusing_us(facts: Iterable[Row]) -> dict[str, str]:
    """Return the carriers that brought nothing because our account is wrong, with their code."""
    told = [read_receipt(f) for f in facts if f["kind"] == "receipt" and "config" in f["fact_json"]]
    return {
        one.fact["carrier"]: str(one.said.get("code") or "")
        for one in told
        if one.word is ReceiptWord.UNDELIVERED and one.error_class == ErrorClass.CONFIG
    }


def _filtering(receipts: Iterable[Told]) -> set[str]:
    """Return the carriers that did not bring a text for what it says."""
    filtered = ErrorClass.FILTERED
    return {r.fact["carrier"] for r in receipts if r.said.get("error_class") == filtered}


@dataclass(slots=True)
class _Rising:
    """What a batch of receipts raises, and what follows from it."""

    elsewhere: Collection[int]
    """Attempts that another carrier has now: of those, only that they arrived counts."""
    work: dict[int, Work]
    now: datetime
    receipts: dict[int, Receipt] = field(default_factory=dict)
    """By attempt: the last one that raised it."""
    rungs: dict[int, int] = field(default_factory=dict)
    """By callout."""
    wrong: list[int] = field(default_factory=list)
    """Attempts whose numbers are wrong."""
    opted_out: set[int] = field(default_factory=set)
    """Contacts who want no more texts."""
    told: dict[int, list[list[Any]]] = field(default_factory=dict)
    """By bulletin: what its ledger line says."""

    def take(self, told: Told, attempt: Row) -> None:
        """Take the next one, in the order in which they came."""
        if attempt["purpose"] == "call" and told.word in RUNG_OF:
            rung = RUNG_OF[told.word]
            self.rungs[attempt["callout_id"]] = max(self.rungs.get(attempt["callout_id"], 0), rung)
        if self._raises(told, attempt):
            self._raise(told, attempt)

    def _raises(self, told: Told, attempt: Row) -> bool:
        if is_from_before(attempt, told.fact["carrier"], told.state):
            return False
        if attempt["id"] in self.elsewhere and told.state != "delivered":
            return False
        before = self.receipts.get(attempt["id"])
        return RANK[told.state] > RANK[before.state if before else attempt["state"]]

    def _raise(self, told: Told, attempt: Row) -> None:
        self.receipts[attempt["id"]] = _receipt(told, attempt["id"], self.now)
        self.told.setdefault(attempt["bulletin_id"], []).append(
            [attempt["id"], attempt["callout_id"], told.state, told.error_class or ""]
        )
        if attempt["purpose"] == "call":
            self._note(told, attempt)
        if told.error_class == ErrorClass.BAD_NUMBER:
            self.wrong.append(attempt["id"])
        if told.error_class == ErrorClass.OPTED_OUT:
            self.opted_out.add(attempt["contact_id"])

    def _note(self, told: Told, attempt: Row) -> None:
        """Note what his case must hear of."""
        bulletin_id, callout_id = attempt["bulletin_id"], attempt["callout_id"]
        if told.word is ReceiptWord.HEARD:
            self.work.setdefault(bulletin_id, Work()).heard.append(callout_id)
        elif failure_of(told.state, told.error_class) in _AT_ONCE:
            self.work.setdefault(bulletin_id, Work()).failed.append(callout_id)

    async def save(self, unit: Unit, *, filtering: Collection[str]) -> None:
        """Write it down, with its ledger lines. `filtering`: carriers that did not like a text."""
        await record_receipts(unit, self.receipts.values())
        await flag_numbers(unit, self.wrong, now=self.now)
        await raise_filtered_alarms(unit, filtering, now=self.now)
        await tell_of_opt_outs(unit, self.opted_out, now=self.now, by=CARRIER)
        await raise_rungs(unit, self.rungs, now=self.now)
        await append_lines(unit, [_line(b, rows) for b, rows in self.told.items()], now=self.now)


def _receipt(told: Told, attempt_id: int, now: datetime) -> Receipt:
    return Receipt(
        attempt_id,
        told.state,
        now,
        told.fact["carrier"],
        told.said.get("reference") or None,
        told.error_class,
        told.said.get("code") or None,
    )


def _line(bulletin_id: int, attempts: list[list[Any]]) -> Line:
    return Line(
        act="attempt.receipts",
        actor="carrier",
        bulletin_id=bulletin_id,
        data={"attempts": attempts},
    )

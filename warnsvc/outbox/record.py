"""Recording: outcomes gather for a moment and are written together, with their ledger line.

An outcome is kept until it is durable; what can never be written is let go, its lease ends, and
then it is looked up. A send that failed for good lets its case decide in the same unit. It never
sends.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import structlog

from channels.base import Channel, SendOutcome
from channels.errors import ErrorClass
from warnsvc.core.ledger import Line
from warnsvc.outbox.carrier import CarrierWatch
from warnsvc.outbox.load import Sent
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.service.fault import is_databases_own
from warnsvc.service.opt_out import CARRIER, tell_of_opt_outs
from warnsvc.service.reference import of_outcomes
from warnsvc.service.reroute import PassedOn, rerouted_lines
from warnsvc.service.step import save_case, still_wanted
from warnsvc.store.attempt import (
    Claimed,
    Outcome,
    contacts_of_callouts,
    flag_numbers,
    load_reasons,
    load_states,
    record_outcomes,
)
from warnsvc.store.bulletin import load_bulletins
from warnsvc.store.case import load_case_for_callouts
from warnsvc.store.inbound import Inbound, insert_inbound
from warnsvc.store.ledger import append_lines
from warnsvc.store.pace import raise_filtered_alarms
from warnsvc.store.port import StoreFault, Unit
from warnsvc.store.reference import keep_references

log = structlog.get_logger(__name__)

RECORD_EVERY_SECONDS = 0.05
"""How long outcomes gather before they are written together: a few hundred at full speed."""
RETRY_SECONDS = 1.0
"""After a fault of the database."""

_Recorded = tuple[Claimed, Outcome, str]


class Recorder:
    """Writes what came of the sends of one process."""

    def __init__(
        self,
        ctx: Context,
        channels: Mapping[str, Channel],
        *,
        owner: str,
        recorded: Callable[[int], None],
    ) -> None:
        """`channels`: by name. `recorded` is told how many sends are off our hands."""
        self._ctx = ctx
        self._channels = channels
        self._owner = owner
        self._recorded = recorded
        self._sent: list[Sent] = []
        self._any = asyncio.Event()
        self._watch = CarrierWatch(ctx, owner=owner)
        self._by_reference = frozenset(
            name
            for name, channel in channels.items()
            if channel.capabilities.receipts_by_reference
        )

    def add(self, sent: Sent) -> None:
        """Keep what came of a send until it is written."""
        if sent.outcome is None:
            self._recorded(1)
            return
        self._sent.append(sent)
        self._any.set()

    async def run(self) -> None:
        """Write what gathers, until cancelled."""
        while True:
            await self._any.wait()
            await asyncio.sleep(RECORD_EVERY_SECONDS)
            self._any.clear()
            try:
                await self.flush()
            except StoreFault as fault:
                log.error("outbox.record_failed", error=str(fault), count=len(self._sent))
                self._any.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def flush(self) -> None:
        """Write what has gathered. Raises StoreFault: it is kept for next time.

        Should we die before that, the leases end and the sends are looked up.
        """
        sent, self._sent = self._sent, []
        if not sent:
            return
        batch = [(s.attempt, s.outcome, s.answer) for s in sent if s.outcome is not None]
        try:
            await self._write_what_can_be(batch)
        except BaseException:
            self._sent = sent + self._sent
            raise
        self._recorded(len(sent))
        await self._tell_of_carriers(sent)

    async def _tell_of_carriers(self, sent: Sequence[Sent]) -> None:
        """A carrier's state is a hint: a fault here costs nothing but the hint."""
        said: dict[str, list[SendOutcome]] = {}
        for one in sent:
            if one.said is not None and not one.echo:
                said.setdefault(one.carrier, []).append(one.said)
        for name, words in sorted(said.items()):
            try:
                await self._watch.note(self._channels[name], words)
            except StoreFault as fault:
                log.error("outbox.carrier_not_noted", carrier=name, error=str(fault))

    async def _write_what_can_be(self, batch: list[_Recorded]) -> None:
        """Write a batch, or its parts where one outcome spoils it.

        That one is let go: its lease ends, and then it is looked up.
        """
        try:
            await self._write(batch)
        except Exception as fault:
            if is_databases_own(fault):
                raise
            log.exception("outbox.record_refused", attempts=[a.id for a, _, _ in batch[:10]])
            half = len(batch) // 2
            for part in (batch[:half], batch[half:]) if half else ():
                await self._write_what_can_be(part)

    async def _write(self, batch: list[_Recorded]) -> None:
        now = self._ctx.clock.now()
        failed = _failed_calls(batch)
        postponed = [a for a, outcome, _ in batch if outcome.state == "planned"]
        named = of_outcomes([o for _, o, _ in batch], self._by_reference)
        async with self._ctx.store.unit() as unit:
            # References before bulletins, as everybody takes them. Though the lease may be lost:
            # whoever's it is by now, this is what the carrier calls it.
            waited = await keep_references(unit, named, now=now)
            await unit.lock_bulletins({*failed, *(a.bulletin_id for a in postponed)})
            needless = await _needless(unit, [a.id for a in postponed])
            batch = [(a, _cancelled(o) if a.id in needless else o, text) for a, o, text in batch]
            touched = await record_outcomes(unit, [o for _, o, _ in batch], owner=self._owner)
            await flag_numbers(unit, [o.attempt_id for _, o, _ in batch if _is_wrong(o)], now=now)
            await raise_filtered_alarms(unit, _filtering(batch), now=now)
            leaving = await contacts_of_callouts(unit, _opted_out(batch))
            await tell_of_opt_outs(unit, set(leaving.values()), now=now, by=CARRIER)
            told = batch if touched == len(batch) else await _as_it_is(unit, batch)
            await append_lines(unit, _lines(told, self._owner), now=now)
            answers = [_answer_fact(a, o, text, now) for a, o, text in batch if text]
            if answers:
                await insert_inbound(unit, answers)
            for bulletin_id, callout_ids in sorted(failed.items()):
                await self._let_decide(unit, bulletin_id, callout_ids, now)
        if failed or answers or waited:
            await self._ctx.store.wake(WAKE_WORK, WAKE_BOARD)

    async def _let_decide(
        self, unit: Unit, bulletin_id: int, callout_ids: list[int], now: datetime
    ) -> None:
        """Somebody whose call failed for good is called otherwise, now."""
        bulletin, rule = (await load_bulletins(unit, [bulletin_id]))[bulletin_id]
        case = await load_case_for_callouts(
            unit, callout_ids, bulletin_id=bulletin_id, rule=rule, now=now
        )
        case.attempts_failed(callout_ids)
        await save_case(self._ctx, unit, case, bulletin=bulletin, rule=rule, now=now)


def _failed_calls(batch: Sequence[_Recorded]) -> dict[int, list[int]]:
    """Return bulletin → callouts of the calls that a carrier refused for good."""
    failed: dict[int, list[int]] = {}
    for attempt, outcome, _ in batch:
        if outcome.state == "failed" and attempt.purpose == "call":
            failed.setdefault(attempt.bulletin_id, []).append(attempt.callout_id)
    return failed


async def _needless(unit: Unit, postponed: Sequence[int]) -> set[int]:
    """Return what the carrier put off and nobody needs any more. The bulletins are held."""
    if not postponed:
        return set()
    rows = await load_reasons(unit, postponed)
    return {
        row["id"]
        for row in rows
        if not still_wanted(row["purpose"], row["bulletin_state"], row["callout_state"])
    }


async def _as_it_is(unit: Unit, batch: list[_Recorded]) -> list[_Recorded]:
    """Return what holds. A receipt may have been quicker, or the lease was taken from us: what
    we thought became of those is not what became of them, and the ledger does not say it. Nor does
    it say of a later send what we know of ours: by a receipt the next carrier may have it by now.
    """
    now = await load_states(unit, [a.id for a, _, _ in batch])
    return [one for one in batch if one[0].id in now and _holds(one[1], *now[one[0].id])]


def _holds(outcome: Outcome, state: str, send_count: int) -> bool:
    """What is planned again is not counted as sent."""
    return state == outcome.state and (state == "planned" or send_count == outcome.send_count)


def _cancelled(outcome: Outcome) -> Outcome:
    return outcome._replace(state="cancelled", due_at=None)


def _is_passed_on(attempt: Claimed, outcome: Outcome) -> bool:
    was, is_ = attempt.refused_by, outcome.refused_by
    return outcome.state == "planned" and is_ is not None and len(is_) > len(was)


def _filtering(batch: Sequence[_Recorded]) -> set[str]:
    """Return the carriers that refused a text for what it says."""
    return {o.carrier for _, o, _ in batch if o.error_class == ErrorClass.FILTERED and o.carrier}


def _opted_out(batch: Sequence[_Recorded]) -> list[int]:
    """Return the callouts of people who want no more texts. Their numbers are right, and called."""
    return sorted({a.callout_id for a, o, _ in batch if o.error_class == ErrorClass.OPTED_OUT})


def _is_wrong(outcome: Outcome) -> bool:
    return outcome.error_class == ErrorClass.BAD_NUMBER


def _lines(batch: Sequence[_Recorded], owner: str) -> list[Line]:
    told: dict[int, list[list[object]]] = {}
    for attempt, outcome, _ in batch:
        told.setdefault(attempt.bulletin_id, []).append(
            [attempt.id, attempt.callout_id, outcome.state, outcome.error_class or ""]
        )
    return [
        Line(act="attempt.outcomes", actor=owner, bulletin_id=b, data={"attempts": rows})
        for b, rows in sorted(told.items())
    ] + rerouted_lines(_passed_on(batch), actor=owner)


def _passed_on(batch: Sequence[_Recorded]) -> Iterator[PassedOn]:
    """Say who would not take what, and why the next carrier is tried."""
    for attempt, outcome, _ in batch:
        if _is_passed_on(attempt, outcome):
            why = outcome.error_class or ""
            yield PassedOn(
                attempt.bulletin_id, attempt.id, attempt.callout_id, outcome.carrier, why
            )


def _answer_fact(attempt: Claimed, outcome: Outcome, text: str, now: datetime) -> Inbound:
    """An endpoint that answered in the same breath: a fact like any other answer."""
    return Inbound(
        kind="answer",
        carrier=outcome.carrier,
        channel=attempt.channel,
        text=text,
        dedupe_key=f"response:{attempt.id}:{attempt.send_count}",
        attempt_id=attempt.id,
        received_at=now,
    )

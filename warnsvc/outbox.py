"""The outbox: row first, then act, then record (law 3).

    claim (commit) ──► channel.send, many at once ──► outcomes, in batches (commit)

No transaction is open while a carrier is being called (law 6). The local queue is bounded, because
what is claimed and unsent when this process dies has to be looked up by another. A crash between
claim and record leaves a lease that ends, and then an `unknown` that is looked up: never a blind
second send, never a lost one.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from channels.base import Channel, OutcomeKind, ReceiptEvent, SendOutcome, SendRequest
from channels.errors import ErrorClass
from warnsvc.core.ledger import Line
from warnsvc.service.context import WAKE_BOARD, WAKE_WORK, Context
from warnsvc.service.fault import is_databases_own
from warnsvc.service.step import save_case, still_wanted
from warnsvc.service.unknown import resolve_unknown
from warnsvc.store.attempt import (
    Claimed,
    Outcome,
    claim,
    due_unknowns,
    flag_numbers,
    load_reasons,
    record_outcomes,
)
from warnsvc.store.bulletin import load_bulletins
from warnsvc.store.case import load_case_for_callouts
from warnsvc.store.inbound import Inbound, clean, insert_inbound
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import StoreFault, Unit

log = structlog.get_logger(__name__)

IDLE_SECONDS = 1.0
"""The poll behind the wake-ups."""
UNKNOWN_WAIT_SECONDS = 10.0
"""A callback often answers an unknown by itself; look up after that."""
RECORD_EVERY_SECONDS = 0.05
"""How long outcomes gather before they are written together: a few hundred at full speed."""
ROOM_SECONDS = 0.02
"""How soon to look again whether the local queue has room."""
MESSAGES_KEPT = 4_096
"""Texts kept in memory: a bulletin has a handful, superiors' listings a few hundred."""
RESOLVE_BATCH = 100


class Outbox:
    """Sends what is due through the channels of this process."""

    def __init__(self, ctx: Context, channels: Mapping[str, Channel], *, owner: str) -> None:
        self._ctx = ctx
        self._channels = dict(channels)
        self._owner = owner
        self._base = ctx.settings.public_url
        self._queue: asyncio.Queue[tuple[Claimed, str, str, str]] = asyncio.Queue()
        self._outcomes: list[tuple[Claimed, Outcome, str]] = []
        self._wake = asyncio.Event()
        self._record = asyncio.Event()
        self._texts: OrderedDict[int, tuple[str, str]] = OrderedDict()
        self._in_flight = 0
        self._stopping = False

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    @property
    def in_flight(self) -> int:
        """Claimed and not yet recorded."""
        return self._in_flight

    async def drain(self, seconds: float) -> None:
        """Claim no more, and wait so long for what is under way to be recorded."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._in_flight:  # noqa: ASYNC110 - many tasks lower it
                    await asyncio.sleep(RECORD_EVERY_SECONDS)

    async def run(self) -> None:
        """Claim, send and record until cancelled."""
        settings = self._ctx.settings
        async with asyncio.TaskGroup() as group:
            group.create_task(self._claim_forever(), name="outbox-claim")
            group.create_task(self._record_forever(), name="outbox-record")
            group.create_task(self._resolve_forever(), name="outbox-resolve")
            for n in range(settings.dispatch_concurrency):
                group.create_task(self._send_forever(), name=f"outbox-send-{n}")

    async def step(self) -> int:
        """Claim one batch, send it in its order, record it; returns how many were claimed.

        What `run` does with many tasks at once, in one: for tests and for virtual time. An outcome
        that cannot be recorded is kept for the next step. Raises StoreFault.
        """
        taken = 0 if self._stopping else await self._claim()
        while not self._queue.empty():
            await self._send(*self._queue.get_nowait())
        await self._record_batch()
        return taken

    # Claim -----------------------------------------------------------------------------------

    async def _claim_forever(self) -> None:
        while True:
            try:
                taken = 0 if self._stopping else await self._claim()
            except StoreFault as fault:
                log.error("outbox.claim_failed", error=str(fault))
                taken = 0
            if taken:
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), IDLE_SECONDS)
            self._wake.clear()

    async def _claim(self) -> int:
        """Fill the local queue up to one batch; returns how many were claimed."""
        settings = self._ctx.settings
        room = settings.claim_batch - self._queue.qsize()
        if room < settings.claim_batch // 2:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), ROOM_SECONDS)
            return -1
        now = self._ctx.clock.now()
        async with self._ctx.store.unit() as unit:
            claimed = await claim(
                unit,
                owner=self._owner,
                now=now,
                limit=room,
                channels=list(self._channels),
                lease_until=now + timedelta(seconds=settings.lease_seconds),
            )
            missing = {a.message_id for a in claimed} - self._texts.keys()
            if missing:
                rows = await unit.fetch(
                    "SELECT id, text, language FROM message WHERE id = ANY($1)", list(missing)
                )
                self._texts.update((row["id"], (row["text"], row["language"])) for row in rows)
        self._in_flight += len(claimed)
        for attempt in claimed:
            text, language = self._texts[attempt.message_id]
            self._queue.put_nowait(
                (attempt, text, language, self._ctx.token("attempt", attempt.id))
            )
        while len(self._texts) > MESSAGES_KEPT:
            self._texts.popitem(last=False)
        return len(claimed)

    # Send ------------------------------------------------------------------------------------

    async def _send_forever(self) -> None:
        while True:
            await self._send(*await self._queue.get())

    async def _send(self, attempt: Claimed, text: str, language: str, token: str) -> None:
        """Hand one over and keep what came of it."""
        channel = self._channels[attempt.channel]
        now = self._ctx.clock.now()
        if attempt.valid_until <= now:
            self._done(attempt, Outcome(attempt.id, "expired", now, error_class="expired"), "")
            return
        request = self._request(attempt, channel.name, text, language, token)
        try:
            sent = await channel.send(request)
        except Exception as fault:  # a mistake in an adapter must not stop the others
            log.exception("outbox.send_raised", attempt=attempt.id, channel=channel.name)
            sent = SendOutcome(
                kind=OutcomeKind.UNKNOWN,
                error_class=ErrorClass.AMBIGUOUS,
                reason=type(fault).__name__,
            )
        self._done(attempt, self._outcome(attempt, channel.name, sent), sent.answer)

    def _request(
        self, attempt: Claimed, carrier: str, text: str, language: str, token: str
    ) -> SendRequest:
        base = self._base
        answer_url = ""
        if attempt.channel == "webhook":
            answer_url = f"{base}/a/{self._ctx.token('callout', attempt.callout_id)}"
        return SendRequest(
            token=token,
            to=attempt.address,
            text=text,
            language=language,
            valid_until=attempt.valid_until,
            callback_url=f"{base}/callbacks/{carrier}/{token}",
            answer_url=answer_url,
        )

    def _done(self, attempt: Claimed, outcome: Outcome, answer: str) -> None:
        self._outcomes.append((attempt, outcome, answer))
        self._record.set()

    def _outcome(self, attempt: Claimed, carrier: str, sent: SendOutcome) -> Outcome:
        now = self._ctx.clock.now()
        if sent.kind is OutcomeKind.ACCEPTED:  # nearly always
            return Outcome(attempt.id, "accepted", now, carrier, clean(sent.reference) or None)
        state, due_at = self._not_accepted(sent, now)
        return Outcome(
            attempt.id,
            state,
            now,
            carrier=carrier,
            reference=clean(sent.reference) or None,
            error_class=sent.error_class.value if sent.error_class else None,
            error_text=clean(f"{sent.code} {sent.reason}".strip()) or None,
            due_at=due_at,
        )

    @staticmethod
    def _not_accepted(sent: SendOutcome, now: datetime) -> tuple[str, datetime | None]:
        match sent.kind:
            case OutcomeKind.THROTTLED:
                return "planned", now + timedelta(seconds=sent.retry_after or 1.0)
            case OutcomeKind.UNKNOWN:
                return "unknown", now + timedelta(seconds=UNKNOWN_WAIT_SECONDS)
            case _:
                return "failed", None

    # Record ----------------------------------------------------------------------------------

    async def _record_forever(self) -> None:
        while True:
            await self._record.wait()
            await asyncio.sleep(RECORD_EVERY_SECONDS)
            self._record.clear()
            try:
                await self._record_batch()
            except StoreFault as fault:
                log.error("outbox.record_failed", error=str(fault), count=len(self._outcomes))
                self._record.set()
                await asyncio.sleep(IDLE_SECONDS)

    async def _record_batch(self) -> None:
        """Write the outcomes that have gathered. Raises StoreFault: they are kept for next time.

        Should we die before that, the leases end and the sends are looked up.
        """
        batch, self._outcomes = self._outcomes, []
        if not batch:
            return
        try:
            await self._write_what_can_be(batch)
        except BaseException:
            self._outcomes = batch + self._outcomes
            raise
        self._in_flight -= len(batch)
        self._wake.set()

    async def _write_what_can_be(self, batch: list[tuple[Claimed, Outcome, str]]) -> None:
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

    async def _write(self, batch: list[tuple[Claimed, Outcome, str]]) -> None:
        now = self._ctx.clock.now()
        failed = _failed_calls(batch)
        postponed = [a for a, outcome, _ in batch if outcome.state == "planned"]
        async with self._ctx.store.unit() as unit:
            await unit.lock_bulletins({*failed, *(a.bulletin_id for a in postponed)})
            needless = await _needless(unit, [a.id for a in postponed])
            batch = [(a, _cancelled(o) if a.id in needless else o, text) for a, o, text in batch]
            await record_outcomes(unit, [o for _, o, _ in batch], owner=self._owner)
            await flag_numbers(unit, [o.attempt_id for _, o, _ in batch if _is_wrong(o)], now=now)
            await append_lines(unit, _lines(batch, self._owner), now=now)
            answers = [_answer_fact(a, o, text, now) for a, o, text in batch if text]
            if answers:
                await insert_inbound(unit, answers)
            for bulletin_id, callout_ids in sorted(failed.items()):
                bulletin, rule = (await load_bulletins(unit, [bulletin_id]))[bulletin_id]
                case = await load_case_for_callouts(
                    unit, callout_ids, bulletin_id=bulletin_id, rule=rule, now=now
                )
                case.attempts_failed(callout_ids)
                await save_case(self._ctx, unit, case, bulletin=bulletin, rule=rule, now=now)
        if failed or answers:
            await self._ctx.store.wake(WAKE_WORK, WAKE_BOARD)

    # Unknown ---------------------------------------------------------------------------------

    async def _resolve_forever(self) -> None:
        while True:
            await asyncio.sleep(IDLE_SECONDS)
            try:
                await self.resolve()
            except StoreFault as fault:
                log.error("outbox.resolve_failed", error=str(fault))

    async def resolve(self) -> int:
        """Look up the unknowns that are due; returns how many."""
        async with self._ctx.store.view() as unit:
            rows = await due_unknowns(unit, now=self._ctx.clock.now(), limit=RESOLVE_BATCH)
        channels = [self._channels.get(row["channel"]) for row in rows]
        answers = await asyncio.gather(
            *(self._look_up(c, row["id"]) for c, row in zip(channels, rows, strict=True))
        )
        for row, channel, seen in zip(rows, channels, answers, strict=True):
            await resolve_unknown(
                self._ctx,
                attempt_id=row["id"],
                bulletin_id=row["bulletin_id"],
                send_count=row["send_count"],
                valid_until=row["valid_until"],
                channel=channel,
                seen=seen,
            )
        return len(rows)

    async def _look_up(self, channel: Channel | None, attempt_id: int) -> list[ReceiptEvent] | None:
        """Return what the carrier knows of a try; None when it does not say."""
        if channel is None or not channel.capabilities.can_lookup:
            return None
        try:
            return await channel.lookup(self._ctx.token("attempt", attempt_id))
        except Exception:  # a mistake in an adapter must not stop the others
            log.exception("outbox.lookup_raised", attempt=attempt_id, channel=channel.name)
            return None


def _failed_calls(batch: Sequence[tuple[Claimed, Outcome, str]]) -> dict[int, list[int]]:
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


def _cancelled(outcome: Outcome) -> Outcome:
    return outcome._replace(state="cancelled", due_at=None)


def _is_wrong(outcome: Outcome) -> bool:
    return outcome.error_class == ErrorClass.BAD_NUMBER


def _lines(batch: Sequence[tuple[Claimed, Outcome, str]], owner: str) -> list[Line]:
    told: dict[int, list[list[object]]] = {}
    for attempt, outcome, _ in batch:
        told.setdefault(attempt.bulletin_id, []).append(
            [attempt.id, attempt.callout_id, outcome.state, outcome.error_class or ""]
        )
    return [
        Line(act="attempt.outcomes", actor=owner, bulletin_id=b, data={"attempts": rows})
        for b, rows in sorted(told.items())
    ]


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

"""Hostile carriers: they throttle, refuse, lose requests and answers, and call back as they like.

    Wire.send (in a process) ──request──► Carrier (in the world) ──► handset ──► person
           ◄── answer, late or never ──┘        └── receipts: early, twice, out of order, an hour late

The wire belongs to a process and dies with it; the carrier does not: what was on the wire arrives.
It behaves by the plan's faults and by chance from a stream of its own. It never decides what is
right: `tests.sim.invariants` looks at what it was asked.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from channels.base import (
    HALVES,
    CallbackRequest,
    Capabilities,
    ChannelKind,
    Inquiry,
    OutcomeKind,
    PerCalleeLimit,
    ReceiptEvent,
    ReceiptWord,
    SendOutcome,
    SendRequest,
)
from channels.errors import ErrorClass
from tests.fakes.channel import FakeChannel
from tests.sim.crash import Life
from tests.sim.plan import Fault, Plan

if TYPE_CHECKING:
    from tests.sim.world import World

ANSWER_SECONDS_MAX = 8.0
"""How long our adapters wait for an answer."""
DOWN_RETRY_SECONDS = 2.0
"""What our adapters say of a connection that was refused."""


@dataclass(slots=True, eq=False)
class Copy:
    """A message or call that a carrier took."""

    sid: str
    request: SendRequest
    at: float
    events: list[ReceiptEvent] = field(default_factory=list)
    waits: bool = False
    """In the carrier's queue: nobody's phone rings yet."""


class Carrier:
    """One carrier account as it really is."""

    def __init__(self, world: "World", kind: ChannelKind, name: str) -> None:
        plan = world.plan
        self.world, self.kind, self.name = world, kind, name
        self.short = name.removeprefix("fake-")
        """Its name in traces: that of its kind, where it is the only one."""
        self.capabilities = Capabilities(
            kind=kind,
            inbound_countries=frozenset("*"),
            dtmf=kind is ChannelKind.VOICE,
            per_second=plan.per_second,
            batch_max=plan.batch_max if kind is ChannelKind.SMS else 1,
            lines=30 if kind is ChannelKind.VOICE else 0,
            can_cancel=plan.cancels and kind is ChannelKind.VOICE,
            can_lookup=not {kind.value, name}.isdisjoint(plan.lookups),
            per_callee=_limits(plan, name),
        )
        self.faults = [f for f in plan.faults if f.channel in {"*", kind.value, name}]
        self.random = random.Random(f"{plan.seed}:{self.short}")
        self.copies: dict[str, list[Copy]] = {}
        self.starts: list[float] = []
        """When requests came, for the rate."""
        self.last_outcome: dict[str, SendOutcome] = {}
        self.last_lookup: dict[str, tuple[float, list[ReceiptEvent] | None]] = {}
        self._serial = 0

    def fault(self, *kinds: str) -> Fault | None:
        """The fault of one of these kinds that strikes now, if any."""
        now = self.world.now()
        for fault in self.faults:
            strikes = fault.kind in kinds and fault.begins <= now < fault.ends
            if strikes and self.random.random() < fault.share:
                return fault
        return None

    # A request ---------------------------------------------------------------------------------

    def trouble(self) -> Fault | None:
        """What strikes the next request, if anything."""
        return self.fault(
            "throttle", "refuse", "lost_request", "lost_answer", "down", "broken", "slow"
        )

    def request(
        self, request: SendRequest, fault: Fault | None
    ) -> "asyncio.Future[SendOutcome]":
        """Take a request off the wire; the future is the answer on its way back."""
        answer: asyncio.Future[SendOutcome] = self.world.loop.create_future()
        there = self.random.uniform(0.01, 0.2)
        back = self.random.uniform(0.01, 0.3)
        if fault is not None and fault.kind == "slow":
            back = self.random.uniform(2.0, ANSWER_SECONDS_MAX - 0.5)
        kind = fault.kind if fault else ""
        detail = fault.detail if fault else ""
        self.world.later(there, self._arrives, request, answer, kind, detail, back)
        return answer

    def _arrives(
        self,
        request: SendRequest,
        answer: "asyncio.Future[SendOutcome]",
        fault: str,
        detail: str,
        back: float,
    ) -> None:
        outcome, taken = self._outcome(request, fault, detail)
        self.world.note("carrier", self.short, request.token[:8], outcome.kind.value, fault)
        if taken:
            outcome = self._take(request, outcome)
        if fault == "lost_answer":
            back = ANSWER_SECONDS_MAX
            outcome = SendOutcome(kind=OutcomeKind.UNKNOWN, error_class=ErrorClass.AMBIGUOUS)
        elif fault == "lost_request":
            back = ANSWER_SECONDS_MAX
        self.last_outcome[request.token] = outcome
        self.world.later(back, _answer, answer, outcome)

    def _outcome(self, request: SendRequest, fault: str, detail: str) -> tuple[SendOutcome, bool]:
        """What is answered, and whether it was taken."""
        if request.valid_until <= self.world.loop.clock.now():
            return _refused(ErrorClass.EXPIRED), False
        match fault:
            case "throttle":
                pause = float(detail or round(self.random.uniform(0.2, 6.0), 3))
                return SendOutcome(
                    kind=OutcomeKind.THROTTLED, error_class=ErrorClass.THROTTLED, retry_after=pause
                ), False
            case "down":
                return SendOutcome(
                    kind=OutcomeKind.THROTTLED,
                    error_class=ErrorClass.DOWN,
                    retry_after=DOWN_RETRY_SECONDS,
                ), False
            case "refuse":
                return _refused(ErrorClass(detail or ErrorClass.BAD_NUMBER)), False
            case "lost_request":
                return SendOutcome(
                    kind=OutcomeKind.UNKNOWN, error_class=ErrorClass.AMBIGUOUS
                ), False
            case "broken":
                return SendOutcome(
                    kind=OutcomeKind.UNKNOWN, error_class=ErrorClass.AMBIGUOUS, code="500"
                ), self.random.random() < 0.5
            case _:
                return SendOutcome(kind=OutcomeKind.ACCEPTED), True

    def _take(self, request: SendRequest, outcome: SendOutcome) -> SendOutcome:
        self._serial += 1
        copy = Copy(f"{self.short.upper()}{self._serial}", request, self.world.now())
        self.copies.setdefault(request.token, []).append(copy)
        reply = "" if self._queued(copy) else self.world.people.gets(self, copy)
        if outcome.kind is not OutcomeKind.ACCEPTED:
            return outcome
        return SendOutcome(kind=OutcomeKind.ACCEPTED, reference=copy.sid, answer=reply)

    def _queued(self, copy: Copy) -> bool:
        queue = self.fault("queues") if self.kind is ChannelKind.VOICE else None
        if queue is not None:
            copy.waits = True
            left = queue.ends - self.world.now() + self.random.uniform(0.0, 6.0)
            self.world.later(left, self._begins, copy)
        return copy.waits

    def _begins(self, copy: Copy) -> None:
        if copy.waits:
            copy.waits = False
            self.world.people.gets(self, copy)

    def take_back(self, reference: str) -> "asyncio.Future[bool]":
        """Take a call out of the queue; what has begun goes on."""
        answer: asyncio.Future[bool] = self.world.loop.create_future()
        self.world.later(0.1, self._takes_back, reference, answer)
        return answer

    def _takes_back(self, reference: str, answer: "asyncio.Future[bool]") -> None:
        (copy,) = [c for copies in self.copies.values() for c in copies if c.sid == reference]
        if was_waiting := copy.waits:
            copy.waits = False
            self.says(copy, ReceiptWord.UNDELIVERED, 0.2, ErrorClass.OTHER)
        self.world.later(0.1, _answer, answer, was_waiting)

    # Receipts ----------------------------------------------------------------------------------

    def says(
        self, copy: Copy, word: ReceiptWord, delay: float, error: ErrorClass | None = None
    ) -> None:
        """Let something become of a copy after a while, and post it, in one manner or another."""
        self.world.later(delay, self._happens, copy, word, error)

    def _happens(self, copy: Copy, word: ReceiptWord, error: ErrorClass | None) -> None:
        sequence = word.value if word in HALVES else str(len(copy.events) + 1)
        event = ReceiptEvent(
            token=copy.request.token,
            word=word,
            dedupe_key=f"{copy.sid}:{sequence}",
            reference=copy.sid,
            error_class=error,
            code=error.value if error else "",
            happened_at=self.world.loop.clock.now(),
        )
        copy.events.append(event)
        if self.fault("no_receipts"):
            return
        pause = 0.01
        if late := self.fault("late"):
            pause = float(late.detail or 90.0)
        elif self.fault("reorder"):
            pause = self.random.uniform(0.0, 15.0)
        times = 1 + bool(self.fault("twice"))
        for time in range(times):
            self.world.later(pause + time * 1.5, self._post, copy, event)

    def _post(self, copy: Copy, event: ReceiptEvent) -> None:
        self.world.post(self, lambda: self.receipt_callback(copy, event), f"{event.word.value}")

    def receipt_callback(self, copy: Copy, event: ReceiptEvent) -> CallbackRequest:
        """Return the signed callback that tells of it, as it would be sent now."""
        return self._signed(
            copy.request.callback_url,
            {
                "Sid": copy.sid,
                "Sequence": event.dedupe_key.rpartition(":")[2],
                "Reference": event.token,
                "Word": event.word.value,
                "Class": event.error_class.value if event.error_class else "",
                "Timestamp": self.world.loop.clock.now().isoformat(),
            },
            token=event.token,
        )

    def reply(self, sender: str, text: str, delay: float, *, to: Copy | None = None) -> None:
        """A person sends a text, or presses a key in a call."""
        self._serial += 1
        key = f"IN{self._serial}"
        self.world.later(delay, self._post_reply, key, sender, text, to)

    def _post_reply(self, key: str, sender: str, text: str, to: Copy | None) -> None:
        self.world.post(self, lambda: self.reply_callback(key, sender, text, to), f"says {text}")
        if self.fault("twice"):
            self.world.later(
                2.0,
                self.world.post,
                self,
                lambda: self.reply_callback(key, sender, text, to),
                f"says {text} (twice)",
            )

    def reply_callback(self, key: str, sender: str, text: str, to: Copy | None) -> CallbackRequest:
        """Return the signed callback that brings a person's word."""
        token = to.request.token if to else ""
        return self._signed(
            to.request.callback_url if to else f"{self.world.public_url}/callbacks/{self.name}",
            {
                "Id": key,
                "From": sender,
                "To": "1069",
                "Text": text,
                "Reference": token,
                "Timestamp": self.world.loop.clock.now().isoformat(),
            },
            token=token,
        )

    def _signed(self, url: str, fields: dict[str, str], *, token: str) -> CallbackRequest:
        return self._signer()._signed(url, fields, token=token)

    def _signer(self) -> FakeChannel:
        return FakeChannel(self.kind, clock=self.world.loop.clock.now, name=self.name)

    # Look-ups ----------------------------------------------------------------------------------

    def look_up(self, token: str) -> "asyncio.Future[list[ReceiptEvent] | None]":
        """Say what became of a token."""
        answer: asyncio.Future[list[ReceiptEvent] | None] = self.world.loop.create_future()
        self.world.later(0.1, self._looks, token, answer)
        return answer

    def _looks(self, token: str, answer: "asyncio.Future[list[ReceiptEvent] | None]") -> None:
        seen: list[ReceiptEvent] | None = None
        if not self.fault("mute"):
            seen = []
            for copy in self.copies.get(token, ()):
                seen += copy.events or [
                    ReceiptEvent(
                        token=token,
                        word=ReceiptWord.ACCEPTED,
                        dedupe_key=f"{copy.sid}:0",
                        reference=copy.sid,
                        happened_at=self.world.loop.clock.now(),
                    )
                ]
        self.last_lookup[token] = (self.world.now(), seen)
        self.world.note("lookup", token[:8], "mute" if seen is None else len(seen))
        self.world.later(0.1, _answer, answer, seen)


class Wire(FakeChannel):
    """A process's end of a carrier: the channel port, fenced. Parsing is the fake channel's."""

    def __init__(self, life: Life, carrier: Carrier) -> None:
        super().__init__(carrier.kind, clock=life.now, name=carrier.name)
        self.capabilities = carrier.capabilities
        self._life, self._carrier = life, carrier

    async def send(self, request: SendRequest) -> SendOutcome:
        self._life.point("send.before")
        self._carrier.world.starts(self._life, self._carrier, request)
        answer = self._carrier.request(request, self._carrier.trouble())
        self._life.point("send.wire")
        outcome = await answer
        self._life.point("send.after")
        return outcome

    async def send_batch(self, requests: Sequence[SendRequest]) -> list[SendOutcome | None]:
        """One request, and one fate; where one is refused nothing is taken, and nobody knows why."""
        if len(requests) < 2:
            return await super().send_batch(requests)
        self._life.point("send.before")
        trouble = self._carrier.trouble()
        self._carrier.world.note("batch", self._carrier.short, len(requests))
        if trouble is not None and trouble.kind == "refuse":
            await asyncio.sleep(0.1)
            return [None] * len(requests)
        for request in requests:
            self._carrier.world.starts(self._life, self._carrier, request)
        answers = [self._carrier.request(request, trouble) for request in requests]
        self._life.point("send.wire")
        outcomes = [await answer for answer in answers]
        self._life.point("send.after")
        return list(outcomes)

    async def lookup(self, inquiry: Inquiry) -> list[ReceiptEvent] | None:
        self._life.point("lookup.before")
        seen = await self._carrier.look_up(inquiry.token)
        self._life.point("lookup.after")
        return seen

    async def cancel(self, reference: str, *, live: bool) -> bool:
        self._life.point("cancel.before")
        self._carrier.world.asks_back(self._life, self._carrier, reference, live=live)
        stopped = await self._carrier.take_back(reference)
        self._life.point("cancel.after")
        return stopped


def _limits(plan: Plan, name: str) -> tuple[PerCalleeLimit, ...]:
    if not plan.callee_seconds or not name.endswith("-a"):
        return ()
    return (PerCalleeLimit(count=1, seconds=plan.callee_seconds, hard=True),)


def _answer(future: "asyncio.Future[object]", value: object) -> None:
    if not future.done():
        future.set_result(value)


def _refused(error_class: ErrorClass) -> SendOutcome:
    return SendOutcome(
        kind=OutcomeKind.REJECTED,
        error_class=error_class,
        code=error_class.value,
        reason="refused",
    )

"""Claiming: what may be sent now, by danger, rank and age, within pace, circuit and politeness.

    due sends of a channel ──► carriers by route (`assign`) ──► politeness ──► slots ──► lanes

One unit claims for every channel that has room. All workers share the pace rows and circuits that
it reads, so that ten of them keep to one carrier's pace. It never sends.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from channels.base import Capabilities, OutcomeKind, SendOutcome
from channels.errors import ErrorClass
from warnsvc.core.circuit import probing
from warnsvc.core.pace import CalleeLimit, callee_due, take
from warnsvc.core.route import CALLEE_LIMIT, left, with_refusal
from warnsvc.outbox.door import Doors, doors_of
from warnsvc.outbox.lane import Lane
from warnsvc.outbox.load import Load, Sent
from warnsvc.service.context import Context
from warnsvc.service.fault import is_databases_own
from warnsvc.service.outgoing import Spoken, load_spoken
from warnsvc.service.priority import is_urgent
from warnsvc.service.reroute import PassedOn, rerouted_lines
from warnsvc.store.attempt import (
    Claimed,
    Named,
    PutBack,
    claim,
    due_channels,
    name_carriers,
    put_back,
)
from warnsvc.store.ledger import append_lines
from warnsvc.store.pace import save_buckets, save_circuit, starts_of
from warnsvc.store.port import Unit

log = structlog.get_logger(__name__)

MESSAGES_KEPT = 4_096
"""Texts kept in memory: a bulletin has a handful, superiors' listings a few hundred."""
NAP = timedelta(milliseconds=50)
"""What must wait for a slot or a probe waits at least so long."""
PATIENCE = timedelta(seconds=60)
"""A carrier that must not call somebody again for longer than this is passed over."""
SMS = "sms"


class Claimer:
    """Fills the lanes of one process."""

    def __init__(
        self,
        ctx: Context,
        lanes: Mapping[str, Lane],
        *,
        owner: str,
        done: Callable[[Sent], None],
    ) -> None:
        """`lanes`: by carrier. `done` is told of sends that no carrier can take."""
        self._ctx = ctx
        self._kinds: dict[str, list[Lane]] = {}
        for lane in lanes.values():
            self._kinds.setdefault(lane.kind, []).append(lane)
        self._owner = owner
        self._done = done
        self._texts: OrderedDict[int, Spoken] = OrderedDict()
        self._more: set[str] = set()
        """Channels of which the last claim took all that it was allowed: there will be more."""
        self.opens_at: datetime | None = None
        """When a channel that is held back by pace or circuits may claim again."""

    async def claim(self) -> int:
        """Claim for every channel that has room and something due; returns how many."""
        self.opens_at = None
        wanted = [kind for kind in sorted(self._kinds) if self._room(kind) > 0]
        if not wanted or not (wanted := await self._due(wanted)):
            return 0
        self._more.clear()
        try:
            return await self._claim_kinds(wanted)
        except Exception as fault:
            if is_databases_own(fault):
                raise
        return await self._claim_singly(wanted)

    async def _claim_singly(self, kinds: Sequence[str]) -> int:
        """Claim for each channel apart: a mistake about one must not stop the others. The watch
        tells of what is not sent."""
        taken = 0
        for kind in kinds:
            try:
                taken += await self._claim_kinds([kind])
            except Exception as fault:
                if is_databases_own(fault):
                    raise
                log.exception("outbox.claim_broke", channel=kind)
        return taken

    async def _claim_kinds(self, wanted: Sequence[str]) -> int:
        now = self._ctx.clock.now()
        loads: list[tuple[Lane, Load]] = []
        stranded: list[Sent] = []
        async with self._ctx.store.unit() as unit:
            for kind in wanted:
                loads += await self._claim_for(unit, kind, now, stranded)
        for lane, load in loads:
            lane.put(load)
        for sent in stranded:
            self._done(sent)
        while len(self._texts) > MESSAGES_KEPT:
            self._texts.popitem(last=False)
        return len(loads) + len(stranded)

    def _room(self, kind: str) -> int:
        """Half a batch at least, so that claims stay few and large."""
        batch = self._ctx.settings.claim_batch
        room = batch - sum(lane.waiting for lane in self._kinds[kind])
        return room if room >= (batch + 1) // 2 else 0

    async def _due(self, kinds: Sequence[str]) -> list[str]:
        if self._more.issuperset(kinds):
            return list(kinds)
        async with self._ctx.store.view() as unit:
            return sorted(await due_channels(unit, kinds, now=self._ctx.clock.now()))

    async def _claim_for(
        self, unit: Unit, kind: str, now: datetime, stranded: list[Sent]
    ) -> list[tuple[Lane, Load]]:
        doors = await doors_of(unit, self._kinds[kind], now)
        limit = min(self._room(kind), doors.limit(self._ctx.fleet, kind))
        if limit == 0:
            self._again(doors.opens_at(now))
            return []
        lease_until = now + timedelta(seconds=self._ctx.settings.lease_seconds)
        claimed = await claim(
            unit,
            owner=self._owner,
            now=now,
            lease_until=lease_until,
            limit=limit,
            channel=kind,
        )
        if len(claimed) == limit:
            self._more.add(kind)
        await self._fetch_texts(unit, claimed)
        loads: list[tuple[Lane, Load]] = []
        for lane, given in await self._shared_out(unit, kind, doors, claimed, now, stranded):
            taken = await self._polite(unit, lane, given, now, stranded)
            if taken:
                slots = await self._slots(unit, lane, doors, taken, now)
                loads += [
                    (lane, self._load(a, slot, lease_until))
                    for a, slot in zip(taken, slots, strict=True)
                ]
        return loads

    def _again(self, at: datetime | None) -> None:
        if at is not None:
            self.opens_at = min(self.opens_at or at, at)

    # Whose it is -----------------------------------------------------------------------------

    async def _shared_out(
        self,
        unit: Unit,
        kind: str,
        doors: Doors,
        claimed: list[Claimed],
        now: datetime,
        stranded: list[Sent],
    ) -> list[tuple[Lane, list[Claimed]]]:
        """Give what was claimed to carriers, in the order of the lanes.

        Whoever waits for a full carrier queues at its pace: were all due again at once, they would
        hide from every claim what another carrier could take.
        """
        if not claimed:
            return []
        sole = doors.sole()
        if sole is not None and self._ctx.fleet.is_plain(kind):  # nearly every installation
            return [(sole, claimed)]
        routes = [self._route(a) for a in claimed]
        by_lane: dict[str, list[Claimed]] = {}
        later: list[PutBack] = []
        queues: Counter[str] = Counter()
        for attempt, route, name in zip(claimed, routes, doors.share(routes), strict=True):
            if not route:
                stranded.append(_stranded(attempt, now))
            elif name is None:
                due_at = doors.again(route, now) or now + NAP
                behind = timedelta(seconds=queues[route[0]] * doors.seconds_each(route))
                queues[route[0]] += 1
                later.append(PutBack(attempt.id, due_at + behind))
            else:
                by_lane.setdefault(name, []).append(attempt)
        await self._put_back(unit, later)
        shared = [(lane, by_lane[lane.name]) for lane in self._kinds[kind] if lane.name in by_lane]
        await name_carriers(
            unit, [self._named(lane, attempt, now) for lane, some in shared for attempt in some]
        )
        return shared

    def _named(self, lane: Lane, attempt: Claimed, now: datetime) -> Named:
        spoken = self._texts[attempt.message_id]
        return Named(attempt.id, lane.name, lane.reader.receipt_due_at(attempt, spoken, now))

    def _route(self, attempt: Claimed) -> list[str]:
        language = self._texts[attempt.message_id].language
        route = self._ctx.fleet.route(
            attempt.channel, attempt.address, language, attempt.purpose
        )
        return left(route, attempt.refused_by) or list(route)

    async def _put_back(self, unit: Unit, later: Sequence[PutBack]) -> None:
        if later:
            await put_back(unit, later, owner=self._owner)
            self._again(min(one.due_at for one in later))

    async def _polite(
        self,
        unit: Unit,
        lane: Lane,
        claimed: list[Claimed],
        now: datetime,
        stranded: list[Sent],
    ) -> list[Claimed]:
        """Put back what its callee should not get yet; return the rest.

        Who may not be called any more while it is valid has been tried in vain, and it is decided
        now who is called instead: a window is not waited out for what cannot happen.
        """
        limits = limits_of(lane.channel.capabilities)
        if not limits or not claimed:
            return claimed
        starts = await starts_of(
            unit,
            lane.kind,
            sorted({a.address for a in claimed}),
            but=[a.id for a in claimed],
            now=now,
            seconds=max(limit.seconds for limit in limits),
        )
        kept: list[Claimed] = []
        later: list[tuple[Claimed, PutBack]] = []
        for attempt in claimed:
            known = starts.setdefault(attempt.address, [])
            due = callee_due(known, limits, now, urgent=is_urgent(attempt.priority))
            if due > now:
                back = self._when_polite(attempt, lane, due, now)
                if back.due_at < attempt.valid_until:
                    later.append((attempt, back))
                else:
                    stranded.append(_in_vain(attempt, now))
            else:
                known.append(now)
                kept.append(attempt)
        if later:
            await self._put_back(unit, [back for _, back in later])
            passed = [_passed_on(a, lane) for a, back in later if back.refused_by is not None]
            await append_lines(unit, rerouted_lines(passed, actor=self._owner), now=now)
        return kept

    def _when_polite(self, attempt: Claimed, lane: Lane, due: datetime, now: datetime) -> PutBack:
        """When he may be called again; at once by another carrier, if this one must wait long."""
        hard = any(limit.hard for limit in limits_of(lane.channel.capabilities))
        refused_by = with_refusal(attempt.refused_by, lane.name, why=CALLEE_LIMIT)
        if hard and due > now + PATIENCE and left(self._route(attempt), refused_by):
            return PutBack(attempt.id, now, refused_by)
        return PutBack(attempt.id, due)

    # When it goes ----------------------------------------------------------------------------

    async def _fetch_texts(self, unit: Unit, claimed: Sequence[Claimed]) -> None:
        missing = {a.message_id for a in claimed} - self._texts.keys()
        if missing:
            self._texts.update(await load_spoken(self._ctx, unit, list(missing)))

    async def _slots(
        self, unit: Unit, lane: Lane, doors: Doors, claimed: Sequence[Claimed], now: datetime
    ) -> list[datetime]:
        """Give out slots: SMS by their parts, calls and requests by their number."""
        circuit = doors.probed(lane.name)
        if circuit is not None:
            await save_circuit(unit, probing(circuit, now))
        weights = [self._texts[a.message_id].parts if lane.kind == SMS else 1 for a in claimed]
        slots, after = take(doors.buckets_of(lane.name), weights, now)
        doors.keep(after)
        await save_buckets(unit, after)
        return slots

    def _load(self, attempt: Claimed, slot_at: datetime, lease_until: datetime) -> Load:
        token = self._ctx.token("attempt", attempt.id)
        return Load(attempt, self._texts[attempt.message_id], token, slot_at, lease_until)


def limits_of(capabilities: Capabilities) -> tuple[CalleeLimit, ...]:
    """Return how often one callee may be sent to."""
    return tuple(
        CalleeLimit(count=limit.count, seconds=limit.seconds, hard=limit.hard)
        for limit in capabilities.per_callee
    )


def _passed_on(attempt: Claimed, lane: Lane) -> PassedOn:
    return PassedOn(
        attempt.bulletin_id, attempt.id, attempt.callout_id, lane.name, CALLEE_LIMIT
    )


def _in_vain(attempt: Claimed, now: datetime) -> Sent:
    """His limit outlasts the window: as good as a phone that is off."""
    said = SendOutcome(
        kind=OutcomeKind.REJECTED, error_class=ErrorClass.THROTTLED, reason="limit per callee"
    )
    return Sent.refused(attempt, said, now)


def _stranded(attempt: Claimed, now: datetime) -> Sent:
    """No carrier takes it for that country, language and form: that is a refusal like any other."""
    said = SendOutcome(
        kind=OutcomeKind.REJECTED, error_class=ErrorClass.UNROUTABLE, reason="no route"
    )
    return Sent.refused(attempt, said, now)



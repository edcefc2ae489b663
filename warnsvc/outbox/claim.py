"""Claiming: what may be sent now, by danger, rank and age, within pace, circuit and politeness.

One unit claims for every lane that has room. All workers share the pace rows and circuits that it
reads, so that ten of them keep to one carrier's pace. It never sends.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from channels.base import Capabilities, Channel
from warnsvc.core.circuit import Circuit, probing
from warnsvc.core.pace import Bucket, CalleeLimit, callee_due, open_units, opens_at, take
from warnsvc.outbox.lane import Lane, Load
from warnsvc.service.context import Context
from warnsvc.service.outgoing import Spoken, load_spoken
from warnsvc.service.priority import is_urgent
from warnsvc.store.attempt import Claimed, claim, due_channels, put_back
from warnsvc.store.pace import (
    hold_buckets,
    hold_circuit,
    load_circuits,
    save_buckets,
    save_circuit,
    starts_of,
)
from warnsvc.store.port import Unit

MESSAGES_KEPT = 4_096
"""Texts kept in memory: a bulletin has a handful, superiors' listings a few hundred."""
SMS = "sms"


class Claimer:
    """Fills the lanes of one process."""

    def __init__(self, ctx: Context, lanes: Mapping[str, Lane], *, owner: str) -> None:
        self._ctx = ctx
        self._lanes = dict(sorted(lanes.items()))
        self._owner = owner
        self._texts: OrderedDict[int, Spoken] = OrderedDict()
        self._limits = {kind: _limits(lane.channel.capabilities) for kind, lane in lanes.items()}
        self._more: set[str] = set()
        """Channels of which the last claim took all that it was allowed: there will be more."""
        self.opens_at: datetime | None = None
        """When a lane that is held back by its pace or circuit may claim again."""

    async def claim(self) -> int:
        """Claim for every lane that has room and something due; returns how many."""
        self.opens_at = None
        wanted = [kind for kind in self._lanes if self._room(kind) > 0]
        if not wanted or not (wanted := await self._due(wanted)):
            return 0
        self._more.clear()
        now = self._ctx.clock.now()
        loads: list[tuple[Lane, Load]] = []
        async with self._ctx.store.unit() as unit:
            for kind in wanted:
                lane = self._lanes[kind]
                loads += [(lane, load) for load in await self._claim_for(unit, lane, now)]
        for lane, load in loads:
            lane.put(load)
        while len(self._texts) > MESSAGES_KEPT:
            self._texts.popitem(last=False)
        return len(loads)

    def _room(self, kind: str) -> int:
        """Half a batch at least, so that claims stay few and large."""
        batch = self._ctx.settings.claim_batch
        room = batch - self._lanes[kind].waiting
        return room if room >= (batch + 1) // 2 else 0

    async def _due(self, kinds: Sequence[str]) -> list[str]:
        if self._more.issuperset(kinds):
            return list(kinds)
        async with self._ctx.store.view() as unit:
            return sorted(await due_channels(unit, kinds, now=self._ctx.clock.now()))

    async def _claim_for(self, unit: Unit, lane: Lane, now: datetime) -> list[Load]:
        allowed, to_probe = await self._allowed(unit, lane, now)
        if allowed == 0:
            return []
        paces = paces_of(lane.channel)
        buckets = list((await hold_buckets(unit, paces, now=now)).values())
        units = open_units(buckets, now)
        if units == 0:
            self._again(opens_at(buckets, now))
            return []
        lease_until = now + timedelta(seconds=self._ctx.settings.lease_seconds)
        claimed = await claim(
            unit,
            owner=self._owner,
            now=now,
            lease_until=lease_until,
            limit=min(allowed, units),
            channel=lane.kind,
        )
        if len(claimed) == min(allowed, units):
            self._more.add(lane.kind)
        claimed = await self._polite(unit, lane, claimed, now)
        if not claimed:
            return []
        if to_probe is not None:
            await save_circuit(unit, probing(to_probe, now))
        await self._fetch_texts(unit, claimed)
        slots = await self._slots(unit, lane, buckets, claimed, now)
        return [self._load(a, slot, lease_until) for a, slot in zip(claimed, slots, strict=True)]

    def _again(self, at: datetime) -> None:
        self.opens_at = min(self.opens_at or at, at)

    async def _allowed(self, unit: Unit, lane: Lane, now: datetime) -> tuple[int, Circuit | None]:
        """Return how many the lane's room and the carrier's circuit allow.

        With the circuit, held, when what is claimed will be its probe: it is under way only once
        there is something to send.
        """
        room = self._room(lane.kind)
        circuits = await load_circuits(unit)
        circuit = circuits.get(lane.channel.name)
        if circuit is None or (probes := circuit.may_send(now)) is None:
            return room, None
        if probes == 0:
            assert circuit.probe_at is not None
            self._again(circuit.probe_at)
            return 0, None
        held = await hold_circuit(unit, circuit.name, now=now)
        probes = held.may_send(now)
        return (room, None) if probes is None else (probes, held)

    async def _polite(
        self, unit: Unit, lane: Lane, claimed: list[Claimed], now: datetime
    ) -> list[Claimed]:
        """Put back what its callee should not get yet; return the rest."""
        limits = self._limits[lane.kind]
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
        kept, later = [], []
        for attempt in claimed:
            known = starts.setdefault(attempt.address, [])
            due = callee_due(known, limits, now, urgent=is_urgent(attempt.priority))
            if due > now:
                later.append((attempt.id, due))
            else:
                known.append(now)
                kept.append(attempt)
        if later:
            await put_back(unit, later, owner=self._owner)
        return kept

    async def _fetch_texts(self, unit: Unit, claimed: Sequence[Claimed]) -> None:
        missing = {a.message_id for a in claimed} - self._texts.keys()
        if missing:
            self._texts.update(await load_spoken(self._ctx, unit, list(missing)))

    async def _slots(
        self,
        unit: Unit,
        lane: Lane,
        buckets: Sequence[Bucket],
        claimed: Sequence[Claimed],
        now: datetime,
    ) -> list[datetime]:
        """Give out slots: SMS by their parts, calls and requests by their number."""
        weights = [self._texts[a.message_id].parts if lane.kind == SMS else 1 for a in claimed]
        slots, after = take(buckets, weights, now)
        await save_buckets(unit, after)
        return slots

    def _load(self, attempt: Claimed, slot_at: datetime, lease_until: datetime) -> Load:
        token = self._ctx.token("attempt", attempt.id)
        return Load(attempt, self._texts[attempt.message_id], token, slot_at, lease_until)


def paces_of(channel: Channel) -> dict[str, float]:
    """Return the buckets that a channel takes from: name → units per second."""
    capabilities = channel.capabilities
    paces = {limit.name: limit.per_second for limit in capabilities.paces}
    paces[f"carrier:{channel.name}"] = capabilities.per_second
    return dict(sorted(paces.items()))


def _limits(capabilities: Capabilities) -> tuple[CalleeLimit, ...]:
    return tuple(
        CalleeLimit(count=limit.count, seconds=limit.seconds, hard=limit.hard)
        for limit in capabilities.per_callee
    )

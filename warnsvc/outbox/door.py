"""Doors: which carriers of a channel may be sent to now, and how much.

    circuit closed ──► as many as its buckets have slots for
    circuit open   ──► nothing until its probe is due, then one, to find out
    no slots       ──► nothing until the buckets open again
    a long pause   ──► as if it were broken: the next carrier has the work

Made for one claim, inside its unit: circuits and buckets are held until it commits. It decides
nothing: `core.circuit`, `core.pace` and `core.route` do.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from channels.base import Channel
from warnsvc.core.circuit import Circuit
from warnsvc.core.pace import Bucket, open_units, opens_at
from warnsvc.core.route import share
from warnsvc.outbox.lane import Lane
from warnsvc.outbox.reading import LONG_PAUSE_SECONDS
from warnsvc.service.fleet import Fleet
from warnsvc.store.pace import hold_buckets, hold_circuit, load_circuits
from warnsvc.store.port import Unit

LONG_PAUSE = timedelta(seconds=LONG_PAUSE_SECONDS)


class Doors:
    """The carriers of one channel as one claim finds them."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        buckets: Mapping[str, Bucket],
        circuits: Mapping[str, Circuit],
        probes: Mapping[str, int],
        now: datetime,
    ) -> None:
        """`circuits`: those that are not closed; `probes`: how many may be risked on them."""
        self._lanes = {lane.name: lane for lane in lanes}
        self._buckets = dict(buckets)
        self._circuits = circuits
        self._probes = {
            name: many for name, many in probes.items() if many and self._units(name, now)
        }
        self._room = {
            name: self._units(name, now)
            for name in self._lanes
            if name not in circuits and not self._pauses(name, now)
        }

    def _units(self, name: str, now: datetime) -> int:
        return open_units(self.buckets_of(name), now)

    def _pauses(self, name: str, now: datetime) -> bool:
        """Whether it has asked for so long a pause that others had better do its work."""
        return opens_at(self.buckets_of(name), now) > now + LONG_PAUSE

    def limit(self, fleet: Fleet, kind: str) -> int:
        """How many may be claimed: what the carriers that come first in their routes can take."""
        leading: dict[str, int] = {}
        for rule in fleet.routes:
            if rule.kind == kind:
                leading.update(self._leader(rule.carriers))
        return sum(leading.values())

    def _leader(self, route: Sequence[str]) -> dict[str, int]:
        name = next((name for name in route if name in self._room), None)
        if name is not None:
            return {name: self._room[name]}
        return {name: self._probes[name] for name in route if name in self._probes}

    def sole(self) -> Lane | None:
        """The carrier, when there is only one."""
        return next(iter(self._lanes.values())) if len(self._lanes) == 1 else None

    def share(self, routes: Sequence[Sequence[str]]) -> list[str | None]:
        """Give each send a carrier of its route; None: none has room now."""
        return share(routes, room=self._room, probes=self._probes)

    def buckets_of(self, name: str) -> list[Bucket]:
        """The buckets that a carrier takes from."""
        return [self._buckets[bucket] for bucket in paces_of(self._lanes[name].channel)]

    def keep(self, after: Iterable[Bucket]) -> None:
        """Remember what was taken: carriers may share a sender's bucket."""
        self._buckets.update((bucket.name, bucket) for bucket in after)

    def probed(self, name: str) -> Circuit | None:
        """The circuit of which a send is the probe, held."""
        return self._circuits.get(name)

    def opens_at(self, now: datetime) -> datetime | None:
        """When anything may be claimed again."""
        return self.again(list(self._lanes), now)

    def seconds_each(self, route: Iterable[str]) -> float:
        """How long the first carrier of a route that is there takes for one unit."""
        lane = next((name for name in route if name in self._lanes), None)
        rates = [b.per_second for b in self.buckets_of(lane)] if lane is not None else []
        return 1.0 / min(rates) if rates and min(rates) > 0 else 0.0

    def again(self, route: Iterable[str], now: datetime) -> datetime | None:
        """When a carrier of this route can take something again, in the future."""
        found = []
        for name in route:
            if (circuit := self._circuits.get(name)) is not None and name not in self._probes:
                found.append(circuit.probe_at)
            elif name in self._lanes:
                found.append(opens_at(self.buckets_of(name), now))
        return min((at for at in found if at is not None and at > now), default=None)


async def doors_of(unit: Unit, lanes: Sequence[Lane], now: datetime) -> Doors:
    """Return the doors of a channel's carriers, held."""
    known = await load_circuits(unit)
    circuits: dict[str, Circuit] = {}
    probes: dict[str, int] = {}
    for lane in sorted(lanes, key=lambda lane: lane.name):
        circuit = known.get(lane.name)
        if circuit is None or (many := circuit.may_send(now)) is None:
            continue
        if many:
            circuit = await hold_circuit(unit, lane.name, now=now)
            if (many := circuit.may_send(now)) is None:
                continue
        circuits[lane.name], probes[lane.name] = circuit, many
    paces = {n: p for lane in lanes for n, p in paces_of(lane.channel).items()}
    open_ = any(probes.get(lane.name, 1) for lane in lanes)
    buckets = await hold_buckets(unit, paces, now=now) if open_ else _full(paces, now)
    return Doors(lanes, buckets, circuits, probes, now)


def _full(paces: Mapping[str, float], now: datetime) -> dict[str, Bucket]:
    """When every circuit is open, nobody's pace matters."""
    return {name: Bucket(name=name, per_second=p, next_at=now) for name, p in paces.items()}


def paces_of(channel: Channel) -> dict[str, float]:
    """Return the buckets that a channel takes from: name → units per second."""
    capabilities = channel.capabilities
    paces = {limit.name: limit.per_second for limit in capabilities.paces}
    paces[f"carrier:{channel.name}"] = capabilities.per_second
    return dict(sorted(paces.items()))

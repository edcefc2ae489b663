"""Which regions an endpoint is told of: its own part of a bulletin, by what the message is for.

    call         its own regions, and those behind which it stands and nobody answers (`silent`)
    inform       those that have joined, and are silent
    stand_down   the one that has answered
    lift         all of which it was ever told

A person is told by a text and knows where he lives; a machine is told by codes. Messages to people
cost nothing here: no endpoint among them, no question to the database. It never sends.
"""

from collections.abc import Iterable, Mapping, Sequence

from warnsvc.core.change import NewAttempt
from warnsvc.core.working_set import WANTING
from warnsvc.document import Place
from warnsvc.store.port import Row, Unit

WEBHOOK = "webhook"
_WANTING = frozenset(state.value for state in WANTING)
_STANDS = """
SELECT m.callout_id, e.id, e.region_code, e.region_name, e.state, e.tier >= m.tier AS opened, m.own
  FROM member m JOIN escalation e ON e.id = m.escalation_id
 WHERE m.callout_id = ANY($1) ORDER BY e.region_code, e.id
"""

Places = tuple[Place, ...]


async def places_of(unit: Unit, attempts: Sequence[NewAttempt]) -> dict[int, Places]:
    """Return the place in `attempts` of each that goes to an endpoint → what it is told of."""
    found = [at for at, attempt in enumerate(attempts) if attempt.channel == WEBHOOK]
    if not found:
        return {}
    stands = await _stands(unit, {attempts[at].callout_id for at in found})
    return {at: told_of(attempts[at], stands.get(attempts[at].callout_id, ())) for at in found}


async def places_told(unit: Unit, callout_ids: Iterable[int]) -> dict[int, Places]:
    """Return all regions of which each of these endpoints was ever told."""
    stands = await _stands(unit, callout_ids)
    return {callout_id: _ever(rows) for callout_id, rows in stands.items()}


async def places_now(unit: Unit, callout_id: int) -> Places:
    """Return everything of which an endpoint has been told, and where nobody answers by now."""
    stands = await _stands(unit, [callout_id])
    return tuple(_place(r) for r in stands.get(callout_id, ()) if r["own"] or r["opened"])


def told_of(attempt: NewAttempt, stands: Sequence[Row]) -> Places:
    """Return what one attempt is about, of everything in which its endpoint stands."""
    match attempt.purpose:
        case "call":
            return tuple(_place(r) for r in stands if r["own"] or _is_silent(r))
        case "inform":
            joined = frozenset(attempt.listing)
            return tuple(_place(r) for r in stands if _is_behind(r) and r["region_name"] in joined)
        case "stand_down":  # its number is the escalation's
            return tuple(_place(r, plain=True) for r in stands if r["id"] == attempt.number)
        case _:
            return _ever(stands)


def _ever(stands: Sequence[Row]) -> Places:
    return tuple(_place(row, plain=True) for row in stands if row["own"] or row["opened"])


def _is_behind(row: Row) -> bool:
    """Whether it has been called for somebody else's region."""
    return bool(row["opened"] and not row["own"])


def _is_silent(row: Row) -> bool:
    """Whether it has, and that region still wants an answer."""
    return _is_behind(row) and row["state"] in _WANTING


def _place(row: Row, *, plain: bool = False) -> Place:
    return Place(row["region_code"], row["region_name"], not plain and _is_silent(row))


async def _stands(unit: Unit, callout_ids: Iterable[int]) -> Mapping[int, list[Row]]:
    wanted = sorted(set(callout_ids))
    found: dict[int, list[Row]] = {}
    if wanted:
        for row in await unit.fetch(_STANDS, wanted):
            found.setdefault(row["callout_id"], []).append(row)
    return found

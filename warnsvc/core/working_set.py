"""The working set of a case: who stands where, who is being called for what, and the lines.

Loaded once, looked up while a case decides, never decided by. Callouts may be a mapping that makes
each one when it is first asked for: of the people behind a thousand windows few are ever touched.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from warnsvc.core.callout import Callout, Tried
from warnsvc.core.change import Changes
from warnsvc.core.escalation import Escalation, EscalationState, Tier
from warnsvc.core.ledger import Line
from warnsvc.core.pack import Rule

WANTING = frozenset({EscalationState.CALLING, EscalationState.EXHAUSTED})
"""An answer would still close these."""


class WorkingSet:
    """Escalations and callouts as they stand now, with what follows in `changes`.

    `called_for`: callout → {escalation: region name} of every escalation that still wants an answer
    (calling, or exhausted) and whose opened tiers hold him, also of those that are not in this
    working set; those that are in it may be left out. Of those that are not, he is taken to be a
    superior.
    """

    def __init__(
        self,
        *,
        bulletin_id: int,
        rule: Rule,
        now: datetime,
        escalations: Iterable[Escalation],
        callouts: Mapping[int, Callout],
        region_names: Mapping[int, str],
        tried: Mapping[int, list[Tried]] | None = None,
        called_for: Mapping[int, dict[int, str]] | None = None,
    ) -> None:
        self._bulletin_id = bulletin_id
        self._rule = rule
        self._now = now
        self._escalations = {e.id: e for e in escalations}
        self._loaded = callouts
        self._moved: dict[int, Callout] = {}
        self._names = region_names
        self._tried: Mapping[int, list[Tried]] = tried or {}
        self._called_for = self._all_called_for(called_for or {})
        self._stands_in_: dict[int, list[int]] | None = None
        self._planned: set[int] = set()
        self._reached: dict[int, list[int]] = {}
        """Callout → the escalations whose tiers opened on him in this step."""
        self.changes = Changes()

    def _callout(self, callout_id: int) -> Callout:
        """Where he stands now."""
        moved = self._moved.get(callout_id)
        return self._loaded[callout_id] if moved is None else moved

    def _stands_in(self, callout_id: int) -> list[int]:
        """The escalations of the working set that hold him. A release never asks."""
        if self._stands_in_ is None:
            self._stands_in_ = {}
            for escalation in self._escalations.values():
                for tier in escalation.tiers:
                    for member in tier.members:
                        self._stands_in_.setdefault(member.callout_id, []).append(escalation.id)
        return self._stands_in_.get(callout_id, [])

    def _stands_behind(self, escalation_id: int, callout_id: int) -> bool:
        """Whether he is a superior there, not one of the region's own people."""
        escalation = self._escalations.get(escalation_id)
        if escalation is None:
            return True
        tier = tier_of(escalation, callout_id)
        return tier > 0 and escalation.tiers[tier - 1].source_code != escalation.region_code

    def _all_called_for(self, given: Mapping[int, dict[int, str]]) -> dict[int, dict[int, str]]:
        """Callout → {escalation: region name if he is a superior there, else nothing}."""
        found = {
            callout: {e: name if self._stands_behind(e, callout) else "" for e, name in by.items()}
            for callout, by in given.items()
        }
        for escalation in self._escalations.values():
            if escalation.state in WANTING:
                for tier in escalation.tiers[: escalation.tier]:
                    name = self._listed_name(escalation, tier)
                    for member in tier.members:
                        found.setdefault(member.callout_id, {})[escalation.id] = name
        return found

    def _listed_name(self, escalation: Escalation, tier: Tier) -> str:
        """What a superior is told; the region's own people know where they are."""
        return "" if tier.source_code == escalation.region_code else self._names[escalation.id]

    def _listing(self, callout_id: int) -> tuple[str, ...]:
        """The names of the silent regions he is called for as a superior."""
        return tuple(filter(None, self._called_for.get(callout_id, {}).values()))

    def _tried_by(self, callout_id: int) -> Sequence[Tried]:
        """His attempts so far, those of this step at the end."""
        tried: Sequence[Tried] = self._tried.get(callout_id, ())
        if callout_id not in self._planned:
            return tried
        planned = (a for a in self.changes.attempts if a.callout_id == callout_id)
        return [
            *tried,
            *(
                Tried(a.channel, a.tier, a.number, a.address)
                for a in planned
                if a.purpose == "call"
            ),
        ]

    def _escalation_line(
        self,
        act: str,
        was: EscalationState,
        to: EscalationState,
        after: Escalation,
        why: str,
        tier: int,
        **data: object,
    ) -> None:
        self._line(
            act,
            escalation_id=after.id,
            from_state=was,
            to_state=to,
            why=why,
            data={"region": after.region_code, "tier": tier, **data},
        )

    def _line(
        self,
        act: str,
        *,
        escalation_id: int | None = None,
        callout_id: int | None = None,
        from_state: str = "",
        to_state: str = "",
        why: str = "",
        actor: str = "system",
        happened_at: datetime | None = None,
        data: Mapping[str, object],
    ) -> None:
        self.changes.lines.append(
            Line(
                act=act,
                actor=actor,
                bulletin_id=self._bulletin_id,
                escalation_id=escalation_id,
                callout_id=callout_id,
                from_state=from_state,
                to_state=to_state,
                why=why,
                happened_at=happened_at,
                data=data,
            )
        )


def tier_of(escalation: Escalation, callout_id: int) -> int:
    """Return the ordinal of the tier that holds him, or 0."""
    for tier in escalation.tiers:
        for member in tier.members:
            if member.callout_id == callout_id:
                return tier.ordinal
    return 0

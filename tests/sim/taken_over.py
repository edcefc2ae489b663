"""What a commit says of a carrier that has an attempt, or may have it, and does not bring it.

    accepted ──► planned   by a receipt, or for want of one
    sending, unknown, planned ──► planned   by a receipt that was quicker than our own record

Several families of invariants must tell these from a send that is put off. It judges nothing.
"""

import json
from collections.abc import Iterator

from tests.sim.mirror import Row, Step

UNDER_WAY = frozenset({"accepted", "sending", "unknown", "planned"})
"""Where a carrier can still say that it will not bring it. `planned`: to be sent by it once more."""


def refused_of(attempt: Row) -> frozenset[str]:
    """Return who is written down as having refused an attempt."""
    return frozenset(name.rstrip("~") for name in attempt.refused_by.split(",")) - {""}


def taken_over(step: Step, old: Row, new: Row) -> bool:
    """Whether the next carrier is tried because the one that has it did not bring it."""
    if new.state != "planned" or old.state not in UNDER_WAY:
        return False
    return old.state == "accepted" or passed_on_early(step, old, new)


def passed_on_early(step: Step, old: Row, new: Row) -> bool:
    """Whether that is by a receipt, before it was written down that the carrier took it."""
    if new.state != "planned" or old.state not in UNDER_WAY - {"accepted"}:
        return False
    is_news = old.carrier in refused_of(new) - refused_of(old)
    said = (w for fact, w in told_of(step, old.id) if fact.carrier == old.carrier)
    return is_news and "undelivered" in said


def told_of(step: Step, attempt_id: int) -> Iterator[tuple[Row, str]]:
    """Yield the receipts of an attempt that this commit applied, and their words."""
    for _, fact in step.changed("inbound"):
        if (fact.kind, fact.state, fact.attempt_id) == ("receipt", "applied", attempt_id):
            yield fact, json.loads(fact.fact_json)["word"]

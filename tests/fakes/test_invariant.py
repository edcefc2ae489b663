"""The checks at the end of every story can fail: each is shown something wrong, and says so."""

import pytest

from tests.fakes.county import County
from tests.fakes.invariant import assert_nothing_ends_quietly
from warnsvc.store.port import Store

WRONG = {
    "no alarm": ("DELETE FROM alarm", "is exhausted and no alarm was raised"),
    "no task": ("DELETE FROM task", "is exhausted and nobody has a task"),
    "never ended": (
        "UPDATE escalation SET state = 'calling', closed_at = NULL, deadline_at = opened_at"
        " WHERE state = 'exhausted'",
        "is still calling",
    ),
    "a round still due": (
        "UPDATE callout SET state = 'calling', due_at = started_at WHERE state = 'silent'",
        "after the end",
    ),
    "unsent": ("UPDATE attempt SET state = 'planned' WHERE channel = 'sms'", "is planned after"),
    "never applied": ("UPDATE inbound SET state = 'new'", "was never applied"),
    "poison in silence": ("UPDATE inbound SET state = 'poison'", "no alarm was raised"),
    "unanswered again": (
        "UPDATE callout SET state = 'silent' WHERE state = 'answered'",
        "has answered and is silent",
    ),
    "a tier skipped": ("UPDATE escalation SET tier = tier + 1", "without a line"),
    "nobody called": (
        "UPDATE attempt SET sent_at = NULL, state = 'cancelled'",
        "was opened and nobody called",
    ),
    "one signature": (
        "UPDATE bulletin SET signed_by = drafted_by",
        "has no second signature",
    ),
    "sent before it was signed": (
        "UPDATE attempt SET sent_at = '2026-07-05 06:00:00.000000+00'",
        "was not signed, released and sent in this order",
    ),
    "a drill word in a live text": ("UPDATE message SET text = '演练' || text", "mixes drill"),
    "a state without its line": (
        "UPDATE escalation SET state = 'lifted' WHERE state = 'exhausted'",
        "its lines end at exhausted",
    ),
    "another instant than its line's": (
        "UPDATE escalation SET closed_at = opened_at",
        "its line says",
    ),
    "a person's state without its line": (
        "UPDATE callout SET state = 'refused' WHERE state = 'silent'",
        "is refused without a line",
    ),
}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_wrong_is_named(store: Store, wrong: str) -> None:
    sql, named = WRONG[wrong]
    county = await County.build(store, villages=2, tiers=1, superiors=0)
    answered, _ = county.villages
    await county.red_warning()
    answered.expects_sms().replies("1")
    await county.finish()
    async with store.unit() as unit:
        assert await unit.execute(sql.replace("+00'", "'")) > 0

    with pytest.raises(AssertionError, match=named):
        await assert_nothing_ends_quietly(store)

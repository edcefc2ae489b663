"""Invariant 32: calls that are taken back.

    32  only what nobody needs any more, marked first and asked for once; what rings only at a lifting

It looks at what is committed and at what carriers were asked, never through the code under test.
"""

from typing import TYPE_CHECKING

from tests.sim.invariants import Asked, Faults, at_commit, at_recall
from tests.sim.mirror import Row, Step, seconds

if TYPE_CHECKING:
    from tests.sim.world import World

_DONE = frozenset({"answered", "refused", "stopped"})
_TAKEN = frozenset({"accepted", "delivered", "undelivered"})


@at_commit(32, "attempt")
def only_what_nobody_needs_is_taken_back(world: "World", step: Step) -> Faults:
    """32 S: the warning is over, or it is late and he was called again, or need not be called."""
    for old, new in step.changed("attempt"):
        if old is None or new.recalled_at in {None, old.recalled_at}:
            continue
        bulletin = world.mirror.bulletin[new.bulletin_id]
        if old.recalled_at is not None:
            yield f"attempt {new.id} is marked a second time"
        if bulletin.state == "lifted":
            continue
        if seconds(new.valid_until) > step.at:
            yield f"attempt {new.id} is taken back within its time"
        elif not _is_needless(world, new, bulletin):
            yield f"attempt {new.id} is taken back, and is the last call to him"


def _is_needless(world: "World", call: Row, bulletin: Row) -> bool:
    if bulletin.state != "released" or world.mirror.callout[call.callout_id].state in _DONE:
        return True
    return any(
        newer.callout_id == call.callout_id
        and newer.id > call.id
        and (newer.channel, newer.purpose) == ("voice", "call")
        and newer.state in _TAKEN
        and newer.recalled_at is None
        for newer in world.mirror.attempt.values()
    )


@at_recall(32)
def marked_first_and_asked_for_once(world: "World", asked: Asked) -> Faults:
    """32 S: also by a process that has died meanwhile (law 3)."""
    world.watch.asked_back[asked.attempt.id] += 1
    if asked.attempt.recalled_at is None:
        yield f"attempt {asked.attempt.id} is asked back and not marked"
    if world.watch.asked_back[asked.attempt.id] > 1:
        yield f"attempt {asked.attempt.id} is asked back again"


@at_recall(32)
def what_rings_is_ended_only_by_a_lifting(_world: "World", asked: Asked) -> Faults:
    """32 S: nobody who listens is hung up on because his call came late."""
    if asked.live and asked.bulletin.state != "lifted":
        yield f"attempt {asked.attempt.id} would be ended while he listens"

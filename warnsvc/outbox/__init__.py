"""The outbox: row first, then act, then record (law 3).

    claim (commit) ──► lane: channel.send, many at once ──► recorder: outcomes in batches (commit)
       │                                                        │
       └─ pace, circuit, politeness                             └─ what they tell of their carrier

No transaction is open while a carrier is being called (law 6). A claim takes no more than its
carrier's pace allows for half a second, because what is claimed and unsent when this process dies
has to be looked up by another. A crash between claim and record leaves a lease that ends, and then
an `unknown` that is looked up: never a blind second send, never a lost one.
"""

from warnsvc.outbox.outbox import Outbox

__all__ = ["Outbox"]

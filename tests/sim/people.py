"""People with phones: they answer, late, twice, from a shared phone, refuse, or say nothing.

A person reacts to what reaches the handset, not to what our service believes. It never looks at
the database.
"""

import random
from typing import TYPE_CHECKING

from channels.base import ReceiptWord
from channels.errors import ErrorClass
from tests.sim.plan import SMS, VOICE

if TYPE_CHECKING:
    from tests.sim.carrier import Carrier, Copy
    from tests.sim.world import World

SMALL_TALK_SHARE = 0.4
"""How often carriers tell of what leads to nothing: sent, ringing, picked up."""
REPLIES_MAX = 4
"""Nobody answers for ever."""
_MISSED = {
    "ring": ErrorClass.NO_ANSWER,
    "busy": ErrorClass.BUSY,
    "voicemail": ErrorClass.VOICEMAIL,
    "off": ErrorClass.HANDSET_OFF,
}


class People:
    """Everybody who has a phone."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = random.Random(f"{world.plan.seed}:people")
        self._replies: dict[str, int] = {}

    def gets(self, carrier: "Carrier", copy: "Copy") -> str:
        """A carrier has something for somebody. Returns what an endpoint answers at once."""
        if carrier.kind.value == SMS:
            self._text(carrier, copy)
        elif carrier.kind.value == VOICE:
            self._call(carrier, copy)
        else:
            return self._endpoint(carrier, copy)
        return ""

    def _text(self, carrier: "Carrier", copy: "Copy") -> None:
        if carrier.fault("early"):
            carrier.says(copy, ReceiptWord.SENT, 0.0)
        elif self._random.random() < SMALL_TALK_SHARE:
            carrier.says(copy, ReceiptWord.SENT, 0.4)
        if failing := carrier.fault("fails"):
            error = ErrorClass(failing.detail or ErrorClass.HANDSET_OFF)
            carrier.says(copy, ReceiptWord.UNDELIVERED, self._random.uniform(0.5, 20), error)
            return
        if self._blocked(carrier, copy):
            return
        arrives = self._random.uniform(0.5, 4.0)
        carrier.says(copy, ReceiptWord.DELIVERED, arrives)
        habit = self._world.plan.habit(copy.request.to)
        if habit.word and self._may_reply(copy.request.to):
            carrier.reply(copy.request.to, habit.word, arrives + habit.delay)
            if habit.again:
                carrier.reply(copy.request.to, habit.again, arrives + habit.delay + 3.0)

    def _blocked(self, carrier: "Carrier", copy: "Copy") -> bool:
        """Whether the carrier does not bring what it took, for a reason of its own."""
        blocked = carrier.fault("blocked")
        if blocked is not None:
            error = ErrorClass(blocked.detail or ErrorClass.FILTERED)
            carrier.says(copy, ReceiptWord.UNDELIVERED, self._random.uniform(0.2, 6), error)
        return blocked is not None

    def _may_reply(self, address: str) -> bool:
        self._replies[address] = self._replies.get(address, 0) + 1
        return self._replies[address] <= REPLIES_MAX

    def _call(self, carrier: "Carrier", copy: "Copy") -> None:
        if self._blocked(carrier, copy):
            return
        habit = self._world.plan.habit(copy.request.to)
        if self._random.random() < SMALL_TALK_SHARE:
            carrier.says(copy, ReceiptWord.RINGING, 1.0)
        if habit.call == "voicemail":
            carrier.says(copy, ReceiptWord.PLAYED, 8.0)  # the mailbox has it all
        if habit.call in _MISSED:
            carrier.says(copy, ReceiptWord.UNDELIVERED, 9.0, _MISSED[habit.call])
            return
        picks_up = self._random.uniform(2.0, 8.0)
        if self._random.random() < SMALL_TALK_SHARE:
            carrier.says(copy, ReceiptWord.PICKED_UP, picks_up)
        if habit.call == "press":
            carrier.reply(copy.request.to, habit.key, picks_up + 4.0, to=copy)
            carrier.says(copy, ReceiptWord.HEARD, picks_up + 4.5)
        elif habit.call == "listen":
            carrier.says(copy, ReceiptWord.PLAYED, picks_up + 10.0)
            carrier.says(copy, ReceiptWord.PERSON, picks_up + 3.0)
        else:
            carrier.says(copy, ReceiptWord.CUT_SHORT, picks_up + 2.0)

    def _endpoint(self, carrier: "Carrier", copy: "Copy") -> str:
        habit = self._world.plan.habit(copy.request.to)
        carrier.says(copy, ReceiptWord.DELIVERED, 0.2)
        return habit.word if habit.delay < 10 else ""

"""The way of a text message through the simulated network, and the reader's reaction.

    queued ──► sent ──► delivered | undelivered(code)
      ├──► expired     its validity ended in the queue
      └──► cancelled   while still queued
"""

from functools import partial
from typing import TYPE_CHECKING

from channels.simulator.behaviour import OutageKind
from channels.simulator.habit import Condition, Ending
from channels.simulator.handset import EntryKind
from channels.simulator.traffic import Message

if TYPE_CHECKING:
    from channels.simulator.carrier import Carrier

LOOKING_SECONDS = 30.0
"""How long the network looks for a phone that is switched off before it says so."""

_FAILURE_CODES = {
    Condition.WRONG_NUMBER: "30005",
    Condition.LANDLINE: "30006",
    Condition.SWITCHED_OFF: "30003",
}

_ENDING_CONDITIONS = {
    Ending.DELIVERED: Condition.ON,
    Ending.PERMANENT: Condition.WRONG_NUMBER,
    Ending.TEMPORARY: Condition.SWITCHED_OFF,
    Ending.SILENT: Condition.ON,
}


class SmsFlow:
    """Moves messages along the timeline."""

    def __init__(self, carrier: "Carrier") -> None:
        self._carrier = carrier

    def begin(self, message: Message) -> None:
        """Queue a message at the account's pace."""
        behaviour, ledger = self._carrier.behaviour, message.account
        if not (self._carrier.config.keep_handsets or behaviour.receipts or behaviour.crowd):
            return  # Nobody can ever ask or be told what became of it: a measurement.
        free_at = self._carrier.timeline.now()
        if behaviour.parts_per_second > 0.0:
            free_at = max(free_at, ledger.free_at)
            ledger.free_at = free_at + message.parts / behaviour.parts_per_second
        due = min(free_at + self._seconds(message, "sent"), message.valid_until)
        self._carrier.timeline.at(due, partial(self._hand_over, message))

    def cancel(self, message: Message) -> bool:
        """Take a message out of the queue; False when it has left."""
        if message.status != "queued":
            return False
        self._finish(message, "cancelled")
        return True

    def hurry(self, message: Message) -> None:
        """Send and deliver at once: for receipts that overtake the answer to the request."""
        self._hand_over(message)
        if not message.done:
            self._deliver(message)

    def _hand_over(self, message: Message) -> None:
        carrier = self._carrier
        now = carrier.timeline.now()
        if message.done or message.status != "queued":
            return
        if now >= message.valid_until:
            self._finish(message, "expired", code="30036")
        elif carrier.outage.at(now) is OutageKind.STALLED:
            due = min(carrier.outage.until, message.valid_until)
            carrier.timeline.at(due, partial(self._hand_over, message))
        else:
            carrier.emit(message, "sent")
            self._find_phone(message)

    def _find_phone(self, message: Message) -> None:
        carrier, code = self._carrier, _FAILURE_CODES.get(self._condition(message))
        if code is None:
            step = partial(self._deliver, message)
            carrier.timeline.after(self._seconds(message, "delivered"), step)
            return
        seconds = LOOKING_SECONDS if code == "30003" else self._seconds(message, "failed")
        due = min(carrier.timeline.now() + seconds, message.valid_until)
        carrier.timeline.at(due, partial(self._finish, message, "undelivered", code=code))

    def _deliver(self, message: Message) -> None:
        if message.done:
            return
        self._carrier.show(message, EntryKind.TEXT)
        self._finish(message, "delivered")
        self._react(message)

    def _finish(self, message: Message, status: str, *, code: str = "") -> None:
        if not message.done:
            message.done = True
            self._carrier.emit(message, status, code=code)

    def _react(self, message: Message) -> None:
        """The reader answers, or not, by his habit."""
        carrier, behaviour = self._carrier, self._carrier.behaviour
        habit = carrier.habit(message.to)
        if habit is None or any(word in message.text for word in behaviour.quiet_words):
            return
        about = (message.to, message.nth)
        if not carrier.dice.happens(habit.replies, "replies", *about):
            return
        word = habit.words[int(carrier.dice.roll("word", *about) * len(habit.words))]
        seconds = carrier.dice.duration(habit.reply_seconds, behaviour.spread, "thinks", *about)
        carrier.timeline.after(
            seconds / behaviour.crowd_speed, partial(carrier.reply, message.to, word, message)
        )

    def _condition(self, message: Message) -> Condition:
        ending = self._carrier.ending(message)
        return _ENDING_CONDITIONS[ending] if ending else self._carrier.condition(message.to)

    def _seconds(self, message: Message, step: str) -> float:
        behaviour = self._carrier.behaviour
        return self._carrier.dice.duration(
            behaviour.sms_seconds, behaviour.spread, step, message.sid
        )

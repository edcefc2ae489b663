"""The way of a call through the simulated network, by habit or by a hand on the page.

    queued ──► dialing ──► ringing ──► answered ──► played ──► (keys, then the line is free)
      │           │           │            └──► hung_up      before the end, with seconds heard
      │           │           ├──► declined | no_answer
      │           │           └──► answered ──► voicemail    a machine
      │           └──► busy | switched_off | bad_number
      ├──► expired     no line became free in time
      └──► cancelled   at any point before the end, or only before it rings
"""

from functools import partial
from typing import TYPE_CHECKING

from channels.simulator.behaviour import OutageKind
from channels.simulator.habit import Condition, Ending
from channels.simulator.handset import EntryKind
from channels.simulator.traffic import Message

if TYPE_CHECKING:
    from channels.simulator.carrier import Carrier

SPEECH_CHARS_PER_SECOND = 4.5
"""Chinese read aloud calmly."""

SPEECH_SECONDS_MIN = 3.0

EARLY_SHARE = 0.3
"""How much of the message somebody hears who hangs up early."""

KEY_SECONDS = 8.0
"""How long the line stays open for a key after the message."""

VOICEMAIL_RINGS_SECONDS = 20.0

_AT_ONCE = {
    Condition.SWITCHED_OFF: "switched_off",
    Condition.WRONG_NUMBER: "bad_number",
    Condition.BUSY: "busy",
}
"""Conditions in which a phone does not ring."""

_ENDING_CONDITIONS = {
    Ending.PERMANENT: Condition.WRONG_NUMBER,
    Ending.TEMPORARY: Condition.SWITCHED_OFF,
}

_FREE_TO_RING = ("queued", "dialing")
_NOT_TAKEN = ("queued", "dialing", "ringing")


class CallFlow:
    """Moves calls along the timeline."""

    def __init__(self, carrier: "Carrier") -> None:
        self._carrier = carrier

    def begin(self, call: Message) -> None:
        """Dial when a line is free; give up when the call's validity ends first."""
        call.account.waiting.append(call)
        self._carrier.timeline.at(call.valid_until, partial(self._expire, call))
        self._fill_lines(call)

    def hurry(self, call: Message) -> None:
        """Let it ring at once: for receipts that overtake the answer to the request."""
        if call.status == "dialing":
            self._ring(call)

    def cancel(self, call: Message, *, live: bool) -> bool:
        """Stop a call that waits; `live`: or that rings or is being listened to."""
        if call.done or not (live or call.status in _FREE_TO_RING):
            return False
        self._end(call, "cancelled")
        return True

    # --------------------------------------------------------------------------- by a hand, or by
    # --------------------------------------------------------------------------- habit: the person

    def take(self, number: str, key: str = "") -> bool:
        """Answer if it rings, hear the message out, press a key."""
        call = self._call_at(number)
        if call is None:
            return False
        if call.status == "ringing":
            self._answer(call)
        if not call.played:
            self._played(call)
        if key:
            self._press(call, key)
        return True

    def cut(self, number: str, heard_share: float) -> bool:
        """Answer if it rings, and hang up before the end."""
        call = self._call_at(number)
        if call is None:
            return False
        if call.status == "ringing":
            self._answer(call)
        self._hang_up(call, heard_share * self._speech_seconds(call))
        return True

    def decline(self, number: str) -> bool:
        """Refuse a ringing call."""
        call = self._call_at(number)
        if call is None or call.status != "ringing":
            return False
        self._end(call, "declined")
        return True

    # -------------------------------------------------------------------------------- the network

    def _fill_lines(self, call: Message) -> None:
        ledger, lines = call.account, self._carrier.behaviour.lines
        while ledger.waiting and (lines <= 0 or ledger.lines_used < lines):
            following = ledger.waiting.popleft()
            if not following.done:
                ledger.lines_used += 1
                self._dial(following)

    def _dial(self, call: Message) -> None:
        carrier, now = self._carrier, self._carrier.timeline.now()
        if call.done:
            return
        if carrier.outage.at(now) is OutageKind.STALLED:
            due = min(carrier.outage.until, call.valid_until)
            carrier.timeline.at(due, partial(self._dial, call))
            return
        carrier.emit(call, "dialing")
        carrier.timeline.after(self._setup_seconds(call), partial(self._ring, call))

    def _ring(self, call: Message) -> None:
        carrier = self._carrier
        if call.done or call.status != "dialing":
            return
        refused = _AT_ONCE.get(self._condition(call))
        handset = carrier.handset(call.to)
        if refused is None and handset is not None and handset.call is not None:
            refused = "busy"
        carrier.show(call, EntryKind.CALL)
        if refused is not None:
            self._end(call, refused)
            return
        if handset is not None:
            handset.call = call
        carrier.emit(call, "ringing")
        carrier.timeline.after(carrier.behaviour.ring_seconds, partial(self._give_up, call))
        self._react(call)

    def _give_up(self, call: Message) -> None:
        if call.status == "ringing":
            self._end(call, "no_answer")

    def _expire(self, call: Message) -> None:
        """A call that has not begun to ring when its validity ends is not made any more."""
        if not call.done and call.status in _FREE_TO_RING:
            self._end(call, "expired", code="30036")

    # --------------------------------------------------------------------------------- the person

    def _react(self, call: Message) -> None:
        carrier, behaviour = self._carrier, self._carrier.behaviour
        if self._condition(call) is Condition.VOICEMAIL:
            carrier.timeline.after(VOICEMAIL_RINGS_SECONDS, partial(self._voicemail, call))
            return
        if carrier.ending(call) is Ending.DELIVERED:
            carrier.timeline.after(1.0, partial(self._listen, call, "", early=False))
            return
        habit = carrier.habit(call.to)
        about = (call.to, call.nth)
        if habit is None or not carrier.dice.happens(habit.picks_up, "picks up", *about):
            return
        seconds = carrier.dice.duration(habit.pick_up_seconds, behaviour.spread, "walks", *about)
        step = partial(self._listen, call, habit.keys, early=habit.hangs_up_early)
        carrier.timeline.after(seconds / behaviour.crowd_speed, step)

    def _listen(self, call: Message, keys: str, *, early: bool) -> None:
        if call.status != "ringing":
            return
        self._answer(call)
        timeline, speed = self._carrier.timeline, self._carrier.behaviour.crowd_speed
        whole = self._speech_seconds(call)
        if early:
            heard = whole * EARLY_SHARE
            timeline.after(heard / speed, partial(self._hang_up, call, heard))
            return
        timeline.after(whole / speed, partial(self._played, call))
        for place, key in enumerate(keys):
            timeline.after((whole + 1.0 + place) / speed, partial(self._press, call, key))

    def _voicemail(self, call: Message) -> None:
        if call.status == "ringing":
            self._answer(call)
            self._end(call, "voicemail")

    def _answer(self, call: Message) -> None:
        call.answered_at = self._carrier.timeline.now()
        self._carrier.emit(call, "answered")

    def _played(self, call: Message) -> None:
        if call.done or call.played:
            return
        call.played = True
        self._carrier.emit(call, "played", heard=self._speech_seconds(call))
        self._carrier.timeline.after(KEY_SECONDS, partial(self._close, call))

    def _press(self, call: Message, key: str) -> None:
        if not call.done:
            self._carrier.press(call, key)

    def _hang_up(self, call: Message, heard: float) -> None:
        """Before the end it is cut short; after it, it is only the end of the call."""
        if call.played:
            self._close(call)
        elif not call.done:
            self._end(call, "hung_up", heard=heard)

    # ------------------------------------------------------------------------------------ the end

    def _end(
        self, call: Message, status: str, *, code: str = "", heard: float | None = None
    ) -> None:
        if not call.done:
            was_waiting = call.status == "queued" and call in call.account.waiting
            self._carrier.emit(call, status, code=code, heard=heard)
            self._close(call, held_a_line=not was_waiting)

    def _close(self, call: Message, *, held_a_line: bool = True) -> None:
        """Free the phone and the line."""
        if call.done:
            return
        call.done = True
        handset = self._carrier.shelf.find(call.to)
        if handset is not None and handset.call is call:
            handset.call = None
            self._carrier.moved(handset)
        if held_a_line:
            call.account.lines_used -= 1
        self._fill_lines(call)

    def _call_at(self, number: str) -> Message | None:
        handset = self._carrier.shelf.find(number)
        return handset.call if handset is not None else None

    def _condition(self, call: Message) -> Condition:
        ending = self._carrier.ending(call)
        if ending is not None:
            return _ENDING_CONDITIONS.get(ending, Condition.ON)
        return self._carrier.condition(call.to)

    def _setup_seconds(self, call: Message) -> float:
        behaviour = self._carrier.behaviour
        return self._carrier.dice.duration(
            behaviour.setup_seconds, behaviour.spread, "setup", call.sid
        )

    def _speech_seconds(self, call: Message) -> float:
        return max(SPEECH_SECONDS_MIN, len(call.text) / SPEECH_CHARS_PER_SECOND)

"""Phones in people's hands: what they have received, and what their owners do about it.

    village.expects_sms("暴雨红色").replies("1")
    village.expects_call().is_cut_short()
    village.expects_nothing()

Messages are read in the order in which they came, each once. What a person or a carrier does is put
into the mail; it arrives when the county next settles or time moves on.
"""

from dataclasses import dataclass

from channels.base import CallbackRequest, ReceiptWord
from channels.errors import ErrorClass
from tests.fakes.channel import FakeChannel, Taken


@dataclass(frozen=True, slots=True)
class Received:
    """One message or call, looked at by its receiver."""

    channel: FakeChannel
    taken: Taken

    @property
    def text(self) -> str:
        return self.taken.text

    def says(self, *words: str) -> "Received":
        """Check that every one of these words is in it."""
        for word in words:
            assert word in self.text, f"{word!r} is not in {self.text!r}"
        return self

    def does_not_say(self, *words: str) -> "Received":
        """Check that none of these words is in it."""
        for word in words:
            assert word not in self.text, f"{word!r} is in {self.text!r}"
        return self

    def receipt(self, word: ReceiptWord, error: ErrorClass | None = None) -> CallbackRequest:
        """Let the carrier say something about it."""
        return self.channel.receipt(self.taken, word, error)

    def arrives(self) -> "Received":
        """The handset has it."""
        self.receipt(ReceiptWord.DELIVERED)
        return self

    def fails(self, error: ErrorClass) -> "Received":
        """It will not arrive, or nobody took the call."""
        self.receipt(ReceiptWord.UNDELIVERED, error)
        return self

    def replies(self, text: str) -> CallbackRequest:
        """Send a text back: it names no message, only the number it comes from."""
        return self.channel.answer(self.taken.to, text)

    def presses(self, key: str) -> CallbackRequest:
        """Press a key in this call."""
        self.receipt(ReceiptWord.PICKED_UP)
        return self.channel.answer(self.taken.to, key, to=self.taken)

    def is_heard(self) -> "Received":
        """Listen to the end, press nothing."""
        self.receipt(ReceiptWord.PICKED_UP)
        self.receipt(ReceiptWord.HEARD)
        return self

    def is_cut_short(self) -> "Received":
        """Hang up half-way."""
        self.receipt(ReceiptWord.PICKED_UP)
        self.receipt(ReceiptWord.CUT_SHORT)
        return self


class Phone:
    """One number. `sms` and `voice` are the carriers that reach it."""

    def __init__(self, address: str, channels: dict[str, FakeChannel]) -> None:
        self.address = address
        self._channels = channels

    def expects_sms(self, *words: str) -> Received:
        """Read the next text; it must hold these words."""
        return self._next("sms").says(*words)

    def expects_call(self, *words: str) -> Received:
        """Take the next call; it must hold these words."""
        return self._next("voice").says(*words)

    def expects_post(self, *words: str) -> Received:
        """Read the next signed request to this endpoint."""
        return self._next("webhook").says(*words)

    def expects_nothing(self) -> None:
        """Nothing has come that was not read already."""
        waiting = [t.text for name in self._channels for t in self._unread(name)]
        assert not waiting, f"{self.address} got {waiting}"

    def expects_no_more_calls(self) -> None:
        """No call has come that was not taken already."""
        waiting = [t.text for t in self._unread("voice")]
        assert not waiting, f"{self.address} was called with {waiting}"

    def ignores_everything(self) -> None:
        """Let whatever has come lie."""
        for name in self._channels:
            for taken in self._unread(name):
                taken.read = True

    def texts(self, channel: str = "sms") -> list[str]:
        """Everything that ever came here."""
        return [t.text for t in self._channels[channel].taken if t.to == self.address]

    def sends(self, text: str) -> CallbackRequest:
        """Send a text without having been asked."""
        return self._channels["sms"].answer(self.address, text)

    def _next(self, name: str) -> Received:
        unread = self._unread(name)
        assert unread, f"{self.address} got nothing by {name}, only {self.texts(name)} long ago"
        unread[0].read = True
        return Received(self._channels[name], unread[0])

    def _unread(self, name: str) -> list[Taken]:
        return [t for t in self._channels[name].taken if t.to == self.address and not t.read]

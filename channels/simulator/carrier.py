"""The simulated carrier itself, without its HTTP face: who may send, what happens to it, who hears.

    accept ──► SmsFlow   queued → sent → delivered | undelivered | expired | cancelled
           └─► CallFlow  queued → dialing → ringing → answered → played | hung_up | …
    emit   ──► the event is kept for look-up, and posted to the customer, perhaps late, twice, never
    people ──► reply, press: kept for polling, and posted to the customer

It knows numbers and texts, and nothing of who sent them or why. It keeps no more than its limits.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from channels import segment, signature
from channels.simulator.behaviour import Behaviour, Outage, OutageKind
from channels.simulator.call_flow import CallFlow
from channels.simulator.dice import Dice
from channels.simulator.habit import Condition, Ending, Habit, ending_of, habit_of
from channels.simulator.handset import Entry, EntryKind, Handset, Shelf, note_status
from channels.simulator.hook import HOOK_PREFIX, Hook, HookDesk
from channels.simulator.postman import Callback, Postman
from channels.simulator.sms_flow import SmsFlow
from channels.simulator.timeline import Timeline
from channels.simulator.traffic import Account, Event, Inbound, Ledger, Message, Refusal
from channels.simulator.watch import Watch

NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
"""E.164."""

CALLBACK_ADDRESS = re.compile(r"https?://[^\s]{1,2000}")

TEXT_CHARS_MAX = 1600
VALIDITY_SECONDS_MAX = 36_000

MESSAGES_KEPT_MAX = 200_000
"""Messages that a look-up still finds; the oldest go first."""

SENTENCES = {
    "20001": "wrong account or secret",
    "20003": "this sender is not yours",
    "20006": "validity must be from 1 to 36000 seconds",
    "20008": "the status callback or the recording is no URL",
    "21001": "no such number",
    "21007": "the text must have from 1 to 1600 characters",
    "42900": "too fast",
}
"""Codes of refusals, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierConfig:
    """How a carrier is set up. `seed` decides everybody's habits."""

    accounts: tuple[Account, ...]
    hooks: tuple[Hook, ...] = ()
    seed: int = 7
    behaviour: Behaviour = field(default_factory=Behaviour)
    keep_handsets: bool = True
    """False for measurements: no screens and no memory of messages."""
    magic_endings: bool = False
    """Whether a number's last digit decides (…1 delivered, …2 dead, …3 off, …4 no receipt)."""
    templates: Path | None = None
    """The folder of `phones/` and `locale/`; None: found in a checkout or an installed package."""
    time_zone: str = "Asia/Shanghai"
    """The zone of the times on the phones' screens."""


@dataclass(slots=True)
class Counts:
    """What passed through, for the page and for measurements."""

    accepted: int = 0
    refused: int = 0
    throttled: int = 0
    delivered: int = 0
    replies: int = 0
    keys: int = 0


class Carrier:
    """One carrier: its customers, its network and everybody's phones."""

    def __init__(self, config: CarrierConfig, timeline: Timeline) -> None:
        self.config = config
        self.timeline = timeline
        self.behaviour = config.behaviour
        self.outage = Outage()
        self.dice = Dice(config.seed)
        self.postman = Postman(timeline)
        self.shelf = Shelf()
        self.watch = Watch()
        self.counts = Counts()
        self.ledgers = {account.name: Ledger(account=account) for account in config.accounts}
        self.hooks = HookDesk(self, config.hooks)
        self._sms = SmsFlow(self)
        self._calls = CallFlow(self)
        self._by_reference: dict[tuple[bool, str], list[Message]] = {}
        self._by_sid: dict[str, Message] = {}
        self._early: list[Callback] | None = None
        """Callbacks held back while the first events overtake an answer."""
        self.door: Callable[[OutageKind], None] | None = None
        """Opens and closes the sockets, where a server stands in front of this carrier."""
        self._sid_count = 0
        self._inbound_count = 0

    # ------------------------------------------------------------------------------ taking messages

    def accept(
        self, ledger: Ledger, form: Mapping[str, str], *, is_call: bool
    ) -> Message | Refusal:
        """Take a message or call into the queue, or say why not."""
        code = self._fault_of(ledger, form)
        if code:
            self.counts.refused += 1
            return Refusal(status=400, code=code, message=SENTENCES[code])
        message = self._message(ledger, form, is_call=is_call)
        self._remember(message)
        self.counts.accepted += 1
        flow = self._calls if is_call else self._sms
        flow.begin(message)
        return message

    async def hurry(self, message: Message) -> None:
        """Let the first events overtake the answer to the request: post them now, and wait."""
        self._early = []
        (self._calls if message.is_call else self._sms).hurry(message)
        early, self._early = self._early, None
        for callback in early:
            await self.postman.deliver(callback)

    def throttle(self, ledger: Ledger) -> Refusal | None:
        """Return a 429 when an account is too fast; one second's worth may come at once."""
        rate = self.behaviour.requests_per_second
        if rate <= 0.0:
            return None
        now = self.timeline.now()
        earned = (now - ledger.tokens_at) * rate if ledger.tokens_at else max(rate, 1.0)
        ledger.tokens = min(max(rate, 1.0), ledger.tokens + earned)
        ledger.tokens_at = now
        if ledger.tokens >= 1.0:
            ledger.tokens -= 1.0
            return None
        self.counts.throttled += 1
        return Refusal(
            status=429,
            code="42900",
            message=SENTENCES["42900"],
            retry_after=self.behaviour.retry_after,
        )

    def cancel(self, ledger: Ledger, sid: str, *, is_call: bool, live: bool = True) -> bool:
        """Stop a queued message or a waiting call; `live`: or one that rings or is listened to."""
        message = self._by_sid.get(sid)
        if message is None or message.account is not ledger or message.is_call is not is_call:
            return False
        return self._calls.cancel(message, live=live) if is_call else self._sms.cancel(message)

    def lookup(self, ledger: Ledger, reference: str, *, is_call: bool) -> list[Message]:
        """Return what was taken under a customer's reference."""
        found = self._by_reference.get((is_call, reference), [])
        return [message for message in found if message.account is ledger]

    def messages(self) -> Iterator[Message]:
        """Yield every message and call still remembered, oldest first."""
        return iter(self._by_sid.values())

    def _fault_of(self, ledger: Ledger, form: Mapping[str, str]) -> str:
        senders = ledger.account.senders
        if senders and form.get("From", "") not in senders:
            return "20003"
        if not NUMBER.fullmatch(form.get("To", "")):
            return "21001"
        if not 1 <= len(form.get("Text", "")) <= TEXT_CHARS_MAX:
            return "21007"
        validity = form.get("Validity", "")
        if validity and not (
            validity.isdecimal() and 1 <= int(validity[:9]) <= VALIDITY_SECONDS_MAX
        ):
            return "20006"
        for address in (form.get("StatusCallback", ""), form.get("Audio", "")):
            if address and not CALLBACK_ADDRESS.fullmatch(address):
                return "20008"
        return ""

    def _message(self, ledger: Ledger, form: Mapping[str, str], *, is_call: bool) -> Message:
        now = self.timeline.now()
        self._sid_count += 1
        text = form["Text"]
        return Message(
            sid=f"{'CA' if is_call else 'SM'}{self.config.seed:08x}{self._sid_count:012x}",
            account=ledger,
            is_call=is_call,
            to=form["To"],
            sender=form.get("From", ""),
            text=text,
            language=form.get("Language", ""),
            callback=form.get("StatusCallback", ""),
            reference=form.get("Reference", ""),
            valid_until=now + int(form.get("Validity") or VALIDITY_SECONDS_MAX),
            audio=form.get("Audio", "") if is_call else "",
            parts=1 if is_call else segment.count(text).parts,
            accepted_at=now,
        )

    def _remember(self, message: Message) -> None:
        if not self.config.keep_handsets:
            return
        handset = self.shelf.get(message.to)
        handset.received_count += 1
        message.nth = handset.received_count
        self._by_sid[message.sid] = message
        if message.reference:
            key = (message.is_call, message.reference)
            self._by_reference.setdefault(key, []).append(message)
        if len(self._by_sid) > MESSAGES_KEPT_MAX:
            oldest = self._by_sid.pop(next(iter(self._by_sid)))
            self._by_reference.pop((oldest.is_call, oldest.reference), None)

    # ------------------------------------------------------------------------------- what is wrong

    def fault(self) -> OutageKind:
        """Return what is wrong with the carrier now."""
        return self.outage.at(self.timeline.now())

    def break_down(self, kind: OutageKind, seconds: float) -> None:
        """Be out for a while; `NONE` ends an outage."""
        self.outage = Outage(kind=kind, until=self.timeline.now() + seconds)
        self._outage_changed()
        self.timeline.after(seconds, self._outage_changed)

    def _outage_changed(self) -> None:
        self.watch.bump()
        if self.door is not None:
            self.door(self.fault())

    # ------------------------------------------------------------------------------ telling of it

    def emit(
        self, message: Message, status: str, *, code: str = "", heard: float | None = None
    ) -> None:
        """Note what became of a message and let the customer know, as reliably as configured."""
        event = Event(
            sequence=len(message.events) + 1,
            status=status,
            at=self.timeline.now(),
            code=code,
            heard=heard,
        )
        message.events.append(event)
        message.status = status
        if status == "delivered":
            self.counts.delivered += 1
        self.show_status(message, status)
        self._announce(message, event)

    def _announce(self, message: Message, event: Event) -> None:
        behaviour, about = self.behaviour, (message.sid, event.sequence)
        silent = self.ending(message) is Ending.SILENT
        if not (behaviour.receipts and message.callback) or silent:
            return
        if self.dice.happens(behaviour.lose_receipt, "lost", *about):
            return
        callback = self.status_callback(message, event)
        if self._early is not None:
            self._early.append(callback)
            return
        late = self.dice.happens(behaviour.disorder, "late", *about)
        delay = behaviour.disorder_seconds if late else 0.0
        post = partial(self.postman.deliver, callback)
        self.timeline.after(delay, post)
        if self.dice.happens(behaviour.duplicate_receipt, "twice", *about):
            self.timeline.after(delay + behaviour.sms_seconds, post)

    def status_callback(self, message: Message, event: Event) -> Callback:
        """Return the signed form that tells a customer about one event."""
        pairs = [
            ("Sid", message.sid),
            ("Reference", message.reference),
            ("To", message.to),
            ("From", message.sender),
            *event_fields(event),
        ]
        return form_callback(message.account.account, message.callback, pairs)

    # ------------------------------------------------------------------------------ what people do

    def reply(self, number: str, text: str, to: Message | None = None) -> None:
        """A person sends a text, back to where the last message came from."""
        if number.startswith(HOOK_PREFIX):
            self.hooks.answer(number, text)
            return
        handset = self.handset(number)
        last = to or (handset.last if handset else None)
        ledger = last.account if last else next(iter(self.ledgers.values()))
        sender = last.sender if last else next(iter(ledger.account.senders), "")
        self.counts.replies += 1
        form = self._inbound_form(number, sender, (("Text", text),))
        self._take_inbound(ledger, form, ledger.account.inbound_callback, is_call=False)
        self._write(number, EntryKind.REPLY, text)

    def press(self, message: Message, key: str) -> None:
        """A person presses a key in a call."""
        self.counts.keys += 1
        extra = (("Digits", key), ("Status", "digits"), ("Reference", message.reference))
        form = self._inbound_form(message.to, message.sender, extra)
        self._take_inbound(message.account, form, message.callback, is_call=True)
        self._write(message.to, EntryKind.KEY, key)

    def take_call(self, number: str, key: str = "") -> bool:
        """Answer a ringing phone, listen to the end and press a key. False: it is not ringing."""
        return self._calls.take(number, key)

    def cut_call(self, number: str, heard_share: float = 0.5) -> bool:
        """Answer, and hang up after a share of the message. False: no call."""
        return self._calls.cut(number, heard_share)

    def decline_call(self, number: str) -> bool:
        """Refuse a ringing call. False: it is not ringing."""
        return self._calls.decline(number)

    def _inbound_form(
        self, number: str, sender: str, extra: tuple[tuple[str, str], ...]
    ) -> tuple[tuple[str, str], ...]:
        self._inbound_count += 1
        return (
            ("Id", f"IN{self.config.seed:08x}{self._inbound_count:012x}"),
            ("From", number),
            ("To", sender),
            ("Timestamp", instant(self.timeline.now())),
            *extra,
        )

    def _take_inbound(
        self, ledger: Ledger, form: tuple[tuple[str, str], ...], url: str, *, is_call: bool
    ) -> None:
        now = self.timeline.now()
        ledger.inbound.append(
            Inbound(number=self._inbound_count, at=now, is_call=is_call, form=form)
        )
        if url:
            callback = form_callback(ledger.account, url, list(form))
            self.timeline.at(now, lambda: self.postman.deliver(callback))

    # ---------------------------------------------------------------------------------- the phones

    def handset(self, number: str) -> Handset | None:
        """Return a phone, when phones are kept."""
        return self.shelf.get(number) if self.config.keep_handsets else None

    def habit(self, number: str) -> Habit | None:
        """Return how a person behaves now; None: he waits for a hand on the page."""
        handset = self.shelf.find(number)
        if handset is not None and handset.habit is not None:
            return handset.habit
        behaviour = self.behaviour
        if behaviour.crowd and self.dice.happens(behaviour.crowd_share, "crowd", number):
            return habit_of(self.dice, number)
        return None

    def condition(self, number: str) -> Condition:
        """Return the state the network finds a phone in."""
        handset = self.shelf.find(number)
        if handset is not None and handset.condition is not None:
            return handset.condition
        habit = self.habit(number)
        return habit.condition if habit else Condition.ON

    def ending(self, message: Message) -> Ending | None:
        """Return what the last digit decides, where it does."""
        return ending_of(message.to) if self.config.magic_endings else None

    def show(self, message: Message, kind: EntryKind, status: str = "") -> None:
        """Put a message or call on the phone's screen."""
        handset = self.handset(message.to)
        if handset is None:
            return
        handset.last = message
        handset.entries.append(
            Entry(
                kind=kind,
                text=message.text,
                at=self.timeline.now(),
                sender=message.sender,
                parts=message.parts,
                sid=message.sid,
                status=status,
                language=message.language,
                audio=message.audio,
            )
        )
        self.moved(handset)

    def show_status(self, message: Message, status: str) -> None:
        """Write how it stands on the phone's screen."""
        handset = self.shelf.find(message.to)
        if handset is not None and note_status(handset, message.sid, status):
            self.moved(handset)

    def moved(self, handset: Handset) -> None:
        """Note that something happened on a phone, and let the page know."""
        self.shelf.touch(handset, self.timeline.now())
        self.watch.bump()

    def _write(self, number: str, kind: EntryKind, text: str) -> None:
        handset = self.handset(number)
        if handset is not None:
            handset.entries.append(Entry(kind=kind, text=text, at=self.timeline.now()))
            self.moved(handset)

    async def close(self) -> None:
        """Stop time and let go of pages and connections."""
        self.watch.close()
        await self.timeline.close()
        await self.postman.close()


def event_fields(event: Event) -> list[tuple[str, str]]:
    """Return an event as the customer sees it, in callbacks and look-ups alike."""
    pairs = [
        ("Status", event.status),
        ("Sequence", str(event.sequence)),
        ("Timestamp", instant(event.at)),
    ]
    if event.code:
        pairs.append(("Code", event.code))
    if event.heard is not None:
        pairs.append(("HeardSeconds", f"{event.heard:.1f}"))
    return pairs


def form_callback(account: Account, url: str, pairs: list[tuple[str, str]]) -> Callback:
    """Return a form signed with the account's first secret."""

    def headers(now: datetime) -> dict[str, str]:
        signed = signature.form_headers(account.secrets[0], url, pairs, now)
        return {"Content-Type": "application/x-www-form-urlencoded", **signed}

    return Callback(url=url, body=urlencode(pairs).encode("ascii"), headers=headers)


def instant(at: float) -> str:
    """Return an instant with its zone, as carriers should."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")

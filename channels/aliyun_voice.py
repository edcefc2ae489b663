"""Calls through Alibaba Cloud's 语音服务: approved speech templates, keys, mainland China only.

    template with keys      IvrCall(StartCode, MenuKeyMap, ByeCode, PlayTimes, OutId)
    template without keys   SingleCallByTts(TtsCode, TtsParam, PlayTimes, OutId)
    on the way              VoiceCallReport: started, ringing, answered, key pressed
    at the end              VoiceReport: how it ended, how long, which keys

    a key of a call is reported twice, on the way and at its end: one answer, by call and key
    a key that only says the text again is none
    a key in a report without OutId is kept for a human, with the number that was called

OutId holds fifteen bytes, and our tokens are longer. What goes out is the token's beginning, which
names the try and part of its signature; the house reads it, since the callback is genuine already
(`warnsvc.token.read_cut_token`). A call speaks what a template and its values say, in Chinese or
English, and nothing else: recordings are reviewed for a day, so none is played. An unknown call
cannot be looked up, because it is found by the very CallId that we did not get.
Every dial counts against the callee's limits (1 a minute, 5 an hour, 20 a day), failed ones too.
Source: carriers.md §4.1 and the API reference of 2017-05-25.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import structlog

from channels.aliyun_api import AccessKey, AliyunApi, Nonce, instant, new_nonce
from channels.aliyun_callback import REPLY, BatchGate
from channels.aliyun_error import refusal
from channels.aliyun_number import for_call, international
from channels.aliyun_template import AGAIN, Filled, Limits, Templates, unsendable, words_of
from channels.base import (
    CallbackMalformed,
    CallbackReply,
    CallbackRequest,
    Capabilities,
    ChannelKind,
    Estimate,
    InboundEvent,
    Obstacle,
    OutcomeKind,
    PerCalleeLimit,
    PlainChannel,
    ReceiptEvent,
    ReceiptWord,
    SendOutcome,
    SendRequest,
    Unsendable,
    Words,
)
from channels.clock import Clock, utc_now
from channels.errors import ChannelError, ErrorClass, PermanentFailure
from channels.http_client import TimeLimits, outcome_of

log = structlog.get_logger(__name__)

BASE_URL: Final = "https://dyvmsapi.aliyuncs.com"
VERSION: Final = "2017-05-25"
CHARS_MAX: Final = 1_000
"""Characters of a spoken text with its values."""
OUT_ID_BYTES_MAX: Final = 15
"""So the reference of IvrCall says; longer ones have been seen to pass, and are not relied on."""
PER_CALLEE: Final = (
    PerCalleeLimit(count=1, seconds=60, hard=True),
    PerCalleeLimit(count=5, seconds=3_600, hard=True),
    PerCalleeLimit(count=20, seconds=86_400, hard=True),
)
"""Of one qualification and purpose, to one callee."""
PER_SECOND: Final = 5.0
"""IvrCall takes a hundred a second; the lines are what is scarce."""
LINES: Final = 20
"""Simultaneous calls, until the provider says how many a number has."""
SPOKEN: Final = frozenset({"zh", "en"})
"""What its speech synthesis reads; templates in other languages are not approved."""
PLAY_TIMES: Final = range(1, 4)
KEY_SECONDS: Final = 8.0
"""How long it waits for a key after the text: old people look for their glasses."""

RING_SECONDS: Final = 20.0
SPEECH_CHARS_PER_SECOND: Final = 4.5
"""Chinese read aloud calmly (domain.md)."""

WORDS: Final[Mapping[str, tuple[ReceiptWord, ErrorClass | None]]] = {
    "200101": (ReceiptWord.SENT, None),
    "200201": (ReceiptWord.RINGING, None),
    "200102": (ReceiptWord.PICKED_UP, None),
    "200103": (ReceiptWord.PICKED_UP, None),
    "200000": (ReceiptWord.DELIVERED, None),  # played to the end, perhaps to a mailbox (law 1)
    "200008": (ReceiptWord.DELIVERED, None),  # the same, and no key was pressed in time
    "200001": (ReceiptWord.CUT_SHORT, None),
    "200002": (ReceiptWord.UNDELIVERED, ErrorClass.BUSY),
    "200003": (ReceiptWord.UNDELIVERED, ErrorClass.NO_ANSWER),
    "200004": (ReceiptWord.UNDELIVERED, ErrorClass.BAD_NUMBER),
    "200005": (ReceiptWord.UNDELIVERED, ErrorClass.NO_ANSWER),  # declined, off or out of order
    "200006": (ReceiptWord.UNDELIVERED, ErrorClass.CONFIG),
    "200007": (ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF),
    "200010": (ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF),
    "200011": (ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF),  # unpaid: may be back tonight
    "200012": (ReceiptWord.UNDELIVERED, ErrorClass.UNROUTABLE),
    "200104": (ReceiptWord.UNDELIVERED, ErrorClass.CONFIG),
    "200105": (ReceiptWord.UNDELIVERED, ErrorClass.UNROUTABLE),
    "200117": (ReceiptWord.UNDELIVERED, ErrorClass.CONFIG),
    "200118": (ReceiptWord.UNDELIVERED, ErrorClass.UNROUTABLE),
    "200121": (ReceiptWord.UNDELIVERED, ErrorClass.THROTTLED),  # every line was taken
    "200130": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
}
"""The carrier's codes of a call's course and end."""

KEY_PRESSED: Final = "300000"
SILENT: Final = frozenset({KEY_PRESSED, "200100"})
"""Codes that are no receipt: a key, and that a call is over, of which the report says how."""
CONNECTED: Final = frozenset({ReceiptWord.DELIVERED, ReceiptWord.CUT_SHORT})
KEYS: Final = frozenset("0123456789")
NAMELESS: Final = "按键 {key}"
"""How a key reads that belongs to no try. A person understands it; nothing counts it as an answer:
the same account may call for somebody else, whose 1 is not ours (law 1)."""


class AliyunVoice(PlainChannel):
    """One account, one caller's number, its approved speech templates."""

    def __init__(
        self,
        *,
        name: str,
        access_key_id: str,
        secrets: Sequence[str],
        templates_file: str,
        sender: str = "",
        base_url: str = BASE_URL,
        allow_from: str = "",
        play_times: int = 2,
        key_seconds: float = KEY_SECONDS,
        per_second: float = PER_SECOND,
        lines: int = LINES,
        per_callee: Sequence[PerCalleeLimit] = PER_CALLEE,
        limits: TimeLimits | None = None,
        clock: Clock = utc_now,
        nonce: Nonce = new_nonce,
    ) -> None:
        """`sender`: the number that is shown; without one no key can be asked for."""
        if not secrets or not all(secrets):
            raise ValueError("an Aliyun account needs the secret of its access key")
        if play_times not in PLAY_TIMES:
            raise ValueError("play_times is 1, 2 or 3")
        self.name = name
        self._templates = Templates.load(templates_file, Limits(chars_max=CHARS_MAX, calls=True))
        if self._templates.asks_for_keys and not sender:
            raise ValueError("templates with keys need a sender: a number bought from the provider")
        self.capabilities = Capabilities(
            kind=ChannelKind.VOICE,
            mixed_callbacks=True,
            countries=frozenset({"86"}),
            inbound_countries=frozenset({"86"} if self._templates.asks_for_keys else ()),
            dtmf=self._templates.asks_for_keys,
            free_text=False,
            links_allowed=False,
            chars_max=CHARS_MAX,
            per_second=per_second,
            lines=lines,
            validity_seconds_min=0,
            validity_seconds_max=0,
            languages=self._templates.languages & SPOKEN,
            per_callee=tuple(per_callee),
        )
        self._sender = sender
        self._play_times = play_times
        self._key_milliseconds = int(key_seconds * 1000)
        self._clock = clock
        self._gate = BatchGate(name=name, secrets=secrets, allow_from=allow_from)
        self._api = AliyunApi(
            base_url=base_url,
            version=VERSION,
            key=AccessKey(id=access_key_id, secret=secrets[0]),
            clock=clock,
            nonce=nonce,
            limits=limits,
        )

    def __repr__(self) -> str:
        return f"<AliyunVoice {self.name} at {self._api.host}>"

    @property
    def callback_query(self) -> str:
        """What follows `{public address}/callbacks/{name}?` in the provider's console. Secret."""
        return self._gate.query

    def check(self, words: Words) -> Unsendable | None:
        """Return why a text cannot be spoken: what `send` would find, because it asks the same."""
        found = self._fill(words)
        return found if isinstance(found, Unsendable) else None

    async def send(self, request: SendRequest) -> SendOutcome:
        """Hand one call over. Never raises for what the carrier or the network does."""
        try:
            if request.valid_until <= self._clock():
                raise PermanentFailure("no longer valid", error_class=ErrorClass.EXPIRED)
            filled = self._fill(words_of(request))
            if isinstance(filled, Unsendable):
                raise unsendable(filled)
            answer = await self._api.ask(*self._call(request, filled))
            if not answer.ok:
                raise refusal(answer)
        except ChannelError as fault:
            return outcome_of(fault)
        return SendOutcome(
            kind=OutcomeKind.ACCEPTED, reference=str(answer.said.get("CallId", ""))
        )

    def parse_receipts(self, request: CallbackRequest) -> list[ReceiptEvent]:
        """Read a batch of reports; keys in it give nothing. Raises SignatureInvalid …"""
        calls = self._calls(request)
        ours = [one for one in calls if one.get("out_id")]
        if len(ours) < len(calls):
            # Somebody calls by hand from the provider's console, with our account.
            log.info("reports about what we did not call", channel=self.name)
        return [
            self._receipt(one) for one in ours if str(one.get("status_code", "")) not in SILENT
        ]

    def parse_inbound(self, request: CallbackRequest) -> list[InboundEvent]:
        """Read the keys in a batch, those in the report of a call's end too."""
        silent = self._templates.again_keys
        return [event for one in self._calls(request) for event in _keys(one, silent)]

    def reply(self, request: CallbackRequest, words: SendRequest | None) -> CallbackReply:
        """The provider wants to read a zero."""
        return REPLY

    def estimate(self, text: str, count: int) -> Estimate:
        """Return the seconds `count` calls take: the slower of starting them and holding lines."""
        held = RING_SECONDS + self._play_times * len(text) / SPEECH_CHARS_PER_SECOND
        starting = count / self.capabilities.per_second
        rounds = -(-count // (self.capabilities.lines or count or 1))
        return Estimate(parts=1, seconds=max(starting, rounds * held))

    async def close(self) -> None:
        """Let go of connections."""
        await self._api.close()

    # ------------------------------------------------------------------------------ the request

    def _fill(self, words: Words) -> Filled | Unsendable:
        if words.language not in SPOKEN:
            return Unsendable(obstacle=Obstacle.NO_VOICE)
        return self._templates.fill(words)

    def _call(self, request: SendRequest, filled: Filled) -> tuple[str, dict[str, str]]:
        """Return what is asked, and with which parameters."""
        template, spoken = filled.template, json.dumps(dict(filled.values), ensure_ascii=False)
        parameters = {
            "CalledNumber": for_call(request.to),
            "PlayTimes": str(self._play_times),
            "OutId": out_id(request.token),
        }
        if self._sender:
            parameters["CalledShowNumber"] = self._sender
        if not template.keys:
            return "SingleCallByTts", {**parameters, "TtsCode": template.code, "TtsParam": spoken}
        parameters |= {
            "StartCode": template.code,
            "StartTtsParams": spoken,
            "Timeout": str(self._key_milliseconds),
        }
        if template.bye:
            parameters["ByeCode"] = template.bye
        for place, (key, code) in enumerate(sorted(template.keys.items()), 1):
            menu = f"MenuKeyMap.{place}"
            parameters[f"{menu}.Key"] = key
            parameters[f"{menu}.Code"] = template.code if code == AGAIN else code
            if code == AGAIN:
                parameters[f"{menu}.TtsParams"] = spoken
        return "IvrCall", parameters

    # ------------------------------------------------------------------------------- the callback

    def _calls(self, request: CallbackRequest) -> list[Mapping[str, Any]]:
        reports = self._gate.objects(request)
        if not any("status_code" in one for one in reports):
            raise CallbackMalformed("no report in the batch says how a call went")
        calls = [one for one in reports if one.get("call_id")]
        if len(calls) < len(reports):
            log.warning("reports that name no call", channel=self.name)
        self._gate.about(request, (str(one["out_id"]) for one in calls if one.get("out_id")))
        return calls

    def _receipt(self, one: Mapping[str, Any]) -> ReceiptEvent:
        code = str(one.get("status_code", ""))
        word, error_class = self._word(code)
        call = str(one["call_id"])
        return ReceiptEvent(
            token=str(one["out_id"]),
            word=word,
            dedupe_key=f"{call}:{code}",
            reference=call,
            error_class=error_class,
            code=code if error_class is not None else "",
            happened_at=instant(one.get("status_time") or one.get("end_time")),
            heard_seconds=_seconds(one.get("duration")) if word in CONNECTED else None,
        )

    def _word(self, code: str) -> tuple[ReceiptWord, ErrorClass | None]:
        known = WORDS.get(code)
        if known is None:
            log.warning("unknown carrier word", channel=self.name, word=code)
            return ReceiptWord.ACCEPTED, ErrorClass.OTHER
        return known


def out_id(token: str) -> str:
    """Return as much of a token as the provider brings back."""
    return token[:OUT_ID_BYTES_MAX]


def _keys(one: Mapping[str, Any], silent: frozenset[str]) -> Iterator[InboundEvent]:
    """Yield each key of a report once, in the order they were pressed. `silent` ones say nothing.

    The report of a call's end repeats what was told on the way, all keys in one string; by call and
    key both are the same answer.
    """
    token = str(one.get("out_id") or "")
    pressed = dict.fromkeys(key for key in str(one.get("dtmf") or "") if key in KEYS - silent)
    for key in pressed:
        yield InboundEvent(
            sender=international(one.get("callee")),
            text=key if token else NAMELESS.format(key=key),
            # Should the call's other report name the try, that one is the answer and no repeat.
            dedupe_key=f"{one['call_id']}:key:{key}{'' if token else ':nameless'}",
            token=token,
            happened_at=instant(one.get("status_time") or one.get("end_time")),
        )


def _seconds(text: object) -> float | None:
    return float(str(text)) if str(text).isdecimal() else None

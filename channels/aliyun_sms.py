"""Text messages through Alibaba Cloud's 短信服务: approved templates only, mainland China only.

    send     SendSms(PhoneNumbers, SignName, TemplateCode, TemplateParam, OutId = our token)
    receipt  POST /callbacks/{name}?key=…  array of {out_id, biz_id, err_code, report_time, …}
    reply    the same address, array of SmsUp {phone_number, content, sequence_id, …}
    look-up  QuerySendDetails(PhoneNumber, SendDate): a day of one phone, ours found by its OutId

A text is never sent as it is: its fields fill a template that was approved beforehand
(`channels.aliyun_template`), so `check` can say when it is written what would be refused at night.
The API knows no validity: what it has taken it delivers whenever the phone comes back, and an
expired one is therefore only kept from being handed over. A reply says neither what it answers nor
to which of our texts; it is matched by number. The code `OK` means queued, no more.
Source: carriers.md §4.1 and the API reference of 2017-05-25.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import structlog

from channels import segment
from channels.aliyun_api import AccessKey, AliyunApi, Answer, Nonce, instant, new_nonce
from channels.aliyun_callback import REPLY, BatchGate
from channels.aliyun_error import DELIVERED, failure, refusal
from channels.aliyun_number import for_text, international
from channels.aliyun_template import Filled, Limits, Templates, unsendable, words_of
from channels.base import (
    CallbackReply,
    CallbackRequest,
    Capabilities,
    ChannelKind,
    Estimate,
    InboundEvent,
    Inquiry,
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
from channels.repeat import fingerprint

log = structlog.get_logger(__name__)

BASE_URL: Final = "https://dysmsapi.aliyuncs.com"
VERSION: Final = "2017-05-25"
CHARS_MAX: Final = 500
"""Characters of a text with its values, without the sign name."""
OUT_ID_CHARS_MAX: Final = 255
PER_CALLEE: Final = (PerCalleeLimit(count=50, seconds=86_400, hard=True),)
"""Notifications of one sign name and template to one phone in 24 hours."""
PER_SECOND: Final = 50.0
"""The API takes thousands a second; operators deliver them at a pace that nobody promises."""

CHINA: Final = timezone(timedelta(hours=8))
PAGE_SIZE: Final = 50
PAGES_MAX: Final = 4
"""A phone gets at most fifty of one template a day; four pages hold those of several templates."""
TOTAL_DIGITS_MAX: Final = 9
"""Nobody was sent more; Python refuses to read a number of thousands of digits."""
MIDNIGHT: Final = timedelta(minutes=5)
"""A send so close to midnight may be filed under the next day."""
SETTLE_SECONDS: Final = 60.0
"""A send that was taken is not found at once: before this, not to be found means nothing."""

_WAITING, _FAILED, _ARRIVED = "1", "2", "3"
"""SendStatus of QuerySendDetails."""


class AliyunSms(PlainChannel):
    """One account, one sign name, its approved templates."""

    def __init__(
        self,
        *,
        name: str,
        access_key_id: str,
        secrets: Sequence[str],
        sign_name: str,
        templates_file: str,
        base_url: str = BASE_URL,
        allow_from: str = "",
        per_second: float = PER_SECOND,
        per_callee: Sequence[PerCalleeLimit] = PER_CALLEE,
        replies: bool = True,
        settle_seconds: float = SETTLE_SECONDS,
        limits: TimeLimits | None = None,
        clock: Clock = utc_now,
        nonce: Nonce = new_nonce,
    ) -> None:
        """`secrets`: the access key's, the new one first. `replies`: SmsUp is switched on."""
        if not secrets or not all(secrets):
            raise ValueError("an Aliyun account needs the secret of its access key")
        self.name = name
        self._templates = Templates.load(templates_file, Limits(chars_max=CHARS_MAX))
        self.capabilities = Capabilities(
            kind=ChannelKind.SMS,
            mixed_callbacks=True,
            countries=frozenset({"86"}),
            inbound_countries=frozenset({"86"} if replies else ()),
            free_text=False,
            links_allowed=False,
            chars_max=CHARS_MAX,
            per_second=per_second,
            validity_seconds_min=0,
            validity_seconds_max=0,
            can_lookup=True,
            languages=self._templates.languages,
            per_callee=tuple(per_callee),
        )
        self._sign_name = sign_name
        self._settle = timedelta(seconds=settle_seconds)
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
        return f"<AliyunSms {self.name} at {self._api.host}>"

    @property
    def callback_query(self) -> str:
        """What follows `{public address}/callbacks/{name}?` in the provider's console. Secret."""
        return self._gate.query

    def check(self, words: Words) -> Unsendable | None:
        """Return why a text cannot be sent: what `send` would find, because it asks the same."""
        found = self._templates.fill(words)
        return found if isinstance(found, Unsendable) else None

    async def send(self, request: SendRequest) -> SendOutcome:
        """Hand one text over. Never raises for what the carrier or the network does."""
        try:
            filled = self._fill(request)
            answer = await self._api.ask("SendSms", self._parameters(request, filled))
            if not answer.ok:
                raise refusal(answer)
        except ChannelError as fault:
            return outcome_of(fault)
        return SendOutcome(
            kind=OutcomeKind.ACCEPTED,
            reference=str(answer.said.get("BizId", "")),
            parts=self._parts(filled.text),
        )

    async def lookup(self, inquiry: Inquiry) -> list[ReceiptEvent] | None:
        """Ask for what the phone was sent that day. Empty: this send is not among it."""
        now = self._clock()
        sent_at = inquiry.sent_at or now
        found: list[ReceiptEvent] = []
        for day in _days(sent_at):
            page = await self._day(inquiry, day)
            if page is None:
                return None
            found += page
        if not found and now - sent_at < self._settle:
            return None
        return found

    def parse_receipts(self, request: CallbackRequest) -> list[ReceiptEvent]:
        """Read a batch of reports; replies in it give nothing. Raises SignatureInvalid …"""
        reports = [one for one in self._gate.objects(request) if not _is_reply(one)]
        events = [_receipt(one) for one in reports if one.get("out_id")]
        if len(events) < len(reports):
            # Somebody sends by hand from the provider's console, with our account.
            log.info("reports about what we did not send", channel=self.name)
        self._gate.about(request, (event.token for event in events))
        return events

    def parse_inbound(self, request: CallbackRequest) -> list[InboundEvent]:
        """Read a batch of replies; reports in it give nothing. Raises SignatureInvalid …"""
        now = self._clock()
        return [_reply(one, now) for one in self._gate.objects(request) if _is_reply(one)]

    def reply(self, request: CallbackRequest, words: SendRequest | None) -> CallbackReply:
        """The provider wants to read a zero."""
        return REPLY

    def estimate(self, text: str, count: int) -> Estimate:
        """Return parts and the seconds `count` sends take at our pace."""
        parts = self._parts(text)
        return Estimate(parts=parts, seconds=parts * count / self.capabilities.per_second)

    async def close(self) -> None:
        """Let go of connections."""
        await self._api.close()

    # ------------------------------------------------------------------------------ the request

    def _fill(self, request: SendRequest) -> Filled:
        if request.valid_until <= self._clock():
            raise PermanentFailure("no longer valid", error_class=ErrorClass.EXPIRED)
        found = self._templates.fill(words_of(request))
        if isinstance(found, Unsendable):
            raise unsendable(found)
        return found

    def _parameters(self, request: SendRequest, filled: Filled) -> dict[str, str]:
        assert len(request.token) <= OUT_ID_CHARS_MAX, "our tokens are short"
        return {
            "PhoneNumbers": for_text(request.to),
            "SignName": self._sign_name,
            "TemplateCode": filled.template.code,
            "TemplateParam": json.dumps(dict(filled.values), ensure_ascii=False),
            "OutId": request.token,
        }

    def _parts(self, text: str) -> int:
        """The sign name stands in front of every text, in brackets."""
        return segment.count(f"【{self._sign_name}】{text}").parts

    # ------------------------------------------------------------------------------- the look-up

    async def _day(self, inquiry: Inquiry, day: str) -> list[ReceiptEvent] | None:
        """Return what became of a send on one day; None when not everything could be seen."""
        seen = 0
        for page in range(1, PAGES_MAX + 1):
            answer = await self._page(inquiry, day, page)
            rows = _rows(answer) if answer is not None else None
            if answer is None or rows is None:
                return None
            mine = [row for row in rows if row.get("OutId") == inquiry.token]
            if mine:
                return [_looked_up(row, inquiry) for row in mine]
            seen += len(rows)
            total = str(answer.said.get("TotalCount", ""))
            if total.isdecimal() and len(total) <= TOTAL_DIGITS_MAX and seen >= int(total):
                return []
            if not rows:
                break
        log.warning("a look-up did not show every send", channel=self.name)
        return None

    async def _page(self, inquiry: Inquiry, day: str, page: int) -> Answer | None:
        try:
            answer = await self._api.ask(
                "QuerySendDetails",
                {
                    "PhoneNumber": for_text(inquiry.to),
                    "SendDate": day,
                    "PageSize": str(PAGE_SIZE),
                    "CurrentPage": str(page),
                },
            )
        except ChannelError as fault:
            log.warning("carrier question failed", channel=self.name, fault=fault.code)
            return None
        return answer if answer.ok else None


# --- reading what the carrier says ----------------------------------------------------------------


def _is_reply(one: Mapping[str, Any]) -> bool:
    return "content" in one


def _receipt(one: Mapping[str, Any]) -> ReceiptEvent:
    code = str(one.get("err_code", ""))
    arrived = one.get("success") is True or str(one.get("success")).lower() == "true"
    event = _word(arrived=arrived or code in DELIVERED, token=str(one["out_id"]), code=code)
    return replace(
        event,
        reference=str(one.get("biz_id", "")),
        happened_at=instant(one.get("report_time") or one.get("send_time")),
    )


def _word(*, arrived: bool, token: str, code: str) -> ReceiptEvent:
    """The key needs no id of the carrier's: a look-up does not say it, and shall be the same."""
    if arrived:
        return ReceiptEvent(
            token=token, word=ReceiptWord.DELIVERED, dedupe_key=f"{token}:delivered"
        )
    return ReceiptEvent(
        token=token,
        word=ReceiptWord.UNDELIVERED,
        dedupe_key=f"{token}:{code}",
        error_class=failure(code),
        code=code,
    )


def _reply(one: Mapping[str, Any], now: datetime) -> InboundEvent:
    """Nothing in a reply is so broken that it is thrown away: somebody may need help."""
    return InboundEvent(
        sender=international(one.get("phone_number")),
        text=str(one.get("content") or ""),
        dedupe_key=str(one.get("sequence_id") or "") or _fingerprint(one, now),
        recipient=str(one.get("dest_code") or ""),
        happened_at=instant(one.get("send_time")),
    )


def _fingerprint(one: Mapping[str, Any], now: datetime) -> str:
    words = (str(one.get(key, "")) for key in ("phone_number", "dest_code", "send_time", "content"))
    return fingerprint(*words, at=instant(one.get("send_time")), received_at=now)


def _days(sent_at: datetime) -> list[str]:
    """Return the day of a send as the carrier files it; two around midnight in China."""
    local = sent_at.astimezone(CHINA)
    days = {local.date(), (local + MIDNIGHT).date()}
    return [day.strftime("%Y%m%d") for day in sorted(days)]


def _rows(answer: Answer) -> list[Mapping[str, Any]] | None:
    details = answer.said.get("SmsSendDetailDTOs")
    rows = details.get("SmsSendDetailDTO") if isinstance(details, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None


def _looked_up(row: Mapping[str, Any], inquiry: Inquiry) -> ReceiptEvent:
    status, code = str(row.get("SendStatus", "")), str(row.get("ErrCode", ""))
    if status in (_FAILED, _ARRIVED):
        event = _word(arrived=status == _ARRIVED, token=inquiry.token, code=code)
    else:
        event = ReceiptEvent(
            token=inquiry.token,
            word=ReceiptWord.ACCEPTED,
            dedupe_key=f"{inquiry.token}:waiting",
        )
    return replace(
        event,
        reference=inquiry.reference,
        happened_at=instant(row.get("ReceiveDate") or row.get("SendDate")),
    )

"""Reaches endpoints (a loudspeaker server, a neighbour's system) with signed HTTP requests.

    POST <address>   Standard Webhooks: webhook-id is our token, so a repeat is recognised
      {"type": "message", "timestamp": …, "data": {token, text, language, valid_until,
       callback_url, answer_url, fields}}

    answers          in the response, {"answer": "1"}: `SendOutcome.answer`
                     or later, POST callback_url, signed with the same secret:
                     {"type": "answer",  "timestamp": …, "data": {token, answer}}
                     {"type": "receipt", "timestamp": …, "data": {token, status}}

An address is whatever somebody typed into a form, so the connection itself is checked: a host that
resolves to a private, loopback or otherwise not public address is not connected to, whatever its
name said a moment ago. It never follows a redirect and never reads a long answer.
Source: reliability.md §1 (Standard Webhooks 1.0.0).
"""

import ipaddress
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from errno import EACCES
from socket import socket
from typing import Any, Final

import structlog
from aiohttp import ClientConnectorError, ClientError, ClientResponse
from yarl import URL

from channels import signature
from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    Capabilities,
    ChannelKind,
    Estimate,
    InboundEvent,
    OutcomeKind,
    PlainChannel,
    ReceiptEvent,
    ReceiptWord,
    SendOutcome,
    SendRequest,
)
from channels.clock import Clock, utc_now
from channels.errors import (
    ChannelError,
    ErrorClass,
    OutcomeUnknown,
    PermanentFailure,
    Throttled,
)
from channels.http_client import (
    HttpClient,
    TimeLimits,
    fault_of,
    outcome_of,
    read_bounded,
    read_json_object,
    retry_after_seconds,
)

log = structlog.get_logger(__name__)

REFUSALS: Final[Mapping[int, ErrorClass]] = {
    400: ErrorClass.FILTERED,
    401: ErrorClass.UNROUTABLE,  # one endpoint with another secret must not stop the channel
    403: ErrorClass.UNROUTABLE,
    404: ErrorClass.UNROUTABLE,
    405: ErrorClass.UNROUTABLE,
    410: ErrorClass.BAD_NUMBER,  # Standard Webhooks: gone, stop calling
    413: ErrorClass.FILTERED,
    415: ErrorClass.FILTERED,
    422: ErrorClass.FILTERED,
}
"""What an endpoint's refusal means for its address."""

WORDS: Final[Mapping[str, tuple[ReceiptWord, ErrorClass | None]]] = {
    "accepted": (ReceiptWord.ACCEPTED, None),
    "playing": (ReceiptWord.PICKED_UP, None),
    "played": (ReceiptWord.HEARD, None),
    "delivered": (ReceiptWord.DELIVERED, None),
    "failed": (ReceiptWord.UNDELIVERED, ErrorClass.OTHER),
    "offline": (ReceiptWord.UNDELIVERED, ErrorClass.HANDSET_OFF),
    "expired": (ReceiptWord.UNDELIVERED, ErrorClass.EXPIRED),
}
"""An endpoint's words about a message."""

BODY_BYTES_MAX = 20_000
"""Standard Webhooks: payloads stay under 20 kB."""

ANSWER_CHARS_MAX = 200
"""An answer is a digit or a word; the rest is cut."""

NOT_PUBLIC = "the address is not public"
"""What the socket says when it refuses to be made."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_WRAPS_IPV4 = (_NAT64, ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))
"""IPv6 ranges that lead to an IPv4 address inside them."""


class WebhookChannel(PlainChannel):
    """Signed requests to endpoints; one secret (two during a rotation) for all of them."""

    def __init__(
        self,
        *,
        name: str,
        secrets: Sequence[str],
        allow_private: bool = False,
        per_second: float = 20.0,
        limits: TimeLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """`allow_private` admits private addresses and plain http: for a closed network."""
        if not secrets:
            raise ValueError("a webhook channel needs a secret")
        self.name = name
        self.capabilities = Capabilities(
            kind=ChannelKind.WEBHOOK,
            inbound_countries=frozenset("*"),
            per_second=per_second,
            many_hosts=True,
        )
        self._keys = tuple(signature.webhook_key(secret) for secret in secrets)
        self._allow_private = allow_private
        self._clock = clock
        self._client = HttpClient(
            limits=limits, socket_factory=None if allow_private else public_socket
        )

    def __repr__(self) -> str:
        return f"<WebhookChannel {self.name}>"

    async def send(self, request: SendRequest) -> SendOutcome:
        """Post one message. Never raises for what the endpoint or the network does."""
        try:
            url = self._address(request.to)
            body = self._body(request)
            async with self._client.gate, self._client.session().post(
                url, data=body, headers=self._headers(request.token, body), allow_redirects=False
            ) as response:
                return await self._outcome(response, request.token)
        except ChannelError as fault:
            return outcome_of(fault)
        except ClientConnectorError as error:
            return outcome_of(_connection_fault(error))
        except (ClientError, TimeoutError, OSError) as error:
            return outcome_of(fault_of(error))

    def parse_receipts(self, request: CallbackRequest) -> list[ReceiptEvent]:
        """Read an endpoint's word about a message; an answer gives an empty list."""
        message_id, document, data = self._signed(request)
        if document.get("type") != "receipt":
            return []
        status = str(data.get("status", ""))
        word, error_class = self._word(status)
        return [
            ReceiptEvent(
                token=str(data["token"]),
                word=word,
                dedupe_key=message_id,
                error_class=error_class,
                code=status if error_class is not None else "",
                happened_at=_instant(document),
            )
        ]

    def parse_inbound(self, request: CallbackRequest) -> list[InboundEvent]:
        """Read an answer; a receipt gives an empty list."""
        message_id, document, data = self._signed(request)
        if document.get("type") != "answer":
            return []
        return [
            InboundEvent(
                sender=str(data.get("from", "")),
                text=str(data.get("answer", ""))[:ANSWER_CHARS_MAX],
                dedupe_key=message_id,
                token=str(data["token"]),
                happened_at=_instant(document),
            )
        ]

    def estimate(self, text: str, count: int) -> Estimate:
        """Return the seconds `count` requests take at our own pace."""
        return Estimate(parts=1, seconds=count / self.capabilities.per_second)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    # ------------------------------------------------------------------------------ the request

    def _address(self, to: str) -> URL:
        try:
            url = URL(to)
            schemes = ("http", "https") if self._allow_private else ("https",)
            usable = url.scheme in schemes and bool(url.host) and url.user is None
        except ValueError:
            usable = False
        if not usable:
            raise PermanentFailure(
                "not an https address", code="invalid_url", error_class=ErrorClass.BAD_NUMBER
            )
        return url

    def _body(self, request: SendRequest) -> bytes:
        now = self._clock()
        if request.valid_until <= now:
            raise PermanentFailure("no longer valid", error_class=ErrorClass.EXPIRED)
        document = {
            "type": "message",
            "timestamp": now.astimezone(UTC).isoformat(),
            "data": {
                "token": request.token,
                "text": request.text,
                "language": request.language,
                "valid_until": request.valid_until.astimezone(UTC).isoformat(),
                "callback_url": request.callback_url,
                "answer_url": request.answer_url,
                "fields": dict(request.fields),
            },
        }
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > BODY_BYTES_MAX:
            raise PermanentFailure(
                "longer than 20 kB", code="too_long", error_class=ErrorClass.FILTERED
            )
        return body

    def _headers(self, token: str, body: bytes) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "warnsvc",
            **signature.webhook_headers(self._keys[0], token, body, self._clock()),
        }

    async def _outcome(self, response: ClientResponse, token: str) -> SendOutcome:
        status = response.status
        if 200 <= status < 300:
            answer = read_json_object(await read_bounded(response)).get("answer", "")
            return SendOutcome(
                kind=OutcomeKind.ACCEPTED,
                reference=token,
                answer=str(answer)[:ANSWER_CHARS_MAX] if isinstance(answer, str | int) else "",
            )
        code = str(status)
        if status == 429:
            pause = retry_after_seconds(response.headers, self._clock())
            raise Throttled("the endpoint is busy", code=code, retry_after=pause)
        if status >= 500 or status < 200:
            raise OutcomeUnknown("the endpoint failed", code=code)
        reason = "the endpoint redirects" if status < 400 else "the endpoint refused"
        default = ErrorClass.UNROUTABLE if status < 400 else ErrorClass.OTHER
        raise PermanentFailure(
            reason, code=code, error_class=REFUSALS.get(status, default)
        )

    # ------------------------------------------------------------------------------- the callback

    def _signed(self, request: CallbackRequest) -> tuple[str, dict[str, Any], dict[str, Any]]:
        message_id = signature.check_webhook(
            keys=self._keys, headers=request.headers, body=request.body, now=self._clock()
        )
        document = read_json_object(request.body)
        data = document.get("data")
        if not isinstance(data, dict) or not data.get("token"):
            raise CallbackMalformed("the callback names no token")
        if request.token and data["token"] != request.token:
            raise CallbackMalformed("the callback is about another try than its address says")
        return message_id, document, data

    def _word(self, status: str) -> tuple[ReceiptWord, ErrorClass | None]:
        known = WORDS.get(status)
        if known is None:
            log.warning("unknown endpoint word", channel=self.name, word=status)
            return ReceiptWord.ACCEPTED, ErrorClass.OTHER
        return known


def public_socket(address: Any) -> socket:
    """Return a socket for a resolved address, or refuse to make one for a private address."""
    family, kind, protocol, _, where = address
    if not is_public(str(where[0])):
        raise PermissionError(EACCES, NOT_PUBLIC)
    return socket(family, kind, protocol)


def is_public(host: str) -> bool:
    """Return whether an IP address is one that anybody on the internet can be behind."""
    ip = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if any(ip in network for network in _WRAPS_IPV4):
            return False
    return ip.is_global and not ip.is_multicast


def _connection_fault(error: ClientConnectorError) -> ChannelError:
    if error.os_error.strerror == NOT_PUBLIC:
        return PermanentFailure(NOT_PUBLIC, code="private", error_class=ErrorClass.BAD_NUMBER)
    return fault_of(error)


def _instant(document: Mapping[str, Any]) -> datetime | None:
    """Return the endpoint's time; None when it has none or it lacks a zone."""
    try:
        happened_at = datetime.fromisoformat(str(document.get("timestamp", "")))
    except ValueError:
        return None
    return happened_at if happened_at.tzinfo is not None else None

"""Reaches endpoints (a loudspeaker server, a neighbour's system) with signed HTTP requests.

    POST <address>   Standard Webhooks: webhook-id is our token, so a repeat is recognised
      {"type": "bulletin.call", "timestamp": …, "data": {…, token, text, language, valid_until,
       callback_url, answer_url}}                                          `webhook_document`

    answers          in the response, {"answer": "1"}: `SendOutcome.answer`
                     or later, POST callback_url, signed with the same secret:
                     {"type": "answer",  "timestamp": …, "data": {token, answer}}
                     {"type": "receipt", "timestamp": …, "data": {token, status}}

Each endpoint has a secret of its own (`webhook_secret`); a request is signed with every secret that
is active, and a callback may be signed with any. A host that resolves to a private, loopback or
otherwise not public address is not connected to (`webhook_address`). It never follows a redirect,
never reads a long answer, and never takes a login page for one.
Source: reliability.md §1 (Standard Webhooks 1.0.0).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import structlog
from aiohttp import ClientConnectorError, ClientError, ClientResponse

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
from channels.errors import ChannelError, ErrorClass, OutcomeUnknown, PermanentFailure, Throttled
from channels.http_client import (
    HttpClient,
    TimeLimits,
    fault_of,
    outcome_of,
    read_bounded,
    retry_after_seconds,
)
from channels.webhook_address import connection_fault, endpoint_url, public_socket
from channels.webhook_document import (
    ANSWER,
    ANSWER_CHARS_MAX,
    RECEIPT,
    answer_in,
    answer_text,
    body_of,
    read_callback,
    repeat_key,
)
from channels.webhook_secret import SecretBook

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


class WebhookChannel(PlainChannel):
    """Signed requests to endpoints. `secrets`: one, two during a rotation; the first is new."""

    def __init__(
        self,
        *,
        name: str,
        secrets: Sequence[str],
        shared_secret: bool = False,
        allow_private: bool = False,
        per_second: float = 20.0,
        limits: TimeLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """`shared_secret`: endpoints that were set up before each had a secret use the channel's.

        `allow_private` admits private addresses and plain http: for a closed network.
        """
        self.name = name
        self.capabilities = Capabilities(
            kind=ChannelKind.WEBHOOK,
            inbound_countries=frozenset("*"),
            receipts=False,  # an endpoint may say what became of it, and need not
            per_second=per_second,
            many_hosts=True,
        )
        self._book = SecretBook(secrets, shared=shared_secret)
        self._allow_private = allow_private
        self._clock = clock
        self._client = HttpClient(
            limits=limits, socket_factory=None if allow_private else public_socket
        )

    def __repr__(self) -> str:
        return f"<WebhookChannel {self.name}>"

    def endpoint_secret(self, address: str) -> str:
        """Return what the administrator of an endpoint must type in there: `whsec_…`.

        For whoever may set up carriers, to see once. Raises ValueError for what is no address.
        """
        return self._book.secret_of(address)

    async def send(self, request: SendRequest) -> SendOutcome:
        """Post one message. Never raises for what the endpoint or the network does."""
        try:
            url = endpoint_url(request.to, allow_private=self._allow_private)
            body = body_of(self._with_seal(request), self._clock())
            headers = self._headers(request, body)
            async with self._client.gate, self._client.session().post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return await self._outcome(response, request.token)
        except ChannelError as fault:
            return outcome_of(fault)
        except ClientConnectorError as error:
            return outcome_of(connection_fault(error))
        except (ClientError, TimeoutError, OSError) as error:
            return outcome_of(fault_of(error))

    def parse_receipts(self, request: CallbackRequest) -> list[ReceiptEvent]:
        """Read an endpoint's word about a message; an answer gives an empty list."""
        key, kind, data, happened_at = self._signed(request)
        if kind != RECEIPT:
            return []
        status = str(data.get("status", ""))[:ANSWER_CHARS_MAX]
        word, error_class = self._word(status)
        return [
            ReceiptEvent(
                token=data["token"],
                word=word,
                dedupe_key=key,
                error_class=error_class,
                code=status if error_class is not None else "",
                happened_at=happened_at,
            )
        ]

    def parse_inbound(self, request: CallbackRequest) -> list[InboundEvent]:
        """Read an answer; a receipt gives an empty list."""
        key, kind, data, happened_at = self._signed(request)
        if kind != ANSWER:
            return []
        try:
            text = answer_text(data.get(ANSWER))
        except ValueError as error:
            raise CallbackMalformed(str(error)) from error
        return [
            InboundEvent(
                sender="",  # the try says who was asked; what an endpoint calls itself says nothing
                text=text,
                dedupe_key=key,
                token=data["token"],
                happened_at=happened_at,
            )
        ]

    def estimate(self, text: str, count: int) -> Estimate:
        """Return the seconds `count` requests take at our own pace."""
        return Estimate(parts=1, seconds=count / self.capabilities.per_second)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    # ------------------------------------------------------------------------------ the request

    def _with_seal(self, request: SendRequest) -> SendRequest:
        url = self._book.callback_url(request.callback_url, request.token, request.to)
        return replace(request, callback_url=url)

    def _headers(self, request: SendRequest, body: bytes) -> dict[str, str]:
        keys = self._book.keys_for(request.to)
        return {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "warnsvc",
            **signature.webhook_headers(keys, request.token, body, self._clock()),
        }

    async def _outcome(self, response: ClientResponse, token: str) -> SendOutcome:
        status = response.status
        if 200 <= status < 300:
            answer = answer_in(await read_bounded(response))
            return SendOutcome(kind=OutcomeKind.ACCEPTED, reference=token, answer=answer)
        code = str(status)
        if status == 429:
            pause = retry_after_seconds(response.headers, self._clock())
            raise Throttled("the endpoint is busy", code=code, retry_after=pause)
        if status >= 500 or status < 200:
            raise OutcomeUnknown("the endpoint failed", code=code)
        reason = "the endpoint redirects" if status < 400 else "the endpoint refused"
        default = ErrorClass.UNROUTABLE if status < 400 else ErrorClass.OTHER
        raise PermanentFailure(reason, code=code, error_class=REFUSALS.get(status, default))

    # ------------------------------------------------------------------------------- the callback

    def _signed(
        self, request: CallbackRequest
    ) -> tuple[str, str, Mapping[str, Any], datetime | None]:
        """Return a key for repeats, and what a genuine callback says."""
        message_id = signature.check_webhook(
            keys=self._book.keys_of_callback(request.url, request.token),
            headers=request.headers,
            body=request.body,
            now=self._clock(),
        )
        kind, data, happened_at = read_callback(request.body, request.token)
        return repeat_key(data["token"], message_id), kind, data, happened_at

    def _word(self, status: str) -> tuple[ReceiptWord, ErrorClass | None]:
        known = WORDS.get(status)
        if known is None:
            log.warning("unknown endpoint word", channel=self.name, word=status)
            return ReceiptWord.ACCEPTED, ErrorClass.OTHER
        return known

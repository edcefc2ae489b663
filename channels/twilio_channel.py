"""What Twilio's two channels share: the account, its client, how answers and faults are read.

    TwilioChannel.tried(SDK call) ──► result | ChannelError
    TwilioChannel.read(callback)  ──► signed fields | SignatureInvalid

Nothing here reads the environment: with TWILIO_REGION set, the SDK would rewrite our base address
(carriers.md §2), so it is given an environment of its own. It never tries again.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import structlog
from aiohttp import ClientError
from twilio.base.exceptions import TwilioException  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]
from yarl import URL

from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    Capabilities,
    Inquiry,
    OutcomeKind,
    PaceLimit,
    PlainChannel,
    SendOutcome,
    SendRequest,
)
from channels.clock import Clock
from channels.errors import ChannelError, ErrorClass, OutcomeUnknown, PermanentFailure
from channels.http_client import TimeLimits, fault_of, outcome_of
from channels.twilio_error import fault_of_refusal
from channels.twilio_http import Refusal, TwilioHttp
from channels.twilio_signature import CallbackReader

log = structlog.get_logger(__name__)

T = TypeVar("T")

BASE_URL: Final = "https://api.twilio.com"

RETRIES: Final = "#rc=5&rp=all"
"""Connection overrides: Twilio repeats a callback five times, whatever went wrong. Its default is
one repeat, and of connection faults only: a key press would be lost with one 503."""

FOUND_BEFORE = timedelta(seconds=30)
"""A try may carry a carrier's time that is this much before ours: clocks differ."""

FOUND_AFTER = timedelta(seconds=60)
"""… and this much after: our time limit, theirs, and the difference of clocks."""

SETTLED_AFTER = timedelta(seconds=60)
"""Twilio's lists lag behind its requests, and a request that we gave up on may still be under way.
What is not in the list so long after it was sent was never taken."""

LOOKUP_RECORDS_MAX = 200
"""Newest tries to one number that are searched; a person gets a few in an hour."""

_NO_ENVIRONMENT: Final = {"_": ""}
"""An empty one would be replaced by the process's."""


class TwilioChannel(PlainChannel):
    """One account for one kind of channel."""

    def __init__(
        self,
        *,
        name: str,
        account_sid: str,
        secrets: Sequence[str],
        api_key_sid: str,
        api_key_secret: str,
        base_url: str,
        capabilities: Capabilities,
        limits: TimeLimits | None,
        clock: Clock,
    ) -> None:
        if not secrets:
            raise ValueError("a Twilio account needs its auth token as secret")
        if bool(api_key_sid) != bool(api_key_secret):
            raise ValueError("api_key_sid and api_key_secret belong together")
        self.name = name
        self.capabilities = capabilities
        self._clock = clock
        self._callbacks = CallbackReader(secrets)
        self._http = TwilioHttp(limits=limits)
        self._client = Client(
            api_key_sid or account_sid,
            api_key_secret or secrets[0],
            account_sid,
            http_client=self._http,
            environment=_NO_ENVIRONMENT,
        )
        self._client.api.base_url = base_url.rstrip("/")
        self._host = URL(base_url).host

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} at {self._host}>"

    async def send(self, request: SendRequest) -> SendOutcome:
        """Hand one message or call over. Never raises for what the carrier or network does."""
        try:
            return await self.handed_over(request, self._remaining(request))
        except ChannelError as fault:
            return outcome_of(fault)

    async def handed_over(self, request: SendRequest, seconds: int) -> SendOutcome:
        """Create the message or call, for at most so many seconds. Raises ChannelError."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.close()

    # ------------------------------------------------------------------------------- the request

    async def tried(self, work: Awaitable[T]) -> T:
        """Wait for the SDK; whatever goes wrong becomes a ChannelError."""
        try:
            return await work
        except Refusal as refused:
            raise fault_of_refusal(refused, self._clock()) from refused
        except (ClientError, TimeoutError, OSError) as error:
            raise fault_of(error) from error
        except (TwilioException, ValueError, TypeError) as error:
            # The answer was a success that the SDK could not read.
            raise OutcomeUnknown("no usable answer", code=type(error).__name__) from error

    async def asked(self, work: Awaitable[T]) -> T | None:
        """Wait for a question's answer; None, and a line in the log, when there is none."""
        try:
            return await self.tried(work)
        except ChannelError as fault:
            log.warning("carrier question failed", channel=self.name, code=fault.code)
            return None

    def accepted(self, reference: Any, parts: int = 1) -> SendOutcome:
        """Return the outcome of what Twilio took. Raises OutcomeUnknown without its name for it."""
        if not isinstance(reference, str) or not reference:
            raise OutcomeUnknown("taken, and not told under which name", code="no_sid")
        return SendOutcome(kind=OutcomeKind.ACCEPTED, reference=reference, parts=max(parts, 1))

    def _remaining(self, request: SendRequest) -> int:
        remaining = int((request.valid_until - self._clock()).total_seconds())
        if remaining < self.capabilities.validity_seconds_min:
            raise PermanentFailure("no longer valid", error_class=ErrorClass.EXPIRED)
        return min(remaining, self.capabilities.validity_seconds_max)

    # ------------------------------------------------------------------------------- the look-up

    async def found(
        self, inquiry: Inquiry, page: Awaitable[Any], is_ours: Callable[[Any], bool] = bool
    ) -> Any | None:
        """Return the one record of a page, newest first, that can be the try; None when unsure.

        Raises NeverSeen when the carrier certainly has none. Twilio keeps no token of ours, so a
        try is found by its number, its time, and by what `is_ours` looks at. Two that fit are no
        answer: the clock goes on, and a wrong "never seen" would call a person twice.
        """
        listed = await self.asked(page)
        if listed is None or inquiry.sent_at is None:
            return None
        records = list(listed)
        start, end = inquiry.sent_at - FOUND_BEFORE, inquiry.sent_at + FOUND_AFTER
        times = [instant(record.date_created) for record in records]
        fitting = [
            record
            for record, time in zip(records, times, strict=True)
            if time is not None and start <= time <= end and is_ours(record)
        ]
        if len(fitting) == 1:
            return fitting[0]
        reaches_back = any(time is not None and time < start for time in times)
        is_whole = reaches_back or listed.next_page_url is None
        if fitting or not is_whole or self._clock() < inquiry.sent_at + SETTLED_AFTER:
            return None
        raise NeverSeen

    # ------------------------------------------------------------------------------ the callback

    def read(self, request: CallbackRequest) -> dict[str, str]:
        """Return the fields of a genuine callback. Raises SignatureInvalid."""
        return self._callbacks.read(request)

    def needed(self, form: dict[str, str], name: str) -> str:
        """Return a field that must be there. Raises CallbackMalformed."""
        value = form.get(name, "")
        if not value:
            raise CallbackMalformed(f"the callback lacks {name}")
        return value


class NeverSeen(Exception):
    """The carrier has certainly never seen a try."""


def sender_pace(sender: str, per_second: float) -> tuple[PaceLimit, ...]:
    """A sender's own pace, which texts and calls share; 0: none."""
    return (PaceLimit(name=f"sender:{sender}", per_second=per_second),) if per_second > 0 else ()


def instant(value: Any) -> datetime | None:
    """Return a time of Twilio's when it is one with a zone."""
    return value if isinstance(value, datetime) and value.tzinfo is not None else None

"""Any SMS gateway that speaks HTTP, described by data: Kannel, a China Mobile MAS, a county's own.

    [[carriers]]
    name = "sms-kannel"
    kind = "sms"
    adapter = "http-gateway"
    [carriers.params]
    profile = "kannel"                      # or "/etc/warnsvc/our-gateway.toml"
    base_url = "http://127.0.0.1:13013"
    user = "warnsvc"
    sender = "1069012345"
    [carriers.secret_files]
    secret = "/run/secrets/kannel"

The profile says how a message is handed over, what the answer means, how receipts and replies come
and how they are proved (`gateway_profile`); the parameters say who we are. SMPP and CMPP are
reached through such a gateway. It never tries again and never follows a redirect.
Source: carriers.md §4, §5. How to write a profile: docs/CARRIERS-GATEWAY.md.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from aiohttp import ClientError
from yarl import URL

from channels import segment
from channels.base import (
    CallbackMalformed,
    CallbackReply,
    CallbackRequest,
    Estimate,
    InboundEvent,
    Inquiry,
    PerCalleeLimit,
    PlainChannel,
    ReceiptEvent,
    SendOutcome,
    SendRequest,
    Unsendable,
    Words,
)
from channels.clock import Clock, utc_now
from channels.country import codes
from channels.errors import ChannelError
from channels.gateway_account import (
    Account,
    capabilities_of,
    check_account,
    read_values,
    web_address,
    with_overrides,
)
from channels.gateway_answer import read_answer
from channels.gateway_batch import (
    Member,
    Outcomes,
    Said,
    build_batch,
    groups_of,
    read_batch_answer,
    shared_fate,
)
from channels.gateway_callback import CallbackReader
from channels.gateway_check import obstacle
from channels.gateway_profile import BatchRule, Proof
from channels.gateway_proof import check_callback, hidden_words, read_networks, with_key
from channels.gateway_reader import read_profile
from channels.gateway_record import records_in
from channels.gateway_request import Built, authorization, build_lookup, build_send, send_values
from channels.http_client import (
    HttpClient,
    TimeLimits,
    fault_of,
    outcome_of,
    read_bounded,
    read_json_object,
)
from channels.sendable import refusal, words_of

log = structlog.get_logger(__name__)

RECORDS_BYTES_MAX = 1024 * 1024
"""A look-up answers with the events of one message, a batch with a record for each."""


class HttpGateway(PlainChannel):
    """Text messages through an HTTP gateway that a profile describes."""

    def __init__(
        self,
        *,
        name: str,
        profile: str,
        base_url: str,
        user: str = "",
        secrets: Sequence[str] = (),
        sender: str = "",
        values: str | Mapping[str, str] = "",
        batch_max: int = 0,
        per_second: float = 0.0,
        sender_per_second: float = 0.0,
        per_callee: Sequence[PerCalleeLimit] = (),
        countries: str | Sequence[str] = (),
        inbound_countries: str | Sequence[str] = (),
        allow_from: str | Sequence[str] = (),
        limits: TimeLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """Raises ValueError (ProfileFault) for what cannot work.

        `values`: the profile's further names, as in `ec_name=清河县应急局; service=12`.
        `countries`, `inbound_countries`: calling codes, as in `86 7`; empty: the profile's.
        `allow_from`: networks that callbacks may come from; empty: any.
        `batch_max`: messages in one request, 1: each alone. `per_second`. 0: the profile's.
        """
        self.name = name
        self._profile = with_overrides(
            read_profile(profile),
            batch_max=batch_max,
            per_second=per_second,
            countries=codes(countries),
            inbound_countries=codes(inbound_countries),
        )
        self._account = Account(
            channel=name,
            base_url=web_address(base_url),
            user=user,
            secrets=tuple(secrets),
            sender=sender,
            values=read_values(values, self._profile),
        )
        check_account(self._profile, self._account)
        self._hidden = hidden_words(self._account)
        self._allowed = read_networks(allow_from)
        self._clock = clock
        self._reader = CallbackReader(self._profile, channel=name, clock=clock)
        self._client = HttpClient(
            limits=limits,
            headers={
                "User-Agent": "warnsvc",
                "Accept-Encoding": "identity",
                **authorization(self._profile.send, self._account),
            },
        )
        self.capabilities = capabilities_of(
            self._profile, sender, sender_per_second, tuple(per_callee)
        )

    def __repr__(self) -> str:
        host = URL(self._account.base_url).host
        return f"<HttpGateway {self.name}: {self._profile.name} at {host}>"

    def check(self, words: Words) -> Unsendable | None:
        """Return why a text cannot be sent: its length, its alphabet, or a link in it."""
        return super().check(words) or obstacle(self._profile, words)

    async def send(self, request: SendRequest) -> SendOutcome:
        """Hand one message over. Never raises for what the gateway or the network does."""
        now = self._clock()
        try:
            self._refuse_unsendable(request)
            built = build_send(self._profile, self._account, request, now, keyed=self._keyed)
            status, headers, body = await self._exchange(built)
            return read_answer(
                self._profile.answer,
                status=status,
                headers=headers,
                body=body,
                values=built.values,
                now=now,
                charset=self._profile.send.charset,
                secrets=self._hidden,
            )
        except ChannelError as fault:
            return outcome_of(fault)
        except (ClientError, TimeoutError, OSError) as error:
            return outcome_of(fault_of(error))

    async def send_batch(self, requests: Sequence[SendRequest]) -> list[SendOutcome | None]:
        """Hand messages over in as few requests as the profile allows. Never raises."""
        rule = self._profile.batch
        if rule is None or len(requests) < 2:
            return await super().send_batch(requests)
        now, outcomes, members = self._clock(), Outcomes(), []
        for place, request in enumerate(requests):
            try:
                self._refuse_unsendable(request)
                values = send_values(self._profile, self._account, request, now, keyed=self._keyed)
                members.append(Member(place, request, values))
            except ChannelError as fault:
                outcomes[place] = outcome_of(fault)
        groups = groups_of(rule, members)
        for answered in await asyncio.gather(*(self._send_group(rule, g, now) for g in groups)):
            outcomes |= answered
        return [outcomes[place] for place in range(len(requests))]

    async def _send_group(
        self, rule: BatchRule, group: Sequence[Member], now: datetime
    ) -> Outcomes:
        """Hand over what shares a request."""
        if len(group) == 1:
            return {group[0].place: await self.send(group[0].request)}
        try:
            built = build_batch(rule, self._account, group)
            status, headers, body = await self._exchange(built, RECORDS_BYTES_MAX)
            said = Said(status, headers, body, now, rule.send.charset, self._hidden)
            return read_batch_answer(self._profile, rule, group, said)
        except ChannelError as fault:
            return shared_fate(rule, group, fault)
        except (ClientError, TimeoutError, OSError) as error:
            return shared_fate(rule, group, fault_of(error))

    async def lookup(self, inquiry: Inquiry) -> list[ReceiptEvent] | None:
        """Ask what became of a message, where the profile says how. Empty: it was never seen."""
        rule = self._profile.lookup
        if rule is None:
            return None
        try:
            built = build_lookup(rule.send, self._profile, self._account, inquiry, self._clock())
            status, _, body = await self._exchange(built, RECORDS_BYTES_MAX)
            if status != 200:
                return None
            records = records_in(read_json_object(body), rule.items)
            return [self._reader.receipt(record, inquiry.token) for record in records]
        except (ChannelError, CallbackMalformed, ClientError, TimeoutError, OSError) as error:
            log.warning("gateway.no_lookup", channel=self.name, fault=type(error).__name__)
            return None

    def parse_receipts(self, request: CallbackRequest) -> list[ReceiptEvent]:
        """Read a callback's receipts; one with replies gives an empty list."""
        self._check(request)
        return self._reader.receipts(request)

    def parse_inbound(self, request: CallbackRequest) -> list[InboundEvent]:
        """Read a callback's replies; one with receipts gives an empty list."""
        self._check(request)
        return self._reader.inbound(request)

    def reply(self, request: CallbackRequest, words: SendRequest | None) -> CallbackReply:
        """Return what the profile says that the gateway wants to hear."""
        rule = self._profile.reply
        return CallbackReply(status=rule.status, body=rule.body, content_type=rule.content_type)

    def inbound_address(self, public_url: str) -> str:
        """Return the address to configure at the gateway for replies and for batched receipts.

        It holds a key made of the secret, so it changes with the secret; whoever has it can tell us
        that somebody answered. `warnsvc carriers address` prints it.
        """
        plain = f"{public_url.rstrip('/')}/callbacks/{self.name}"
        url = with_key(plain, self._account, "") if self._keyed else plain
        suffix = self._profile.inbound.address_suffix if self._profile.inbound else ""
        return url + (suffix if self._keyed else suffix.replace("&", "?", 1))

    def estimate(self, text: str, count: int) -> Estimate:
        """Return parts and the seconds `count` sends take at the gateway's pace."""
        parts = segment.count(text).parts
        return Estimate(parts=parts, seconds=count * parts / self.capabilities.per_second)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    @property
    def _keyed(self) -> bool:
        return self._profile.proof.by is Proof.KEY

    def _refuse_unsendable(self, request: SendRequest) -> None:
        found = self.check(words_of(request))
        if found is not None:
            raise refusal(found)

    async def _exchange(self, built: Built, limit: int = 0) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request; return status, headers and body of the answer."""
        async with (
            self._client.gate,
            self._client.session().request(
                built.method,
                built.url,
                data=built.body,
                headers=built.headers,
                allow_redirects=False,
            ) as response,
        ):
            body = await (read_bounded(response, limit) if limit else read_bounded(response))
            return response.status, response.headers, body

    def _check(self, request: CallbackRequest) -> None:
        proof, now = self._profile.proof, self._clock()
        check_callback(request, proof, self._account, allowed=self._allowed, now=now)

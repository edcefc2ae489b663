"""The simulated carrier's HTTP interface for its customers, /v1.

    POST /v1/messages               To From Text [StatusCallback Reference Validity Language] → 201
    POST /v1/calls                  the same; it rings and speaks, or plays what is at Audio=
    GET  /v1/messages?Reference=    what became of it; also /v1/calls
    POST /v1/messages/{sid}/cancel  also /v1/calls/{sid}/cancel?Live=yes|no (no: if it only waits)
    GET  /v1/inbound?Since=&After=&Of=messages|calls   replies and keys, oldest first
    POST /v1/account                InboundCallback=: where replies are posted
    POST /v1/hooks/{name}           a simulated webhook endpoint (Standard Webhooks)

Basic authentication by account. Errors are JSON: code, message. Faults of the day (outage, lost
requests, lost answers, throttling) are met here, before and after the carrier does its work.
"""

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from aiohttp import web

from channels.simulator.behaviour import OutageKind
from channels.simulator.carrier import Carrier, event_fields, instant
from channels.simulator.traffic import Inbound, Ledger, Message, Refusal

CARRIER = web.AppKey("carrier", Carrier)

INBOUND_PAGE = 500
"""Replies in one page of a poll."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CarrierApi:
    """Handlers over one carrier."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._doors = {
            _basic(ledger.account.name, secret): ledger
            for ledger in carrier.ledgers.values()
            for secret in ledger.account.secrets
        }
        self._request_count = 0

    def routes(self) -> list[web.RouteDef]:
        """Return all routes of /v1."""
        return [
            web.post("/v1/messages", self._send_message),
            web.post("/v1/calls", self._send_call),
            web.get("/v1/messages", self._lookup_messages),
            web.get("/v1/calls", self._lookup_calls),
            web.post("/v1/messages/{sid}/cancel", self._cancel_message),
            web.post("/v1/calls/{sid}/cancel", self._cancel_call),
            web.get("/v1/inbound", self._inbound),
            web.post("/v1/account", self._account),
            web.post("/v1/hooks/{name}", self._hook),
        ]

    # ------------------------------------------------------------------------------------ sending

    async def _send_message(self, request: web.Request) -> web.Response:
        return await self._send(request, is_call=False)

    async def _send_call(self, request: web.Request) -> web.Response:
        return await self._send(request, is_call=True)

    async def _send(self, request: web.Request, *, is_call: bool) -> web.Response:
        form = await request.post()
        spoiled = await self._spoil(request)
        if spoiled is not None:
            return spoiled
        ledger = self._doors.get(request.headers.get("Authorization", ""))
        if ledger is None:
            return _refused(Refusal(status=401, code="20001", message="wrong account or secret"))
        taken: Message | Refusal | None = self._carrier.throttle(ledger)
        if taken is None:
            fields: Mapping[str, str] = form  # type: ignore[assignment]  # only multipart has files
            taken = self._carrier.accept(ledger, fields, is_call=is_call)
        if isinstance(taken, Refusal):
            return _refused(taken)
        return await self._accepted(request, taken)

    async def _accepted(self, request: web.Request, message: Message) -> web.Response:
        carrier = self._carrier
        if carrier.dice.happens(carrier.behaviour.early_receipt, "early", message.sid):
            await carrier.hurry(message)
        if carrier.dice.happens(carrier.behaviour.lose_answer, "answer", message.sid):
            return _cut(request)
        return web.Response(
            status=201,
            body=b'{"sid":"%b","status":"queued","parts":%d}'
            % (message.sid.encode("ascii"), message.parts),
            content_type="application/json",
        )

    async def _spoil(self, request: web.Request) -> web.Response | None:
        """Let the request meet the faults of the day; None: it met none."""
        carrier, behaviour = self._carrier, self._carrier.behaviour
        match carrier.fault():
            case OutageKind.UNAVAILABLE:
                return _refused(Refusal(status=503, code="50300", message="out of service"))
            case OutageKind.REFUSE:
                return _cut(request)
            case OutageKind.SILENT:
                await carrier.timeline.sleep(carrier.outage.until - carrier.timeline.now())
                return _cut(request)
            case OutageKind.NONE | OutageKind.STALLED:
                pass
        if behaviour.answer_seconds > 0.0 or behaviour.lose_request > 0.0:
            self._request_count += 1
            if carrier.dice.happens(behaviour.lose_request, "request", self._request_count):
                return _cut(request)
            await carrier.timeline.sleep(
                carrier.dice.duration(
                    behaviour.answer_seconds,
                    behaviour.answer_spread,
                    "answers",
                    self._request_count,
                )
            )
        return None

    # ------------------------------------------------------------------------------------- asking

    async def _lookup_messages(self, request: web.Request) -> web.Response:
        return await self._lookup(request, is_call=False)

    async def _lookup_calls(self, request: web.Request) -> web.Response:
        return await self._lookup(request, is_call=True)

    async def _lookup(self, request: web.Request, *, is_call: bool) -> web.Response:
        ledger, refused = await self._admit(request)
        if ledger is None:
            return refused
        reference = request.query.get("Reference", "")
        found = self._carrier.lookup(ledger, reference, is_call=is_call)
        return _json({"items": [_described(message) for message in found]})

    async def _cancel_message(self, request: web.Request) -> web.Response:
        return await self._cancel(request, is_call=False)

    async def _cancel_call(self, request: web.Request) -> web.Response:
        return await self._cancel(request, is_call=True)

    async def _cancel(self, request: web.Request, *, is_call: bool) -> web.Response:
        ledger, refused = await self._admit(request)
        if ledger is None:
            return refused
        cancelled = self._carrier.cancel(
            ledger,
            request.match_info["sid"],
            is_call=is_call,
            live=request.query.get("Live", "yes") != "no",
        )
        return _json({"cancelled": cancelled}, status=200 if cancelled else 409)

    async def _inbound(self, request: web.Request) -> web.Response:
        ledger, refused = await self._admit(request)
        if ledger is None:
            return refused
        try:
            since = datetime.fromisoformat(request.query.get("Since", "1970-01-01T00:00:00+00:00"))
        except ValueError:
            return _refused(Refusal(status=400, code="20010", message="Since is no instant"))
        items = _page(
            ledger,
            since=since.timestamp(),
            after=request.query.get("After", ""),
            calls=request.query.get("Of") == "calls",
        )
        return _json({"items": [dict(item.form) for item in items]})

    async def _account(self, request: web.Request) -> web.Response:
        ledger, refused = await self._admit(request)
        if ledger is None:
            return refused
        form = await request.post()
        url = str(form.get("InboundCallback", ""))
        ledger.account = replace(ledger.account, inbound_callback=url)
        return _json({"name": ledger.account.name})

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        spoiled = await self._spoil(request)
        if spoiled is not None:
            return spoiled
        name = request.match_info["name"]
        ledger = self._carrier.hooks.ledger(name)
        throttled = self._carrier.throttle(ledger) if ledger else None
        if throttled is not None:
            return _refused(throttled)
        status, answer = self._carrier.hooks.receive(name, request.headers, body)
        self._request_count += 1
        lost = self._carrier.behaviour.lose_answer
        if self._carrier.dice.happens(lost, "hook", self._request_count):
            return _cut(request)
        return _json(answer, status=status)

    async def _admit(self, request: web.Request) -> tuple[Ledger | None, web.Response]:
        """Return the customer, or what to tell a stranger or anybody during an outage."""
        refusal = Refusal(status=401, code="20001", message="wrong account or secret")
        spoiled = await self._spoil(request)
        if spoiled is not None:
            return None, spoiled
        return self._doors.get(request.headers.get("Authorization", "")), _refused(refusal)


def _page(ledger: Ledger, *, since: float, after: str, calls: bool) -> list[Inbound]:
    number = int(after[-12:], 16) if after[-12:].isalnum() and after.startswith("IN") else 0
    found: list[Inbound] = []
    for item in ledger.inbound:
        if item.is_call is calls and item.at >= since and item.number > number:
            found.append(item)
            if len(found) == INBOUND_PAGE:
                break
    return found


def _described(message: Message) -> dict[str, Any]:
    queued = {"Status": "queued", "Sequence": "0", "Timestamp": instant(message.accepted_at)}
    events = [dict(event_fields(event)) for event in message.events]
    return {"sid": message.sid, "status": message.status, "events": [queued, *events]}


def _json(value: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(value, ensure_ascii=False).encode(),
        content_type="application/json",
    )


def _refused(refusal: Refusal) -> web.Response:
    response = _json({"code": refusal.code, "message": refusal.message}, status=refusal.status)
    if refusal.retry_after > 0.0:
        response.headers["Retry-After"] = f"{refusal.retry_after:g}"
    return response


def _cut(request: web.Request) -> web.Response:
    """Break the connection instead of answering."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _basic(account: str, secret: str) -> str:
    return "Basic " + b64encode(f"{account}:{secret}".encode()).decode("ascii")

"""Simulated webhook endpoints: a loudspeaker server, a neighbour's system.

    POST /v1/hooks/{name} ──► signature checked ──► shown on the page
                          ├──► answered in the response: {"answer": "1"}
                          └──► answered later by a signed callback to callback_url

A repeated webhook-id is acknowledged and not announced again, as Standard Webhooks asks of a
receiver. It never trusts an unsigned request.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from channels import signature
from channels.base import SignatureInvalid
from channels.simulator.behaviour import OutageKind
from channels.simulator.handset import Entry, EntryKind
from channels.simulator.postman import Callback
from channels.simulator.traffic import Account, Ledger

if TYPE_CHECKING:
    from channels.simulator.carrier import Carrier

HOOK_PREFIX = "hook:"
"""An endpoint stands on the shelf beside the phones under this and its name."""

SEEN_MAX = 10_000
"""Webhook ids remembered for repeats, per endpoint."""


class AnswersBy(StrEnum):
    """How an endpoint answers."""

    RESPONSE = "response"
    """In the answer to the request."""
    CALLBACK = "callback"
    """Later, with a request of its own."""
    SILENCE = "silence"
    """Not at all: it only takes the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One endpoint. Its secrets are Standard Webhooks secrets; the first one signs."""

    name: str
    secrets: tuple[str, ...] = field(repr=False)
    answers_by: AnswersBy = AnswersBy.RESPONSE
    answer: str = "1"
    seconds: float = 5.0
    """Delay of an answer by callback."""


@dataclass(slots=True, kw_only=True)
class _Endpoint:
    hook: Hook
    keys: tuple[bytes, ...]
    ledger: Ledger
    seen: dict[str, None] = field(default_factory=dict)
    token: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What the newest webhook said."""
    sent_count: int = 0


class HookDesk:
    """All simulated endpoints of a carrier."""

    def __init__(self, carrier: "Carrier", hooks: tuple[Hook, ...]) -> None:
        self._carrier = carrier
        self._endpoints = {hook.name: _endpoint(hook) for hook in hooks}

    def ledger(self, name: str) -> Ledger | None:
        """Return what paces an endpoint; None: there is no such endpoint."""
        endpoint = self._endpoints.get(name)
        return endpoint.ledger if endpoint else None

    def set_answers(self, name: str, answers_by: AnswersBy) -> None:
        """Let an endpoint answer differently from now on."""
        endpoint = self._endpoints[name]
        endpoint.hook = replace(endpoint.hook, answers_by=answers_by)

    def set_secrets(self, name: str, secrets: tuple[str, ...]) -> None:
        """Give an endpoint other secrets, as whoever runs it does in a rotation."""
        endpoint = self._endpoints[name]
        endpoint.hook = replace(endpoint.hook, secrets=secrets)
        endpoint.keys = _keys(secrets)

    def data(self, name: str) -> Mapping[str, Any]:
        """Return what the newest webhook at an endpoint said."""
        return self._endpoints[name].data

    def receive(
        self, name: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str]]:
        """Take a webhook and return status and answer."""
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            return 404, {"message": "no such endpoint"}
        try:
            message_id = signature.check_webhook(
                keys=endpoint.keys,
                headers=headers,
                body=body,
                now=self._carrier.timeline.now_at(),
            )
            data = _data(body)
        except SignatureInvalid as refused:
            return 401, {"message": str(refused)}
        except ValueError:
            return 400, {"message": "the body cannot be read"}
        if self._carrier.fault() is not OutageKind.STALLED:
            self._announce(endpoint, message_id, data)
        by_response = endpoint.hook.answers_by is AnswersBy.RESPONSE
        return 200, {"answer": endpoint.hook.answer} if by_response else {}

    def answer(self, number: str, text: str) -> None:
        """Somebody at an endpoint answers the last message it got."""
        endpoint = self._endpoints.get(number.removeprefix(HOOK_PREFIX))
        if endpoint is None or not endpoint.token:
            return
        self._note(endpoint, EntryKind.REPLY, text)
        self._post(endpoint, "answer", {"token": endpoint.token, "answer": text})

    def _announce(self, endpoint: _Endpoint, message_id: str, data: Mapping[str, Any]) -> None:
        if message_id in endpoint.seen:
            return
        endpoint.seen[message_id] = None
        if len(endpoint.seen) > SEEN_MAX:
            endpoint.seen.pop(next(iter(endpoint.seen)))
        endpoint.token = message_id
        endpoint.data = data
        self._note(endpoint, EntryKind.NOTICE, str(data.get("text", "")))
        if self._carrier.behaviour.receipts:
            self._post(endpoint, "receipt", {"token": message_id, "status": "delivered"})
        match endpoint.hook.answers_by:
            case AnswersBy.RESPONSE:
                self._note(endpoint, EntryKind.REPLY, endpoint.hook.answer)
            case AnswersBy.CALLBACK:
                step = partial(self.answer, HOOK_PREFIX + endpoint.hook.name, endpoint.hook.answer)
                self._carrier.timeline.after(endpoint.hook.seconds, step)
            case AnswersBy.SILENCE:
                pass

    def _note(self, endpoint: _Endpoint, kind: EntryKind, text: str) -> None:
        handset = self._carrier.handset(HOOK_PREFIX + endpoint.hook.name)
        if handset is None:
            return
        handset.name = handset.name or endpoint.hook.name
        handset.entries.append(Entry(kind=kind, text=text, at=self._carrier.timeline.now()))
        self._carrier.moved(handset)

    def _post(self, endpoint: _Endpoint, kind: str, data: Mapping[str, str]) -> None:
        url = str(endpoint.data.get("callback_url", ""))
        if not url:
            return
        endpoint.sent_count += 1
        timeline = self._carrier.timeline
        message_id = f"{endpoint.hook.name}-{endpoint.token}-{endpoint.sent_count}"
        document = {"type": kind, "timestamp": timeline.now_at().isoformat(), "data": data}
        body = json.dumps(document, ensure_ascii=False).encode()

        def headers(now: datetime) -> dict[str, str]:
            signed = signature.webhook_headers(endpoint.keys[:1], message_id, body, now)
            return {"Content-Type": "application/json", **signed}

        callback = Callback(url=url, body=body, headers=headers)
        timeline.after(0.0, lambda: self._carrier.postman.deliver(callback))


def _endpoint(hook: Hook) -> _Endpoint:
    return _Endpoint(
        hook=hook,
        keys=_keys(hook.secrets),
        ledger=Ledger(account=Account(name=hook.name, secrets=hook.secrets)),
    )


def _keys(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(signature.webhook_key(secret) for secret in secrets)


def _data(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
        raise ValueError("no data")
    data: dict[str, Any] = document["data"]
    return data

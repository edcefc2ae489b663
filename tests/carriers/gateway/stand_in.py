"""Far ends of our own that speak as real gateways do: Kannel's sendsms, a MAS, a JSON gateway.

    await far.start()            far.url is the base address
    far.taken                    what was handed over
    far.throttle = 7.0           … and other ways to misbehave
    await far.receipts(…)        posts (or fetches) callbacks to where it was told to

They check what the real ones check, signatures and passwords first of all, so that an adapter that
signs wrongly is refused here too. Nothing of `channels.gateway*` is used in them.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from aiohttp import ClientSession, web

BEIJING = ZoneInfo("Asia/Shanghai")


@dataclass
class Taken:
    """A message that was handed over."""

    id: str
    to: str
    text: str
    callback_url: str = ""
    valid_until: datetime | None = None
    reference: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)


class FarEnd:
    """A gateway on a loopback port."""

    def __init__(self, now: datetime, *, user: str, secret: str) -> None:
        self.now = now
        self.user, self.secret = user, secret
        self.taken: list[Taken] = []
        self.sizes: list[int] = []
        """How many messages there were in each request that could have held several."""
        self.throttle = 0.0
        self.silent = False
        self.cut = False
        self.refuse_number = False
        self.inbound_url = ""
        self.url = ""
        self._never = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        self.session: ClientSession | None = None

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site.port}"
        self.session = ClientSession()

    async def stop_listening(self) -> None:
        self._never.set()
        await self._runner.cleanup()

    async def close(self) -> None:
        await self.stop_listening()
        if self.session is not None:
            await self.session.close()

    async def _handle(self, request: web.Request) -> web.Response:
        if self.silent:
            await self._never.wait()
        answer = await self.answer(request)
        if self.cut:
            self.cut = False
            assert request.transport is not None
            request.transport.abort()
        return answer

    async def answer(self, request: web.Request) -> web.Response:
        raise NotImplementedError

    def take(self, **fields: Any) -> Taken:
        message = Taken(id=f"m{len(self.taken) + 1:04d}", **fields)
        self.taken.append(message)
        return message

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        assert self.session is not None
        async with self.session.post(url, data=body, headers=dict(headers)) as said:
            return said.status


class KannelLike(FarEnd):
    """Kannel's smsbox: everything in a query, sentences for codes, no id, receipts by GET."""

    async def answer(self, request: web.Request) -> web.Response:
        if request.path != "/cgi-bin/sendsms":
            return web.Response(status=404, text="Unknown request.")
        query = request.query
        if (query.get("username"), query.get("password")) != (self.user, self.secret):
            return web.Response(status=403, text="Authorization failed for sendsms")
        if self.throttle:
            headers = {"Retry-After": f"{self.throttle:g}"}
            return web.Response(
                status=503, text="Temporal failure, try again later.", headers=headers
            )
        if not query.get("to"):
            return web.Response(status=400, text="Missing receiver number, rejected")
        if not query["to"].lstrip("+").isdigit():
            denied = "Number(s) has/have been denied by white- and/or black-lists."
            return web.Response(status=400, text=denied)
        self.take(
            to=query["to"],
            text=query.get("text", ""),
            callback_url=query["dlr-url"],
            valid_until=self.now + timedelta(minutes=int(query["validity"])),
        )
        return web.Response(status=202, text="0: Accepted for delivery")

    async def receipt(self, message: Taken, kind: int, answer: str = "") -> None:
        assert self.session is not None
        url = (
            message.callback_url.replace("%d", str(kind))
            .replace("%T", str(int(self.now.timestamp())))
            .replace("%A", quote(answer, safe=""))
        )
        async with self.session.get(url) as said:
            assert said.status < 500

    async def reply(self, sender: str, text: str, *, recipient: str, ident: str) -> None:
        assert self.session is not None
        filled = {
            "%p": sender,
            "%P": recipient,
            "%a": text,
            "%I": ident,
            "%T": str(int(self.now.timestamp())),
        }
        url = self.inbound_url
        for escape, value in filled.items():
            url = url.replace(escape, quote(value, safe=""))
        async with self.session.get(url) as said:
            assert said.status < 500


class MasLike(FarEnd):
    """A China Mobile MAS style gateway: base64 of JSON, an MD5, an id per batch, pushed lists."""

    ec_name = "清河县应急局"
    sign = "8Kd2"

    async def answer(self, request: web.Request) -> web.Response:
        document = json.loads(base64.b64decode(await request.read()))
        joined = "".join(
            (
                *(document["ecName"], document["apId"], self.secret, document["mobiles"]),
                *(document["content"], document["sign"], document["addSerial"]),
            )
        )
        if document["mac"] != hashlib.md5(joined.encode()).hexdigest():
            return self._refusal("IllegalMac")
        if self.throttle:
            return self._refusal("TooFast", {"Retry-After": f"{self.throttle:g}"})
        mobiles = document["mobiles"].split(",")
        self.sizes.append(len(mobiles))
        if not all(len(mobile) == 11 for mobile in mobiles):
            return self._refusal("InvalidMobile")
        assert len(set(mobiles)) == len(mobiles), "one id and a number name one message"
        taken = [self.take(to=mobile, text=document["content"]) for mobile in mobiles]
        for message in taken:
            message.reference = f"0711140000{taken[0].id}"
        said = {"msgGroup": taken[0].reference, "rspcod": "success", "success": True}
        return web.json_response(said)

    def _refusal(self, code: str, headers: Mapping[str, str] | None = None) -> web.Response:
        said = {"msgGroup": "", "rspcod": code, "success": False}
        return web.json_response(said, headers=headers)

    def record(self, message: Taken, word: str, status: str) -> dict[str, str]:
        return {
            "reportStatus": status,
            "mobile": message.to,
            "submitDate": self._time(),
            "receiveDate": self._time(),
            "errorCode": word,
            "msgGroup": message.reference,
        }

    def _time(self) -> str:
        return self.now.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")

    async def push(self, records: Any) -> int:
        body = json.dumps(records, ensure_ascii=False).encode()
        return await self.post(self.inbound_url, body, {"Content-Type": "application/json"})

    def reply_record(self, mobile: str, text: str, serial: str) -> dict[str, str]:
        at = self.now.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
        return {"mobile": mobile, "smsContent": text, "sendTime": at, "addSerial": serial}


class JsonLike(FarEnd):
    """The generic JSON gateway: bearer, signed bodies both ways, look-up by our reference."""

    async def answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.secret}":
            return self._refusal(401, "unauthorised")
        if request.method == "GET":
            return self._found(request.query.get("reference", ""))
        body = await request.read()
        stamp = request.headers["X-Gateway-Timestamp"]
        if not hmac.compare_digest(
            self.signature(stamp, body), request.headers["X-Gateway-Signature"]
        ):
            return self._refusal(401, "unauthorised")
        if self.throttle:
            return self._refusal(429, "too_fast", retry_after=self.throttle)
        document = json.loads(body)
        if request.path.endswith("/batch"):
            return self._answer_batch(document)
        if not document["to"].startswith("+"):
            return self._refusal(422, "invalid_number")
        message = self._take(document)
        return web.json_response({"id": message.id, "parts": 2}, status=202)

    def _answer_batch(self, document: dict[str, Any]) -> web.Response:
        """Tell of each message, and as it likes: in any order."""
        self.sizes.append(len(document["messages"]))
        records = []
        for one in document["messages"]:
            about = {"reference": one["reference"]}
            if one["to"].startswith("+"):
                records.append({**about, "id": self._take(one).id, "parts": 2})
            else:
                records.append({**about, "error": {"code": "invalid_number"}})
        return web.json_response({"messages": records[::-1]}, status=202)

    def _take(self, document: dict[str, Any]) -> Taken:
        message = self.take(
            to=document["to"],
            text=document["text"],
            callback_url=document["receipts_to"],
            valid_until=datetime.fromisoformat(document["valid_until"]),
            reference=document["reference"],
        )
        assert type(document["validity_seconds"]) is int
        return message

    def _found(self, reference: str) -> web.Response:
        events = [e for m in self.taken if m.reference == reference for e in self._events(m)]
        return web.json_response({"items": events})

    def _events(self, message: Taken) -> list[dict[str, Any]]:
        return message.events or [self.record(message, "queued")]

    def _refusal(self, status: int, code: str, **more: Any) -> web.Response:
        error = {"code": code, "message": f"refused: {code}", **more}
        return web.json_response({"error": error}, status=status)

    def signature(self, stamp: str, body: bytes) -> str:
        signed = f"{stamp}.".encode() + body
        return hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()

    def record(self, message: Taken, status: str, code: str = "") -> dict[str, Any]:
        at = self.now.astimezone(UTC).isoformat()
        found = {"id": message.id, "reference": message.reference, "status": status, "at": at}
        return {**found, "code": code} if code else found

    async def push(self, url: str, document: Any) -> int:
        body = json.dumps(document, ensure_ascii=False).encode()
        stamp = str(int(self.now.timestamp()))
        headers = {
            "Content-Type": "application/json",
            "X-Gateway-Timestamp": stamp,
            "X-Gateway-Signature": self.signature(stamp, body),
        }
        return await self.post(url, body, headers)


def path_of(url: str) -> str:
    """Return the path of an address."""
    return urlsplit(url).path

"""Twilio's far ends for tests: the stand-in, a public address of ours, and an adapter between them."""

from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from channels.base import CallbackRequest, Channel, SendRequest, SignatureInvalid
from channels.twilio_sms import TwilioSms
from channels.twilio_voice import TwilioVoice
from tests.carriers.twilio.server import (
    ACCOUNT,
    NUMBER,
    TOKEN,
    Cut,
    Silence,
    Throttle,
    TwilioServer,
)
from tests.channels.rigs import IMPATIENT, PHONE
from tests.fakes.clock import ManualClock


class Door:
    """Our public callback address: keeps what comes, and answers what the adapter says."""

    def __init__(self) -> None:
        self.caught: list[CallbackRequest] = []
        self.channel: Channel | None = None
        self.sent: dict[str, SendRequest] = {}
        """What a call that wants its words is given; empty while our database is away."""
        self.failures = 0
        app = web.Application()
        app.router.add_post("/callbacks/{name}/{token}", self._take)
        app.router.add_post("/callbacks/{name}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site.port}"

    async def close(self) -> None:
        await self._runner.cleanup()

    def take(self) -> list[CallbackRequest]:
        caught, self.caught = self.caught, []
        return caught

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.failures > 0:
            self.failures -= 1
            return web.Response(status=503)
        callback = CallbackRequest(
            url=self.url + request.rel_url.raw_path_qs,
            headers=dict(request.headers),
            body=body,
            token=request.match_info.get("token", ""),
        )
        self.caught.append(callback)
        assert self.channel is not None
        try:
            self.channel.parse_receipts(callback)
        except SignatureInvalid:
            return web.Response(status=403)
        wanted = self.channel.wants_words(callback)
        reply = self.channel.reply(callback, self.sent.get(callback.token) if wanted else None)
        return web.Response(
            status=reply.status, text=reply.body, content_type=reply.content_type, charset="utf-8"
        )


class TwilioRig:
    """What both rigs share."""

    channel: Any
    impatient: Channel
    name = "twilio"
    good_address = PHONE
    bad_address = "+15005550001"
    signs_body = True
    stamps_time = False

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.server = TwilioServer(clock=self.clock.now)
        self.door = Door()

    async def start(self) -> None:
        await self.server.start()
        await self.door.start()
        self.channel, self.impatient = self.make(), self.make(limits=IMPATIENT)
        self.door.channel = self.channel

    async def close(self) -> None:
        await self.channel.close()
        await self.impatient.close()
        await self.server.close()
        await self.door.close()

    def make(self, **changes: Any) -> Any:
        raise NotImplementedError

    def params(self, **changes: Any) -> dict[str, Any]:
        return {
            "name": self.name,
            "account_sid": ACCOUNT,
            "secrets": [TOKEN],
            "sender": NUMBER,
            "base_url": self.server.url,
            "clock": self.clock.now,
            **changes,
        }

    def now(self) -> datetime:
        return self.clock.now()

    def callback_url(self, token: str) -> str:
        return f"{self.door.url}/callbacks/{self.name}/{token}"

    def throttle(self, retry_after: float) -> None:
        self.server.fault = Throttle(retry_after)

    def never_answer(self) -> None:
        self.server.fault = Silence()

    def take_and_cut(self) -> None:
        self.server.fault = Cut()

    async def refuse_connections(self) -> None:
        await self.server.refuse()
        await self.channel.close()  # no connection is kept either

    async def send(self, request: SendRequest) -> Any:
        self.door.sent[request.token] = request
        return await self.channel.send(request)

    async def duplicated_receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        self.server.twice = True
        return await self.receipts_of(request)

    async def receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        raise NotImplementedError


class SmsRig(TwilioRig):
    name = "twilio-sms"

    def make(self, **changes: Any) -> TwilioSms:
        return TwilioSms(**self.params(**changes))

    async def start(self) -> None:
        await super().start()
        self.server.sms_url = f"{self.door.url}/callbacks/{self.name}"

    def texts_received(self) -> list[str]:
        return [message.get("Body") for message in self.server.messages]

    def valid_until_received(self) -> datetime:
        message = self.server.messages[0]
        return message.created_at + timedelta(seconds=int(message.get("ValidityPeriod")))

    async def receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        await self.send(request)
        await self.server.settle()
        return self.door.take()

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        await self.receipts_of(request)
        await self.server.text(request.to, text)
        return self.door.take()[-1]


class VoiceRig(TwilioRig):
    name = "twilio-voice"

    def make(self, **changes: Any) -> TwilioVoice:
        # It rings as long as it may, so that the time it is given can be seen.
        return TwilioVoice(**{"ring_seconds": 600, **self.params(**changes)})

    def texts_received(self) -> list[str]:
        return [text for call in self.server.calls for text in said_in(call.get("Twiml"))]

    def valid_until_received(self) -> datetime:
        call = self.server.calls[0]
        return call.created_at + timedelta(seconds=int(call.get("Timeout")))

    async def receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        """The call's progress. What the call asks on its way says no time: tests of its own."""
        return [c for c in await self.callbacks_of(request) if "step=status" in c.url]

    async def let_ring(self, request: SendRequest) -> str:
        return await self._become("ringing", request)

    async def let_listen(self, request: SendRequest) -> str:
        return await self._become("in-progress", request)

    async def _become(self, status: str, request: SendRequest) -> str:
        outcome = await self.send(request)
        self.server.calls[-1].status = status
        return str(outcome.reference)

    async def callbacks_of(self, request: SendRequest) -> list[CallbackRequest]:
        await self.send(request)
        await self.server.settle()
        return self.door.take()

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        self.server.person(request.to).keys = [text]
        callbacks = await self.callbacks_of(request)
        return next(c for c in callbacks if f"Digits={text}".encode() in c.body)


def said_in(document: str) -> list[str]:
    """Return what a document says, as a reader of XML finds it."""
    from xml.etree import ElementTree

    return [verb.text or "" for verb in ElementTree.fromstring(document).iter("Say")]

"""Far ends for the conformance suite: the stand-in, a place to catch its batches, both channels.

A carrier of templates carries an arbitrary text only where a template is nothing but a variable; the
provider approves none like it, the rig has one, so that the suite applies.
"""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import web

from channels.aliyun_sms import AliyunSms
from channels.aliyun_voice import AliyunVoice
from channels.base import CallbackRequest, Channel, SendRequest
from channels.http_client import TimeLimits
from tests.carriers.aliyun.standin import START, Aliyun, Approved, Person

SECRET = "access-key-word"
KEY_ID = "LTAI-test"
SIGN_NAME = "清河县应急管理局"
NUMBER = "09915550000"
PHONE = "+8613912345678"
IMPATIENT = TimeLimits(connect=5.0, total=0.2)
VARIABLE_MAX = 500

SMS_TEMPLATES = """
[[template]]
form = "call"
language = "zh"
code = "SMS_1"
text = "${text}"
variables = { text = { field = "message", limit = 500 } }
"""

VOICE_TEMPLATES = """
[[template]]
form = "call"
language = "zh"
code = "TTS_1"
text = "${text}"
variables = { text = { field = "message", limit = 500 } }
keys = { "1" = "TTS_ONE", "2" = "TTS_TWO", "9" = "again" }
bye = "TTS_BYE"
"""


class Inbox:
    """Our public callback address: keeps batches, answers as the channel says, or fails."""

    def __init__(self) -> None:
        self.caught: list[CallbackRequest] = []
        self.failures = 0
        self.channel: Channel | None = None
        app = web.Application()
        app.router.add_post("/callbacks/{name}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        self.url = ""

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
        caught = CallbackRequest(
            url=f"{self.url}{request.raw_path}",
            headers=dict(request.headers),
            body=body,
            remote=request.remote or "",
        )
        self.caught.append(caught)
        assert self.channel is not None
        said = self.channel.reply(caught, None)
        return web.Response(status=said.status, text=said.body, content_type=said.content_type)


class AliyunRig:
    """What both rigs share."""

    channel: Any
    impatient: Channel
    good_address = PHONE
    bad_address = "12345"
    signs_body = False
    stamps_time = False
    templates = ""
    approved: dict[str, Approved] = {}

    def __init__(self) -> None:
        self.carrier = Aliyun(START)
        self.inbox = Inbox()
        self._folder = TemporaryDirectory()

    async def start(self) -> None:
        self.carrier.templates.update(self.approved)
        await self.carrier.start()
        await self.inbox.start()
        self.channel, self.impatient = self.make(), self.make(limits=IMPATIENT)
        self.inbox.channel = self.channel
        self.carrier.push_url = (
            f"{self.inbox.url}/callbacks/{self.channel.name}?{self.channel.callback_query}"
        )

    async def close(self) -> None:
        await self.channel.close()
        await self.impatient.close()
        await self.carrier.close()
        await self.inbox.close()
        self._folder.cleanup()

    def make(self, **changes: Any) -> Channel:
        raise NotImplementedError

    def file(self, text: str) -> str:
        path = Path(self._folder.name) / "templates.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def now(self) -> datetime:
        return self.carrier.timeline.now_at()

    def callback_url(self, token: str) -> str:
        return f"{self.inbox.url}/callbacks/aliyun/{token}"

    def throttle(self, retry_after: float) -> None:
        self.carrier.refuse_with = (
            429,
            "Throttling.User",
            "Request was denied due to user flow control.",
            {"Retry-After": f"{retry_after:g}"},
        )

    def never_answer(self) -> None:
        self.carrier.silent = True

    def take_and_cut(self) -> None:
        self.carrier.cuts = True

    async def refuse_connections(self) -> None:
        await self.carrier.close()

    def texts_received(self) -> list[str]:
        return [sent.text for sent in self.carrier.sent]

    def valid_until_received(self) -> datetime:
        raise NotImplementedError("it takes no validity")

    async def receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        await self.channel.send(request)
        await self.carrier.timeline.advance(120)
        return self.inbox.take()

    async def duplicated_receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        self.carrier.copies = 2
        return await self.receipts_of(request)


class AliyunSmsRig(AliyunRig):
    templates = SMS_TEMPLATES
    approved = {"SMS_1": Approved(text="${text}", limits={"text": VARIABLE_MAX})}

    def make(self, **changes: Any) -> AliyunSms:
        settings: dict[str, Any] = {
            "name": "aliyun-test",
            "access_key_id": KEY_ID,
            "secrets": [SECRET],
            "sign_name": SIGN_NAME,
            "templates_file": changes.get("templates_file") or self.file(self.templates),
            "base_url": self.carrier.url,
            "settle_seconds": 0.0,
            "clock": self.now,
        }
        return AliyunSms(**(settings | changes))

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        await self.receipts_of(request)
        self.carrier.says(request.to.removeprefix("+86"), text)
        await self.carrier.timeline.advance(1)
        return self.inbox.take()[-1]


class AliyunVoiceRig(AliyunRig):
    templates = VOICE_TEMPLATES
    approved = {
        "TTS_1": Approved(text="${text}", limits={"text": VARIABLE_MAX}),
        "TTS_ONE": Approved(text="已记录收到。"),
        "TTS_TWO": Approved(text="已记录，马上有人联系您。"),
        "TTS_BYE": Approved(text="再见。"),
    }

    def make(self, **changes: Any) -> AliyunVoice:
        settings: dict[str, Any] = {
            "name": "aliyun-test",
            "access_key_id": KEY_ID,
            "secrets": [SECRET],
            "sender": NUMBER,
            "templates_file": changes.get("templates_file") or self.file(self.templates),
            "base_url": self.carrier.url,
            "clock": self.now,
        }
        return AliyunVoice(**(settings | changes))

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        """The callback of the key itself; another one reports the call's end."""
        number = f"+86139{len(self.carrier.sent):08d}"
        request = replace(request, to=number)
        self.carrier.people[number.removeprefix("+86")] = Person(keys=text)
        caught = await self.receipts_of(request)
        return next(callback for callback in caught if b'"300000"' in callback.body)

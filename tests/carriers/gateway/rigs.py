"""Rigs of the HTTP gateway for the conformance suite: one for each shipped profile."""

from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

from aiohttp import web

from channels.base import CallbackRequest, Channel, SendRequest
from channels.gateway import HttpGateway
from channels.http_client import TimeLimits
from tests.carriers.gateway.stand_in import FarEnd, JsonLike, KannelLike, MasLike, Taken

START = datetime(2025, 7, 11, 6, 0, tzinfo=UTC)
SECRET = "very-secret-gateway-word"
USER = "county"
SENDER = "1069012345"
PHONE = "+8613912345678"
IMPATIENT = TimeLimits(connect=5.0, total=0.2)
F = TypeVar("F", bound=FarEnd)


class OurDoor:
    """Our public callback address: keeps what comes, whether by GET or POST."""

    def __init__(self, port: int = 0) -> None:
        self.caught: list[CallbackRequest] = []
        self.failures = 0
        """So many next callbacks are kept and answered 500: they will come again."""
        self.status = 200
        self.url = ""
        self._port = port
        app = web.Application()
        app.router.add_route("*", "/callbacks/{name}", self._take)
        app.router.add_route("*", "/callbacks/{name}/{token}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self.url = f"http://127.0.0.1:{site.port}"

    async def close(self) -> None:
        await self._runner.cleanup()

    def take(self) -> list[CallbackRequest]:
        caught, self.caught = self.caught, []
        return caught

    async def _take(self, request: web.Request) -> web.Response:
        self.caught.append(
            CallbackRequest(
                url=self.url + request.rel_url.raw_path_qs,
                headers=dict(request.headers),
                body=await request.read(),
                token=unquote(request.match_info.get("token", "")),
                method=request.method,
                remote=request.remote or "",
            )
        )
        if self.failures > 0:
            self.failures -= 1
            return web.Response(status=500)
        return web.Response(status=self.status)


class GatewayRig(Generic[F]):
    """A gateway channel, a far end that speaks its language, and our callback address."""

    profile = ""
    channel: HttpGateway
    impatient: Channel
    good_address = PHONE
    bad_address = "12345"
    signs_body = False
    stamps_time = False
    params: dict[str, Any] = {}

    def __init__(self) -> None:
        self.far: F = self.make_far()
        self.door = OurDoor()

    def make_far(self) -> F:
        raise NotImplementedError

    async def start(self) -> None:
        await self.door.start()
        await self.far.start()
        self.channel, self.impatient = self.make(None), self.make(IMPATIENT)
        self.far.inbound_url = self.channel.inbound_address(self.door.url)

    async def close(self) -> None:
        await self.channel.close()
        await self.impatient.close()
        await self.far.close()
        await self.door.close()

    def make(self, limits: TimeLimits | None = None, **changes: Any) -> HttpGateway:
        params: dict[str, Any] = {
            "name": f"{self.profile}-test",
            "profile": self.profile,
            "base_url": self.far.url,
            "user": USER,
            "secrets": (SECRET,),
            "sender": SENDER,
            "limits": limits,
            "clock": self.now,
            **self.params,
            **changes,
        }
        return HttpGateway(**params)

    def now(self) -> datetime:
        return self.far.now

    def callback_url(self, token: str) -> str:
        return f"{self.door.url}/callbacks/{self.profile}-test/{token}"

    def throttle(self, retry_after: float) -> None:
        self.far.throttle = retry_after

    def never_answer(self) -> None:
        self.far.silent = True

    def take_and_cut(self) -> None:
        self.far.cut = True

    async def refuse_connections(self) -> None:
        await self.far.stop_listening()

    def texts_received(self) -> list[str]:
        return [message.text for message in self.far.taken]

    def valid_until_received(self) -> datetime:
        until = self.far.taken[0].valid_until
        assert until is not None
        return until

    async def tell(self, message: Taken) -> None:
        """Let the far end say all that it says about a message."""
        raise NotImplementedError

    async def receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        await self.channel.send(request)
        await self.tell(self.far.taken[-1])
        return self.door.take()

    async def duplicated_receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        callbacks = await self.receipts_of(request)
        await self.tell(self.far.taken[-1])
        return callbacks + self.door.take()


class KannelRig(GatewayRig[KannelLike]):
    profile = "kannel"
    bad_address = "no-number"

    def make_far(self) -> KannelLike:
        return KannelLike(START, user=USER, secret=SECRET)

    async def tell(self, message: Taken) -> None:
        await self.far.receipt(message, 8, "ACK/")
        await self.far.receipt(message, 1)

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        await self.receipts_of(request)
        await self.far.reply(request.to, text, recipient=SENDER, ident="7f1c")
        return self.door.take()[-1]


class MasRig(GatewayRig[MasLike]):
    profile = "mas"
    params = {"values": f"ec_name={MasLike.ec_name}; sign={MasLike.sign}"}

    def make_far(self) -> MasLike:
        return MasLike(START, user=USER, secret=SECRET)

    async def tell(self, message: Taken) -> None:
        await self.far.push([self.far.record(message, "ACCEPTD", "CM:0001")])
        await self.far.push([self.far.record(message, "DELIVRD", "CM:0000")])

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        await self.receipts_of(request)
        record = self.far.reply_record(request.to.removeprefix("+86"), text, SENDER)
        await self.far.push([record])
        return self.door.take()[-1]


class JsonRig(GatewayRig[JsonLike]):
    profile = "json"
    signs_body = True
    stamps_time = True

    def make_far(self) -> JsonLike:
        return JsonLike(START, user="", secret=SECRET)

    async def tell(self, message: Taken) -> None:
        if not message.events:
            message.events = [self.far.record(message, w) for w in ("queued", "sent", "delivered")]
        queued, sent, delivered = message.events
        await self.far.push(message.callback_url, queued)
        await self.far.push(message.callback_url, [sent])
        await self.far.push(message.callback_url, delivered)

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        await self.receipts_of(request)
        reply = {
            "id": f"r{len(self.far.taken)}",
            "from": request.to,
            "to": SENDER,
            "text": text,
            "at": self.now().isoformat(),
        }
        await self.far.push(self.far.inbound_url, reply)
        return self.door.take()[-1]

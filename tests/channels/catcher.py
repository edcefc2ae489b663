"""A public callback address that keeps what it is sent, and fails on request."""

from urllib.parse import unquote

from aiohttp import web

from channels.base import CallbackRequest


class Catcher:
    """Listens on a loopback port; `failures` next callbacks get a 500."""

    def __init__(self) -> None:
        self.caught: list[CallbackRequest] = []
        self.failures = 0
        self.url = ""
        app = web.Application()
        app.router.add_post("/callbacks/{kind}/{token}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site.port}"

    async def close(self) -> None:
        await self._runner.cleanup()

    def callback_url(self, token: str, kind: str = "sim") -> str:
        return f"{self.url}/callbacks/{kind}/{token}"

    def take(self) -> list[CallbackRequest]:
        """Return what was caught since the last call."""
        caught, self.caught = self.caught, []
        return caught

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.failures > 0:
            self.failures -= 1
            return web.Response(status=500)
        token = unquote(request.match_info["token"])
        self.caught.append(
            CallbackRequest(
                url=self.url + request.raw_path,
                headers=dict(request.headers),
                body=body,
                token="" if token == "inbound" else token,
            )
        )
        return web.Response(status=204)


def again(response: web.Response) -> web.Response:
    """Return the same response unsent: one that was sent is not sent a second time."""
    headers = {name: response.headers[name] for name in response.headers if name in KEPT}
    return web.Response(status=response.status, body=response.body, headers=headers)


KEPT = {"Content-Type", "Location", "Retry-After"}

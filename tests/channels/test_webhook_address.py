"""Where a webhook may not go, whatever its address looks like when it is typed."""

import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from channels import webhook_address
from channels.base import OutcomeKind, SendOutcome, SendRequest
from channels.errors import ErrorClass
from channels.webhook import WebhookChannel
from channels.webhook_address import is_public
from channels.webhook_secret import normalised

NOW = datetime(2025, 7, 11, 6, 0, tzinfo=UTC)
NAME = "siren.example"

INSIDE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3"),
    *("10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.169.254"),
    *("192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.7", "203.0.113.9"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "100::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"),
    *("2002:7f00:1::", "2002:808:808::", "2001:0:4136:e378::1", "2001:db8::1", "2001:10::1"),
]
OUTSIDE = ["8.8.8.8", "223.5.5.5", "2400:3200::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("host", INSIDE)
def test_no_reserved_address_is_public(host: str) -> None:
    assert not is_public(host)


@pytest.mark.parametrize("host", OUTSIDE)
def test_ordinary_addresses_are_public(host: str) -> None:
    assert is_public(host)


# --- before anything is asked -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        *("", "siren", "//host/x", "https://", "https://./", "https:///x", "https://[::1"),
        *("http://example.com/x", "ftp://example.com", "file:///etc/passwd", "javascript:alert(1)"),
        *("https://user:pw@example.com/", "https://user@example.com/", "https://:pw@example.com/"),
        *("https://example.com:99999/", "https://example.com:0/", "https://example.com:25/", "https://example.com:22/"),
    ],
)
async def test_it_is_no_address_for_a_webhook(url: str) -> None:
    outcome = await send(url)

    assert (outcome.kind, outcome.error_class) == (OutcomeKind.REJECTED, ErrorClass.BAD_NUMBER)
    assert outcome.code == "invalid_url"


# --- when it connects -------------------------------------------------------------------------------


class Doorbell:
    """A port on loopback that counts who connects."""

    def __init__(self) -> None:
        self.rung = 0
        self.port = 0
        app = web.Application()
        app.router.add_post("/{tail:.*}", self._take)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start(self) -> None:
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = site.port

    async def _take(self, _: web.Request) -> web.Response:
        self.rung += 1
        return web.json_response({"answer": "1"})


@pytest.fixture
async def doorbell() -> AsyncIterator[Doorbell]:
    doorbell = Doorbell()
    await doorbell.start()
    yield doorbell
    await doorbell.runner.cleanup()


async def send(url: str, **options: Any) -> SendOutcome:
    sender = WebhookChannel(name="hook", secrets=["k" * 32], clock=lambda: NOW, **options)
    try:
        return await sender.send(
            SendRequest(
                token="tok-1",
                to=url,
                text="山洪橙色预警",
                language="zh",
                valid_until=NOW + timedelta(minutes=10),
                callback_url="https://warn.example/c/tok-1",
            )
        )
    finally:
        await sender.close()


def refused_as_private(outcome: SendOutcome) -> bool:
    said = (outcome.kind, outcome.error_class, outcome.code)
    return said == (OutcomeKind.REJECTED, ErrorClass.BAD_NUMBER, "private")


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "LOCALHOST", "localhost.", "127.1", "0x7f.1", "2130706433", "0177.0.0.1"),
        *("0.0.0.0", "0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254"),
        *("[64:ff9b::7f00:1]", "[fe80::1]"),
    ],
)
async def test_however_it_is_written_the_inside_is_not_connected_to(
    host: str, doorbell: Doorbell
) -> None:
    outcome = await send(f"https://{host}:{doorbell.port}/hook")

    # Some are refused as no address at all, and some as none that a resolver knows.
    assert outcome.error_class in {ErrorClass.BAD_NUMBER, ErrorClass.DOWN}
    assert doorbell.rung == 0


def answering(*answers: list[str]) -> Any:
    """Return a resolver that says something else each time, and then its last word."""
    said = list(answers)

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if host not in (NAME, NAME.encode()):
            return _resolve(host, port, *args, **kwargs)
        hosts = said.pop(0) if len(said) > 1 else said[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in hosts]

    return getaddrinfo


_resolve = socket.getaddrinfo


async def test_a_name_that_points_inside_is_not_connected_to(
    doorbell: Doorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering(["127.0.0.1"]))

    outcome = await send(f"https://{NAME}:{doorbell.port}/")

    assert refused_as_private(outcome)
    assert doorbell.rung == 0


async def test_a_name_that_points_elsewhere_once_it_has_been_checked_is_not_connected_to(
    doorbell: Doorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: whoever looks first sees a public address, whoever connects an inner one."""
    monkeypatch.setattr(socket, "getaddrinfo", answering(["8.8.8.8"], ["127.0.0.1"]))
    looked_up = socket.getaddrinfo(NAME, 443)[0][4][0]
    assert is_public(str(looked_up))

    outcome = await send(f"https://{NAME}:{doorbell.port}/")

    assert refused_as_private(outcome)
    assert doorbell.rung == 0


async def test_of_several_addresses_only_the_public_ones_are_connected_to(
    doorbell: Doorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """127.0.0.1 stands for a public address here, so that a test needs no internet."""
    asked: list[str] = []

    def pretend(host: str) -> bool:
        asked.append(host)
        return host == "127.0.0.1"

    monkeypatch.setattr(webhook_address, "is_public", pretend)
    monkeypatch.setattr(socket, "getaddrinfo", answering(["127.0.0.2", "127.0.0.1"]))

    outcome = await send(f"https://{NAME}:{doorbell.port}/")

    assert asked[:2] == ["127.0.0.2", "127.0.0.1"]
    assert (outcome.kind, outcome.code) == (OutcomeKind.REJECTED, "tls")  # it speaks no TLS
    assert outcome.error_class is ErrorClass.UNROUTABLE


async def test_a_closed_network_may_use_inner_addresses(doorbell: Doorbell) -> None:
    outcome = await send(f"http://127.0.0.1:{doorbell.port}/hook", allow_private=True)

    assert (outcome.kind, outcome.answer) == (OutcomeKind.ACCEPTED, "1")
    assert doorbell.rung == 1


async def test_no_proxy_of_the_environment_is_asked(
    doorbell: Doorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect for us, and check nothing."""
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{doorbell.port}")

    outcome = await send("https://127.0.0.1:8443/hook")

    assert refused_as_private(outcome)
    assert doorbell.rung == 0


# --- one endpoint, written in several ways ----------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("https://EXAMPLE.com", "https://example.com:443/"),
        ("https://example.com./#top", "https://example.com/"),
        ("https://预警.example/广播", "https://xn--792a71x.example/%E5%B9%BF%E6%92%AD"),
        (" https://example.com/a ", "https://example.com/a"),
    ],
)
def test_these_are_one_endpoint(address: str, same: str) -> None:
    assert normalised(address) == normalised(same)


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("https://example.com/a", "https://example.com/b"),
        ("https://example.com/?a", "https://example.com/"),
        ("https://example.com/A", "https://example.com/a"),
        ("https://example.com:8443/", "https://example.com/"),
        ("http://example.com:443/", "https://example.com/"),
    ],
)
def test_these_are_two_endpoints(address: str, other: str) -> None:
    assert normalised(address) != normalised(other)

"""An address with several servers: who is asked, in which order, and who is not asked twice."""

import asyncio
from typing import Any

import asyncpg
import pytest

from warnsvc.store.open import parse_url, postgresql_dsn
from warnsvc.store.postgresql_cluster import Cluster, Place, places_of

TWO = "postgresql://warnsvc:pw@a:5432,b:5433/db"


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://u@a/db", [("a", 5432)]),
        ("postgresql://u@a:6000,b,c:6001/db", [("a", 6000), ("b", 5432), ("c", 6001)]),
        ("postgresql://u@[::1]:6000,b/db", [("::1", 6000), ("b", 5432)]),
        ("postgresql://u@/db?host=a,b&port=6000,6001", [("a", 6000), ("b", 6001)]),
        ("postgresql://u@/db?host=a,b&port=6000", [("a", 6000), ("b", 6000)]),
        (
            "postgresql://u@/db?host=%2Ftmp%2Fone,%2Ftmp%2Ftwo",
            [("/tmp/one", 5432), ("/tmp/two", 5432)],
        ),
        ("postgresql:///db", []),
    ],
)
def test_the_servers_of_an_address(dsn: str, expected: list[tuple[str, int]]) -> None:
    assert places_of(dsn) == [Place(*place) for place in expected]


def test_an_address_with_two_servers_is_one_that_we_know() -> None:
    dsn = postgresql_dsn(parse_url(TWO + "?target_session_attrs=any"))

    assert places_of(dsn) == [Place("a", 5432), Place("b", 5433)]
    assert "warnsvc:pw@" in dsn
    assert "target_session_attrs=any" in dsn


class Servers:
    """Stands for `asyncpg.connect`; a server that is in `faults` refuses."""

    def __init__(self, **faults: BaseException) -> None:
        self.faults = faults
        self.asked: list[str] = []
        self.options: dict[str, Any] = {}

    async def connect(self, _dsn: str, *, host: str = "", port: int = 0, **options: Any) -> str:
        self.asked.append(host)
        self.options = options
        if fault := self.faults.get(host):
            raise fault
        return host


async def test_the_next_server_is_asked_when_one_is_dead_silent_or_a_standby() -> None:
    for fault in (
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.TargetServerAttributeNotMatched("a standby"),
    ):
        assert await Cluster(TWO, connect=Servers(a=fault).connect).reach() == "b"


async def test_who_answered_last_is_asked_first() -> None:
    servers = Servers(a=ConnectionRefusedError())
    cluster = Cluster(TWO, connect=servers.connect)

    await cluster.reach()
    await cluster.reach()
    servers.faults = {"b": ConnectionRefusedError()}
    await cluster.reach()

    assert servers.asked == ["a", "b", "b", "b", "a"]


async def test_who_kept_us_waiting_too_long_is_not_asked_first_again() -> None:
    cluster = Cluster(TWO, connect=Servers(a=asyncio.CancelledError()).connect)

    with pytest.raises(asyncio.CancelledError):
        await cluster.reach()

    assert cluster.places[0] == Place("b", 5433)


async def test_when_nobody_will_do_the_message_names_them_all() -> None:
    servers = Servers(a=ConnectionRefusedError("refused"), b=TimeoutError())

    with pytest.raises(ConnectionError, match=r"a:5432: refused; b:5433: TimeoutError"):
        await Cluster(TWO, connect=servers.connect).reach()


@pytest.mark.parametrize(
    ("dsn", "wanted"),
    [
        (TWO, "read-write"),
        ("postgresql://u@a/db", "read-write"),
        (TWO + "?target_session_attrs=any", None),
    ],
)
async def test_only_a_server_that_takes_writes_will_do(dsn: str, wanted: str | None) -> None:
    servers = Servers()

    await Cluster(dsn, connect=servers.connect).reach()

    assert servers.options.get("target_session_attrs") == wanted


async def test_a_refusal_that_asking_elsewhere_cannot_mend_is_raised_at_once() -> None:
    servers = Servers(a=ValueError("a wrong option"))

    with pytest.raises(ValueError, match="wrong option"):
        await Cluster(TWO, connect=servers.connect).reach()

    assert servers.asked == ["a"]

"""F16 and F17: those who are slow. Pass: whoever is not slow does not notice."""

import asyncio
import secrets
import time
from dataclasses import replace

import pytest
from aiohttp import web

from contacts.assignment import Assignment
from contacts.contact import Contact, ContactKind, Number, NumberKind
from contacts.people import People, people_for
from tests.faults.figures import Figures
from tests.faults.hand import callback, reply_form, send
from tests.faults.rig import free_ports, open_rig, villages
from warnsvc.core.pack import DEFAULT_PACK

PEOPLE = 300
ENDPOINTS = 200
SLOW_SECONDS = 30.0
WHISPERERS = 2_000
DEADLINE_SECONDS = 15.0
"""reliability.md F17: whoever does not finish his request is hung up on within this."""


async def test_two_hundred_slow_endpoints_delay_no_text_and_no_call() -> None:
    """Each answers 200 after thirty seconds, and all of them are called first."""
    (port,) = free_ports(1)
    asked: list[float] = []

    async def slow(_request: web.Request) -> web.Response:
        asked.append(time.monotonic())
        await asyncio.sleep(SLOW_SECONDS)
        return web.Response()

    app = web.Application()
    app.router.add_post("/{name}", slow)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with open_rig("postgresql") as rig:
            rig.pack = DEFAULT_PACK  # red: text, call and request at once
            rig.more_carriers = [_webhooks()]
            found = villages(PEOPLE)
            people = people_for(found, tiers=1, seed=1)
            await rig.load(found, _with_endpoints(people, port))
            await rig.release()
            rig.start("worker", "worker")

            async def reached() -> bool:
                record = await rig.record("texts")
                return len(record.texts) >= 2 * PEOPLE

            await rig.until(reached, 90, "everybody has a text and a call")
            took = time.monotonic() - asked[0]

            figures = Figures()
            figures.add("slow_endpoints_others_s", took, "s", "first slow request → 600 sends")
            figures.add("slow_endpoints_under_way", len(asked), "requests", "meanwhile, 30 s each")
            figures.show()
            figures.write()
            assert len(asked) > 20, "the slow ones were not even asked"
            assert took < SLOW_SECONDS
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_two_thousand_whisperers_are_hung_up_on_and_answers_get_through(kind: str) -> None:
    """Half of them never finish their headers, half never their body; each says a byte a second."""
    async with open_rig(kind) as rig:
        await rig.populate(50)
        await rig.release()
        rig.start("web", "serve")
        await rig.until_ready()
        await rig.until(rig.all_sent, 30)
        rows = await rig.fetch("SELECT address FROM attempt ORDER BY id")

        began = time.monotonic()
        whispering = asyncio.gather(*(_whisper(rig.port, n) for n in range(WHISPERERS)))
        await asyncio.sleep(1.0)
        statuses, times = [], []
        for number, row in enumerate(rows):
            asked = time.monotonic()
            statuses.append(await send(rig, callback(rig, reply_form(f"W{number}", row["address"]))))
            times.append(time.monotonic() - asked)
        lasted = sorted(await whispering)
        await rig.until(lambda: _all_answered(rig), 20)

        figures = Figures()
        figures.add("slowloris_last_closed_s", lasted[-1], "s", f"{WHISPERERS} sockets")
        figures.add("slowloris_answer_max_ms", max(times) * 1000, "ms", "genuine answers meanwhile")
        figures.show()
        figures.write()
        assert statuses == [204] * len(rows)
        assert lasted[-1] <= DEADLINE_SECONDS, f"{lasted[-5:]}, {time.monotonic() - began}"


async def _whisper(port: int, number: int) -> float:
    """Begin a request and go on a byte a second; return after how long we were hung up on."""
    head = "POST /callbacks/sim-sms HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    body = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\nId=1"
    began = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()
        writer.write((head + ("X-Slow: " if number % 2 else body)).encode())
        reading = asyncio.create_task(reader.read(-1))
        while not reading.done() and time.monotonic() - began < 4 * DEADLINE_SECONDS:
            await asyncio.wait({reading}, timeout=1.0)
            if not reading.done():
                writer.write(b"a")
        reading.cancel()
        writer.close()
        await asyncio.gather(reading, return_exceptions=True)
    except OSError:
        pass  # hung up on while we were speaking
    return time.monotonic() - began


async def _all_answered(rig: object) -> bool:
    return await rig.one("SELECT COUNT(*) FROM answer") == 50  # type: ignore[attr-defined,no-any-return]


def _webhooks() -> dict[str, object]:
    return {
        "name": "hook",
        "kind": "webhook",
        "adapter": "webhook",
        "params": {"allow_private": True, "per_second": 500},
        "secrets": {"secret": "whsec_" + secrets.token_hex(24)},
    }


def _with_endpoints(people: People, port: int) -> People:
    """Return the people, and an endpoint beside each of the first of them."""
    contacts, duties = list(people.contacts), list(people.assignments)
    for n, duty in enumerate(people.assignments[:ENDPOINTS]):
        number = Number(rank=1, kind=NumberKind.WEBHOOK, address=f"http://127.0.0.1:{port}/e{n}")
        contacts.append(
            Contact(
                id=len(contacts) + 1,
                key=f"E-{n}",
                name=f"大喇叭{n}",
                kind=ContactKind.ENDPOINT,
                numbers=(number,),
            )
        )
        duties.append(
            Assignment(
                contact_id=len(contacts), region_code=duty.region_code, tier=1, role="大喇叭"
            )
        )
    return replace(people, contacts=tuple(contacts), assignments=tuple(duties))

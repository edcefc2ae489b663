"""What carriers and callees tell us over HTTP is kept, also when the database is away."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from channels import signature
from channels.gateway import HttpGateway
from channels.simulated import SimulatedSms
from tests.fakes.clock import ManualClock
from tests.fakes.faulty_store import FaultyStore, FaultyUnit
from tests.web import rig
from warnsvc.service import backlog as backlogs
from warnsvc.service.alarm import raise_alarm
from warnsvc.service.carrier import CarrierDraft, add_carrier
from warnsvc.store.port import Store, StoreFault, Unit
from warnsvc.web.application import create_web
from warnsvc.web.callback import BODY_BYTES_MAX, CHANNELS, add_intake
from warnsvc.web.callback_watch import WATCH

SECRET = "s" * 32
PATH = "/callbacks/sim-sms"


class AwayStore(FaultyStore):
    """A database that can be away altogether."""

    away = False

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[FaultyUnit]:
        self._refuse()
        async with super().unit() as unit:
            yield unit

    @asynccontextmanager
    async def view(self) -> AsyncIterator[Unit]:
        self._refuse()
        async with super().view() as unit:
            yield unit

    def _refuse(self) -> None:
        if self.away:
            raise StoreFault("nobody answers")


@dataclass
class Door:
    """The web application as carriers and callees see it."""

    client: TestClient[web.Request, web.Application]
    store: AwayStore
    clock: ManualClock
    ctx: Any
    intake: Any
    kannel: HttpGateway
    sms: SimulatedSms

    def signed(self, number: int = 1) -> tuple[bytes, dict[str, str]]:
        form = {
            "Id": f"IN{number}",
            "From": "+8619900000001",
            "To": "10690000",
            "Text": "收到",
            "Timestamp": self.clock.now().isoformat(),
        }
        url = f"{self.ctx.settings.public_url}{PATH}"
        headers = signature.form_headers(SECRET, url, list(form.items()), self.clock.now())
        return urlencode(form).encode(), {
            "Content-Type": "application/x-www-form-urlencoded",
            **headers,
        }

    async def reply(self, number: int = 1) -> int:
        body, headers = self.signed(number)
        return (await self.client.post(PATH, data=body, headers=headers)).status

    async def kept(self) -> list[str]:
        async with self.store.view() as unit:
            rows = await unit.fetch("SELECT dedupe_key FROM inbound ORDER BY id")
        return [row["dedupe_key"] for row in rows]


@pytest.fixture
async def door(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Door]:
    monkeypatch.setattr(backlogs, "RETRY_SECONDS", 0)
    away = AwayStore(store)
    clock = ManualClock()
    ctx = rig.context(away, clock, rig.settings(tmp_path))
    app = create_web(ctx)
    intake = add_intake(app, ctx)
    sms = SimulatedSms(
        name="sim-sms",
        base_url="http://127.0.0.1:9",
        account="a",
        secrets=[SECRET],
        sender="10690000",
        clock=clock.now,
    )
    kannel, plain = (
        HttpGateway(
            name=profile,
            profile=profile,
            base_url="http://127.0.0.1:9",
            user="u",
            sender="10690000",
            secrets=[SECRET],
            clock=clock.now,
        )
        for profile in ("kannel", "json")
    )
    app[CHANNELS] = {"sim-sms": sms, "kannel": kannel, "json": plain}
    async with TestClient(TestServer(app)) as client:
        yield Door(client, away, clock, ctx, intake, kannel, sms)
    await kannel.close()
    await plain.close()
    await sms.close()


async def test_a_reply_is_on_disk_when_the_carrier_hears_so(door: Door) -> None:
    assert await door.reply() == 204

    assert len(await door.kept()) == 1


async def test_a_reply_that_comes_while_the_database_is_away_is_not_lost(door: Door) -> None:
    door.store.away = True
    assert [await door.reply(n) for n in range(3)] == [204, 204, 204]
    assert door.intake.spooled == 3

    door.store.away = False
    await door.intake._backlog.drained()

    assert len(await door.kept()) == 3
    assert door.intake.spooled == 0


async def test_a_forged_reply_is_refused_while_the_database_is_away_too(door: Door) -> None:
    door.store.away = True
    body, headers = door.signed()

    answer = await door.client.post(PATH, data=body.replace(b"IN1", b"IN2"), headers=headers)

    assert answer.status == 403
    assert door.intake.spooled == 0


async def test_a_body_that_is_too_long_is_not_read_and_its_carrier_is_named(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await door.client.post(PATH, data=b"x" * (BODY_BYTES_MAX + 1))

    assert answer.status == 413
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "too_long" in line]
    assert "sim-sms" in told


async def test_a_body_that_does_not_say_how_long_it_is_is_read_no_further(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 4_096
            yield b"x" * 4_096
            await asyncio.sleep(0)

    answer = await door.client.post(PATH, data=endless())

    assert answer.status == 413
    assert "callback.too_long" in capsys.readouterr().out
    assert sent < 10_000 * 4_096


async def test_a_body_in_chunks_is_a_body(door: Door) -> None:
    body, headers = door.signed()

    async def chunks() -> AsyncIterator[bytes]:
        yield body[:10]
        await asyncio.sleep(0.001)
        yield body[10:]

    answer = await door.client.post(PATH, data=chunks(), headers=headers)

    assert answer.status == 204
    assert len(await door.kept()) == 1


async def test_a_callback_gets_no_headers_that_are_for_browsers(door: Door) -> None:
    body, headers = door.signed()

    answer = await door.client.post(PATH, data=body, headers=headers)

    assert "Content-Security-Policy" not in answer.headers


# What cannot be read -----------------------------------------------------------------------------


async def fetched(door: Door, query: str) -> int:
    """Let Kannel fetch the address of replies with this behind its key."""
    address = URL(door.kannel.inbound_address("http://x"))
    path = f"/callbacks/kannel?key={address.query['key']}{query}"
    return (await door.client.get(URL(path, encoded=True))).status


async def heard(door: Door) -> list[tuple[str, str]]:
    async with door.store.view() as unit:
        rows = await unit.fetch("SELECT sender, text FROM inbound ORDER BY id")
    return [(row["sender"], row["text"]) for row in rows]


UNREADABLE = {
    "no sender": ("&from=&text=%E6%B1%82%E5%8A%A9&id=7", "GET ?from=&text=求助&id=7"),
    "no text": ("&from=%2B8613912345678&txt=4", "GET ?from=+8613912345678&txt=4"),
    "a sender in another alphabet": (
        "&from=%CA%D5&text=1", "GET ?from=%CA%D5&text=1"
    ),
    "nothing": ("", "GET ?"),
}  # fmt: skip


@pytest.mark.parametrize(("query", "shown"), UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_read_in_an_address_is_kept_for_a_human_without_its_key(
    door: Door, query: str, shown: str
) -> None:
    assert await fetched(door, query) == 200

    assert await heard(door) == [("", shown)]


async def test_two_people_who_cannot_be_understood_are_two(door: Door) -> None:
    for number in ("13912345678", "13912345679"):
        for _ in range(2):
            await fetched(door, f"&from={number}&txt=4")

    assert len(await heard(door)) == 2

    door.clock.move(hours=7 * 24)
    await fetched(door, "&from=13912345678&txt=4")

    assert len(await heard(door)) == 3


async def test_words_in_another_alphabet_are_filed_under_who_sent_them(door: Door) -> None:
    assert await fetched(door, "&from=%2B8613912345678&to=1069&text=%CA%D5%B5%BD&id=a&at=1") == 200
    assert await fetched(door, "&from=%2B8613912345679&to=1069&text=%D0%E8&id=b&at=1") == 200

    (first, text), (second, _) = await heard(door)

    assert (first, second) == ("+8613912345678", "+8613912345679")
    assert "\ufffd" in text


async def test_a_push_with_receipts_and_replies_loses_neither(door: Door) -> None:
    """Also where it is posted to one message's address; and what is neither is kept."""
    token = str(door.ctx.token("attempt", 7))
    receipt = {"reference": token, "status": "delivered", "id": "m1"}
    reply = {"from": "+8613912345678", "text": "1", "id": "r1"}
    for n, path in enumerate(("/callbacks/json", f"/callbacks/json/{token}")):
        records = [receipt | {"id": f"m{n}"}, reply | {"id": f"r{n}"}, {"from": "139", "n": n}]
        assert await posted(door, path, records) == 204

    async with door.store.view() as unit:
        rows = await unit.fetch("SELECT kind, attempt_id, text FROM inbound ORDER BY id")
    assert [(row["kind"], row["attempt_id"], row["text"]) for row in rows] == [
        ("receipt", 7, ""),
        ("answer", None, "1"),
        ("answer", None, '{"from": "139", "n": 0}'),
        ("receipt", 7, ""),
        ("answer", None, "1"),
        ("answer", None, '{"from": "139", "n": 1}'),
    ]


async def posted(door: Door, path: str, document: Any) -> int:
    """Let the JSON gateway push this, signed."""
    body = json.dumps(document)
    stamp = str(int(door.clock.now().timestamp()))
    signed = hmac.digest(SECRET.encode(), f"{stamp}.{body}".encode(), "sha256").hex()
    headers = {"X-Gateway-Timestamp": stamp, "X-Gateway-Signature": signed}
    return (await door.client.post(path, data=body.encode(), headers=headers)).status


# The answer link ---------------------------------------------------------------------------------


async def test_an_answer_by_link_is_kept_while_the_database_is_away(door: Door) -> None:
    door.store.away = True
    link = f"/a/{door.ctx.token('callout', 7)}"

    shown = await door.client.get(link)
    said = await door.client.post(
        link, data={"answer": "1"}, headers={"Origin": door.ctx.settings.public_url}
    )

    assert shown.status == 200
    assert 'value="2"' in await shown.text()
    assert said.status == 200
    assert "已记录" in await said.text()
    assert door.intake.spooled == 1
    door.store.away = False
    await door.intake._backlog.drained()
    assert await door.kept() == ["link:7:1"]


async def test_a_wrong_link_is_a_wrong_link_while_the_database_is_away_too(door: Door) -> None:
    door.store.away = True

    assert (await door.client.get("/a/1.aaaaaaaaaaaaaaaaaaaaaa")).status == 404


# Tests -------------------------------------------------------------------------------------------


async def a_test(door: Door, carrier: str = "sim-sms") -> str:
    """Write a test down as if it had been sent; returns its token."""
    async with door.store.unit() as unit:
        await unit.execute(
            "INSERT INTO test_send (id, carrier, purpose, address, text, state, sent_at, answer)"
            " VALUES (7, $1, 'by_hand', '+8619900000001', '', 'accepted', $2, '')",
            carrier,
            door.clock.now(),
        )
    return str(door.ctx.token("test", 7))


async def told(door: Door, token: str, *, name: str = "sim-sms", **form: str) -> int:
    """Bring a signed callback about one try."""
    path = f"/callbacks/{name}/{token}"
    whole = {
        "Id": "E1",
        "Sid": "SM1",
        "Sequence": "1",
        "Reference": token,
        "Timestamp": door.clock.now().isoformat(),
        **form,
    }
    url = f"{door.ctx.settings.public_url}{path}"
    signed = signature.form_headers(SECRET, url, list(whole.items()), door.clock.now())
    headers = {"Content-Type": "application/x-www-form-urlencoded", **signed}
    answer = await door.client.post(path, data=urlencode(whole).encode(), headers=headers)
    return answer.status


async def row_of_test(door: Door) -> Any:
    async with door.store.view() as unit:
        return await unit.fetch_one("SELECT * FROM test_send WHERE id = 7")


async def test_a_receipt_of_a_test_is_in_its_row_when_the_carrier_hears_so(door: Door) -> None:
    token = await a_test(door)

    assert await told(door, token, Status="delivered") == 204

    assert (await row_of_test(door))["state"] == "delivered"
    assert await door.kept() == []


async def test_a_receipt_of_a_test_comes_again_when_the_database_is_away(door: Door) -> None:
    token = await a_test(door)
    door.store.away = True
    assert await told(door, token, Status="delivered") == 503
    assert door.intake.spooled == 0

    door.store.away = False
    assert await told(door, token, Status="delivered") == 204

    assert (await row_of_test(door))["state"] == "delivered"


async def test_what_is_said_of_a_test_must_be_signed_like_anything_else(door: Door) -> None:
    token = await a_test(door)
    door.clock.move(hours=1)
    form = {"Status": "delivered", "Reference": token}

    answer = await door.client.post(f"/callbacks/sim-sms/{token}", data=form)

    assert answer.status == 403
    assert (await row_of_test(door))["state"] == "accepted"


async def test_an_unreadable_word_about_a_test_wakes_nobody(door: Door) -> None:
    token = await a_test(door)

    assert await told(door, token, Status="delivered", Reference="another") == 204

    assert await door.kept() == []


async def test_the_token_of_a_test_is_none_of_an_attempt(door: Door) -> None:
    token = await a_test(door)
    forged = token[:-1] + ("A" if token[-1] != "A" else "B")

    assert await told(door, forged, Status="delivered") == 404
    assert await told(door, str(door.ctx.token("callout", 7)), Status="delivered") == 404


async def test_a_carrier_that_was_added_since_the_start_may_be_tried_out(
    door: Door, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("secrets") / "secret"
    secret.write_text(SECRET)
    params = {"base_url": "http://127.0.0.1:9", "account": "a", "sender": "10690000"}
    draft = CarrierDraft(
        name="spare",
        adapter="simulated-sms",
        params=params,
        secret_files={"secret": str(secret)},
    )
    await add_carrier(door.ctx, None, draft)
    token = await a_test(door, carrier="spare")

    assert await told(door, token, name="spare", Status="delivered") == 204
    assert await told(door, token, name="nobody", Status="delivered") == 404
    attempt = str(door.ctx.token("attempt", 7))
    assert await told(door, attempt, name="spare", Status="delivered") == 404

    assert (await row_of_test(door))["state"] == "delivered"


# Refused ones ------------------------------------------------------------------------------------


async def alarms(door: Door) -> list[tuple[str, bool]]:
    """The alarms about refused callbacks: of which carrier, and whether it is over."""
    await door.client.app[WATCH].settled()
    async with door.store.view() as unit:
        rows = await unit.fetch("SELECT * FROM alarm WHERE kind = 'callback' ORDER BY id")
    return [(row["text"], row["ended_at"] is not None) for row in rows]


async def refused(door: Door, path: str, times: int = 1) -> None:
    for _ in range(times):
        answer = await door.client.post(path, data={"Status": "delivered"})
        assert answer.status == 403


async def test_a_carrier_whose_word_is_refused_is_an_alarm_until_it_is_believed(door: Door) -> None:
    token = door.ctx.token("attempt", 7)

    await refused(door, f"/callbacks/sim-sms/{token}", times=3)
    assert await alarms(door) == [("sim-sms", False)]
    door.clock.move(minutes=2)
    await refused(door, f"/callbacks/sim-sms/{token}")
    assert await alarms(door) == [("sim-sms", False)]

    assert await door.reply() == 204

    assert await alarms(door) == [("sim-sms", True)]


async def test_whoever_has_no_token_of_ours_rings_no_bell(door: Door) -> None:
    await refused(door, PATH, times=50)

    assert (await door.client.post(f"{PATH}/7.aaaaaaaaaaaaaaaaaaaaaa")).status == 404
    assert (await door.client.post("/callbacks/nobody")).status == 404
    assert await alarms(door) == []
    assert door.ctx.measures.callbacks_refused == {"sim-sms": 50}


async def test_whoever_got_hold_of_one_rings_it_once_a_minute_at_most(door: Door) -> None:
    token = door.ctx.token("attempt", 7)

    for number in range(5):
        await refused(door, f"/callbacks/sim-sms/{token}")
        assert await door.reply(number) == 204

    assert await alarms(door) == [("sim-sms", True)]


async def test_what_another_process_refused_is_over_when_this_one_believes(door: Door) -> None:
    assert await door.reply(1) == 204
    async with door.store.unit() as unit:
        await raise_alarm(unit, "callback", "sim-sms", now=door.clock.now(), subject="sim-sms")
        await raise_alarm(unit, "callback", "sim-voice", now=door.clock.now(), subject="sim-voice")

    assert await door.reply(2) == 204
    assert await alarms(door) == [("sim-sms", False), ("sim-voice", False)]
    door.clock.move(minutes=1)
    assert await door.reply(3) == 204

    assert await alarms(door) == [("sim-sms", True), ("sim-voice", False)]


async def test_an_alarm_that_cannot_be_written_is_written_by_the_next_one(door: Door) -> None:
    token = door.ctx.token("attempt", 7)
    door.store.away = True
    await refused(door, f"/callbacks/sim-sms/{token}")
    await door.client.app[WATCH].settled()

    door.store.away = False
    await refused(door, f"/callbacks/sim-sms/{token}")

    assert await alarms(door) == [("sim-sms", False)]


async def test_one_endpoint_with_a_wrong_secret_says_nothing_of_the_others(door: Door) -> None:
    """Each knows the token in the address that we gave it."""
    door.sms.capabilities = replace(door.sms.capabilities, many_hosts=True)

    await refused(door, f"/callbacks/sim-sms/{door.ctx.token('attempt', 7)}")

    assert await alarms(door) == []
    assert door.ctx.measures.callbacks_refused == {"sim-sms": 1}

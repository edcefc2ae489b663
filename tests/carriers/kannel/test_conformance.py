"""A real Kannel with an SMPP line: what every channel promises holds there too, and what it takes."""

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from channels.base import CallbackRequest, Channel, OutcomeKind, ReceiptWord, SendRequest
from channels.clock import utc_now
from channels.errors import ErrorClass
from channels.gateway import HttpGateway
from channels.http_client import TimeLimits
from tests.carriers.gateway.rigs import OurDoor
from tests.carriers.kannel.kannel import FAKESMSC, PASSWORD, SENDER, USER, Kannel, open_kannel
from tests.channels.conformance import TEXTS, ChannelConformance, Rig, receipts
from tests.faults.rig import free_ports

WAIT_SECONDS = 20.0
NAME = "sms-kannel"


class RealRig:
    """The channel, a real Kannel, and our callback address."""

    good_address = "+8613912345678"
    bad_address = "no-number"
    signs_body = False
    stamps_time = False

    def __init__(self, kannel: Kannel, door: OurDoor) -> None:
        self.kannel, self.door = kannel, door
        self.channel: Channel = gateway(kannel.base_url)
        self.impatient: Channel = gateway(kannel.base_url, TimeLimits(connect=5.0, total=0.3))
        self._now = utc_now()

    def now(self) -> datetime:
        return self._now

    def callback_url(self, token: str) -> str:
        return f"{self.door.url}/callbacks/{NAME}/{token}"

    def throttle(self, retry_after: float) -> None:
        pytest.skip("Kannel asks for no pause of its own")

    def never_answer(self) -> None:
        self.kannel.smsbox.pause()

    def take_and_cut(self) -> None:
        pytest.skip("Kannel cannot be told to")

    async def refuse_connections(self) -> None:
        self.kannel.smsbox.kill()

    def texts_received(self) -> list[str]:
        wait_for(self.kannel.record, "a text at the SMSC")
        return ["".join(taken["text"] for taken in self.kannel.record())]

    def valid_until_received(self) -> datetime:
        wait_for(self.kannel.record, "a text at the SMSC")
        given = self.kannel.record()[0]["validity"]
        return datetime.strptime(given[:12], "%y%m%d%H%M%S").replace(tzinfo=UTC)

    async def receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        await self.channel.send(request)
        return await self._caught(lambda c: c.token == request.token, 2)

    async def duplicated_receipts_of(self, request: SendRequest) -> list[CallbackRequest]:
        """Our address fails at first, and Kannel comes again."""
        self.door.failures = 1
        await self.channel.send(request)
        return await self._caught(lambda c: c.token == request.token, 3)

    async def answer_to(self, request: SendRequest, text: str) -> CallbackRequest:
        await self.channel.send(request)
        await self._caught(lambda c: c.token == request.token, 2)
        return (await self._caught(lambda c: not c.token, 1))[-1]

    async def _caught(
        self, which: Callable[[CallbackRequest], bool], count: int
    ) -> list[CallbackRequest]:
        give_up = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < give_up:
            found = [c for c in self.door.caught if which(c)]
            if len(found) >= count:
                self.door.caught = [c for c in self.door.caught if not which(c)]
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(f"{count} callbacks did not come\n{self.kannel.smsbox.told()}")


def gateway(base_url: str, limits: TimeLimits | None = None) -> HttpGateway:
    return HttpGateway(
        name=NAME,
        profile="kannel",
        base_url=base_url,
        user=USER,
        secrets=(PASSWORD,),
        sender=SENDER,
        limits=limits,
    )


def wait_for(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < give_up, f"there is no {what}"
        time.sleep(0.02)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[RealRig]:
    """A Kannel whose phones all answer 1."""
    door = OurDoor(free_ports(1)[0])
    await door.start()
    address = gateway("http://127.0.0.1:1").inbound_address(door.url)
    phones = ("--reply", "1", "--reply-every", "1")
    async with open_kannel(tmp_path, address, line="smpp", smsc=phones) as kannel:
        await kannel.start()
        rig = RealRig(kannel, door)
        yield rig
        await rig.channel.close()
        await rig.impatient.close()
    await door.close()


class TestRealKannel(ChannelConformance):
    async def test_the_validity_is_passed_on(self, rig: Rig) -> None:
        """In whole minutes, from when Kannel hands it over."""
        await rig.channel.send(self.request(rig, valid_until=utc_now() + timedelta(seconds=90)))

        left = rig.valid_until_received() - utc_now()
        assert timedelta(seconds=60) < left <= timedelta(seconds=121)

    async def test_what_is_no_longer_valid_is_not_sent(self, rig: Rig) -> None:
        expired = self.request(rig, valid_until=rig.now() - timedelta(seconds=1))

        outcome = await rig.channel.send(expired)
        await rig.channel.send(self.request(rig, text="after it"))

        assert outcome.error_class is ErrorClass.EXPIRED
        assert rig.texts_received() == ["after it"]

    async def test_a_long_chinese_text_comes_in_parts_and_has_one_pair_of_receipts(
        self, rig: RealRig
    ) -> None:
        text = "山洪橙色预警" * 33 + "收到"

        outcome = await rig.channel.send(self.request(rig, text=text))
        callbacks = await rig._caught(lambda c: c.token == "tok-0001", 2)

        parts = rig.kannel.record()
        assert len(text) == 200
        assert outcome.parts == len(parts) == 3
        assert "".join(part["text"] for part in parts) == text
        words = {event.word for event in receipts(rig, callbacks)}
        assert words == {ReceiptWord.SENT, ReceiptWord.DELIVERED}

    async def test_a_number_the_network_does_not_know_is_told_by_a_receipt(
        self, rig: RealRig
    ) -> None:
        await rig.channel.send(self.request(rig, to="+8613912340000"))
        callbacks = await rig._caught(lambda c: bool(c.token), 1)

        (event,) = receipts(rig, callbacks)
        assert event.word is ReceiptWord.UNDELIVERED
        assert event.error_class is ErrorClass.BAD_NUMBER
        assert event.code == "b"

    async def test_a_wrong_password_is_our_set_up(self, rig: RealRig) -> None:
        stranger = HttpGateway(
            name=NAME,
            profile="kannel",
            base_url=rig.kannel.base_url,
            user=USER,
            secrets=("some-other-word",),
            sender=SENDER,
        )

        outcome = await stranger.send(self.request(rig))

        await stranger.close()
        assert outcome.kind is OutcomeKind.REJECTED
        assert outcome.error_class is ErrorClass.CONFIG

    async def test_an_empty_204_is_a_failure_for_kannel_and_so_we_say_200(
        self, rig: RealRig
    ) -> None:
        rig.door.status = 204
        await rig.channel.send(self.request(rig))

        repeated = await rig._caught(lambda c: bool(c.token), 4)

        assert len(receipts(rig, repeated)) > len({e.dedupe_key for e in receipts(rig, repeated)})
        assert rig.channel.reply(repeated[0], None).status == 200


@pytest.mark.parametrize("text", [TEXTS["Chinese"], TEXTS["Uyghur"]], ids=["Chinese", "Uyghur"])
async def test_debians_own_fakesmsc_shows_the_same_text_and_its_reply_comes(
    tmp_path: Path, text: str
) -> None:
    if not FAKESMSC.exists():
        pytest.skip("no fakesmsc: apt-get install kannel-extras")
    door = OurDoor(free_ports(1)[0])
    await door.start()
    channel = gateway("http://127.0.0.1:1")
    address = channel.inbound_address(door.url)
    async with open_kannel(tmp_path, address, line="fake") as kannel:
        await kannel.start_bearerbox()
        await kannel.start_smsbox()
        reply = f"+8613900000005 {SENDER} ucs2 %65%36%52%30"
        port = str(kannel.ports["smsc"])
        with (tmp_path / "fakesmsc.out").open("wb") as output:
            fakesmsc = subprocess.Popen(
                [str(FAKESMSC), "-H", "127.0.0.1", "-r", port, "-i", "0.01", "-m", "1", reply],
                stdout=output,
                stderr=output,
            )
        try:
            await kannel.until_online()
            ours = gateway(kannel.base_url)
            request = SendRequest(
                token="tok-1",
                to="+8613912345678",
                text=text,
                language="zh",
                valid_until=utc_now() + timedelta(minutes=10),
                callback_url=f"{door.url}/callbacks/{NAME}/tok-1",
            )
            outcome = await ours.send(request)
            rig = RealRig(kannel, door)
            (answer,) = await rig._caught(lambda c: not c.token, 1)
            delivered = await rig._caught(lambda c: c.token == "tok-1", 2)
        finally:
            fakesmsc.kill()
            fakesmsc.wait()
        await ours.close()
        await door.close()

    shown = re.findall(rb"<(\S+) (\S+) ucs-2 (\S+)>", (tmp_path / "fakesmsc.out").read_bytes())
    assert [(sender, to) for sender, to, _ in shown] == [(SENDER.encode(), b"+8613912345678")]
    assert unquote_to_bytes(shown[0][2].replace(b"+", b" ")).decode("utf-16-be") == text
    assert outcome.kind is OutcomeKind.ACCEPTED
    (event,) = channel.parse_inbound(answer)
    assert (event.sender, event.text) == ("+8613900000005", "收到")
    assert {e.word for c in delivered for e in channel.parse_receipts(c)} == {
        ReceiptWord.SENT,
        ReceiptWord.DELIVERED,
    }

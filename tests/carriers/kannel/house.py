"""The whole service before a real Kannel: people, texts, receipts, replies, and what is broken.

    async with open_house(5_000, line="smpp", database="postgresql") as house:
        await house.release()
        house.start()
        … kill something …
        result = await house.end()

Phones whose number is a multiple of five answer 收到. The SMSC's journal says what arrived, the
database what we believe; the two are compared at the end.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from channels.gateway import HttpGateway
from contacts.contact import Contact, Number, NumberKind
from contacts.people import people_for
from tests.carriers.kannel.kannel import PASSWORD, SENDER, USER, Kannel, open_kannel
from tests.faults.rig import ROOT, Rig, open_rig, villages, with_numbers

REPLY = "收到"
REPLY_EVERY = 5
CARRIER = "sms-kannel"
QUIET_SECONDS = 6.0
"""Longer than any pause of Kannel's between two tries (`http-queue-delay`, `reconnect-delay`)."""
FIGURES = ROOT / "build" / "carriers.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one fan-out."""

    sends: int
    receipts: int
    replies: int
    answered: int
    """Callouts whose person has answered."""
    lost: int
    """Numbers that got no text."""
    doubled: int
    """Copies beyond the first, over all numbers."""
    unknown: int
    """Sends of which nobody could say for a while whether they arrived."""
    resent: int
    """Unknown ones that policy sent once more."""
    seconds: float


class House:
    """A service, a Kannel, and so many people."""

    def __init__(self, rig: Rig, kannel: Kannel, people: int) -> None:
        self.rig, self.kannel, self.people = rig, kannel, people
        self._began = 0.0

    async def release(self) -> None:
        """Fill the directory and release a red bulletin to all."""
        found = villages(self.people)
        made = with_numbers(people_for(found, tiers=1, seed=1), _number)
        await self.rig.load(found, made)
        await self.rig.release()

    def start(self) -> None:
        """Start the service; the texts go out."""
        self._began = time.monotonic()
        self.rig.start("web", "serve")

    @property
    def numbers(self) -> set[str]:
        """Everybody's number."""
        return {_address(n) for n in range(1, self.people + 1)}

    @property
    def repliers(self) -> int:
        """How many answer."""
        return sum(1 for number in self.numbers if int(number[1:]) % REPLY_EVERY == 0)

    async def pause(self, *, seconds: float) -> None:
        """Let it be broken for a while: the service meets the fault meanwhile."""
        await asyncio.sleep(seconds)

    async def taken(self) -> int:
        """How many phones got a text."""
        return len(self.kannel.copies())

    async def until_taken(self, count: int, seconds: float = 120) -> None:
        """Wait until so many phones got a text."""

        async def enough() -> bool:
            return await self.taken() >= count

        await self.rig.until(enough, seconds, f"{count} texts at the SMSC")

    async def handed_over(self) -> int:
        """How many texts Kannel has taken from us, as far as we have written it down."""
        return int(
            await self.rig.one(
                "SELECT COUNT(*) FROM attempt WHERE state IN ('accepted', 'delivered')"
            )
        )

    async def until_handed_over(self, count: int, seconds: float = 120) -> None:
        """Wait until Kannel has taken so many: hand-over goes on, and requests are under way."""

        async def enough() -> bool:
            return await self.handed_over() >= count

        await self.rig.until(enough, seconds, f"{count} texts at Kannel", every=0.02)

    async def receipts(self) -> int:
        """How many receipts were applied."""
        return int(
            await self.rig.one(
                "SELECT COUNT(*) FROM inbound WHERE kind = 'receipt' AND state = 'applied'"
            )
        )

    async def replies(self) -> int:
        """How many replies were applied."""
        return int(
            await self.rig.one(
                "SELECT COUNT(*) FROM inbound WHERE kind = 'answer' AND state = 'applied'"
            )
        )

    async def answered(self) -> int:
        """How many people have answered, as the service sees it."""
        return int(await self.rig.one("SELECT COUNT(DISTINCT callout_id) FROM answer"))

    async def until_settled(self, *, receipts: int, seconds: float = 180) -> None:
        """Wait until everything is sent, every reply credited, and so many receipts applied."""
        await self.rig.until(self.rig.all_sent, seconds, "all is sent and settled")
        await self.until_taken(self.people, seconds)

        async def told() -> bool:
            return await self.answered() >= self.repliers and await self.receipts() >= receipts

        await self.rig.until(
            told, seconds, f"{self.repliers} answers and {receipts} receipts are applied"
        )

    async def until_quiet(self, seconds: float = 180) -> None:
        """Wait until all is sent and settled, and nothing more comes: a killed Kannel forgets."""
        await self.rig.until(self.rig.all_sent, seconds, "all is sent and settled")
        seen, since = (-1, -1, -1), time.monotonic()

        async def quiet() -> bool:
            nonlocal seen, since
            now = (await self.taken(), await self.receipts(), await self.answered())
            if now != seen:
                seen, since = now, time.monotonic()
            return time.monotonic() - since >= QUIET_SECONDS

        await self.rig.until(quiet, seconds, "nothing more comes")

    async def result(self) -> Result:
        """Return what came of it."""
        copies = self.kannel.copies()
        act = "SELECT COUNT(*) FROM ledger_line WHERE act = $1"
        sent = await self.rig.fetch("SELECT send_count FROM attempt")
        return Result(
            sends=sum(copies.values()),
            receipts=await self.receipts(),
            replies=await self.replies(),
            answered=await self.answered(),
            lost=len(self.numbers - copies.keys()),
            doubled=sum(count - 1 for count in copies.values()),
            unknown=int(await self.rig.one(act, "attempt.unknown_settled")),
            resent=sum(max(row["send_count"] - 1, 0) for row in sent),
            seconds=round(time.monotonic() - self._began, 1),
        )


def _address(person: int) -> str:
    return f"+861990{person:07d}"


def _number(contact: Contact) -> tuple[Number, ...]:
    return (Number(rank=1, kind=NumberKind.MOBILE, address=_address(contact.id)),)


@asynccontextmanager
async def open_house(
    people: int, *, line: str = "smpp", database: str = "sqlite", **options: Any
) -> AsyncIterator[House]:
    """Open a service on a database that syncs, whose only carrier is a Kannel with such a line."""
    with tempfile.TemporaryDirectory(prefix="warnsvc-kannel-") as folder:
        async with open_rig(database, **options) as rig:
            get_url = _inbound_address(f"http://127.0.0.1:{rig.port}")
            phones = ("--reply", REPLY, "--reply-every", str(REPLY_EVERY))
            async with open_kannel(Path(folder), get_url, line=line, smsc=phones) as kannel:
                rig.paces = {}
                rig.more_carriers = [carrier(kannel)]
                await kannel.start()
                yield House(rig, kannel, people)


def carrier(kannel: Kannel) -> dict[str, Any]:
    """Return the table of settings for this Kannel."""
    return {
        "name": CARRIER,
        "kind": "sms",
        "adapter": "http-gateway",
        "params": {
            "profile": "kannel",
            "base_url": kannel.base_url,
            "user": USER,
            "sender": SENDER,
            "per_second": 10_000.0,  # what is tested is loss, not a pace
        },
        "secrets": {"secret": PASSWORD},
    }


def _inbound_address(public_url: str) -> str:
    """Return what `warnsvc carriers address` prints for get-url."""
    channel = HttpGateway(
        name=CARRIER,
        profile="kannel",
        base_url="http://127.0.0.1:1",
        user=USER,
        sender=SENDER,
        secrets=(PASSWORD,),
    )
    return channel.inbound_address(public_url)


def write_figures(name: str, figures: Result | dict[str, Any]) -> None:
    """Put figures under a name into build/carriers.json, and print them."""
    values = asdict(figures) if isinstance(figures, Result) else figures
    FIGURES.parent.mkdir(exist_ok=True)
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    known[name] = values
    scratch = FIGURES.with_suffix(".new")
    scratch.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")
    scratch.replace(FIGURES)
    print(name, json.dumps(values))

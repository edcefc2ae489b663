"""Write the README's tables of carriers from what the adapters say they can do.

    each adapter, built as its set-up page shows it ──► Capabilities ──► three tables

`make docs` runs it; `tests/test_carriers_table.py` fails when the page and the adapters differ.
What no adapter can say of itself (how a callback is proved, what it was tried against) stands in
`ROWS`. Nothing is connected to: adapters only connect when they send.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from channels.base import Capabilities, ChannelKind, PerCalleeLimit  # noqa: E402
from channels.registry import build_channel, spec_from  # noqa: E402
from channels.twilio_country import ALL_BUT_CHINA, TWO_WAY  # noqa: E402

PAGE = ROOT / "README.md"
ALIYUN = ROOT / "docs" / "CARRIERS-ALIYUN.md"
TABLES = ("carriers-reach", "carriers-say", "carriers-after")
NOBODYS_WORD = "a-word-that-is-long-enough-for-every-adapter"
ACCOUNT_SID = "AC" + "0" * 32
SPAN = {60: "a minute", 3_600: "an hour", 86_400: "a day"}
YES, NO = "yes", "**no**"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A carrier, and what only people know of it."""

    name: str
    adapter: str
    params: Mapping[str, Any] = field(default_factory=dict)
    proof: str
    """How a callback is known to be the carrier's."""
    tried: str
    setup: str


TWILIO = {"account_sid": ACCOUNT_SID, "sender": "+15005550006"}
TWILIO_TRIED = "stand-in; Prism with Twilio's OpenAPI; Twilio's Node library for signatures"
TWILIO_PAGE = "[Twilio](docs/CARRIERS-TWILIO.md)"
GATEWAY_PAGE = "[Gateway](docs/CARRIERS-GATEWAY.md)"
ALIYUN_PAGE = "[Aliyun](docs/CARRIERS-ALIYUN.md)"
KEY = "a key in the address; `allow_from`"
SIGNED = "signed, with the time"
GATEWAY = {"base_url": "http://127.0.0.1:13013", "user": "warnsvc", "sender": "1069012345"}
SIMULATED = {"base_url": "http://127.0.0.1:8081", "account": "warnsvc", "sender": "10690000"}
ROWS = (
    Row(
        name="`simulated-sms`",
        adapter="simulated-sms",
        params=SIMULATED,
        proof=SIGNED,
        tried="itself, over real sockets",
        setup="`make demo`",
    ),
    Row(
        name="`simulated-voice`",
        adapter="simulated-voice",
        params=SIMULATED,
        proof=SIGNED,
        tried="itself, over real sockets",
        setup="`make demo`",
    ),
    Row(
        name="`twilio-sms`",
        adapter="twilio-sms",
        params=TWILIO,
        proof="signed, without a time",
        tried=TWILIO_TRIED,
        setup=TWILIO_PAGE,
    ),
    Row(
        name="`twilio-voice`",
        adapter="twilio-voice",
        params=TWILIO,
        proof="signed, without a time",
        tried=TWILIO_TRIED,
        setup=TWILIO_PAGE,
    ),
    Row(
        name="`http-gateway`, `kannel` (SMPP behind it)",
        adapter="http-gateway",
        params=GATEWAY | {"profile": "kannel"},
        proof=KEY,
        tried="**a real Kannel** with fake and SMPP lines",
        setup=GATEWAY_PAGE,
    ),
    Row(
        name="`http-gateway`, `mas`",
        adapter="http-gateway",
        params=GATEWAY | {"profile": "mas", "values": "ec_name=清河县应急局; sign=1"},
        proof=KEY,
        tried="stand-in",
        setup=GATEWAY_PAGE,
    ),
    Row(
        name="`http-gateway`, `json`",
        adapter="http-gateway",
        params=GATEWAY | {"profile": "json"},
        proof=SIGNED,
        tried="stand-in",
        setup=GATEWAY_PAGE,
    ),
    Row(
        name="`aliyun-sms`",
        adapter="aliyun-sms",
        params={"access_key_id": "LTAI0000000000000000", "sign_name": "云岭县应急管理局"},
        proof=KEY,
        tried="stand-in",
        setup=ALIYUN_PAGE,
    ),
    Row(
        name="`aliyun-voice`",
        adapter="aliyun-voice",
        params={"access_key_id": "LTAI0000000000000000", "sender": "09915550000"},
        proof=KEY,
        tried="stand-in",
        setup=ALIYUN_PAGE,
    ),
    Row(
        name="`webhook`",
        adapter="webhook",
        proof=SIGNED,
        tried="receivers of ours; the page's own code",
        setup="[Receiver](docs/webhook-receiver.md)",
    ),
)


def written(page: str) -> str:
    """Return the page with its tables brought up to date."""
    known = asyncio.run(_known())
    for name, table in zip(TABLES, (_reach(known), _say(known), _after(known)), strict=True):
        page = _replaced(page, name, table)
    return page


Known = list[tuple[Row, Capabilities]]


async def _known() -> Known:
    """Build each carrier and ask it."""
    found: Known = []
    with tempfile.TemporaryDirectory() as folder:
        for row in ROWS:
            table = {"name": "x", "adapter": row.adapter, "secret": NOBODYS_WORD, **row.params}
            if row.adapter.startswith("aliyun"):
                table["templates_file"] = _templates(Path(folder), row.adapter)
            channel = build_channel(spec_from(table))
            found.append((row, channel.capabilities))
            await channel.close()
    return found


def _templates(folder: Path, adapter: str) -> str:
    """Return a file with the templates that the set-up page has people apply for."""
    page = ALIYUN.read_text(encoding="utf-8")
    found = re.search(rf"```toml\n(# /etc/warnsvc/{adapter}\.toml.*?)```", page, re.DOTALL)
    assert found, f"{ALIYUN} has no templates for {adapter}"
    path = folder / f"{adapter}.toml"
    path.write_text(found[1], encoding="utf-8")
    return str(path)


def _reach(known: Known) -> str:
    return _table(
        ("Carrier", "Sends to", "An answer comes back", "Tried against", "Set-up"),
        (
            (row.name, _countries(can), _answers(can), row.tried, row.setup)
            for row, can in known
        ),
    )


def _say(known: Known) -> str:
    return _table(
        ("Carrier", "Text", "Characters", "Links", "Languages", "Recordings", "Tells machines"),
        ((row.name, *_words(can)) for row, can in known),
    )


def _after(known: Known) -> str:
    return _table(
        (
            "Carrier",
            "Receipts",
            "Look-up",
            "Cancel",
            "Fetches missed replies",
            "Validity",
            "A callee",
            "A second",
            "A request",
            "Callbacks",
        ),
        (
            (
                row.name,
                YES if can.receipts else "if the endpoint sends any",
                _yes(can.can_lookup),
                _yes(can.can_cancel),
                _yes(can.can_poll),
                _validity(can),
                _limits(can.per_callee),
                f"{can.per_second:g} {_UNIT[can.kind]}{'' if can.per_second == 1 else 's'}",
                f"up to {can.batch_max}" if can.batch_max > 1 else "1",
                row.proof,
            )
            for row, can in known
        ),
    )


_UNIT = {ChannelKind.SMS: "part", ChannelKind.VOICE: "call", ChannelKind.WEBHOOK: "request"}


def _countries(can: Capabilities) -> str:
    if can.kind is ChannelKind.WEBHOOK:
        return "public https addresses"
    return "any country" if "*" in can.countries else _codes(can.countries)


def _answers(can: Capabilities) -> str:
    if can.kind is ChannelKind.WEBHOOK:
        return "in the response, or later"
    if can.dtmf:
        # A menu that was approved beforehand has no key for help.
        return f"keys {'1, 2, 4, 9' if can.free_text else '1, 2, 9'} in the call"
    if not can.inbound_countries:
        return NO
    if "*" in can.inbound_countries:
        return "replies from anywhere"
    if can.inbound_countries == ALL_BUT_CHINA:
        return "replies, not from 86"
    replies = f"replies from {_codes(can.inbound_countries)}"
    return f"{replies}; **never from 86**" if can.inbound_countries == TWO_WAY else replies


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(f"+{code}" for code in sorted(codes, key=lambda code: (len(code), code)))


def _words(can: Capabilities) -> tuple[str, ...]:
    if can.kind is ChannelKind.WEBHOOK:
        return "a JSON document", "20 kB", YES, "all that were written", "–", "–"
    voice = can.kind is ChannelKind.VOICE
    return (
        "any" if can.free_text else "**approved templates**",
        f"{can.chars_max:,}",
        "–" if voice else _yes(can.links_allowed),
        "any" if "*" in can.languages else ", ".join(sorted(can.languages, reverse=True)),
        _yes(can.plays) if voice else "–",
        _yes(can.amd) if voice else "–",
    )


def _yes(able: bool) -> str:
    return YES if able else NO


def _validity(can: Capabilities) -> str:
    if can.kind is ChannelKind.WEBHOOK:
        return "stated in the document"
    if can.kind is ChannelKind.VOICE:
        return "rings at once"
    if not can.validity_seconds_max:
        return "**none: may arrive late**"
    return f"{_span(can.validity_seconds_min)} – {_span(can.validity_seconds_max)}"


def _span(seconds: int) -> str:
    whole = ((3_600, "h"), (60, "min"), (1, "s"))
    size, unit = next((size, unit) for size, unit in whole if seconds % size == 0)
    return f"{seconds // size} {unit}"


def _limits(limits: Iterable[PerCalleeLimit]) -> str:
    told = [f"{one.count} {SPAN[one.seconds]}{'!' if one.hard else ''}" for one in limits]
    return ", ".join(told) or "yours to set"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, tuple("---" for _ in head), *rows)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _replaced(page: str, name: str, table: str) -> str:
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    assert found_begin, f"{PAGE} has no place for the table of {name}"
    assert found_end, f"{PAGE} does not end the table of {name}"
    return f"{before}{begin}\n{table}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""A real Kannel of Debian's, started for a test: bearerbox, smsbox, and an SMSC behind them.

    us ──sendsms──► smsbox ──► bearerbox ──► SMSC (tests.carriers.kannel.smsc, or Debian's fakesmsc)
    us ◄──dlr-url, get-url── smsbox ◄── bearerbox ◄──

    async with open_kannel(folder, get_url) as kannel:
        kannel.smsc.start();  kannel.bearerbox.kill();  kannel.smsbox.start()
        kannel.record()       what the SMSC took: the truth

All listen on free loopback ports and die with the test process. What Kannel has promised is in its
spool folder, as docs/CARRIERS-GATEWAY.md tells operators to have it.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.rig import ROOT, die_with_us, free_ports

USER, PASSWORD, SENDER = "warnsvc", "kannel-secret-word", "1069012345"
FAKESMSC = Path("/usr/lib/kannel/test/fakesmsc")
START_SECONDS = 30.0
LINK_SECONDS = 2
"""How soon Kannel tries a line again that is down; Kannel's own default is 10."""

LINE_WINDOW = 10
"""Texts that an SMPP line may have unconfirmed: Kannel's default. A line that dies may double these,
because nobody knows whether they were taken; that is SMPP's own."""

_CORE = """\
group = core
admin-port = {admin}
admin-password = admin-word
status-password = status-word
admin-interface = "127.0.0.1"
smsbox-port = {box}
smsbox-interface = "127.0.0.1"
box-allow-ip = "127.0.0.1"
box-deny-ip = "*.*.*.*"
dlr-storage = internal
store-type = spool
store-location = "{folder}/spool"
sms-resend-freq = 2
sms-resend-retry = -1
log-file = "{folder}/bearerbox.log"
log-level = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {box}
sendsms-port = {sendsms}
sendsms-interface = "127.0.0.1"
global-sender = {sender}
max-pending-requests = 64
http-request-retry = 10
http-queue-delay = 2
mo-recode = true
log-file = "{folder}/smsbox.log"
log-level = 1

group = sendsms-user
username = {user}
password = {password}
max-messages = 10
concatenation = true

group = sms-service
keyword = default
catch-all = true
get-url = "{get_url}"
max-messages = 0
omit-empty = true

"""
_FAKE = """\
group = smsc
smsc = fake
smsc-id = LINE
port = {smsc}
connect-allow-ip = 127.0.0.1
"""
_SMPP = """\
group = smsc
smsc = smpp
smsc-id = LINE
host = 127.0.0.1
port = {smsc}
smsc-username = warnsvc
smsc-password = smpp
system-type = ""
interface-version = 34
transceiver-mode = true
max-pending-submits = {window}
reconnect-delay = {link}
enquire-link-interval = 10
"""


def why_not() -> str:
    """Return why there is no Kannel here; "" when there is."""
    missing = [program for program in ("bearerbox", "smsbox") if shutil.which(program) is None]
    return f"no {' and '.join(missing)}: apt-get install kannel kannel-extras" if missing else ""


class Part:
    """One process of the gateway, started as often as a test wants."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name, self.command = name, list(command)
        self.output = folder / f"{name}.out"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it."""
        assert not self.running, f"{self.name} runs"
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                preexec_fn=die_with_us,
            )

    def pause(self) -> None:
        """SIGSTOP: it takes connections and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        """SIGTERM, and wait for its end."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(START_SECONDS)

    def kill(self) -> None:
        """-9: nothing is finished, nothing is said."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def told(self) -> str:
        """Return the last that it printed."""
        text = self.output.read_text(errors="replace") if self.output.exists() else ""
        return text[-1500:]


@dataclass(slots=True)
class Kannel:
    """The gateway's processes and what its SMSC wrote down."""

    folder: Path
    ports: dict[str, int]
    bearerbox: Part
    smsbox: Part
    smsc: Part
    journal: Path
    others: list[Part] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """Where messages are handed over."""
        return f"http://127.0.0.1:{self.ports['sendsms']}"

    def record(self) -> list[dict[str, Any]]:
        """Return what the SMSC took, in order; empty before it took anything."""
        return [entry["taken"] for entry in self.entries() if "taken" in entry]

    def entries(self) -> list[dict[str, Any]]:
        """Return the SMSC's journal; the line that is just being written is left out."""
        if not self.journal.exists():
            return []
        lines = self.journal.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def copies(self) -> Counter[str]:
        """Return number → how many texts its phone got; the parts of a long one are one."""
        return Counter(taken["to"] for taken in self.record() if not taken["follows"])

    async def start(self) -> None:
        """Start bearerbox, smsbox and the SMSC, and wait until texts can be handed over."""
        await self.start_bearerbox()
        await self.start_smsbox()
        self.smsc.start()
        await self.until_online()

    async def start_bearerbox(self) -> None:
        """Start bearerbox and wait for its ports."""
        self.bearerbox.start()
        await self._until_open("box", self.bearerbox)

    async def start_smsbox(self) -> None:
        """Start smsbox and wait for its port."""
        self.smsbox.start()
        await self._until_open("sendsms", self.smsbox)

    async def until_online(self, seconds: float = START_SECONDS) -> None:
        """Wait until bearerbox says that its line is up."""
        give_up = time.monotonic() + seconds
        status = ""
        while time.monotonic() < give_up:
            status = await self._status()
            if "(online" in status:
                return
            await asyncio.sleep(0.1)
        told = f"{self.smsc.told()}\n{self.bearerbox.told()}"
        raise AssertionError(f"the line is not up after {seconds:g} s: {status}\n{told}")

    async def _status(self) -> str:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["admin"])
        except OSError:
            return ""
        writer.write(b"GET /status.txt?password=status-word HTTP/1.0\r\n\r\n")
        try:
            text = await asyncio.wait_for(reader.read(), 5)
        except (OSError, TimeoutError):
            return ""
        finally:
            writer.close()
        return text.decode("utf-8", "replace")

    async def _until_open(self, port: str, part: Part) -> None:
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.ports[port])
            except OSError:
                assert part.running, f"{part.name} ended:\n{part.told()}"
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
        raise AssertionError(f"{part.name} does not listen:\n{part.told()}")

    def close(self) -> None:
        """End everything."""
        for part in (self.smsbox, self.bearerbox, self.smsc, *self.others):
            part.kill()


@asynccontextmanager
async def open_kannel(
    folder: Path, get_url: str, *, line: str = "fake", smsc: Sequence[str] = ()
) -> AsyncIterator[Kannel]:
    """Configure a Kannel with a line of this kind (`fake`, `smpp`); end it afterwards.

    `get_url`: where replies go. `smsc`: arguments of our SMSC.
    """
    names = ("admin", "box", "sendsms", "smsc")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    (folder / "spool").mkdir(parents=True, exist_ok=True)
    config = folder / "kannel.conf"
    config.write_text(
        (_CORE + (_FAKE if line == "fake" else _SMPP)).format(
            **ports,
            folder=folder,
            sender=SENDER,
            user=USER,
            password=PASSWORD,
            get_url=get_url,
            link=LINK_SECONDS,
            window=LINE_WINDOW,
        )
    )
    journal = folder / "smsc.jsonl"
    kannel = Kannel(
        folder=folder,
        ports=ports,
        bearerbox=Part("bearerbox", ["bearerbox", str(config)], folder),
        smsbox=Part("smsbox", ["smsbox", str(config)], folder),
        smsc=Part(
            "smsc",
            [
                *(sys.executable, "-m", "tests.carriers.kannel.smsc", line),
                *("--port", str(ports["smsc"]), "--journal", str(journal), *smsc),
            ],
            folder,
        ),
        journal=journal,
    )
    try:
        yield kannel
    finally:
        kannel.close()

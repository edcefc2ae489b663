"""An SMSC of our own, in a process of its own, behind a real Kannel.

    python -m tests.carriers.kannel.smsc smpp --port … --journal FILE    SMPP 3.4: Kannel binds to it
    python -m tests.carriers.kannel.smsc fake --port … --journal FILE    it connects to bearerbox as
                                                                         Debian's fakesmsc does

    --reply 收到 --reply-every 5     phones whose number is a multiple of 5 answer what they get
    --throttle-above 200             SMPP: so many a second, the rest gets ESME_RTHROTTLED

What it takes is in the journal before it is confirmed, and what it still owes (delivery receipts,
replies) is owed after a kill -9 too, as with a real one. The line protocol of the fake SMSC has no
confirmations: what is in the socket when it dies is lost, and so is nobody's to count.

On SIGTERM the SMPP line ends in order: what was taken is confirmed, what comes later is not taken.
"""

import argparse
import asyncio
import json
import os
import signal
import struct
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

BIND_RECEIVER, BIND_TRANSMITTER, SUBMIT, DELIVER, UNBIND = 1, 2, 4, 5, 6
BIND_TRANSCEIVER, ENQUIRE_LINK, RESPONSE = 9, 0x15, 0x80000000
THROTTLED, INVALID_DESTINATION = 0x58, 0x0B
RECEIPT = 0x04
UDHI = 0x40
UCS2 = 8
OWED_WINDOW = 50
"""Deliveries to Kannel that may be unconfirmed at once."""


class Journal:
    """What was taken and what is owed, on disk line by line."""

    def __init__(self, path: Path) -> None:
        self.owed: dict[str, dict[str, Any]] = {}
        self.count = 0
        if path.exists():
            for line in path.read_bytes().split(b"\n")[:-1]:
                self._apply(json.loads(line))
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, **entry: Any) -> None:
        """Write one line; it survives a kill -9 of ours from then on."""
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        os.write(self._file, line.encode())
        self._apply(entry)

    def _apply(self, entry: dict[str, Any]) -> None:
        if "taken" in entry:
            self.count += 1
        for owed in entry.get("owes", ()):
            self.owed[owed["key"]] = owed
        if "paid" in entry:
            self.owed.pop(entry["paid"], None)


class Phones:
    """Who answers, and with what."""

    def __init__(self, reply: str, every: int) -> None:
        self._reply, self._every = reply, every

    def reply_of(self, number: str) -> str:
        """Return what a phone answers; "" when it is silent."""
        answers = self._reply and self._every and int(number.lstrip("+")) % self._every == 0
        return self._reply if answers else ""


# --- the fake SMSC's lines ------------------------------------------------------------------------


async def fake(port: int, journal: Journal, phones: Phones) -> None:
    """Connect to bearerbox for ever; `sender receiver coding text` each way."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.2)
            continue
        try:
            while line := await reader.readline():
                _take_line(line, writer, journal, phones)
        except OSError:
            pass
        finally:
            writer.close()


def _take_line(line: bytes, writer: asyncio.StreamWriter, journal: Journal, phones: Phones) -> None:
    sender, to, coding, *rest = line.decode("ascii").rstrip("\n").split(" ")
    udh = unquote_to_bytes(rest[0].replace("+", " ")) if coding.startswith("udh") else b""
    text = unquote_to_bytes(rest[-1].replace("+", " ")) if rest else b""
    journal.write(
        taken={
            "at": time.time(),
            "to": to,
            "from": sender,
            "coding": coding,
            "udh": udh.hex(),
            "follows": _follows(udh),
            "text": text.decode("utf-16-be" if _is_ucs2(coding, text) else "latin-1", "replace"),
        }
    )
    reply = phones.reply_of(to)
    if reply and not _follows(udh):
        hexed = "".join(f"%{byte:02X}" for byte in reply.encode("utf-16-be"))
        writer.write(f"{to} {sender} ucs2 {hexed}\n".encode())


def _is_ucs2(coding: str, text: bytes) -> bool:
    """Parts of a long text come without their coding; ours are ASCII or UCS-2."""
    return coding == "ucs-2" or (coding == "udh" and not text.isascii())


def _follows(udh: bytes) -> bool:
    """Whether this is the second part of a long text, or a later one."""
    return bool(udh) and udh[-1] > 1


# --- SMPP 3.4 -------------------------------------------------------------------------------------


class Smpp:
    """One listening SMSC; Kannel binds to it as a transceiver."""

    def __init__(self, journal: Journal, phones: Phones, throttle_above: int) -> None:
        self._journal, self._phones = journal, phones
        self._throttle_above = throttle_above
        self._second, self._in_second = 0, 0
        self._bound: Callable[[bytes], None] | None = None
        self._sequence = 0
        self._unconfirmed: dict[int, str] = {}
        self._ending = False
        self._writer: asyncio.StreamWriter | None = None
        self._queue: deque[dict[str, Any]] = deque()

    async def serve(self, port: int) -> None:
        """Listen for ever, or until SIGTERM."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end)
        server = await asyncio.start_server(self._line, "127.0.0.1", port)
        async with server:
            await server.serve_forever()

    def _end(self) -> None:
        self._ending = True
        if self._writer is None or self._writer.is_closing():
            raise SystemExit(0)
        self._writer.write_eof()

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length, command, _, sequence = struct.unpack(">IIII", await reader.readexactly(16))
                body = await reader.readexactly(length - 16)
                if not self._ending:
                    self._take(command, sequence, body, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._bound = None
            self._unconfirmed.clear()
            writer.close()
        if self._ending:
            os._exit(0)

    def _take(self, command: int, sequence: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        match command:
            case _ if command in (BIND_TRANSCEIVER, BIND_RECEIVER, BIND_TRANSMITTER):
                writer.write(_pdu(command | RESPONSE, 0, sequence, b"SMSC\0"))
                self._bound, self._writer = writer.write, writer
                self._queue = deque(self._journal.owed.values())
                self._pay()
            case _ if command in (ENQUIRE_LINK, UNBIND):
                writer.write(_pdu(command | RESPONSE, 0, sequence))
            case _ if command == SUBMIT:
                status, ident = self._submitted(body)
                writer.write(_pdu(SUBMIT | RESPONSE, status, sequence, ident.encode() + b"\0"))
                self._pay()
            case _ if command == DELIVER | RESPONSE:
                key = self._unconfirmed.pop(sequence, "")
                if key:
                    self._journal.write(paid=key)
                self._pay()

    def _submitted(self, body: bytes) -> tuple[int, str]:
        now = time.time()
        if self._throttle_above:
            if int(now) != self._second:
                self._second, self._in_second = int(now), 0
            self._in_second += 1
            if self._in_second > self._throttle_above:
                return THROTTLED, ""
        message = _read_submit(body)
        if message["to"].endswith("0000"):
            return INVALID_DESTINATION, ""
        ident = f"{self._journal.count + 1:x}"
        owes = []
        if message["wants_receipt"]:
            owes.append(
                {"key": f"d{ident}", "from": message["to"], "to": message["from"], "receipt": ident}
            )
        reply = self._phones.reply_of(message["to"])
        if reply and not message["follows"]:
            owes.append(
                {"key": f"r{ident}", "from": message["to"], "to": message["from"], "text": reply}
            )
        self._journal.write(taken={"at": now, **message}, owes=owes)
        self._queue.extend(owes)
        return 0, ident

    def _pay(self) -> None:
        while self._bound and self._queue and len(self._unconfirmed) < OWED_WINDOW:
            owed = self._queue.popleft()
            self._sequence += 1
            self._unconfirmed[self._sequence] = owed["key"]
            self._bound(_pdu(DELIVER, 0, self._sequence, _deliver(owed)))


def _pdu(command: int, status: int, sequence: int, body: bytes = b"") -> bytes:
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


def _read_submit(body: bytes) -> dict[str, Any]:
    rest = body

    def text() -> str:
        nonlocal rest
        found, _, rest = rest.partition(b"\0")
        return found.decode("ascii")

    def byte() -> int:
        nonlocal rest
        found, rest = rest[0], rest[1:]
        return found

    text()
    byte(), byte()
    sender = text()
    ton, _ = byte(), byte()
    to = text()
    esm = byte()
    byte(), byte()
    text()
    validity = text()
    registered = byte()
    byte()
    coding = byte()
    byte()
    length = byte()
    words, udh = rest[:length], b""
    if esm & UDHI:
        udh, words = words[: words[0] + 1], words[words[0] + 1 :]
    decoded = words.decode("utf-16-be", "replace") if coding == UCS2 else words.decode("latin-1")
    return {
        "to": to if to.startswith("+") or ton != 1 else f"+{to}",
        "from": sender,
        "coding": coding,
        "udh": udh.hex(),
        "text": decoded,
        "validity": validity,
        "wants_receipt": bool(registered & 1),
        "follows": _follows(udh),
    }


def _deliver(owed: dict[str, Any]) -> bytes:
    if "receipt" in owed:
        stamp = time.strftime("%y%m%d%H%M")
        words = (
            f"id:{owed['receipt']} sub:001 dlvrd:001 submit date:{stamp} done date:{stamp}"
            " stat:DELIVRD err:000 text:"
        ).encode()
        esm, coding = RECEIPT, 0
    else:
        words, esm, coding = owed["text"].encode("utf-16-be"), 0, UCS2
    sender = owed["from"].lstrip("+").encode()
    return (
        b"\0\1\1"
        + sender
        + b"\0\0\1"
        + owed["to"].encode()
        + b"\0"
        + bytes((esm, 0, 0))
        + b"\0\0"
        + bytes((0, 0, coding, 0, len(words)))
        + words
    )


def main() -> None:
    """Run until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("line", choices=("fake", "smpp"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--reply", default="")
    parser.add_argument("--reply-every", type=int, default=0)
    parser.add_argument("--throttle-above", type=int, default=0)
    given = parser.parse_args()
    journal = Journal(given.journal)
    phones = Phones(given.reply, given.reply_every)
    if given.line == "fake":
        asyncio.run(fake(given.port, journal, phones))
    else:
        asyncio.run(Smpp(journal, phones, given.throttle_above).serve(given.port))


if __name__ == "__main__":
    main()

"""The simulated carrier in a process of its own: started, watched and stopped by the demo.

    parent ──── one line of JSON on stdin ────► child: carrier on a port
           ◄─── "ready" on stdout ────────────
           ──── closes stdin, or dies ────────► child ends

The pipe is the leash: however the parent ends, the kernel closes it. Secrets travel through it and
never over a command line. Imports little, so that the child is up before the county is loaded.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from channels.simulator import (
    Account,
    AnswersBy,
    Behaviour,
    CarrierConfig,
    CarrierServer,
    Condition,
    Hook,
)
from warnsvc.logging import configure_logging
from warnsvc.resource import PACKAGE_DIR, templates_dir

START_SECONDS_MAX = 30.0
"""A carrier that is not up by then will not come; it takes one second."""
STOP_SECONDS_MAX = 5.0
CONFIG_BYTES_MAX = 16 * 1024 * 1024
"""A directory of 100,000 phones."""

READY = "ready"
ACCOUNT = "warnsvc"
SENDER = "10690000"
"""An invented sender in the form that Chinese carriers give out."""


class PhonesFault(Exception):
    """The simulated carrier did not start, or has ended; the message says what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """What stands on one handset. `condition`: the simulator's word, or empty for its habit's."""

    number: str
    name: str
    place: str
    condition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonesConfig:
    """What the child is told."""

    host: str
    port: int
    seed: int
    secret: str = field(repr=False)
    inbound_callback: str
    hooks: Mapping[str, str] = field(repr=False)
    """Webhook endpoints by name, each with its secret; they take what comes and never answer."""
    phones: tuple[Phone, ...]
    crowd_speed: float
    ring_seconds: float
    time_zone: str


@asynccontextmanager
async def simulated_phones(config: PhonesConfig) -> AsyncIterator["asyncio.Task[None]"]:
    """Run the carrier beside us; yields a task that fails when it ends. Raises PhonesFault."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing from the current folder
        "-m",
        "warnsvc.demo.phones",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_DIR.parent)},  # the same code as ours
        start_new_session=True,  # Ctrl-C is for the parent, which then closes the pipe
    )
    watching = asyncio.create_task(_watch(process), name="phones")
    try:
        await _hand_over(process, config)
        yield watching
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)  # its fault has been told by now
        await _stop(process)


async def _hand_over(process: asyncio.subprocess.Process, config: PhonesConfig) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(asdict(config)).encode() + b"\n")
        await process.stdin.drain()
        said = await asyncio.wait_for(process.stdout.readline(), START_SECONDS_MAX)
    except (TimeoutError, ConnectionError) as fault:
        raise PhonesFault("no answer") from fault
    text = said.decode(errors="replace").strip()
    if text != READY:
        raise PhonesFault(text or "it ended at once")


async def _watch(process: asyncio.subprocess.Process) -> None:
    code = await process.wait()
    raise PhonesFault(f"it ended with {code}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
    except TimeoutError:
        process.kill()
        await process.wait()


def carrier_config(config: PhonesConfig) -> CarrierConfig:
    """Return the carrier that the child runs: no faults, and a crowd that waits for a click."""
    return CarrierConfig(
        accounts=(
            Account(
                name=ACCOUNT,
                secrets=(config.secret,),
                senders=(SENDER,),
                inbound_callback=config.inbound_callback,
            ),
        ),
        hooks=tuple(
            Hook(name=name, secrets=(secret,), answers_by=AnswersBy.SILENCE)
            for name, secret in config.hooks.items()
        ),
        seed=config.seed,
        behaviour=Behaviour(crowd_speed=config.crowd_speed, ring_seconds=config.ring_seconds),
        templates=templates_dir(),
        time_zone=config.time_zone,
    )


def label(server: CarrierServer, phones: tuple[Phone, ...]) -> None:
    """Write names on the phones, and put those out of order that are."""
    shelf = server.carrier.shelf
    for phone in phones:
        shelf.label(phone.number, name=phone.name, place=phone.place)
        if phone.condition:
            shelf.get(phone.number).condition = Condition(phone.condition)


def read_config(line: bytes) -> PhonesConfig:
    """Return the configuration in a line of JSON."""
    document: dict[str, Any] = json.loads(line)
    document["phones"] = tuple(Phone(**phone) for phone in document["phones"])
    return PhonesConfig(**document)


async def _serve() -> int:
    """Be the child: run until the pipe closes."""
    reader = asyncio.StreamReader(limit=CONFIG_BYTES_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    config = read_config(await reader.readline())
    server = CarrierServer(carrier_config(config), host=config.host, port=config.port)
    label(server, config.phones)
    try:
        await server.start()
    except OSError as fault:
        _say(f"cannot listen on {config.host}:{config.port}: {fault.strerror}")
        return 1
    _say(READY)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads our stdout any more
    ended = asyncio.create_task(reader.read())
    loop.add_signal_handler(signal.SIGTERM, ended.cancel)
    await asyncio.wait({ended})
    await server.close()
    return 0


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    configure_logging(level="warning")
    sys.exit(asyncio.run(_serve()))

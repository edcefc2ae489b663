"""The demo: what it prepares, and that it comes up and leaves nothing behind.

One test starts the real thing in processes of its own and therefore waits; the others run in this
one.
"""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from channels.webhook import WebhookChannel
from contacts.contact import NumberKind
from contacts.county import make_county
from tests.cli.conftest import Command
from warnsvc.core.bulletin import BulletinState, is_marked
from warnsvc.demo.cast import EASY_PASSWORD, cast, is_local
from warnsvc.demo.county import HOOKS_PATH, hooks_of, phones_of
from warnsvc.demo.phones import (
    Phone,
    PhonesConfig,
    PhonesFault,
    carrier_config,
    read_config,
    simulated_phones,
)
from warnsvc.demo.run import DemoWish, carrier_secret, demo_settings, hook_secrets

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 60
"""It takes about four; a loaded machine may need more."""
STOP_SECONDS_MAX = 20


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def status(port: int, path: str) -> int:
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def wait_until_up(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < end and process.poll() is None:
        try:
            if status(port, "/healthz") == 200:
                return
        except (OSError, HTTPException):
            time.sleep(0.1)
    pytest.fail(f"the demo did not come up:\n{log.read_text(errors='replace')}")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and only waits to be fetched does not."""
    try:
        return not re.search(r"\) [ZX] ", Path(f"/proc/{pid}/stat").read_text())
    except FileNotFoundError:
        return False


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int, int, Path]]:
    port, phones_port, log = free_port(), free_port(), tmp_path / "log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WARNSVC_")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "warnsvc", "demo"),
                *("--port", str(port), "--phones-port", str(phones_port)),
            ],
            cwd=ROOT,
            env={**environment, "TMPDIR": str(tmp_path)},
            stdout=out,
            stderr=out,
        )
        try:
            wait_until_up(process, port, log)
            yield process, port, phones_port, log
        finally:
            process.kill()
            process.wait()


def test_the_demo_comes_up_tells_how_to_log_in_and_leaves_nothing_behind(
    running: tuple["subprocess.Popen[bytes]", int, int, Path], tmp_path: Path
) -> None:
    process, port, phones_port, log = running
    (phones,) = children(process.pid)

    assert status(port, "/login") == 200
    assert status(phones_port, "/") == 200
    assert list(tmp_path.glob("warnsvc-demo-*"))

    process.send_signal(signal.SIGTERM)

    assert process.wait(STOP_SECONDS_MAX) == 0
    assert not alive(phones)
    assert not list(tmp_path.glob("warnsvc-demo-*"))
    told = log.read_text()
    assert f"http://127.0.0.1:{port}" in told
    assert f"http://127.0.0.1:{phones_port}" in told
    assert EASY_PASSWORD in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("option", "other"), [("--port", "--phones-port"), ("--phones-port", "--port")]
)
def test_a_port_that_is_taken_is_named_with_the_option_that_changes_it(
    command: Command, option: str, other: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        said = command("demo", option, str(port), other, str(free_port()))

    assert said.code == 1
    assert str(port) in said.err
    assert f"{option} " in said.err


def test_the_demo_never_touches_the_operators_own_database_or_carriers(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARNSVC_DATABASE_URL", "postgresql://warnsvc@db.example.org/real")
    monkeypatch.setenv("WARNSVC_DATABASE_PASSWORD", "very-secret")
    monkeypatch.setenv("WARNSVC_CARRIERS", '[{"name":"real","kind":"sms","adapter":"twilio"}]')

    settings = demo_settings(DemoWish(), tmp_path)

    assert settings.database_address == f"sqlite:///{tmp_path / 'warnsvc.sqlite3'}"
    assert {carrier.adapter for carrier in settings.carriers} == {
        *("simulated-sms", "simulated-voice", "webhook"),
    }
    assert settings.demo


def test_a_kept_folder_keeps_the_secret_that_the_carrier_knows(data: Path, tmp_path: Path) -> None:
    first = carrier_secret(demo_settings(DemoWish(), tmp_path))
    again = carrier_secret(demo_settings(DemoWish(), tmp_path))
    other = carrier_secret(demo_settings(DemoWish(), tmp_path / "other"))

    assert first == again
    assert first != other


def test_passwords_are_easy_only_where_nobody_else_can_log_in() -> None:
    here = {player.password for player in cast("127.0.0.1")}
    everywhere = [{player.password for player in cast("0.0.0.0")} for _ in range(2)]

    assert here == {EASY_PASSWORD}
    assert EASY_PASSWORD not in everywhere[0]
    assert everywhere[0] != everywhere[1]
    assert [is_local(host) for host in ("localhost", "::1", "192.168.1.5", "demo.example")] == [
        *(True, True, False, False),
    ]


def test_every_phone_of_the_county_has_a_name_and_a_place() -> None:
    county = make_county()

    phones = phones_of(county)

    assert all(phone.name and phone.place for phone in phones)
    assert {phone.number for phone in phones if phone.condition == "wrong_number"} == set(
        county.wrong_addresses
    )
    assert any(phone.condition == "landline" for phone in phones)
    assert len(hooks_of(county)) == 6


def test_every_speaker_knows_the_secret_that_the_service_signs_with(
    data: Path, tmp_path: Path
) -> None:
    settings = demo_settings(DemoWish(), tmp_path)
    county = make_county(speakers_url=f"http://127.0.0.1:{settings.phones_port}{HOOKS_PATH}")
    (carrier,) = [c for c in settings.carriers if c.kind == "webhook"]
    ours = WebhookChannel(name="ours", secrets=[carrier_secret(settings)])
    addresses = [
        number.address
        for contact in county.people.contacts
        for number in contact.numbers
        if number.kind is NumberKind.WEBHOOK
    ]

    known = hook_secrets(settings, county)

    assert carrier.adapter == "webhook"
    assert {a.rpartition("/")[2]: ours.endpoint_secret(a) for a in addresses} == known
    assert len(set(known.values())) == 6


def test_the_drill_waits_and_says_that_it_is_one(command: Command, furnished: Path) -> None:
    drill = command("bulletin", "show", "1", "--json").json

    assert drill["status"] == "exercise"
    assert drill["state"] == BulletinState.RELEASED.value  # the fixture has released it
    assert is_marked(drill["texts"]["zh"], "演练")


def config(port: int) -> PhonesConfig:
    return PhonesConfig(
        host="127.0.0.1",
        port=port,
        seed=7,
        secret="s" * 40,
        inbound_callback="http://127.0.0.1:1/callbacks/sim-sms",
        hooks={"990102100201": "whsec_" + "a" * 44},
        phones=(Phone(number="+8615400000001", name="张三 村支书", place="云溪镇上河湾村"),),
        crowd_speed=5.0,
        ring_seconds=15.0,
        time_zone="Asia/Shanghai",
    )


def test_what_the_child_is_told_arrives_whole() -> None:
    sent = config(8081)

    assert read_config(json.dumps(asdict(sent)).encode()) == sent
    assert carrier_config(sent).behaviour.crowd is False
    assert "ssss" not in repr(sent)


async def test_phones_that_cannot_listen_say_why() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with pytest.raises(PhonesFault, match="cannot listen"):
            async with simulated_phones(config(taken.getsockname()[1])):
                pytest.fail("the port is taken")


async def test_phones_that_end_are_noticed_and_phones_that_we_leave_end() -> None:
    port, before = free_port(), set(children(os.getpid()))
    async with simulated_phones(config(port)) as watching:
        page = await asyncio.to_thread(status, port, "/control/handsets")
        (child,) = set(children(os.getpid())) - before
        os.kill(child, signal.SIGKILL)
        with pytest.raises(PhonesFault, match="-9"):
            await watching

    assert page == 200
    assert not alive(child)

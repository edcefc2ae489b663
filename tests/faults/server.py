"""PostgreSQL servers of a test's own, to be stopped, killed, promoted, filled up and cut off.

    with server() as primary:                    durable, on a TCP port of 127.0.0.1
        primary.stop("immediate"); primary.start()
    with pair() as (primary, standby):           synchronous: ANY 1 (standby)
        primary.kill(); standby.promote()

Beside `tests.fakes.postgresql`, which only runs one: the same binaries, with fsync on, because what
a server confirms is what is tested. Everything ends with the test process, also when that is killed.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.fakes.postgresql import (
    _as_whom,
    _die_with_us,
    _give_away,
    _within_reach,
    find_binaries,
)
from tests.faults.network import Host
from tests.faults.rig import free_ports

START_SECONDS = 30.0
"""Recovery after a kill on a machine that does other work."""
LISTEN = "127.0.0.1"
STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "smart": signal.SIGTERM}
STANDBY = "standby"


class Server:
    """One cluster of files and, most of the time, the server on them."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        data: Path | None = None,
        listen: str = LISTEN,
        prefix: Sequence[str] = (),
    ) -> None:
        self.folder, self.port, self.listen = folder, port, listen
        self.data = data or folder / "data"
        self.options: dict[str, str] = {}
        self._prefix = list(prefix)
        """Goes before every command, as `ip netns exec NAME`."""
        folder.mkdir(parents=True, exist_ok=True)
        _give_away(folder)
        self._binaries = _within_reach(find_binaries(), folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """The address over TCP."""
        return f"postgresql://warnsvc@{self.listen}:{self.port}/postgres"

    @property
    def log(self) -> str:
        """What it has logged."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def make(self, *arguments: str) -> "Server":
        """Make an empty cluster that anybody of our test hosts may enter."""
        self._call("initdb", "-D", self.data, "-U", "warnsvc", "-A", "trust", "-E", "UTF8",
                   "--locale=C", *arguments)  # fmt: skip
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\nhost replication all samenet trust\n")
        return self

    def follow(self, primary: "Server", name: str = STANDBY) -> "Server":
        """Become a standby of `primary`, by name."""
        self._call("pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "-d",
                   f"host={primary.listen} port={primary.port} user=warnsvc "
                   f"application_name={name}")  # fmt: skip
        return self

    def start(self, **options: str) -> "Server":
        """Start it and wait until it takes connections; options stay for later starts."""
        assert not self.running
        self.options.update(options)
        settings = {
            "port": str(self.port),
            "listen_addresses": self.listen,
            "unix_socket_directories": str(self.folder),
            "max_connections": "100",
            "shared_buffers": "32MB",
            "wal_receiver_status_interval": "1s",
            **self.options,
        }
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    *self._runner(),
                    self._binaries / "postgres",
                    *("-D", self.data),
                    *(
                        part
                        for name, value in settings.items()
                        for part in ("-c", f"{name}={value}")
                    ),
                ],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_us,
                **({} if self._prefix else _as_whom()),
            )
        self._wait_until_ready()
        return self

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The postmaster: `ip netns exec` and `setpriv` become what they start."""
        assert self._process is not None
        return self._process.pid

    def stop(self, mode: str = "fast") -> None:
        """Stop as `pg_ctl stop -m MODE` does, and wait for the end."""
        assert self._process is not None
        self._process.send_signal(STOPS[mode])
        self._process.wait(START_SECONDS)

    def kill(self) -> None:
        """-9 to all of it at once, as when the machine loses its power."""
        assert self._process is not None
        os.kill(self.pid, signal.SIGSTOP)  # so that it cannot make another child meanwhile
        for child in _children(self.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP to all of it: a machine that hangs."""
        for pid in (self.pid, *_children(self.pid)):
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        for pid in (self.pid, *_children(self.pid)):
            os.kill(pid, signal.SIGCONT)

    def promote(self) -> float:
        """Make a standby the primary; return how many seconds that took."""
        began = time.monotonic()
        self._call("pg_ctl", "promote", "-w", "-D", self.data)
        return time.monotonic() - began

    def configure(self, **settings: str) -> None:
        """Set and reload, as an operator does with ALTER SYSTEM."""
        for name, value in settings.items():
            self.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        self.sql("SELECT pg_reload_conf()")

    def sql(self, statement: str) -> str:
        """Run one statement with psql on its own machine; return what it prints."""
        return self._call(
            "psql", "-XAtq", "-h", self.folder, "-p", str(self.port), "-U", "warnsvc",
            "-d", "postgres", "-c", statement,
        )  # fmt: skip

    def end(self) -> None:
        """Kill it whatever state it is in."""
        if self.running:
            with suppress(ProcessLookupError):
                self.kill()

    def _wait_until_ready(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        pid_file = self.data / "postmaster.pid"
        while time.monotonic() < give_up and self.running:
            with suppress(FileNotFoundError):
                # A standby that takes connections says so too.
                if pid_file.read_text().rstrip().endswith("ready"):
                    return
            time.sleep(0.01)
        raise AssertionError(f"PostgreSQL did not start:\n{self.log[-3000:]}")

    def _runner(self) -> list[str]:
        """Behind a prefix that needs root, give root away; else Popen does it."""
        if not self._prefix or os.geteuid() != 0:
            return []
        groups = ("--regid=nogroup", "--clear-groups")
        return ["setpriv", "--reuid=nobody", *groups, "--pdeathsig=INT"]

    def _call(self, program: str, *arguments: object) -> str:
        done = subprocess.run(
            [
                *self._prefix,
                *self._runner(),
                str(self._binaries / program),
                *map(str, arguments),
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **({} if self._prefix else _as_whom()),
        )
        assert done.returncode == 0, f"{program} failed:\n{done.stdout[-500:]}{done.stderr[-2000:]}"
        return done.stdout.strip()


@contextmanager
def server(
    *, data: Path | None = None, make: Sequence[str] = (), **options: str
) -> Iterator[Server]:
    """Run one server; `data`: where its files are, `make`: arguments of initdb."""
    with servers(1) as (one,):
        if data is not None:
            one.data = data
        yield one.make(*make).start(**options)


@contextmanager
def server_on(host: Host, **options: str) -> Iterator[Server]:
    """Run one server on a test host."""
    folder = Path(tempfile.mkdtemp(prefix="warnsvc-servers-"))
    folder.chmod(0o755)
    one = Server(folder / host.name, port=5432, listen=host.address, prefix=host.prefix)
    try:
        yield one.make().start(**options)
    finally:
        one.end()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def pair(**options: str) -> Iterator[tuple[Server, Server]]:
    """Run a primary and its synchronous standby, set up as docs/POSTGRESQL.md says."""
    with servers(2) as (primary, standby):
        primary.make().start(**options)
        standby.follow(primary).start(**options)
        primary.configure(synchronous_standby_names=f"ANY 1 ({STANDBY})")
        until_synchronous(primary)
        yield primary, standby


@contextmanager
def servers(count: int) -> Iterator[list[Server]]:
    """Yield servers that were not made yet; end them afterwards."""
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="warnsvc-servers-"))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        root.chmod(0o755)
        made = [Server(root / str(n), port=port) for n, port in enumerate(free_ports(count))]
        for one in made:
            stack.callback(one.end)
        yield made


def until_synchronous(primary: Server, seconds: float = START_SECONDS) -> float:
    """Wait until a standby confirms every commit; return how long it took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if primary.sql("SELECT 1 FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"):
            return time.monotonic() - began
        time.sleep(0.05)
    raise AssertionError(f"the standby is not synchronous:\n{primary.log[-2000:]}")


def _children(pid: int) -> list[int]:
    with suppress(FileNotFoundError):
        text: Any = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(word) for word in text.split()]
    return []

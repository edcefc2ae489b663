"""The demo as a user meets it: a process on two free ports, and a Chromium that looks at it.

    demo = Demo(window_seconds=10)
    async with running(demo), chromium() as browser: …

Nothing here reaches into the service: it starts the command, reads what it prints, and stops it.
"""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "yunling-2026"
PATIENCE_MS = 30_000
"""A busy machine with two cores; conditions are waited for, so a fast one loses nothing."""
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 20.0
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

expect.set_options(timeout=PATIENCE_MS)


@dataclass(slots=True)
class Demo:
    """One demo: where it listens, and what it has said."""

    window_seconds: int
    port: int = 0
    phones_port: int = 0
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def phones_url(self) -> str:
        return f"http://127.0.0.1:{self.phones_port}"

    @property
    def log(self) -> str:
        return "".join(self.lines)

    @property
    def complaints(self) -> list[str]:
        """What it said after its welcome that somebody should look into."""
        return [line for line in self.lines if '"error"' in line or "Traceback" in line]


@asynccontextmanager
async def running(demo: Demo) -> AsyncIterator[Demo]:
    """Start the command, wait until it says where it is, and stop it as Ctrl-C would."""
    demo.port, demo.phones_port = free_ports(2)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "warnsvc", "--language", "zh", "demo",
        "--port", str(demo.port),
        "--phones-port", str(demo.phones_port),
        "--window-seconds", str(demo.window_seconds),
        cwd=ROOT,
        env=clean_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    opened = asyncio.Event()
    reading = asyncio.create_task(_read(process, demo, opened))
    try:
        await _until(opened, reading, demo)
        yield demo
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading


async def _read(process: asyncio.subprocess.Process, demo: Demo, opened: asyncio.Event) -> None:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        demo.lines.append(line.decode(errors="replace"))
        if demo.phones_url in demo.lines[-1]:
            opened.set()
    demo.lines.append(f"(ended with {await process.wait()})\n")


async def _until(opened: asyncio.Event, reading: "asyncio.Task[None]", demo: Demo) -> None:
    waiting = asyncio.create_task(opened.wait())
    await asyncio.wait(
        {waiting, reading}, timeout=START_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED
    )
    waiting.cancel()
    assert opened.is_set(), f"the demo did not open; it said:\n{demo.log}"


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, held together so that they differ."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def clean_environment() -> dict[str, str]:
    """Return our environment without anybody's own settings of warnsvc."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WARNSVC_")}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Yield a headless Chromium that speaks Chinese, as the desk's does."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*CHROMIUM_ARGS, "--lang=zh-CN"],
            env={**os.environ, "LANGUAGE": "zh_CN"},
        )
        yield browser
        await browser.close()


async def log_in(page: Page, demo: Demo, login: str) -> None:
    """Log in through the form, from wherever the console sends somebody it does not know."""
    await page.goto(demo.url)
    await page.get_by_label("用户名").fill(login)
    await page.get_by_label("密码").fill(PASSWORD)
    await page.get_by_role("button", name="登录").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("下一步做什么")

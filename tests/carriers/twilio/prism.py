"""Twilio's published OpenAPI, served by Prism: a check that what we send is what Twilio documents.

Both come from npm into build/npm, at pinned versions. Two things are laid over the description,
which lacks them (carriers.md §3a): repeated form fields, and the errors that Twilio answers with.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
NPM = ROOT / "build" / "npm"
PACKAGES = ("@stoplight/prism-cli@5.14.2", "@twilio/cli-core@8.3.2")
SPEC = "node_modules/@twilio/cli-core/src/services/twilio-api/twilio_api_v2010.json"
PRISM = "node_modules/.bin/prism"

INSTALL_SECONDS = 300
START_SECONDS = 60
"""Prism reads two megabytes of description; ten seconds on two busy cores."""

ERRORS = {"400": 21211, "401": 20003, "422": 422, "429": 20429, "500": 20500}
"""422 is not Twilio's: with it Prism says that a request is not as described."""


def installed() -> Path:
    """Return the folder with Prism and the description; skips the test where npm is not there."""
    if (NPM / PRISM).exists() and (NPM / SPEC).exists():
        return NPM
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("PRISM TESTS NOT RUN: there is no npm on this machine")
    NPM.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(NPM), "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            [*command, *PACKAGES],
            cwd=NPM,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        fault = done.stderr[-500:] if done.returncode else ""
    except subprocess.TimeoutExpired:
        fault = f"npm took longer than {INSTALL_SECONDS} s"
    if fault:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say(f"PRISM TESTS NOT RUN: npm could not install: {fault}")
    return NPM


def overlaid(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the description with repeated fields and errors."""
    for path, operations in spec["paths"].items():
        for operation in operations.values():
            if not isinstance(operation, dict):
                continue
            for content in operation.get("requestBody", {}).get("content", {}).values():
                for name, field in content["schema"].get("properties", {}).items():
                    if field.get("type") == "array":
                        encoding = content.setdefault("encoding", {})
                        encoding[name] = {"style": "form", "explode": True}
        if path.endswith(("{AccountSid}/Messages.json", "{AccountSid}/Calls.json")):
            for operation in ("post", "get"):
                operations[operation]["responses"] |= {
                    status: _error(int(status), code) for status, code in ERRORS.items()
                }
    return spec


def _error(status: int, code: int) -> dict[str, Any]:
    example = {"code": code, "message": "as documented", "more_info": "", "status": status}
    return {
        "description": "refused",
        "headers": {"Retry-After": {"schema": {"type": "integer", "enum": [7]}}},
        "content": {"application/json": {"schema": {"type": "object"}, "example": example}},
    }


@contextmanager
def prism(folder: Path) -> Iterator[str]:
    """Yield the address of a running Prism."""
    home = installed()
    path = folder / "twilio.json"
    spec = json.loads((home / SPEC).read_text(encoding="utf-8"))
    path.write_text(json.dumps(overlaid(spec)), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "prism.log"
    command = [str(home / PRISM), "mock", "-h", "127.0.0.1", "-p", str(port), str(path)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        asyncio.run(_listening(port, process, log))
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)


async def _listening(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            assert process.poll() is None, f"Prism ended: {log.read_text()[-2000:]}"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.2)
                continue
            writer.close()
            return

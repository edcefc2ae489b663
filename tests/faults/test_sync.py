"""F18: an answer is on the disk before its 2xx, seen from outside: by the system calls."""

import asyncio
import subprocess

import pytest

from tests.faults.hand import callback, reply_form, send
from tests.faults.rig import Rig, die_with_us, have, open_rig

ANSWERS = 20


@pytest.mark.skipif(not have("strace"), reason="strace is not installed")
async def test_on_sqlite_a_sync_has_ended_before_each_2xx_is_written() -> None:
    """One at a time, so that every answer needs a sync of its own."""
    async with open_rig("sqlite", durable=True) as rig:
        await rig.populate(ANSWERS)
        await rig.release()
        rig.start("web", "serve")
        await rig.until_ready()
        await rig.until(rig.all_sent, 60)
        rows = await rig.fetch("SELECT address FROM attempt ORDER BY id")
        trace = rig.folder / "trace"
        tracer = await _traced(rig, trace)
        try:
            for number, row in enumerate(rows):
                reply = reply_form(f"S{number}", row["address"])
                assert await send(rig, callback(rig, reply)) == 204
        finally:
            tracer.terminate()
            await asyncio.to_thread(tracer.wait)

        told = _events(trace.read_text(errors="replace"))
        assert told.count("2xx") == ANSWERS, told
        for place, event in enumerate(told):
            if event == "2xx":
                since = told[:place][::-1]
                since = since[: since.index("2xx")] if "2xx" in since else since
                assert "synced" in since, f"answer {told[:place].count('2xx')} was not synced first"


async def _traced(rig: Rig, trace: object) -> "subprocess.Popen[bytes]":
    """Watch syncs and answers of the web process, until terminated."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-q", "-e", "trace=fsync,fdatasync,sendto,write,writev,sendmsg",
         "-s", "24", "-o", str(trace), "-p", str(rig["web"].pid)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=die_with_us,
    )  # fmt: skip
    await asyncio.sleep(2.0)
    if tracer.poll() is not None:
        assert tracer.stderr is not None
        pytest.skip(f"strace may not watch: {tracer.stderr.read()[-200:]!r}")
    return tracer


def _events(text: str) -> list[str]:
    """Return in their order: a sync has ended, a 2xx is begun to be written."""
    found = []
    for line in text.splitlines():
        ended = "sync" in line and line.rstrip().endswith("= 0")
        if ended:
            found.append("synced")
        elif "HTTP/1.1 204" in line:
            found.append("2xx")
    return found

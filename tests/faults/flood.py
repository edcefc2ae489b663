"""A flood of forged requests beside a steady stream of genuine ones; counts and times the answers.

    python -m tests.faults.flood PORT GENUINE FORGED SECONDS CONNECTIONS

Files hold whole requests, parted by three NUL bytes. Genuine ones are spread evenly over the
seconds and sent again until they are answered 2xx; forged ones go as fast as the connections allow.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

GENUINE_CONNECTIONS = 8
TRIES_MAX = 100


async def _ask(port: int, request: bytes, kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> int:
    """Send one request down a kept connection (or a new one); return its status, 0: none."""
    try:
        reader, writer = kept.pop() if kept else await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        if b"content-length: " in lower:
            length = int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        if b"connection: close" in lower:
            writer.close()
        else:
            kept.append((reader, writer))
        return int(head[9:12])
    except (OSError, asyncio.IncompleteReadError, ValueError):
        return 0


async def _genuine(port: int, requests: list[bytes], seconds: float) -> tuple[int, list[float]]:
    kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    times: list[float] = []
    begun = time.perf_counter()

    async def one(number: int, request: bytes) -> bool:
        await asyncio.sleep(max(0.0, number * seconds / len(requests) - (time.perf_counter() - begun)))
        started = time.perf_counter()
        for _ in range(TRIES_MAX):
            if 200 <= await _ask(port, request, kept) < 300:
                times.append(time.perf_counter() - started)
                return True
            await asyncio.sleep(0.2)
        return False

    taken = await asyncio.gather(*(one(n, r) for n, r in enumerate(requests)))
    return sum(taken), sorted(times)


async def _forged(port: int, requests: list[bytes], stop: asyncio.Event) -> tuple[int, int]:
    kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    count = taken = number = 0
    while not stop.is_set():
        status = await _ask(port, requests[number % len(requests)], kept)
        number += 1
        if status == 0:
            await asyncio.sleep(0.05)  # refused at the door: a flood tries again
            continue
        count += 1
        taken += 200 <= status < 300
    return count, taken


async def _main(port: int, genuine: Path, forged: Path, seconds: float, connections: int) -> None:
    real = genuine.read_bytes().split(b"\0\0\0")
    false = forged.read_bytes().split(b"\0\0\0")
    stop = asyncio.Event()
    flood = [asyncio.create_task(_forged(port, false, stop)) for _ in range(connections)]
    begun = time.perf_counter()
    taken, times = await _genuine(port, real, seconds)
    took = time.perf_counter() - begun
    stop.set()
    counts = await asyncio.gather(*flood)
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))] if times else float("inf")
    print(
        json.dumps(
            {
                "genuine_taken": taken,
                "forged": sum(count for count, _ in counts),
                "forged_taken": sum(wrong for _, wrong in counts),
                "p99_ms": p99 * 1000,
                "seconds": took,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(
        _main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
    )

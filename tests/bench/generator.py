"""Writes prepared HTTP requests down many connections, one at a time on each; counts 2xx.

python -m tests.bench.generator PORT FILE     requests in FILE are parted by three NUL bytes
"""

import asyncio
import json
import sys
import time
from pathlib import Path

CONNECTIONS = 256
"""As many carriers' callbacks arrive at once."""
AHEAD = 1
"""Requests under way on one connection. No carrier writes the next one before it has an answer, and
a server answers them one after the other: 8 ahead on 32 connections were 32 at once, not 256."""


async def _client(port: int, requests: list[bytes]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    good = sent = done = 0
    rest = b""
    while done < len(requests):
        while sent < len(requests) and sent - done < AHEAD:
            writer.write(requests[sent])
            sent += 1
        rest += await reader.read(65536)
        while (end := rest.find(b"\r\n\r\n")) >= 0:
            head, rest = rest[:end], rest[end + 4 :]
            done += 1
            good += head.startswith(b"HTTP/1.1 204")
    writer.close()
    return good


async def _main(port: int, path: Path) -> None:
    requests = path.read_bytes().split(b"\0\0\0")
    shares = [requests[n::CONNECTIONS] for n in range(CONNECTIONS)]
    begun = time.perf_counter()
    good = sum(await asyncio.gather(*(_client(port, share) for share in shares)))
    print(json.dumps({"good": good, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Path(sys.argv[2])))

"""A small HTTP/1.1 load generator: keep-alive connections, one request in flight each, loopback only.

Run as a process of its own so that it does not share an interpreter with what it measures:
`python -m benchmarks.load '{"port": …, "path": …, "bodies": file, "connections": 32, "seconds": 3}'`.
Bodies come from a file of length-prefixed records and are cycled. Bounded in time and in requests.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

REQUESTS_MAX = 2_000_000
SECONDS_MAX = 130.0
HOST = "127.0.0.1"


def write_bodies(target: Path, bodies: Iterable[bytes]) -> Path:
    """Write request bodies for the generator."""
    with target.open("wb") as out:
        for each in bodies:
            out.write(struct.pack(">I", len(each)) + each)
    return target


def generate(**asked: Any) -> dict[str, Any]:
    """Run the generator in a process of its own; return requests, rate, latencies (ms) and statuses."""
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=SECONDS_MAX + 60)
    return dict(json.loads(done.stdout))


class Lane(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._left = -1
        self._data = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def _next(self) -> None:
        assert self._transport is not None
        request = self._run.next()
        if request is None:
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        if self._left < 0:
            lower = head.lower()
            at = lower.find(b"content-length:")
            self._left = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < self._left:
            return
        self._run.answered(int(head[9:12]), time.perf_counter() - self._sent)
        self._data, self._left = b"", -1
        self._next()

    def connection_lost(self, fault: Exception | None) -> None:
        del fault
        self._run.closed()


class Run:
    """The requests of one run."""

    def __init__(self, asked: dict[str, Any]) -> None:
        if asked.get("host", HOST) != HOST:
            raise ValueError("The generator sends to the loopback only.")
        self._asked = asked
        self._requests = itertools.cycle(list(self._prepared()))
        self._left = min(int(asked.get("requests", REQUESTS_MAX)), REQUESTS_MAX)
        self._until = 0.0
        self._open = int(asked["connections"])
        self._done = asyncio.Event()
        self.latencies: list[float] = []
        self.statuses: dict[int, int] = {}

    def _prepared(self) -> Iterable[bytes]:
        headers = "".join(f"{name}: {value}\r\n" for name, value in self._asked.get("headers", {}).items())
        data = Path(self._asked["bodies"]).read_bytes()
        at = 0
        while at < len(data):
            (length,) = struct.unpack_from(">I", data, at)
            body = data[at + 4 : at + 4 + length]
            at += 4 + length
            head = f"POST {self._asked['path']} HTTP/1.1\r\nHost: {HOST}\r\n{headers}Content-Length: {length}\r\n\r\n"
            yield head.encode() + body

    def next(self) -> bytes | None:
        if self._left <= 0 or time.perf_counter() >= self._until:
            return None
        self._left -= 1
        return next(self._requests)

    def answered(self, status: int, seconds: float) -> None:
        self.latencies.append(seconds)
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def closed(self) -> None:
        self._open -= 1
        if not self._open:
            self._done.set()

    async def go(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        seconds = min(float(self._asked["seconds"]), SECONDS_MAX)
        began, cpu = time.perf_counter(), time.process_time()
        self._until = began + seconds
        for _ in range(self._open):
            await loop.create_connection(lambda: Lane(self), HOST, int(self._asked["port"]))
        await asyncio.wait_for(self._done.wait(), seconds + 30)
        took = time.perf_counter() - began
        ordered = sorted(self.latencies) or [0.0]
        return {
            "requests": len(self.latencies),
            "per_second": len(self.latencies) / took,
            "p50_ms": 1000 * ordered[len(ordered) // 2],
            "p99_ms": 1000 * ordered[int(len(ordered) * 0.99)],
            "statuses": self.statuses,
            "cpu_seconds": time.process_time() - cpu,
        }


def main() -> None:
    import uvloop

    asked = json.loads(sys.argv[1])

    async def run() -> dict[str, Any]:
        return await Run(asked).go()

    print(json.dumps(uvloop.run(run())))


if __name__ == "__main__":
    main()

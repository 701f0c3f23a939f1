"""Open live streams and pipelines that wait at the gate, held by a process of its own.

`python -m benchmarks.crowd '{"url": …, "ticket": …, "token": …, "asked": {…}, "streams": 200, "waits": 200}'` holds them
until its input ends, then prints what it saw. Reading hundreds of streams is work: beside the person whose pages are
timed it would be measured with them.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any, Self

import aiohttp
import uvloop

_END_SECONDS = 30


class Crowd:
    """Runs the holder beside the benchmark; `seen` says what it saw once it has ended."""

    def __init__(self, **asked: Any) -> None:
        self._asked = asked
        self._process: subprocess.Popen[bytes] | None = None
        self.seen: dict[str, Any] = {}

    def __enter__(self) -> Self:
        command: list[str] = [sys.executable, "-m", "benchmarks.crowd", json.dumps(self._asked)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        said = self._process.communicate(b"", timeout=_END_SECONDS)[0]
        self.seen = json.loads(said)


class Holder:
    """The streams and waits of one run."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked
        self.seen: dict[str, Any] = {"streams": 0, "waits": 0, "events": 0, "answers": 0, "refused": {}}

    async def hold(self) -> None:
        """Hold everything until standard input ends."""
        loop = asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(self._asked["url"], connector=connector) as session:
            tasks = [asyncio.create_task(self._stream(session)) for _ in range(self._asked["streams"])]
            tasks += [asyncio.create_task(self._wait(session)) for _ in range(self._asked["waits"])]
            await loop.run_in_executor(None, sys.stdin.read)
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _refuse(self, status: int) -> None:
        self.seen["refused"][str(status)] = self.seen["refused"].get(str(status), 0) + 1

    async def _stream(self, session: aiohttp.ClientSession) -> None:
        path = f"/live/{self._asked['ticket']}"
        async with session.get(path, timeout=aiohttp.ClientTimeout(total=None)) as answer:
            if answer.status != 200:
                self._refuse(answer.status)
                return
            self.seen["streams"] += 1
            async for part in answer.content.iter_any():
                self.seen["events"] += part.count(b"data:")

    async def _wait(self, session: aiohttp.ClientSession) -> None:
        headers = {"Authorization": f"Bearer {self._asked['token']}"}
        self.seen["waits"] += 1
        while True:
            async with session.post("/gate/wait", json=self._asked["asked"], headers=headers) as answer:
                said = await answer.text()
                if answer.status != 200 or json.loads(said).get("decision") != "wait":
                    self.seen["waits"] -= 1
                    self._refuse(answer.status)
                    raise RuntimeError(said)
                self.seen["answers"] += 1


def main() -> None:
    holder = Holder(json.loads(sys.argv[1]))
    uvloop.run(holder.hold())
    print(json.dumps(holder.seen))


if __name__ == "__main__":
    main()

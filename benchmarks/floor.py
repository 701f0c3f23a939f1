"""The no-storage floor: the hub's own door with its authentication and shape check, answering 202 from memory."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvicorn


class Forgetful:
    """Stands where the appender stands, and keeps nothing."""

    def __init__(self) -> None:
        self._position = 0

    def submit(self, connection: str, draft: Any) -> asyncio.Future[int]:
        del connection, draft
        self._position += 1
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_result(self._position)
        return future


def main() -> None:
    from isthmus.cli.client import prepare_django

    prepare_django()
    from isthmus.hub.intake.current_entrances import CurrentEntrances
    from isthmus.hub.intake.door import Door
    from isthmus.hub.intake.refusals import Refusals
    from isthmus.ledger import scope
    from isthmus.ledger.ids import source

    entrances, forgetful = CurrentEntrances(), Forgetful()
    with scope.everywhere("the floor"):
        entrances.refresh()
    door = Door(entrances, lambda: forgetful, Refusals(), source)  # type: ignore[arg-type, return-value]
    # As `hub.serve.front` configures it.
    uvicorn.run(
        door, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", ws="none",
        lifespan="off", access_log=False, log_config=None, server_header=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()

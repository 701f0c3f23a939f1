"""The base of stateful fake vendors: a real HTTP server that remembers, and misbehaves on command.

A connector's `simulator.py` subclasses `Simulator`, keeps its objects in `self.state` (a `Shelf` per kind),
adds routes, and answers the questions of the conformance suite (`seed`, `human_edit`, `find_all`, …).
Run one by hand with `python -m isthmus.connectors.kit.simulator <connector> --port 9000`; while it runs,
`/_simulator/calls`, `/_simulator/faults` and `/_simulator/edit` steer it over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from isthmus.connectors.kit import misbehaviour
from isthmus.connectors.kit.faults import WRITE_METHODS, Fault, FaultQueue
from isthmus.connectors.kit.outbox import Outbox, Webhook
from isthmus.connectors.kit.shelf import Shelf

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_handling: contextvars.ContextVar[bool] = contextvars.ContextVar("handling", default=False)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request that the simulator received."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int
    at: float


class Simulator:
    """A fake vendor. All state lives in `state`, so that a lying answer can be undone.

    `outbox.url`: where webhooks go ("" = nowhere). `after_read`: done once, after the next GET (a person edits
    between our read and our write). `after_write`: done once, after the next write that succeeded. `human` and
    `integration_user` are the names written as last modifier; `shared_user` makes them the same.
    `replica_lag_seconds`: reads and searches of replicas show what was true that long ago. `revoked`: the credential
    no longer works.
    """

    name = "simulator"
    token = "simulated-token"  # noqa: S105 - the fake vendor's own password
    recipient = ""
    """Somebody whom this vendor can carry a message to, where it carries messages."""
    speaks_http = True
    answers_are_seen = True
    """False where a library stands between us and the vendor and tells only yes or no."""

    def __init__(self) -> None:
        self.state: dict[str, Shelf] = {}
        self.faults = FaultQueue()
        self.calls: list[Call] = []
        self.outbox = Outbox(self.faults, self.sign)
        self.integration_user = "isthmus"
        self.shared_user = False
        self.replica_lag_seconds = 0.0
        self.revoked = False
        self.after_read: list[Callable[[], None]] = []
        self.after_write: list[Callable[[], object]] = []
        self._runner: web.AppRunner | None = None
        self._streams: list[web.Request] = []

    # What a subclass provides -------------------------------------------------------------------------

    def routes(self) -> list[web.RouteDef]:
        """Return the vendor's routes."""
        return []

    def config(self, url: str) -> dict[str, Any]:
        """Return the configuration of a connection to this simulator at `url` (references to secrets too)."""
        raise NotImplementedError

    def secrets(self) -> dict[str, str]:
        """Return the values of the configuration's secret fields."""
        return {}

    def authorised(self, request: web.Request) -> bool:
        """Return whether the request carries our credential."""
        return request.headers.get("Authorization", "") == f"Bearer {self.token}"

    def refuse(self, request: web.Request) -> web.Response:
        """Return the vendor's answer to a wrong credential."""
        del request
        return web.json_response({"error": "unauthorised"}, status=401)

    def sign(self, body: bytes) -> dict[str, str]:
        """Return the headers that the vendor signs a webhook with."""
        del body
        return {}

    def seed(self, kind: str, count: int) -> list[str]:
        """Create `count` objects of a canonical kind behind the API; return their keys."""
        raise NotImplementedError

    def sample(self, kind: str) -> dict[str, Any]:
        """Return canonical values that this vendor can hold; {} lets the suite make them from the mapping."""
        del kind
        return {}

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Change an object (canonical field names, partner's spelling) as a person would."""
        raise NotImplementedError

    def find_all(self, kind: str, correlation: str) -> list[str]:
        """Return the keys of all objects that carry `correlation`: more than one is a duplicate."""
        raise NotImplementedError

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages to people that arrived, oldest first, each once however often it came."""
        return []

    # State --------------------------------------------------------------------------------------------

    def shelf(self, kind: str) -> Shelf:
        """Return the objects of one kind."""
        return self.state.setdefault(kind, Shelf())

    @property
    def human(self) -> str:
        """The name under which people edit here."""
        return self.integration_user if self.shared_user else "a.person"

    def emit(self, payload: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send a webhook: after the response of the running request, or soon outside of one."""
        self.outbox.pending.append(Webhook(payload=payload, headers=dict(headers or {})))
        if not _handling.get():
            self.outbox.flush_soon()

    def hold_open(self, request: web.Request) -> None:
        """Remember an endless answer, so that `break_streams` finds it."""
        self._streams.append(request)

    def break_streams(self) -> None:
        """Break every endless answer off, as a restart of the vendor does."""
        for request in self._streams:
            misbehaviour.reset(request)
        self._streams.clear()

    @contextlib.contextmanager
    def undone(self) -> Iterator[None]:
        """Undo in the end whatever happens to the state meanwhile, webhooks included."""
        kept, pending = copy.deepcopy(self.state), list(self.outbox.pending)
        try:
            yield
        finally:
            self.state, self.outbox.pending = kept, pending

    def writes(self) -> list[Call]:
        """Return the calls that may change something."""
        return [each for each in self.calls if each.method in WRITE_METHODS]

    # Running ------------------------------------------------------------------------------------------

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> str:
        """Start serving and return the base URL. `port` 0 picks a free one."""
        app = web.Application(middlewares=[self._steer], client_max_size=20_000_000)
        app.add_routes(self.routes())
        app.add_routes(
            [
                web.get("/_simulator/calls", self._show_calls),
                web.post("/_simulator/faults", self._plan_fault),
                web.post("/_simulator/edit", self._edit),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        address = self._runner.addresses[0]
        return f"http://{address[0]}:{address[1]}"

    async def stop(self) -> None:
        """Stop serving; pending webhooks are dropped."""
        await self.outbox.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def settled(self) -> None:
        """Wait until every webhook and late commit that is under way has happened."""
        await self.outbox.settled()

    async def __aenter__(self) -> str:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # Requests -----------------------------------------------------------------------------------------

    @property
    def _steer(self) -> Any:
        @web.middleware
        async def steer(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/_simulator/"):
                return await handler(request)
            body = await request.read()
            status = 0
            try:
                if self.revoked or not self.authorised(request):
                    response: web.StreamResponse = self.refuse(request)
                else:
                    planned = self.faults.take(request.method, request.path)
                    response = await misbehaviour.answer(
                        self, request, lambda: self._commit(request, handler), planned
                    )
                status = response.status
            finally:
                self._log(request, body, status)
            if request.method == "GET":
                while self.after_read:
                    self.after_read.pop(0)()
            elif status < 300:
                while self.after_write:
                    self.after_write.pop(0)()
            self.outbox.flush_soon()
            return response

        return steer

    async def _commit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        token = _handling.set(True)
        try:
            response = await handler(request)
        finally:
            _handling.reset(token)
        if self.outbox.pending and self.faults.take_webhook(Fault.WEBHOOK_FIRST):
            await self.outbox.flush()
        return response

    def _log(self, request: web.Request, body: bytes, status: int) -> None:
        self.calls.append(
            Call(
                method=request.method,
                path=request.path,
                query=dict(request.query),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=body,
                status=status,
                at=time.time(),
            )
        )

    # Steering over HTTP -------------------------------------------------------------------------------

    async def _show_calls(self, request: web.Request) -> web.Response:
        del request
        shown = [
            {"method": each.method, "path": each.path, "status": each.status, "at": each.at}
            for each in self.calls
        ]
        return web.json_response(shown)

    async def _plan_fault(self, request: web.Request) -> web.Response:
        asked = await request.json()
        fault = Fault(asked.pop("fault"))
        self.faults.plan(fault, **asked)
        return web.json_response({"planned": fault})

    async def _edit(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.human_edit(asked["kind"], asked["key"], asked["values"])
        self.outbox.flush_soon()
        return web.json_response({"edited": asked["key"]})


def main() -> None:
    """Run the simulator of one connector until interrupted."""
    import argparse

    from isthmus.connectors.kit import registry

    parser = argparse.ArgumentParser(
        prog="python -m isthmus.connectors.kit.simulator", description=main.__doc__
    )
    parser.add_argument("connector", help="the connector's id")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--webhook-url", default="", help="where the vendor sends its webhooks")
    parser.add_argument(
        "--seed", action="append", default=[], metavar="KIND=COUNT", help="create objects first"
    )
    arguments = parser.parse_args()
    build = registry.find(arguments.connector).connector.simulator
    if build is None:
        parser.error(f"{arguments.connector} has no simulator")
    simulator = build()
    simulator.outbox.url = arguments.webhook_url
    for each in arguments.seed:
        kind, _, count = each.partition("=")
        simulator.seed(kind, int(count))

    async def run() -> None:
        url = await simulator.start(arguments.port)
        print(f"{simulator.name} listens on {url}", flush=True)  # noqa: T201 - this is a program
        await asyncio.Event().wait()

    import uvloop

    try:
        uvloop.run(run())
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
